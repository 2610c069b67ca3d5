"""Which code a result depends on: a module, and every theorylab module that it imports, directly or not.

Found by reading the source, so that lazily imported modules count and nothing has to be imported. Parent packages
count only when something is imported from them by name.
"""

import ast
import hashlib
from functools import cache
from pathlib import Path

import theorylab

ROOT = Path(theorylab.__file__).parent


def _file(module: str) -> Path | None:
    path = ROOT.joinpath(*module.split(".")[1:])
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def _imports(module: str, path: Path) -> set[str]:
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package.rsplit(".", node.level - 1)[0] if node.level else ""
            source = ".".join(p for p in (base, node.module) if p)
            found |= {f"{source}.{alias.name}" for alias in node.names} | {source}
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
def fingerprint(module: str) -> str:
    """Hex digest (16 characters) of the source of `closure(module)`; a module outside theorylab counts by its name."""
    digest = hashlib.sha256(module.encode())
    for name in sorted(closure(module)):
        path = _file(name)
        assert path is not None
        digest.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
