"""What the functions here share: trees of inputs, `get`, and keyword arguments of two sides."""

import functools
from collections import namedtuple
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from theorylab.errors import InputError

ONE = ("params", "get")  # arguments that are of both sides, also where they are pairs


def is_array(x: Any) -> bool:
    """Whether this is an array, traced or not."""
    return isinstance(x, (jax.Array, np.ndarray, jax.core.Tracer))


def nothing(x: Any) -> bool:
    """Whether a tree holds nothing but None."""
    return not jax.tree.leaves(x)


def axes_of(axes: Any, ndim: int) -> tuple[int, ...]:
    """Axes counted from the front, without repetition, in order."""
    given = [axes] if isinstance(axes, (int, np.integer)) else list(axes)
    for axis in given:
        if not -ndim <= axis < ndim:
            raise InputError(f"axis {axis}: an array of {ndim} axes has none; give one below it")
    return tuple(sorted({int(axis) % ndim for axis in given}))


def wanted(get: Any) -> tuple[bool, tuple[str, ...] | None]:
    """Whether a single thing was asked for, and the names asked for, in lower case."""
    if get is None:
        return False, None
    single = isinstance(get, str)
    names = tuple(name.lower() for name in ((get,) if single else get))
    if not names:
        raise InputError("get = (): name at least one of the fields, such as 'ntk'")
    if len(set(names)) < len(names):
        raise InputError(f"get = {names}: a name occurs twice; give each once")
    return single, names


@functools.lru_cache(maxsize=256)
def tuple_type(name: str, fields: tuple[str, ...]) -> Any:
    """One named tuple per name and fields, so that results of two calls have one structure."""
    return namedtuple(name, fields)


def select(name: str, out: Any, get: Any) -> Any:
    """The fields `get` of a result: one, or a named tuple of them; all where `get` is None."""
    single, names = wanted(get)
    if isinstance(out, dict):
        fields = out
    elif hasattr(out, "asdict"):
        if names is None:
            return out
        fields = out.asdict()
    elif isinstance(out, (list, tuple)):
        return type(out)([select(name, one, get) for one in out])
    else:
        raise InputError(f"get = {get!r}: a result of type {type(out).__name__} has no such fields")
    names = tuple(fields) if names is None else names
    if missing := [field for field in names if field not in fields]:
        raise InputError(f"get = {missing}: no such field; there are {sorted(fields)}")
    if single:
        return fields[names[0]]
    return tuple_type(name, names)(*(fields[field] for field in names))


def same_inputs(x1: Any, x2: Any, eps: float = 1e-12) -> Any:
    """Whether two (trees of) batches are the same samples; an array where it has to be computed."""
    if nothing(x2) or x1 is x2:
        return True
    found: Any = True
    for a, b in zip(jax.tree.leaves(x1), jax.tree.leaves(x2), strict=True):
        if a is b:
            continue
        if a.shape != b.shape:
            return False
        if jnp.issubdtype(a.dtype, jnp.inexact):
            equal = jnp.all(jnp.abs(a - b) < eps)
        else:
            equal = jnp.all(a == b)
        found = equal & found
    return found


def is_pair(name: str, value: Any) -> bool:
    """Whether a keyword argument has one value for either side."""
    return name not in ONE and isinstance(value, tuple) and len(value) == 2


def two_sides(kwargs: dict[str, Any], x1: Any = None, x2: Any = None) -> tuple[dict, dict]:
    """Keyword arguments of either side: pairs are taken apart, others go to both.

    A key `rng` becomes two, equal where the samples are.
    """
    left: dict[str, Any] = {}
    right: dict[str, Any] = {}
    for name, value in kwargs.items():
        if name == "rng" and not nothing(x2):
            left[name], right[name] = _keys(value, x1, x2)
        elif is_pair(name, value):
            left[name], right[name] = value
        else:
            left[name] = right[name] = value
    return left, right


def _keys(key: Any, x1: Any, x2: Any) -> tuple[Any, Any]:
    if key is None:
        return None, None
    same = same_inputs(x1, x2)
    if isinstance(key, tuple) and len(key) == 2:
        first, second = key
        if second is None:
            return first, first
        other = _chosen(_equal(first, second), jax.random.fold_in(second, 1), second)
        return first, _chosen(same, first, other)
    return key, _chosen(same, key, jax.random.fold_in(key, 1))


def _equal(a: Any, b: Any) -> Any:
    if jnp.issubdtype(a.dtype, jax.dtypes.prng_key):
        a, b = jax.random.key_data(a), jax.random.key_data(b)
    return jnp.all(a == b)


def _chosen(which: Any, a: Any, b: Any) -> Any:
    if isinstance(which, bool):
        return a if which else b
    return jax.lax.cond(which, lambda: a, lambda: b)


def typed(key: Any) -> Any:
    """A typed key, also from the raw one of `jax.random.PRNGKey`."""
    if is_array(key) and not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        return jax.random.wrap_key_data(jnp.asarray(key))
    return key


def any_ranks(fn: Callable[..., Any]) -> Callable[..., Any]:
    """The function with broadcasting between ranks allowed, whatever the caller's setting."""

    @functools.wraps(fn)
    def inside(*args: Any, **kwargs: Any) -> Any:
        with jax.numpy_rank_promotion("allow"):
            return fn(*args, **kwargs)

    return inside


def compiled_by_value(fn: Callable[..., Any]) -> Callable[..., Any]:
    """The function compiled, once for each value of arguments that are no arrays."""

    @functools.partial(jax.jit, static_argnums=0)
    def run(spec: tuple[Any, ...], arrays: list[Any]) -> Any:
        structure, fixed = spec
        given = iter(arrays)
        leaves = [next(given) if value is _ARRAY else value for value in fixed]
        args, kwargs = jax.tree.unflatten(structure, leaves)
        return fn(*args, **kwargs)

    def call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        leaves, structure = jax.tree.flatten((args, kwargs))
        moving = [is_array(leaf) for leaf in leaves]
        fixed = tuple(_ARRAY if m else leaf for m, leaf in zip(moving, leaves, strict=True))
        arrays = [leaf for m, leaf in zip(moving, leaves, strict=True) if m]
        return run((structure, fixed), arrays)

    return call


class _Array:
    """Stands for an array among arguments."""


_ARRAY = _Array()
