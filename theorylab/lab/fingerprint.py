"""Which code a result depends on: a module, and every theorylab module that it imports, directly or not.

Found by reading the source, so that lazily imported modules count and nothing has to be imported. A package that hands
on what its modules define counts by the modules whose names are used, so that a module added to it changes nothing for
those who do not use it. Docstrings do not count.
"""

import ast
import hashlib
from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import theorylab

ROOT = Path(theorylab.__file__).parent


@cache
def _file(module: str) -> Path | None:
    path = ROOT.joinpath(*module.split(".")[1:])
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


@cache
def _nodes(path: Path) -> tuple[ast.AST, ...]:
    """Every node of a file's syntax tree."""
    return tuple(ast.walk(ast.parse(path.read_text())))


@cache
def _from_imports(module: str, path: Path) -> list[tuple[str, str, str]]:
    """(module, name, name here) of each `from module import name` in a file."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found = []
    for node in _nodes(path):
        if isinstance(node, ast.ImportFrom):
            base = package.rsplit(".", node.level - 1)[0] if node.level else ""
            source = ".".join(p for p in (base, node.module) if p)
            found += [(source, alias.name, alias.asname or alias.name) for alias in node.names]
    return found


@cache
def _home(source: str, name: str) -> str:
    """The module that defines `name` of `source`: itself a module, handed on by a package, or `source`."""
    if _file(f"{source}.{name}"):
        return f"{source}.{name}"
    path = _file(source)
    if path is not None and path.name == "__init__.py":
        for origin, original, here in _from_imports(source, path):
            if here == name and origin != source and _file(origin):
                return _home(origin, original)
    return source


@cache
def _uses(path: Path) -> Mapping[str, tuple[int, list[str]]]:
    """How often a file mentions each name, and the attributes that it takes from it."""
    found: defaultdict[str, list[Any]] = defaultdict(lambda: [0, []])
    for node in _nodes(path):
        if isinstance(node, ast.Name):
            found[node.id][0] += 1
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found[node.value.id][1].append(node.attr)
    return {name: (count, attributes) for name, (count, attributes) in found.items()}


def _attributes(path: Path, alias: str) -> set[str] | None:
    """Names that a file takes from the module it calls `alias`; None when it uses the module in another way."""
    uses, taken = _uses(path).get(alias, (0, []))
    return set(taken) if uses == len(taken) else None


@cache
def _imports(module: str, path: Path) -> set[str]:
    found = set()
    for node in _nodes(path):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    for source, name, here in _from_imports(module, path):
        home = _home(source, name)
        file = _file(home)
        names = _attributes(path, here) if file and file.name == "__init__.py" and path.name != "__init__.py" else None
        found |= {_home(home, attribute) for attribute in names} if names else {home}
    return {name for name in found if name.startswith("theorylab.") and _file(name)}


@cache
def closure(module: str) -> frozenset[str]:
    """Names of `module` and of all theorylab modules that it reaches by imports."""
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = _file(name)
        if name in seen or path is None:
            continue
        seen.add(name)
        waiting += _imports(name, path)
    return frozenset(seen)


@cache
def _code(path: Path) -> bytes:
    """A file's lines without its docstrings."""
    lines = path.read_text().splitlines()
    left_out: set[int] = set()
    for node in _nodes(path):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(
            node
        ):
            left_out |= set(range(node.body[0].lineno - 1, node.body[0].end_lineno or 0))
    return "\n".join(line for i, line in enumerate(lines) if i not in left_out).encode()


@cache
def fingerprint(module: str) -> str:
    """Hex digest (16 characters) of the code of `closure(module)`; a module outside theorylab counts by its name."""
    digest = hashlib.sha256(module.encode())
    for name in sorted(closure(module)):
        path = _file(name)
        assert path is not None
        digest.update(name.encode() + b"\0" + _code(path) + b"\0")
    return digest.hexdigest()[:16]
