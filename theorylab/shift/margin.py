"""The hard-margin separator: least norm among the linear rules with all margins at least 1.

It is the w to which `memorisation_bound` applies with a scale of 1, and the limit of l2-logistic
regression as its penalty vanishes. The quadratic programme min ||w||^2 / 2 under y_i <w, x_i> >= 1
is a least-distance problem, which one non-negative least squares solves by active sets, with no
tolerance to choose: with G the rows y_i x_i and u >= 0 the minimiser of ||(G^T u, sum u - 1)||, the
dual is u / (1 - sum u).

Source: Lawson and Hanson (1974), chapter 23, problem LDP; SciPy's `nnls`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg
import scipy.optimize
from jax.typing import ArrayLike
from jaxtyping import Bool, Float

from theorylab.checks import finite, same_length, signs
from theorylab.errors import InputError
from theorylab.precision import is_traced
from theorylab.pytrees import register
from theorylab.shift.checks import sample_mask

SHORT = 1e-6  # a margin of 1 may come out short by this


@register()
@dataclass(frozen=True)
class HardMargin:
    """The separator of least norm, in NumPy float64.

    Attributes:
        coef: (p,) w, of which the smallest y_i <w, x_i> is 1.
        dual: (n,) multipliers a >= 0, w = sum_i a_i y_i x_i; above 0 on support vectors alone.
        support: (n,) True where the margin is 1 and carries weight.
        margin: 1 / ||w||, the distance of the nearest sample to the boundary.
        gap: ||w||^2 - sum_i a_i relative to ||w||^2, which is 0 at the optimum; how far from it
            rounding left this one.
    """

    coef: Float[np.ndarray, " p"]
    dual: Float[np.ndarray, " n"]
    support: Bool[np.ndarray, " n"]
    margin: float
    gap: float


def fit_hard_margin(
    X: Float[ArrayLike, "n p"],
    y: Float[ArrayLike, " n"],
    *,
    mask: Bool[ArrayLike, " n"] | None = None,
) -> HardMargin:
    """Find the linear rule of least norm whose margins are all at least 1.

    Exact up to rounding, on the host. There is no intercept, as in the rest of this package; a
    column of ones gives one that is penalised like the weights. For least squares of minimum norm,
    which takes every sample to exactly -1 or 1, use `fit_min_norm`; for a path of penalties
    `fit_logistic_path`.

    Args:
        X: (n, p) samples, more or fewer than features; compressed nuisance blocks will do.
        y: (n,) labels -1 or 1.
        mask: (n,) which samples count; padding is False.

    Returns:
        A `HardMargin`.

    Raises:
        InputError: labels that no linear rule without intercept separates, shapes that do not fit,
            traced arrays.

    Source:
        docs/derivations/memorisation.md, statement 1, holds for this w with scale 1.

    Examples:
        >>> found = fit_hard_margin([[2.0, 0.0], [0.0, 1.0], [3.0, 3.0]], [1, -1, 1])
        >>> found.coef.round(6).tolist(), found.support.tolist()
        ([1.333333, -1.0], [False, True, True])
    """
    if is_traced(X, y, mask):
        raise InputError(
            "X, y are traced; fit_hard_margin runs on the host, outside of jit and vmap"
        )
    samples: Any = finite("X", X, ndim=2)
    labels: Any = signs("y", y)
    same_length(X=samples, y=labels)
    rows = np.asarray(samples, np.float64) * np.asarray(labels, np.float64)[:, None]
    counted = np.ones(len(rows), bool)
    if mask is not None:
        counted = np.asarray(sample_mask("mask", mask, (len(rows),)), bool)
    coef, weights = _least_distance(rows[counted])
    dual = np.zeros(len(rows))
    dual[counted] = weights
    square = float(coef @ coef)
    return HardMargin(coef, dual, dual > 0, square**-0.5, (square - dual.sum()) / square)


def _least_distance(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The shortest w with rows @ w >= 1, and its multipliers."""
    unit = np.linalg.norm(rows, axis=1).max()
    refusal = InputError(
        "y: no linear rule without intercept separates these labels with a margin that float64 "
        "resolves; a hard margin needs separable samples (use fit_logistic_path)"
    )
    if unit == 0:
        raise refusal
    scaled = rows / unit
    n, p = scaled.shape
    # of many features only the inner products count
    small = scaled if p <= n else scipy.linalg.qr(scaled.T, mode="r")[0][:n].T
    target = np.append(np.zeros(small.shape[1]), 1.0)
    try:
        u, _ = scipy.optimize.nnls(np.vstack([small.T, np.ones(n)]), target, maxiter=30 * n + 100)
    except RuntimeError:
        raise refusal from None
    left = 1 - u.sum()
    if not left > 0:
        raise refusal
    dual, active = u / left, u > 0
    # the active rows have margin 1 exactly: solved for, w has no error of 1 - sum u
    coef, polished = _on_active(scaled[active])
    if polished is None or (scaled @ coef).min() < 1 - SHORT:
        coef = scaled.T @ dual
    else:
        dual = np.zeros(n)
        dual[active] = polished
    if not (scaled @ coef).min() >= 1 - SHORT:
        raise refusal
    return coef / unit, dual / unit**2


def _on_active(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """The shortest w with rows @ w = 1, and its multipliers where all are positive."""
    if not len(rows):
        return np.zeros(rows.shape[1]), None
    coef = scipy.linalg.lstsq(rows, np.ones(len(rows)))[0]
    dual = scipy.linalg.lstsq(rows.T, coef)[0]
    return coef, dual if (dual > 0).all() else None
