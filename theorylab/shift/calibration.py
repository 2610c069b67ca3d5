"""From a label-free score to an error: the line through shifts of known error.

R^2 is the squared correlation over the shifts that the line was fitted on, so it is inflated for
few shifts (use 25 or more), and the line belongs to one model, number of samples and number of
steps.

Source: the protocol of Yu et al. (ICML 2022), experiments.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float, Num
from scipy import stats

from theorylab.checks import finite, same_length, within
from theorylab.errors import InputError


@dataclass(frozen=True)
class CalibrationLine:
    """The line error = intercept + slope * score, by least squares over shifts.

    Attributes:
        slope, intercept: of the line.
        r2: squared correlation of score and error; NaN where either does not vary.
        spearman: rank correlation; positive for a score that increases with the error.
        residuals: (s,) error minus line.
    """

    slope: float
    intercept: float
    r2: float
    spearman: float
    residuals: Float[np.ndarray, " s"]

    def predict(self, scores: Float[ArrayLike, "*s"]) -> Float[np.ndarray, "*s"]:
        """Errors on the line, not clipped to [0, 1]."""
        return self.intercept + self.slope * np.asarray(finite("scores", scores), float)


def calibrate(scores: Float[ArrayLike, " s"], errors: Float[ArrayLike, " s"]) -> CalibrationLine:
    """Fit the line through the scores and true errors of shifts.

    Args:
        scores: (s,) of at least two shifts, not all equal.
        errors: (s,) true errors as shares in [0, 1].

    Returns:
        A `CalibrationLine`.

    Raises:
        InputError: fewer than two different scores, errors outside [0, 1], shapes that do not fit.

    Examples:
        >>> line = calibrate([1.0, 2.0, 3.0], [0.1, 0.25, 0.3])
        >>> round(line.slope, 6), round(line.r2, 4)
        (0.1, 0.9231)
        >>> line.predict([4.0]).round(4).tolist()
        [0.4167]
    """
    x, y = _pair(scores, errors)
    if len(x) < 2 or not np.ptp(x) > 0:
        raise InputError(
            f"scores: {len(x)} shifts, scores all equal or alone; a line needs two different "
            "scores."
        )
    found = stats.linregress(x, y)
    varies = np.ptp(y) > 0
    rho = float(stats.spearmanr(x, y).statistic) if varies else float("nan")
    return CalibrationLine(
        slope=float(found.slope),
        intercept=float(found.intercept),
        r2=float(found.rvalue) ** 2 if varies else float("nan"),
        spearman=rho,
        residuals=y - found.intercept - found.slope * x,
    )


@dataclass(frozen=True)
class Extrapolation:
    """A line fitted on mild shifts and its errors on hard ones.

    Attributes:
        line: fitted on the mild shifts.
        mse: mean squared error of its predictions on the hard shifts, in squared percentage points.
        bias: mean of prediction minus true error there, in percentage points; negative for
            overconfidence.
    """

    line: CalibrationLine
    mse: float
    bias: float


def mild_to_hard(
    scores: Float[ArrayLike, " s"],
    errors: Float[ArrayLike, " s"],
    severities: Num[ArrayLike, " s"],
    *,
    mild: Sequence[float] = (1, 2),
    hard: Sequence[float] = (4, 5),
) -> Extrapolation:
    """Fit the line on shifts of the mild severities, predict those of the hard ones.

    Args:
        scores, errors: (s,) as for `calibrate`.
        severities: (s,) severity of each shift.
        mild, hard: the severities to fit on, and to predict.

    Returns:
        An `Extrapolation`.

    Raises:
        InputError: fewer than two mild shifts, no hard one, shapes that do not fit.
    """
    x, y = _pair(scores, errors)
    level = np.asarray(finite("severities", severities, ndim=1))
    same_length(scores=x, severities=level)
    fitted, asked = (
        np.isin(level, finite(name, of, ndim=1)) for name, of in (("mild", mild), ("hard", hard))
    )
    for name, chosen, least in (("hard", asked, 1), ("mild", fitted, 2)):
        if chosen.sum() < least:
            there = (
                f"of severities {np.unique(level).tolist()}, {chosen.sum()} shifts have one of "
                f"{name}"
            )
            raise InputError(f"{name}: {there}; at least {least} must")
    line = calibrate(x[fitted], y[fitted])
    off = 100 * (line.predict(x[asked]) - y[asked])
    return Extrapolation(line, float((off**2).mean()), float(off.mean()))


def detection_auroc(ordinary: Float[ArrayLike, " a"], attacked: Float[ArrayLike, " b"]) -> float:
    """Area under the ROC curve: the chance that an attacked test set scores above an ordinary one.

    Args:
        ordinary, attacked: (a,) and (b,) scores; ties count one half.

    Returns:
        The area, 1/2 for scores that tell nothing.

    Raises:
        InputError: empty or non-finite scores.
    """
    a = np.asarray(finite("ordinary", ordinary, ndim=1), float)
    b = np.asarray(finite("attacked", attacked, ndim=1), float)
    return float(stats.mannwhitneyu(b, a, method="asymptotic").statistic / (a.size * b.size))


def _pair(scores: object, errors: object) -> tuple[np.ndarray, np.ndarray]:
    x = np.asarray(finite("scores", scores, ndim=1), float)
    y = np.asarray(within("errors", errors, 0.0, 1.0, ndim=1), float)  # shares, not percentages
    same_length(scores=x, errors=y)
    return x, y
