"""Which learners are concentrated: those whose outputs have few ones, on a domain that is large.

Source: Dmitriev, Szabó & Sanyal 2024, lemma 1.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from theorylab import checks


@dataclass(frozen=True)
class QuietPoint:
    """A point at which a learner almost never says 1.

    Attributes:
        point: its index, -1 if every point is loud in some round.
        probability: the union bound over rounds on the probability that some prediction there is 1;
            without a quiet point, the smallest of the points that can be chosen.
        loud: (T,) how many points are loud, by round.
        most_ones: the largest expected number of ones of a prediction.
    """

    point: int
    probability: float
    loud: Float[np.ndarray, " T"]
    most_ones: float


def quiet_point(
    marginals: Float[np.ndarray, "T N"], beta: float, *, reserved: int = 2
) -> QuietPoint:
    """The point that makes a learner concentrated, from the laws of its predictions.

    The predictions are those on an uninformative stream. A point is loud in a round if it is
    predicted 1 with probability at least beta / T; a learner whose predictions have at most K ones
    has at most K T / beta loud points per round, hence a quiet one as soon as the domain is larger
    than `concentration_domain`.

    Args:
        marginals: (T, N) probability that the prediction of round t at point x is 1, in [0, 1].
        beta: above 0 and below 1.
        reserved: how many of the first points cannot be chosen (the stream's own and the target's),
            at least 0 and below N.

    Returns:
        A `QuietPoint`: of those that are loud in no round, the one with the smallest union bound.

    Raises:
        InputError: an argument out of range.
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
    """The size of the domain from which learners with few ones in a prediction are concentrated.

    Args:
        rounds: T >= 1.
        most_ones: K >= 1, the most ones of a prediction.
        beta: above 0 and below 1.

    Returns:
        3 K T² / beta: on as many points such a learner is beta-concentrated.

    Raises:
        InputError: an argument out of range.
    """
    share = float(checks.number("beta", beta, 0.0, 1.0, open_low=True, open_high=True))
    return 3 * checks.count("most_ones", most_ones) * checks.count("rounds", rounds) ** 2 / share
