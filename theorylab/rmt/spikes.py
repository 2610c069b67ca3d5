"""Spiked models: when a signal leaves the noise.

Near the threshold convergence is as slow as n^-1/3: compare with simulations away from it.

Source: Baik, Ben Arous & Péché 2005; Paul 2007.
"""

import math
from dataclasses import dataclass

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float

from theorylab import checks
from theorylab.overflow import in_range, require_answer
from theorylab.precision import as_float64, float64_inside, is_traced
from theorylab.pytrees import register
from theorylab.rmt.results import EdgeScaling


@register()
@dataclass(frozen=True)
class Spike:
    """Limit of a sample's leading eigenvalue under a spike.

    Attributes:
        eigenvalue: limit of the sample eigenvalue.
        overlap: squared overlap of its eigenvector with the signal.
        detected: whether the spike is above the threshold.
    """

    eigenvalue: Float[Array, "..."]
    overlap: Float[Array, "..."]
    detected: Bool[Array, "..."]


@in_range()
@float64_inside
def bbp_covariance(
    spike: Float[ArrayLike, "..."] | float,
    gamma: Float[ArrayLike, "..."] | float,
    *,
    s2: Float[ArrayLike, "..."] | float = 1.0,
) -> Spike:
    """Where one population eigenvalue over a white bulk shows in the sample covariance.

    Threshold s2 (1 + √gamma). Above: eigenvalue ℓ(1 + γ s2/(ℓ - s2)), overlap² (1 - γ/(r-1)²)/(1 +
    γ/(r-1)) with r = ℓ/s2. Below: the edge s2(1 + √γ)², overlap 0. Use `SilversteinLaw.outlier`
    over a coloured bulk, and `spike_from_sample` for the way back.

    Args:
        spike: ℓ, the population eigenvalue, of any shape.
        gamma: p/n.
        s2: the bulk's eigenvalue.

    Returns:
        A `Spike` of the shape that the arguments broadcast to.

    Raises:
        InputError: a negative spike, a gamma or s2 that is not above 0, or shapes that do not fit.

    Source:
        Baik, Ben Arous & Péché 2005; Paul 2007.

    Examples:
        >>> spike = bbp_covariance([1.2, 3.0], gamma=0.25)
        >>> spike.eigenvalue.tolist(), spike.detected.tolist()
        ([2.25, 3.375], [False, True])
    """
    checks.nonnegative("spike", spike)
    checks.positive("gamma", gamma)
    checks.positive("s2", s2)
    checks.broadcast(spike=spike, gamma=gamma, s2=s2)
    gamma, s2 = as_float64(gamma), as_float64(s2)
    ratio = as_float64(spike) / s2
    root = jnp.sqrt(gamma)
    seen = ratio > 1 + root
    excess = jnp.where(seen, ratio - 1, 1.0)
    place = jnp.where(seen, ratio * (1 + gamma / excess), (1 + root) ** 2) * s2
    overlap = jnp.where(seen, (1 - gamma / excess**2) / (1 + gamma / excess), 0.0)
    return Spike(place, overlap, seen)


@in_range()
@float64_inside
def bbp_wigner(
    theta: Float[ArrayLike, "..."] | float, *, s2: Float[ArrayLike, "..."] | float = 1.0
) -> Spike:
    """Where a rank-one signal shows in Wigner noise.

    Threshold s; above it eigenvalue θ + s²/θ and overlap² 1 - s²/θ²; below the edge 2s and 0.

    Args:
        theta: size θ >= 0 of the signal, of any shape.
        s2: variance s² of the noise (`Semicircle`).

    Returns:
        A `Spike` of the shape that the arguments broadcast to.

    Raises:
        InputError: a negative signal, or a variance that is not above 0.
    """
    checks.nonnegative("theta", theta)
    checks.positive("s2", s2)
    checks.broadcast(theta=theta, s2=s2)
    theta, s2 = as_float64(theta), as_float64(s2)
    seen = theta * theta > s2
    safe = jnp.where(seen, theta, 1.0)
    place = jnp.where(seen, safe + s2 / safe, 2 * jnp.sqrt(s2))
    return Spike(place, jnp.where(seen, 1 - s2 / safe**2, 0.0), seen)


@float64_inside
def spike_from_sample(
    eigenvalue: Float[ArrayLike, "..."] | float,
    gamma: Float[ArrayLike, "..."] | float,
    *,
    s2: Float[ArrayLike, "..."] | float = 1.0,
) -> Float[Array, "..."]:
    """The population spike whose limit is this sample eigenvalue.

    It is the inverse of `bbp_covariance`.

    Args:
        eigenvalue: of the sample covariance, of any shape.
        gamma: p/n.
        s2: the bulk's eigenvalue.

    Returns:
        The spike ℓ, of the shape that the arguments broadcast to; NaN inside the bulk.

    Raises:
        InputError: a negative eigenvalue, or a gamma or s2 that is not above 0.
    """
    checks.nonnegative("eigenvalue", eigenvalue)
    checks.positive("gamma", gamma)
    checks.positive("s2", s2)
    checks.broadcast(eigenvalue=eigenvalue, gamma=gamma, s2=s2)
    gamma, s2 = as_float64(gamma), as_float64(s2)
    x = as_float64(eigenvalue) / s2
    outside = x > (1 + jnp.sqrt(gamma)) ** 2
    if not is_traced(x) and not bool(jnp.isfinite(x).all()):
        require_answer(x, {"s2": s2})
    half = jnp.sqrt(jnp.where(outside, x, 1.0))
    b = jnp.where(outside, x + 1 - gamma, 4.0)
    # the root of b² - 4x without the square, which overflows first
    root = jnp.sqrt(jnp.maximum(b - 2 * half, 0.0)) * jnp.sqrt(b + 2 * half)
    return jnp.where(outside, s2 * (b + root) / 2, jnp.nan)


def wishart_edge(n: int, p: int) -> EdgeScaling:
    """Centre and scale of the largest eigenvalue of XᵀX for white data.

    (μ, σ) with (λ_max(XᵀX) - μ)/σ -> Tracy-Widom 1 for a real standard Gaussian X (n, p), not
    divided by n.

    Args:
        n: rows of X.
        p: columns of X.

    Returns:
        `EdgeScaling` (centre μ, scale σ), floats.

    Raises:
        InputError: fewer than two rows, or no column.

    Source:
        Johnstone 2001.
    """
    n, p = checks.count("n", n, 2), checks.count("p", p)
    a, b = math.sqrt(n - 1), math.sqrt(p)
    return EdgeScaling((a + b) ** 2, (a + b) * (1 / a + 1 / b) ** (1 / 3))


def goe_edge(n: int) -> EdgeScaling:
    """Centre and scale of the largest eigenvalue of the GOE.

    (μ, σ) with (λ_max - μ)/σ -> Tracy-Widom 1 for off-diagonal variance 1: 2√n and n^-1/6.

    Args:
        n: size of the matrix.

    Returns:
        `EdgeScaling` (centre μ, scale σ), floats.

    Raises:
        InputError: a count below 1.
    """
    n = checks.count("n", n)
    return EdgeScaling(2 * math.sqrt(n), n ** (-1 / 6))
