"""The two data models of certified training: concentric spheres, and a linear signal with noise."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from theorylab import checks
from theorylab.errors import InputError

Sample = tuple[Float[Array, "n d"], Int[Array, " n"]]


def concentric_spheres(key: Key[Array, ""], n: int, d: int, inner: float, outer: float) -> Sample:
    """Points on two spheres around 0, the class a fair coin: 0 inside, 1 outside.

    The most robust classifier is the sphere of radius (inner + outer) / 2, robust to perturbations
    shorter than (outer - inner) / 2; the signal direction of x is x / ||x||, inward for class 1.

    Args:
        key: draws classes and directions.
        n: number of points.
        d: number of dimensions.
        inner: radius of the sphere of class 0, above 0.
        outer: radius of the sphere of class 1, above `inner`.

    Returns:
        (n, d) points and (n,) labels.

    Raises:
        InputError: an argument out of range.

    Source:
        De Bartolomeis et al. 2023, section 4.
    """
    checks.key("key", key)
    n, d = checks.count("n", n), checks.count("d", d)
    checks.number("inner", inner, 0, open_low=True), checks.number("outer", outer, 0)
    if not inner < outer:
        raise InputError(f"inner = {inner:g}, outer = {outer:g}; inner < outer is needed")
    label, direction = jax.random.split(key)
    y = jax.random.bernoulli(label, 0.5, (n,)).astype(int)
    z = jax.random.normal(direction, (n, d))
    unit = z / jnp.linalg.norm(z, axis=1, keepdims=True)
    return unit * jnp.where(y == 1, outer, inner)[:, None], y


def linear_signal(key: Key[Array, ""], n: int, d: int, gamma: float, sigma: float = 1.0) -> Sample:
    """Points whose first coordinate is -gamma for class 0 and gamma for class 1, the others noise.

    Args:
        key: draws classes and noise.
        n: number of points.
        d: number of dimensions, at least 2.
        gamma: half of the distance between the classes, above 0.
        sigma: standard deviation of the other d - 1 coordinates, at least 0.

    Returns:
        (n, d) points and (n,) labels 0 and 1.

    Raises:
        InputError: an argument out of range.

    Source:
        De Bartolomeis, master thesis (ETH 2022), section 3.
    """
    checks.key("key", key)
    n, d = checks.count("n", n), checks.count("d", d, 2)
    checks.number("gamma", gamma, 0, open_low=True), checks.number("sigma", sigma, 0)
    label, noise = jax.random.split(key)
    y = jax.random.bernoulli(label, 0.5, (n,)).astype(int)
    x = sigma * jax.random.normal(noise, (n, d))
    return x.at[:, 0].set(gamma * (2.0 * y - 1.0)), y
