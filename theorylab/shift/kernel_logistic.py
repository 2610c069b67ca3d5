"""l2-penalised logistic regression on features of which only inner products are known.

Objective, penalty paths and solver are those of `theorylab.shift.logistic`.

Source: Rasmussen and Williams (2006), algorithm 3.1.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float

from theorylab.checks import count, finite, number, positive
from theorylab.errors import InputError
from theorylab.precision import float64_inside
from theorylab.shift.checks import batched_signs, sample_mask
from theorylab.shift.newton import newton_path, pad_penalties


@float64_inside
def fit_kernel_logistic(
    K: Float[ArrayLike, "n n"],
    y: Float[ArrayLike, "*b n"],
    lams: Float[ArrayLike, " l"] | Sequence[float],
    *,
    mask: Bool[ArrayLike, " n"] | None = None,
    tol: float = 1e-8,
    max_steps: int = 100,
) -> dict[str, Any]:
    """`fit_logistic_path` on features of which only the Gram matrix K is known.

    For many label vectors on the same samples. Returns "dual" (*b, L, n), the a of f(x) = sum_i a_i
    k(x_i, x) (zero at padding), and "gradient_norm", "steps", "train_error", "objective" (*b,
    L) as `LogisticFit` has them. K: positive semi-definite; mask: (n,).
    """
    n = np.shape(finite("K", K, ndim=2))[0]
    if np.shape(K) != (n, n):
        raise InputError(f"K has shape {np.shape(K)}; a square matrix of inner products is needed.")
    batched_signs("y", y, (*np.shape(finite("y", y))[:-1], n))
    penalties = np.atleast_1d(np.asarray(positive("lams", lams, ndim=(0, 1)), np.float64))
    number("tol", tol, 0.0)
    max_steps = count("max_steps", max_steps)
    counted = (
        np.ones(n, bool) if mask is None else np.asarray(sample_mask("mask", mask, (n,)), bool)
    )
    labels = jnp.asarray(y, jnp.float64)
    order = np.argsort(-penalties, kind="stable")
    padded, length = pad_penalties(penalties[order])
    found = _kernel_paths(
        jnp.asarray(K, jnp.float64),
        labels.reshape(-1, n),
        padded,
        length,
        jnp.asarray(counted),
        jnp.asarray(tol),
        max_steps,
    )
    if not np.isfinite(np.asarray(found["gradient_norm"])).all():
        raise InputError(
            "K gives no finite fit; a positive semi-definite matrix of inner products is needed"
        )
    back = np.argsort(order)
    return {
        name: np.asarray(value)[:, back].reshape(*labels.shape[:-1], len(back), *value.shape[2:])
        for name, value in found.items()
    }


@partial(jax.jit, static_argnums=6)
def _kernel_paths(
    K: Array, y: Array, lams: Array, count: Array, mask: Array, tol: Array, max_steps: int
) -> Any:
    K = jnp.where(mask[:, None] & mask, K, 0.0)

    def problem(labels: Array) -> dict[str, Array]:
        found = newton_path(None, K, labels, mask, lams, tol, max_steps, count=count)
        return {"dual" if name == "weights" else name: value for name, value in found.items()}

    return jax.lax.map(problem, y)
