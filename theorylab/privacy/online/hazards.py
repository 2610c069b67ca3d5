"""Firing learners in closed form: one that is private only step by step, and Name & Shame.

Source: Dmitriev, Szabó & Sanyal 2024, section 4 (Name & Shame); the other is our construction,
docs/derivations/dp_online.md, statement 9.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from theorylab import checks
from theorylab.privacy.online.firing import FiringLaw, PieceLaw
from theorylab.privacy.online.streams import Pieces


@dataclass(frozen=True)
class StationaryHazard(FiringLaw):
    """The learner that fires in every round with probability sigmoid(epsilon (count - threshold)).

    A trap, kept as a counter-example: every single round is epsilon-private, as a count more moves
    the log-odds by epsilon, but the whole sequence is not, because every further round adds to the
    loss. Use `AboveThreshold`, whose one threshold noise is shared by all rounds, in its place.

    Args:
        threshold: any finite number.
        epsilon: of a single round, above 0.

    Raises:
        InputError: an argument out of range.
    """

    threshold: float
    epsilon: float

    def __post_init__(self) -> None:
        checks.number("threshold", self.threshold)
        checks.number("epsilon", self.epsilon, 0.0, open_low=True)

    def hazard(self, counts: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """The probability of firing in a round after which the count is this."""
        return np.exp(-np.logaddexp(0.0, -self._log_odds(counts)))

    def step_log_ratio(self, count: int) -> float:
        """The largest log ratio of one round's outcomes between this count and the next."""
        odds = self._log_odds(np.array([count, count + 1.0]))
        fire, wait = -np.logaddexp(0.0, -odds), -np.logaddexp(0.0, odds)
        return float(max(abs(fire[1] - fire[0]), abs(wait[1] - wait[0])))

    def piece_law(self, stretches: Pieces) -> PieceLaw:
        """The law over consecutive stretches, in closed form."""
        counts = np.asarray(stretches.counts, np.float64)
        lengths = np.array([float(n) for n in stretches.lengths])
        wait = -lengths * np.logaddexp(0.0, self._log_odds(counts))
        silent = np.cumsum(wait)
        before = np.concatenate([[0.0], silent[:-1]])
        return PieceLaw(np.exp(before) * -np.expm1(wait), np.exp(silent))

    def _log_odds(self, counts: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        return float(self.epsilon) * (np.asarray(counts, np.float64) - float(self.threshold))


@dataclass(frozen=True)
class NameAndShame(FiringLaw):
    """The learner that keeps each example with probability delta and fires once it has kept a one.

    It is (0, delta)-private and makes at most Ldim / delta mistakes in expectation, whatever T:
    beyond T ~ exp(1 / delta) nothing better is needed. On a class of points, whose Littlestone
    dimension is 1, firing is all that it does; `name_and_shame_mistakes` plays it on any class.

    Args:
        delta: above 0 and below 1.

    Raises:
        InputError: delta out of range.
    """

    delta: float

    def __post_init__(self) -> None:
        checks.number("delta", self.delta, 0.0, 1.0, open_low=True, open_high=True)

    def piece_law(self, stretches: Pieces) -> PieceLaw:
        """The law over consecutive stretches, in closed form: (1 - delta)^count is silent."""
        counts = np.array([float(c) for c in stretches.counts])
        silent = counts * np.log1p(-float(self.delta))
        before = np.concatenate([[0.0], silent[:-1]])
        return PieceLaw(np.exp(before) * -np.expm1(silent - before), np.exp(silent))


def name_and_shame_expected_mistakes(delta: float, ones: int) -> float:
    """E[M] of Name & Shame on a class of points, in closed form.

    Args:
        delta: above 0 and below 1.
        ones: how many ones the stream has, at least 0.

    Returns:
        (1 - (1 - delta)^ones) / delta, at most 1 / delta.

    Raises:
        InputError: an argument out of range.

    Source:
        Our derivation, docs/derivations/dp_online.md, statement 8: a geometric sum.
    """
    share = float(checks.number("delta", delta, 0.0, 1.0, open_low=True, open_high=True))
    return float(-np.expm1(checks.count("ones", ones, 0) * np.log1p(-share)) / share)
