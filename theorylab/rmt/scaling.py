"""Power-law spectra: effective regularisation, learning-curve exponents, and how to read them.

λ_i = i^-alpha, target power b_i = i^-delta. Capacity exponent alpha, source r = (delta - 1)/(2
alpha). Eigenvalues of a sample kernel are a poor guide to alpha (the last decade is distorted); the
curve κ̂(n) is a good one.

Source: Caponnetto & De Vito 2007; Cui et al. 2021; Wei, Hu & Steinhardt 2022.
"""

import math
from dataclasses import dataclass
from typing import Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from theorylab import checks, linalg
from theorylab.errors import InputError
from theorylab.precision import as_float64, float64_inside

Schedule = Literal["ridgeless", "tuned", "fixed"]


@float64_inside
def power_law_kappa(
    alpha: Float[ArrayLike, "..."] | float,
    n: Float[ArrayLike, "..."] | float,
    *,
    scale: Float[ArrayLike, ""] | float = 1.0,
) -> Float[Array, "..."]:
    """Ridgeless κ of the infinite power-law spectrum `scale * i^-alpha`.

    It is scale [(π/alpha)/sin(π/alpha)]^alpha n^-alpha, to leading order; the relative error is
    O(1/n). For a finite spectrum or a ridge use `effective_regularization` with a `PowerLawTail`.

    Args:
        alpha: exponent above 1.
        n: number of samples; broadcasts against alpha.
        scale: first eigenvalue.

    Returns:
        κ of the shape that alpha and n broadcast to.

    Raises:
        InputError: alpha <= 1 (infinite trace), or other values that are not above 0.
    """
    checks.within("alpha", alpha, 1.0, open_low=True)
    checks.positive("n", n)
    checks.positive("scale", scale)
    checks.broadcast(alpha=alpha, n=n, scale=scale)
    a = as_float64(alpha)
    return as_float64(scale) * ((jnp.pi / a) / jnp.sin(jnp.pi / a) / as_float64(n)) ** a


def predicted_exponent(
    alpha: float, delta: float, *, noise: float = 0.0, schedule: Schedule = "ridgeless"
) -> float:
    """Exponent r >= 0 with (risk - noise) ~ n^-r, for λ_i = i^-alpha and b_i = i^-delta.

    Args:
        alpha: exponent of the spectrum, above 1.
        delta: exponent of the target's power, above 1.
        noise: variance of the label noise.
        schedule: "ridgeless" gives min(delta-1, 2 alpha); with noise 0, because the excess tends to
            (alpha-1) noise. "tuned" (best ridge): with s = min(delta-1, 2 alpha), s without noise
            and s/(s+1) with it. "fixed" ridge: 0.

    Returns:
        A float.

    Raises:
        InputError: exponents not above 1, negative noise, or an unknown schedule.
    """
    checks.number("alpha", alpha, 1.0, open_low=True)  # a finite trace
    checks.number("delta", delta, 1.0, open_low=True)  # a finite power
    checks.number("noise", noise, 0.0)
    checks.choice("schedule", schedule, get_args(Schedule))
    smooth = min(delta - 1, 2 * alpha)
    match schedule:
        case "ridgeless":
            return 0.0 if noise > 0 else smooth
        case "tuned":
            return smooth / (smooth + 1) if noise > 0 else smooth
    return 0.0


def predicted_norm_exponent(alpha: float, delta: float) -> float:
    """Exponent of yᵀK⁻¹y ~ n^r, the growth of the interpolant's squared norm.

    It is max(alpha - delta + 1, 0).

    Args:
        alpha: exponent of the spectrum, above 1.
        delta: exponent of the target's power, above 1.

    Returns:
        A float.

    Raises:
        InputError: exponents not above 1.
    """
    checks.number("alpha", alpha, 1.0, open_low=True)
    checks.number("delta", delta, 1.0, open_low=True)
    return max(alpha - delta + 1, 0.0)


@dataclass(frozen=True)
class ExponentFit:
    """Exponents with standard errors.

    `delta` and `rate` are None when no risk curve was given.

    Attributes:
        alpha: capacity exponent.
        alpha_se: its standard error.
        rate: minus the log-log slope of the risk.
        rate_se: its standard error.
        delta: 1 + rate (valid while delta - 1 < 2 alpha).
        saturated: whether the measured rate is so close to 2 alpha, within 2 standard errors, that
            delta is only a lower bound.
    """

    alpha: float
    alpha_se: float
    rate: float | None = None
    rate_se: float | None = None
    delta: float | None = None
    saturated: bool | None = None


def fit_exponents(
    sizes: Float[ArrayLike, "s"],
    kappa: Float[ArrayLike, "s"] | Float[ArrayLike, "s draws"],
    risk: Float[ArrayLike, "s"] | Float[ArrayLike, "s draws"] | None = None,
) -> ExponentFit:
    """Capacity and source exponents from the curves κ̂_0(n) and, if given, risk(n).

    Use it on `kappa_curve`; it is least squares in log-log. Finite feature dimension steepens both
    slopes: keep n well below the number of features.

    Args:
        sizes: (s,) numbers of samples.
        kappa: (s,) or (s, draws) ridgeless κ̂. With draws in columns, the standard error is the
            spread of their slopes; with one curve, that of the residuals (needs at least 3 sizes).
        risk: (s,) or (s, draws) test risk or GCV, noise-free; None for the capacity alone.

    Returns:
        An `ExponentFit`.

    Raises:
        InputError: non-positive values or mismatched shapes.

    Source:
        Wei, Hu & Steinhardt 2022; Cui et al. 2021.

    Examples:
        >>> import numpy as np
        >>> sizes = np.array([100, 200, 400, 800])
        >>> fit = fit_exponents(sizes, power_law_kappa(1.5, sizes), 2.0 * sizes**-0.5)
        >>> round(fit.alpha, 6), round(fit.delta, 6)
        (1.5, 1.5)
    """
    alpha, alpha_se = _slope("kappa", sizes, kappa)
    if risk is None:
        return ExponentFit(-alpha, alpha_se)
    rate, rate_se = _slope("risk", sizes, risk)
    spread = math.hypot(rate_se, 2 * alpha_se) if math.isfinite(rate_se + alpha_se) else 0.0
    return ExponentFit(
        -alpha, alpha_se, -rate, rate_se, 1 - rate, bool(-rate > -2 * alpha - 2 * spread)
    )


def log_slope(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Least-squares slope of log y on log x, and its standard error (NaN for two points)."""
    u, v = np.log(x), np.log(y)
    centred = u - u.mean()
    slope = centred @ v / (centred @ centred)
    residual = v - v.mean() - slope * centred
    variance = residual @ residual / (len(u) - 2) if len(u) > 2 else math.nan
    return float(slope), float(np.sqrt(variance / (centred @ centred)))


def _slope(name: str, sizes: object, values: object) -> tuple[float, float]:
    x = np.asarray(checks.positive("sizes", sizes, ndim=1), float)
    y = np.asarray(checks.positive(name, values, ndim=(1, 2)), float)
    if y.shape[0] != len(x) or len(np.unique(x)) < 2:
        raise InputError(
            f"{name} has shape {y.shape} for sizes {x.shape}; (sizes,) or (sizes, draws) with >= "
            "2 sizes is needed"
        )
    if y.ndim == 2 and y.shape[1] > 1:
        slopes = np.array([log_slope(x, column)[0] for column in y.T])
        return float(slopes.mean()), float(slopes.std(ddof=1) / math.sqrt(len(slopes)))
    return log_slope(x, y.reshape(len(x)))


@float64_inside
def estimated_kappa(
    K: Float[ArrayLike, "n n"], alpha: Float[ArrayLike, "..."] | float = 0.0
) -> Float[Array, "..."]:
    """Effective regularisation κ̂ = 1/[(1/n) tr (K/n + α)⁻¹] from a sample kernel.

    Use `KernelRidgePath.kappa` where the kernel is decomposed anyway.

    Args:
        K: (n, n) kernel XXᵀ, not divided by n.
        alpha: ridge penalty >= 0, of any shape; 0 gives 1/tr K⁻¹, which is 0 for a singular K.

    Returns:
        κ̂ of alpha's shape.

    Raises:
        InputError: a kernel that is not square, symmetric and positive semi-definite, or a negative
            penalty.

    Source:
        Wei, Hu & Steinhardt 2022.
    """
    kernel = as_float64(checks.symmetric("K", K))
    checks.nonnegative("alpha", alpha)
    return _kappa_of(kernel, alpha, checks.kernel_rounding(K))


def _kappa_of(kernel: Array, alpha: ArrayLike, rounding: float) -> Array:
    values = linalg.eigvalsh(kernel) / kernel.shape[0]
    checks.positive_semidefinite("K", kernel.shape[0] * values, rounding)
    floor = kernel.shape[0] * jnp.finfo(kernel.dtype).eps * values[-1]
    ridge = as_float64(alpha)[..., None]
    return 1 / jnp.mean(1 / (jnp.where(values > floor, values, 0.0) + ridge), axis=-1)


@float64_inside
def kappa_curve(
    K: Float[ArrayLike, "m m"],
    sizes: list[int] | tuple[int, ...],
    key: jax.Array,
    *,
    draws: int = 3,
    alpha: float = 0.0,
) -> Float[Array, "s draws"]:
    """Effective regularisation κ̂ of random principal sub-kernels of each size.

    It is the curve that `fit_exponents` reads, and needs the kernel alone, no labels. Not jittable
    over `sizes` (shapes change).

    Args:
        K: (m, m) kernel, not divided by m.
        sizes: s numbers of samples, at most m.
        key: draws the sub-kernels.
        draws: sub-kernels of each size.
        alpha: ridge penalty >= 0.

    Returns:
        (s, draws).

    Raises:
        InputError: sizes out of range, or what is no kernel.
    """
    kernel = as_float64(checks.symmetric("K", K))
    m, rounding = kernel.shape[0], checks.kernel_rounding(K)
    if not isinstance(sizes, (list, tuple, range, np.ndarray)) or len(sizes) == 0:
        raise InputError(
            f"sizes = {checks.shown(sizes)}; a list of whole numbers in [1, {m}], the rows of K, "
            "is needed"
        )
    sizes = [checks.count("sizes", size, 1, m) for size in sizes]
    checks.key("key", key)
    checks.count("draws", draws)
    checks.nonnegative("alpha", alpha)
    rows = []
    for i, size in enumerate(sizes):
        curve = []
        for j in range(draws):
            chosen = jax.random.permutation(jax.random.fold_in(jax.random.fold_in(key, i), j), m)[
                :size
            ]
            curve.append(_kappa_of(kernel[chosen[:, None], chosen], alpha, rounding))
        rows.append(jnp.stack(curve))
    return jnp.stack(rows)
