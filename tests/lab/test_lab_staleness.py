"""A change of any code that a cell reaches makes it computed again; a change of nothing but words
never does."""

import ast
import hashlib
import importlib
import itertools
import sys
import textwrap
import types
from dataclasses import replace

import numpy as np
import pytest
import toy
from rich.console import Console
from test_lab_fingerprint import forget

from theorylab.errors import InputError
from theorylab.lab import Experiment, Runner, Store
from theorylab.lab.fingerprint import fingerprint
from theorylab.lab.syntax import speech

COUNT = itertools.count()

# A package of a user: `cell.py` is filled in by each test, everything under it gives numbers by
# another way.
TREE = {
    "__init__.py": "from .hub import handed_on\n",
    "leaf.py": "def one():\n    return 1\n\n\ndef two():\n    return 2\n",
    "alone.py": "def nothing():\n    return 0\n",
    "hub/__init__.py": "from .inner import deep, deep as renamed\nfrom ..leaf import one as "
    "handed_on\n"
    "from . import tools\nimport PACKAGE.leaf as leafs\n__all__ = ['deep', 'tools']\n",
    "hub/tools.py": (
        "from PACKAGE.hub.inner.core import constant\n\n\ndef tool():\n    return constant()\n"
    ),
    "hub/inner/__init__.py": "from .core import *\nfrom .lower.bottom import deep\n",
    "hub/inner/core.py": "from ...leaf import two\n\n\ndef constant():\n    return 5\n\n\n"
    "def starred():\n    return two()\n",
    "hub/inner/lower/__init__.py": "",
    "hub/inner/lower/bottom.py": (
        "from .... import leaf\n\n\ndef deep():\n    return leaf.one() + 6\n"
    ),
    "lazy/__init__.py": "import importlib\n\n\ndef __getattr__(name):\n    if name == 'slow':\n"
    "        return importlib.import_module('PACKAGE.lazy.slow_code').slow\n    raise "
    "AttributeError(name)\n",
    "lazy/slow_code.py": "def slow():\n    return 9\n",
    "aliases.py": (
        "from PACKAGE import hub\nimport PACKAGE.lazy as quick\n\n\ndef own():\n    "
        "return hub.deep()\n"
    ),
    "acting/__init__.py": "from . import inside\ninside.SCALE.append(3)\n",
    "acting/inside.py": "SCALE = []\n\n\ndef scaled():\n    return SCALE[-1]\n",
}
CELL = (
    "import numpy as np\n{top}\n\n\ndef run(seed):\n    {inside}\n    return {{'value': "
    "np.float64({value})}}\n"
)

# how the cell gets its number: (imports, inside of the function, expression, (file, old text, new
# text), ...)
BOTTOM = ("hub/inner/lower/bottom.py", "+ 6", "+ 7")
LEAF = ("leaf.py", "return 1", "return 10")
WAYS = {
    "its own code": ("", "pass", "4", [("cell.py", "float64(4)", "float64(5)")]),
    "from x import y": ("from PACKAGE.leaf import one", "pass", "one()", [LEAF]),
    "from x import y as z": ("from PACKAGE.leaf import one as z", "pass", "z()", [LEAF]),
    "import x.y": ("import PACKAGE.leaf", "pass", "PACKAGE.leaf.one()", [LEAF]),
    "import x.y as z": ("import PACKAGE.leaf as z", "pass", "z.one()", [LEAF]),
    "through one package": ("from PACKAGE.hub import handed_on", "pass", "handed_on()", [LEAF]),
    "through two packages": (
        "from PACKAGE import handed_on",
        "pass",
        "handed_on()",
        [
            LEAF,
            ("hub/__init__.py", "import one as handed_on", "import two as handed_on"),
        ],
    ),
    "nested twice": (
        "from PACKAGE.hub import deep",
        "pass",
        "deep()",
        [
            BOTTOM,
            LEAF,
            (
                "hub/inner/__init__.py",
                "from .lower.bottom import deep",
                "from ...leaf import two as deep",
            ),
        ],
    ),
    "a renamed re-export": (
        "from PACKAGE.hub import renamed",
        "pass",
        "renamed()",
        [
            BOTTOM,
            ("hub/__init__.py", "deep as renamed", "starred as renamed"),
        ],
    ),
    "a star import in a package": (
        "from PACKAGE.hub.inner import starred",
        "pass",
        "starred()",
        [
            ("hub/inner/core.py", "return two()", "return two() + 1"),
            ("leaf.py", "return 2", "return 3"),
        ],
    ),
    "a star import of the cell": (
        "from PACKAGE.hub import *",
        "pass",
        "tools.tool() + deep()",
        [
            ("hub/inner/core.py", "return 5", "return 6"),
            BOTTOM,
        ],
    ),
    "from . import mod": (
        "from .hub import tools",
        "pass",
        "tools.tool()",
        [
            ("hub/tools.py", "return constant()", "return -constant()"),
            ("hub/inner/core.py", "return 5", "return 6"),
        ],
    ),
    "lazily, inside of the function": ("", "from PACKAGE.hub import deep", "deep()", [BOTTOM]),
    "lazily, by import_module": (
        "from importlib import import_module",
        "m = import_module('PACKAGE.leaf')",
        "m.one()",
        [LEAF],
    ),
    "lazily, by a relative name": (
        "import importlib",
        "m = importlib.import_module('.leaf', __package__)",
        "m.one()",
        [
            LEAF,
        ],
    ),
    "lazily, by a name put together": (
        "import importlib",
        "m = importlib.import_module(f'PACKAGE.{\"leaf\"}')",
        "m.one()",
        [LEAF],
    ),
    "an alias of a package": (
        "import PACKAGE.hub as h",
        "pass",
        "h.tools.tool() + h.leafs.one()",
        [
            ("hub/inner/core.py", "return 5", "return 6"),
            LEAF,
        ],
    ),
    "from . import package": (
        "from . import hub",
        "pass",
        "hub.inner.lower.bottom.deep()",
        [BOTTOM, LEAF],
    ),
    "a package used as a value": (
        "from . import hub",
        "pass",
        "getattr(hub, 'de' + 'ep')()",
        [BOTTOM, LEAF],
    ),
    "a module's alias of a package": (
        "from .aliases import hub",
        "pass",
        "hub.tools.tool()",
        [
            ("hub/inner/core.py", "return 5", "return 6"),
        ],
    ),
    "a chain through a module": (
        "from . import aliases",
        "pass",
        "aliases.quick.slow()",
        [
            ("lazy/slow_code.py", "return 9", "return 8"),
            ("lazy/__init__.py", "== 'slow'", "!= 'quick'"),
        ],
    ),
    "a module's __getattr__": (
        "from PACKAGE.lazy import slow",
        "pass",
        "slow()",
        [
            ("lazy/slow_code.py", "return 9", "return 8"),
        ],
    ),
    "a package that acts when it is imported": (
        "from PACKAGE.acting.inside import scaled",
        "pass",
        "scaled()",
        [
            ("acting/__init__.py", "append(3)", "append(4)"),
        ],
    ),
}


class Desk:
    """The package on disk, a store, and a fresh import for every run, as a new process has it."""

    def __init__(self, folder, monkeypatch):
        self.folder, self.package = folder, f"users_own_{next(COUNT)}"
        monkeypatch.syspath_prepend(str(folder))
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        for name, text in TREE.items():
            self.write(name, text)

    def write(self, name, text):
        path = self.folder / self.package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("PACKAGE", self.package))

    def change(self, name, old, new):
        path = self.folder / self.package / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def compute(self):
        """The value of the cell, and whether it was computed."""
        for name in [m for m in sys.modules if m.split(".")[0] == self.package]:
            del sys.modules[name]
        importlib.invalidate_caches()
        forget()
        run = importlib.import_module(f"{self.package}.cell").run
        return compute(self.folder, run)


def compute(folder, run):
    paper = replace(
        toy.PAPER,
        experiments=(Experiment("x", run, lambda p: [{"seed": 0}]),),
        figures=(),
        claims=(),
    )
    runner = Runner(Store(folder / "store"), console=Console(stderr=True, width=300))
    (row,) = runner.run(paper, paper.preset("smoke"), ["x"])["x"]
    return float(row["value"]), runner.computed == 1


@pytest.fixture
def desk(tmp_path, monkeypatch):
    yield Desk(tmp_path, monkeypatch)
    forget()


@pytest.mark.parametrize("way", WAYS)
def test_changed_code_is_computed_again_however_it_is_reached(desk, way):
    top, inside, value, changes = WAYS[way]
    desk.write("cell.py", CELL.format(top=top, inside=inside, value=value))
    before, first = desk.compute()
    assert first and desk.compute() == (before, False)
    for change in changes:
        desk.change(*change)
        now, again = desk.compute()
        assert again, f"{change} was not seen"
        assert desk.compute() == (now, False)
    desk.change("alone.py", "return 0", "return 1")
    if way == "lazily, by a name put together":
        return  # it may be any module of the package
    assert desk.compute() == (now, False), "a module that is not reached made the result stale"


def test_the_changes_above_change_what_is_computed(desk):
    # Otherwise "computed again" would be asked for changes that do nothing.
    for top, inside, value, changes in WAYS.values():
        for name, text in TREE.items():
            desk.write(name, text)
        desk.write("cell.py", CELL.format(top=top, inside=inside, value=value))
        before, _ = desk.compute()
        if "__getattr__" not in top and changes[-1][0] != "lazy/__init__.py":
            desk.change(*changes[-1])
            assert desk.compute()[0] != before


@pytest.mark.parametrize(
    "name", ["cell.py", "leaf.py", "hub/__init__.py", "hub/inner/__init__.py", "hub/tools.py"]
)
def test_words_and_formatting_do_not_count(desk, name):
    desk.write(
        "cell.py",
        CELL.format(top="from PACKAGE.hub import deep, tools", inside="pass", value="deep()"),
    )
    assert desk.compute()[1]
    path = desk.folder / desk.package / name
    lines = path.read_text().splitlines()
    shown = [f"{line}  # a remark" for line in lines]
    path.write_text('"""What this is."""\n\n\n# more\n' + "\n".join(shown) + "\n\n\n")
    assert not desk.compute()[1]
    path.write_text(
        path.read_text().replace("def run(seed):", 'def run(\n    seed,\n):\n    """Says."""\n')
    )
    assert not desk.compute()[1]


def test_a_version_of_python_reads_the_same_code():
    # The digest of a text with f-strings, generics, matches and numbers, written down once: 3.11 to
    # 3.13 must agree.
    code = textwrap.dedent('''
        import a.b as c
        def f(x: int, /, *y, k=1e-3, **z) -> list[int]:
            """Words."""
            match x:
                case {"k": [1, *r], **m} if r: return f"a{x!r:>{k}}b" "c" f"{x=}"
                case _: return [i async for i in y]
        class K(c.D, metaclass=type): n: int = 0x10; b = b"\\0"; j = 2j
    ''')
    assert hashlib.sha256(speech(ast.parse(code))).hexdigest()[:16] == "ca911c25de022ed1"


def notebook(text, **names):
    """Functions as a notebook defines them: in `__main__`, with their text known to `inspect`."""
    import linecache

    file = f"<cell {next(COUNT)}>"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    scope = {"__name__": "__main__", "np": np, **names}
    exec(compile(text, file, "exec"), scope)
    return scope


def test_a_function_of_a_notebook_counts_by_its_text_and_by_what_it_mentions(tmp_path, monkeypatch):
    main = types.ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", main)
    forget()
    helper = "def helper(x):\n    return x + SHIFT\n\n\n"
    text = "def run(seed):\n    return {'value': np.float64(helper(2))}\n"
    value = lambda t, **n: compute(tmp_path, notebook(t, **n)["run"])  # noqa: E731
    assert value(helper + text, SHIFT=1) == (3.0, True)
    assert value(helper + text, SHIFT=1) == (3.0, False)
    assert value(helper + "# a remark\n" + text, SHIFT=1) == (3.0, False)
    assert value(helper + text, SHIFT=2) == (4.0, True)
    assert value(helper.replace("x +", "x -") + text, SHIFT=2) == (0.0, True)
    assert value(helper + text, SHIFT=np.arange(3.0)[1]) == (3.0, True)
    with pytest.raises(
        InputError, match="the global SHIFT is a object, whose changes would go unseen"
    ):
        value(helper + text, SHIFT=object())


def test_a_function_without_text_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "__main__", types.ModuleType("__main__"))
    forget()
    scope = {"__name__": "__main__"}
    exec("def run(seed):\n    return {}\n", scope)
    with pytest.raises(InputError, match="the code of 'run' cannot be found"):
        compute(tmp_path, scope["run"])


def test_what_a_partial_or_a_factory_binds_counts():
    from functools import partial

    def make(scale):
        def run(seed):
            return {"value": scale}

        return run

    assert fingerprint(make(1)) == fingerprint(make(1)) != fingerprint(make(2))
    assert (
        fingerprint(partial(toy.square, 1))
        == fingerprint(partial(toy.square, 1))
        != fingerprint(partial(toy.square, 2))
    )
    assert fingerprint(toy.square) == fingerprint("toy")


def test_a_file_that_changes_under_a_running_process_is_refused(desk):
    desk.write("cell.py", CELL.format(top="from .leaf import one", inside="pass", value="one()"))
    desk.compute()
    run = sys.modules[f"{desk.package}.cell"].run
    assert compute(desk.folder, run)[1] is False
    desk.change("leaf.py", "def two", "# a remark\ndef two")
    assert compute(desk.folder, run)[1] is False
    desk.change(*LEAF)
    with pytest.raises(InputError, match=r"leaf\.py has changed since this process read it"):
        compute(desk.folder, run)
