"""Refusals of this package: one line that names the argument, what was given and what is needed."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from theorylab.errors import InputError


def known(value: Any) -> np.ndarray | None:
    """The values for a check, or None while JAX traces them (they are then unknown)."""
    return None if isinstance(value, jax.core.Tracer) else np.asarray(value)


def floats(name: str, value: Any, *, ndim: int) -> jax.Array:
    """`value` as a JAX array of floats with `ndim` axes, none of them empty, all entries finite where known."""
    try:
        array: Any = value if isinstance(value, jax.Array) else np.asarray(value)
    except ValueError:
        raise InputError(f"{name} is not a rectangular array of numbers: its rows have different lengths") from None
    if array.dtype == bool or jnp.issubdtype(array.dtype, jnp.number):
        array = jnp.asarray(array)
    if jnp.issubdtype(array.dtype, jnp.integer) or array.dtype == bool:
        array = array.astype(float)
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise InputError(f"{name} has dtype {array.dtype}: real numbers are needed")
    if array.ndim != ndim or 0 in array.shape:
        raise InputError(f"{name} has shape {array.shape}: {ndim} non-empty axes are needed")
    values = known(array)
    if values is not None and not np.isfinite(values).all():
        raise InputError(f"{name} holds NaN or infinity: drop or impute these rows first")
    return array


def labelled(X: Any, y: Any) -> tuple[jax.Array, jax.Array]:
    """Samples (n, d) and their labels (n,), every label -1 or +1."""
    X, labels = floats("X_l", X, ndim=2), floats("y_l", y, ndim=1)
    if len(labels) != len(X):
        raise InputError(f"y_l has {len(labels)} labels for the {len(X)} rows of X_l: one label a row is needed")
    values = known(labels)
    if values is not None and not np.isin(values, (-1, 1)).all():
        raise InputError(f"y_l holds {sorted(set(values.tolist()))[:4]}: labels must be -1 and +1 (try 2 * y - 1)")
    return X, labels.astype(X.dtype)


def unlabelled(X: Any, d: int) -> jax.Array:
    """Unlabelled samples (n, d) in the dimension of the labelled ones."""
    X = floats("X_u", X, ndim=2)
    if X.shape[1] != d:
        raise InputError(f"X_u has {X.shape[1]} columns and X_l has {d}: both need the same features")
    return X


def positive(name: str, value: Any, *, at_least: float = 0.0) -> None:
    """Refuse NaN, infinity, and values that are not above 0 (not `at_least` so much, where that is positive)."""
    values = known(value)
    if values is None:
        return
    try:
        bad = ~np.isfinite(values) | ((values < at_least) if at_least else (values <= 0))
    except TypeError:
        raise InputError(f"{name}={value!r} must be a number") from None
    if bad.any():
        need = f"at least {at_least:g}" if at_least else "positive"
        raise InputError(f"{name} must be finite and {need}, got {values[bad].ravel()[0]}")


def nonnegative(name: str, value: Any) -> None:
    """Refuse NaN, infinity and negative values."""
    values = known(value)
    if values is not None and not (np.isfinite(values) & (values >= 0)).all():
        raise InputError(f"{name} must be finite and at least 0, got {values.ravel()[0] if values.ndim else values}")


def option(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Refuse a word that is not one of the choices."""
    if value not in choices:
        raise InputError(f"{name}={value!r} is unknown: give one of {', '.join(choices)}")
