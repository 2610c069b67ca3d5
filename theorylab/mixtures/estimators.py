"""The paper's estimators of theta*: SL (labels alone), UL (unlabelled alone), UL+, SSL-S, SSL-W.

All are pure, run under `jit` and `vmap`, and keep the precision of their input. Second moments are
not centred: the mixture's mean is zero by symmetry.

Source: Tifrea, Yüce, Sanyal, Yang (2023), algorithms 1 (UL+), 2 (SSL-S) and 3 (SSL-W).
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from theorylab import linalg
from theorylab.checks import broadcast, choice, number, within
from theorylab.errors import InputError
from theorylab.mixtures.checks import floats, labelled, unlabelled
from theorylab.overflow import in_range


class Spectral(NamedTuple):
    """The spectral estimate; `direction` stands even where `theta` is zero.

    Attributes:
        theta: (d,) sqrt((eigenvalue - 1)_+) direction, the sign arbitrary.
        eigenvalue: the largest of the second moment.
        direction: (d,) its unit eigenvector.
    """

    theta: Float[Array, " d"]  # sqrt((eigenvalue - 1)_+) direction, the sign arbitrary
    eigenvalue: Float[Array, ""]
    direction: Float[Array, " d"]


@in_range()
def sl_estimator(X_l: Float[Array, "n d"], y_l: Float[Array, " n"]) -> Float[Array, " d"]:
    """Estimate theta* by SL: the mean of y x, exactly N(theta*, I/n).

    Args:
        X_l: (n, d) labelled samples.
        y_l: (n,) labels -1 or +1.

    Returns:
        (d,) estimate.

    Raises:
        InputError: shapes that do not fit, other labels.

    Examples:
        >>> sl_estimator(jnp.array([[1.0, 0.5], [-3.0, 0.5]]), jnp.array([1, -1])).tolist()
        [2.0, 0.0]
    """
    X_l, y_l = labelled(X_l, y_l)
    return y_l @ X_l / len(X_l)


@in_range()
def spectral_ul(X_u: Float[Array, "n d"]) -> Spectral:
    """Estimate theta* up to its sign by UL, the top eigenpair of the second moment.

    The expectation of X^T X / n is I + theta* theta*^T.

    Args:
        X_u: (n, d) unlabelled samples, not centred.

    Returns:
        A `Spectral` estimate.

    Raises:
        InputError: what is no finite matrix.
    """
    X_u = floats("X_u", X_u, ndim=2)
    return spectral_from_moment(X_u.T @ X_u / len(X_u))


def spectral_from_moment(moment: Float[Array, "d d"]) -> Spectral:
    """The spectral estimate from the second moment itself."""
    # LAPACK has no half precision
    values, vectors = linalg.eigh(moment.astype(jnp.promote_types(moment.dtype, jnp.float32)))
    value, vector = values[-1], vectors[:, -1]
    return Spectral(jnp.sqrt(jnp.maximum(value - 1, 0)) * vector, value, vector)


def ul_plus(
    X_l: Float[Array, "n_l d"],
    y_l: Float[Array, " n_l"],
    X_u: Float[Array, "n_u d"],
    *,
    sign_rule: str = "mean",
) -> Float[Array, " d"]:
    """Estimate theta* by UL+ (algorithm 1): spectral, the labels only choosing the sign.

    With an eigenvalue below 1 the result is zero.

    Args:
        X_l: (n_l, d) labelled samples.
        y_l: (n_l,) labels -1 or +1.
        X_u: (n_u, d) unlabelled samples.
        sign_rule: "mean", the sign of <theta_SL, direction>; "vote", the majority of the labelled
            points' agreements (an even vote falls back on "mean"). Both have the same rate.

    Returns:
        (d,) estimate.

    Raises:
        InputError: shapes that do not fit, other labels, an unknown rule.
    """
    X_l, y_l = labelled(X_l, y_l)
    found = spectral_ul(unlabelled(X_u, X_l.shape[1]))
    return side(X_l, y_l, found.direction, sign_rule) * found.theta


def side(X_l: Array, y_l: Array, direction: Array, sign_rule: str) -> Float[Array, ""]:
    """+1 or -1: the orientation of a direction that agrees with the labels, see `ul_plus`."""
    choice("sign_rule", sign_rule, ("mean", "vote"))
    margins = y_l * (X_l @ direction)
    mean = jnp.where(jnp.sum(margins) >= 0, 1, -1)
    if sign_rule == "mean":
        return mean.astype(X_l.dtype)
    votes = jnp.sum(jnp.sign(margins))
    return jnp.where(votes == 0, mean, jnp.where(votes > 0, 1, -1)).astype(X_l.dtype)


def ssl_switch(
    X_l: Float[Array, "n_l d"],
    y_l: Float[Array, " n_l"],
    X_u: Float[Array, "n_u d"],
    s: Any,
    *,
    sign_rule: str = "mean",
) -> Float[Array, " d"]:
    """Estimate theta* by SSL-S (algorithm 2), which is told s and switches between SL and UL+.

    Zero in the trivial regime, else SL if n_l >= s^2 n_u, else UL+. An oracle for comparison: on
    data use `ssl_weighted` or `ssl_em`.

    Args:
        X_l: (n_l, d) labelled samples.
        y_l: (n_l,) labels -1 or +1.
        X_u: (n_u, d) unlabelled samples.
        s: ||theta*|| > 0.
        sign_rule: as for `ul_plus`.

    Returns:
        (d,) estimate.

    Raises:
        InputError: shapes that do not fit, other labels, s not positive.
    """
    X_l, y_l = labelled(X_l, y_l)
    X_u = unlabelled(X_u, X_l.shape[1])
    number("s", s, 0.0, open_low=True)
    sl, ulp = sl_estimator(X_l, y_l), ul_plus(X_l, y_l, X_u, sign_rule=sign_rule)
    return switched(sl, ulp, s, X_l.shape[1], len(X_l), len(X_u))


def switched(sl: Array, ulp: Array, s: Any, d: Any, n_l: Any, n_u: Any) -> Array:
    """SSL-S from its two branches."""
    trivial = s <= jnp.minimum(jnp.sqrt(d / n_l), (d / n_u) ** 0.25)
    return jnp.where(trivial, jnp.zeros_like(sl), jnp.where(n_l >= s**2 * n_u, sl, ulp))


def ssl_weighted(
    theta_sl: Float[Array, " d"], theta_ulp: Float[Array, " d"], t: Any
) -> Float[Array, " d"]:
    """Mix two estimates by SSL-W (algorithm 3): t theta_SL + (1 - t) theta_UL+.

    For the best t see `optimal_weight`; `ssl_em` does slightly better still.

    Args:
        theta_sl, theta_ulp: (d,) the two estimates.
        t: weight of the first, in [0, 1].

    Returns:
        (d,) estimate.

    Raises:
        InputError: shapes that do not fit, t outside [0, 1].
    """
    theta_sl, theta_ulp = floats("theta_sl", theta_sl), floats("theta_ulp", theta_ulp)
    if theta_sl.ndim == 0 or theta_sl.shape[-1:] != theta_ulp.shape[-1:]:
        shapes = f"theta_sl has shape {theta_sl.shape}, theta_ulp {theta_ulp.shape}"
        raise InputError(f"{shapes}; two vectors (or stacks of them) of one length are needed")
    t = jnp.asarray(within("t", t, 0.0, 1.0), theta_sl.dtype)
    broadcast(theta_sl=theta_sl, theta_ulp=theta_ulp, t=t[..., None])
    return t[..., None] * theta_sl + (1 - t[..., None]) * theta_ulp
