"""EM for a mixture of two Gaussians of unknown means, weights and covariance.

It is the UL learner on real data. Source: Dempster, Laird, Rubin (1977); options and stopping rule
are those of scikit-learn's `GaussianMixture`, as Tifrea et al. (2023) use it.
"""

import warnings
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from theorylab import linalg
from theorylab.checks import choice, count, number, within
from theorylab.deprecation import old_arguments, tell_old
from theorylab.errors import InputError
from theorylab.mixtures.checks import floats, row_weights, steps
from theorylab.mixtures.frame import framed, wide_if_concrete
from theorylab.mixtures.logistic import LinearRule
from theorylab.precision import as_float64, float64_inside, is_traced

COVARIANCES = ("spherical", "tied")


class Mixture(NamedTuple):
    """Two fitted Gaussian components.

    Attributes:
        weights: (2,) shares.
        means: (2, d).
        covariance: (2,) variances if spherical, one (d, d) matrix if tied.
        log_likelihood: mean over the samples, in nats.
        steps: of EM, taken.
        converged: whether the last step gained less than `tol`; where it is False, the
            steps ran out.
    """

    weights: Float[Array, " 2"]
    means: Float[Array, "2 d"]
    covariance: Float[Array, "..."]
    log_likelihood: Float[Array, ""]  # mean over the samples
    steps: Array
    converged: Array

    @property
    def iterations(self) -> Array:
        """Old name of `steps`."""
        tell_old("Mixture", ".iterations is .steps now")
        return self.steps

    @float64_inside
    def rule(self) -> LinearRule:
        """The linear classifier between the means, component 1 positive.

        The boundary passes through their midpoint. With a tied covariance it is Fisher's direction;
        equal weights (and variances) are assumed, as in the model.
        """
        means, covariance = as_float64(self.means), as_float64(self.covariance)
        gap = means[1] - means[0]
        weight = linalg.solve(covariance, gap[:, None])[:, 0] if covariance.ndim == 2 else gap
        return LinearRule(weight, -weight @ jnp.sum(means, 0) / 2)


@old_arguments(iterations="max_steps", tolerance="tol")
@wide_if_concrete
def fit_mixture(
    X: Float[Array, "n d"],
    *,
    covariance: str = "spherical",
    responsibilities: Float[Array, " n"] | None = None,
    sample_weight: Float[Array, " n"] | None = None,
    starts: int = 3,
    max_steps: int = 300,
    tol: float = 1e-4,
    floor: float = 1e-6,
) -> Mixture:
    """Fit a mixture of two Gaussians by EM.

    Use it on data whose centre, scale and shares are unknown; in the symmetric model itself
    `spectral_ul` is simpler, and `ssl_em` uses labels too. Deterministic; runs under `jit`. It
    stops when the mean log likelihood rises by less than `tol`. Where the steps run out
    before, a RuntimeWarning says so (under `jit` nothing can: look at `converged`). It is computed
    in float64, under `jit` in the precision of X, and about the mean of X in units of its spread,
    so that neither its origin nor its unit costs digits.

    Args:
        X: (n, d) samples.
        covariance: "spherical" (a variance each) or "tied" (one matrix), as in scikit-learn.
        responsibilities: (n,) P(component 1) to start from; by default the fit is started from the
            two sides of each of the leading principal directions and the likeliest result is kept.
        sample_weight: (n,) >= 0; zero leaves a row out.
        starts: number of those directions.
        max_steps: steps of EM at most.
        tol: gain in mean log likelihood, in nats, at which to stop.
        floor: is added to variances.

    Returns:
        A `Mixture`, in NumPy float64 unless under `jit`.

    Raises:
        InputError: fewer than two samples, values out of range; a `floor` too small for a
            covariance to be regular in the precision of X.

    Examples:
        >>> X = jnp.array([[-2.1, 0.0], [-1.9, 0.2], [-2.0, -0.2]])
        >>> X = jnp.concatenate([X, -X])
        >>> fit = fit_mixture(X)
        >>> sorted(fit.means[:, 0].round(3).tolist()), fit.weights.round(3).tolist()
        ([-2.0, 2.0], [0.5, 0.5])
        >>> fit.rule().error(X, jnp.repeat(jnp.array([-1.0, 1.0]), 3)) in (0, 1)
        True
    """
    X = floats("X", X, ndim=2)
    choice("covariance", covariance, COVARIANCES)
    starts, max_steps = count("starts", starts), steps("max_steps", max_steps)
    number("tol", tol, 0.0, open_low=True)
    number("floor", floor, 0.0)
    if len(X) < 2:
        raise InputError(f"X has {len(X)} row: two components need at least two samples")
    mass = row_weights("sample_weight", sample_weight, X=X)
    Z, frame = framed(X, mass, common=True)
    mass = mass.astype(X.dtype) / jnp.sum(mass)
    if responsibilities is None:
        side = _principal_sides(Z, mass, min(starts, X.shape[1]))
    else:
        share = within("responsibilities", responsibilities, 0.0, 1.0, shape=(len(X),))
        side = floats("responsibilities", share).astype(X.dtype)[None]
    unit = frame.unit[0]
    least = jnp.asarray(floor / unit**2, X.dtype)

    def run(start: Array) -> Mixture:
        return _run(Z, mass, start, covariance, max_steps, tol, least)

    found = jax.lax.map(run, side)
    best = jnp.argmax(found.log_likelihood)
    fit: Mixture = jax.tree.map(lambda leaf: leaf[best], found)
    if not is_traced(fit):
        if not jnp.isfinite(fit.log_likelihood):
            raise InputError(
                f"floor = {floor:g} leaves a covariance of X singular; give a larger floor, or "
                "scale X down"
            )
        if not fit.converged:
            warnings.warn(
                f"EM has not converged in {fit.steps} steps: the log likelihood still rises "
                f"by more than tol = {tol:g}; raise max_steps, or tol",
                RuntimeWarning,
                stacklevel=4,
            )
    return fit._replace(
        means=frame.origin + unit * fit.means,
        covariance=unit**2 * fit.covariance,
        log_likelihood=fit.log_likelihood - X.shape[1] * jnp.log(unit),
    )


def _principal_sides(X: Array, mass: Array, count: int) -> Array:
    """Which side of the mean each sample lies on along the leading principal directions.

    (count, n), as 0 or 1.
    """
    centred = X - mass @ X
    _, vectors = linalg.eigh((centred.T * mass) @ centred)
    return (centred @ vectors[:, ::-1][:, :count] > 0).astype(X.dtype).T


def _run(
    X: Array, mass: Array, start: Array, kind: str, max_steps: int, tol: float, floor: Array
) -> Mixture:
    def body(state: tuple[Array, Mixture, Array]) -> tuple[Array, Mixture, Array]:
        share, before, _ = state
        fit = _maximise(X, mass, share, kind, floor)
        log_joint = _log_joint(X, fit)
        total = jax.nn.logsumexp(log_joint, axis=0)
        height = mass @ total
        fit = fit._replace(log_likelihood=height, steps=before.steps + 1)
        return jnp.exp(log_joint[1] - total), fit, height - before.log_likelihood

    def unfinished(state: tuple[Array, Mixture, Array]) -> Array:
        _, fit, gain = state
        return (gain > tol) & (fit.steps < max_steps)

    low = jnp.asarray(-jnp.inf, X.dtype)
    first = _maximise(X, mass, start, kind, floor)._replace(log_likelihood=low)
    _, fit, gain = jax.lax.while_loop(unfinished, body, (start, first, -low))
    return fit._replace(converged=gain <= tol)


def _maximise(X: Array, mass: Array, share: Array, kind: str, floor: Array) -> Mixture:
    shares = mass * jnp.stack([1 - share, share])
    weights = jnp.sum(shares, axis=1) + 10 * jnp.finfo(X.dtype).eps / len(X)
    means = shares @ X / weights[:, None]
    if kind == "tied":
        # about the means: a difference of second moments loses what is within the components
        covariance = floor * jnp.eye(X.shape[1], dtype=X.dtype)
        for held, mean in zip(shares, means, strict=True):
            covariance += ((X - mean).T * held) @ (X - mean)
    else:
        squares = jnp.stack([jnp.mean((X - m) ** 2, axis=1) for m in means])
        covariance = jnp.sum(shares * squares, axis=1) / weights + floor
    return Mixture(
        weights / jnp.sum(weights),
        means,
        covariance,
        jnp.zeros((), X.dtype),
        jnp.asarray(0),
        jnp.asarray(False),
    )


def _log_joint(X: Array, fit: Mixture) -> Array:
    """(2, n): log weight + log density."""
    d = X.shape[1]
    if fit.covariance.ndim == 2:
        factor = linalg.cholesky(fit.covariance)
        white = linalg.solve_triangular(factor, X.T, lower=True)
        centres = linalg.solve_triangular(factor, fit.means.T, lower=True)
        squares = jnp.stack([jnp.sum((white - c[:, None]) ** 2, axis=0) for c in centres.T])
        log_det: Any = 2 * jnp.sum(jnp.log(jnp.diag(factor)))
    else:
        squares = (
            jnp.stack([jnp.sum((X - m) ** 2, axis=1) for m in fit.means]) / fit.covariance[:, None]
        )
        log_det = (d * jnp.log(fit.covariance))[:, None]
    return jnp.log(fit.weights)[:, None] - (squares + log_det + d * np.log(2 * np.pi)) / 2
