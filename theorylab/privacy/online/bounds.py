"""How many mistakes any private online learner must make: lower bounds with explicit constants.

A learner is beta-concentrated if on a stream without ones the probability is at most beta that it
says 1 at the informative point in some round.
Source: Dmitriev, Szabó & Sanyal 2024, theorem 1; the constants are our derivation,
docs/derivations/dp_online.md, statements 4 to 7.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from theorylab import checks
from theorylab.errors import InputError
from theorylab.privacy.online.adversary import (
    MOST,
    REFERENCE_EPSILON,
    BisectionAdversary,
    adversary_for,
    weighted_adversary,
)

Case = Literal["concentration", "bisection", "weighted bisection"]


@dataclass(frozen=True)
class MistakeBound:
    """A lower bound on E[M], and what gives it.

    Attributes:
        value: the bound, at least 0.
        case: which argument gives it: "concentration", "bisection" or "weighted bisection".
        steps: how many steps of the adversary that takes, or how many ones add to it.
        repeats: examples that the adversary inserts in a step; 1 where the stream is ones alone.
        parts: into which the adversary cuts; 1 where the stream is ones alone.
    """

    value: float
    case: Case
    steps: int
    repeats: int = 1
    parts: int = 1


def mistake_lower_bound(rounds: int, epsilon: float, delta: float, beta: float) -> MistakeBound:
    """The largest lower bound on the mistakes of private learners that we can prove.

    It holds for every beta-concentrated (epsilon, delta)-private online learner of a class with a
    distinguishing tuple. It is the best of: ones alone (`concentration_bound`); d k (1 - 3 beta - 2
    k delta_d) for d = D, D / 2, D / 4, ..., rounded down, where D is the largest d with d epsilon
    <= log(3/2), and k = floor(log2(T / d + 1)) steps fit in T rounds; and k (1 - 2 beta - 4 k
    delta) with parts and weight for any epsilon. The adversary may stop early, so k is at most what
    fits, and the bound grows like log T until it stays at order 1 / delta.

    Args:
        rounds: T >= 1, any size.
        epsilon: above 0 and at most 20.
        delta: at least 0 and below 1.
        beta: in [0, 1].

    Returns:
        A `MistakeBound`.

    Raises:
        InputError: an argument out of range.

    Examples:
        >>> bound = mistake_lower_bound(2**60, 0.5, 0.0, 0.1)
        >>> round(bound.value, 6), bound.case, bound.steps
        (29.6, 'weighted bisection', 37)
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
    """The mistakes that one adversary forces within T rounds, stopping when that is best.

    Args:
        adversary: whose guarantee is used.
        rounds: T >= 1, any size.
        delta: of the learner, at least 0 and below 1.
        beta: of the learner, in [0, 1].

    Returns:
        A `MistakeBound`, the largest d k p_k over the adversary's certain steps k, where p_k is the
        survival that `BisectionAdversary.bounds` guarantees.

    Raises:
        InputError: an argument out of range, or a rule that guarantees nothing at its epsilon.
    """
    checks.instance("adversary", adversary, BisectionAdversary, "a BisectionAdversary")
    steps = adversary.steps(rounds)
    survival, _ = adversary.bounds(beta, delta, steps)
    forced = adversary.repeats * np.arange(steps + 1) * survival
    k = int(np.argmax(forced))
    case: Case = "bisection" if adversary.weight is None else "weighted bisection"
    return MistakeBound(float(forced[k]), case, k, adversary.repeats, adversary.parts)


def concentration_bound(rounds: int, epsilon: float, delta: float, beta: float) -> MistakeBound:
    """The mistakes forced by a stream of ones alone.

    The sum over i < T of what is left of 1 after e^{i epsilon} beta + delta (e^{i epsilon} - 1) /
    (e^epsilon - 1). It grows like log(1/beta) / epsilon, whatever T; with beta = delta = 0 the
    learner never moves and it is T.

    Args:
        rounds: T >= 1, any size.
        epsilon: above 0 and at most 20.
        delta: at least 0 and below 1.
        beta: in [0, 1].

    Returns:
        A `MistakeBound`.

    Raises:
        InputError: an argument out of range.

    Source:
        Dmitriev, Szabó & Sanyal 2024, theorem 1, case I; the sum is our derivation,
        docs/derivations/dp_online.md, statement 7.
    """
    horizon = checks.count("rounds", rounds)
    level = float(checks.number("epsilon", epsilon, 0.0, 20.0, open_low=True))
    slack = float(checks.number("delta", delta, 0.0, 1.0, open_high=True))
    share = float(checks.number("beta", beta, 0.0, 1.0))
    if share == slack == 0:
        return MistakeBound(float(horizon), "concentration", horizon)
    ratio = slack / math.expm1(level)
    # the first i at which the group bound reaches 1
    last = math.log((1 + ratio) / (share + ratio)) / level if math.isfinite(ratio) else math.inf
    if not min(horizon, last) <= MOST:
        raise InputError(
            f"epsilon = {level:g}, rounds = {checks.shown(horizon)}: the bound sums more than "
            f"{MOST:.0e} terms; a larger epsilon or fewer rounds are needed"
        )
    i = np.arange(min(horizon, math.ceil(min(last, horizon)) + 1))
    left = 1 - share * np.exp(i * level) - ratio * np.expm1(i * level)
    return MistakeBound(float(np.maximum(left, 0).sum()), "concentration", int((left > 0).sum()))


@dataclass(frozen=True)
class PrintedBounds:
    """The constants printed in the proof of theorem 1, at epsilon = log(3/2).

    Attributes:
        concentration: log(1 / beta) / (16 log(3/2)).
        bisection: log(T) / 8, which is claimed for T <= `horizon`.
        horizon: exp(1 / (32 delta)), infinity where that is beyond float64.
    """

    concentration: float
    bisection: float
    horizon: float


def printed_lower_bounds(rounds: int, delta: float, beta: float) -> PrintedBounds:
    """What the paper's own constants give at epsilon = log(3/2), to set beside ours.

    Args:
        rounds: T >= 1.
        delta: above 0 and below 1.
        beta: above 0 and below 1.

    Returns:
        The `PrintedBounds`; that T is within their horizon is not asked for.

    Raises:
        InputError: an argument out of range.

    Source:
        Dmitriev, Szabó & Sanyal 2024, proof of theorem 1.
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
