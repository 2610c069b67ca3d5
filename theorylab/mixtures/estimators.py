"""The paper's estimators of theta*: SL (labels alone), UL (unlabelled alone), UL+, SSL-S, SSL-W.

Tifrea, Yuce, Sanyal, Yang 2023, algorithms 1 to 3. All are pure, run under `jit` and `vmap`, and
keep the precision of their input. Second moments are not centred: the mixture's mean is zero by
symmetry.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from theorylab import linalg
from theorylab.checks import broadcast, choice, number, within
from theorylab.errors import InputError
from theorylab.mixtures.checks import floats, labelled, unlabelled


class Spectral(NamedTuple):
    """The spectral estimate. `direction` stands even where the eigenvalue is below 1 and `theta` is
    zero."""

    theta: Float[Array, " d"]  # sqrt((eigenvalue - 1)_+) direction, the sign arbitrary
    eigenvalue: Float[Array, ""]
    direction: Float[Array, " d"]


def sl_estimator(X_l: Float[Array, "n d"], y_l: Float[Array, " n"]) -> Float[Array, " d"]:
    """SL: the mean of y x, exactly N(theta*, I/n)."""
    X_l, y_l = labelled(X_l, y_l)
    return y_l @ X_l / len(X_l)


def spectral_ul(X_u: Float[Array, "n d"]) -> Spectral:
    """UL: the top eigenpair of the second moment X^T X / n, whose expectation is I + theta*
    theta*^T."""
    X_u = floats("X_u", X_u, ndim=2)
    return spectral_from_moment(X_u.T @ X_u / len(X_u))


def spectral_from_moment(moment: Float[Array, "d d"]) -> Spectral:
    """The same from the second moment itself."""
    values, vectors = linalg.eigh(moment)
    value, vector = values[-1], vectors[:, -1]
    return Spectral(jnp.sqrt(jnp.maximum(value - 1, 0)) * vector, value, vector)


def ul_plus(
    X_l: Float[Array, "n_l d"],
    y_l: Float[Array, " n_l"],
    X_u: Float[Array, "n_u d"],
    *,
    sign_rule: str = "mean",
) -> Float[Array, " d"]:
    """UL+ (algorithm 1): the spectral estimate, the labels only choosing its sign.

    sign_rule: "mean", the sign of <theta_SL, direction>; "vote", the majority of the labelled
    points' agreements (an even vote falls back on "mean"). Both have the same rate. With an
    eigenvalue below 1 the result is zero.
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
    """SSL-S (algorithm 2), which is told s: zero in the trivial regime, else SL if n_l >= s^2 n_u,
    else UL+."""
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
    """SSL-W (algorithm 3): t theta_SL + (1 - t) theta_UL+, t in [0, 1]; for the best t see
    `optimal_weight`."""
    theta_sl, theta_ulp = floats("theta_sl", theta_sl), floats("theta_ulp", theta_ulp)
    if theta_sl.ndim == 0 or theta_sl.shape[-1:] != theta_ulp.shape[-1:]:
        shapes = f"theta_sl has shape {theta_sl.shape}, theta_ulp {theta_ulp.shape}"
        raise InputError(f"{shapes}; two vectors (or stacks of them) of one length are needed")
    t = jnp.asarray(within("t", t, 0.0, 1.0), theta_sl.dtype)
    broadcast(theta_sl=theta_sl, theta_ulp=theta_ulp, t=t[..., None])
    return t[..., None] * theta_sl + (1 - t[..., None]) * theta_ulp
