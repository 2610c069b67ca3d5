"""The learning rate of the benchmark: a short rise, then a straight line that does not reach 0."""

from collections.abc import Callable

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from theorylab import checks


def linear_budget_schedule(
    steps: int, learning_rate: float
) -> Callable[[ArrayLike], Float[Array, "..."]]:
    """The learning rate of a run: a short rise, then a straight line to about a fifth of its peak.

    With w = floor(steps / 100) it is lr (t + 1) / (w + 1) at step t < w, then lr (1 - (t - w) /
    (1.25 steps)).

    Args:
        steps: of the run, at least 1.
        learning_rate: lr, the peak, above 0.

    Returns:
        A function from a step number 0, 1, ..., or an array of them (...), to rates (...), as
        optax's schedules are.

    Raises:
        InputError: a number of steps below 1, or a learning rate that is not positive.

    Source:
        Goel et al. 2024, the scheduler of their code; Li, Yumer, Ramanan 2020 (arXiv 1905.04753)
        for the linear budget.
    """
    steps = checks.count("steps", steps)
    rate = float(checks.positive("learning_rate", learning_rate, ndim=0))
    warm = steps // 100

    def schedule(t: ArrayLike) -> Float[Array, "..."]:
        t = jnp.asarray(t, jnp.float32)
        rise, fall = (t + 1) / (warm + 1), 1 - (t - warm) / (1.25 * steps)
        return rate * jnp.where(t < warm, rise, fall)

    return schedule
