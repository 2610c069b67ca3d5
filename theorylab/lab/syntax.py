"""Reads Python source without importing it.

It finds where a module lies, what it binds and mentions, and what its code says.

Comments, blank lines, formatting and docstrings are no part of what a file says; the text it is
reduced to is the same in every version of Python.
"""

import ast
import site
import sys
import sysconfig
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path

import theorylab
from theorylab.errors import InputError

ROOT = Path(theorylab.__file__).parent
Chain = tuple[str, ...]
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


@dataclass(frozen=True)
class Reference:
    """A file's use of `module.chain[0].chain[1]...`.

    With `below`, it stands for every module under that name.
    """

    module: str
    chain: Chain = ()
    below: bool = False


@dataclass(frozen=True)
class Binding:
    """How a module comes by one of its names.

    `origin` is what an import takes it from, and None for its own.
    """

    origin: Reference | None


@cache
def _installed() -> tuple[Path, ...]:
    """Folders of the packages that were installed.

    Their versions are told by the provenance and not by fingerprints.
    """
    named = sysconfig.get_paths()
    found = [
        named[k] for k in ("stdlib", "platstdlib", "purelib", "platlib")
    ] + site.getsitepackages()
    return tuple(Path(p).resolve() for p in [*found, site.getusersitepackages()])


@cache
def _top(name: str, own: bool) -> tuple[Path, ...]:
    """Where a top-level module outside of theorylab lies: folders of a package, or one file.

    Empty when it is not ours.

    own: count it even if it lies among the installed packages.
    """
    if name == "__main__":
        file = getattr(sys.modules[name], "__file__", None)
        return (Path(file).resolve(),) if file else ()
    try:
        loaded = sys.modules.get(name)
        spec = getattr(loaded, "__spec__", None) or PathFinder.find_spec(name)
    except (ValueError, ImportError):
        return ()
    if spec is None:
        return ()
    places = list(spec.submodule_search_locations or ()) or ([spec.origin] if spec.origin else [])
    found = tuple(Path(p).resolve() for p in places if Path(p).exists())
    alien = any(
        f.is_relative_to(i) or "site-packages" in f.parts for f in found for i in _installed()
    )
    return () if alien and not own else found


@cache
def file_of(module: str, own: str = "") -> Path | None:
    """The source of a module that counts, or None.

    A module counts that is of theorylab, of the top-level package `own`, or not among the
    installed.
    """
    top, *rest = module.split(".")
    for base in (ROOT,) if top == "theorylab" else _top(top, top == own):
        if base.is_file():
            return base if not rest and base.suffix in (".py", "") else None
        path = base.joinpath(*rest)
        for candidate in (path / "__init__.py", path.with_suffix(".py")):
            if candidate.is_file():
                return candidate
    return None


def is_package(path: Path) -> bool:
    """Whether a source file is that of a package."""
    return path.name == "__init__.py"


@cache
def modules_below(module: str, own: str = "") -> tuple[str, ...]:
    """All modules of a package, at every depth."""
    path = file_of(module, own)
    if path is None or not is_package(path):
        return () if path is None else (module,)
    found = []
    for file in sorted(path.parent.rglob("*.py")):
        parts = file.relative_to(path.parent).with_suffix("").parts
        found.append(".".join([module, *(parts[:-1] if parts[-1] == "__init__" else parts)]))
    return tuple(found)


@cache
def stamp(path: Path) -> tuple[int, int]:
    """Time and size of a file when it was read."""
    found = path.stat()
    return found.st_mtime_ns, found.st_size


@cache
def tree(path: Path) -> ast.Module:
    """The syntax tree of a file. Raises `InputError` when it cannot be read."""
    try:
        stamp(path)
        return ast.parse(path.read_bytes())
    except (SyntaxError, ValueError) as error:
        raise InputError(
            f"{path} is not Python that can be read ({error}); results depend on it: mend it"
        ) from None
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}); results depend on it: make it readable"
        ) from None


def _package(module: str, path: Path) -> str:
    return module if is_package(path) else module.rpartition(".")[0]


def _source(node: ast.ImportFrom, module: str, path: Path) -> str:
    package = _package(module, path)
    if not node.level:
        return node.module or ""
    base = package.rsplit(".", node.level - 1)[0]
    return ".".join(p for p in (base, node.module) if p)


def _scope(nodes: list[ast.stmt]) -> Iterator[ast.AST]:
    """Every node that runs when the module is imported: not the bodies of functions and classes."""
    waiting: list[ast.AST] = list(nodes)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, _SCOPES):
            waiting += ast.iter_child_nodes(node)


@cache
def bindings(module: str, path: Path) -> tuple[Mapping[str, list[Binding]], tuple[str, ...]]:  # noqa: C901
    """The ways in which a module binds each of its names, and the modules of its star imports.

    Only names at its top level are looked at.
    """
    found: defaultdict[str, list[Binding]] = defaultdict(list)
    stars = []
    for node in _scope(tree(path).body):
        if isinstance(node, ast.ImportFrom):
            source = _source(node, module, path)
            for alias in node.names:
                if alias.name == "*":
                    stars.append(source)
                else:
                    found[alias.asname or alias.name].append(
                        Binding(Reference(source, (alias.name,)))
                    )
        elif isinstance(node, ast.Import):
            for alias in node.names:
                here, there = (
                    (alias.asname, alias.name) if alias.asname else (alias.name.split(".")[0],) * 2
                )
                found[here].append(Binding(Reference(there)))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found[node.name].append(Binding(None))
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store | ast.Del):
            found[node.id].append(Binding(None))
    for node in ast.walk(tree(path)):
        for name in node.names if isinstance(node, ast.Global) else ():
            found[name].append(Binding(None))
    return dict(found), tuple(stars)


@cache
def acts(path: Path) -> bool:
    """Whether importing a file does more than bind names: a call, a changed setting, a branch."""
    quiet = (
        ast.Import,
        ast.ImportFrom,
        ast.FunctionDef,
        ast.AsyncFunctionDef,
        ast.ClassDef,
        ast.Pass,
    )
    for node in tree(path).body:
        constant = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        targets = getattr(node, "targets", [node.target] if isinstance(node, ast.AnnAssign) else [])
        flat = [e for t in targets for e in (t.elts if isinstance(t, ast.Tuple) else [t])]
        named = bool(flat) and all(isinstance(t, ast.Name) for t in flat)
        if not (isinstance(node, quiet) or constant or named):
            return True
    return False


@cache
def _chains(path: Path) -> Mapping[str, frozenset[Chain]]:
    """The chains of attributes that a file takes from each name.

    A chain is `()` where the name is used in another way.
    """
    found: defaultdict[str, set[Chain]] = defaultdict(set)
    inner: set[int] = set()
    for node in ast.walk(tree(path)):  # a chain comes before its parts
        chain: list[str] = []
        base: ast.AST = node
        while isinstance(base, ast.Attribute):
            chain.append(base.attr)
            base = base.value
        if isinstance(base, ast.Name) and id(base) not in inner:
            inner.add(id(base))
            found[base.id].add(tuple(reversed(chain)))
    return {name: frozenset(chains) for name, chains in found.items()}


@cache
def references(module: str, path: Path) -> frozenset[Reference]:
    """Everything that a file imports, with what it takes from it.

    An import counts at the top and inside of a function.
    """
    used = _chains(path)
    found: set[Reference] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                here = alias.asname or alias.name.split(".")[0]
                whole = Reference(alias.name)
                chains = used.get(here, frozenset([()]))
                base = alias.name if alias.asname else here
                found |= {Reference(base, c) if c else whole for c in chains}
        elif isinstance(node, ast.ImportFrom):
            source = _source(node, module, path)
            for alias in node.names:
                if alias.name == "*":
                    found.add(Reference(source))
                    continue
                chains = used.get(alias.asname or alias.name, frozenset([()]))
                found |= {Reference(source, (alias.name, *c)) for c in chains}
        elif isinstance(node, ast.Call):
            found |= _dynamic(node, module, path)
    return frozenset(found)


def _dynamic(call: ast.Call, module: str, path: Path) -> set[Reference]:
    """What `import_module(...)` and `__import__(...)` bring.

    That is the module named, or all that its name may stand for.
    """
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name not in ("import_module", "__import__") or not call.args:
        return set()
    wanted = call.args[0]
    if isinstance(wanted, ast.Constant) and isinstance(wanted.value, str):
        text = wanted.value
        dots = len(text) - len(text.lstrip("."))
        base = _package(module, path).rsplit(".", dots - 1)[0] if dots else ""
        return {Reference(".".join(p for p in (base, text.lstrip(".")) if p))}
    prefix = ""
    if isinstance(wanted, ast.JoinedStr) and isinstance(wanted.values[0], ast.Constant):
        prefix = str(wanted.values[0].value).rpartition(".")[0]
    return {Reference(prefix or module.split(".")[0], below=True)}


@cache
def said(path: Path) -> bytes:
    """What a file's code says, without comments, formatting and docstrings."""
    return speech(tree(path))


def speech(node: ast.AST) -> bytes:
    """A syntax tree as bytes.

    They depend neither on the version of Python nor on where in a file the code stands.
    """
    return "".join(_write(node)).encode(errors="surrogatepass")


def _write(value: object) -> Iterator[str]:
    if isinstance(value, ast.AST):
        yield f"({type(value).__name__}"
        for name, item in ast.iter_fields(value):
            # Contexts follow from their place, `kind` is how a text is quoted; an empty field may
            # be of a newer Python.
            empty = (item is None and not isinstance(value, ast.Constant)) or item == []
            if name in ("ctx", "kind", "type_comment", "type_ignores") or empty:
                continue
            if name == "body" and isinstance(item, list):
                item = _undocumented(value, item)
            elif name == "values" and isinstance(value, ast.JoinedStr):
                item = list(_joined(item))
            yield f" {name}="
            yield from _write(item)
        yield ")"
    elif isinstance(value, list):
        for item in value:
            yield "["
            yield from _write(item)
            yield "]"
    else:
        yield f"{type(value).__name__}:{value!r}"


def _undocumented(node: ast.AST, body: list[ast.stmt]) -> list[ast.stmt]:
    if not body or not isinstance(
        node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    ):
        return body
    first = body[0]
    text = (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    )
    return body[1:] if text else body


def _joined(values: list[ast.expr]) -> Iterator[ast.expr]:
    """The parts of an f-string, with neighbouring constants as one.

    Versions of Python cut them differently.
    """
    text = ""
    for part in values:
        if isinstance(part, ast.Constant):
            text += str(part.value)
            continue
        if text:
            yield ast.Constant(text)
        text = ""
        yield part
    if text:
        yield ast.Constant(text)
