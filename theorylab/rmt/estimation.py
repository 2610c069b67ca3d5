"""From sample eigenvalues back to a population: decay exponents, tail exponents, and the whole spectrum."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Array, Float
from scipy.optimize import brentq, nnls

from theorylab.errors import InputError
from theorylab.rmt.scaling import log_slope


@dataclass(frozen=True)
class PowerLawFit:
    """An exponent > 0 with its standard error and the number of eigenvalues it rests on."""

    exponent: float
    standard_error: float
    count: int


def decay_exponent(eigenvalues: Float[Array, "p"], *, start: int = 1, stop: int | None = None) -> PowerLawFit:
    """a of λ_i ~ i^-a by least squares of log λ on log i over ranks start..stop (1-based, inclusive).

    For population spectra. On the spectrum of a sample kernel the last decade is distorted and the answer depends on
    the window: use `kappa_curve` and `fit_exponents` there. Standard error from residuals (they are correlated: a
    lower bound).
    """
    values = np.sort(np.asarray(eigenvalues, float))[::-1]
    stop = len(values) if stop is None else stop
    if not 1 <= start < stop - 1 or stop > len(values):
        raise InputError(f"need 1 <= start, start + 2 <= stop <= {len(values)} ranks, got {start}..{stop}")
    window = values[start - 1 : stop]
    if not (np.isfinite(window).all() and window[-1] > 0):
        raise InputError("eigenvalues in the window must be finite and > 0; end it before the null space (stop=)")
    slope, error = log_slope(np.arange(start, stop + 1.0), window)
    return PowerLawFit(-slope, error, len(window))


def tail_exponent(eigenvalues: Float[Array, "p"], xmin: float, xmax: float = math.inf) -> PowerLawFit:
    """a of a density ~ x^-a on [xmin, xmax] by maximum likelihood, truncation included.

    Ignoring the upper end, as the plain Hill estimator does, biases a upwards. For eigenvalues i^-b, a = 1 + 1/b.
    Standard error from the Fisher information.
    """
    values = np.asarray(eigenvalues, float)
    if not 0 < xmin < xmax:
        raise InputError(f"need 0 < xmin < xmax, got {xmin} and {xmax}")
    inside = np.log(values[(values >= xmin) & (values <= xmax)] / xmin)
    if len(inside) < 3 or inside.max() == 0:
        raise InputError(f"only {len(inside)} eigenvalues lie in [{xmin:g}, {xmax:g}]; widen the window")
    length, mean = math.log(xmax / xmin), float(inside.mean())
    if math.isinf(length):
        return PowerLawFit(1 + 1 / mean, 1 / mean / math.sqrt(len(inside)), len(inside))

    def moments(s: float) -> tuple[float, float]:
        """Mean and variance of u on [0, length] with density ~ exp(-s u)."""
        t = s * length
        if abs(t) < 1e-3:
            return length * (0.5 - t / 12), length**2 / 12
        q = t / math.expm1(t) if t < 600 else 0.0
        return (1 - q) / s, (1 - q * q * math.exp(min(t, 300.0)) if t < 300 else 1.0) / s**2

    limit = 500 / length
    if not moments(limit)[0] < mean < moments(-limit)[0]:
        raise InputError("the eigenvalues sit at one end of [xmin, xmax]; no power law fits")
    s = float(brentq(lambda v: moments(v)[0] - mean, -limit, limit, xtol=1e-12))
    return PowerLawFit(1 + s, 1 / math.sqrt(moments(s)[1] * len(inside)), len(inside))


@dataclass(frozen=True)
class SpectrumEstimate:
    """Population spectrum as `weights` (sum 1) on the grid `eigenvalues`; `residual` is the relative misfit."""

    eigenvalues: np.ndarray
    weights: np.ndarray
    residual: float


def estimate_spectrum(
    sample_eigenvalues: Float[Array, "p"],
    n: int,
    *,
    grid: Float[Array, "r"] | None = None,
    points: int = 60,
) -> SpectrumEstimate:
    """Population spectrum from the p eigenvalues of Σ̂ = XᵀX/n (zeros included): El Karoui 2008, in least squares.

    Weights w >= 0 on `grid` (default: 60 values, geometric from the smallest to the largest plausible eigenvalue)
    that best satisfy Silverstein's equation z + 1/m̃ = γ Σ w t/(1 + t m̃), with m̃ the empirical transform at
    `points` complex z. An ill-posed problem: masses of neighbouring grid points are exchangeable, low moments are
    accurate. NumPy, not differentiable. Raises InputError on negative or non-finite input.
    """
    values = np.asarray(sample_eigenvalues, float)
    if values.ndim != 1 or values.size == 0 or not np.isfinite(values).all() or values.min() < -1e-8 * values.max():
        raise InputError("sample_eigenvalues must be a non-empty 1-D array of finite values >= 0")
    if n < 1 or values.max() <= 0:
        raise InputError(f"need n >= 1 samples and a positive eigenvalue, got n = {n}, largest {values.max():g}")
    gamma, top = values.size / n, values.max()
    if grid is None:
        low = max(np.quantile(values, 0.02), 1e-3 * values.mean()) / 2
        t = np.geomspace(low, top, 60)
    else:
        t = np.asarray(grid, float)
    u = np.linspace(0, 1, points)
    z = np.concatenate([top * (1.2 * u) + 1j * top * 0.05, -top * np.geomspace(1e-3, 3, points) + 0j])
    m = gamma * np.mean(1 / (values - z[:, None]), axis=1) - (1 - gamma) / z
    # The equation is multiplied by m̃: z m̃ + 1 = γ Σ w t m̃/(1 + t m̃), all of order one.
    left = gamma * (t * m[:, None]) / (1 + t * m[:, None])
    right = z * m + 1
    heavy = 1e3  # the sum of the weights is 1, as one more equation
    design = np.concatenate([left.real, left.imag, heavy * np.ones((1, t.size))])
    target = np.concatenate([right.real, right.imag, [heavy]])
    weights, _ = nnls(design, target, maxiter=50 * t.size)
    misfit = left @ weights - right
    return SpectrumEstimate(t, weights / weights.sum(), float(np.linalg.norm(misfit) / np.linalg.norm(right)))
