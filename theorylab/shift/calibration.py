"""From a label-free score to an error: the line through shifts of known error, how well scores rank and extrapolate.

Protocol of Yu et al. (ICML 2022). R^2 is the squared correlation over the shifts that the line was fitted on, so it is
inflated for few shifts (use 25 or more), and the line belongs to one model, number of samples and number of steps.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float, Num
from scipy import stats

from theorylab.errors import InputError
from theorylab.shift.checks import require_matrix


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
        return self.intercept + self.slope * np.asarray(scores, float)


def calibrate(scores: Float[ArrayLike, " s"], errors: Float[ArrayLike, " s"]) -> CalibrationLine:
    """Fit the line through the scores and true errors of at least two shifts with different scores."""
    x, y = _pair(scores, errors)
    if len(x) < 2 or not np.ptp(x) > 0:
        raise InputError(f"scores: {len(x)} shifts, scores all equal or alone; a line needs two different scores.")
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
        bias: mean of prediction minus true error there, in percentage points; negative for overconfidence.
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
    level = np.asarray(severities)
    if level.shape != x.shape:
        raise InputError(f"severities has shape {level.shape}; one for each shift, {x.shape}, is needed.")
    fitted, asked = np.isin(level, mild), np.isin(level, hard)
    if not asked.any():
        raise InputError(f"hard = {tuple(hard)}: no shift has such a severity; there are {np.unique(level).tolist()}.")
    if fitted.sum() < 2:
        raise InputError(f"mild = {tuple(mild)}: {fitted.sum()} shifts have such a severity; at least 2 are needed.")
    line = calibrate(x[fitted], y[fitted])
    off = 100 * (line.predict(x[asked]) - y[asked])
    return Extrapolation(line, float((off**2).mean()), float(off.mean()))


def detection_auroc(ordinary: Float[ArrayLike, " a"], attacked: Float[ArrayLike, " b"]) -> float:
    """Chance that an attacked test set scores above an ordinary one, ties counted half: area under the ROC curve."""
    require_matrix("ordinary", ordinary, ndim=(1,))
    require_matrix("attacked", attacked, ndim=(1,))
    a, b = np.asarray(ordinary, float), np.asarray(attacked, float)
    return float(stats.mannwhitneyu(b, a, method="asymptotic").statistic / (a.size * b.size))


def _pair(scores: object, errors: object) -> tuple[np.ndarray, np.ndarray]:
    for name, array in (("scores", scores), ("errors", errors)):
        require_matrix(name, array, ndim=(1,))
    x, y = np.asarray(scores, float), np.asarray(errors, float)
    if x.shape != y.shape:
        raise InputError(f"scores {x.shape} and errors {y.shape} must have one shape: one of each for every shift.")
    if y.min() < 0 or y.max() > 1:
        raise InputError("errors must lie in [0, 1]: give shares, not percentages.")
    return x, y
