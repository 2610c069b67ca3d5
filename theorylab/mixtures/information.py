"""What one unlabelled point is worth, and the lower bound that follows, with explicit constants.

On the sphere of radius s the density of an unlabelled point is phi_d(x) exp(-s^2/2) cosh<theta, x>,
so that

    KL(p_theta || p_theta') = g(s^2) - g(<theta, theta'>),  g(m) = E log cosh(m + s Z)
    q(s) = E tanh^2(s^2 + s Z) = E tanh(s^2 + s Z),  Z ~ N(0, 1)
    KL <= q(s) ||theta - theta'||^2 / 2,  q(s) <= min(1, s^2)

while a labelled point has KL exactly ||theta - theta'||^2 / 2: an unlabelled point is worth at most
q(s) labelled ones. Assouad's lemma with N = n_l + q(s) n_u gives the minimax bound. All in float64,
whatever the caller runs in.

Source: our derivations, docs/derivations/mixture_information.md, statements 1 to 3; the rates are
theorems 1 and 2 of Tifrea et al. (2023).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from theorylab.checks import broadcast, finite, function, nonnegative, positive, within
from theorylab.errors import InputError
from theorylab.overflow import in_range, representable
from theorylab.precision import as_float64, float64_inside

Scalars = Any  # numbers or arrays that broadcast
# the trapezoid rule converges geometrically for functions analytic in a strip
_Z = np.linspace(-10.0, 10.0, 1025)
_P = np.exp(-(_Z**2) / 2) / np.exp(-(_Z**2) / 2).sum()


@in_range()
def gaussian_expect(
    f: Callable[[Array], Array], mean: Scalars, std: Scalars
) -> Float[Array, "..."]:
    """Compute E f(mean + std Z) for Z ~ N(0, 1), in the precision of the arguments.

    Trapezoid rule with 1025 points on [-10, 10]: error about exp(-2 pi a / (0.02 std)) when f is
    analytic within a of the real axis (a = pi/2 for tanh and log cosh), so it is exact in float64
    up to std = 10. Gauss-Hermite rules of practical order are off by 1e-6 already at std = 3.

    Args:
        f: smooth and elementwise.
        mean, std: numbers or arrays that broadcast; std >= 0.

    Returns:
        Expectations, of their common shape.

    Raises:
        InputError: a negative std, an f that is not elementwise, or numbers beyond the precision.
    """
    function("f", f)
    mean = representable("mean", finite("mean", mean))
    std = representable("std", nonnegative("std", std))
    broadcast(mean=mean, std=std)
    points = mean[..., None] + std[..., None] * jnp.asarray(
        _Z, jnp.result_type(mean, std, jnp.float32)
    )
    values = f(points)
    if np.shape(values) != points.shape:
        raise InputError(
            f"f gives {np.shape(values)} for points {points.shape}; an elementwise function is "
            "needed"
        )
    return values @ jnp.asarray(_P, points.dtype)


def log_cosh(x: Array) -> Array:
    """Log cosh without overflow."""
    return jnp.abs(x) + jnp.log1p(jnp.exp(-2 * jnp.abs(x))) - np.log(2)


@float64_inside
def unlabelled_information(s: Scalars) -> Float[Array, "..."]:
    """Labelled points that an unlabelled one is worth, at most: q(s) = E tanh^2(s^2 + s Z).

    Also its Fisher information in directions orthogonal to theta*.

    Args:
        s: ||theta*||, finite, >= 0; of any shape.

    Returns:
        q(s), in [0, 1].

    Raises:
        InputError: negative or non-finite values.

    Examples:
        >>> [round(float(unlabelled_information(s)), 4) for s in (0.5, 1.0, 2.0)]
        [0.2041, 0.5504, 0.9314]
    """
    nonnegative("s", s)
    s = as_float64(s)
    return gaussian_expect(lambda x: jnp.tanh(x) ** 2, s**2, s)


@float64_inside
def nishimori_gap(s: Scalars, *, drift: Scalars = None) -> Float[Array, "..."]:
    """E tanh(m + s Z) - E tanh^2(m + s Z), which is zero at the drift m = s^2 of the model alone.

    Args:
        s: ||theta*||, >= 0.
        drift: m, by default s^2.

    Returns:
        The gap, of the common shape.

    Raises:
        InputError: negative s, shapes that do not broadcast.
    """
    nonnegative("s", s)
    if drift is not None:
        broadcast(s=s, drift=finite("drift", drift))
    s = as_float64(s)
    m = s**2 if drift is None else as_float64(drift)
    return gaussian_expect(jnp.tanh, m, s) - gaussian_expect(lambda x: jnp.tanh(x) ** 2, m, s)


@float64_inside
def spectral_information(s: Scalars) -> Float[Array, "..."]:
    """Labelled points that an unlabelled one is worth to the spectral estimator: s^2 / (1 + s^2).

    Args:
        s: ||theta*||, >= 0.

    Returns:
        The information, in [0, 1[.

    Raises:
        InputError: negative or non-finite values.

    Source:
        docs/derivations/mixture_information.md, statement 4.
    """
    nonnegative("s", s)
    s = as_float64(s)
    t = jnp.where(s > 1, 1 / s, s)  # no square overflows
    return jnp.where(s > 1, 1, t**2) / (1 + t**2)


@float64_inside
def mixture_kl(s: Scalars, angle: Scalars) -> Float[Array, "..."]:
    """KL divergence of one unlabelled point between centres of one length at an angle.

    With a = s^2 (1 - |cos|), b = s^2 (1 + |cos|) and m = s^2 |cos| it is half the mean of log(1 +
    sinh(a) sinh(b) / (cosh(m + s Z) cosh(m - s Z))): no term is negative and nothing cancels,
    however small the angle (theta and -theta have one density: an angle near pi is small too).

    Args:
        s: length of the centres, >= 0.
        angle: between them, in radians.

    Returns:
        The divergence, in nats.

    Raises:
        InputError: negative s, shapes that do not broadcast.
    """
    broadcast(s=nonnegative("s", s), angle=finite("angle", angle))
    s, angle = as_float64(s), as_float64(angle)
    s, angle = jnp.broadcast_arrays(s, angle)
    square, cos = s**2, jnp.abs(jnp.cos(angle))
    near = square * jnp.sin(angle) ** 2 / (1 + cos)  # a, without the difference
    share = jnp.expm1(-2 * near) * jnp.expm1(-2 * square * (1 + cos))

    def half_log(z: Array) -> Array:
        """Half the logarithm at Z = z / s, with all powers of e in one."""
        drift = (square * cos)[..., None]
        up, down = jnp.abs(drift + z), jnp.abs(drift - z)
        power = 2 * square[..., None] - up - down
        rest = share[..., None] / ((1 + jnp.exp(-2 * up)) * (1 + jnp.exp(-2 * down)))
        large = power > 600
        small = jnp.log1p(rest * jnp.exp(jnp.where(large, 0, power)))
        big = power + jnp.log(jnp.where(large, rest + jnp.exp(-jnp.abs(power)), 1))
        return jnp.where(large, big, small) / 2

    return gaussian_expect(half_log, jnp.zeros_like(s), s)


@float64_inside
def labelled_kl(s: Scalars, angle: Scalars) -> Float[Array, "..."]:
    """KL divergence of one labelled point between centres of one length at an angle.

    ||theta - theta'||^2 / 2 = s^2 (1 - cos angle) = 2 s^2 sin^2(angle / 2).

    Args:
        s: length of the centres, >= 0.
        angle: between them, in radians.

    Returns:
        The divergence, in nats.

    Raises:
        InputError: negative s, shapes that do not broadcast.
    """
    broadcast(s=nonnegative("s", s), angle=finite("angle", angle))
    return 2 * (as_float64(s) * jnp.sin(as_float64(angle) / 2)) ** 2


class LowerBound(NamedTuple):
    """No algorithm does better than this in the worst case over ||theta*|| = s.

    Attributes:
        estimation: of E ||theta - theta*||^2.
        excess: of the expected excess risk.
    """

    estimation: Float[Array, "..."]  # of E ||theta - theta*||^2
    excess: Float[Array, "..."]  # of the expected excess risk


@float64_inside
def assouad_bound(
    s: Scalars,
    d: Scalars,
    n_l: Scalars,
    n_u: Scalars,
    *,
    information: Scalars = None,
    factor: Scalars = 1.0,
) -> LowerBound:
    """Bound the minimax risks over all theta* of length s from below.

    For any learner of n_l labels and n_u points. With N = n_l + q(s) n_u and delta = min(2 / (3
    sqrt N), s / sqrt(d-1)), squared estimation error is at least (d-1) delta^2 (1 - delta sqrt N),
    and the excess risk phi(s)/(2 s) times that. Valid for every s > 0, d >= 2. By rotation symmetry
    it holds for each fixed theta* when the learner is rotation equivariant.

    Args:
        s: ||theta*|| > 0.
        d: dimensions, >= 2.
        n_l, n_u: labelled and unlabelled points, >= 0.
        information: in place of q(s), only for showing that wrong ones are refuted.
        factor: multiplies the bounds, for the same purpose.

    Returns:
        A `LowerBound`.

    Raises:
        InputError: values out of range, shapes that do not broadcast.

    Source:
        docs/derivations/mixture_information.md, statement 3.

    Examples:
        >>> bound = assouad_bound(1.0, 20, 400, 1000)
        >>> round(float(bound.estimation), 7), round(float(bound.excess), 8)
        (0.0029617, 0.00035832)
    """
    given = {"s": positive("s", s), "d": within("d", d, 2.0)}
    given |= {
        "n_l": nonnegative("n_l", n_l),
        "n_u": nonnegative("n_u", n_u),
        "factor": nonnegative("factor", factor),
    }
    if information is not None:
        given["information"] = nonnegative("information", information)
    broadcast(**given)
    factor = as_float64(factor)
    s, d, n_l, n_u = (as_float64(x) for x in (s, d, n_l, n_u))
    q = unlabelled_information(s) if information is None else as_float64(information)
    points = n_l + q * n_u
    delta = jnp.minimum(2 / (3 * jnp.sqrt(jnp.maximum(points, 1e-300))), s / jnp.sqrt(d - 1))
    estimation = factor * (d - 1) * delta**2 * (1 - delta * jnp.sqrt(points))
    return LowerBound(estimation, normal_density(s) / (2 * s) * estimation)


def normal_density(s: Array) -> Array:
    """phi(s) = exp(-s^2/2) / sqrt(2 pi)."""
    return jnp.exp(-(s**2) / 2) / np.sqrt(2 * np.pi)
