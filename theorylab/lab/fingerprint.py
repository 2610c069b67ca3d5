"""Which code a result depends on: a module, and every module of ours that it reaches by imports.

Found by reading the source, so that lazily imported modules count and nothing has to be imported.
Ours are the modules of theorylab and, for an experiment defined elsewhere, those of its own
top-level package and all that are not installed packages. A package that hands on what its modules
define counts by the names that are used and the modules they come from, so that a module added to
it changes nothing for those who do not use it. A function of a notebook counts by its text and by
what it mentions. Comments, formatting and docstrings do not count; what a module does to another
one while it is imported as a bystander is not seen.
"""

import ast
import hashlib
import inspect
import json
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from theorylab.errors import InputError
from theorylab.lab.syntax import (
    Reference,
    acts,
    bindings,
    file_of,
    is_package,
    modules_below,
    references,
    said,
    speech,
    stamp,
)


class _Walk:
    """All that is reached from a module.

    These are modules that count whole, and the names that packages hand on.
    """

    def __init__(self, start: str):
        self.own = start.split(".")[0]
        self.modules: dict[str, Path] = {}
        self.links: set[str] = set()
        self._seen: set[Reference] = set()
        self._waiting = [Reference(start)]
        while self._waiting:
            self._follow(self._waiting.pop())

    def _whole(self, module: str, path: Path) -> None:
        if module not in self.modules:
            self.modules[module] = path
            self._waiting += references(module, path)
            parts = module.split(".")
            for n in range(1, len(parts)):  # these run first
                above = file_of(".".join(parts[:n]), self.own)
                if above is not None and acts(above):
                    self._whole(".".join(parts[:n]), above)

    def _follow(self, ref: Reference) -> None:
        if ref in self._seen:
            return
        self._seen.add(ref)
        if ref.below:
            self._waiting += [Reference(m) for m in modules_below(ref.module, self.own)]
            return
        path = file_of(ref.module, self.own)
        if path is None:  # not ours, or a folder without an __init__.py
            if ref.chain:
                self._waiting.append(Reference(f"{ref.module}.{ref.chain[0]}", ref.chain[1:]))
            return
        package = is_package(path)
        if not ref.chain or not package or acts(path):
            self._whole(ref.module, path)
        if ref.chain and not (package and _dunder(ref.chain[0])):
            handed = self._hand_on(ref.module, path, ref.chain[0], ref.chain[1:])
            if package and not handed:  # its own, or made by its __getattr__
                self._whole(ref.module, path)

    def _hand_on(self, module: str, path: Path, name: str, rest: tuple[str, ...]) -> bool:
        """Follow `name` of a module to where it comes from.

        Returns whether it comes from elsewhere, as far as can be told.
        """
        named, stars = bindings(module, path)
        elsewhere = False
        if is_package(path) and file_of(f"{module}.{name}", self.own):
            self._waiting.append(Reference(f"{module}.{name}", rest))
            elsewhere = True
        ways = [b.origin for b in named.get(name, ())]
        origins = (
            ways
            if name in named
            else []
            if elsewhere
            else [Reference(star, (name,)) for star in stars]
        )
        for origin in origins:
            if origin is not None:
                self.links.add(f"{module}:{name}={origin.module}:{'.'.join(origin.chain)}")
                self._waiting.append(Reference(origin.module, (*origin.chain, *rest)))
                elsewhere = True
        return elsewhere and None not in ways


def _dunder(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


@cache
def _walk(module: str) -> _Walk:
    return _Walk(module)


def closure(module: str) -> frozenset[str]:
    """Names of `module` and of all modules of ours that it reaches by imports."""
    return frozenset(_walk(module).modules)


def _hash(*parts: bytes | str) -> str:
    whole = hashlib.sha256()
    for part in parts:
        raw = part.encode(errors="surrogatepass") if isinstance(part, str) else part
        whole.update(len(raw).to_bytes(8, "big") + raw)
    return whole.hexdigest()[:16]


@cache
def _of_module(module: str) -> str:
    walk = _walk(module)
    code = [part for name, path in sorted(walk.modules.items()) for part in (name, said(path))]
    return _hash(module, *code, *sorted(walk.links))


def fingerprint(of: str | Callable[..., Any]) -> str:
    """Hex digest (16 characters) of the code that a module or a function depends on.

    A module that has no source counts by its name. Raises `InputError` for a function whose code
    cannot be told.
    """
    if isinstance(of, str):
        return _of_module(of)
    function, extra = _unwrap(of)
    module = _module_of(function)
    if file_of(module, module.split(".")[0]):
        return (
            _hash(_of_module(module), *extra, *_enclosed(function, strict=False))
            if extra or _cells(function)
            else (_of_module(module))
        )
    live = _Live()
    live.function(function)
    return _hash(*extra, *live.parts)


def module_digests(of: Callable[..., Any]) -> dict[str, str]:
    """A digest of the code of every module that a function depends on, by name.

    The script or notebook itself is left out.
    """
    module = _module_of(_unwrap(of)[0])
    reached = _walk(module).modules.items() if file_of(module, module.split(".")[0]) else ()
    return {name: _hash(said(path)) for name, path in reached if name != "__main__"}


def differing(expected: Mapping[str, str]) -> list[str]:
    """The modules whose code in this process is not what `module_digests` told, or is absent."""
    wrong = []
    for name, digest in expected.items():
        path = file_of(name, name.split(".")[0])
        if path is None or _hash(said(path)) != digest:
            wrong.append(name)
    return wrong


def require_unchanged(of: Callable[..., Any]) -> None:
    """Raise `InputError` if a file has changed since this process read it.

    What runs is then not what is written.
    """
    module = _module_of(_unwrap(of)[0])
    if file_of(module, module.split(".")[0]) is None:
        return
    for path in _walk(module).modules.values():
        then = stamp(path)
        try:
            now = path.stat()
        except OSError:
            now = None
        if now is None or (now.st_mtime_ns, now.st_size) != then:
            try:
                same = speech(ast.parse(path.read_bytes())) == said(path)
            except (OSError, SyntaxError, ValueError):
                same = False
            if not same:
                raise InputError(
                    f"{path} has changed since this process read it; start again (a notebook: its "
                    "kernel)"
                )


def _module_of(function: Any) -> str:
    module = getattr(function, "__module__", None) or type(function).__module__
    if module == "__main__":  # `python -m package.module` has a name of its own
        spec = getattr(sys.modules["__main__"], "__spec__", None)
        return (
            spec.name
            if spec is not None and file_of(spec.name, spec.name.split(".")[0])
            else module
        )
    return module


def _unwrap(function: Any) -> tuple[Any, list[str]]:
    """The function inside of partials and methods, and the values that those bind."""
    extra: list[str] = []
    while isinstance(function, partial | MethodType):
        if isinstance(function, MethodType):
            function = function.__func__
            continue
        bound = [*function.args, *sorted(function.keywords.items())]
        extra += [_value(v, f"an argument of partial({function.func!r})") for v in bound]
        function = function.func
    return function, extra


def _cells(function: Any) -> list[tuple[str, Any]]:
    """The names that a function takes from the functions around it, with their values."""
    code = getattr(function, "__code__", None)
    found = []
    for name, cell in zip(
        code.co_freevars if code else (), getattr(function, "__closure__", None) or (), strict=False
    ):
        try:
            found.append((name, cell.cell_contents))
        except ValueError:
            continue  # not bound yet
    return found


def _enclosed(function: Any, *, strict: bool) -> Iterator[str]:
    for name, value in _cells(function):
        if isinstance(value, FunctionType) and not strict:
            yield f"{name}={value.__module__}.{value.__qualname__}"
            continue
        try:
            yield f"{name}={_value(value, name)}"
        except InputError:
            if strict:
                raise
            yield f"{name}={type(value).__qualname__}"


def _value(value: Any, what: str) -> str:
    """A value as text that is the same for equal values.

    Raises `InputError` when it cannot be told.
    """
    if isinstance(value, np.ndarray | np.generic) and value.dtype != object:
        return f"{value.dtype.str}{value.shape}{_hash(np.ascontiguousarray(value).tobytes())}"
    if isinstance(value, tuple | list):
        return f"{type(value).__name__}({','.join(_value(v, what) for v in value)})"
    if isinstance(value, FunctionType | type):
        return f"{value.__qualname__}:{_mentioned(_module_of(value)) or fingerprint(value)}"
    if isinstance(value, ModuleType):
        return f"{value.__name__}:{_mentioned(value.__name__)}"
    try:
        return f"{type(value).__name__}:{json.dumps(value, sort_keys=True)}"
    except (TypeError, ValueError):
        kind = type(value).__name__
        raise InputError(
            f"{what} is a {kind}, whose changes would go unseen; hand it to the experiment in its "
            "cells, or in a file"
        ) from None


def _mentioned(module: str) -> str:
    """The code of a module that is used, or its name where it is installed.

    Empty for a notebook's own functions.
    """
    return _of_module(module) if file_of(module) else "" if module == "__main__" else module


class _Live:
    """The text of functions that no file holds, and of all that they mention."""

    def __init__(self) -> None:
        self.parts: list[bytes | str] = []
        self._seen: set[int] = set()

    def function(self, function: Any) -> None:
        if id(function) in self._seen:
            return
        self._seen.add(id(function))
        name = getattr(function, "__qualname__", repr(function))
        text = _text(function)
        if text is None:
            raise InputError(
                f"the code of '{name}' cannot be found, so that a change of it would go unseen; "
                "write it in a file"
            )
        self.parts += [name, text]
        methods = vars(function).values() if isinstance(function, type) else (function,)
        for method in methods:
            method = inspect.unwrap(getattr(method, "__func__", method))
            code = getattr(method, "__code__", None)
            if code is not None:
                self.parts += list(_enclosed(method, strict=True))
                self.parts += [
                    _value(v, f"a default of '{name}'") for v in method.__defaults__ or ()
                ]
                for used in sorted(_names(code) & set(method.__globals__)):
                    self.mention(used, method.__globals__[used])

    def mention(self, name: str, value: Any) -> None:
        inner = inspect.unwrap(value) if callable(value) else value
        module = getattr(inner, "__module__", None)
        if isinstance(inner, FunctionType | type) and not _mentioned(str(module)):
            self.function(inner)
        elif isinstance(inner, ModuleType) or callable(inner):
            origin = (
                inner.__name__
                if isinstance(inner, ModuleType)
                else str(module or type(inner).__module__)
            )
            self.parts.append(
                f"{name}={origin}:{getattr(inner, '__qualname__', '')}:{_mentioned(origin)}"
            )
        else:
            self.parts.append(f"{name}={_value(value, f'the global {name}')}")


def _text(function: Any) -> bytes | str | None:
    """What the code of a function or class says, None where it cannot be found."""
    try:
        text = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):
        return None
    own = (
        function.__name__
        if isinstance(function, type)
        else getattr(inspect.unwrap(function), "__code__", None)
    )
    own = own if isinstance(own, str) else getattr(own, "co_name", "")
    try:
        tree = ast.parse(text)
    except SyntaxError:  # a lambda inside of an expression
        return text.strip() if own == "<lambda>" else None
    # Python finds the lines of another text where both are called "<string>"
    return speech(tree) if own == "<lambda>" or own == getattr(tree.body[0], "name", None) else None


def _names(code: CodeType) -> set[str]:
    """The names that a function and those inside of it mention."""
    inside = [_names(c) for c in code.co_consts if isinstance(c, CodeType)]
    return set(code.co_names).union(*inside)
