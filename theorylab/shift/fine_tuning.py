"""What a fine-tuning run is: how many steps, at which rates, on which batches in which order.

Source: the public code of Yu, Yang, Wei, Ma, Steinhardt (ICML 2022).
"""

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Key

from theorylab.checks import choice, count, number
from theorylab.checks import key as checked_key
from theorylab.errors import InputError


@dataclass(frozen=True)
class FineTuning:
    """T steps of SGD with momentum, the learning rate falling to 0 along half a cosine.

    Defaults are those of the paper's code. The cosine falls over exactly T steps.

    Attributes:
        steps: T.
        lr: learning rate at the start.
        momentum: of SGD.
        batch_size: samples per step.
        schedule: "cosine" or "constant".
        period: that of the cosine: another one than `steps` is a mistake that changes the norm by
            more than a shift does, and is there to be shown.

    Raises:
        InputError: counts below 1, numbers out of range.
    """

    steps: int = 500
    lr: float = 1e-3
    momentum: float = 0.9
    batch_size: int = 128
    schedule: Literal["cosine", "constant"] = "cosine"
    period: int | None = None

    def __post_init__(self) -> None:
        count("steps", self.steps)
        count("batch_size", self.batch_size)
        if self.period is not None:
            count("period", self.period)
        number("lr", self.lr, 0.0, open_low=True)
        number("momentum", self.momentum, 0.0, 1.0, open_high=True)
        choice("schedule", self.schedule, ("cosine", "constant"))

    def rates(self) -> Float[np.ndarray, " t"]:
        """Learning rate of every step."""
        return _rates(self)


@lru_cache(maxsize=32)
def _rates(recipe: FineTuning) -> Float[np.ndarray, " t"]:
    cosine = optax.cosine_decay_schedule(recipe.lr, recipe.period or recipe.steps)
    schedule = cosine if recipe.schedule == "cosine" else optax.constant_schedule(recipe.lr)
    return np.asarray(jax.vmap(schedule)(jnp.arange(recipe.steps)), np.float32)


def batch_order(key: Key[Array, ""], n: int, steps: int, batch_size: int) -> Int[Array, "t b"]:
    """Row numbers of every batch: a new permutation every epoch, what is left of an epoch dropped.

    Args:
        key: typed key.
        n: samples.
        steps: batches.
        batch_size: rows per batch.

    Returns:
        (steps, batch_size) row numbers.

    Raises:
        InputError: counts below 1.
    """
    n, steps, batch_size = count("n", n), count("steps", steps), count("batch_size", batch_size)
    if batch_size > n:
        raise InputError(
            f"batch_size = {batch_size} exceeds n = {n}; give a smaller one, or more samples"
        )
    return _batch_order(checked_key("key", key), n, steps, batch_size)


@partial(jax.jit, static_argnames=("n", "steps", "batch_size"))
def _batch_order(key: Array, n: int, steps: int, batch_size: int) -> Array:
    batches = n // batch_size
    epochs = -(-steps // batches)
    keys = jax.random.split(key, epochs)
    order = jax.vmap(lambda k: jax.random.permutation(k, n)[: batches * batch_size])(keys)
    return order.reshape(-1, batch_size)[:steps]
