"""From a label-free score to an error: the line through shifts of known error, how well scores rank
and extrapolate.

Protocol of Yu et al. (ICML 2022). R^2 is the squared correlation over the shifts that the line was
fitted on, so it is inflated for few shifts (use 25 or more), and the line belongs to one model,
number of samples and number of steps.
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
    """error = intercept + slope * score, by least squares over shifts.

    Attributes:
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
    """Fit the line through the scores and true errors of at least two shifts with different
    scores."""
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
    """Fit the line on shifts of the `mild` severities, predict those of the `hard` ones."""
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
    """Chance that an attacked test set scores above an ordinary one, ties counted half: area under
    the ROC curve."""
    a = np.asarray(finite("ordinary", ordinary, ndim=1), float)
    b = np.asarray(finite("attacked", attacked, ndim=1), float)
    return float(stats.mannwhitneyu(b, a, method="asymptotic").statistic / (a.size * b.size))


def _pair(scores: object, errors: object) -> tuple[np.ndarray, np.ndarray]:
    x = np.asarray(finite("scores", scores, ndim=1), float)
    y = np.asarray(within("errors", errors, 0.0, 1.0, ndim=1), float)  # shares, not percentages
    same_length(scores=x, errors=y)
    return x, y
