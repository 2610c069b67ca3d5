"""Float64 inside, whatever the caller runs in.

GCV at a small penalty divides by squared eigenvalues that span ten orders of magnitude, fixed
points and spectra lose all their digits: float32 cannot hold that. Where theory needs it, a public
function computes in float64 under a local `jax.enable_x64`, and hands back

* NumPy float64 arrays when it was called with concrete arrays (a float64 *JAX* array is not safe in
  float32 user code: `jnp.argmin` of one raises TypeError there);
* traced arrays in the caller's default float or complex type under `jit`, `vmap` and `grad`.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

P = ParamSpec("P")
R = TypeVar("R")


def is_traced(*arrays: Any) -> bool:
    """Whether any of the arrays is abstract, so that its values cannot be looked at."""
    return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(arrays))


def float64_inside(function: Callable[P, R]) -> Callable[P, R]:
    """Run `function` with 64-bit types on and hand its arrays back as the module docstring says."""

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        caller_types = jnp.result_type(float), jnp.result_type(complex)

        def release(leaf: Any) -> Any:
            if isinstance(leaf, jax.core.Tracer):
                inexact = jnp.issubdtype(leaf.dtype, jnp.inexact)
                return leaf.astype(caller_types[jnp.iscomplexobj(leaf)]) if inexact else leaf
            return np.asarray(leaf) if isinstance(leaf, jax.Array) else leaf

        # compiled programs read arrays of a type they do not know as if they were of one they do
        given = [native_leaves(value) for value in args]
        named = {name: native_leaves(value) for name, value in kwargs.items()}
        with jax.enable_x64(True):
            return jax.tree.map(release, function(*given, **named))

    return wrapped


def as_float64(array: Any) -> jax.Array:
    """A float64 JAX array; call it with 64-bit types on."""
    held = array if isinstance(array, jax.Array) else native(np.asarray(array))
    return jnp.asarray(held).astype(jnp.float64)


def native_leaves(value: Any) -> Any:
    """An array, or an object (a law, a market) that holds arrays, in types that JAX knows."""
    if isinstance(value, np.ndarray | np.generic):
        return native(value)
    return jax.tree.map(native, value) if dataclasses.is_dataclass(value) else value


def native(array: Any) -> Any:
    """An array of NumPy in a type that JAX knows; all others as they are.

    Long doubles become float64, and other byte orders that of this machine.
    """
    if not isinstance(array, np.ndarray | np.generic):
        return array
    if array.dtype in (np.longdouble, np.clongdouble) and array.dtype.itemsize > 8:
        return array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def input_epsilon(array: Any) -> float:
    """Machine epsilon of the precision that the caller's numbers came in.

    It is that of float64 for lists and integers.
    """
    dtype = getattr(array, "dtype", None)
    if dtype is None or not jnp.issubdtype(dtype, jnp.floating):
        return float(np.finfo(np.float64).eps)
    return float(jnp.finfo(dtype).eps)
