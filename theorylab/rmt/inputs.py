"""What the functions of this package accept: spectra, atoms and weights, checked where their values are known."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from theorylab.errors import InputError
from theorylab.precision import as_float64, float64_inside

R = TypeVar("R")


def law_method(method: Callable[..., R]) -> Callable[..., R]:
    """A method of a law (a PyTree) on arrays: in float64, compiled once per shape, after the law's own checks."""
    compiled = jax.jit(method)

    @functools.wraps(method)
    @float64_inside
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> R:
        self.validate()
        return compiled(self, *map(jnp.asarray, args), **kwargs)

    return wrapped


def complexed(z: Any) -> jax.Array:
    """`z` as a complex128 array (call it with 64-bit types on)."""
    return jnp.asarray(z, dtype=jnp.complex128)


def concrete(x: Any) -> np.ndarray | None:
    """The values of `x` for a check, or None while JAX is tracing it (values are then unknown)."""
    return None if isinstance(x, jax.core.Tracer) else np.asarray(x)


def require_nonnegative(name: str, x: Any, *, strictly: bool = False) -> None:
    """Refuse NaN, infinite and negative (or zero) values, when they are known."""
    values = concrete(x)
    if values is None:
        return
    bad = ~np.isfinite(values) | ((values <= 0) if strictly else (values < 0))
    if bad.any():
        need = "finite and > 0" if strictly else "finite and >= 0"
        raise InputError(f"{name} must be {need}, got {values[bad].ravel()[0]:g}")


def as_spectrum(name: str, eigenvalues: Any) -> jax.Array:
    """A 1-D float64 spectrum; rounding errors below zero (down to -1e-6 of the largest value) count as zero."""
    array = as_float64(eigenvalues)
    if array.ndim != 1 or array.size == 0:
        raise InputError(f"{name} must be a non-empty 1-D array of eigenvalues, got shape {array.shape}")
    values = concrete(array)
    if values is not None:
        if not np.isfinite(values).all():
            raise InputError(f"{name} must be finite, got NaN or infinity; drop those entries first")
        if values.min() < -1e-6 * max(values.max(), 0.0):
            raise InputError(
                f"{name} must be >= 0 (a covariance spectrum), got {values.min():g}; "
                "if that is rounding, clip with jnp.maximum(x, 0)"
            )
    return jnp.where(array >= 0, array, 0.0)


def as_weights(name: str, weights: Any, like: jax.Array) -> jax.Array:
    """Weights >= 0, one per entry of `like`; None means 1 for every entry."""
    if weights is None:
        return jnp.ones_like(like)
    array = as_float64(weights)
    if array.shape != like.shape:
        raise InputError(f"{name} must have the shape {like.shape} of the eigenvalues, got {array.shape}")
    require_nonnegative(name, array)
    return array


def as_atoms(name: str, values: Any, weights: Any) -> tuple[jax.Array, jax.Array]:
    """Atoms and their proportions (sum 1; None means equal) of a discrete distribution."""
    atoms = as_float64(values)
    if atoms.ndim != 1 or atoms.size == 0:
        raise InputError(f"{name} must be a non-empty 1-D array, got shape {atoms.shape}")
    known = concrete(atoms)
    if known is not None and not np.isfinite(known).all():
        raise InputError(f"{name} must be finite, got NaN or infinity; drop those entries first")
    raw = as_weights("weights", weights, atoms)
    total = jnp.sum(raw)
    if (mass := concrete(total)) is not None and mass <= 0:
        raise InputError("weights must have a positive sum")
    return atoms, raw / total


def upper_half(z: jax.Array) -> tuple[jax.Array, jax.Array]:
    """z reflected to Im z >= 0, and where it was: a Stieltjes transform satisfies m(z*) = m(z)*."""
    below = jnp.imag(z) < 0
    return jax.lax.complex(jnp.real(z), jnp.abs(jnp.imag(z))), below
