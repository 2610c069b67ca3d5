"""The identified share of the manipulated samples, as masks of fixed shape.

Source: Goel, Prabhu, Torr, Kumaraguru & Sanyal 2024 (arXiv 2402.14015).
"""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int, Key

from theorylab import checks


def identified_count(size: Int[ArrayLike, ""], gamma: Float[ArrayLike, ""]) -> Int[Array, ""]:
    """How many of `size` manipulated samples a share `gamma` of them is.

    Rounded to the nearest whole number, halves up, and at least one unless gamma or the size is 0.

    Args:
        size: number of manipulated samples, at least 0.
        gamma: share in [0, 1].

    Returns:
        () whole number, at most `size`.

    Raises:
        InputError: gamma outside [0, 1], or a size below 0.
    """
    gamma = jnp.asarray(checks.within("gamma", gamma, 0, 1))
    size = jnp.asarray(checks.within("size", size, 0, whole=True))
    # a share such as .35 of 10 lies a rounding error below the half
    count = jnp.floor(gamma * size + 0.5 + 1e-4).astype(jnp.int32)
    return jnp.minimum(jnp.maximum(count, jnp.where(gamma > 0, 1, 0)), size.astype(jnp.int32))


def identified_subset(
    manipulated: Bool[ArrayLike, "n"], gamma: float | Float[Array, ""], *, key: Key[Array, ""]
) -> Bool[Array, " n"]:
    """A uniform draw without replacement of the share `gamma` of the manipulated samples.

    With one key the subsets of increasing gamma are nested. The shape does not depend on gamma, so
    a program vmapped over gamma is compiled once.

    Args:
        manipulated: (n,) mask.
        gamma: share in [0, 1]; `identified_count` says how it is rounded.
        key: typed key of the draw.

    Returns:
        (n,) mask, the deletion set S_f.

    Raises:
        InputError: gamma outside [0, 1], no mask, or no key.

    Examples:
        >>> found = identified_subset([1, 0, 1, 1, 0, 1], 0.5, key=jax.random.key(0))
        >>> found.shape, int(found.sum()), bool(found[1] | found[4])
        ((6,), 2, False)
    """
    checks.key("key", key)
    mask = jnp.asarray(checks.within("manipulated", manipulated, 0, 1, ndim=1)).astype(bool)
    count = identified_count(mask.sum(), gamma)
    # manipulated samples first, in a random order
    draws = jnp.where(mask, jax.random.uniform(key, mask.shape), 2.0)
    rank = jnp.zeros(mask.shape, jnp.int32).at[jnp.argsort(draws)].set(jnp.arange(mask.size))
    return mask & (rank < count)
