"""Refusals of this package, each in one line: what was given, what is needed, how to mend it."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from theorylab.errors import InputError
from theorylab.precision import is_traced


def require_count(name: str, value: Any) -> None:
    """Refuse what is not a whole number of at least 1."""
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or value < 1:
        raise InputError(f"{name} = {value!r}; a whole number of at least 1 is needed.")


def require_scale(name: str, value: Any) -> None:
    """Refuse a negative or non-finite number."""
    if is_traced(value):
        return
    if np.ndim(value) or not np.isfinite(value) or value < 0:
        raise InputError(f"{name} = {value!r}; one finite number of at least 0 is needed.")


def require_between(name: str, value: Any, low: float, high: float) -> None:
    """Refuse a number outside [low, high]."""
    if is_traced(value):
        return
    if np.ndim(value) or not low <= value <= high:
        raise InputError(f"{name} = {value!r}; a number between {low:g} and {high:g} is needed.")


def require_finite(name: str, array: Any) -> None:
    """Refuse what is not an array of real numbers or holds non-finite ones."""
    try:
        dtype = getattr(array, "dtype", None) or np.asarray(array).dtype
    except (ValueError, TypeError) as error:
        raise InputError(f"{name} is not an array of numbers ({error}); give a rectangular numeric array.") from None
    if not any(jnp.issubdtype(dtype, kind) for kind in (jnp.floating, jnp.integer, jnp.bool_)):
        raise InputError(f"{name} has dtype {dtype}; real numbers are needed (cast it to float64).")
    if not is_traced(array) and not np.isfinite(np.asarray(array, dtype=np.float64)).all():
        raise InputError(f"{name} holds NaN or infinite values; remove these samples first.")


def require_matrix(name: str, array: Any, *, ndim: tuple[int, ...] = (2,)) -> None:
    """Refuse what is not a finite array with an allowed number of axes and at least one entry."""
    require_finite(name, array)
    shape = np.shape(array)
    if len(shape) not in ndim or 0 in shape:
        needed = " or ".join(str(d) for d in ndim)
        raise InputError(f"{name} has shape {shape}; a non-empty array with {needed} axes is needed.")


def require_labels(name: str, y: Any, shape: tuple[int, ...] | None = None) -> None:
    """Refuse labels that are not -1 or 1, or not of the given shape."""
    require_matrix(name, y, ndim=(1,) if shape is None else (len(shape),))
    if shape is not None and np.shape(y) != shape:
        raise InputError(f"{name} has shape {np.shape(y)}; one label per sample, {shape}, is needed.")
    if not is_traced(y) and not np.isin(np.asarray(y), (-1, 1)).all():
        raise InputError(f"{name} holds labels other than -1 and 1; map the classes to -1 and 1 (2 * labels - 1).")
