"""Lanczos tridiagonalisation and the Gauss quadrature that it gives, also where the space closes.

A Krylov space ends early when the start lies in few eigenspaces: identity plus low rank, graphs
with symmetries, or by chance in a small matrix. There the next direction is rounding noise. It is
known by its size, the recursion stops, and whatever is left of the arrays takes no part: its nodes
repeat one that does, with weight 0. (matfree, which was used here, goes on and divides by that
noise.) All is float64; call it with 64-bit types on. It can be differentiated in both modes.

Source: Golub & Meurant 2010, chapters 4 and 6; "twice is enough": Giraud et al. 2005.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from theorylab import linalg

MatVec = Callable[[Float[Array, " n"]], Float[Array, " n"]]
_NOISE = 1e-14  # of a step, against the largest one and root n: it is rounding, the space is closed


def tridiagonal(
    matvec: MatVec, start: Float[Array, " n"], steps: int
) -> tuple[Float[Array, " s"], Float[Array, " r"], Int[Array, ""]]:
    """Lanczos with two full orthogonalisations a step.

    Args:
        matvec: the product with a symmetric matrix.
        start: (n,) first direction, of any length; that of zero closes at once.
        steps: at most n.

    Returns:
        Diagonal (steps,), off-diagonal (steps - 1,), and how many entries of the diagonal belong to
        the Krylov space, at least 1; the others are 0.
    """
    limit = _NOISE * start.size**0.5

    def step(carry: Any, number: Array) -> Any:
        basis, vector, scale, alive = carry
        basis = basis.at[number].set(vector)
        image = matvec(vector)
        diagonal = vector @ image
        first, size = _unit(image - basis.T @ (basis @ image))
        second, share = _unit(first - basis.T @ (basis @ first))
        off = size * share
        scale = jnp.maximum(scale, jnp.maximum(jnp.abs(diagonal), off))
        # noise by its size; or what the second pass takes away: it was in the space already
        alive = alive & (off > limit * scale) & (share > 0.5)
        return (basis, jnp.where(alive, second, 0.0), scale, alive), (
            diagonal,
            jnp.where(alive, off, 0.0),
            alive,
        )

    empty = jnp.zeros((steps, start.size))
    begin = (empty, _unit(start)[0], jnp.zeros(()), jnp.asarray(True))
    _, (diagonal, off, alive) = jax.lax.scan(step, begin, jnp.arange(steps))
    return diagonal, off[:-1], 1 + alive[:-1].sum()


def gauss(
    diagonal: Float[Array, " s"], off: Float[Array, " r"], kept: Int[Array, ""]
) -> tuple[Float[Array, " s"], Float[Array, " s"]]:
    """Nodes and weights of the Gauss quadrature of a tridiagonal matrix, ascending.

    Args:
        diagonal: (steps,).
        off: (steps - 1,).
        kept: how many entries of the diagonal count.

    Returns:
        Nodes (steps,) and weights (steps,) with sum 1. From number `kept` on, nodes repeat the one
        of largest weight, and weights are 0.
    """
    steps = diagonal.size
    numbers = jnp.arange(steps)
    inside = numbers < kept
    diagonal = jnp.where(inside, diagonal, 0.0)
    off = jnp.where(inside[1:], off, 0.0)
    # What is left over goes above all eigenvalues, apart from one another: it mixes with none.
    bound = jnp.max(jnp.abs(diagonal)) + 2 * jnp.max(jnp.abs(off), initial=0.0)
    bound = jax.lax.stop_gradient(jnp.where(bound > 0, bound, 1.0))
    matrix = jnp.diag(jnp.where(inside, diagonal, bound * (2 + numbers / steps)))
    nodes, vectors = linalg.eigh(matrix + jnp.diag(off, 1) + jnp.diag(off, -1))
    weights = jnp.where(inside, vectors[0] ** 2, 0.0)
    return jnp.where(inside, nodes, nodes[jnp.argmax(weights)]), weights


def _unit(vector: Float[Array, " n"]) -> tuple[Float[Array, " n"], Float[Array, ""]]:
    """A vector's direction and length; zero stays zero."""
    square = vector @ vector
    size = jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1.0)), 0.0)
    return vector / jnp.where(size > 0, size, 1.0), size
