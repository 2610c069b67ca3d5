"""Semi-supervised EM: the maximum likelihood estimate of theta* from labelled and unlabelled points together.

EM's step is theta <- (sum_l y x + sum_u x tanh<x, theta>) / (n_l + n_u). It converges at the rate of the share of
missing information, slowly at small s. Fisher scoring has the same fixed points and costs as much a step: the
information n_l I + n_u (q (I - e e^T) + r e e^T), e = theta/||theta||, is known in closed form. A scoring step is kept
only where it raises the likelihood, else EM's own step is taken, which always does.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from theorylab.errors import InputError
from theorylab.mixtures.checks import floats, labelled, positive, unlabelled
from theorylab.mixtures.information import log_cosh

_Z = np.linspace(-7, 7, 57)  # a step size needs few digits
_P = np.exp(-(_Z**2) / 2) / np.exp(-(_Z**2) / 2).sum()


class Likelihood(NamedTuple):
    """A stationary point of the likelihood, and how it was reached."""

    theta: Float[Array, " d"]
    iterations: Array
    step: Float[Array, ""]  # length of EM's step from the point before: how far from a fixed point it was


def ssl_em(
    X_l: Float[Array, "n_l d"], y_l: Float[Array, " n_l"], X_u: Float[Array, "n_u d"], theta0: Float[Array, " d"], *,
    iterations: int = 200, tolerance: float = 1e-5, scoring: bool = True,
) -> Float[Array, " d"]:  # fmt: skip
    """Semi-supervised EM from `theta0`, which should be SSL-W: from zero or a wrong sign it may stay there.

    Stops when EM's step is shorter than `tolerance` or after `iterations`; `scoring=False` takes EM's steps alone.
    Asymptotically efficient: excess risk A / (n_l + q(s) n_u), see `predicted_excess`.
    """
    X_l, y_l = labelled(X_l, y_l)
    X_u = unlabelled(X_u, X_l.shape[1])
    theta0 = floats("theta0", theta0, ndim=1)
    if theta0.shape != X_l.shape[1:]:
        raise InputError(f"theta0 has shape {theta0.shape} and X_l {X_l.shape[1]} columns: they must agree")
    positive("iterations", iterations, at_least=1)
    positive("tolerance", tolerance)
    start = theta0.astype(X_u.dtype)
    found = maximise(
        (y_l @ X_l).astype(X_u.dtype), len(X_l), X_u, jnp.ones(len(X_u), X_u.dtype), 0.0, start,
        iterations=iterations, tolerance=tolerance, scoring=scoring,
    )  # fmt: skip
    return found.theta


def maximise(
    labelled_sum: Array, n_l: Any, noise: Array, mask: Array, shift: Any, theta0: Array, *,
    iterations: int, tolerance: float, scoring: bool = True,
) -> Likelihood:  # fmt: skip
    """EM on unlabelled points `noise + shift e_1`, those with mask 1, and the sum of y x over n_l labelled ones.

    The shift lets a sweep over s share one array of noise.
    """
    n_u = jnp.sum(mask)
    total = n_l + n_u

    def project(theta: Array) -> Array:
        return noise @ theta + shift * theta[0]

    def value(theta: Array, u: Array) -> Array:  # per point, and without its constant part
        gain = labelled_sum @ theta + jnp.sum(mask * log_cosh(u))
        return gain / total - theta @ theta / 2

    def em_step(u: Array) -> Array:
        t = mask * jnp.tanh(u)
        mean = noise.T @ t
        return (labelled_sum + mean.at[0].add(shift * jnp.sum(t))) / total

    def unfinished(state: tuple[Array, ...]) -> Array:
        *_, step, count = state
        return (step > tolerance) & (count < iterations)

    def body(state: tuple[Array, ...]) -> tuple[Array, ...]:
        theta, u, height, fallback, bold, _, count = state
        # theta may be a scoring step: if it lowered the likelihood, go back to EM's step from the same point.
        failed = bold & (value(theta, u) < height)
        safe = em_step(u)
        ahead = theta + _scored(theta, total * (safe - theta), n_l, n_u) if scoring else safe
        chosen = jnp.where(failed, fallback, ahead)
        now = jnp.where(failed, height, value(theta, u))
        step = jnp.where(failed, jnp.inf, jnp.linalg.norm(safe - theta))
        return chosen, project(chosen), now, safe, jnp.asarray(scoring) & ~failed, step, count + 1

    u0 = project(theta0)
    low = jnp.asarray(-jnp.inf, theta0.dtype)
    start: tuple[Array, ...] = (theta0, u0, low, theta0, jnp.asarray(False), -low, jnp.asarray(0))
    theta, u, height, fallback, bold, step, count = jax.lax.while_loop(unfinished, body, start)
    worse = bold & (value(theta, u) < height)
    return Likelihood(jnp.where(worse, fallback, theta), count, step)


def _scored(theta: Array, gradient: Array, n_l: Any, n_u: Any) -> Array:
    """Inverse Fisher information times the gradient of the log likelihood."""
    s2 = theta @ theta
    s = jnp.sqrt(s2)
    x = s2 + s * jnp.asarray(_Z, theta.dtype)
    p = jnp.asarray(_P, theta.dtype)
    t = jnp.tanh(x)
    q = t**2 @ p  # across theta
    r = 1 - ((1 - t**2) * (x / jnp.where(s > 0, s, 1)) ** 2) @ p  # along theta
    unit = theta / jnp.where(s > 0, s, 1)
    along = (gradient @ unit) * unit
    floor = 1e-3 * (n_l + n_u)  # a start near zero has no information: EM's step will do
    return (gradient - along) / jnp.maximum(n_l + n_u * q, floor) + along / jnp.maximum(n_l + n_u * r, floor)
