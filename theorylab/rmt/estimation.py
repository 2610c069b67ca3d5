"""From sample eigenvalues back to a population: exponents, and the whole spectrum.

Source: El Karoui 2008 (the spectrum); Hill 1975 (tails, without the upper end).
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Array, Float
from scipy.optimize import brentq, nnls

from theorylab import checks
from theorylab.errors import InputError
from theorylab.rmt.scaling import log_slope


@dataclass(frozen=True)
class PowerLawFit:
    """An exponent of a power law with its standard error.

    Attributes:
        exponent: above 0.
        standard_error: of the exponent.
        count: number of eigenvalues that it rests on.
    """

    exponent: float
    standard_error: float
    count: int


def decay_exponent(
    eigenvalues: Float[Array, "p"], *, start: int = 1, stop: int | None = None
) -> PowerLawFit:
    """Exponent a of λ_i ~ i^-a, by least squares of log λ on log i.

    Use it for population spectra. On the spectrum of a sample kernel the last decade is distorted
    and the answer depends on the window: use `kappa_curve` and `fit_exponents` there.

    Args:
        eigenvalues: (p,) above 0 in the window; sorted here.
        start: first rank, counted from 1.
        stop: last rank, included; None for the last of all.

    Returns:
        A `PowerLawFit`. Its standard error comes from residuals, which are correlated: it is a
        lower bound.

    Raises:
        InputError: fewer than three ranks, ranks beyond the last, or an eigenvalue of 0 or less.
    """
    values = np.sort(np.asarray(checks.finite("eigenvalues", eigenvalues, ndim=1), float))[::-1]
    start = checks.count("start", start)
    stop = len(values) if stop is None else checks.count("stop", stop)
    if not start < stop - 1 or stop > len(values):
        raise InputError(
            f"start = {start}, stop = {stop}; start + 2 <= stop <= {len(values)}, the ranks of "
            "eigenvalues, are needed"
        )
    window = values[start - 1 : stop]
    if not window[-1] > 0:
        raise InputError(
            "eigenvalues in the window must be finite and > 0; end it before the null space (stop=)"
        )
    slope, error = log_slope(np.arange(start, stop + 1.0), window)
    return PowerLawFit(-slope, error, len(window))


def tail_exponent(
    eigenvalues: Float[Array, "p"], xmin: float, xmax: float = math.inf
) -> PowerLawFit:
    """Exponent a of a density ~ x^-a on [xmin, xmax] by maximum likelihood, truncation included.

    Ignoring the upper end, as the plain Hill estimator does, biases a upwards. For eigenvalues
    i^-b, a = 1 + 1/b.

    Args:
        eigenvalues: (p,) eigenvalues, or any sample above 0.
        xmin: lower end of the window, above 0.
        xmax: upper end of the window.

    Returns:
        A `PowerLawFit`, with a standard error from the Fisher information.

    Raises:
        InputError: a window with fewer than three values, or with all of them at one end.
    """
    values = np.asarray(checks.finite("eigenvalues", eigenvalues, ndim=1), float)
    xmin = float(checks.number("xmin", xmin, 0.0, open_low=True))
    xmax = float(checks.number("xmax", xmax, 0.0, open_low=True, infinite=True))
    if not xmin < xmax:
        raise InputError(f"xmin = {xmin:g}, xmax = {xmax:g}; 0 < xmin < xmax is needed")
    inside = np.log(values[(values >= xmin) & (values <= xmax)] / xmin)
    if len(inside) < 3 or inside.max() == 0:
        raise InputError(
            f"only {len(inside)} eigenvalues lie in [xmin, xmax] = [{xmin:g}, {xmax:g}]; widen "
            "the window"
        )
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
    """Estimated population spectrum as a discrete distribution.

    Attributes:
        eigenvalues: the grid.
        weights: of the grid's points, with sum 1.
        residual: relative misfit of Silverstein's equation.
    """

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
    """Population spectrum from the p eigenvalues of a sample covariance.

    Use it where only a sample is known, and then `SilversteinLaw` or `effective_regularization` on
    its result. It finds weights w >= 0 on a grid that best satisfy Silverstein's equation z + 1/m̃
    = γ Σ w t/(1 + t m̃) in least squares, with m̃ the empirical transform at complex z. An
    ill-posed problem: masses of neighbouring grid points are exchangeable, low moments are
    accurate. NumPy, not differentiable.

    Args:
        sample_eigenvalues: (p,) of Σ̂ = XᵀX/n, zeros included.
        n: number of samples.
        grid: (r,) candidate eigenvalues; None for 60 values, geometric from the smallest to the
            largest plausible one.
        points: number of points z.

    Returns:
        A `SpectrumEstimate`.

    Raises:
        InputError: negative or non-finite input.

    Source:
        El Karoui 2008.
    """
    values = np.asarray(checks.finite("sample_eigenvalues", sample_eigenvalues, ndim=1), float)
    checks.number("n", n, 1.0)
    checks.count("points", points)
    if values.min() < -1e-8 * values.max() or values.max() <= 0:
        raise InputError(
            f"sample_eigenvalues lie in [{values.min():g}, {values.max():g}]; numbers >= 0 and a "
            "positive eigenvalue are needed"
        )
    gamma, top = values.size / n, values.max()
    if grid is None:
        low = max(np.quantile(values, 0.02), 1e-3 * values.mean()) / 2
        t = np.geomspace(low, top, 60)
    else:
        t = np.asarray(checks.nonnegative("grid", grid, ndim=1), float)
        if t.max() == 0:
            raise InputError("grid holds only 0; a positive eigenvalue is needed")
    u = np.linspace(0, 1, points)
    z = np.concatenate(
        [top * (1.2 * u) + 1j * top * 0.05, -top * np.geomspace(1e-3, 3, points) + 0j]
    )
    m = gamma * np.mean(1 / (values - z[:, None]), axis=1) - (1 - gamma) / z
    # The equation is multiplied by m̃: z m̃ + 1 = γ Σ w t m̃/(1 + t m̃), all of order one.
    left = gamma * (t * m[:, None]) / (1 + t * m[:, None])
    right = z * m + 1
    heavy = 1e3  # the sum of the weights is 1, as one more equation
    design = np.concatenate([left.real, left.imag, heavy * np.ones((1, t.size))])
    target = np.concatenate([right.real, right.imag, [heavy]])
    weights, _ = nnls(design, target, maxiter=50 * t.size)
    misfit = left @ weights - right
    return SpectrumEstimate(
        t, weights / weights.sum(), float(np.linalg.norm(misfit) / np.linalg.norm(right))
    )
