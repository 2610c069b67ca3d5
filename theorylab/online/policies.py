"""Scheduling policies: pure functions from what an online algorithm may see to rates.

Write your own as a function of a `View` that gives rates (n,) or an `Action`; `schedule` runs it.

Source: Purohit, Svitkina, Kumar (2018, PSK), preferential round robin; Wei, Zhang (2020, WZ), the
two-stage schedule.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from theorylab import checks
from theorylab.online.reductions import least, some, total
from theorylab.pytrees import register


class View(NamedTuple):
    """What an online algorithm knows at an event; sizes of unfinished jobs are not in it.

    Attributes:
        predictions: predicted sizes.
        rank: place of each job in increasing order of prediction, 0 first, ties by index.
        attained: service received so far.
        unfinished: jobs still to be served.
        early: jobs that finished before they had received their predicted size.
        overrun: jobs that received their predicted size without finishing (stays set when they
            finish later).
        finished_at: completion times, infinite for unfinished jobs.
        time: now.
        phase: how many of the requested wake-ups have come.
    """

    predictions: Float[Array, " n"]
    rank: Int[Array, " n"]
    attained: Float[Array, " n"]
    unfinished: Bool[Array, " n"]
    early: Bool[Array, " n"]
    overrun: Bool[Array, " n"]
    finished_at: Float[Array, " n"]
    time: Float[Array, ""]
    phase: Int[Array, ""]


class Action(NamedTuple):
    """Rates to serve at, and when to be asked again at the latest.

    Wake-ups come once each and in order: a time not later than that of the last one is ignored.

    Attributes:
        rates: (n,) >= 0, of sum at most 1.
        wake: absolute time.
    """

    rates: Float[Array, " n"]
    wake: Any = jnp.inf


Policy = Callable[[View], Any]


def equal_rates(view: View) -> Float[Array, " n"]:
    """Share the processor equally among the unfinished jobs.

    Args:
        view: what is known.

    Returns:
        (n,) rates.

    Raises:
        InputError: what is no `View`.
    """
    checks.instance("view", view, View, "a View of arrays (n,)")
    return view.unfinished / jnp.maximum(total(view.unfinished.astype(view.attained.dtype)), 1)


def shortest_first(view: View) -> Float[Array, " n"]:
    """Give the whole processor to the unfinished job of smallest prediction, ties by index.

    Args:
        view: what is known.

    Returns:
        (n,) rates.

    Raises:
        InputError: what is no `View`.
    """
    checks.instance("view", view, View, "a View of arrays (n,)")
    n, dtype = view.rank.shape[0], view.attained.dtype
    # no `where`, under vmap it would transpose
    head = least(view.rank + n * (~view.unfinished).astype(dtype))
    return (view.unfinished & (view.rank == head)).astype(view.attained.dtype)


@register()
@dataclass(frozen=True)
class RoundRobin:
    """Equal rates to all unfinished jobs: 2n/(n+1)-competitive, blind to predictions."""

    wakes: ClassVar[int] = 0
    watches: ClassVar[bool] = False

    def __call__(self, view: View) -> Float[Array, " n"]:
        """Equal rates."""
        return equal_rates(view)


@register()
@dataclass(frozen=True)
class ShortestPredictedFirst:
    """Run to completion in increasing order of prediction: 1-consistent, n-robust."""

    wakes: ClassVar[int] = 0
    watches: ClassVar[bool] = False

    def __call__(self, view: View) -> Float[Array, " n"]:
        """All to the first in predicted order."""
        return shortest_first(view)


@register()
@dataclass(frozen=True)
class PreferentialRoundRobin:
    """PSK's combination: a share to the predicted-shortest job, the rest equally.

    Exact ratios: `prr_consistency`, `prr_robustness`.

    Attributes:
        spjf_share: the share (their lambda), in [0, 1]; 0 is round robin, 1 the predicted order.

    Raises:
        InputError: when it runs, for a share outside [0, 1].
    """

    spjf_share: Float[Array, ""] | float
    wakes: ClassVar[int] = 0
    watches: ClassVar[bool] = False

    def check(self) -> None:
        """Refuse a share outside [0, 1].

        The simulator calls it: JAX makes PyTrees of anything, not of numbers only.
        """
        checks.number("spjf_share", self.spjf_share, 0, 1)

    def __call__(self, view: View) -> Float[Array, " n"]:
        """The share to the predicted-shortest, the rest equally."""
        return self.spjf_share * shortest_first(view) + (1 - self.spjf_share) * equal_rates(view)


@register()
@dataclass(frozen=True)
class TwoStage:
    """WZ's two-stage schedule: round robin until T1 = lam n OPT(y) / C(n, 2), then by prediction.

    As soon as a job deviates from its prediction it falls back to round robin for good: when a job
    finishes early, or has received its predicted size without finishing.

    Attributes:
        lam: consistency minus one, >= 0.
        detect_overrun: False notices a late job only when it finishes (as some implementations do),
            which loses the robustness.

    Raises:
        InputError: when it runs, for a negative lam.
    """

    lam: Float[Array, ""] | float
    detect_overrun: Bool[Array, ""] | bool = True
    wakes: ClassVar[int] = 1

    @property
    def watches(self) -> bool:
        """Whether it looks for overruns."""
        return True

    def check(self) -> None:
        """Refuse a negative lam, and what is neither true nor false. The simulator calls it."""
        checks.number("lam", self.lam, 0)
        checks.within("detect_overrun", self.detect_overrun, 0, 1, whole=True, ndim=0)

    def __call__(self, view: View) -> Action:
        """Rates of the stage, and the time at which the first one ends."""
        checks.instance("view", view, View, "a View of arrays (n,)")
        n = view.predictions.shape[0]
        opt = jnp.sum((n - view.rank) * view.predictions)
        end = self.lam * opt * (2 / max(n - 1, 1)) * (n > 1)
        late = view.overrun & (self.detect_overrun | ~view.unfinished)
        fallen = some(view.early | late, view.attained.dtype)
        sharing = (view.phase == 0) | fallen
        rates = jnp.where(sharing, equal_rates(view), shortest_first(view))
        return Action(rates, jnp.where((view.phase == 0) & ~fallen, end, jnp.inf))
