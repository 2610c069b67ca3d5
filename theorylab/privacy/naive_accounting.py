"""Accounting that forgets the pre-processing, and an attack that shows it wrong.

Naive accounting pays for the private mechanism alone, as if pre-processing had left each record's
image to that record. The attack is a pair of neighbours, and everything about it is exact: the
outputs are two Gaussians, whose divergence has a closed form.
Source: the point is that of Hu, Sanyal & Schölkopf 2024; the neighbours are ours, those at which
docs/derivations/private_preprocessing.md, statement 5, is attained.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from theorylab import checks
from theorylab.errors import InputError
from theorylab.privacy.renyi import gaussian_delta, gaussian_epsilon

Dataset = Float[np.ndarray, "n d"]


@dataclass(frozen=True)
class NaiveAttack:
    """What naive accounting claims for a noisy mean, and what two neighbours show.

    Attributes:
        claimed_rho: zCDP parameter that naive accounting claims, for records of the unit ball.
        exact_rho: the Rényi divergence of the two outputs is exactly this times the order.
        claimed_shift: 2 / (n noise_std), what the claim says the mean moves at most.
        exact_shift: what it moves between the two, in standard deviations.
    """

    claimed_rho: float
    exact_rho: float
    claimed_shift: float
    exact_shift: float

    @property
    def refutes(self) -> bool:
        """Whether the two outputs are farther apart than the claim allows."""
        return self.exact_rho > self.claimed_rho * (1 + 1e-12)

    def exact_delta(self, *, claimed_delta: float) -> float:
        """The delta that holds where the naive claim, at its best, says `claimed_delta`.

        Args:
            claimed_delta: above 0 and below 1.

        Returns:
            The exact delta between the two outputs, at the epsilon of the claim.

        Raises:
            InputError: a delta out of range.
        """
        delta = checks.number("claimed_delta", claimed_delta, 0, 1, open_low=True, open_high=True)
        level = gaussian_epsilon(self.claimed_shift, delta=float(delta))
        return gaussian_delta(self.exact_shift, epsilon=level) if self.exact_shift else 0.0


def attack_noisy_mean(
    apply: Callable[[Any], Any],
    first: Any,
    second: Any,
    *,
    noise_std: float,
    signs: Any = None,
) -> NaiveAttack:
    """Compare the naive claim for a noisy mean of pre-processed records with two neighbours.

    With signs it is the mean of signed records: minus twice the gradient of the logistic loss at
    weights 0, for public labels. `aligned_signs` gives the labels that show most.

    Args:
        apply: the pre-processing, from (n, d) to images (n, d) in the unit ball.
        first: (n, d) a data set, NaN where a record is missing.
        second: (n, d) its neighbour: one record is another.
        noise_std: standard deviation of the noise on the mean, above 0.
        signs: (n,) -1 or 1 for each record, the same in both; None for 1.

    Returns:
        The claim and the exact divergence.

    Raises:
        InputError: data sets that are no neighbours, or an argument out of range.
    """
    left, right = _neighbours(first, second)
    std = float(checks.number("noise_std", noise_std, 0.0, open_low=True))
    changed = int((~((left == right) | (np.isnan(left) & np.isnan(right)))).any(1).sum())
    if changed > 1:
        raise InputError(f"second differs from first in {changed} records; one at most is needed")
    weights = np.ones(len(left)) if signs is None else checks.signs("signs", signs, n=len(left))
    gap = _movements(apply, left, right)
    moved = float(np.linalg.norm(np.asarray(weights, np.float64) @ gap)) / (len(left) * std)
    claim = 2 / (len(left) * std)
    return NaiveAttack(claim**2 / 2, moved**2 / 2, claim, moved)


def aligned_signs(apply: Callable[[Any], Any], first: Any, second: Any) -> Float[np.ndarray, " n"]:
    """Public labels under which the movements of the images add up in one direction.

    Args:
        apply: the pre-processing, from (n, d) to images (n, k).
        first: (n, d) a data set.
        second: (n, d) its neighbour.

    Returns:
        (n,) -1 or 1, by the side to which each image moves along the direction of most movement.

    Raises:
        InputError: shapes that do not fit, or images that are not finite.
    """
    gap = _movements(apply, *_neighbours(first, second))
    along = gap @ np.linalg.svd(gap, full_matrices=False)[2][0]
    return np.where(along < 0, -1.0, 1.0)


def missing_neighbours(n: int, *, missing: int) -> tuple[Dataset, Dataset]:
    """Two neighbours on which the noisy mean of mean-imputed records loses all that it can.

    Args:
        n: number of records.
        missing: how many are missing, below n.

    Returns:
        Two (n, 1) data sets: all that is there is 1; in the second one record is -1.

    Raises:
        InputError: a count out of range.
    """
    size = checks.count("n", n, at_least=2)
    gone = checks.count("missing", missing, at_least=0, at_most=size - 1)
    first = np.ones((size, 1))
    first[:gone] = np.nan
    second = first.copy()
    second[-1] = -1.0
    return first, second


def turning_neighbours(n: int, *, along: int) -> tuple[Dataset, Dataset]:
    """Two neighbours between which the first principal direction turns as far as its bound.

    Args:
        n: number of records.
        along: how many of them lie on the first axis, more than n / 2 and below n, so that the
            leading direction is near it.

    Returns:
        Two (n, 2) data sets of unit records: `along` at (1, 0), one at (1, ±1) / √2, the rest half
        at (0, 1) and half at (0, -1).

    Raises:
        InputError: a count out of range.
    """
    size = checks.count("n", n, at_least=4)
    many = checks.count("along", along, at_least=size // 2 + 1, at_most=size - 1)
    first = np.zeros((size, 2))
    first[:many, 0] = 1.0
    first[many:, 1] = (-1.0) ** np.arange(size - many)
    first[-1] = np.sqrt(0.5)
    second = first.copy()
    second[-1, 1] *= -1
    return first, second


def star_neighbours(n: int, *, leaves: int, radius: float = 0.2) -> tuple[Dataset, Dataset]:
    """Two neighbours between which dropping near-duplicates moves as many records as it can.

    Args:
        n: number of records, at least 2 leaves + 1.
        leaves: records of a star, each within the radius of its centre and farther from the others.
        radius: within which records are duplicates, in (0, 0.5].

    Returns:
        Two (n, leaves + 1) data sets: two stars on opposite sides; the one centre there is, the
        first record, changes from one to the other. The records that are left are 0.

    Raises:
        InputError: an argument out of range.
    """
    many = checks.count("leaves", leaves)
    size = checks.count("n", n, at_least=2 * many + 1)
    wide = float(checks.number("radius", radius, 0.0, 0.5, open_low=True))
    first = np.zeros((size, many + 1))
    along = math.sqrt(1 - wide**2)
    for side in (0, 1):
        rows = slice(1 + side * many, 1 + (side + 1) * many)
        first[rows, 0] = along * (1 - 2 * side)
        first[rows, 1:] = 0.9 * wide * np.eye(many)
    second = first.copy()
    first[0, 0], second[0, 0] = along, -along
    return first, second


def _neighbours(first: Any, second: Any) -> tuple[Any, Any]:
    left = np.asarray(checks.real("first", first, ndim=2), np.float64)
    right = np.asarray(checks.real("second", second, ndim=2), np.float64)
    if left.shape != right.shape:
        raise InputError(
            f"first has shape {left.shape} and second {right.shape}; neighbours have the same"
        )
    return left, right


def _movements(apply: Callable[[Any], Any], first: Any, second: Any) -> Any:
    """(n, k) by how much the images differ, record by record."""
    checks.function("apply", apply)
    gap = np.asarray(apply(first)) - np.asarray(apply(second))
    if not np.isfinite(gap).all():
        raise InputError(
            "first or second holds nan or inf after apply; finite images are needed (impute "
            "missing records)"
        )
    return gap
