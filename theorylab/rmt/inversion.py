"""Quantiles from a distribution function, and the distance between a sample and a law.

Source: Kolmogorov 1933 (the distance); Newton's method within a bracket is textbook.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from theorylab import checks
from theorylab.errors import InputError
from theorylab.precision import as_float64, float64_inside, is_traced

_MAX_STEPS = 200


def invert_cdf(
    cdf: Callable[[Array], Array],
    density: Callable[[Array], Array],
    probabilities: Float[Array, "..."],
    lower: Float[Array, ""],
    upper: Float[Array, ""],
) -> Float[Array, "..."]:
    """The point x in [lower, upper] with cdf(x) = p, by Newton's method within a shrinking bracket.

    It is differentiable once, in p and in what `cdf` closes over, and NaN for p outside [0, 1].
    Across a gap of the support the leftmost such x is not promised.
    """
    p = jax.lax.stop_gradient(probabilities)

    def proceed(state: tuple) -> Array:
        return jnp.any(state[3]) & (state[4] < _MAX_STEPS)

    def advance(state: tuple) -> tuple:
        low, high, x, _, count = state
        error, slope = cdf(x) - p, density(x)
        low, high = jnp.where(error < 0, x, low), jnp.where(error < 0, high, x)
        newton = x - error / jnp.where(slope > 0, slope, 1.0)
        middle = (low + high) / 2
        # Every fourth step bisects, so that a bracket cannot shrink from one side only.
        good = (slope > 0) & (newton > low) & (newton < high) & (count % 4 != 3)
        new = jnp.where(good, newton, middle)
        small = 4e-16 * (jnp.abs(low) + jnp.abs(high))
        return low, high, new, (jnp.abs(new - x) > small) & (high - low > small), count + 1

    low, high = jnp.full_like(p, 1.0) * lower, jnp.full_like(p, 1.0) * upper
    state = (low, high, (low + high) / 2, jnp.ones(p.shape, bool), jnp.zeros((), jnp.int32))
    x = jax.lax.stop_gradient(jax.lax.while_loop(proceed, advance, state)[2])
    slope = jax.lax.stop_gradient(density(x))
    found = cdf(x)
    # zero, with the derivatives of p - cdf(x) at a fixed x: the theorem of the implicit function
    change = (probabilities - p) - (found - jax.lax.stop_gradient(found))
    x = x + jnp.where(slope > 0, change / jnp.where(slope > 0, slope, 1.0), 0.0)
    return jnp.where((p >= 0) & (p <= 1), x, jnp.nan)


@float64_inside
def kolmogorov_distance(
    sample: Float[ArrayLike, "n"], cdf: Callable[[Array], Array]
) -> Float[Array, ""]:
    """Distance sup_x |F_n(x) - F(x)| between a sample and a distribution function.

    It is right at atoms too when they lie at values that the sample takes exactly (pass eigenvalues
    with zeros set to 0).

    Args:
        sample: (n,) numbers, such as eigenvalues.
        cdf: a law's `cdf`, a function of an array.

    Returns:
        A scalar between 0 and 1.

    Raises:
        InputError: a sample that is not finite, or what is no function.
    """
    values = jnp.sort(as_float64(checks.finite("sample", sample, ndim=1)))
    checks.function("cdf", cdf)
    n = values.size
    theory = as_float64(cdf(values))
    if theory.shape != values.shape or (not is_traced(theory) and jnp.isnan(theory).any()):
        given = "NaN" if theory.shape == values.shape else f"shape {theory.shape}"
        raise InputError(
            f"cdf gives {given} for a sample {values.shape}; a probability for each value is needed"
        )
    below, upto = (
        as_float64(jnp.searchsorted(values, values, side=side)) / n for side in ("left", "right")
    )
    # Just below zero lie subnormal numbers, which XLA takes for zero itself.
    before = jnp.where(values == 0, -jnp.finfo(jnp.float64).tiny, jnp.nextafter(values, -jnp.inf))
    left = as_float64(cdf(before))
    return jnp.maximum(jnp.max(jnp.abs(upto - theory)), jnp.max(jnp.abs(below - left)))
