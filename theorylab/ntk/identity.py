"""What a kernel on disk belongs to: digests of a function and of its arrays, the same in every process."""

import dataclasses
import functools
import hashlib
import re
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.extend.core as jc
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from theorylab.ntk.features import split

# Names of functions say nothing about what is computed; rules of custom derivatives are seen where they are applied.
_IGNORED = {"name", "debug_info", "jvp_jaxpr_fun", "jvp_jaxpr_thunk", "fwd_jaxpr_thunk", "bwd", "out_trees"}


def array_digest(tree: PyTree) -> str:
    """SHA-256 of the arrays of a tree: where they stand in it, their shapes, types and bytes."""
    return _digest(
        piece
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
        for piece in (jax.tree_util.keystr(path), *_array(leaf))
    )


def function_digest(f: Callable, params: PyTree, x: PyTree) -> str:
    """SHA-256 of the operations of `f(params, x)` and of its derivative for one sample, and of their constants.

    The derivative is part of it, since two functions may differ in a custom one alone. A host callback counts by its
    Python code and what that closes over.
    """
    weights, fixed, join = split(params)
    leaves, structure = jax.tree.flatten(x)

    def derivative(weights: list[Array], sample: list[Array], fixed: list[Array]) -> Any:
        def outputs(weights: list[Array]) -> Array:
            found = f(join(weights, fixed), jax.tree.unflatten(structure, sample))
            return jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(found)])

        values, pullback = jax.vjp(outputs, weights)
        return values, pullback(jnp.ones_like(values))

    sample = [jax.ShapeDtypeStruct((1, *leaf.shape[1:]), leaf.dtype) for leaf in leaves]
    return _digest(_pieces(jax.make_jaxpr(derivative)(weights, sample, fixed), frozenset()))


def _digest(pieces: Iterator[str | bytes]) -> str:
    total = hashlib.sha256()
    for piece in pieces:
        raw = piece.encode() if isinstance(piece, str) else piece
        total.update(b"%d:" % len(raw) + raw)
    return total.hexdigest()


def _pieces(value: Any, above: frozenset[int]) -> Iterator[str | bytes]:
    """The value as texts and bytes without addresses, names of variables or orders of sets. `above`: what holds it."""
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
        return "mapping", [part for key in sorted(value, key=str) for part in (str(key), value[key])]
    if isinstance(value, tuple | list):
        return type(value).__name__, list(value)
    if isinstance(value, set | frozenset):
        return "set", sorted(map(str, value))
    if isinstance(value, functools.partial):
        return "partial", [value.func, value.args, value.keywords]
    if isinstance(value, types.MethodType):
        return "method", [value.__func__, value.__self__]
    if isinstance(value, types.FunctionType):
        return "function", [value.__code__, value.__defaults__, value.__kwdefaults__, *_cells(value)]
    if isinstance(value, types.CodeType):
        return "code", [value.co_code, value.co_names, list(value.co_consts)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return type(value).__name__, [getattr(value, field.name) for field in dataclasses.fields(value)]
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
    jaxpr = getattr(closed, "jaxpr", closed)  # a jaxpr and its constants: one object in new JAX, two in old
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
        yield from _pieces({key: part for key, part in eqn.params.items() if key not in _IGNORED}, above)
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


def _array(leaf: Any) -> tuple[str, bytes]:
    if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        kind, raw = str(leaf.dtype), np.asarray(jax.random.key_data(leaf))
    else:
        raw = np.asarray(leaf)
        kind = raw.dtype.name
    return f"{kind}{raw.shape}", np.ascontiguousarray(raw).tobytes()
