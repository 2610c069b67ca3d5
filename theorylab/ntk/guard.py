"""Cheap probes of a network before its kernel is computed."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from theorylab import checks
from theorylab.errors import InputError

_MEND = "switch it to evaluation mode, e.g. model.eval() or use_running_average=True."


def probe(f: Callable, params: PyTree, x: PyTree) -> tuple[Array, Array, Array]:
    """The outputs of a few samples: twice in one batch, and one by one."""

    def flat(out: PyTree) -> Array:
        return jnp.concatenate(
            [leaf.reshape(leaf.shape[0], -1) for leaf in jax.tree.leaves(out)], 1
        )

    def alone(sample: PyTree) -> Array:
        return flat(f(params, jax.tree.map(lambda leaf: leaf[None], sample)))[0]

    return flat(f(params, x)), flat(f(params, x)), jax.vmap(alone)(x)


def run_probe(probe: Callable, params: PyTree, x: PyTree) -> tuple[Array, Array, Array]:
    """The outputs of `probe(params, x)`.

    The error of a Flax model that updates statistics or keys as it is called is explained.
    """
    try:
        return probe(params, x)
    except Exception as error:
        if type(error).__name__ != "TraceContextError":
            raise
        raise InputError(f"f changes its own state when called; {_MEND}") from error


@contextlib.contextmanager
def calling(f: Any, **arguments: PyTree) -> Iterator[None]:
    """Errors of calls of `f` within are said to be due to these arguments, by their names."""
    checks.function("f", f)
    for name, tree in arguments.items():
        require_arrays(name, tree)
    try:
        yield
    except InputError:
        raise
    except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
        given = " and ".join(
            f"{name} {checks.shown(jax.tree.map(jnp.shape, tree))}"
            for name, tree in arguments.items()
        )
        said = " ".join(f"{type(error).__name__}: {error}".split())[:160]
        raise InputError(
            f"f cannot be called with {given}; a function f(params, x) of both is needed ({said})"
        ) from error


def require_arrays(name: str, tree: PyTree) -> None:
    """Refuse leaves that are neither numbers nor keys, and a tree of none."""
    leaves = jax.tree.leaves(tree)
    if not leaves:
        raise InputError(f"{name} = {checks.shown(tree)}; at least one array is needed")
    for leaf in leaves:
        dtype = getattr(leaf, "dtype", None)
        if dtype is None:
            dtype = (
                np.asarray(leaf).dtype if isinstance(leaf, (bool, int, float, complex)) else object
            )
        if not any(
            jnp.issubdtype(dtype, kind) for kind in (np.number, np.bool_, jax.dtypes.prng_key)
        ):
            raise InputError(f"{name} holds {checks.shown(leaf)}; arrays of numbers are needed")


def samples(name: str, x: PyTree, *, some: bool = False) -> int:
    """How many samples the arrays of `x` share as their leading axis.

    With `some` there must be at least one, and the numbers must be finite.
    """
    require_arrays(name, x)
    shapes = [jnp.shape(leaf) for leaf in jax.tree.leaves(x)]
    sizes = {shape[0] if shape else -1 for shape in shapes}
    if len(sizes) != 1 or -1 in sizes:
        raise InputError(
            f"{name}: every array needs the same leading axis of samples; got shapes {shapes}"
        )
    n = sizes.pop()
    if some and n == 0:
        raise InputError(f"{name} holds no samples; at least one is needed")
    for leaf in jax.tree.leaves(x) if some else ():
        if jnp.issubdtype(jnp.result_type(leaf), jnp.floating):
            checks.finite(name, leaf)
    return n


def require_precision(precision: Any) -> None:
    """Refuse a name that JAX has no precision of matrix products for."""
    try:
        with jax.default_matmul_precision(precision):
            pass
    except (TypeError, ValueError):
        raise InputError(
            f"precision = {checks.shown(precision)}; 'highest', 'high' or 'default' is needed"
        ) from None


def rows(name: str, numbers: Any, size: int, *, distinct: bool) -> np.ndarray:
    """Whole numbers in [0, size) as an array.

    A mask of that length names the places where it is true.
    """
    array = np.asarray(checks.within(name, numbers, 0, size - 1, whole=True, ndim=1))
    if array.dtype == bool:
        if array.size != size:
            raise InputError(f"{name} is a mask of {array.size}; one of {size} is needed")
        return np.flatnonzero(array)
    if array.dtype.kind not in "iu":
        raise InputError(
            f"{name} has dtype {array.dtype}; whole numbers from 0 to {size - 1} are needed"
        )
    if distinct and np.unique(array).size != array.size:
        raise InputError(f"{name} names an entry twice; distinct numbers are needed")
    return array


def refuse_coupling(together: Array, again: Array, alone: Array) -> None:
    """Refuse a network whose output for a sample depends on the other samples or on chance."""
    first, second, single = (np.asarray(a, np.float64) for a in (together, again, alone))
    if not np.isfinite(first).all():
        raise InputError(
            "f: the outputs have non-finite entries; check params, x1 and x2 for NaN, infinities "
            "or overflow"
        )
    # The same arithmetic in another order: rounding alone stays far below a thousandth of the
    # outputs' size.
    limit = 1e-3 * max(np.abs(first).max(initial=0.0), 1e-30)
    if np.abs(first - second).max(initial=0.0) > limit:
        raise InputError(
            f"f: two calls on the same data differ (dropout without a fixed key?); {_MEND}"
        )
    if not np.abs(first - single).max(initial=0.0) <= limit:  # also where a sample alone gives NaN
        raise InputError(
            "f couples the samples of a batch (batch norm in training mode, dropout, attention "
            f"across samples?), so its kernel is not defined pair by pair; {_MEND}"
        )
