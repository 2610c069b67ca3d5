"""What everything that takes a network `f(params, x)` asks of it, in one place: `inspect`.

Its parameters and outputs are real, its outputs keep the axis of samples first, and no sample's
output depends on another sample or on chance. What comes out is finite (`require_finite`).
"""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from theorylab import checks
from theorylab.errors import InputError
from theorylab.precision import is_traced


class NonFiniteError(InputError):
    """Outputs or derivatives of a network that are NaN or infinite."""


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


def inspect(f: Callable, params: PyTree, x: PyTree, **names: str) -> int:
    """Refuse a network that has no tangent kernel sample by sample; the number of samples.

    Shapes and types are looked at always, values where they are known. `names` rename the
    arguments "params" and "x" in messages.
    """
    n = samples(names.get("x", "x"), x, some=True)
    require_real_parameters(names.get("params", "params"), params)
    with calling(f, params=params, x=x):
        require_outputs(f, params, x)
        if is_traced(params, x):
            return n
        few = jax.tree.map(lambda leaf: jnp.asarray(leaf)[: min(n, 3)], x)
        probed = run_probe(_compiled_probe(f), params, few)
    if not is_traced(probed):  # not while the caller traces around known arrays
        refuse_coupling(*probed)
    return n


def _compiled_probe(f: Callable) -> Callable:
    try:
        return _kept_probe(f)
    except TypeError:  # what cannot be hashed
        return jax.jit(functools.partial(probe, f))


@functools.lru_cache(maxsize=32)
def _kept_probe(f: Callable) -> Callable:
    return jax.jit(functools.partial(probe, f))


def require_real_parameters(name: str, params: PyTree) -> None:
    """Refuse complex parameters, and a tree without any to differentiate."""
    require_arrays(name, params)
    dtypes = [jnp.result_type(leaf) for leaf in jax.tree.leaves(params) if not _is_key(leaf)]
    for dtype in dtypes:
        if jnp.issubdtype(dtype, jnp.complexfloating):
            raise InputError(
                f"{name} holds {dtype}; the tangent kernel of a complex network is that of its "
                "real and imaginary parts: give these as parameters, and add them up inside f"
            )
    if not any(jnp.issubdtype(dtype, jnp.floating) for dtype in dtypes):
        raise InputError(f"{name} holds no floating-point numbers; nothing can be differentiated")


def require_outputs(f: Callable, params: PyTree, x: PyTree) -> None:
    """Refuse outputs without a first axis of samples, and such as are not real numbers."""
    params = jax.tree.map(_abstract, params)
    n = _abstract(jax.tree.leaves(x)[0]).shape[0]
    for size in {1, n}:
        batch = jax.tree.map(lambda leaf, s=size: _abstract(leaf, (s,)), x)
        leaves = jax.tree.leaves(run_probe(functools.partial(jax.eval_shape, f), params, batch))
        shapes = [tuple(leaf.shape) for leaf in leaves]
        if not leaves or any(shape[:1] != (size,) for shape in shapes):
            raise InputError(
                f"f: for {size} samples its outputs have shapes {shapes}; every output needs the "
                "samples as its first axis: return the logits alone, without losses or statistics, "
                "and move that axis to the front"
            )
        for leaf in leaves:
            if not jnp.issubdtype(leaf.dtype, jnp.floating):
                mend = (
                    "stack its real and imaginary parts"
                    if jnp.issubdtype(leaf.dtype, jnp.complexfloating)
                    else "return what comes before rounding or argmax"
                )
                raise InputError(
                    f"f: its outputs have dtype {leaf.dtype}; floating-point numbers are needed: "
                    f"{mend}"
                )


def _abstract(leaf: Any, first: tuple[int, ...] | None = None) -> Any:
    """Shape and type; with another first axis on request."""
    if is_traced(leaf) and first is None:
        return leaf
    array = leaf if hasattr(leaf, "dtype") else np.asarray(leaf)
    dtype = array.dtype if _is_key(array) else jnp.result_type(leaf)
    shape = array.shape if first is None else (*first, *array.shape[1:])
    return jax.ShapeDtypeStruct(shape, dtype)


def _is_key(leaf: Any) -> bool:
    dtype = getattr(leaf, "dtype", None)
    return dtype is not None and jnp.issubdtype(dtype, jax.dtypes.prng_key)


def require_finite(what: str, *arrays: Any) -> None:
    """Refuse derivatives that are not finite, where they are known."""
    if not is_traced(arrays) and not all(np.isfinite(a).all() for a in arrays):
        raise NonFiniteError(
            f"{what} has non-finite entries; check params and x for NaN and overflow, and f for "
            "points without a derivative (sqrt or norm at 0)"
        )


def run_probe(probe: Callable, params: PyTree, x: PyTree) -> Any:
    """What `probe(params, x)` gives.

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
        if not _is_key(leaf) and jnp.issubdtype(jnp.result_type(leaf), jnp.floating):
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
        raise NonFiniteError(
            "f: the outputs have non-finite entries; check params, x1 and x2 (or x) for NaN, "
            "infinities or overflow"
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
