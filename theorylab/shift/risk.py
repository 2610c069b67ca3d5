"""Errors of a linear classifier in and out of distribution, in closed form over the nuisance block.

Given the signal margin gamma(x) = y <w_S, x_S>, the nuisance block adds a Gaussian of standard
deviation scale * ||w_N||: scale = sigma in distribution, sqrt(sigma^2 + tau^2) out of it. So no
nuisance coordinate is ever sampled for a test. Labels of test points are clean.

Source: docs/derivations/memorisation.md, statement 4.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from theorylab.checks import broadcast, finite, nonnegative, number, same_length, signs
from theorylab.deprecation import old_arguments
from theorylab.errors import InputError
from theorylab.overflow import in_range
from theorylab.precision import as_float64, float64_inside
from theorylab.shift.nuisance import check_direction

NODES = 256
REACH = 9.0  # standard deviations: the mass beyond is 1e-19


@old_arguments(norm_n="norm_w_n")
@float64_inside
def nuisance_error(
    gamma: Float[ArrayLike, "*b m"],
    norm_w_n: Float[ArrayLike, "*b"],
    scale: float,
    *,
    kappa: ArrayLike = 0.0,
) -> Float[Array, "*b"]:
    """Mean over m test points of P(gamma - kappa + scale ||w_N|| g < 0), g ~ N(0, 1).

    Ties count one half.

    Args:
        gamma: (*b, m) signal margins y <w_S, x_S> of the test points.
        norm_w_n: (*b) ||w_N||.
        scale: standard deviation of one nuisance coordinate at test time.
        kappa: (*b) what a mean shift takes from every margin, <w_N, nu> where E[x_N | y] = -y nu.

    Returns:
        (*b) errors.

    Raises:
        InputError: negative norms or scales, shapes that do not fit.
    """
    rows = _rows("gamma", gamma)
    _check_norm(norm_w_n, scale, "gamma", rows)
    broadcast(kappa=finite("kappa", kappa), gamma=np.broadcast_to(0.0, rows))
    return _mean_below_zero(as_float64(gamma), as_float64(kappa), scale * as_float64(norm_w_n))


class ErrorPair(NamedTuple):
    """Errors in distribution and out of it.

    Attributes:
        id, ood: (*b) each.
    """

    id: Float[Array, "*b"]
    ood: Float[Array, "*b"]


@old_arguments(norm_n="norm_w_n")
def id_ood_error(
    w_s: Float[ArrayLike, "*b d"],
    norm_w_n: Float[ArrayLike, "*b"],
    x_s: Float[ArrayLike, "m d"],
    y: Float[ArrayLike, " m"],
    *,
    sigma: float,
    tau: float,
) -> ErrorPair:
    """ID and OOD error of linear classifiers on the signal blocks and clean labels of test points.

    For the population of `sample_signal` itself, `margin_model_error` needs no points.

    Args:
        w_s: (*b, d) weights of the signal block.
        norm_w_n: (*b) ||w_N||.
        x_s: (m, d) signal blocks of the test points.
        y: (m,) clean labels -1 or 1.
        sigma: standard deviation of a nuisance coordinate in distribution.
        tau: scale of its shift.

    Returns:
        `ErrorPair` (id, ood), (*b) each.

    Raises:
        InputError: negative norms or scales, shapes that do not fit.

    Examples:
        >>> inside, outside = id_ood_error([1.0], 1.0, [[1.0], [-1.0]], [1, -1], sigma=0.5, tau=1.0)
        >>> round(float(inside), 6), round(float(outside), 6)  # Phi(-1 / 0.5), Phi(-1 / 1.118)
        (0.02275, 0.185547)
    """
    m, d = np.shape(finite("x_s", x_s, ndim=2))
    rows = _rows("w_s", w_s)
    if np.shape(w_s)[-1] != d:
        raise InputError(
            f"w_s has shape {np.shape(w_s)}; one weight per signal coordinate of x_s "
            f"{np.shape(x_s)}."
        )
    if np.shape(signs("y", y)) != (m,):
        raise InputError(
            f"y has shape {np.shape(y)}; one label for each row of x_s {np.shape(x_s)} is needed"
        )
    _check_norm(norm_w_n, sigma, "w_s", rows, scale_name="sigma")
    number("tau", tau, 0.0)
    with jax.enable_x64(True):
        gamma = as_float64(w_s) @ as_float64(x_s).T * as_float64(y)
    outside = np.hypot(sigma, tau)
    return ErrorPair(
        nuisance_error(gamma, norm_w_n, sigma), nuisance_error(gamma, norm_w_n, outside)
    )


@old_arguments(norm_n="norm_w_n")
@in_range()
@float64_inside
def margin_model_error(
    w_s: Float[ArrayLike, "*b d"],
    norm_w_n: Float[ArrayLike, "*b"],
    *,
    direction: Float[ArrayLike, " d"] | Sequence[float],
    gap: float,
    scale: float,
    offset: ArrayLike = 0.0,
) -> Float[Array, "*b"]:
    """Compute the exact error on the population of `sample_signal`: no test point is drawn.

    There gamma = c (|g| + gap) + r h with g, h standard normal, c = <w_S, u> and r the length of
    w_S across u; h joins the nuisance and one integral over |g| is left, by Gauss-Legendre with
    nodes crowded at 0 (absolute error below 1e-9 where the width is above 1 % of c, checked against
    Owen's T function).

    Args:
        w_s: (*b, d) weights of the signal block.
        norm_w_n: (*b) ||w_N||.
        direction: (d,) u.
        gap: margin of the model.
        scale: standard deviation of one nuisance coordinate at test time.
        offset: (*b) added to every margin: minus kappa of a mean shift, or a shortcut's
            contribution.

    Returns:
        (*b) errors.

    Raises:
        InputError: negative norms or scales, shapes that do not fit.
    """
    rows = _rows("w_s", w_s)
    _check_norm(norm_w_n, scale, "w_s", rows)
    number("gap", gap, 0.0)
    broadcast(offset=finite("offset", offset), w_s=np.broadcast_to(0.0, rows))
    w_s = as_float64(w_s)
    along, across = _split(w_s, as_float64(check_direction(direction, w_s.shape[-1])))
    return half_normal_error(
        along, jnp.hypot(across, scale * as_float64(norm_w_n)), gap, as_float64(offset)
    )


@old_arguments(norm_n="norm_w_n")
@in_range()
@float64_inside
def gaussian_error(
    w_s: Float[ArrayLike, "*b d"],
    norm_w_n: Float[ArrayLike, "*b"],
    *,
    mean: Float[ArrayLike, " d"],
    scale: float,
) -> Float[Array, "*b"]:
    """Error when x_S | y ~ N(y mean, I): Phi(-<w_S, mean> / sqrt(||w_S||^2 + scale^2 ||w_N||^2)).

    Args:
        w_s: (*b, d) weights of the signal block.
        norm_w_n: (*b) ||w_N||.
        mean: (d,) of the positive class.
        scale: standard deviation of one nuisance coordinate at test time.

    Returns:
        (*b) errors.

    Raises:
        InputError: negative norms or scales, shapes that do not fit.
    """
    _check_norm(norm_w_n, scale, "w_s", _rows("w_s", w_s))
    finite("mean", mean, shape=np.shape(w_s)[-1:])
    w_s, noise = as_float64(w_s), scale * as_float64(norm_w_n)
    size = _size(jnp.maximum(jnp.max(jnp.abs(w_s), -1), noise))  # which the error does not know
    w_s, noise = _over(w_s, size[..., None]), _over(noise, size)
    width = jnp.sqrt((w_s**2).sum(-1) + noise**2)
    return _below_zero(w_s @ as_float64(mean), width)


def _size(largest: Array) -> Array:
    """What to divide by so that squares of tiny or huge numbers stay numbers."""
    return jnp.where(largest > 0, largest, 1.0)


def _over(x: Array, size: Array) -> Array:
    """The quotient x / size in two steps: the inverse of the largest numbers counts as 0."""
    return x / jnp.sqrt(size) / jnp.sqrt(size)


def _split(w_s: Array, u: Array) -> tuple[Array, Array]:
    """Lengths of w_s along u and across it."""
    size = _size(jnp.max(jnp.abs(w_s), -1))
    w_s, u = _over(w_s, size[..., None]), _over(u, jnp.max(jnp.abs(u)))
    along = w_s @ (u / jnp.linalg.norm(u))
    across = jnp.sqrt(jnp.maximum((w_s**2).sum(-1) - along**2, 0.0))
    return size * along, size * across


@in_range()
@float64_inside
def margin_points(
    w_s: Float[ArrayLike, " d"], *, direction: Float[ArrayLike, " d"] | Sequence[float], gap: float
) -> Float[Array, " m"]:
    """Margins gamma of 160,000 equally likely points of the population of `sample_signal`.

    Quantiles of (|g|, h), see `margin_model_error`: for averages of functions of gamma with a kink,
    where Gauss nodes lose their order; absolute error about 1e-5.

    Args:
        w_s: (d,) weights of the signal block.
        direction: (d,) u.
        gap: margin of the model.

    Returns:
        (160000,) margins.

    Raises:
        InputError: shapes that do not fit.
    """
    same_length(w_s=finite("w_s", w_s, ndim=1), direction=finite("direction", direction, ndim=1))
    number("gap", gap, 0.0)
    along, across = _split(
        as_float64(w_s), as_float64(check_direction(direction, np.shape(w_s)[0]))
    )
    level = (jnp.arange(400) + 0.5) / 400
    g, h = jax.scipy.special.ndtri((1 + level) / 2), jax.scipy.special.ndtri(level)
    return (along * (g + gap)[:, None] + across * h).ravel()


@jax.jit
def half_normal_error(along: Array, width: Array, gap: Any, offset: Any) -> Array:
    """E P(N(along (|g| + gap) + offset, width^2) < 0) over g ~ N(0, 1), elementwise."""
    g, weight = _half_normal_nodes()
    gamma = along[..., None] * (g + gap) + jnp.asarray(offset)[..., None]
    return _below_zero(gamma, width[..., None]) @ weight


@jax.jit
def _mean_below_zero(gamma: Array, kappa: Array, width: Array) -> Array:
    return _below_zero(gamma - kappa[..., None], width[..., None]).mean(-1)


def _below_zero(mean: Array, width: Array) -> Array:
    """P(N(mean, width^2) < 0), with one half for a certain tie."""
    positive = width > 0
    certain = jnp.where(mean < 0, 1.0, jnp.where(mean > 0, 0.0, 0.5))
    return jnp.where(positive, ndtr(-mean / jnp.where(positive, width, 1.0)), certain)


def _half_normal_nodes() -> tuple[Array, Array]:
    """Nodes and weights for the mean over |g|, g ~ N(0, 1)."""
    node, weight = np.polynomial.legendre.leggauss(NODES)
    t = (node + 1) / 2
    g = REACH * t**2
    density = np.sqrt(2 / np.pi) * np.exp(-(g**2) / 2)
    return jnp.asarray(g), jnp.asarray(weight / 2 * 2 * REACH * t * density)


def _rows(name: str, array: Any) -> tuple[int, ...]:
    """The batch axes of rows of finite numbers."""
    return np.shape(finite(name, array, ndim=tuple(range(1, 8))))[:-1]


def _check_norm(
    norm_w_n: Any, scale: Any, of: str, rows: tuple[int, ...], *, scale_name: str = "scale"
) -> None:
    if np.shape(nonnegative("norm_w_n", norm_w_n)) not in (rows, ()):
        raise InputError(
            f"norm_w_n has shape {np.shape(norm_w_n)}; one norm for each row of {of}, {rows}, is "
            "needed"
        )
    number(scale_name, scale, 0.0)
