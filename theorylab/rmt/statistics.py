"""Local statistics of eigenvalues and eigenvectors: rigidity, level spacing, delocalisation.

The spacing ratio is 0.5307 for the GOE, 0.5996 for the GUE, and 2 log 2 - 1 = 0.3863 for
independent levels.

Source: Erdős, Schlein & Yau 2009-2012 (rigidity, delocalisation); Oganesyan & Huse 2007, Atas et
al. 2013 (spacing ratio).
"""

from typing import Protocol

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from theorylab import checks
from theorylab.errors import InputError
from theorylab.precision import as_float64, float64_inside, is_traced


class HasQuantile(Protocol):
    """A law with a quantile function."""

    def quantile(self, p: Float[Array, "..."]) -> Float[Array, "..."]:
        """The point x with cdf(x) = p."""
        ...


@float64_inside
def eigenvalue_rigidity(eigenvalues: Float[ArrayLike, "n"], law: HasQuantile) -> Float[Array, "n"]:
    """Distances λ_i - q_i of eigenvalues from the places that a law gives them.

    q_i is the law's quantile at (i - 1/2)/n. They are of order 1/n in the bulk and n^-2/3 at edges;
    for one number in place of n use `kolmogorov_distance`.

    Args:
        eigenvalues: (n,), sorted here.
        law: anything with `quantile`.

    Returns:
        (n,), in increasing order of the eigenvalues.

    Raises:
        InputError: eigenvalues that are not finite, or what has no quantile.
    """
    values = jnp.sort(as_float64(checks.finite("eigenvalues", eigenvalues, ndim=1)))
    checks.function("law.quantile", getattr(law, "quantile", None))
    return values - as_float64(law.quantile((jnp.arange(values.size) + 0.5) / values.size))


@float64_inside
def level_spacing_ratio(eigenvalues: Float[ArrayLike, "n"]) -> Float[Array, ""]:
    """Mean of min(s_i, s_{i+1})/max(s_i, s_{i+1}) over consecutive spacings s.

    Args:
        eigenvalues: (n,) with n >= 3; remove zeros first.

    Returns:
        A scalar between 0 and 1.

    Raises:
        InputError: fewer than three eigenvalues, or some that are not finite.
    """
    values = as_float64(checks.finite("eigenvalues", eigenvalues, ndim=1))
    if values.size < 3:
        raise InputError(f"eigenvalues has shape {values.shape}; at least 3 values are needed")
    gaps = jnp.diff(jnp.sort(values))
    low, high = jnp.minimum(gaps[:-1], gaps[1:]), jnp.maximum(gaps[:-1], gaps[1:])
    return jnp.mean(jnp.where(high > 0, low / jnp.where(high > 0, high, 1.0), 0.0))


@float64_inside
def delocalization(eigenvectors: Float[ArrayLike, "n k"]) -> Float[Array, "k"]:
    """Size √n max_j |u_j| of the largest entry of each eigenvector.

    It is 1 when flat, √n when on one coordinate, about √(2 log n) for a random direction.

    Args:
        eigenvectors: (n, k), one vector of unit norm per column.

    Returns:
        (k,).

    Raises:
        InputError: what is no matrix of finite numbers.
    """
    vectors = as_float64(checks.finite("eigenvectors", eigenvectors, ndim=2))
    norms = jnp.linalg.norm(vectors, axis=0)
    if not is_traced(norms) and float(jnp.abs(norms - 1).max()) > 1e-3:
        worst = float(norms[jnp.abs(norms - 1).argmax()])
        raise InputError(
            f"eigenvectors has a column of norm {worst:g}; columns of norm 1 are needed: divide "
            "by it"
        )
    return jnp.sqrt(vectors.shape[0]) * jnp.max(jnp.abs(vectors), axis=0)
