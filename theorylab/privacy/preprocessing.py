"""Pre-processing that looks at all of the data: imputation, clusters, principal directions, scales.

Maps from records to records of the same number, in float64 on the host; leading axes are many data
sets at once. What replacing one record does to them is bounded in `theorylab.privacy.sensitivity`,
for records in the unit ball, which is what these maps accept. Records that are dropped become zero,
so that the number of records, and what means divide by, stays fixed.
None of this is private by itself: only what a private mechanism releases afterwards is, and only
when the sensitivity has been paid for. Means, scales and bases must not be released beside it.
Source: the list is that of Hu, Sanyal & Schölkopf 2024; what exactly each map does is what
docs/derivations/private_preprocessing.md, statement 5, bounds.
"""

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jaxtyping import Bool, Float

from theorylab import checks
from theorylab.errors import InputError
from theorylab.privacy.online.keys import spend
from theorylab.privacy.sensitivity import CENTRES

BALL = 1 + 1e-6  # rounding of records that were scaled in float32

Records = Float[np.ndarray, "*sets n d"]
Column = Float[np.ndarray, "*sets n"]


@dataclass(frozen=True)
class Deduplicated:
    """Records after dropping duplicates.

    Attributes:
        records: (..., n, d), zero where a record was dropped.
        kept: (..., n), whether it was kept.
    """

    records: Records
    kept: Bool[np.ndarray, "*sets n"]


def impute_mean(records: Any) -> Records:
    """Fill missing records with the mean of the others.

    Args:
        records: (..., n, d) in the unit ball; a record with a NaN is missing as a whole.

    Returns:
        (..., n, d) without NaN.

    Raises:
        InputError: a record outside the unit ball, or no record that is there.
    """
    rows = _records(records, gaps=True)
    seen = ~np.isnan(rows).any(-1)
    _some("records", seen.sum(-1), 1)
    total = np.where(seen[..., None], rows, 0.0).sum(-2, keepdims=True)
    return np.where(seen[..., None], rows, total / seen.sum(-1)[..., None, None])


def impute_median(column: Any) -> Column:
    """Fill missing entries with the lower median of the others.

    Args:
        column: (..., n) entries in [-1, 1], NaN where missing.

    Returns:
        (..., n) without NaN.

    Raises:
        InputError: an entry outside [-1, 1], or no entry that is there.
    """
    entries = _column(column, gaps=True)
    ordered = np.sort(entries, -1)  # NaN last
    seen = (~np.isnan(entries)).sum(-1)
    _some("column", seen, 1)
    middle = np.take_along_axis(ordered, ((seen - 1) // 2)[..., None], -1)
    return np.where(np.isnan(entries), middle, entries)


def impute_trimmed_mean(column: Any, *, trimmed: int) -> Column:
    """Fill missing entries with the mean of the others without the extreme ones.

    Args:
        column: (..., n) entries in [-1, 1], NaN where missing.
        trimmed: how many of the smallest, and of the largest, are left out.

    Returns:
        (..., n) without NaN.

    Raises:
        InputError: an entry outside [-1, 1], or none left after trimming.
    """
    entries = _column(column, gaps=True)
    cut = checks.count("trimmed", trimmed, at_least=0)
    ordered = np.sort(entries, -1)
    seen = (~np.isnan(entries)).sum(-1)
    if (seen - 2 * cut < 1).any():
        raise InputError(
            f"trimmed = {cut} and column has {int(seen.min())} entries that are there; fewer than "
            "half of them are needed at each end"
        )
    place = np.arange(entries.shape[-1])
    inside = (place >= cut) & (place < (seen - cut)[..., None])
    middle = np.where(inside, ordered, 0.0).sum(-1) / (seen - 2 * cut)
    return np.where(np.isnan(entries), middle[..., None], entries)


def impute_regression(features: Any, targets: Any, *, penalty: float) -> Column:
    """Fill missing targets with a ridge regression on the complete records, clipped to [-1, 1].

    Args:
        features: (..., n, d) in the unit ball.
        targets: (..., n) in [-1, 1], NaN where missing.
        penalty: ridge penalty for each of the n records, above 0.

    Returns:
        (..., n) targets without NaN.

    Raises:
        InputError: an argument out of range, or shapes that do not fit.
    """
    rows = _records(features, "features")
    entries = _column(targets, "targets", gaps=True)
    ridge = float(checks.number("penalty", penalty, 0.0, open_low=True))
    if rows.shape[:-1] != entries.shape:
        raise InputError(
            f"targets has shape {entries.shape} and features {rows.shape}; one target for each "
            "record is needed"
        )
    seen = ~np.isnan(entries)
    used = np.where(seen[..., None], rows, 0.0)
    across = np.swapaxes(used, -1, -2)
    n, d = rows.shape[-2:]
    normal = across @ used + n * ridge * np.eye(d)
    try:
        theta = np.linalg.solve(normal, across @ np.where(seen, entries, 0.0)[..., None])
    except np.linalg.LinAlgError:
        raise InputError(
            f"penalty = {ridge:g} leaves a singular system for these features; a larger one is "
            "needed"
        ) from None
    return np.where(seen, entries, np.clip((rows @ theta)[..., 0], -1.0, 1.0))


def quantize(records: Any, *, diameter: float) -> Records:
    """Replace every record by the mean of the records within this distance.

    Where no two records are at a distance in (diameter, 2 diameter] those are its cluster.

    Args:
        records: (..., n, d) in the unit ball.
        diameter: the distance, in (0, 2].

    Returns:
        (..., n, d).

    Raises:
        InputError: an argument out of range.
    """
    rows = _records(records)
    near = _near(rows, checks.number("diameter", diameter, 0.0, 2.0, open_low=True))
    return near.astype(np.float64) @ rows / near.sum(-1)[..., None]


def drop_duplicates(records: Any, *, radius: float) -> Deduplicated:
    """Drop every record that has another within the radius.

    Args:
        records: (..., n, d) in the unit ball.
        radius: the distance, in (0, 2].

    Returns:
        The records, zero where dropped.

    Raises:
        InputError: an argument out of range.
    """
    rows = _records(records)
    near = _near(rows, checks.number("radius", radius, 0.0, 2.0, open_low=True))
    return _kept(rows, near.sum(-1) == 1)


def keep_one(records: Any, *, diameter: float) -> Deduplicated:
    """Keep a record only when no earlier one is within this distance.

    Args:
        records: (..., n, d) in the unit ball.
        diameter: the distance, in (0, 2].

    Returns:
        The records, zero where dropped.

    Raises:
        InputError: an argument out of range.
    """
    rows = _records(records)
    near = _near(rows, checks.number("diameter", diameter, 0.0, 2.0, open_low=True))
    return _kept(rows, ~np.tril(near, -1).any(-1))


def pca_project(records: Any, *, rank: int, centre: str = "none") -> Records:
    """Project every record on the leading principal directions; the dimension stays.

    Args:
        records: (..., n, d) in the unit ball.
        rank: how many directions, below d.
        centre: "none", "covariance" or "records", as in `sensitivity.pca_projection`.

    Returns:
        (..., n, d).

    Raises:
        InputError: an argument out of range.
    """
    rows, basis = principal_directions(records, rank=rank, centre=centre)
    return rows @ basis @ np.swapaxes(basis, -1, -2)


def pca_reduce(records: Any, *, rank: int, centre: str = "none", key: jax.Array) -> Records:
    """Coordinates along the leading principal directions, turned by a random rotation.

    The rotation hides the signs and the order of eigenvectors, which one record can flip.

    Args:
        records: (..., n, d) in the unit ball.
        rank: how many coordinates, below d.
        centre: "none", "covariance" or "records", as in `sensitivity.pca_projection`.
        key: typed key of the rotation; it is spent, and refused if it was used before.

    Returns:
        (..., n, rank).

    Raises:
        InputError: an argument out of range, or a key that was used before.
    """
    rows, basis = principal_directions(records, rank=rank, centre=centre)
    with jax.enable_x64(True):
        turn = np.asarray(jax.random.orthogonal(spend(key), basis.shape[-1]))
    return rows @ basis @ turn.astype(np.float64)


def standardise(column: Any) -> Column:
    """Subtract the mean and divide by the standard deviation (n-normalised).

    Args:
        column: (..., n) entries in [-1, 1].

    Returns:
        (..., n), no longer in [-1, 1]: at most 2 over the standard deviation.

    Raises:
        InputError: an entry outside [-1, 1], or a column of equal entries.
    """
    entries = _column(column)
    std = entries.std(-1, keepdims=True)
    if (std <= 1e-12).any():
        raise InputError("column has standard deviation 0; entries that differ are needed")
    return (entries - entries.mean(-1, keepdims=True)) / std


def eigengaps(records: Any, *, rank: int, centred: bool = False) -> Any:
    """How far the rank-th eigenvalue of the covariance is above the next.

    Args:
        records: (..., n, d) in the unit ball.
        rank: at least 1, below d.
        centred: whether the mean is subtracted first.

    Returns:
        (...) gaps, at least 0.

    Raises:
        InputError: an argument out of range.
    """
    rows = _records(records)
    k = _rank(rows, rank)
    values = np.linalg.eigvalsh(_covariance(rows, checks.flag("centred", centred)))
    return values[..., -k] - values[..., -k - 1]


def principal_directions(
    records: Any, *, rank: int, centre: str = "none"
) -> tuple[Records, Float[np.ndarray, "*sets d rank"]]:
    """What `pca_project` and `pca_reduce` multiply: the records, centred or not, and the basis.

    The basis is not private, and its signs and order can flip on a change of one record.

    Args:
        records: (..., n, d) in the unit ball.
        rank: how many directions, below d.
        centre: "none", "covariance" or "records", as in `sensitivity.pca_projection`.

    Returns:
        The records, less their mean for "records", and the basis, the largest direction last.

    Raises:
        InputError: an argument out of range.
    """
    rows = _records(records)
    k = _rank(rows, rank)
    checks.choice("centre", centre, CENTRES)
    basis = np.linalg.eigh(_covariance(rows, centre != "none"))[1][..., -k:]
    return rows - rows.mean(-2, keepdims=True) if centre == "records" else rows, basis


def _covariance(rows: Records, centred: bool) -> Any:
    around = rows - rows.mean(-2, keepdims=True) if centred else rows
    return np.swapaxes(around, -1, -2) @ around / rows.shape[-2]


def _rank(rows: Records, rank: int) -> int:
    if rows.shape[-1] < 2:
        raise InputError(f"records has shape {rows.shape}; at least 2 features are needed")
    return checks.count("rank", rank, at_most=rows.shape[-1] - 1)


def _near(rows: Records, radius: Any) -> Any:
    """(..., n, n) which records are within the radius; each is of itself."""
    squares = np.zeros((*rows.shape[:-1], rows.shape[-2]))
    for column in np.moveaxis(rows, -1, 0):  # no array with one axis more
        squares += (column[..., :, None] - column[..., None, :]) ** 2
    return squares <= float(radius) ** 2


def _kept(rows: Records, kept: Any) -> Deduplicated:
    return Deduplicated(np.where(kept[..., None], rows, 0.0), kept)


def _records(value: Any, name: str = "records", *, gaps: bool = False) -> Records:
    array = np.asarray(checks.real(name, value), np.float64)
    if array.ndim < 2:
        raise InputError(f"{name} has shape {array.shape}; (records, features) is needed")
    return _inside(
        name, array, np.linalg.norm(np.where(np.isnan(array), 0.0, array), axis=-1), gaps
    )


def _column(value: Any, name: str = "column", *, gaps: bool = False) -> Column:
    array = np.asarray(checks.real(name, value), np.float64)
    if array.ndim < 1:
        raise InputError(f"{name} = {checks.shown(value)}; a column of entries is needed")
    return _inside(name, array, np.abs(np.where(np.isnan(array), 0.0, array)), gaps)


def _inside(name: str, array: Any, size: Any, gaps: bool) -> Any:
    if not gaps and np.isnan(array).any():
        raise InputError(f"{name} holds nan; finite numbers are needed (impute missing ones first)")
    if (size > BALL).any():
        raise InputError(
            f"{name} holds one of norm {size.max():.4g}; norms of at most 1 are needed (divide by "
            "a bound that was chosen without the data, or clip)"
        )
    return array


def _some(name: str, seen: Any, need: int) -> None:
    if (np.asarray(seen) < need).any():
        raise InputError(f"{name} is missing everything; at least one that is there is needed")
