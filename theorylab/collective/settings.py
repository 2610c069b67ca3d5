"""What a success curve is measured on: a learner, its data, and what a collective plants in them.

Source: Ben-Dov, Fawkes, Samadi, Sanyal (ICML 2024), experiments.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, Key, PyTree

from theorylab import checks
from theorylab.collective.checks import classes_of, label
from theorylab.collective.finite import STRATEGIES, Strategy
from theorylab.collective.rules import Model
from theorylab.collective.signals import Planted, Signal, plant

SETTING = "f init sample signal y_star strategy"  # what was given without a record before 0.2


class Sample(NamedTuple):
    """Training and test data of one seed, nothing planted yet.

    Attributes:
        x, y: (n, ...) training samples and (n,) their labels.
        x_test, y_test: (m, ...) test samples and (m,) their labels.
        groups: (n,) for `GroupDRO`, the labels by default.
    """

    x: Float[Array, "n ..."]
    y: Int[Array, " n"]
    x_test: Float[Array, "m ..."]
    y_test: Int[Array, " m"]
    groups: Int[Array, " n"] | None = None


@dataclass(frozen=True)
class Setting:
    """A learner, its data, and what a collective plants in them.

    All of it is static: pass the same functions again and nothing is compiled a second time.

    Attributes:
        f: `f(params, x) -> logits` (n, K).
        init: key -> parameters.
        sample: key -> `Sample`.
        signal: what members plant.
        y_star: target label.
        strategy: as in `plant`.

    Raises:
        InputError: what is no function, no label or no strategy.
    """

    f: Model
    init: Callable[[Key[Array, ""]], PyTree]
    sample: Callable[[Key[Array, ""]], Sample]
    signal: Signal
    y_star: int
    strategy: Strategy = "feature_label"

    def __post_init__(self) -> None:
        for name in ("f", "init", "sample", "signal"):
            checks.function(name, getattr(self, name))
        label("y_star", self.y_star)
        object.__setattr__(self, "y_star", int(self.y_star))
        checks.choice("strategy", self.strategy, STRATEGIES)

    def plant(self, x: Array, y: Array, members: Array) -> Planted:
        """Samples and labels after the members have planted theirs."""
        return plant(x, y, members, self.signal, self.y_star, strategy=self.strategy)


def success(
    f: Model, params: PyTree, x: Float[ArrayLike, "m ..."], signal: Signal, y_star: int
) -> Float[Array, ""]:
    """Share of the points, of all labels, that the model gives y_star once they carry the signal.

    Args:
        f, params: `f(params, x) -> logits` and its parameters.
        x: (m, ...) points without the signal.
        signal: what plants it.
        y_star: target label.

    Returns:
        The share, in [0, 1].

    Raises:
        InputError: data or a label that do not fit the model.
    """
    signalled = checks.function("signal", signal)(jnp.asarray(checks.finite("x", x)))
    label("y_star", y_star, classes_of(f, params, signalled))
    return (f(params, signalled).argmax(-1) == y_star).mean()


def check_axes(
    setting: Any, alphas: Float[ArrayLike, "a"] | Sequence[float], keys: Key[Array, "s"]
) -> Float[Array, " a"]:
    """The sizes, after a look at what both kinds of curves are given."""
    checks.instance("setting", setting, Setting, "Setting(f, init, sample, signal, y_star)")
    checks.key("keys", keys, ndim=1)
    return jnp.asarray(checks.within("alphas", alphas, 0, 1, ndim=1), float)
