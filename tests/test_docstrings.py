"""Docstrings hold the template of CONTRIBUTING.md, and the examples in them run.

Which packages and functions are asked for what is listed in `docstring_lists.py`.
"""

import ast
import dataclasses
import doctest
import importlib
import inspect
import pkgutil
import re
import sys
from functools import lru_cache
from pathlib import Path
from types import ModuleType

import pytest
from docstring_lists import COVERED, LONG, SENTENCES, THEORY, WITH_EXAMPLE

ROOT = Path(__file__).parents[1]
SECTIONS = ("Args", "Returns", "Raises", "Source", "Examples", "Attributes", "Yields")


# ------------------------------------------------------------------------------ what is looked at


def exports(name: str) -> dict[str, object]:
    """The public functions and classes of a covered package or module, by name."""
    module = importlib.import_module(name)
    if hasattr(module, "__all__") and hasattr(module, "__path__"):
        names = list(module.__all__)
    else:
        defined = ast.parse(inspect.getsource(module)).body
        names = [n.name for n in defined if isinstance(n, (ast.FunctionDef, ast.ClassDef))]
    found = {n: getattr(module, n) for n in names if not n.startswith("_")}
    return {n: v for n, v in found.items() if inspect.isfunction(v) or inspect.isclass(v)}


def modules(name: str) -> list[str]:
    """A covered module, or a covered package and its modules that are not packages of their own."""
    module = importlib.import_module(name)
    inside = pkgutil.iter_modules(getattr(module, "__path__", ()), name + ".")
    return [name, *(m.name for m in inside if not m.ispkg)]


def source_of(name: str) -> Path:
    """The file of a module, found without importing it."""
    base = ROOT.joinpath(*name.split("."))
    return base / "__init__.py" if base.is_dir() else base.with_suffix(".py")


ALL_MODULES = sorted({m for name in COVERED + SENTENCES for m in modules(name)})
WITH_DOCTESTS = [
    pytest.param(name, marks=pytest.mark.long if name in LONG else ())
    for name in ALL_MODULES
    if ">>> " in source_of(name).read_text()
]


# ----------------------------------------------------------------------------------- the template


def sections(doc: str) -> dict[str, str]:
    """Title to text of a docstring's sections; the text before the first is under ""."""
    parts = re.split(rf"^({'|'.join(SECTIONS)}):\n", inspect.cleandoc(doc) + "\n", flags=re.M)
    return {"": parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}


def entries(section: str) -> set[str]:
    """The names that open the entries of a section: `name:` or `one, two:`."""
    found = re.findall(r"^    ([*\w][\w, *]*?)(?: \(.*?\))?:", section, flags=re.M)
    return {name.strip(" *") for line in found for name in line.split(",")}


@lru_cache
def refusals(module: ModuleType) -> dict[str, bool]:
    """Of every function (or class and method, as "Class.method"): does it refuse bad input?

    It does if it raises an error of the package or calls a check, itself or through functions of
    its own module.
    """
    tree = ast.parse(inspect.getsource(module))
    bodies: dict[str, ast.AST] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            bodies[node.name] = node
        elif isinstance(node, ast.ClassDef):
            bodies |= {
                f"{node.name}.{m.name}": m for m in node.body if isinstance(m, ast.FunctionDef)
            }
    found = {name: _refuses(node) for name, node in bodies.items()}
    called = {
        name: {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
        for name, node in bodies.items()
    }
    while True:
        more = {n for n, names in called.items() if not found[n] and any(map(found.get, names))}
        if not more:
            return found
        found |= dict.fromkeys(more, True)


def _refuses(node: ast.AST) -> bool:
    for n in ast.walk(node):
        raised = ast.unparse(n.exc).split("(")[0] if isinstance(n, ast.Raise) and n.exc else ""
        if raised.endswith(("InputError", "DataError", "DivergenceError")):
            return True
        if isinstance(n, ast.Call):
            called = ast.unparse(n.func)
            if called.startswith(("checks.", "require_")) and called != "checks.shown":
                return True
    return False


def missing(package: str, name: str) -> list[str]:
    """What an export's docstring lacks against the template."""
    thing = exports(package)[name]
    doc = thing.__doc__ or ""
    if not doc.strip() or (dataclasses.is_dataclass(thing) and doc.startswith(f"{name}(")):
        return ["a docstring"]
    lacks = []
    lines, parts = inspect.cleandoc(doc).split("\n"), sections(doc)
    if not lines[0].endswith(".") or not (lines[0][0].isupper() or not lines[0][0].isalpha()):
        lacks.append("a first line that is one sentence")
    if len(lines) > 1 and lines[1]:
        lacks.append("a first line of its own")
    module = sys.modules[thing.__module__]
    if inspect.isclass(thing):
        lacks += _lacks_of_class(thing, parts, module)
    else:
        signature = inspect.signature(thing)
        absent = {p.strip("*") for p in signature.parameters} - entries(parts.get("Args", ""))
        lacks += [f"argument {p}" for p in sorted(absent)]
        if "Returns" not in parts and signature.return_annotation not in (None, "None"):
            lacks.append("Returns")
        if "Raises" not in parts and refusals(module)[thing.__name__]:
            lacks.append("Raises")
    if package in THEORY and "Source" not in parts and "Source" not in (module.__doc__ or ""):
        lacks.append("Source")
    return lacks


def _lacks_of_class(cls: type, parts: dict[str, str], module: ModuleType) -> list[str]:
    said = entries(parts.get("Args", "")) | entries(parts.get("Attributes", ""))
    own = vars(cls)
    if dataclasses.is_dataclass(cls):
        names = [f.name for f in dataclasses.fields(cls)]
        inherited = {n for base in cls.__mro__[1:] for n in vars(base).get("__annotations__", {})}
        names = [n for n in names if n not in inherited]
    elif hasattr(cls, "_fields"):
        names = list(cls._fields)
    elif "__init__" in own and not getattr(cls, "_is_protocol", False):
        names = [p for p in inspect.signature(own["__init__"]).parameters if p != "self"]
    else:
        names = []
    lacks = [f"field or argument {n}" for n in names if n not in said and not n.startswith("_")]
    made = ("__init__", "__post_init__", "validate")
    if "Raises" not in parts and any(
        refusals(module).get(f"{cls.__name__}.{m}", False) for m in made
    ):
        lacks.append("Raises")
    return lacks


@pytest.mark.parametrize("package", COVERED)
def test_every_export_of_a_package_holds_the_template(package):
    names = exports(package)
    lacks = {name: absent for name in names if (absent := missing(package, name))}
    count = sum(map(len, lacks.values()))
    text = "\n".join(f"  {name}: {', '.join(absent)}" for name, absent in lacks.items())
    assert names and count == 0, f"{package}: {count} missing\n{text}"


@pytest.mark.parametrize("place", WITH_EXAMPLE)
def test_what_is_used_most_shows_an_example(place):
    package, _, path = place.partition(" ")
    thing = importlib.import_module(package)
    for part in path.split("."):
        thing = getattr(thing, part)
    assert ">>> " in sections(thing.__doc__).get("Examples", ""), place


@pytest.mark.parametrize("name", ALL_MODULES)
def test_every_public_function_and_method_has_a_sentence(name):
    bare = []

    def look(body: list[ast.stmt], before: str) -> None:
        for node in body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
                if not ast.get_docstring(node):
                    bare.append(before + node.name)
                if isinstance(node, ast.ClassDef):
                    look(node.body, before + node.name + ".")

    tree = ast.parse(source_of(name).read_text())
    look(tree.body, "")
    assert ast.get_docstring(tree) and not bare, bare


@pytest.mark.long
@pytest.mark.parametrize("name", WITH_DOCTESTS)
def test_the_examples_of_a_module_run(name, tmp_path, monkeypatch):
    monkeypatch.setenv("THEORYLAB_DATA", str(tmp_path))  # nothing fetched: as for a stranger
    module = importlib.import_module(name)
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    failed, tried = doctest.testmod(module, optionflags=flags)
    assert tried > 0 and failed == 0


def test_the_example_in_the_contributors_guide_holds_the_template():
    guide = (ROOT / "CONTRIBUTING.md").read_text()
    scope: dict[str, object] = {}
    exec(re.search(r"```python\n(def effective_rank.*?)```", guide, flags=re.S)[1], scope)
    doc = scope["effective_rank"].__doc__
    assert set(sections(doc)) == {"", "Args", "Returns", "Raises", "Source", "Examples"}
    assert entries(sections(doc)["Args"]) == {"eigenvalues", "alpha"}
    runner = doctest.DocTestRunner(verbose=False)
    runner.run(doctest.DocTestParser().get_doctest(doc, scope, "guide", None, None))
    assert runner.tries == 1 and runner.failures == 0


def test_the_template_refuses_a_docstring_that_lacks_its_parts():
    """The lint itself: each lack is found in a function made to have it."""
    module = ModuleType("theorylab_lint_probe")
    text = (
        "from theorylab import checks\n"
        "def bare(n: int) -> int:\n"
        "    return n\n"
        "def poor(n: int) -> int:\n"
        '    """Takes a number\n'
        "    and gives it back\n"
        '    """\n'
        '    return checks.count("n", n)\n'
    )
    path = ROOT / "tests" / "_never_written.py"
    import linecache

    linecache.cache[str(path)] = len(text), None, text.splitlines(True), str(path)
    module.__file__ = str(path)
    exec(compile(text, str(path), "exec"), vars(module))
    sys.modules[module.__name__] = module
    try:
        assert missing(module.__name__, "bare") == ["a docstring"]
        assert missing(module.__name__, "poor") == [
            "a first line that is one sentence",
            "a first line of its own",
            "argument n",
            "Returns",
            "Raises",
        ]
    finally:
        del sys.modules[module.__name__]
