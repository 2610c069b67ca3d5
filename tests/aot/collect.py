"""The programs of the method packages: what the examples of their documentation, and the calls of
`calls`, compile.

A kernel is what a method package gives to `jax.jit`. All are found by reading the code, so that one
which nothing here calls is missed by name. Needs a process of its own: see `Recorder.install`.
"""

import ast
import contextlib
import doctest
import importlib
import inspect
import io
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).parents[2]
PACKAGES = (
    *("collective", "federated", "matching", "mixtures", "online", "privacy", "robustness"),
    *("safety", "shift", "unlearning", "ntk", "ridge", "rmt", "nets"),
)


def modules() -> Iterator[ModuleType]:
    """Every module of the method packages."""
    for package in PACKAGES:
        found = importlib.import_module(f"theorylab.{package}")
        yield found
        for info in pkgutil.walk_packages(found.__path__, f"{found.__name__}."):
            with contextlib.suppress(ImportError):  # of an extra that is not installed
                yield importlib.import_module(info.name)


def public() -> dict[str, Any]:
    """What the packages and their sub-packages export, by its name."""
    found = {}
    for module in modules():
        if hasattr(module, "__path__"):
            for name in getattr(module, "__all__", ()):
                with contextlib.suppress(ImportError):  # of an extra that is not installed
                    found[f"{module.__name__.removeprefix('theorylab.')}.{name}"] = getattr(
                        module, name
                    )
    return found


def run_example(name: str, thing: Any) -> str | None:
    """Run the examples of a docstring; what went wrong, or None."""
    module = inspect.getmodule(thing)
    with contextlib.suppress(Exception):
        for test in doctest.DocTestFinder(recurse=False).find(thing, name, module):
            scope = dict(vars(module)) if module else {}
            for example in test.examples:
                try:
                    with contextlib.redirect_stdout(io.StringIO()):
                        exec(compile(example.source, name, "exec"), scope)
                except Exception as error:
                    return f"{type(error).__name__}: {error}"
    return None


def kernels() -> dict[str, list[tuple[str, int, int]]]:
    """Every kernel of the method packages by its name: files, first and last lines of its code.

    The name is that of the module and of the function, class or variable that holds `jax.jit`, or a
    shorthand for it (`_compile = partial(jax.jit, ...)`).
    """
    found: dict[str, list[tuple[str, int, int]]] = {}
    for package in PACKAGES:
        for path in sorted((ROOT / "theorylab" / package).rglob("*.py")):
            module = path.relative_to(ROOT / "theorylab").with_suffix("").as_posix()
            tree = ast.parse(path.read_text())
            short = {
                node.targets[0].id
                for node in tree.body
                if isinstance(node, ast.Assign) and _is_shorthand(node.value)
            }
            for node in tree.body:
                name = _name(node)
                if name in short or not any(_makes(inner, short) for inner in ast.walk(node)):
                    continue
                first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
                place = str(path.relative_to(ROOT)), first, node.end_lineno
                found.setdefault(f"{module.replace('/', '.')}:{name}", []).append(place)
    return found


def _is_shorthand(value: ast.AST) -> bool:
    return isinstance(value, ast.Call) and ast.unparse(value).startswith("partial(jax.jit")


def _makes(node: ast.AST, short: set[str]) -> bool:
    attribute = isinstance(node, ast.Attribute) and ast.unparse(node) == "jax.jit"
    return attribute or (isinstance(node, ast.Name) and node.id in short)


def _name(node: ast.AST) -> str:
    if isinstance(node, ast.Assign):
        return ast.unparse(node.targets[0])
    return getattr(node, "name", "")


def reached(recorder: Any) -> set[str]:
    """The kernels that were called."""
    used = {
        (str(Path(r.place[0]).relative_to(ROOT)), r.place[1])
        for r in recorder.made
        if r.used and Path(r.place[0]).is_relative_to(ROOT)
    }
    return {
        name
        for name, places in kernels().items()
        if any(
            path == p and first <= line <= last for path, first, last in places for p, line in used
        )
    }
