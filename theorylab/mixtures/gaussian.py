"""The symmetric mixture of two Gaussians, x given y = +-1 from N(y theta*, I): samples, risks.

s = ||theta*|| is the signal-to-noise ratio. A classifier theta predicts the sign of <theta, x>; its
error rate is Phi(-s cos(angle to theta*)), the best one Phi(-s).

Source: Tifrea et al. (2023), section on the model.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr
from jaxtyping import Array, Float, Key

from theorylab.checks import count, number
from theorylab.checks import key as checked_key
from theorylab.errors import InputError
from theorylab.mixtures.checks import floats
from theorylab.overflow import in_range

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)


class MixtureSample(NamedTuple):
    """Points of the mixture and the component of each.

    Attributes:
        x: (n, d).
        y: (n,) -1 or 1.
    """

    x: Float[Array, "n d"]
    y: Float[Array, " n"]


def sample_2gmm(key: Key[Array, ""], theta_star: Float[Array, " d"], n: int) -> MixtureSample:
    """Draw samples of the mixture with their labels, in the precision of `theta_star`.

    Args:
        key: typed key.
        theta_star: (d,) centre of the positive class.
        n: samples.

    Returns:
        `MixtureSample` (x, y).

    Raises:
        InputError: a count below 1, a centre that is no finite vector.

    Examples:
        >>> X, y = sample_2gmm(jax.random.key(0), jnp.array([3.0, 0.0]), 1000)
        >>> X.shape, round(float((y * X[:, 0]).mean()), 1)
        ((1000, 2), 3.0)
    """
    theta_star = floats("theta_star", theta_star, ndim=1)
    n = count("n", n, at_least=0)
    key_y, key_x = jax.random.split(checked_key("key", key))
    y = jax.random.rademacher(key_y, (n,), theta_star.dtype)
    noise = jax.random.normal(key_x, (n, theta_star.size), theta_star.dtype)
    return MixtureSample(y[:, None] * theta_star + noise, y)


@in_range()
def random_center(key: Key[Array, ""], d: int, s: float | Float[Array, ""]) -> Float[Array, " d"]:
    """Draw theta* of length s in a uniformly random direction.

    Args:
        key: typed key.
        d: dimensions.
        s: length, >= 0.

    Returns:
        (d,) centre.

    Raises:
        InputError: a count below 1, a negative length.
    """
    z = jax.random.normal(checked_key("key", key), (count("d", d),))
    number("s", s, 0.0)
    return s * z / jnp.linalg.norm(z)


@in_range()
def excess_risk(
    theta: Float[Array, "*batch d"], theta_star: Float[Array, " d"]
) -> Float[Array, "*batch"]:
    """Error rate of sign<theta, x> above the best one, to full relative precision.

    Phi(-s cos) - Phi(-s). theta = 0 is a coin flip. The difference of the two Phi would lose all
    digits in float32 below 1e-6 (`naive_excess_risk`).

    Args:
        theta: (..., d) classifiers.
        theta_star: (d,) centre.

    Returns:
        (...) excess risks.

    Raises:
        InputError: last axes that do not agree.

    Examples:
        >>> star, off = jnp.array([1.0, 0.0]), jnp.array([1.0, 1.0])  # 45 degrees off
        >>> round(float(excess_risk(off, star)), 5)
        0.08109
    """
    theta, theta_star = _classifiers(theta, theta_star)
    # no square of a centre overflows, nor of a classifier, whose length does not matter
    size = _largest(theta_star)
    unit = theta_star / size
    norm = jnp.linalg.norm(unit)
    s = norm * size[0]
    unit, theta = unit / jnp.where(norm > 0, norm, 1), theta / _largest(theta)
    along = theta @ unit
    across = jnp.sum((theta - along[..., None] * unit) ** 2, axis=-1)
    return excess_from_parts(s, along, across)


def _largest(x: Array) -> Float[Array, "*batch 1"]:
    """The largest entry of every vector in size, 1 for zero."""
    size = jnp.max(jnp.abs(x), axis=-1, keepdims=True)
    return jax.lax.stop_gradient(jnp.where(size > 0, size, 1))


def _classifiers(theta: Any, theta_star: Any) -> tuple[Array, Array]:
    theta, theta_star = floats("theta", theta), floats("theta_star", theta_star, ndim=1)
    if theta.shape[-1:] != theta_star.shape:
        raise InputError(
            f"theta has shape {theta.shape}, theta_star {theta_star.shape}: the last axes must "
            "agree"
        )
    return theta, theta_star


def excess_from_parts(s: Any, along: Any, across: Any) -> Float[Array, "..."]:
    """The excess risk from the parts of theta along theta* and across it.

    `along` is <theta, theta*>/s, `across` the squared length of the rest.

    1 - cos = across / (|theta|^2 (1 + cos)) has no cancellation, and the risk is the normal density
    integrated from s cos to s by 16 Gauss-Legendre points; where that interval is longer than 1 the
    plain difference is accurate.
    """
    s, along, across = jnp.asarray(s), jnp.asarray(along), jnp.asarray(across)
    length2 = along**2 + across
    safe = jnp.where(length2 > 0, length2, 1)
    cos = along / jnp.sqrt(safe)
    width = s * across / (safe * (1 + jnp.abs(cos)))
    nodes = jnp.asarray((1 + _NODES) / 2, cos.dtype)
    x = s[..., None] - width[..., None] * nodes
    density = jnp.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
    close = width * (density @ jnp.asarray(_WEIGHTS / 2, density.dtype))
    return jnp.where((cos > 0) & (width < 1) & (length2 > 0), close, ndtr(-s * cos) - ndtr(-s))


@in_range()
def naive_excess_risk(
    theta: Float[Array, "*batch d"], theta_star: Float[Array, " d"]
) -> Float[Array, "*batch"]:
    """The excess risk by subtracting two values of Phi: what not to do in float32.

    Kept to show the difference to `excess_risk`.

    Args:
        theta: (..., d) classifiers.
        theta_star: (d,) centre.

    Returns:
        (...) excess risks.

    Raises:
        InputError: last axes that do not agree.
    """
    theta, theta_star = _classifiers(theta, theta_star)
    s = jnp.linalg.norm(theta_star)
    length = jnp.linalg.norm(theta, axis=-1) * s
    cos = theta @ theta_star / jnp.where(length > 0, length, 1)
    return ndtr(-s * cos) - ndtr(-s)
