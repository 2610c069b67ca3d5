"""Risks in closed form: exact for the labelled mean, to leading order for the others; rates.

Write A = phi(s) (d-1) / (2 s). To leading order every good algorithm has excess risk A /
information, where its information counts labelled points: n_l for SL, n_u s^2/(1+s^2) for the
spectral estimator, their sum for the best SSL-W, n_l + q(s) n_u for the maximum likelihood
estimator (EM).

Source: our derivations, docs/derivations/mixture_information.md, statements 4 to 7; the rates are
those of table 1, the limits those of the corollary (table 2) of Tifrea et al. (2023).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaln, ndtr
from jaxtyping import Array, Float

from theorylab.checks import broadcast, choice, nonnegative, number, positive, within
from theorylab.errors import InputError
from theorylab.mixtures.gaussian import excess_from_parts
from theorylab.mixtures.information import (
    Scalars,
    normal_density,
    spectral_information,
    unlabelled_information,
)
from theorylab.overflow import in_range, require_answer
from theorylab.precision import as_float64, float64_inside, is_traced

METHODS = ("sl", "ul", "ul_plus", "ssl_switch", "ssl_weighted", "ssl_em")
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(96)


@float64_inside
def sl_excess_exact(s: Scalars, d: Scalars, n: Scalars) -> Float[Array, "..."]:
    """Expected excess risk of the mean of y x over labelled samples, exact at every n.

    By quadrature: the mean is N(theta*, I/n), whose angle to theta* decides. With m = sqrt(n) s its
    density is proportional to sin^{d-2}(psi) times the integral over u > 0 of u^{d-1} exp(-(u^2 - 2
    u m cos(psi) + m^2)/2), smooth in both.

    Args:
        s: ||theta*|| > 0.
        d: dimensions, >= 2.
        n: labelled samples, >= 1.

    Returns:
        The risk, of the common shape.

    Raises:
        InputError: values out of range, shapes that do not broadcast.

    Examples:
        >>> round(float(sl_excess_exact(1.0, 20, 400)), 6)
        0.00564
    """
    broadcast(s=positive("s", s), d=within("d", d, 2.0), n=within("n", n, 1.0))
    return _sl_excess(*jnp.broadcast_arrays(*(as_float64(x)[..., None, None] for x in (s, d, n))))


@jax.jit
def _sl_excess(s: Array, d: Array, n: Array) -> Array:
    m, spread = jnp.sqrt(n) * s, jnp.sqrt(d - 1)
    first = jnp.arctan2(jnp.maximum(spread - 9, 0), m + 9)
    # outside, less than 1e-18 of the mass
    last = jnp.where(m > 9, jnp.arctan2(spread + 9, m - 9), np.pi)
    psi = first + (last - first) * (1 + _NODES[:, None]) / 2
    along = m * jnp.cos(psi)
    mode = (along + jnp.sqrt(along**2 + 4 * (d - 1))) / 2
    low, high = jnp.maximum(mode - 9, 0), mode + 9
    u = low + (high - low) * (1 + _NODES) / 2
    square = (u - along) ** 2 + (m * jnp.sin(psi)) ** 2
    log_density = (d - 1) * jnp.log(u) + (d - 2) * jnp.log(jnp.sin(psi)) - square / 2
    log_constant = (d / 2 - 1) * np.log(2) + np.log(np.pi) / 2 + gammaln((d - 1) / 2)
    mass = jnp.sum(jnp.exp(log_density - log_constant) * _WEIGHTS * (high - low) / 2, axis=-1)
    psi = psi[..., 0]
    risk = excess_from_parts(s[..., 0], jnp.cos(psi), jnp.sin(psi) ** 2)
    return jnp.sum(risk * mass * _WEIGHTS, axis=-1) * (last - first)[..., 0, 0] / 2


@float64_inside
def sl_estimation_exact(d: Scalars, n: Scalars) -> Float[Array, "..."]:
    """E ||theta_SL - theta*|| = sqrt(2/n) Gamma((d+1)/2) / Gamma(d/2), the same for every theta*.

    Args:
        d: dimensions, >= 1.
        n: labelled samples, >= 1.

    Returns:
        The error, of the common shape.

    Raises:
        InputError: values out of range, shapes that do not broadcast.
    """
    broadcast(d=within("d", d, 1.0), n=within("n", n, 1.0))
    d, n = as_float64(d), as_float64(n)
    return jnp.sqrt(2 / n) * jnp.exp(gammaln((d + 1) / 2) - gammaln(d / 2))


def method_information(method: str, s: Scalars, n_l: Scalars, n_u: Scalars) -> Float[Array, "..."]:
    """Labelled points that the data are worth to a method (see the head of the module).

    Args:
        method: one of `METHODS`.
        s: ||theta*|| > 0.
        n_l, n_u: labelled and unlabelled points, >= 0.

    Returns:
        The information, of the common shape.

    Raises:
        InputError: an unknown method, values out of range, shapes that do not broadcast.
    """
    choice("method", method, METHODS)
    return _information(method, s, n_l, n_u)


@float64_inside
def _information(method: str, s: Scalars, n_l: Scalars, n_u: Scalars) -> Float[Array, "..."]:
    broadcast(s=positive("s", s), n_l=nonnegative("n_l", n_l), n_u=nonnegative("n_u", n_u))
    s, n_l, n_u = jnp.broadcast_arrays(*(as_float64(x) for x in (s, n_l, n_u)))
    spectral = n_u * spectral_information(s)
    if method == "ssl_em":
        return n_l + unlabelled_information(s) * n_u
    return {
        "sl": n_l,
        "ul": spectral,
        "ul_plus": spectral,
        "ssl_switch": jnp.where(n_l >= s * (s * n_u), n_l, spectral),
        "ssl_weighted": n_l + spectral,
    }[method]


@float64_inside
def predicted_excess(
    method: str, s: Scalars, d: Scalars, n_l: Scalars, n_u: Scalars
) -> Float[Array, "..."]:
    """Leading-order expected excess risk A / information, as n -> infinity.

    UL+ and what contains it are meant given the right sign: see `wrong_sign_probability` for the
    cost of that. Within 10 % of simulations where the information exceeds about 10 d / s^2.

    Args:
        method: one of `METHODS`: "sl", "ul", ...
        s: ||theta*|| > 0.
        d: dimensions, >= 2.
        n_l, n_u: labelled and unlabelled points, >= 0.

    Returns:
        The risk, of the common shape.

    Raises:
        InputError: an unknown method, values out of range, shapes that do not broadcast.

    Examples:
        >>> methods = ("sl", "ul", "ssl_em")
        >>> [round(float(predicted_excess(m, 1.0, 20, 400, 1000)), 5) for m in methods]
        [0.00575, 0.0046, 0.00242]
    """
    within("d", d, 2.0)
    information = method_information(method, s, n_l, n_u)
    broadcast(d=d, **{"s, n_l, n_u": information})
    s, d = as_float64(s), as_float64(d)
    risk = normal_density(s) * (d - 1) / (2 * s) / information
    known = jnp.where(jnp.asarray(information) > 0, risk, 0.0)  # infinite without any information
    require_answer(known, {"s": s, "d": d, "n_l": n_l, "n_u": n_u})
    return risk


@float64_inside
def wrong_sign_probability(s: Scalars, n_l: Scalars, cos: Scalars = 1.0) -> Float[Array, "..."]:
    """P(UL+ picks the wrong side | its direction): Phi(-sqrt(n_l) s |cos angle|).

    The sign is taken from the labelled mean.

    Args:
        s: ||theta*||, >= 0.
        n_l: labelled points, >= 0.
        cos: cosine of the direction to theta*.

    Returns:
        The probability, in [0, 1/2].

    Raises:
        InputError: values out of range, shapes that do not broadcast.
    """
    broadcast(
        s=nonnegative("s", s),
        n_l=nonnegative("n_l", n_l),
        cos=within("cos", cos, -1.0 - 1e-6, 1.0 + 1e-6),
    )
    s, n_l, cos = (as_float64(x) for x in (s, n_l, cos))
    return ndtr(-jnp.sqrt(n_l) * s * jnp.abs(cos))


@float64_inside
def optimal_weight(s: Scalars, n_l: Scalars, n_u: Scalars) -> Float[Array, "..."]:
    """Share t* = n_l / (n_l + n_u s^2/(1+s^2)) of SL in the best SSL-W, by inverse variances.

    Args:
        s: ||theta*|| > 0.
        n_l, n_u: labelled and unlabelled points, >= 0.

    Returns:
        The weight, in [0, 1].

    Raises:
        InputError: values out of range, shapes that do not broadcast.
    """
    information = jnp.asarray(method_information("ssl_weighted", s, n_l, n_u))
    return jnp.asarray(n_l, float) / jnp.maximum(information, 1e-300)


class Rates(NamedTuple):
    """Minimax rates of the paper, without constants.

    Attributes:
        excess: of the excess risk.
        estimation: of the estimation error.
    """

    excess: Float[Array, "..."]
    estimation: Float[Array, "..."]


@in_range()
def rate_table(s: Scalars, d: Scalars, n_l: Scalars, n_u: Scalars) -> dict[str, Rates]:
    """Table 1: the rates of SL, UL+ and SSL for s in (0, 1], up to constants and logarithms.

    SL: e^{-s^2/2} d/(s n_l) and sqrt(d/n_l). UL+: e^{-s^2/2} d/(s^3 n_u) and sqrt(d/(s^2 n_u)).
    SSL: the smallest of both and of s e^{-s^2/2}, respectively s. Above s = 1 the UL+ rate as
    printed is below that of n_u labelled points, so it cannot be a lower bound; replace s^2 by q(s)
    there (`unlabelled_information`).

    Args:
        s: ||theta*|| > 0.
        d: dimensions, >= 2.
        n_l, n_u: labelled and unlabelled points, >= 1.

    Returns:
        `Rates` by the names "SL", "UL+" and "SSL".

    Raises:
        InputError: values out of range, shapes that do not broadcast.
    """
    broadcast(
        s=positive("s", s),
        d=within("d", d, 2.0),
        n_l=within("n_l", n_l, 1.0),
        n_u=within("n_u", n_u, 1.0),
    )
    s, d, n_l, n_u = (np.asarray(x, np.float64) for x in (s, d, n_l, n_u))
    e = np.exp(-(s**2) / 2)
    points = n_l + s**2 * n_u
    return {
        "SL": Rates(e * d / (s * n_l), np.sqrt(d / n_l)),
        "UL+": Rates(e * d / (s**3 * n_u), np.sqrt(d / (s**2 * n_u))),
        "SSL": Rates(e * np.minimum(s, d / (s * points)), np.minimum(s, np.sqrt(d / points))),
    }


def regime(s: float, d: int, n_l: float, n_u: float, *, factor: float = 10.0) -> str:
    """Tell which data decide: "trivial" (neither), "SL", "UL" or "mixed".

    Mixed within `factor` of s^2 n_u = n_l; trivial where s <= min(sqrt(d/n_l), (d/n_u)^(1/4)), the
    first case of SSL-S.

    Args:
        s: ||theta*|| > 0.
        d: dimensions.
        n_l, n_u: labelled and unlabelled points.
        factor: > 0.

    Returns:
        The name.

    Raises:
        InputError: values that are not positive.

    Examples:
        >>> regime(0.1, 20, 100, 100), regime(1.0, 20, 5000, 100), regime(1.0, 20, 100, 5000)
        ('trivial', 'SL', 'UL')
    """
    for name, value in (("s", s), ("d", d), ("n_l", n_l), ("n_u", n_u), ("factor", factor)):
        number(name, value, 0.0, open_low=True)
    if s <= min(np.sqrt(d / n_l), (d / n_u) ** 0.25):
        return "trivial"
    ratio = float(s) * (float(s) * n_u / n_l)
    return "SL" if ratio < 1 / factor else "UL" if ratio > factor else "mixed"


class GainLimits(NamedTuple):
    """Limits of SSL's risk over SL's and over UL+'s, as multiples of constants; never both zero.

    Attributes:
        over_sl: H_l.
        over_ul: H_u.
    """

    over_sl: Float[Array, "..."]
    over_ul: Float[Array, "..."]


@float64_inside
def gain_limits(c: Scalars, information: Scalars) -> GainLimits:
    """The corollary: H_l = 1/(1 + c i) and H_u = c i/(1 + c i) for n_u/n_l -> c.

    Args:
        c: in [0, infinity].
        information: i, what one unlabelled point is worth; s^2 in the paper's rates, q(s) exactly.

    Returns:
        `GainLimits`.

    Raises:
        InputError: values out of range; an information of 0 where c is infinite.
    """
    within("c", c, 0.0, infinite=True)
    broadcast(c=c, information=nonnegative("information", information))
    if not is_traced(c, information) and (np.isinf(c) & (np.asarray(information) == 0)).any():
        raise InputError(
            "information is 0 where c is infinite; a positive information is needed there"
        )
    ratio = as_float64(c) * as_float64(information)
    # not 1 minus the other: that is 0 where the ratio is small
    return GainLimits(1 / (1 + ratio), 1 / (1 + 1 / ratio))
