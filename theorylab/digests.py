"""Digests of arrays and of programs, the same in every process: what a file on disk belongs to."""

import dataclasses
import functools
import hashlib
import re
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import jax
import jax.extend.core as jc
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

# Names of functions say nothing about what is computed; rules of custom derivatives are seen where
# they are applied.
_IGNORED = {
    "name",
    "debug_info",
    "jvp_jaxpr_fun",
    "jvp_jaxpr_thunk",
    "fwd_jaxpr_thunk",
    "bwd",
    "out_trees",
}


def tree_digest(tree: PyTree) -> str:
    """SHA-256 of the arrays of a tree: where they stand in it, their shapes, types and bytes."""
    return _joint_digest(
        piece
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
        for piece in (jax.tree_util.keystr(path), *_array(leaf))
    )


def program_digest(f: Callable, *arguments: Any) -> str:
    """SHA-256 of the operations of `f` at arguments of these shapes and types.

    The constants that it closes over count too.

    Names do not count. Where a rule for derivatives is custom, it counts if `f` takes them. A
    callback to the host counts by its Python code and what that closes over.
    """
    return _joint_digest(_pieces(jax.make_jaxpr(f)(*arguments), frozenset()))


def _joint_digest(pieces: Iterable[str | bytes]) -> str:
    """SHA-256 of texts and bytes in order; another for every other way to cut the same bytes."""
    total = hashlib.sha256()
    for piece in pieces:
        raw = piece.encode() if isinstance(piece, str) else piece
        total.update(b"%d:" % len(raw) + raw)
    return total.hexdigest()


def _array(leaf: Any) -> tuple[str, bytes]:
    """An array, or typed keys, as its type with its shape, and its bytes."""
    if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        kind, raw = str(leaf.dtype), np.asarray(jax.random.key_data(leaf))
    else:
        raw = np.asarray(leaf)
        kind = raw.dtype.name
    return f"{kind}{raw.shape}", np.ascontiguousarray(raw).tobytes()


def _pieces(value: Any, above: frozenset[int]) -> Iterator[str | bytes]:
    """The value as texts and bytes without addresses, names of variables or orders of sets.

    `above`: what holds it.
    """
    if id(value) in above:  # a function that closes over itself
        yield "itself"
    elif isinstance(value, jc.ClosedJaxpr | jc.Jaxpr):
        yield from _jaxpr(value, above)
    elif isinstance(value, jax.Array | np.ndarray | np.generic) or _is_constant(value):
        yield from _array(value)
    elif isinstance(value, str | bytes | int | float | complex | bool | types.NoneType):
        yield f"{type(value).__name__} {value!r}"
    else:
        above, (name, parts) = above | {id(value)}, _parts(value)
        yield f"{name} {len(parts)}"
        for part in parts:
            yield from _pieces(part, above)


def _parts(value: Any) -> tuple[str, list[Any]]:
    """The name of a composed value, and what it is composed of."""
    if isinstance(value, Mapping):
        return "mapping", [
            part for key in sorted(value, key=str) for part in (str(key), value[key])
        ]
    if isinstance(value, tuple | list):
        return type(value).__name__, list(value)
    if isinstance(value, set | frozenset):
        return "set", sorted(map(str, value))
    if isinstance(value, functools.partial):
        return "partial", [value.func, value.args, value.keywords]
    if isinstance(value, types.MethodType):
        return "method", [value.__func__, value.__self__]
    if isinstance(value, types.FunctionType):
        return "function", [
            value.__code__,
            value.__defaults__,
            value.__kwdefaults__,
            *_cells(value),
        ]
    if isinstance(value, types.CodeType):
        return "code", [value.co_code, value.co_names, list(value.co_consts)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return type(value).__name__, [
            getattr(value, field.name) for field in dataclasses.fields(value)
        ]
    return re.sub(r" at 0x[0-9a-f]+", "", f"{type(value).__name__} {value!r}"), []


def _cells(function: types.FunctionType) -> list[Any]:
    cells = []
    for cell in function.__closure__ or ():
        try:
            cells.append(cell.cell_contents)
        except ValueError:  # a name without a value yet
            cells.append(None)
    return cells


def _jaxpr(closed: Any, above: frozenset[int]) -> Iterator[str | bytes]:
    # a jaxpr and its constants: one object in new JAX, two in old
    jaxpr = getattr(closed, "jaxpr", closed)
    numbers: dict[Any, int] = {}

    def name(variables: list[Any]) -> str:
        return " ".join(f"{numbers.setdefault(v, len(numbers))}:{_type(v.aval)}" for v in variables)

    yield "constants " + name(jaxpr.constvars)
    for constant in getattr(closed, "consts", ()):
        yield from _pieces(constant, above)
    yield "inputs " + name(jaxpr.invars)
    for eqn in jaxpr.eqns:
        yield eqn.primitive.name
        for atom in eqn.invars:
            yield from _atom(atom, numbers)
        yield from _pieces(
            {key: part for key, part in eqn.params.items() if key not in _IGNORED}, above
        )
        yield "gives " + name(eqn.outvars)
    yield "outputs"
    for atom in jaxpr.outvars:
        yield from _atom(atom, numbers)


def _atom(atom: Any, numbers: Mapping[Any, int]) -> Iterator[str | bytes]:
    if isinstance(atom, jc.Literal):
        yield "literal " + _type(atom.aval)
        yield from _array(atom.val)
    else:
        yield str(numbers[atom])


def _type(aval: Any) -> str:
    if not hasattr(aval, "shape"):
        return type(aval).__name__
    return f"{aval.dtype}{tuple(aval.shape)}{getattr(aval, 'weak_type', False)}"


def _is_constant(value: Any) -> bool:
    """JAX wraps the arrays of NumPy that a function closes over."""
    return hasattr(value, "__array__") and hasattr(value, "dtype") and hasattr(value, "shape")
