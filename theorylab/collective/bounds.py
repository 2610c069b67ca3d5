"""Bounds on the success of a collective, and its effective size: formulas of a few numbers.

A share alpha of the data follows a strategy; success S is the probability that a fresh point
that carries the signal is given the target label y*. Re-weighting learners put the effective size
in the place of alpha. All in float64. Every argument may be an array; they broadcast. A bound may
be negative: it then says nothing.

Source: Hardt, Mazumdar, Mendler-Dünner, Zrnic (ICML 2023), theorems for the two strategies;
Ben-Dov, Fawkes, Samadi, Sanyal (ICML 2024), effective size; proofs at eps = 0 and of the closed
forms: docs/derivations/collective_success.md, statements 2 and 6.
"""

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Bool, Float

from theorylab import checks
from theorylab.deprecation import old_arguments
from theorylab.errors import InputError

Number = Float[ArrayLike, "..."]
Numbers = Float[np.ndarray, "..."]


def base_bound(alpha: Number, delta: Number, xi: Number, eps: Number = 0.0) -> Numbers:
    """Bound the success of a collective that sets signal and label from below.

    S(alpha) >= 1 - (1 - alpha)/alpha delta xi - eps/(1 - eps). At eps = 0 this is proved for the
    Bayes classifier of the mixture; the last term is the ICML 2023 form for a classifier that is
    Bayes for a law within total variation eps of it. On a finite space `success_staircase` is
    exact.

    Args:
        alpha: share of the collective, in [0, 1]; at 0 nothing is promised: -inf.
        delta: suboptimality gap of the target label on signalled points.
        xi: base probability of the signalled points.
        eps: suboptimality of the classifier, in [0, 1[.

    Returns:
        The bound, of the common shape; negative where it says nothing.

    Raises:
        InputError: an argument outside [0, 1], or eps = 1.

    Examples:
        >>> round(float(base_bound(0.1, 0.5, 0.05)), 4)
        0.775
    """
    alpha, delta, xi, slack = _checked(alpha, delta, xi, eps)
    with np.errstate(all="ignore"):
        lost = np.where((delta > 0) & (xi > 0), (1 - alpha) / alpha * delta * xi, 0.0)
        found = 1 - lost - slack
    return np.where(alpha > 0, found, -np.inf)


def feature_only_bound(alpha: Number, p: Number, xi: Number, eps: Number = 0.0) -> Numbers:
    """Bound the success of a collective that cannot change labels from below.

    S(alpha) >= 1 - (1 - p)/(p alpha) xi - eps/(1 - eps). Its members plant the signal if their
    label is y*, and leave their data alone otherwise.

    Args:
        alpha, xi, eps: as in `base_bound`.
        p: least conditional probability of y* over all points, `label_floor`. At p = 0 nothing is
            promised: -inf.

    Returns:
        The bound, of the common shape; negative where it says nothing.

    Raises:
        InputError: an argument outside [0, 1], or eps = 1.
    """
    alpha, p, xi, slack = _checked(alpha, p, xi, eps, second="p")
    with np.errstate(all="ignore"):
        found = 1 - np.where(xi > 0, (1 - p) / (p * alpha) * xi, 0.0) - slack
    return np.where((alpha > 0) & (p > 0), found, -np.inf)


def critical_mass(success: Number, delta: Number, xi: Number, eps: Number = 0.0) -> Numbers:
    """Least alpha at which `base_bound` promises a success.

    delta xi / (1 - success - eps/(1-eps) + delta xi).

    Args:
        success: wanted, in [0, 1].
        delta, xi, eps: as in `base_bound`.

    Returns:
        The share; infinite where no size is promised to reach it (a success above 1 - eps/(1 -
        eps)).

    Raises:
        InputError: an argument outside [0, 1], or eps = 1.

    Examples:
        >>> round(float(critical_mass(0.9, 0.5, 0.05)), 4)
        0.2
    """
    success, delta, xi, slack = _checked(success, delta, xi, eps, first="success")
    room, cost = 1 - success - slack, delta * xi
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.where(cost > 0, cost / (room + cost), 0.0)
    return np.where(room < 0, np.inf, found)


def effective_size(alpha: Number, e_c: Number, e_0: Number, lam: float) -> Numbers:
    """Share of the collective after everybody's stage-1 errors count lam times: JTT in closed form.

    alpha_eff = alpha (1 + (lam-1) e_c) / [alpha (1 + (lam-1) e_c) + (1-alpha) (1 + (lam-1) e_0)].
    For lam > 1 it is above alpha if and only if the first stage errs more on the collective than on
    the rest. From the weights of a run: `effective_size_from_weights`.

    Args:
        alpha: share of the collective.
        e_c, e_0: error rates of the first stage on the collective and on the others.
        lam: weight of an error, at least 0; 1 leaves alpha. (JTT's "up-weight" u appends u copies:
            lam = 1 + u.)

    Returns:
        The share, of the common shape.

    Raises:
        InputError: arguments out of range; lam = 0 where everybody errs.

    Examples:
        >>> round(float(effective_size(0.05, 1.0, 0.35, 4.0)), 4)
        0.0931
    """
    alpha, e_c, e_0 = (
        np.asarray(checks.within(name, value, 0, 1), np.float64)
        for name, value in (("alpha", alpha), ("e_c", e_c), ("e_0", e_0))
    )
    checks.broadcast(alpha=alpha, e_c=e_c, e_0=e_0, lam=checks.nonnegative("lam", lam))
    gain = np.asarray(lam, np.float64) - 1
    ours, theirs = alpha * (1 + gain * e_c), (1 - alpha) * (1 + gain * e_0)
    if not (ours + theirs > 0).all():
        raise InputError(
            "lam = 0 leaves no weight where everybody errs; a number above 0 is needed there"
        )
    return _share(ours, ours + theirs)


@old_arguments(is_collective="members")
def effective_size_from_weights(
    weights: Float[ArrayLike, "... n"], members: Bool[ArrayLike, "... n"]
) -> Numbers:
    """Share of the collective in the total weight, over the last axis.

    Args:
        weights: (..., n) >= 0.
        members: (..., n) booleans.

    Returns:
        (...) shares; NaN where all weights are 0.

    Raises:
        InputError: negative or non-finite weights, an empty or mismatched last axis, or a mask that
            is not boolean.
    """
    w, mask = (
        np.asarray(checks.nonnegative("weights", weights), np.float64),
        checks.real("members", members),
    )
    mask = np.asarray(mask)
    if not w.ndim or mask.dtype != bool or mask.shape[-1:] != w.shape[-1:]:
        given = f"weights has shape {w.shape}, members is {mask.dtype}{list(mask.shape)}"
        raise InputError(f"{given}; a weight and a bool for each sample are needed")
    checks.broadcast(weights=w, members=mask)
    return _share((w * mask).sum(-1), w.sum(-1))


def _share(part: Numbers, whole: Numbers) -> Numbers:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(part / whole)


def _checked(
    alpha: Number,
    middle: Number,
    xi: Number,
    eps: Number,
    *,
    first: str = "alpha",
    second: str = "delta",
) -> tuple[Numbers, ...]:
    """The arguments as float64 arrays of one shape, the last one as eps/(1 - eps)."""
    given = {first: alpha, second: middle, "xi": xi}
    numbers = {
        name: np.asarray(checks.within(name, value, 0, 1), np.float64)
        for name, value in given.items()
    }
    # every classifier is within total variation 1
    numbers["eps"] = np.asarray(checks.within("eps", eps, 0, 1, open_high=True), np.float64)
    checks.broadcast(**numbers)
    *rest, eps = np.broadcast_arrays(*numbers.values())
    return *rest, eps / (1 - eps)
