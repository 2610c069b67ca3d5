"""What this package accepts, on top of `theorylab.checks`: prices and jobs, numbers in float64."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from theorylab import checks
from theorylab.errors import InputError
from theorylab.overflow import require_answer
from theorylab.precision import as_float64, is_traced

MOST = 2**53  # days or jobs: whole numbers that float64 tells apart


def backend(*arrays: Any) -> Any:
    """Choose jax.numpy if any of the arrays is traced, else NumPy.

    Closed forms on known numbers need no compilation.
    """
    return jnp if is_traced(*arrays) else np


def within(name: str, value: Any, low: float = -np.inf, high: float = np.inf, **bounds: Any) -> Any:
    """`checks.within` in float64, a NumPy array or a traced one.

    Infinity is in an interval that is closed there.
    """
    infinite = not (np.isinf(high) and bounds.get("open_high", False))
    array = checks.within(name, value, low, high, infinite=infinite, **bounds)
    return as_float64(array) if is_traced(array) else np.asarray(array, dtype=np.float64)


def answered(result: Any, **given: Any) -> Any:
    """A result that finite numbers did not drive beyond float64; refused by their names if so."""
    if not is_traced(result, *given.values()) and all(np.isfinite(v).all() for v in given.values()):
        require_answer(result, given)
    return result


def price(b: Any) -> int:
    """The cost of buying, in days of rent: a whole number from 2 on, which may come as a float.

    Up to 2^53, beyond which float64 does not tell a day from the next.
    """
    if is_traced(b):
        raise InputError(
            "b is traced; the price in days of rent, a whole number from 2 on, must be known"
        )
    return int(checks.number("b", b, 2, MOST, whole=True))


def jobs(sizes: Any, predictions: Any, nudge: Any) -> tuple[Any, Any, Any]:
    """Sizes and predictions (..., n) >= 0 of one shape, and nudges or None.

    Predictions None means correct ones.
    """
    x = _sizes("sizes", sizes)
    if x.ndim == 0:
        raise InputError(
            "sizes is a single number; an array (..., n) of job sizes is needed, [x] for one job"
        )
    y = x if predictions is None else _sizes("predictions", predictions)
    if x.shape[-1:] != y.shape[-1:]:
        raise InputError(
            f"predictions are for {y.shape[-1] if y.ndim else 'no'} jobs and sizes for "
            f"{x.shape[-1]}; one prediction per job is needed"
        )
    e = None if nudge is None else within("nudge", nudge, open_low=True, open_high=True)
    given = {"sizes": x, "predictions": y} | ({} if e is None else {"nudge": e})
    shape = checks.broadcast(**given)
    if shape[-1:] != x.shape[-1:]:
        raise InputError(
            f"nudge has shape {given['nudge'].shape}; one for each of the {x.shape[-1]} jobs is "
            "needed"
        )
    if e is not None and not is_traced(x, e) and np.any((e < 0) & (x == 0)):
        raise InputError(
            "nudge is negative for a job of size 0; sizes that stay >= 0 just below are needed"
        )
    return tuple(a if a is None else backend(a).broadcast_to(a, shape) for a in (x, y, e))  # type: ignore[return-value]


def _sizes(name: str, value: Any) -> Any:
    if isinstance(value, list | tuple) and not value:
        value = np.zeros(0)
    if hasattr(value, "shape") and 0 in value.shape:  # no jobs: nothing to serve
        return np.zeros(value.shape)
    return within(name, value, 0.0, open_high=True)
