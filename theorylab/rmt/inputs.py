"""What the functions of this package accept: spectra, atoms and weights.

They are checked where their values are known.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from theorylab import checks
from theorylab.double import float64_inside
from theorylab.errors import InputError
from theorylab.overflow import require_answer
from theorylab.precision import as_float64, is_traced

R = TypeVar("R")
_MAY_BE_NAN = ("quantile", "outlier")  # of what is no probability, and of what is not seen


def law_method(method: Callable[..., R]) -> Callable[..., R]:
    """A method of a law (a PyTree) on arrays, in float64 and compiled once per shape.

    The law's own checks come first.
    """
    compiled, signature = jax.jit(method), inspect.signature(method)

    @functools.wraps(method)
    @float64_inside
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> R:
        self.validate()
        given = signature.bind(self, *args, **kwargs).arguments
        points = {name: _point(name, value) for name, value in given.items() if name != "self"}
        if method.__name__ == "solve":
            require_upper(points["z"])
        result: Any = compiled(self, *map(jnp.asarray, points.values()))
        if "x" in points and not is_traced(points["x"], result) and np.isinf(points["x"]).any():
            checks.within("the result at infinite x", result, infinite=True)
        if method.__name__ not in _MAY_BE_NAN:
            require_answer(result, {"the law": self, **points}, infinite=True)
        return result

    return wrapped


def _point(name: str, value: Any) -> Any:
    """Where a law is evaluated.

    x is real or infinite, z complex, a spike not negative, p finite (NaN outside [0, 1]).
    """
    match name:
        case "z":
            return require_complex(name, value)
        case "p":
            return checks.finite(name, value)
        case "spike":
            return checks.nonnegative(name, value)
    return checks.within(name, value, infinite=True)


def complexed(z: Any) -> jax.Array:
    """The number or array `z` as a complex128 array (call it with 64-bit types on)."""
    return jnp.asarray(z, dtype=jnp.complex128)


def require_complex(name: str, z: Any) -> Any:
    """Refuse what is no array of finite real or complex numbers."""
    array = z
    if not hasattr(z, "dtype"):
        try:
            array = np.asarray(z)
        except ValueError:
            raise InputError(
                f"{name} = {checks.shown(z)}; a rectangular array of complex numbers is needed"
            ) from None
    if not jnp.issubdtype(array.dtype, jnp.complexfloating):
        return checks.finite(name, array)
    if array.size == 0:
        raise InputError(
            f"{name} has shape {array.shape} and is empty; at least one entry is needed"
        )
    if not is_traced(array) and not np.isfinite(np.asarray(array)).all():
        raise InputError(f"{name} holds NaN or infinity; finite complex numbers are needed")
    return array


def require_upper(z: Any, *, strictly: bool = False) -> None:
    """Refuse points below the real axis (or on it)."""
    if is_traced(z):
        return
    height = np.imag(np.asarray(z)).min()
    if height < 0 or (strictly and height == 0):
        raise InputError(
            f"z has an imaginary part of {height:g}; {'Im z > 0' if strictly else 'Im z >= 0'} is "
            "needed"
        )


def require_parameter(name: str, value: Any) -> None:
    """Refuse a parameter of a law that is not a positive number (arrays broadcast)."""
    checks.positive(name, value, ndim=None if hasattr(value, "shape") else 0)


def require_shape(name: str, shape: Any) -> None:
    """Refuse what is no shape of an array."""
    if not isinstance(shape, (tuple, list)):
        raise InputError(
            f"{name} = {checks.shown(shape)}; a tuple of whole numbers is needed, () for one draw"
        )
    for size in shape:
        checks.count(name, size, 0)


def as_spectrum(name: str, eigenvalues: Any) -> jax.Array:
    """A 1-D float64 spectrum.

    Rounding errors below zero (down to -1e-6 of the largest value) count as zero.
    """
    array = as_float64(checks.finite(name, eigenvalues, ndim=1))
    if not is_traced(array):
        values = np.asarray(array)  # of JAX's operations a trace around this would make tracers
        if values.min() < -1e-6 * max(values.max(), 0.0):
            raise InputError(
                f"{name} holds {values.min():g}; a covariance spectrum of numbers >= 0 is needed "
                "(if that is rounding, clip with jnp.maximum(x, 0))"
            )
    return jnp.where(array >= 0, array, 0.0)


def as_weights(name: str, weights: Any, like: jax.Array, *, of: str = "eigenvalues") -> jax.Array:
    """Weights >= 0, one per entry of `like`; None means 1 for every entry."""
    if weights is None:
        return jnp.ones_like(like)
    array = as_float64(checks.nonnegative(name, weights, ndim=1))
    checks.same_length(**{of: like, name: array})
    return array


def as_atoms(name: str, values: Any, weights: Any) -> tuple[jax.Array, jax.Array]:
    """Atoms and their proportions (sum 1; None means equal) of a discrete distribution."""
    atoms = as_float64(checks.finite(name, values, ndim=1))
    raw = as_weights("weights", weights, atoms, of=name)
    total = jnp.sum(raw)
    if not is_traced(total) and float(total) <= 0:
        raise InputError("weights sum to 0; a positive sum is needed")
    return atoms, raw / total


def upper_half(z: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The points reflected to Im z >= 0, and where they were: m(z*) = m(z)*."""
    below = jnp.imag(z) < 0
    return jax.lax.complex(jnp.real(z), jnp.abs(jnp.imag(z))), below
