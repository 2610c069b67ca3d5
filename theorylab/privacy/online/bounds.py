"""How many mistakes any private online learner must make: lower bounds with explicit constants."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from theorylab import checks
from theorylab.privacy.online.adversary import (
    REFERENCE_EPSILON,
    BisectionAdversary,
    adversary_for,
    weighted_adversary,
)

Case = Literal["concentration", "bisection", "weighted bisection"]


@dataclass(frozen=True)
class MistakeBound:
    """A lower bound on E[M]: its value, which argument gives it, and how many steps that takes.

    repeats, parts: of the adversary; 1 and 1 where the stream is ones alone.
    """

    value: float
    case: Case
    steps: int
    repeats: int = 1
    parts: int = 1


def mistake_lower_bound(rounds: int, epsilon: float, delta: float, beta: float) -> MistakeBound:
    """The largest lower bound on E[M] that we can prove for every beta-concentrated
    (epsilon, delta)-private online learner of a class with a distinguishing tuple.

    It is the best of: ones alone (`concentration_bound`); d k (1 - 3 beta - 2 k delta_d) for every
    d with d epsilon <= log(3/2), where k = floor(log2(T / d + 1)) steps fit in T rounds; and
    k (1 - 2 beta - 4 k delta) with parts and weight for any epsilon. The adversary may stop early,
    so k is at most what fits, and the bound grows like log T until it stays at order 1 / delta.

    rounds: T >= 1, any size. epsilon: in (0, 20]. delta: in [0, 1). beta: in [0, 1].
    Raises InputError for arguments out of range. Source: Dmitriev, Szabó, Sanyal 2024, theorem 1;
    the constants are our derivation, docs/derivations/dp_online.md.
    """
    horizon = checks.count("rounds", rounds)
    share = float(checks.number("beta", beta, 0.0, 1.0))
    best = concentration_bound(horizon, epsilon, delta, share)
    for adversary in _adversaries(epsilon):
        found = bisection_bound(adversary, horizon, delta, share)
        best = found if found.value > best.value else best
    return best


def bisection_bound(
    adversary: BisectionAdversary, rounds: int, delta: float, beta: float
) -> MistakeBound:
    """E[M] that the adversary forces within T rounds, stopping when that is best: the largest
    d k p_k over its certain steps k.

    Raises InputError if its rule guarantees nothing at its epsilon.
    """
    checks.instance("adversary", adversary, BisectionAdversary, "a BisectionAdversary")
    steps = adversary.steps(rounds)
    survival, _ = adversary.bounds(beta, delta, steps)
    forced = adversary.repeats * np.arange(steps + 1) * survival
    k = int(np.argmax(forced))
    case: Case = "bisection" if adversary.weight is None else "weighted bisection"
    return MistakeBound(float(forced[k]), case, k, adversary.repeats, adversary.parts)


def concentration_bound(rounds: int, epsilon: float, delta: float, beta: float) -> MistakeBound:
    """E[M] forced by a stream of ones alone: the sum over i < T of what is left of 1 after
    e^{i epsilon} beta + delta (e^{i epsilon} - 1) / (e^epsilon - 1).

    It grows like log(1/beta) / epsilon, whatever T; with beta = delta = 0 the learner never moves
    and it is T. Source: Dmitriev et al. 2024, theorem 1, case I; the sum is our derivation.
    """
    horizon = checks.count("rounds", rounds)
    level = float(checks.number("epsilon", epsilon, 0.0, 20.0, open_low=True))
    slack = float(checks.number("delta", delta, 0.0, 1.0, open_high=True))
    share = float(checks.number("beta", beta, 0.0, 1.0))
    if share == slack == 0:
        return MistakeBound(float(horizon), "concentration", horizon)
    ratio = slack / math.expm1(level)
    # the first i at which the group bound reaches 1
    last = math.log((1 + ratio) / (share + ratio)) / level
    i = np.arange(min(horizon, math.ceil(last) + 1))
    left = 1 - share * np.exp(i * level) - ratio * np.expm1(i * level)
    return MistakeBound(float(np.maximum(left, 0).sum()), "concentration", int((left > 0).sum()))


@dataclass(frozen=True)
class PrintedBounds:
    """The constants printed in the proof of theorem 1, at epsilon = log(3/2).

    concentration: log(1 / beta) / (16 log(3/2)). bisection: log(T) / 8, for T <= `horizon`, which
    is exp(1 / (32 delta)).
    """

    concentration: float
    bisection: float
    horizon: float


def printed_lower_bounds(rounds: int, delta: float, beta: float) -> PrintedBounds:
    """What the paper's own constants give at epsilon = log(3/2), to set beside ours.

    rounds: T >= 1. delta, beta: in (0, 1). Source: Dmitriev et al. 2024, proof of theorem 1.
    """
    horizon = checks.count("rounds", rounds)
    slack = float(checks.number("delta", delta, 0.0, 1.0, open_low=True, open_high=True))
    share = float(checks.number("beta", beta, 0.0, 1.0, open_low=True, open_high=True))
    reach = math.exp(1 / (32 * slack)) if slack > 1 / 32 / 700 else math.inf
    return PrintedBounds(
        math.log(1 / share) / (16 * REFERENCE_EPSILON), math.log(horizon) / 8, reach
    )


def _adversaries(epsilon: float) -> Iterator[BisectionAdversary]:
    """Those whose guarantees hold at epsilon: repeats down from the most by halves, and weights."""
    most = adversary_for(epsilon)
    yield weighted_adversary(epsilon)
    if most.weight is None:
        repeats = most.repeats
        while repeats:
            yield BisectionAdversary(most.epsilon, repeats=repeats)
            repeats //= 2
