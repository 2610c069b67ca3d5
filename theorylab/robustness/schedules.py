"""How a robust training run changes over its steps: the radius, the learning rate.

Source: warm-up and ramp as in Shi et al. 2021 and in auto_LiRPA; the rest is ours.
"""

from dataclasses import dataclass
from typing import Any, Literal

import jax.numpy as jnp
import optax
from jax.typing import ArrayLike
from jaxtyping import Array

from theorylab import checks
from theorylab.errors import InputError

Ramp = Literal["linear", "smooth"]


@dataclass(frozen=True)
class Schedule:
    """A run's length, ramp and optimiser.

    Args:
        epochs: number of passes over the data, each in a new order.
        batch_size: samples in a step; an epoch has n // batch_size steps.
        learning_rate: of the first epoch, above 0.
        warmup: epochs at eps = 0 before the ramp.
        ramp: epochs over which eps grows to its target; 0 for none.
        start: eps at the start of the ramp, as a share of the target.
        shape: "linear", or "smooth": the fourth power over the first quarter, then linear
            (auto_LiRPA's SmoothedScheduler with beta = 4).
        optimizer: "sgd" with `momentum`, or "adam".
        momentum: of "sgd", at least 0 and below 1.
        milestones: epochs at whose start the learning rate is multiplied by `drop`.
        drop: in [0, 1].
        clip_norm: largest norm of a gradient, None for no limit.
        weight_decay: times the parameters, added to the gradient.
        loop: "device" compiles an epoch as one loop, "host" runs compiled steps; by default "host"
            for convolutions on CPU, which XLA runs slowly inside loops.

    Raises:
        InputError: an argument out of range.
    """

    epochs: int = 10
    batch_size: int = 100
    learning_rate: float = 1e-3
    warmup: int = 0
    ramp: int = 0
    start: float = 0.0
    shape: Ramp = "linear"
    optimizer: Literal["sgd", "adam"] = "adam"
    momentum: float = 0.0
    milestones: tuple[int, ...] = ()
    drop: float = 0.1
    clip_norm: float | None = None
    weight_decay: float = 0.0
    loop: Literal["device", "host"] | None = None

    def __post_init__(self) -> None:
        checks.count("epochs", self.epochs), checks.count("batch_size", self.batch_size)
        checks.count("warmup", self.warmup, 0), checks.count("ramp", self.ramp, 0)
        (
            checks.number("start", self.start, 0, 1),
            checks.choice("shape", self.shape, ("linear", "smooth")),
        )
        checks.number("learning_rate", self.learning_rate, 0, open_low=True)
        checks.choice("loop", self.loop, ("device", "host", None))
        checks.choice("optimizer", self.optimizer, ("sgd", "adam"))
        checks.number("momentum", self.momentum, 0, 1, open_high=True)
        checks.number("drop", self.drop, 0, 1), checks.number("weight_decay", self.weight_decay, 0)
        if self.clip_norm is not None:
            checks.number("clip_norm", self.clip_norm, 0, open_low=True)
        if not isinstance(self.milestones, tuple):
            raise InputError(f"milestones = {checks.shown(self.milestones)}; a tuple is needed")

    def ramp_at(self, step: Any, per_epoch: int) -> Array:
        """The share of the ramp done at a step, from 0 to 1."""
        first, length = self.warmup * per_epoch, self.ramp * per_epoch
        if not length:
            return jnp.where(step >= first, 1.0, 0.0)
        share = jnp.clip((step - first) / length, 0.0, 1.0)
        return share if self.shape == "linear" else smooth_ramp(share)

    def eps_share(self, step: Any, per_epoch: int) -> Array:
        """Radius at a step over its target; 0 during the warm-up."""
        share = self.start + (1 - self.start) * self.ramp_at(step, per_epoch)
        return jnp.where(step >= self.warmup * per_epoch, share, 0.0)

    def rate_share(self, step: Any, per_epoch: int) -> Array:
        """The learning rate at a step over the first one."""
        passed = sum((step >= m * per_epoch) * 1 for m in self.milestones) if self.milestones else 0
        return jnp.asarray(self.drop, float) ** passed

    def transformation(self) -> optax.GradientTransformation:
        """The optimiser without its learning rate."""
        parts = [optax.identity()]
        if self.clip_norm is not None:
            parts.append(optax.clip_by_global_norm(self.clip_norm))
        if self.weight_decay:
            parts.append(optax.add_decayed_weights(self.weight_decay))
        if self.optimizer == "adam":
            parts.append(optax.scale_by_adam())
        elif self.momentum:
            parts.append(optax.trace(self.momentum))
        return optax.chain(*parts)


def smooth_ramp(share: ArrayLike) -> Array:
    """The smoothed ramp from (0, 0) to (1, 1): a fourth power up to a quarter, then linear.

    The two have one slope where they meet.

    Args:
        share: of the steps of the ramp, in [0, 1]; any shape.

    Returns:
        The share of the target, of the shape of `share`.

    Raises:
        InputError: a share outside [0, 1].

    Source:
        auto_LiRPA's SmoothedScheduler, beta = 4, mid = 1/4.
    """
    share = jnp.asarray(checks.within("share", share, 0, 1))
    middle, beta = 0.25, 4
    a = 1 / (beta * middle ** (beta - 1) * (1 - middle) + middle**beta)
    slope = a * beta * middle ** (beta - 1)
    early = a * share**beta
    late = a * middle**beta + slope * (share - middle)
    return jnp.where(share < middle, early, late)
