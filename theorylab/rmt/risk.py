"""The omniscient risk of ridge regression and its poorer relatives.

They take a spectrum and a target.

Source: Wei, Hu & Steinhardt 2022 (arXiv 2203.06176), equations (O) and (E) of the eigenlearning
form.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from theorylab import checks, linalg
from theorylab.errors import InputError
from theorylab.overflow import in_range
from theorylab.precision import as_float64, float64_inside, is_traced
from theorylab.pytrees import register
from theorylab.rmt.effective import balance, over_grid, solve_kappa, times, unlearned
from theorylab.rmt.inputs import as_spectrum, as_weights
from theorylab.rmt.results import PluginSpectrum
from theorylab.rmt.tails import PowerLawTail, require_same_start, require_tail, tail_unlearned


@register()
@dataclass(frozen=True)
class RiskEstimate:
    """Deterministic equivalents of a ridge regression.

    Every field has the shape that n and alpha broadcast to.

    Attributes:
        risk: bias + variance + noise, which is E(y - ŷ)² on a fresh sample.
        train_risk: mean squared residual.
        kappa: effective regularisation κ.
        dkappa: κ' = ∂κ/∂α.
        dof1: Σ L with L = λ/(λ+κ).
        dof2: Σ L².
        bias: κ²κ' Σ b/(λ+κ)².
        variance: noise (κ' - 1).
    """

    risk: Float[Array, "..."]
    train_risk: Float[Array, "..."]
    kappa: Float[Array, "..."]
    dkappa: Float[Array, "..."]
    dof1: Float[Array, "..."]
    dof2: Float[Array, "..."]
    bias: Float[Array, "..."]
    variance: Float[Array, "..."]


@jax.jit
def _risk(eigenvalues, power, weights, noise, tail, target_tail, n, alpha):  # type: ignore[no-untyped-def]
    def at(n: Array, alpha: Array) -> RiskEstimate:
        kappa = solve_kappa(eigenvalues, weights, tail, n, alpha)
        at_kappa = balance(eigenvalues, weights, tail, n, kappa)
        dkappa = 1 / at_kappa.slope(n)
        missed = jnp.sum(power * unlearned(eigenvalues, kappa) ** 2)
        if target_tail is not None:
            missed = missed + tail_unlearned(target_tail, tail, kappa)
        bias, variance = times(dkappa, missed), times(dkappa - 1, noise)
        risk = bias + variance + noise
        train_risk = times(risk, at_kappa.slack**2)
        dof1 = at_kappa.dof1
        return RiskEstimate(
            risk, train_risk, kappa, dkappa, dof1, dof1 - at_kappa.gap, bias, variance
        )

    return over_grid(at, n, alpha, eigenvalues.size)


@in_range(infinite=True)
@float64_inside
def omniscient_risk(
    eigenvalues: Float[ArrayLike, "p"],
    target_power: Float[ArrayLike, "p"] | Float[ArrayLike, "p c"],
    n: Float[ArrayLike, "..."] | float,
    alpha: Float[ArrayLike, "..."] | float,
    *,
    noise: Float[ArrayLike, ""] | float = 0.0,
    tail: PowerLawTail | None = None,
    target_tail: PowerLawTail | None = None,
    weights: Float[ArrayLike, "p"] | None = None,
) -> RiskEstimate:
    """Risk of ridge regression from the population spectrum and the target's power in each mode.

    Use it where both are known; with the spectrum alone take `spectrum_only_risk`, with a kernel
    and labels `KernelRidgePath.gcv`, under another test law `covariate_shift_risk`, for few random
    features `random_features_risk`. R = κ' (κ² Σ b_i/(λ_i+κ)² + σ²) and R_train = (α/κ)² R. A mode
    with λ = 0 and b > 0 acts as noise that is not amplified; put it in `noise` if it varies from
    sample to sample.

    Args:
        eigenvalues: (p,) of the population covariance, at least 0.
        target_power: b_i = λ_i (v_iᵀβ)² (p,), or (p, c) for c outputs, over which it is summed.
        n: number of samples; broadcasts against alpha.
        alpha: ridge penalty, as in `effective_regularization`.
        noise: variance σ² of the label noise, summed over outputs.
        tail: adds the modes beyond p of a power law in λ.
        target_tail: adds the modes beyond p of a power law in b (without a spectral tail they are
            never learnt).
        weights: (p,) multiplicities of the eigenvalues (b_i is then the power of the whole group).

    Returns:
        A `RiskEstimate`.

    Raises:
        InputError: shapes that do not match, and negative values.

    Source:
        Wei, Hu & Steinhardt 2022, equation (O).

    Examples:
        >>> import numpy as np
        >>> spectrum = np.arange(1, 1001) ** -1.5
        >>> risk = omniscient_risk(spectrum, spectrum, n=[100, 400], alpha=1e-3, noise=0.1)
        >>> risk.risk.shape, bool(risk.risk[0] > risk.risk[1] > 0.1)
        ((2,), True)
        >>> np.allclose(risk.risk, risk.bias + risk.variance + 0.1)
        True
    """
    spectrum = as_spectrum("eigenvalues", eigenvalues)
    # λ_i (v_iᵀβ)², no coefficient
    power = as_float64(checks.nonnegative("target_power", target_power, ndim=(1, 2)))
    if power.shape[0] != spectrum.shape[0]:
        raise InputError(
            f"target_power has shape {power.shape}; ({spectrum.shape[0]},) or "
            f"({spectrum.shape[0]}, outputs) like the eigenvalues is needed"
        )
    checks.positive("n", n)
    checks.nonnegative("alpha", alpha)
    checks.broadcast(n=n, alpha=alpha)
    checks.nonnegative("noise", noise, ndim=0)
    require_tail("tail", tail, spectrum, weights)
    require_tail("target_tail", target_tail, spectrum, weights)
    if tail is not None and target_tail is not None:
        require_same_start(tail, target_tail)
    power = power.sum(axis=1) if power.ndim == 2 else power
    return _risk(
        spectrum,
        power,
        as_weights("weights", weights, spectrum),
        as_float64(noise),
        tail,
        target_tail,
        as_float64(n),
        as_float64(alpha),
    )


@in_range(infinite=True)
@float64_inside
def spectrum_only_risk(
    eigenvalues: Float[ArrayLike, "p"],
    n: Float[ArrayLike, "..."] | float,
    alpha: Float[ArrayLike, "..."] | float,
    *,
    second_moment: Float[ArrayLike, ""] | float,
    noise: Float[ArrayLike, ""] | float = 0.0,
) -> RiskEstimate:
    """Risk of ridge regression from the spectrum and E y² alone, as a baseline.

    It spreads the target's power as b_i = τ²λ_i; `omniscient_risk` knows the power itself.

    Args:
        eigenvalues: (p,) of the population covariance, at least 0.
        n: number of samples; broadcasts against alpha.
        alpha: ridge penalty, as in `effective_regularization`.
        second_moment: E y².
        noise: variance of the label noise.

    Returns:
        A `RiskEstimate`.

    Raises:
        InputError: negative or non-finite input.
    """
    spectrum = as_spectrum("eigenvalues", eigenvalues)
    checks.nonnegative("second_moment", second_moment, ndim=0)
    if not is_traced(spectrum) and float(spectrum.max()) == 0:
        raise InputError("eigenvalues are all 0; one above 0 is needed to carry the second moment")
    return omniscient_risk(
        spectrum, as_float64(second_moment) * spectrum / jnp.sum(spectrum), n, alpha, noise=noise
    )


@in_range()
@float64_inside
def plugin_spectrum(
    K: Float[ArrayLike, "m m"], Y: Float[ArrayLike, "m"] | Float[ArrayLike, "m c"]
) -> PluginSpectrum:
    """Spectrum and target power (λ_i, b_i) estimated from m samples.

    These are the eigenvalues of K/m, falling, and (u_iᵀy)²/m summed over outputs; Σ b = mean of y².
    Fed to `omniscient_risk`, good only for n much smaller than m (at n = m it returns the training
    data).

    Args:
        K: (m, m) symmetric kernel, not divided by m.
        Y: (m,) or (m, c) targets.

    Returns:
        `PluginSpectrum` (eigenvalues λ, target_power b), each (m,).

    Raises:
        InputError: shapes that do not match.
    """
    kernel, labels = (
        as_float64(checks.symmetric("K", K)),
        as_float64(checks.finite("Y", Y, ndim=(1, 2))),
    )
    if labels.shape[0] != kernel.shape[0]:
        raise InputError(
            f"Y has {labels.shape[0]} rows; one row for each of the {kernel.shape[0]} of K is "
            "needed"
        )
    m = kernel.shape[0]
    values, vectors = linalg.eigh(kernel)
    checks.positive_semidefinite("K", values, checks.kernel_rounding(K))
    coefficients = vectors.T @ labels.reshape(m, -1)
    return PluginSpectrum(
        jnp.maximum(values[::-1], 0.0) / m, jnp.sum(coefficients**2, axis=1)[::-1] / m
    )
