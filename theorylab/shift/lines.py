"""Accuracy lines: the fit of out-of-distribution against in-distribution accuracy.

On probit axes, as is customary. Source: Miller et al. (2021), accuracy on the line; Sanyal et al.
(2025), figure 1.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float
from scipy.special import logit, ndtri

from theorylab.checks import choice, number, shown, within
from theorylab.errors import InputError

Transform = Literal["probit", "logit", "linear"]
TRANSFORMS = {"probit": ndtri, "logit": logit, "linear": np.asarray}


@dataclass(frozen=True)
class AccuracyLine:
    """The line transformed OOD accuracy = intercept + slope * transformed ID accuracy.

    Attributes:
        corr: Pearson correlation of the transformed accuracies; NaN where either does not vary.
        slope, intercept, r2: of the least-squares line; NaN where accuracies do not vary.
        group_corr: correlation of the means of the groups (training sizes); NaN without groups. At
            a fixed training size the luck of a draw moves both accuracies together, which dilutes a
            negative slope in the pooled points (Simpson's paradox): report both.
        count: number of models.
    """

    corr: float
    slope: float
    intercept: float
    r2: float
    group_corr: float
    count: int


def accuracy_line(
    id_accuracy: Float[ArrayLike, "*m"],
    ood_accuracy: Float[ArrayLike, "*m"],
    *,
    transform: Transform = "probit",
    clip: float = 1e-4,
    groups: Sequence[Hashable] | ArrayLike | None = None,
) -> AccuracyLine:
    """Fit the line through the in- and out-of-distribution accuracies of models.

    Args:
        id_accuracy, ood_accuracy: one number per model, in [0, 1]; arrays of any one shape,
            flattened.
        transform: "probit", "logit" or "linear", as `Transform` lists them.
        clip: accuracies are kept within [clip, 1 - clip]; 1 / (2 number of test points) is a good
            choice where accuracies are counts.
        groups: the group of each model, same shape: the training size, say.

    Returns:
        An `AccuracyLine`.

    Raises:
        InputError: shapes that do not fit, fewer than two models, accuracies outside [0, 1].

    Examples:
        >>> line = accuracy_line([0.80, 0.90, 0.95], [0.70, 0.65, 0.60])
        >>> round(line.slope, 4), round(line.corr, 4)  # more accurate inside, less so outside
        (-0.3367, -0.9992)
    """
    given = {"id_accuracy": id_accuracy, "ood_accuracy": ood_accuracy}  # shares, not percentages
    inside, outside = (np.asarray(within(name, a, 0.0, 1.0), float) for name, a in given.items())
    if inside.shape != outside.shape or inside.size < 2:
        raise InputError(
            f"id_accuracy {inside.shape} and ood_accuracy {outside.shape} must have one shape, of "
            "2 models or more."
        )
    function = TRANSFORMS[choice("transform", transform, tuple(TRANSFORMS))]
    number("clip", clip, 0.0, 0.5, open_low=True, open_high=True)
    x, y = (function(np.clip(a.ravel(), clip, 1 - clip)) for a in (inside, outside))
    spread_x, spread_y = np.ptp(x), np.ptp(y)
    corr = _correlation(x, y)
    slope = float(np.cov(x, y)[0, 1] / np.var(x, ddof=1)) if spread_x > 0 else np.nan
    intercept = float(y.mean() - slope * x.mean())
    r2 = corr**2 if spread_y > 0 else np.nan
    return AccuracyLine(
        corr, slope, intercept, r2, _group_correlation(x, y, groups, inside.shape), x.size
    )


def _correlation(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.corrcoef(x, y)[0, 1]) if np.ptp(x) > 0 and np.ptp(y) > 0 else float("nan")


def _group_correlation(
    x: np.ndarray, y: np.ndarray, groups: object, shape: tuple[int, ...]
) -> float:
    if groups is None:
        return float("nan")
    try:
        labels = np.asarray(groups)
        _, index = np.unique(labels.ravel(), return_inverse=True)
    except (TypeError, ValueError):
        raise InputError(
            f"groups = {shown(groups)}; groups of one sortable kind are needed"
        ) from None
    if labels.shape != shape:
        raise InputError(
            f"groups has shape {labels.shape}; one group for each model, {shape}, is needed."
        )
    counts = np.bincount(index)
    if len(counts) < 2:
        return float("nan")
    return _correlation(np.bincount(index, x) / counts, np.bincount(index, y) / counts)
