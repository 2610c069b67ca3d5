"""Learners that re-weight the data, on finite spaces: effective size, exact success, bound, JTT.

A learner that weighs (x, y) by w(x, y) >= 0 sees P_w, proportional to w P, which is again a
mixture: of a re-weighted collective in the share alpha_eff and of a re-weighted base.

Source: Ben-Dov, Fawkes, Samadi, Sanyal (ICML 2024), effective size; our derivations,
docs/derivations/collective_success.md, statements 3, 5 and 6.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from theorylab import checks
from theorylab.collective.checks import world
from theorylab.collective.finite import Law, Map, _bayes, _gap, _lead, _signal
from theorylab.errors import InputError
from theorylab.precision import as_float64, float64_inside, is_traced
from theorylab.pytrees import register

Sizes = Float[ArrayLike, "*a"]


@register()
@dataclass(frozen=True)
class PopulationJTT:
    """ "Just train twice" with Bayes classifiers, one entry for each size.

    Attributes:
        success: of the collective after the second stage.
        alpha_eff: share of the collective after re-weighting.
        e_c, e_0: error of the first stage on the collective and on the base population.
        weights: (*a, m, K) of the second stage.
    """

    success: Float[Array, "*a"]
    alpha_eff: Float[Array, "*a"]
    e_c: Float[Array, "*a"]
    e_0: Float[Array, "*a"]
    weights: Float[Array, "*a m k"]


@float64_inside
def reweighted_size(P0: Law, g: Map, y_star: int, alpha: Sizes, weights: Law) -> Float[Array, "*a"]:
    """Effective size alpha E_{P*}[w] / (alpha E_{P*}[w] + (1 - alpha) E_{P0}[w]).

    Args:
        P0: (m, K) base law.
        g: (m,) signal.
        y_star: target label.
        alpha: sizes, in [0, 1], of any shape.
        weights: (m, K) w >= 0.

    Returns:
        Effective sizes, of the shape of `alpha`.

    Raises:
        InputError: as `success_staircase`; weights that are negative, all 0 or of another shape.
    """
    _check(P0, g, y_star, alpha, weights)
    return _parts(as_float64(P0), as_float64(weights), g, y_star, as_float64(alpha))[0]


@float64_inside
def reweighted_success(
    P0: Law, g: Map, y_star: int, alpha: Sizes, weights: Law
) -> Float[Array, "*a"]:
    """Exact success against the Bayes classifier of P_w: a staircase again.

    A signalled x* succeeds where alpha w(x*, y*) P*(x*) > (1 - alpha) gap_w(x*), the gap being that
    of w P0; success itself is measured under P0.

    Args:
        P0: (m, K) base law.
        g: (m,) signal.
        y_star: target label.
        alpha: sizes, in [0, 1], of any shape.
        weights: (m, K) w >= 0.

    Returns:
        Success, of the shape of `alpha`.

    Raises:
        InputError: as `reweighted_size`.
    """
    _check(P0, g, y_star, alpha, weights)
    return _success(as_float64(P0), as_float64(weights), g, y_star, as_float64(alpha))


@float64_inside
def reweighted_bound(
    P0: Law, g: Map, y_star: int, alpha: Sizes, weights: Law, *, corrected: bool = True
) -> Float[Array, "*a"]:
    """Bound the success against the Bayes classifier of P_w from below.

    S(alpha) >= 1 - (E_{P*}[w] / min w) (1 - alpha_eff)/alpha_eff delta_w xi_w. delta_w and xi_w are
    gap and uniqueness under the re-weighted base, min w is the least weight of (x*, y*) over
    signalled points. The factor is needed because success counts points by P0 and not by their
    weights; it is 1 if all points of the collective weigh the same. Without it (`corrected=False`:
    alpha_eff put for alpha in the base bound) the statement is *false* in general; it is kept as a
    control only.

    Args:
        P0: (m, K) base law.
        g: (m,) signal.
        y_star: target label.
        alpha: sizes, in [0, 1], of any shape.
        weights: (m, K) w >= 0.
        corrected: with the factor.

    Returns:
        The bound, of the shape of `alpha`; -inf at alpha_eff = 0, or where a signalled point weighs
        nothing.

    Raises:
        InputError: as `reweighted_size`.

    Source:
        docs/derivations/collective_success.md, statement 3.
    """
    _check(P0, g, y_star, alpha, weights)
    checks.flag("corrected", corrected)
    law, w = as_float64(P0), as_float64(weights)
    size, ours, lowest = _parts(law, w, g, y_star, as_float64(alpha))
    planted, base = _signal(law, g, None)[0], w * law / (w * law).sum()
    cost = _gap(planted, base, y_star) * (base.sum(1) @ (planted > 0))
    factor = ours / lowest if corrected else 1.0
    bound = 1 - factor * (1 - size) / jnp.where(size > 0, size, 1) * cost
    return jnp.where((size > 0) & (lowest > 0), bound, -jnp.inf)


@float64_inside
def population_jtt(P0: Law, g: Map, y_star: int, alpha: Sizes, lam: float) -> PopulationJTT:
    """Re-weight in two stages with Bayes classifiers: errors of the first weigh lam in the second.

    Success is not monotone in the size: as soon as stage 1 learns the signal, the collective's
    points are errors no more and its opponents' are, and alpha_eff jumps down. For networks use
    `success_curve` with the rule `JTT`.

    Args:
        P0: (m, K) base law.
        g: (m,) signal.
        y_star: target label.
        alpha: sizes, in [0, 1], of any shape.
        lam: weight of an error, >= 0; all else weighs 1.

    Returns:
        A `PopulationJTT`.

    Raises:
        InputError: as `success_staircase`; a negative or non-finite `lam`.

    Source:
        docs/derivations/collective_success.md, statement 5; JTT is that of Liu et al. (2021).

    Examples:
        >>> P0 = np.array([[0.5, 0.3], [0.15, 0.05]])
        >>> jtt = population_jtt(P0, [1, 1], 1, np.array([0.05, 0.2, 0.6]), 4.0)
        >>> jtt.success.tolist(), jtt.alpha_eff.round(4).tolist()
        ([1.0, 0.0, 1.0], [0.0931, 0.0962, 0.3896])
    """
    world(P0, g, y_star)
    checks.within("alpha", alpha, 0, 1)
    checks.number("lam", lam, 0)
    law, sizes = as_float64(P0), as_float64(alpha)
    law = law / law.sum()
    planted = _signal(law, g, None)[0]
    labels = jnp.arange(law.shape[1])

    def one(size: Float[Array, ""]) -> PopulationJTT:
        mixture = (1 - size) * law + size * planted[:, None] * (labels == y_star)
        wrong = _bayes(mixture, y_star)[:, None] != labels
        w = jnp.where(wrong, as_float64(lam), 1.0)
        return PopulationJTT(
            success=_success(law, w, g, y_star, size),
            alpha_eff=_parts(law, w, g, y_star, size)[0],
            e_c=planted @ wrong[:, y_star],
            e_0=(law * wrong).sum(),
            weights=w,
        )

    flat = jax.vmap(one)(sizes.ravel())
    return jax.tree.map(lambda a: a.reshape(*sizes.shape, *a.shape[1:]), flat)


def _parts(
    law: Float[Array, "m k"],
    w: Float[Array, "m k"],
    g: Map,
    y_star: ArrayLike,
    alpha: Float[Array, "*a"],
) -> tuple[Float[Array, "*a"], Float[Array, ""], Float[Array, ""]]:
    """alpha_eff, E_{P*}[w], and the least weight of a signalled point."""
    planted = _signal(law, g, None)[0]
    ours, theirs = planted @ w[:, y_star], (w * law).sum() / law.sum()
    total = alpha * ours + (1 - alpha) * theirs
    size = jnp.where(total > 0, alpha * ours / jnp.where(total > 0, total, 1), 0.0)
    return size, ours, jnp.min(jnp.where(planted > 0, w[:, y_star], jnp.inf))


def _success(
    law: Float[Array, "m k"],
    w: Float[Array, "m k"],
    g: Map,
    y_star: ArrayLike,
    alpha: Float[Array, "*a"],
) -> Float[Array, "*a"]:
    planted = _signal(law, g, None)[0]
    size = alpha[..., None]
    wins = size * w[:, y_star] * planted > (1 - size) * _lead(w * law / law.sum(), y_star)
    return (planted * wins).sum(-1)


def _check(P0: Law, g: Map, y_star: int, alpha: Sizes, weights: Law) -> None:
    world(P0, g, y_star)
    checks.within("alpha", alpha, 0, 1)
    w = checks.nonnegative("weights", weights)
    if w.shape != np.shape(P0):
        given = f"weights has shape {w.shape}, P0 {np.shape(P0)}"
        raise InputError(f"{given}; a weight for each (point, label) is needed")
    if not is_traced(w) and not np.asarray(w).any():
        raise InputError("weights are all 0; at least one positive weight is needed")
