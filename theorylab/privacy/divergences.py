"""Exact divergences of mechanisms whose output is one number, which bounds are held to.

A Gaussian sum over a Poisson sample is a mixture of Gaussians, one for each sample. On a line the
Rényi divergence of two mixtures is an integral that the trapezoid rule finds to rounding.
Source: definition of van Erven & Harremoës 2014; the quadrature is ours.
"""

from typing import Any

import numpy as np
from scipy.special import logsumexp

from theorylab import checks
from theorylab.errors import InputError

POINTS = 40_001  # of the quadrature
REACH = 14.0  # how far beyond the means it goes, in standard deviations


def renyi_of_mixtures(
    order: float, weights: Any, first: Any, second: Any, *, noise_std: float
) -> float:
    """Rényi divergence of one mixture of Gaussians on a line from another.

    Args:
        order: of the divergence, above 1.
        weights: (k,) of the components, in both mixtures; they add up to 1.
        first: (k,) means of the one.
        second: (k,) means of the other.
        noise_std: standard deviation of every component, above 0.

    Returns:
        D_order(Σ weights N(first, noise_std²) | Σ weights N(second, noise_std²)), at least 0.

    Raises:
        InputError: an argument out of range, shapes that do not fit, or means so far apart that the
            quadrature cannot resolve the noise.

    Examples:
        >>> round(renyi_of_mixtures(2.0, [1.0], [0.5], [0.0], noise_std=1.0), 9)
        0.25
    """
    a = float(checks.number("order", order, 1.0, open_low=True))
    mass = np.asarray(checks.probabilities("weights", weights), np.float64)
    means = [
        np.asarray(checks.finite(name, value, ndim=1), np.float64)
        for name, value in (("first", first), ("second", second))
    ]
    if mass.ndim != 1 or any(m.shape != mass.shape for m in means):
        raise InputError(
            f"first has shape {means[0].shape}, second {means[1].shape} and weights {mass.shape}; "
            "one mean for each weight is needed"
        )
    std = float(checks.number("noise_std", noise_std, 0.0, open_low=True))
    # order P - (order - 1) Q peaks at order p - (order - 1) q, for means p of P and q of Q
    peaks = a * means[0][:, None] - (a - 1) * means[1]
    low = min(peaks.min(), means[0].min()) - REACH * std
    high = max(peaks.max(), means[0].max()) + REACH * std
    if high - low > std * POINTS / 20:
        raise InputError(
            f"first and second spread over {(high - low) / std:.3g} noise_std at order = {a:g}; at "
            f"most {POINTS / 20:g} are needed"
        )
    x = np.linspace(low, high, POINTS)

    def log_density(centres: Any) -> Any:
        terms = -(((x[:, None] - centres) / std) ** 2) / 2 - np.log(std * np.sqrt(2 * np.pi))
        with np.errstate(divide="ignore"):
            return logsumexp(terms + np.log(mass), axis=1)

    inside = a * log_density(means[0]) + (1 - a) * log_density(means[1])
    return max(float((logsumexp(inside) + np.log(x[1] - x[0])) / (a - 1)), 0.0)
