"""The Projection Norm in the feature space of a kernel, tangent kernels among them.

Source: Yu et al. (ICML 2022), section on linear models; statement 9 is that of
docs/derivations/linear_projection_norm.md.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from theorylab import linalg
from theorylab.checks import finite, number
from theorylab.errors import InputError
from theorylab.precision import as_float64, input_epsilon
from theorylab.shift.row_space import in_float64


def projection_norm_gram(
    K11: Float[ArrayLike, "n n"],
    K21: Float[ArrayLike, "m n"],
    K22: Float[ArrayLike, "m m"],
    residuals: Float[ArrayLike, "n *k"],
    *,
    rcond: float | None = None,
) -> Float[np.ndarray, ""]:
    """Compute the Projection Norm in a kernel's feature space, from Gram matrices alone.

    With K11 = Phi Phi^T, K22 = Phi~ Phi~^T, K21 = Phi~ Phi^T and alpha = K11^+ residuals, its
    square is alpha^T K11 alpha - v^T K22^+ v, v = K21 alpha (statement 9). For a network linearised
    at theta_0, Phi is the Jacobian and `residuals` is y - f_0; columns are outputs that share the
    kernel.

    Args:
        K11: (n, n) kernel of the training inputs.
        K21: (m, n) kernel between test and training inputs.
        K22: (m, m) kernel of the test inputs.
        residuals: (n,) or (n, k) targets minus outputs at theta_0.
        rcond: eigenvalues below rcond times the largest count as 0. By default (n + m) times the
            machine epsilon of the kernels' type: float32 kernels lose directions that float64 ones
            keep.

    Returns:
        The Projection Norm.

    Raises:
        InputError: shapes that do not fit.
    """
    kernels = {"K11": K11, "K21": K21, "K22": K22}
    (n, n2), (m, n3), (m2, m3) = (np.shape(finite(name, K, ndim=2)) for name, K in kernels.items())
    if not (n == n2 == n3 and m == m2 == m3):
        raise InputError(
            f"K11 {n, n2}, K21 {m, n3}, K22 {m2, m3}; shapes (n, n), (m, n), (m, m) are needed."
        )
    if rcond is not None:
        number("rcond", rcond, 0.0, 1.0)
    if np.shape(finite("residuals", residuals, ndim=(1, 2)))[0] != n:
        raise InputError(
            f"residuals has shape {np.shape(residuals)}; one row per training sample, {n}, is "
            "needed."
        )
    cut = (n + m) * max(map(input_epsilon, (K11, K21, K22))) if rcond is None else rcond
    return _gram(K11, K21, K22, residuals, cut)


@in_float64
def _gram(K11: Any, K21: Any, K22: Any, residuals: Any, cut: Any) -> Any:
    def inverse_root(K: Array) -> Array:
        """(r, n): rows u_i / sqrt(s_i) of the eigenvectors kept."""
        values, vectors = linalg.eigh(K)
        kept = values > cut * values[-1]
        return jnp.where(kept, 1 / jnp.sqrt(jnp.where(kept, values, 1.0)), 0.0)[:, None] * vectors.T

    root = inverse_root(as_float64(K11))
    seen = root @ as_float64(residuals)  # alpha = root^T seen, and alpha^T K11 alpha = |seen|^2
    v = as_float64(K21) @ (root.T @ seen)
    return jnp.sqrt(
        jnp.maximum(jnp.sum(seen**2) - jnp.sum((inverse_root(as_float64(K22)) @ v) ** 2), 0.0)
    )
