"""Which learners are concentrated: those whose outputs have few ones, on a domain that is large."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from theorylab import checks


@dataclass(frozen=True)
class QuietPoint:
    """A point at which a learner almost never says 1.

    point: its index, -1 if every point is loud in some round. probability: the union bound over
    rounds on P[some prediction there is 1]. loud: how many points are loud, by round, (T,).
    most_ones: the largest expected number of ones of a prediction.
    """

    point: int
    probability: float
    loud: Float[np.ndarray, " T"]
    most_ones: float


def quiet_point(
    marginals: Float[np.ndarray, "T N"], beta: float, *, reserved: int = 2
) -> QuietPoint:
    """Find the point that makes a learner concentrated, from the laws of its predictions on an
    uninformative stream.

    A point is loud in a round if it is predicted 1 with probability at least beta / T; a learner
    whose predictions have at most K ones has at most K T / beta loud points a round, hence a quiet
    one as soon as the domain is larger than `concentration_domain`.
    marginals: P[prediction of round t at x is 1], (T, N), in [0, 1]. beta: in (0, 1).
    reserved: the first points, which cannot be chosen (the stream's own and the target's).
    Returns the point with the smallest union bound. Source: Dmitriev et al. 2024, lemma 1.
    """
    given = np.asarray(checks.within("marginals", marginals, 0.0, 1.0, ndim=2), np.float64)
    share = float(checks.number("beta", beta, 0.0, 1.0, open_low=True, open_high=True))
    first = checks.count("reserved", reserved, 0, given.shape[1] - 1)
    loud = given >= share / len(given)
    quiet = np.flatnonzero(~loud[:, first:].any(0)) + first
    unions = given.sum(0)
    point = int(quiet[np.argmin(unions[quiet])]) if quiet.size else -1
    worst = float(unions[point]) if quiet.size else float(unions[first:].min())
    return QuietPoint(point, worst, loud.sum(1), float(given.sum(1).max()))


def concentration_domain(rounds: int, most_ones: int, beta: float) -> float:
    """The size of the domain from which every learner with at most K ones a prediction is
    beta-concentrated: 3 K T^2 / beta.

    rounds: T >= 1. most_ones: K >= 1. beta: in (0, 1). Source: Dmitriev et al. 2024, lemma 1.
    """
    share = float(checks.number("beta", beta, 0.0, 1.0, open_low=True, open_high=True))
    return 3 * checks.count("most_ones", most_ones) * checks.count("rounds", rounds) ** 2 / share
