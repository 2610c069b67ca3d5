"""Randomised smoothing as sets, and what may be said of it from finitely many draws.

g(x) = E f(x + noise), with f in [0, 1], has a set of its own: for Gaussian noise it is Phi^-1(g)
that has one, the ball of radius 1 / sigma or the ellipsoid of the covariance; for uniform noise in
a cube g itself is Lipschitz in l1. Members that are smoothed make two different ensembles: (i) the
average of the g_i under one noise law, to whose Phi^-1 the certificate of Cohen et al. belongs, and
(ii) the average of the Phi^-1(g_i), each under a law of its own, with the average of their sets.

Draws are counted by `smoothed_counts`; `class_bounds` of `theorylab.robustness.ensembles.counts`
bounds the probabilities behind them.

Source: Cohen et al. 2019; Eiras et al. 2022; Petrov et al. 2023; our derivation,
docs/derivations/certified_ensembles.md, statement 8.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import scipy.special
from jax.tree_util import Partial
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, Key

from theorylab import checks
from theorylab.errors import InputError
from theorylab.linalg import cholesky
from theorylab.robustness.ensembles.algebra import difference, minkowski
from theorylab.robustness.ensembles.averages import ensemble_weights
from theorylab.robustness.ensembles.certificates import Certificate
from theorylab.robustness.ensembles.counts import ClassBounds
from theorylab.robustness.ensembles.sets import Ellipsoid, LpDualBall, SupportSet

Kind = Literal["gaussian", "anisotropic", "uniform"]
KINDS = ("gaussian", "anisotropic", "uniform")


def smoothing_set(
    kind: Kind, scale: float | Float[ArrayLike, "d d"], *, d: int | None = None, raw: bool = False
) -> SupportSet:
    """The set of the scores of a smoothed classifier.

    Args:
        kind: "gaussian", noise N(0, sigma^2 I); "anisotropic", N(0, Sigma); "uniform", uniform in
            [-lam, lam]^d.
        scale: sigma, Sigma (d, d), or lam; above 0.
        d: dimension, where radii or volumes depend on it.
        raw: of Gaussian noise, the set of g itself in place of that of Phi^-1(g): the ball of
            radius 1 / (sigma sqrt(2 pi)). The uniform law has no other.

    Returns:
        A set, of Phi^-1(g) for Gaussian noise and of g for uniform noise.

    Raises:
        InputError: a scale that is not above 0, or a covariance that is not positive definite.

    Examples:
        >>> smoothing_set("gaussian", 0.5).L, smoothing_set("uniform", 0.5).p
        (array(2.), 1)
    """
    checks.choice("kind", kind, KINDS)
    checks.flag("raw", raw)
    if kind == "anisotropic":
        if raw:
            raise InputError("raw=True: for isotropic noise alone; use Phi^-1 of the probabilities")
        return Ellipsoid(scale)
    scale = float(checks.number("scale", scale, 0, open_low=True))
    if kind == "uniform":
        return LpDualBall(1 / (2 * scale), 1, d)
    return LpDualBall(1 / (scale * math.sqrt(2 * math.pi)) if raw else 1 / scale, 2, d)


def cohen_radius(
    p_top: Float[ArrayLike, "*n"],
    p_next: Float[ArrayLike, "*n"] | None = None,
    *,
    sigma: float,
) -> Float[np.ndarray, "*n"]:
    """The l2 radius sigma / 2 (Phi^-1(pA) - Phi^-1(pB)) of Gaussian smoothing, 0 where it is below.

    Args:
        p_top: (*n) probability of the top class, or a lower bound of it.
        p_next: (*n) probability of the runner-up, or an upper bound of those of all others; None
            for 1 - p_top.
        sigma: standard deviation of the noise, above 0.

    Returns:
        (*n) radii; infinite for probabilities 1 and 0.

    Raises:
        InputError: probabilities outside [0, 1], or sigma of 0 or below.

    Examples:
        >>> round(float(cohen_radius(0.9, sigma=0.5)), 4)
        0.6408
    """
    sigma = checks.number("sigma", sigma, 0, open_low=True)
    a = np.asarray(checks.within("p_top", p_top, 0, 1), np.float64)
    b = 1 - a if p_next is None else np.asarray(checks.within("p_next", p_next, 0, 1), np.float64)
    checks.broadcast(p_top=a, p_next=b)
    with np.errstate(invalid="ignore"):  # infinity less infinity, where nothing leads
        lead = scipy.special.ndtri(a) - scipy.special.ndtri(b)
    return np.where(a > b, sigma / 2 * np.where(a > b, lead, 0.0), 0.0)


def average_of_smoothed(
    bounds: ClassBounds, sigma: float, weights: Float[ArrayLike, " N"] | None = None
) -> tuple[Int[np.ndarray, "*n"], Float[np.ndarray, "*n"]]:
    """Ensemble (i): class and l2 radius of the average of members smoothed under one Gaussian law.

    The average is itself a smoothed function with values in [0, 1], so `cohen_radius` belongs to
    its averaged bounds.

    Args:
        bounds: of the members, (N, *n, K), at a confidence for all of them: give `class_bounds`
            `members=N`.
        sigma: standard deviation of the noise of every member.
        weights: (N,) at least 0, sum 1; None for equal ones.

    Returns:
        (*n) classes, and (*n) radii, 0 where nothing is certified.

    Raises:
        InputError: bounds without a leading axis of members, or bad weights.
    """
    lower, upper, weights = _stacked(bounds, weights)
    return _certified(
        np.tensordot(weights, lower, axes=1),
        np.tensordot(weights, upper, axes=1),
        lambda a, b: cohen_radius(a, b, sigma=sigma),
    )


def smoothed_average(
    bounds: ClassBounds,
    sigmas: Float[ArrayLike, " N"],
    weights: Float[ArrayLike, " N"] | None = None,
) -> tuple[Int[np.ndarray, "*n"], Float[np.ndarray, "*n"]]:
    """Ensemble (ii): class and l2 radius of the average of Phi^-1 of smoothed members.

    Each member has a noise law of its own. For anisotropic laws make the certificate with
    `smoothing_set` and `ensemble_certificate`.

    Args:
        bounds: as for `average_of_smoothed`.
        sigmas: (N,) standard deviations of the members' noise, above 0.
        weights: (N,) at least 0, sum 1; None for equal ones.

    Returns:
        (*n) classes, and (*n) radii, 0 where nothing is certified.

    Raises:
        InputError: as `average_of_smoothed`, or a standard deviation of 0 or below.
    """
    lower, upper, weights = _stacked(bounds, weights)
    sigmas = np.asarray(checks.positive("sigmas", sigmas, shape=(len(weights),)), np.float64)
    kept = weights > 0  # 0 times an infinite score would be no number
    rate = 2 * float(weights @ (1 / sigmas))
    scores = [
        np.tensordot(weights[kept], scipy.special.ndtri(p[kept]), axes=1) for p in (lower, upper)
    ]
    return _certified(*scores, lambda a, b: np.where(a > b, a - b, 0.0) / rate)  # type: ignore[arg-type, call-arg]


def smoothed_certificate(
    bounds: ClassBounds,
    sets: list[SupportSet],
    weights: Float[ArrayLike, " N"] | None = None,
) -> tuple[int, Certificate]:
    """Ensemble (ii) at one point under any Gaussian laws: its class and its certificate.

    Args:
        bounds: (N, K), as for `average_of_smoothed`.
        sets: N of them, from `smoothing_set`.
        weights: (N,) at least 0, sum 1; None for equal ones.

    Returns:
        The class, and a `Certificate`, which is empty where no class is certain to lead.

    Raises:
        InputError: bounds of another shape, or bad weights.
    """
    lower, upper, weights = _stacked(bounds, weights)
    if lower.ndim != 2:
        raise InputError(f"bounds of shape {lower.shape}; (N, K) of one point is needed")
    kept = np.flatnonzero(weights > 0)
    low, high = (weights[kept] @ scipy.special.ndtri(p[kept]) for p in (lower, upper))
    top, gap = _certified(low, high, lambda a, b: np.where(a > b, a - b, 0.0))
    together = minkowski([sets[i] for i in kept], weights[kept])
    return int(top), Certificate((difference(together),), np.atleast_1d(gap), "components")


def smoothed_counts(
    f: Callable[[Array], Array],
    x: Float[ArrayLike, "n ..."],
    *,
    key: Key[Array, ""],
    draws: int,
    kind: Kind = "gaussian",
    scale: float | Float[ArrayLike, "d d"],
    batch_size: int = 20_000,
) -> Int[np.ndarray, "*m n K"]:
    """How often a classifier predicts each class of noisy copies of samples.

    Args:
        f: scores (b, K) of a batch; or (m, b, K) of m members, whose predictions are counted on the
            same draws. A `jax.tree_util.Partial` of a function and its parameters is compiled once
            for all parameters of one shape.
        x: (n, ...) samples.
        key: draws the noise.
        draws: noisy copies of each sample.
        kind: law of the noise, as for `smoothing_set`.
        scale: sigma, Sigma of the flattened samples, or lam.
        batch_size: noisy copies at a time.

    Returns:
        (n, K) counts, or (m, n, K).

    Raises:
        InputError: a scale that is not above 0, or counts below 1.
    """
    smoothing_set(kind, scale)
    checks.key("key", key)
    checks.function("f", f)
    x = jnp.asarray(checks.finite("x", x))
    if x.ndim < 2 or not jnp.issubdtype(x.dtype, jnp.floating):
        raise InputError(f"x is {checks.shown(x)}; floats (n, ...) are needed")
    draws, size = checks.count("draws", draws), checks.count("batch_size", batch_size)
    copies = max(1, size // len(x))
    whole = f if isinstance(f, Partial) else Partial(f)
    root = cholesky(jnp.asarray(scale, x.dtype)) if kind == "anisotropic" else scale
    total: Any = 0
    for i, start in enumerate(range(0, draws, copies)):
        many = min(copies, draws - start)
        here = jax.random.fold_in(key, i)
        total = total + np.asarray(_counts(whole, x, root, here, kind=kind, copies=many), np.int64)
    return total


@partial(jax.jit, static_argnames=("kind", "copies"))
def _counts(f: Any, x: Array, root: Any, key: Array, *, kind: str, copies: int) -> Array:
    shape = (copies, *x.shape)
    if kind == "uniform":
        noise = jax.random.uniform(key, shape, x.dtype, -1.0, 1.0) * root
    else:
        noise = jax.random.normal(key, shape, x.dtype)
        if kind == "anisotropic":
            noise = (noise.reshape(copies, len(x), -1) @ root.T).reshape(shape)
        else:
            noise = noise * root
    scores = f((x + noise).reshape(-1, *x.shape[1:]))
    classes = scores.shape[-1]
    votes = jax.nn.one_hot(scores.argmax(-1), classes, dtype=jnp.int32)
    return votes.reshape(*scores.shape[:-2], copies, len(x), classes).sum(-3)


def _stacked(bounds: ClassBounds, weights: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    lower = np.asarray(checks.within("bounds.lower", bounds.lower, 0, 1), np.float64)
    upper = np.asarray(checks.within("bounds.upper", bounds.upper, 0, 1), np.float64)
    if lower.ndim < 2 or lower.shape != upper.shape:
        raise InputError(
            f"bounds of shapes {lower.shape}, {upper.shape}; (N, ..., K) of N members is needed"
        )
    return lower, upper, ensemble_weights(weights, len(lower))


def _certified(
    low: np.ndarray, high: np.ndarray, radius: Callable[[Any, Any], Any]
) -> tuple[np.ndarray, np.ndarray]:
    """The class of the largest lower bound, and its radius against the others' upper bounds."""
    top = low.argmax(-1)
    is_top = np.arange(low.shape[-1]) == top[..., None]
    rival = np.where(is_top, -np.inf, high).max(-1)
    return top, np.asarray(radius(low.max(-1), rival))
