"""How far a pre-processing moves the other records when one record is replaced.

All bounds are for n records in the unit ball (in [-1, 1] for one column), of which one is replaced,
and hold between two data sets of the *collection* that each docstring names: the collection is part
of the guarantee, and looking at the private data to see whether they lie in it is itself a release
(`theorylab.privacy.propose_test_release` does it privately). Several columns that are processed
each by itself add their totals.
The maps themselves are in `theorylab.privacy.preprocessing`, and `theorylab.privacy.worst_case`
searches for data sets that come close to the bounds.
Source: ours, docs/derivations/private_preprocessing.md, statement 5, where no other is named; the
list of pre-processings is that of Hu, Sanyal & Schölkopf 2024.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from theorylab import checks
from theorylab.errors import InputError

CENTRES = ("none", "covariance", "records")
# half the largest spread of the eigenvalues by which one record moves n times the covariance
TURN = {"none": 1.0, "covariance": 1.5 * math.sqrt(3), "records": 1.5 * math.sqrt(3)}


@dataclass(frozen=True)
class Sensitivity:
    """How the images of the records common to two neighbouring data sets differ.

    Args:
        records: the largest number of common records whose image changes, at least 0.
        each: the largest distance that one of them moves, at least 0.
        total: the largest sum of these distances; never above records * each.

    Raises:
        InputError: an argument out of range, or a total above records * each.
    """

    records: int
    each: float
    total: float

    def __post_init__(self) -> None:
        """Refuse what no pre-processing can do."""
        checks.count("records", self.records, at_least=0)
        checks.number("each", self.each, 0.0)
        checks.number("total", self.total, 0.0)
        if self.total > self.records * self.each * (1 + 1e-9):
            raise InputError(
                f"total = {self.total:g}; at most records * each = {self.records * self.each:g} "
                "is needed"
            )


def mean_imputation(n: int, *, missing: int) -> Sensitivity:
    """Sensitivity of filling missing records with the mean of the others.

    Collection: at most `missing` records are missing. It is attained: behind it the mean of all
    records is the mean of the observed ones.

    Args:
        n: number of records.
        missing: most records that may be missing, below n.

    Returns:
        `missing` records move, each by at most 2 / (n - missing).

    Raises:
        InputError: a count out of range.

    Examples:
        >>> mean_imputation(50, missing=10)
        Sensitivity(records=10, each=0.05, total=0.5)
    """
    size, gone = _missing(n, missing)
    each = 2 / (size - gone)
    return Sensitivity(gone, each, gone * each)


def median_imputation(n: int, *, missing: int, gap: float) -> Sensitivity:
    """Sensitivity of filling missing entries of one column with the lower median of the others.

    Without a bound on the gap it is unbounded in n: the median may jump over the whole range.
    Collection: at most `missing` entries are missing, and the order statistics on either side of
    the median lie within `gap` of it.

    Args:
        n: number of records.
        missing: most entries that may be missing, below n.
        gap: bound on the gaps around the median, in (0, 2].

    Returns:
        `missing` entries move, each by at most gap.

    Raises:
        InputError: an argument out of range.
    """
    _, gone = _missing(n, missing)
    each = float(checks.number("gap", gap, 0.0, 2.0, open_low=True))
    return Sensitivity(gone, each, gone * each)


def trimmed_mean_imputation(
    n: int, *, missing: int, trimmed: int, width: float = 2.0
) -> Sensitivity:
    """Sensitivity of filling missing entries of one column with the trimmed mean of the others.

    Collection: at most `missing` entries are missing, and what trimming keeps, with the nearest
    trimmed entry on either side, spans at most `width`. The default width needs no collection.

    Args:
        n: number of records.
        missing: most entries that may be missing.
        trimmed: entries left out at each end; n - missing - 2 trimmed is at least 1.
        width: bound on the span, in (0, 2].

    Returns:
        `missing` entries move, each by at most width / (n - missing - 2 trimmed).

    Raises:
        InputError: an argument out of range.
    """
    size, gone = _missing(n, missing)
    cut = checks.count("trimmed", trimmed, at_least=0, at_most=(size - gone - 1) // 2)
    span = float(checks.number("width", width, 0.0, 2.0, open_low=True))
    each = span / (size - gone - 2 * cut)
    return Sensitivity(gone, each, gone * each)


def regression_imputation(
    n: int, *, missing: int, penalty: float, curvature: float = 0.0
) -> Sensitivity:
    """Sensitivity of filling missing targets with a ridge regression on the complete records.

    The regression minimises Σ (y - z·θ)² + n penalty |θ|² over the complete records, whose features
    z are in the unit ball and targets y in [-1, 1]. Collection: at most `missing` targets are
    missing, and the smallest eigenvalue of Σ z z^T over the complete records is at least
    n curvature; curvature 0 needs no collection.

    Args:
        n: number of records.
        missing: most targets that may be missing, below n.
        penalty: ridge penalty for each record, at least 0; above 0 where curvature is 0.
        curvature: bound on the smallest eigenvalue over n, at least 0.

    Returns:
        `missing` targets move, each by at most 2 (1 + B) / (n (penalty + curvature)), where B
        bounds |θ|, and by at most 2, as predictions are clipped.

    Raises:
        InputError: an argument out of range, or penalty and curvature both 0.
    """
    size, gone = _missing(n, missing)
    ridge = float(checks.number("penalty", penalty, 0.0))
    bend = float(checks.number("curvature", curvature, 0.0, 1.0))
    if ridge + bend == 0:
        raise InputError("penalty = 0 and curvature = 0; one of them above 0 is needed")
    # s / (s² + ridge) over s² >= curvature peaks at s² = ridge, or at the end of the range
    length = math.sqrt(bend) / (bend + ridge) if bend > ridge else 1 / (2 * math.sqrt(ridge))
    each = min(2 * (1 + length) / (size * (ridge + bend)), 2.0)
    return Sensitivity(gone, each, gone * each)


def quantization(n: int, *, diameter: float, largest: int | None = None) -> Sensitivity:
    """Sensitivity of replacing every record by the mean of its cluster.

    Collection: no two records are at a distance in (diameter, 2 diameter], so that being within
    `diameter` splits them into clusters, of at most `largest` records. Attained but for rounding.

    Args:
        n: number of records.
        diameter: the clusters' largest diameter, in (0, 2].
        largest: most records in a cluster; None for n.

    Returns:
        The total is at most 2 diameter (largest - 1) / largest, however large the clusters.

    Raises:
        InputError: an argument out of range.
    """
    size = checks.count("n", n, at_least=2)
    wide = float(checks.number("diameter", diameter, 0.0, 2.0, open_low=True))
    top = size if largest is None else checks.count("largest", largest, at_least=2, at_most=size)
    records = min(2 * (top - 1), size - 1)
    return Sensitivity(records, wide / 2, min(2 * wide * (top - 1) / top, records * wide / 2))


def deduplication_dropping(n: int, *, duplicates: int, separated: bool = False) -> Sensitivity:
    """Sensitivity of dropping every record that has a near-duplicate.

    A record that is dropped is the zero record, and means keep dividing by n. Collection: no record
    has more than `duplicates` others within the radius.

    Args:
        n: number of records.
        duplicates: that bound, at least 1.
        separated: whether the collection also has no distance in (radius, 2 radius], as where
            duplicates are exact copies: then only the other one of a pair comes back, or goes.

    Returns:
        At most 2 duplicates records (separated, 2) appear or vanish, each at a distance of at most
        1: little better than group privacy where one record has many.

    Raises:
        InputError: a count out of range.
    """
    size = checks.count("n", n, at_least=2)
    near = checks.count("duplicates", duplicates, at_most=size)
    pair = checks.flag("separated", separated)
    records = min(2 if pair else 2 * near, size - 1)
    return Sensitivity(records, 1.0, float(records))


def deduplication_keeping_one(
    n: int, *, diameter: float, order_matters: bool = False
) -> Sensitivity:
    """Sensitivity of keeping the first record of every cluster of near-duplicates.

    Collection: no two records are at a distance in (diameter, 2 diameter]. Chains of near-
    duplicates lie outside it: on them one record can decide about many.

    Args:
        n: number of records.
        diameter: the clusters' largest diameter, in (0, 1].
        order_matters: whether what follows knows the records by their places. To a mechanism that
            does not (a sum, gradient descent), one representative is replaced and one more moves.

    Returns:
        One record, by at most diameter; where the order matters two, each by at most 1.

    Raises:
        InputError: an argument out of range.
    """
    checks.count("n", n, at_least=3)
    wide = float(checks.number("diameter", diameter, 0.0, 1.0, open_low=True))
    return (
        Sensitivity(2, 1.0, 2.0)
        if checks.flag("order_matters", order_matters)
        else Sensitivity(1, wide, wide)
    )


def pca_projection(n: int, *, eigengap: float, centre: str = "none") -> Sensitivity:
    """Sensitivity of projecting every record on the leading principal directions.

    Collection: the k-th eigenvalue of the (n-normalised) covariance is at least `eigengap` above
    the next. Uncentred it is attained, as the number of records grows.

    Args:
        n: number of records.
        eigengap: that bound, in (0, 1].
        centre: "none"; "covariance", where the directions are those of centred records and the
            records themselves are not; "records", where both are (and have norm up to 2).

    Returns:
        All n - 1 common records move; the total is at most 1 / eigengap ("none"), 2.6 / eigengap
        ("covariance") or 2.6 / eigengap + 2 ("records"), where 2.6 stands for 3√3 / 2.

    Raises:
        InputError: an argument out of range.
    """
    return _principal(n, eigengap, centre, reduced=False)


def pca_reduction(n: int, *, eigengap: float, centre: str = "none") -> Sensitivity:
    """Sensitivity of the coordinates of the records along the leading principal directions.

    The basis must be turned by a random rotation drawn without the data (`preprocessing.
    pca_reduce` does): signs and order of eigenvectors can flip on a change of one record.

    Args:
        n: number of records.
        eigengap: as in `pca_projection`.
        centre: as in `pca_projection`.

    Returns:
        As `pca_projection`, with the chord in place of the sine of the angle: at most √2 times as
        much, and hardly more than it once n eigengap is large.

    Raises:
        InputError: an argument out of range.
    """
    return _principal(n, eigengap, centre, reduced=True)


def standard_scaling(n: int, *, min_std: float) -> Sensitivity:
    """Sensitivity of subtracting a column's mean and dividing by its standard deviation.

    Collection: the standard deviation (n-normalised) is at least `min_std`. Images leave the unit
    ball: a mechanism behind it has to be told a sensitivity for norms up to 2 / min_std.

    Args:
        n: number of records.
        min_std: that bound, in (0, 1].

    Returns:
        All n - 1 common entries move, each by at most 2 / (n min_std) + 4 / (n min_std³); the
        total is at most 2 / min_std² (1 + 1 / n) and at most 2 / min_std + 2 / min_std².

    Raises:
        InputError: an argument out of range.
    """
    size = checks.count("n", n, at_least=2)
    std = float(checks.number("min_std", min_std, 0.0, 1.0, open_low=True))
    each, total = scaling_movement(size, std)
    return Sensitivity(size - 1, float(each), float(total))


def _missing(n: int, missing: int) -> tuple[int, int]:
    size = checks.count("n", n, at_least=2)
    return size, checks.count("missing", missing, at_least=0, at_most=size - 1)


def _principal(n: int, eigengap: float, centre: str, reduced: bool) -> Sensitivity:
    size = checks.count("n", n, at_least=2)
    gap = float(checks.number("eigengap", eigengap, 0.0, 1.0, open_low=True))
    checks.choice("centre", centre, CENTRES)
    each, total = principal_movement(size, gap, centre, reduced=reduced)
    return Sensitivity(size - 1, float(each), float(total))


def principal_movement(
    n: int, eigengap: Any, centre: str, *, reduced: bool
) -> tuple[np.ndarray, np.ndarray]:
    """What `pca_projection` and `pca_reduction` say, for many eigengaps at once, without checks.

    Args:
        n: number of records.
        eigengap: (...) bounds in (0, 1].
        centre: as in `pca_projection`.
        reduced: whether it is the coordinates that move.

    Returns:
        (...) how far each record moves, and all together.
    """
    turn = np.minimum(TURN[centre] / (n * np.asarray(eigengap, np.float64)), 1.0)
    if reduced:
        # the chord √(2 - 2 cos) of an angle of this sine, without a difference of numbers near 1
        turn = turn * np.sqrt(2 / (1 + np.sqrt(1 - turn**2)))
    if centre != "records":
        return turn, (n - 1) * turn
    each = 2 * turn + 2 / n
    return each, np.minimum((n - 1) * each, n * turn + 2 * (n - 1) / n)


def scaling_movement(n: int, min_std: Any) -> tuple[np.ndarray, np.ndarray]:
    """What `standard_scaling` says, for many standard deviations at once, without checks.

    Args:
        n: number of records.
        min_std: (...) bounds in (0, 1].

    Returns:
        (...) how far each entry moves, and all together.
    """
    std = np.asarray(min_std, np.float64)
    each = 2 / (n * std) + 4 / (n * std**3)
    total = (1 - 1 / n) * math.sqrt(1 + 4 / n) * 2 / std**2
    return each, np.minimum((n - 1) * each, np.minimum(total, 2 / std + 2 / std**2))
