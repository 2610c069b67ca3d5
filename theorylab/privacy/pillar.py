"""PILLAR's theory: directions of public records, and what is left of a margin behind them.

A private linear classifier is trained on the leading principal components of *public* records, so
that the projection costs no privacy. Whether it costs accuracy is a matter of how much of the good
direction `w` lies outside of the leading ones (`low_rank_defect`), and of how the public records
differ from the private ones (`subspace_error`). `printed_margin` is what the paper says is left of
a margin; it fails in the plane (`large_margin.counter_example`). `sharp_margin` is what is left,
and `safe_margin` a simpler number, which is safe too.

Source: Pinto, Hu, Yang & Sanyal 2024 (PILLAR); what is ours is in docs/derivations/semi_private.md.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from theorylab import checks
from theorylab.errors import InputError

TIE = 1e-10  # a share of the largest eigenvalue: gaps below it are rounding


@dataclass(frozen=True, eq=False)
class PublicBasis:
    """Leading principal directions of public records.

    Attributes:
        vectors: (d, k) orthonormal columns, the largest entry of each above 0.
        eigenvalues: (d,) of the second moments (or covariance) of the public records, descending.
        centre: (d,) what is subtracted first: 0, or the mean of the public records.
        scale: (d,) what is divided by then: 1, or the standard deviations of the public records.
    """

    vectors: Float[np.ndarray, "d k"]
    eigenvalues: Float[np.ndarray, " d"]
    centre: Float[np.ndarray, " d"]
    scale: Float[np.ndarray, " d"]

    @property
    def eigengap(self) -> float:
        """The gap below the last direction; infinite where all directions are taken."""
        d, k = self.vectors.shape
        return math.inf if k == d else float(self.eigenvalues[k - 1] - self.eigenvalues[k])

    def project(self, records: Any) -> Float[np.ndarray, "n k"]:
        """Coordinates (n, k) of records (n, d). Raises `InputError` for another width."""
        rows = _rows("records", records, len(self.vectors))
        return (rows - self.centre) / self.scale @ self.vectors

    def leading(self, rank: int) -> "PublicBasis":
        """The basis of the first directions alone. Raises `InputError` for more than there are."""
        many = checks.count("rank", rank, at_most=self.vectors.shape[1])
        return PublicBasis(self.vectors[:, :many], self.eigenvalues, self.centre, self.scale)

    def lift(self, weights: Any, bias: Any = 0.0) -> tuple[Any, Any]:
        """A linear classifier of coordinates, (k,) or (k, c), as one of records, with its bias.

        It gives what the classifier gives on what `project` gives. Raises `InputError` for weights
        of another length.
        """
        inside = np.asarray(checks.finite("weights", weights, ndim=(1, 2)), np.float64)
        if len(inside) != self.vectors.shape[1]:
            raise InputError(
                f"weights has {len(inside)} rows; {self.vectors.shape[1]} are needed, one for each "
                "direction"
            )
        outside = self.vectors @ inside
        outside = outside / (self.scale if outside.ndim == 1 else self.scale[:, None])
        return outside, np.asarray(bias, np.float64) - self.centre @ outside


def public_basis(
    records: Any, *, rank: int, centred: bool = False, scaled: bool = False
) -> PublicBasis:
    """The leading principal directions of public records.

    Args:
        records: (n, d) public records; nothing of the private ones may be among them.
        rank: how many directions, at most d.
        centred: subtract the mean of the public records first, from them and from what is
            projected; else the second moments count, as in the paper's algorithm.
        scaled: divide every coordinate by its standard deviation over the public records, as the
            paper's experiments do; one that is constant there is left as it is.

    Returns:
        A `PublicBasis`.

    Raises:
        InputError: an argument out of range, or no eigengap below the last direction, so that the
            subspace is not determined.

    Source:
        Pinto, Hu, Yang & Sanyal 2024, algorithm 1, steps 1 and 2.

    Examples:
        >>> import numpy as np
        >>> public = np.array([[3.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 1.0]])
        >>> basis = public_basis(public, rank=2)
        >>> np.round(basis.eigenvalues, 3).tolist(), round(basis.eigengap, 3)
        ([3.0, 1.333, 0.333], 1.0)
        >>> basis.project([[1.0, 2.0, 3.0]]).tolist()
        [[1.0, 2.0]]
    """
    rows = _rows("records", records)
    many = checks.count("rank", rank, at_most=rows.shape[1])
    centre = rows.mean(0) if checks.flag("centred", centred) else np.zeros(rows.shape[1])
    spread = rows.std(0) if checks.flag("scaled", scaled) else np.ones(rows.shape[1])
    scale = np.where(spread > 1e-8 * max(spread.max(), 1e-300), spread, 1.0)
    values, vectors = second_moments((rows - centre) / scale)
    if many < rows.shape[1] and values[many - 1] - values[many] <= TIE * max(values[0], 1e-300):
        raise InputError(
            f"rank = {many}: the public records have no eigengap below that direction "
            f"(eigenvalues {values[many - 1]:.3g} and {values[many]:.3g} of {len(rows)} records); "
            "choose another rank, or give more public records"
        )
    return PublicBasis(vectors[:, :many], values, centre, scale)


def second_moments(
    records: Any,
) -> tuple[Float[np.ndarray, " d"], Float[np.ndarray, "d d"]]:
    """Eigenvalues (d,), descending, and eigenvectors (d, d) of the mean of x x^T.

    Args:
        records: (n, d).

    Returns:
        Values and vectors; the largest entry of each vector is above 0.

    Raises:
        InputError: records of another shape, or some that are not finite.
    """
    rows = _rows("records", records)
    return spectrum(rows.T @ rows / len(rows))


def spectrum(covariance: Any) -> tuple[Float[np.ndarray, " d"], Float[np.ndarray, "d d"]]:
    """Eigenvalues, descending, and eigenvectors of a covariance.

    Args:
        covariance: (d, d), symmetric.

    Returns:
        (d,) values, negative ones by rounding set to 0, and (d, d) vectors in columns, the largest
        entry of each above 0.

    Raises:
        InputError: a matrix that is not symmetric and positive semi-definite.
    """
    matrix = np.asarray(checks.symmetric("covariance", covariance), np.float64)
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    checks.positive_semidefinite("covariance", values, 1e-8)
    vectors = vectors[:, ::-1]
    largest = vectors[np.abs(vectors).argmax(0), np.arange(len(vectors))]
    return np.maximum(values[::-1], 0.0), vectors * np.where(largest < 0, -1.0, 1.0)


def subspace_error(first: Any, second: Any) -> float:
    """The operator norm of the difference of two projections: the sine of the largest angle.

    Args:
        first: (d, k) with orthonormal columns.
        second: (d, k) likewise.

    Returns:
        A number in [0, 1].

    Raises:
        InputError: columns that are not orthonormal, or other shapes.
    """
    one = _orthonormal("first", first)
    two = _orthonormal("second", second)
    if one.shape != two.shape:
        raise InputError(
            f"second has shape {two.shape} and first {one.shape}; bases of one shape are needed"
        )
    away = two - one @ (one.T @ two)  # (I - P) Q: its largest singular value is the sine
    return min(1.0, float(np.linalg.norm(away, 2)))


def low_rank_defect(weights: Any, covariance: Any) -> Float[np.ndarray, " d"]:
    """What the k leading directions miss of a linear classifier, for every k.

    Where two eigenvalues are equal the value between them depends on the vectors chosen.

    Args:
        weights: (d,) the classifier, not 0.
        covariance: (d, d) of the records.

    Returns:
        (d,) the defects 1 - ‖A_k^T w‖ / ‖w‖ at k = 1, ..., d: falling, and 0 at k = d.

    Raises:
        InputError: weights of another length, or all 0.

    Source:
        Pinto, Hu, Yang & Sanyal 2024, definition 2.

    Examples:
        >>> import numpy as np
        >>> low_rank_defect([0.6, 0.8], np.diag([2.0, 1.0])).round(3).tolist()
        [0.4, 0.0]
    """
    _, vectors = spectrum(covariance)
    direction = _direction("weights", weights, len(vectors))
    kept = np.sqrt(np.cumsum((vectors.T @ direction) ** 2))
    return np.maximum(0.0, 1.0 - kept / kept[-1])


def margin(records: Any, labels: Any, weights: Any) -> float:
    """The least of y <w, x> / (‖w‖ ‖x‖) over the records.

    Args:
        records: (n, d); one that is 0 has margin 0.
        labels: (n,) -1 and 1.
        weights: (d,), not 0.

    Returns:
        A number in [-1, 1].

    Raises:
        InputError: shapes that do not fit, or weights that are 0.
    """
    rows = _rows("records", records)
    signs = np.asarray(checks.signs("labels", labels, n=len(rows)), np.float64)
    direction = _direction("weights", weights, rows.shape[1])
    norms = np.linalg.norm(rows, axis=1)
    along = signs * (rows @ direction) / np.where(norms > 0, norms, 1.0)
    return float(np.clip(along, -1.0, 1.0).min())


def projected_margin(
    records: Any, labels: Any, weights: Any, *, basis: Any, rescaled: bool = True
) -> float:
    """The least margin of the projected records with respect to the projected classifier.

    Args:
        records: (n, d).
        labels: (n,) -1 and 1.
        weights: (d,).
        basis: (d, k) orthonormal columns, or a `PublicBasis`, whose centre plays no part.
        rescaled: divide by the norms of the projected records, as in the paper; False divides by
            those of the records, which is what `sharp_margin` bounds whatever its sign.

    Returns:
        The least of y <A^T x, A^T w> / (‖A^T x‖ ‖A^T w‖), or / (‖x‖ ‖A^T w‖), in [-1, 1].

    Raises:
        InputError: shapes that do not fit, or a classifier whose projection is 0.
    """
    rows = _rows("records", records)
    given = basis.vectors if isinstance(basis, PublicBasis) else basis
    columns = _orthonormal("basis", given, rows.shape[1])
    projected = columns.T @ _direction("weights", weights, rows.shape[1])
    if np.linalg.norm(projected) < 1e-12:
        raise InputError(
            "weights has nothing inside of the basis, and no margin there; take more directions"
        )
    if checks.flag("rescaled", rescaled):
        return margin(rows @ columns, labels, projected)
    return margin(rows, labels, columns @ projected)


def printed_margin(
    gamma: float, defect: float, *, shift: float = 0.0, eigengap: Any = None
) -> float:
    """What the paper says is left of a margin behind the projection. It is false for defects > 0.

    Args:
        gamma: the margin, in (0, 1].
        defect: the low-rank defect, in [0, 1].
        shift: total variation between public and private records.
        eigengap: below the last direction; needed where there is a shift.

    Returns:
        gamma (1 - defect - gamma / 10 - 7 shift / eigengap).

    Raises:
        InputError: an argument out of range.

    Source:
        Pinto, Hu, Yang & Sanyal 2024, theorems 1 and 3; `counter_example` refutes it.
    """
    size, missed = _gamma(gamma), _defect(defect)
    away = 7 * _shift(shift) / _gap(eigengap) if shift else 0.0
    return size * (1 - missed - size / 10 - away)


def safe_margin(gamma: float, defect: float, *, error: float | None = None) -> float:
    """A lower bound of what is left of a margin: a difference of three numbers.

    `sharp_margin` is never below it and attained.

    Args:
        gamma: the margin, in (0, 1].
        defect: the low-rank defect, in [0, 1].
        error: of the subspace, ‖P - P̂‖; None takes the gamma / 10 that theorem 1 arranges for.

    Returns:
        gamma - √(2 defect - defect²) - error. Below 0 it says nothing.

    Raises:
        InputError: an argument out of range.

    Source:
        docs/derivations/semi_private.md, statement 1.
    """
    size, missed = _gamma(gamma), _defect(defect)
    off = size / 10 if error is None else float(checks.number("error", error, 0.0, 1.0))
    return size - math.sqrt(missed * (2 - missed)) - off


def sharp_margin(gamma: float, defect: float, *, error: float = 0.0) -> float:
    """The least that can be left of a margin behind a projection, attained in the plane.

    Args:
        gamma: the margin, in (0, 1].
        defect: the low-rank defect, in [0, 1].
        error: of the subspace, ‖P - P̂‖, in [0, 1].

    Returns:
        cos(arccos(gamma) + arccos(1 - defect) + arcsin(error)), and -1 beyond π: the least of
        y <P̂x, P̂w> / (‖x‖ ‖P̂w‖). With no error it is above 0 exactly where √(2 defect - defect²) <
        gamma.

    Raises:
        InputError: an argument out of range.

    Source:
        docs/derivations/semi_private.md, statement 2.

    Examples:
        >>> round(sharp_margin(0.3, 0.0), 3), round(sharp_margin(0.3, 0.147), 3)
        (0.3, -0.242)
    """
    angle = math.acos(_gamma(gamma)) + math.acos(1 - _defect(defect))
    angle += math.asin(float(checks.number("error", error, 0.0, 1.0)))
    return math.cos(min(angle, math.pi))


def unlabelled_sample_size(gamma: float, *, eigengap: float, failure: float) -> int:
    """How many public records make the subspace error at most gamma / 10.

    It is sufficient and far from necessary: 25 to 35 times too many directions of caution.

    Args:
        gamma: the margin, in (0, 1].
        eigengap: of the covariance below the last direction, above 0.
        failure: the probability beta of theorem 1, of which half is spent here.

    Returns:
        1600 (1 + √(log(2 / failure) / 2))² / (gamma eigengap)², rounded up.

    Raises:
        InputError: an argument out of range.

    Source:
        Pinto, Hu, Yang & Sanyal 2024, proof of theorem 1.
    """
    size, gap = _gamma(gamma), _gap(eigengap)
    half = float(checks.number("failure", failure, 0.0, 1.0, open_low=True, open_high=True)) / 2
    return math.ceil(1600 * (1 + math.sqrt(math.log(1 / half) / 2)) ** 2 / (size * gap) ** 2)


def _rows(name: str, value: Any, width: int | None = None) -> Any:
    rows = np.asarray(checks.finite(name, value, ndim=2), np.float64)
    if width is not None and rows.shape[1] != width:
        raise InputError(f"{name} has {rows.shape[1]} columns; {width} are needed")
    return rows


def _direction(name: str, value: Any, d: int) -> Any:
    direction = np.asarray(checks.finite(name, value, shape=(d,)), np.float64)
    norm = np.linalg.norm(direction)
    if not norm > 0:
        raise InputError(f"{name} is 0; a direction is needed")
    return direction / norm


def _orthonormal(name: str, value: Any, d: int | None = None) -> Any:
    columns = _rows(name, value)
    if d is not None and len(columns) != d:
        raise InputError(f"{name} has {len(columns)} rows; {d} are needed, one for each coordinate")
    off = np.abs(columns.T @ columns - np.eye(columns.shape[1])).max()
    if off > 1e-4:
        raise InputError(
            f"{name} has columns that are not orthonormal (off by {off:.2g}); take them from "
            "public_basis, or from a QR decomposition"
        )
    return columns


def _gamma(value: Any) -> float:
    return float(checks.number("gamma", value, 0.0, 1.0, open_low=True))


def _defect(value: Any) -> float:
    return float(checks.number("defect", value, 0.0, 1.0))


def _shift(value: Any) -> float:
    return float(checks.number("shift", value, 0.0, 1.0))


def _gap(value: Any) -> float:
    if value is None:
        raise InputError("eigengap = None; the gap below the last direction is needed, above 0")
    return float(checks.number("eigengap", value, 0.0, open_low=True))
