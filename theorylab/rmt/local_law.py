"""Does a local random-matrix law hold for these features? The hypothesis behind GCV, measured.

A diagnostic at a fixed ridge far above κ(0, n) passes anything: let the ridge shrink with n, e.g. α
= 0.3 κ(0, n).

Source: Wei, Hu & Steinhardt 2022 (hypothesis of the theorem); Knowles & Yin 2017 (anisotropic local
laws).
"""

from dataclasses import dataclass

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Complex, Float

from theorylab import checks, linalg
from theorylab.errors import InputError
from theorylab.overflow import in_range
from theorylab.precision import as_float64, float64_inside, is_traced
from theorylab.pytrees import register
from theorylab.rmt.effective import effective_regularization
from theorylab.rmt.inputs import as_spectrum, complexed, require_complex, require_upper


@register()
@dataclass(frozen=True)
class LocalLawResiduals:
    """Relative residuals of the two local laws, signed.

    Attributes:
        averaged: of alpha's shape.
        anisotropic: (..., k), one column per vector.
        kappa: κ of the population, of alpha's shape.
        kappa_hat: κ̂ of the sample, of alpha's shape.
    """

    averaged: Float[Array, "..."]
    anisotropic: Float[Array, "... k"]
    kappa: Float[Array, "..."]
    kappa_hat: Float[Array, "..."]


@in_range()
@float64_inside
def local_law_residuals(
    X: Float[ArrayLike, "n p"],
    eigenvalues: Float[ArrayLike, "p"],
    alpha: Float[ArrayLike, "..."] | float,
    vectors: Float[ArrayLike, "p"] | Float[ArrayLike, "p k"],
) -> LocalLawResiduals:
    """Residuals of the averaged and the anisotropic local law for a sample of known covariance.

    Use it to test the hypothesis behind GCV; for targets at hand, `KernelRidgePath.gcv_loo_ratio`
    needs no population. (A) averaged: α s(α) / (α/κ) - 1 with s(α) = (1/n) tr (XXᵀ/n + α)⁻¹; equal
    to κ/κ̂ - 1. (B) anisotropic: α vᵀ(Σ̂+α)⁻¹v / [κ vᵀ(Σ+κ)⁻¹v] - 1. For i.i.d. entries (A) falls
    as 1/n and (B) as n^-1/2; for duplicated or elliptical samples they stall.

    Args:
        X: (n, p) sample in the eigenbasis of Σ (rotate it first: X @ V).
        eigenvalues: (p,) of the population covariance.
        alpha: ridge penalty above 0, of any shape.
        vectors: (p,) or (p, k), one vector v per column, in the eigenbasis of Σ.

    Returns:
        A `LocalLawResiduals`.

    Raises:
        InputError: mismatched shapes, or a penalty that is not above 0.
    """
    sample, spectrum = (
        as_float64(checks.finite("X", X, ndim=2)),
        as_spectrum("eigenvalues", eigenvalues),
    )
    v = as_float64(checks.finite("vectors", vectors, ndim=(1, 2)))
    v = v[:, None] if v.ndim == 1 else v
    p = spectrum.shape[0]
    if sample.shape[1] != p or v.shape[0] != p:
        raise InputError(
            f"X has shape {sample.shape} and vectors {v.shape}; (n, {p}) and ({p},) or ({p}, k) "
            f"are needed for the {p} eigenvalues"
        )
    if not is_traced(v) and not (v != 0).any(axis=0).all():
        raise InputError("vectors has a column of zeros; directions are needed")
    checks.positive("alpha", alpha)
    n, ridge = sample.shape[0], as_float64(alpha)
    values, basis = linalg.eigh(sample @ sample.T / n)
    # α(Σ̂+α)⁻¹ = 1 - Xᵀ(XXᵀ/n + α)⁻¹X/n, so that an n x n eigendecomposition serves every α.
    projected = (basis.T @ (sample @ v)) ** 2 / n
    inverse = 1 / (jnp.maximum(values, 0.0) + ridge[..., None])
    kappa = effective_regularization(spectrum, n, ridge)
    kappa_hat = 1 / jnp.mean(inverse, axis=-1)
    measured = jnp.sum(v**2, axis=0) - inverse @ projected
    predicted = (kappa[..., None] / (spectrum + kappa[..., None])) @ v**2
    return LocalLawResiduals(kappa / kappa_hat - 1, measured / predicted - 1, kappa, kappa_hat)


@float64_inside
def resolvent_residuals(
    sample_eigenvalues: Float[ArrayLike, "n"],
    stieltjes: Complex[ArrayLike, "..."],
    z: Complex[ArrayLike, "..."],
) -> Float[Array, "..."]:
    """Residuals |s(z) - m(z)| · n · Im z of a predicted Stieltjes transform.

    They stay of order n^o(1) down to Im z ~ 1/n when the averaged local law holds.

    Args:
        sample_eigenvalues: (n,), whose transform is s.
        stieltjes: m(z), the predicted transform at the points z.
        z: points with Im z > 0, of the shape of `stieltjes`.

    Returns:
        An array of the shape of z.

    Raises:
        InputError: shapes that do not match, or points that are not above the axis.

    Source:
        Knowles & Yin 2017.
    """
    require_upper(require_complex("z", z), strictly=True)
    require_complex("stieltjes", stieltjes)
    checks.broadcast(stieltjes=stieltjes, z=z)
    points, values = (
        complexed(z),
        as_float64(checks.finite("sample_eigenvalues", sample_eigenvalues, ndim=1)),
    )
    empirical = jnp.mean(1 / (values - points[..., None]), axis=-1)
    return jnp.abs(empirical - complexed(stieltjes)) * values.size * jnp.imag(points)
