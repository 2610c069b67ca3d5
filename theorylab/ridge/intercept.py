"""The unpenalised direction of an intercept, and the reflection that makes it the first axis."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def reflect(q: Float[Array, " n"], A: Float[Array, "n ..."]) -> Float[Array, "n ..."]:
    """Householder reflection that swaps the unit vector q and the first axis.

    It is applied to the rows of A.
    """
    sign = jnp.where(q[0] > 0, -1.0, 1.0)
    v = q.at[0].add(-sign)  # maps q to sign * e_1 without cancellation
    v = v / jnp.linalg.norm(v)
    return A - 2 * jnp.tensordot(v, jnp.tensordot(v, A, 1), 0)


def unit_root(root_weights: Float[Array, " n"]) -> Float[Array, " n"]:
    """The unpenalised direction of an intercept in weighted coordinates."""
    return root_weights / jnp.linalg.norm(root_weights)
