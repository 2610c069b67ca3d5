"""How far the directions of a sample, or of another distribution, are from those of the population.

Operator norms of differences of projections on k leading directions; `pillar.subspace_error`
measures them. `private_sample_rates` has what private methods need, up to constants and logarithms.

Source: Pinto, Hu, Yang & Sanyal 2024 (PILLAR), section 3 and appendix; lemmas 2 and 3 are Zwald &
Blanchard 2005. What is ours is in docs/derivations/semi_private.md.
"""

import math
from collections.abc import Mapping

from theorylab import checks
from theorylab.errors import InputError


def perturbation_bound(change: float, *, eigengap: float) -> float:
    """How far leading directions move when a covariance does.

    Args:
        change: operator norm of the change of the covariance, at least 0.
        eigengap: of the covariance below the last direction, above 0.

    Returns:
        2 change / eigengap where change < eigengap / 4, else 1, which is always true.

    Raises:
        InputError: an argument out of range.

    Source:
        Zwald & Blanchard 2005, theorem 3; lemma 2 of the paper.
    """
    size = float(checks.number("change", change, 0.0))
    gap = _gap(eigengap)
    return 2 * size / gap if size < gap / 4 else 1.0


def sampling_bound(n: int, *, eigengap: float, failure: float) -> float:
    """How far the leading directions of n records in the unit ball are from the population's.

    Args:
        n: number of records, of mean 0.
        eigengap: of their covariance below the last direction, above 0.
        failure: the probability that it is exceeded, in (0, 1).

    Returns:
        4 (1 + √(log(1 / failure) / 2)) / (eigengap √n). Above 1, where n is below what the lemma
        asks for, it says nothing.

    Raises:
        InputError: an argument out of range.

    Source:
        Zwald & Blanchard 2005, theorem 4; lemma 3 of the paper.
    """
    many, gap = checks.count("n", n), _gap(eigengap)
    chance = float(checks.number("failure", failure, 0.0, 1.0, open_low=True, open_high=True))
    return 4 * (1 + math.sqrt(math.log(1 / chance) / 2)) / (gap * math.sqrt(many))


def shift_bound(shift: float, *, eigengap: float, constant: float = 1.0) -> float:
    """How far leading directions are apart under a shift of the distribution in the unit ball.

    Args:
        shift: total variation between the two distributions, in [0, 1].
        eigengap: of one of them below the last direction, above 0.
        constant: of the change of the second moments, at most constant x shift; the paper's is 7
            and needs small third moments, ours is 1 and needs nothing.

    Returns:
        `perturbation_bound` of the change.

    Raises:
        InputError: an argument out of range.

    Source:
        docs/derivations/semi_private.md, statement 3; lemma 5 of the paper has the constant 7.
    """
    away = float(checks.number("shift", shift, 0.0, 1.0))
    factor = float(checks.number("constant", constant, 0.0, open_low=True))
    return perturbation_bound(factor * away, eigengap=eigengap)


def relative_deviation_bound(n: int, *, dimension: int, excess: float, factor: float) -> float:
    """The chance that some halfspace's error exceeds (1 + factor) times its empirical error.

    Args:
        n: number of records.
        dimension: of the halfspaces through the origin, which is their VC dimension.
        excess: by how much, in (0, 1].
        factor: z of the lemma, above 0.

    Returns:
        4 Π(2n) exp(-excess factor n / (4 (factor + 1))), at most 1, with Sauer's bound on Π.

    Raises:
        InputError: an argument out of range.

    Source:
        Lemma 6 of the paper, as in Cortes, Mansour & Mohri 2019.
    """
    many, d = checks.count("n", n), checks.count("dimension", dimension)
    more = float(checks.number("excess", excess, 0.0, 1.0, open_low=True))
    times = float(checks.number("factor", factor, 0.0, open_low=True))
    sides = 2 * many
    growth = sides * math.log(2) if sides <= d else d * math.log(math.e * sides / d)
    return math.exp(min(0.0, math.log(4) + growth - more * times * many / (4 * (times + 1))))


def private_sample_rates(  # the table of methods, one number a row
    *, d: int, rank: int, error: float, epsilon: float, gamma: float, zeta: float
) -> Mapping[str, float]:
    """Private labelled records that each method needs, without constants and logarithms.

    Args:
        d: dimension of the records.
        rank: directions that PILLAR takes.
        error: the error that is asked for, in (0, 1).
        epsilon: privacy, above 0.
        gamma: the margin, in (0, 1].
        zeta: what is left of it behind the projection, in (0, 1].

    Returns:
        Method to rate: "Noisy-SGD", "generic", "Johnson-Lindenstrauss", "PILLAR", and
        "PILLAR, not private" for the same hinge without privacy.

    Raises:
        InputError: an argument out of range.

    Source:
        Pinto, Hu, Yang & Sanyal 2024, table 1, theorem 1 and proposition 4.
    """
    full = checks.count("d", d)
    few = checks.count("rank", rank, at_most=full)
    wrong = float(checks.number("error", error, 0.0, 1.0, open_low=True, open_high=True))
    level = float(checks.number("epsilon", epsilon, 0.0, open_low=True))
    wide = float(checks.number("gamma", gamma, 0.0, 1.0, open_low=True))
    left = float(checks.number("zeta", zeta, -1.0, 1.0))
    if left <= 0:
        raise InputError(
            f"zeta = {left:.4g}; a margin above 0 has to be left behind the projection (see "
            "pillar.sharp_margin): take more directions"
        )
    return {
        "Noisy-SGD": math.sqrt(full) / (wrong * level * wide),
        "generic": full / (wrong * level),
        "Johnson-Lindenstrauss": 1 / (wrong * level * wide**2),
        "PILLAR": math.sqrt(few) / (wrong * level * left),
        "PILLAR, not private": 1 / (left * wrong**2),
    }


def _gap(value: float) -> float:
    return float(checks.number("eigengap", value, 0.0, open_low=True))
