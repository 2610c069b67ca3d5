"""Reductions over the jobs of an instance, written so that XLA vectorises them over instances.

XLA's own float64 reductions over the first axis walk down one column at a time on CPU, four to
seven times slower. All keep a batch axis that comes last, also under vmap, where it is.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


def least(a: Float[Array, "n ..."]) -> Float[Array, "..."]:
    """Smallest along the first axis, by halving it.

    The barrier keeps XLA from fusing the halvings into one again.
    """
    while len(a) > 1:
        half = len(a) // 2
        lower = jnp.minimum(a[:half], a[half : 2 * half])
        a = jax.lax.optimization_barrier(jnp.concatenate([lower, a[2 * half :]]))
    return a[0]


def total(a: Float[Array, "n ..."]) -> Float[Array, "..."]:
    """Sum along the first axis."""
    return jnp.ones(len(a), a.dtype) @ a


def some(mask: Bool[Array, "n ..."], dtype: jnp.dtype) -> Bool[Array, "..."]:
    """Whether any is true along the first axis; counted in `dtype`."""
    return total(mask.astype(dtype)) > 0
