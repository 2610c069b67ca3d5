"""Lower bounds: memorised wrong labels need nuisance weights, which cost accuracy under a shift.

With the structure of the three conditions of the paper: interpolated noise, a shift on the nuisance
block, a signal block that cannot compensate.

Source: our derivations, docs/derivations/memorisation.md, in the setting of Sanyal et al. (2025).
"""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float

from theorylab.checks import broadcast, finite, nonnegative, number, real, signs
from theorylab.deprecation import old_arguments, old_field
from theorylab.errors import InputError
from theorylab.precision import as_float64, float64_inside, is_traced
from theorylab.pytrees import register
from theorylab.shift.checks import sample_mask


@register()
@dataclass(frozen=True)
class MemorisationBound:
    """Both sides of ||w_N|| >= bound, for w rescaled to a minimum margin of 1.

    The margin is that on the observed labels.

    Attributes:
        norm_w_n: ||w_N|| after rescaling; NaN, as the bound, when w does not interpolate.
        bound: |B| (1 + mean gamma over B) / ||sum over B of noisy_i x_N,i||; 0 without wrong
            labels.
        approximation: (1 + mean gamma) sqrt(|B| / k) / sigma, what the bound is for k >> n; NaN
            unless `energy` given.
        min_margin: smallest margin of w as given; the bound is stated for interpolating w,
            min_margin > 0.
        wrong: |B|.
        scale: 1 / min_margin, the factor that w was rescaled by.
    """

    norm_w_n: Float[Array, ""]
    bound: Float[Array, ""]
    approximation: Float[Array, ""]
    min_margin: Float[Array, ""]
    wrong: Float[Array, ""]
    scale: Float[Array, ""]

    norm_n = old_field("norm_n", "norm_w_n")


@float64_inside
def memorisation_bound(
    w: Float[ArrayLike, " d+m"],
    x_s: Float[ArrayLike, "n d"],
    nuisance: Float[ArrayLike, "n m"],
    y: Float[ArrayLike, " n"],
    noisy: Float[ArrayLike, " n"],
    *,
    mask: Bool[ArrayLike, " n"] | None = None,
    energy: float | None = None,
) -> MemorisationBound:
    """Bound from below the nuisance weights that memorising the wrong labels takes.

    Every wrong point has noisy <w_N, x_N> >= 1 + gamma (its signal argues for the clean label); sum
    and apply Cauchy-Schwarz. Deterministic: it holds for every training set and every w that
    interpolates.

    Args:
        w: (d + m,) weights on signal and nuisance coordinates side by side.
        x_s: (n, d) signal block.
        nuisance: (n, m) explicit or compressed nuisance block (inner products are all that counts).
        y, noisy: (n,) clean and observed labels, -1 or 1.
        mask: (n,) which samples count; padding is False.
        energy: k sigma^2, for the approximation.

    Returns:
        A `MemorisationBound`.

    Raises:
        InputError: shapes that do not fit, labels other than -1 and 1.

    Source:
        docs/derivations/memorisation.md, statements 1 and 2.

    Examples:
        >>> signal, nuisance = np.array([[1.0], [-1.0], [0.5]]), np.eye(3)
        >>> clean, noisy = np.array([1.0, -1.0, 1.0]), np.array([1.0, -1.0, -1.0])
        >>> w = np.array([1.0, 0.0, 0.0, -1.5])  # the third label is memorised: all margins are 1
        >>> found = memorisation_bound(w, signal, nuisance, clean, noisy)
        >>> float(found.bound), float(found.norm_w_n)
        (1.5, 1.5)
    """
    n, d = np.shape(finite("x_s", x_s, ndim=2))
    if np.shape(finite("nuisance", nuisance, ndim=2))[0] != n:
        raise InputError(
            f"nuisance has {np.shape(nuisance)[0]} rows but x_s has {n}; one per sample is needed."
        )
    if np.shape(finite("w", w)) != (d + np.shape(nuisance)[1],):
        raise InputError(
            f"w has shape {np.shape(w)}; ({d + np.shape(nuisance)[1]},), signal then nuisance, is "
            "needed."
        )
    signs("y", y, n=n)
    signs("noisy", noisy, n=n)
    mask = None if mask is None else sample_mask("mask", mask, (n,))
    if energy is not None:
        number("energy", energy, 0.0, open_low=True)
    w, x_s, nuisance, y, noisy = (as_float64(v) for v in (w, x_s, nuisance, y, noisy))
    signal = x_s @ w[:d]
    counted = jnp.ones(n, bool) if mask is None else jnp.asarray(mask, bool)
    smallest = jnp.min(noisy * (signal + nuisance @ w[d:]), where=counted, initial=jnp.inf)
    scale = jnp.where(smallest > 0, 1 / jnp.where(smallest > 0, smallest, 1.0), jnp.nan)
    in_b = (noisy != y) & counted
    wrong = in_b.sum().astype(jnp.float64)
    demanded = wrong + scale * jnp.sum(jnp.where(in_b, y * signal, 0.0))  # |B| (1 + mean gamma)
    pull = jnp.linalg.norm((jnp.where(in_b, noisy, 0.0)) @ nuisance)
    none = wrong == 0
    bound = jnp.where(none, 0 * scale, demanded / jnp.where(pull > 0, pull, 1.0))
    rough = demanded / jnp.sqrt(jnp.maximum(wrong, 1.0))
    # without energy the approximation is infinite, save for no wrong label
    rough = jnp.nan * rough if energy is None else jnp.where(none, 0 * scale, rough * energy**-0.5)
    return MemorisationBound(scale * jnp.linalg.norm(w[d:]), bound, rough, smallest, wrong, scale)


@float64_inside
def ood_error_bound(
    gamma: Float[ArrayLike, " m"], bound: ArrayLike, scale: float
) -> Float[Array, ""]:
    """Bound the OOD error under a zero-mean Gaussian shift from below, when ||w_N|| >= bound.

    E[1{gamma > 0} Phi(-gamma / (scale bound)) + 1/2 1{gamma <= 0}].

    Args:
        gamma: (m,) margins of the rescaled w on m equally likely test points.
        bound: on ||w_N||; NaN (w does not interpolate) gives NaN.
        scale: sqrt(sigma^2 + tau^2), of one nuisance coordinate out of distribution.

    Returns:
        The bound, in [0, 1].

    Raises:
        InputError: a negative bound or scale.

    Source:
        docs/derivations/memorisation.md, statement 4.
    """
    finite("gamma", gamma, ndim=1)
    number("scale", scale, 0.0)
    bound = real("bound", bound, ndim=0)
    # NaN is the bound of a w that does not interpolate
    if is_traced(bound) or not np.isnan(np.asarray(bound)):
        number("bound", bound, 0.0)
    gamma, width = as_float64(gamma), scale * as_float64(bound)
    # a NaN bound stays NaN
    tail = jnp.where(width > 0, ndtr(-gamma / jnp.where(width > 0, width, 1.0)), 0.0 * width)
    return jnp.where(gamma > 0, tail, 0.5 + 0.0 * width).mean()


@old_arguments("kappa margin sigma norm_w_n", norm_n="norm_w_n")
@float64_inside
def shift_bound(
    margin: Float[ArrayLike, "*m"], norm_w_n: ArrayLike, sigma: float, *, kappa: ArrayLike
) -> Float[Array, "*m"]:
    """Bound P(error | x) under a misaligned mean shift from below.

    1 - exp(-(kappa - margin)^2 / (2 sigma^2 ||w_N||^2)). The shift of the nuisance block has
    independent sigma-sub-Gaussian coordinates around -y nu.

    Args:
        margin: gamma(x) + y <w_N, x_N>; the bound is 0 where it is kappa or more.
        norm_w_n: ||w_N||.
        sigma: sub-Gaussian scale of one coordinate of the shift.
        kappa: <w_N, nu>, what the shift takes from every margin.

    Returns:
        The bound, of the shape of `margin`.

    Raises:
        InputError: a negative sigma or norm, shapes that do not broadcast.

    Source:
        docs/derivations/memorisation.md, statement 5 (Hoeffding, Chernoff).
    """
    broadcast(
        kappa=finite("kappa", kappa),
        margin=finite("margin", margin),
        norm_w_n=nonnegative("norm_w_n", norm_w_n),
    )
    number("sigma", sigma, 0.0)
    short = jnp.maximum(as_float64(kappa) - as_float64(margin), 0.0)
    width = sigma * as_float64(norm_w_n)
    exponent = _safe_ratio(short, width) ** 2 / 2
    return -jnp.expm1(-exponent)


def _safe_ratio(short: Any, width: Any) -> Any:
    """Short / width, with 0/0 = 0 and x/0 = infinity."""
    return jnp.where(short > 0, short / width, 0.0)
