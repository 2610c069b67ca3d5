"""The two lines that hold a rectifier, or a maximum, between bounds of its input."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from theorylab.robustness.steps import Step


class Lines(NamedTuple):
    """Two lines that hold an activation between its bounds: lower * z, and upper * z + intercept.

    Of a maximum, `lower` and `upper` say which entry of a window stands for it (entries, *out), and
    where none can from above, `upper` is zero and the intercept the largest upper bound.
    """

    lower: Array
    upper: Array
    intercept: Array


def lines_of(step: Step, low: Array, high: Array, alpha: Any) -> Lines:
    """The lines of an activation between bounds of its input.

    alpha: "parallel" (both slopes equal: COAP), "adaptive" (0 or 1, the smaller area: CROWN),
        "zero", or slopes in [0, 1].
    """
    if step.kind == "maximum":
        return _maximum_lines(step, low, high)
    s = step.slope
    unstable = (low < 0) & (high > 0)
    span = jnp.where(unstable, high - low, 1.0)
    chord = jnp.where(unstable, (high - s * low) / span, jnp.where(low >= 0, 1.0, s))
    intercept = jnp.where(unstable, -(1 - s) * high * low / span, 0.0)
    if isinstance(alpha, str) and alpha == "parallel":
        return Lines(chord, chord, intercept)
    if isinstance(alpha, str):
        alpha = adaptive_slopes(low, high) if alpha == "adaptive" else jnp.zeros_like(low)
    return Lines(jnp.where(unstable, s + (1 - s) * alpha, chord), chord, intercept)


def adaptive_slopes(low: Array, high: Array) -> Array:
    """CROWN's slopes: 1 where u > -l, else 0; u = -l up to rounding counts as equal."""
    tie = 8 * float(jnp.finfo(low.dtype).eps)
    return (high + low > tie * (high - low)).astype(low.dtype)


def _maximum_lines(step: Step, low: Array, high: Array) -> Lines:
    """Lines of a maximum: an entry of the window below, and one or a constant above.

    Below: the entry with the largest lower bound. Above: the same one where it is above all others
    for certain, else the largest upper bound.
    """
    assert step.apply is not None
    lows = step.apply("full", [low], -jnp.inf)  # type: ignore[arg-type]
    highs = step.apply("full", [high], -jnp.inf)  # type: ignore[arg-type]
    best = jax.nn.one_hot(lows.argmax(0), len(lows), axis=0, dtype=low.dtype)
    others = jnp.where(best > 0, -jnp.inf, highs).max(0)
    sure = (lows.max(0) >= others).astype(low.dtype)
    return Lines(best, best * sure, jnp.where(sure > 0, 0.0, highs.max(0)))
