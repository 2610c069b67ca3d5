"""Deterministic equivalents beyond in-distribution ridge: covariate shift, and random features.

Source: Silverstein & Bai 1995; Hastie et al. 2022 and Patil et al. (covariate shift); Simon et al.
2023 "More is better" (the eigenframework of random-feature ridge regression).
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from theorylab import checks
from theorylab.errors import InputError
from theorylab.overflow import in_range
from theorylab.precision import as_float64, float64_inside
from theorylab.pytrees import register
from theorylab.rmt.effective import balance, over_grid, solve_kappa, times, unlearned
from theorylab.rmt.inputs import as_spectrum


@register()
@dataclass(frozen=True)
class ShiftRisk:
    """Risk of ridge regression under a shifted law, and its parts.

    Every field has the shape that n and alpha broadcast to.

    Attributes:
        risk: bias + variance + noise.
        kappa: effective regularisation.
        dkappa: its derivative with respect to alpha.
        bias: share that shrinkage leaves unlearnt.
        variance: share of the label noise.
    """

    risk: Float[Array, "..."]
    kappa: Float[Array, "..."]
    dkappa: Float[Array, "..."]
    bias: Float[Array, "..."]
    variance: Float[Array, "..."]


@in_range(infinite=True)
@float64_inside
def covariate_shift_risk(
    eigenvalues: Float[ArrayLike, "p"],
    coefficients: Float[ArrayLike, "p"],
    shifted: Float[ArrayLike, "p"] | Float[ArrayLike, "p p"],
    n: Float[ArrayLike, "..."] | float,
    alpha: Float[ArrayLike, "..."] | float,
    *,
    noise: Float[ArrayLike, ""] | float = 0.0,
) -> ShiftRisk:
    """Risk E (y - ŷ)² of ridge regression when test points follow another covariance.

    Use it for a shift of the inputs alone; without one, A = Σ, it is `omniscient_risk`. With κ as
    in `effective_regularization`, bias = κ² βᵀ(Σ+κ)⁻¹A(Σ+κ)⁻¹β + κ² κ' T βᵀΣ(Σ+κ)⁻²β and variance =
    σ² κ' T, T = (1/n) tr AΣ(Σ+κ)⁻².

    Args:
        eigenvalues: (p,) of the training points' covariance Σ.
        coefficients: (p,) coefficients β of the target, in the eigenbasis of Σ.
        shifted: A, the second moment of test points in the eigenbasis of Σ: its diagonal (p,) or
            the whole (p, p).
        n: number of samples; broadcasts against alpha.
        alpha: ridge penalty, as in `effective_regularization`.
        noise: variance σ² of the label noise.

    Returns:
        A `ShiftRisk`.

    Raises:
        InputError: negative or non-finite input, or shapes that do not match.

    Source:
        Hastie et al. 2022; Patil et al.
    """
    spectrum = as_spectrum("eigenvalues", eigenvalues)
    p = spectrum.shape[0]
    beta = as_float64(checks.finite("coefficients", coefficients, ndim=1))
    checks.same_length(eigenvalues=spectrum, coefficients=beta)
    whole = np.ndim(checks.real("shifted", shifted, ndim=(1, 2))) == 2
    moment = as_float64(
        checks.symmetric("shifted", shifted) if whole else checks.nonnegative("shifted", shifted)
    )
    if moment.shape[0] != p:
        raise InputError(
            f"shifted has shape {moment.shape}; ({p},) or ({p}, {p}), as the eigenvalues, is needed"
        )
    _require_sample(n, alpha, noise)
    return _shift(spectrum, beta, moment, as_float64(noise), as_float64(n), as_float64(alpha))


def _require_sample(n: Any, alpha: Any, noise: Any) -> None:
    checks.positive("n", n)
    checks.nonnegative("alpha", alpha)
    checks.broadcast(n=n, alpha=alpha)
    checks.nonnegative("noise", noise, ndim=0)


@jax.jit
def _shift(spectrum, beta, moment, noise, n, alpha):  # type: ignore[no-untyped-def]
    weights = jnp.ones_like(spectrum)

    def at(n: Array, alpha: Array) -> ShiftRisk:
        kappa = solve_kappa(spectrum, weights, None, n, alpha)
        dkappa = 1 / balance(spectrum, weights, None, n, kappa).slope(n)
        missed = unlearned(spectrum, kappa)
        rest = missed * beta
        diagonal = moment if moment.ndim == 1 else jnp.diagonal(moment)
        first = jnp.sum(moment * rest**2) if moment.ndim == 1 else rest @ moment @ rest
        total = spectrum + kappa
        inverse = jnp.where(total > 0, 1 / jnp.where(total > 0, total, 1.0), 0.0)
        trace = jnp.sum(diagonal * spectrum * inverse**2) / n
        bias = first + times(dkappa * trace, jnp.sum(spectrum * rest**2))
        variance = times(dkappa * trace, noise)
        return ShiftRisk(bias + variance + noise, kappa, dkappa, bias, variance)

    return over_grid(at, n, alpha, spectrum.size)


@register()
@dataclass(frozen=True)
class RandomFeatureRisk:
    """Risk of random-feature ridge regression, and what it follows from.

    Every field has the shape that n and alpha broadcast to; κ and γ solve the two coupled
    equations.

    Attributes:
        risk: expected squared error on a fresh sample.
        train_risk: mean squared residual.
        kappa: κ, that of the samples.
        gamma: γ, that of samples and features.
    """

    risk: Float[Array, "..."]
    train_risk: Float[Array, "..."]
    kappa: Float[Array, "..."]
    gamma: Float[Array, "..."]


@in_range(infinite=True)
@float64_inside
def random_features_risk(
    eigenvalues: Float[ArrayLike, "p"],
    target_power: Float[ArrayLike, "p"],
    n: Float[ArrayLike, "..."] | float,
    features: float,
    alpha: Float[ArrayLike, "..."] | float,
    *,
    noise: Float[ArrayLike, ""] | float = 0.0,
) -> RandomFeatureRisk:
    """Risk of ridge regression on random features of a kernel with a known spectrum.

    Use it for a number of features of the order of n or below; as k -> ∞, γ -> κ and this is
    `omniscient_risk`. K̂ = (1/k) Σ_j g_j g_jᵀ on n samples is solved with K̂ + nα. With L =
    λ/(λ+γ): Σ L + nα/κ = n and Σ L + kκ/γ = k.

    Args:
        eigenvalues: (p,) of the kernel.
        target_power: (p,) b_i, as in `omniscient_risk`.
        n: number of samples; broadcasts against alpha.
        features: k, the number of random features, above 0.
        alpha: ridge penalty, as in `effective_regularization`.
        noise: variance of the label noise.

    Returns:
        A `RandomFeatureRisk`.

    Raises:
        InputError: negative or non-finite input, or shapes that do not match.

    Source:
        Simon et al. 2023, "More is better".
    """
    spectrum = as_spectrum("eigenvalues", eigenvalues)
    power = as_float64(checks.nonnegative("target_power", target_power, ndim=1))
    checks.same_length(eigenvalues=spectrum, target_power=power)
    checks.positive("features", features, ndim=0)
    _require_sample(n, alpha, noise)
    return _random_features(
        spectrum, power, as_float64(noise), as_float64(features), as_float64(n), as_float64(alpha)
    )


@jax.jit
def _random_features(spectrum, power, noise, k, n, alpha):  # type: ignore[no-untyped-def]
    weights = jnp.ones_like(spectrum)

    def at(n: Array, alpha: Array) -> RandomFeatureRisk:
        least = jnp.minimum(n, k)

        def excess(log_gamma: Array) -> Array:
            # γ (1 - ΣL/n)(1 - ΣL/k) - α, increasing where both brackets are positive.
            gamma = jnp.exp(log_gamma)
            learnt = balance(spectrum, weights, None, n, gamma).dof1
            first, second = 1 - learnt / n, 1 - learnt / k
            return jnp.where(
                learnt < least, gamma * first * second - alpha, learnt / least * -1.0 - alpha
            )

        def bisect(function: object, guess: Array) -> Array:
            def halve(_: int, bounds: tuple[Array, Array]) -> tuple[Array, Array]:
                low, high = bounds
                middle = (low + high) / 2
                up = excess(middle) > 0
                return jnp.where(up, low, middle), jnp.where(up, middle, high)

            return jax.lax.fori_loop(0, 70, halve, (guess - 200.0, guess))[1]

        top = jnp.log(4 * alpha + 2 * jnp.sum(spectrum) / least)
        log_gamma = jax.lax.custom_root(
            excess,
            jax.lax.stop_gradient(top),
            bisect,
            lambda tangent, y: y / tangent(jnp.ones_like(y)),
        )
        gamma = jnp.exp(log_gamma)
        missed = unlearned(spectrum, gamma)
        at_gamma = balance(spectrum, weights, None, n, gamma)
        z, q = at_gamma.dof1, at_gamma.dof1 - at_gamma.gap
        kappa = gamma * (1 - z / k)
        learnt = 1 - missed
        # Σ (γ/(λ+γ) - κ λ/(λ+γ)² k/(k-q)) b, with κ/γ = 1 - z/k.
        bias = jnp.sum(power * missed * (1 - learnt * (k - z) / (k - q)))
        risk = (bias + noise) / (1 - (q * (k - 2 * z) + z * z) / (n * (k - q)))
        train = jnp.maximum(1 - z / n, 0.0) ** 2 * risk
        return RandomFeatureRisk(risk, train, kappa, gamma)

    return over_grid(at, n, alpha, spectrum.size)
