"""Refusals: what the algorithms cannot carry is said in one line, with the number and the mend."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from theorylab.errors import InputError
from theorylab.precision import as_float64, is_traced


def backend(*arrays: Any) -> Any:
    """jax.numpy if any of the arrays is traced, else NumPy: closed forms on known numbers need no compilation."""
    return jnp if is_traced(*arrays) else np


def numbers(name: str, value: Any) -> Any:
    """`value` in float64 without NaN: a NumPy array, or a traced one. Raises `InputError` for what is not numeric."""
    if is_traced(value):
        return as_float64(value)
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} is not an array of numbers ({error}); give a rectangular numeric array.") from None
    if np.isnan(array).any():
        raise InputError(f"{name} holds NaN; drop or impute these entries first.")
    return array


def within(
    name: str,
    value: Any,
    low: float,
    high: float = np.inf,
    *,
    open_low: bool = False,
    open_high: bool = False,
    whole: bool = False,
    need: str = "",
) -> Any:
    """Numbers in [low, high] (open at an end on request, whole on request), checked where their values are known."""
    array = numbers(name, value)
    if is_traced(array):
        return array
    bad = (array <= low if open_low else array < low) | (array >= high if open_high else array > high)
    if whole:
        bad |= array != np.floor(array)
    if bad.any():
        left, right = "(" if open_low else "[", ")" if open_high or np.isinf(high) else "]"
        kind = "whole numbers" if whole else "numbers"
        need = need or f"{kind} in {left}{low:g}, {high:g}{right}"
        raise InputError(f"{name} holds {array[bad].ravel()[0]:g}; needed: {need}.")
    return array


def price(b: Any) -> int:
    """The cost of buying, in days of rent: a whole number from 2 on."""
    if not isinstance(b, int | np.integer | float | np.floating) or isinstance(b, bool) or b != int(b) or b < 2:
        raise InputError(f"b is {b!r}; needed: the price in days of rent, a whole number from 2 on.")
    return int(b)


def count(name: str, value: Any, low: int) -> int:
    """A whole number from `low` on."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < low:
        raise InputError(f"{name} is {value!r}; needed: a whole number from {low} on.")
    return int(value)


def jobs(sizes: Any, predictions: Any, nudge: Any) -> tuple[Any, Any, Any]:
    """Sizes, predictions (..., n) >= 0 of one shape, and nudges or None. Predictions None means correct ones."""
    x = within("sizes", sizes, 0.0, open_high=True, need="finite sizes >= 0")
    if x.ndim == 0:
        raise InputError("sizes is a single number; needed: an array (..., n) of job sizes, [x] for one job.")
    y = x if predictions is None else within("predictions", predictions, 0.0, open_high=True, need="finite, >= 0")
    if x.shape[-1:] != y.shape[-1:]:
        raise InputError(
            f"predictions are for {y.shape[-1] if y.ndim else 'no'} jobs and sizes for {x.shape[-1]}; "
            "needed: one prediction per job."
        )
    e = None if nudge is None else numbers("nudge", nudge)
    try:
        shape = np.broadcast_shapes(x.shape, y.shape, x.shape if e is None else e.shape)
    except ValueError:
        given = f"{x.shape}, {y.shape}" + ("" if e is None else f" and {e.shape}")
        raise InputError(f"sizes, predictions and nudge have shapes {given}; needed: shapes that broadcast.") from None
    if e is not None and not is_traced(x, e) and np.any((e < 0) & (x == 0)):
        raise InputError("nudge is negative for a job of size 0; needed: sizes that stay >= 0 just below.")
    return tuple(a if a is None else backend(a).broadcast_to(a, shape) for a in (x, y, e))  # type: ignore[return-value]
