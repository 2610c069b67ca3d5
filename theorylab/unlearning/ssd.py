"""Selective synaptic dampening: what matters far more to the deletion set than to the rest shrinks.

Source: Foster, Schoepf & Brintrup 2024 (arXiv 2308.07707).
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, PyTree

from theorylab import checks
from theorylab.errors import InputError


def selective_synaptic_dampening(
    params: PyTree,
    forget_importance: PyTree,
    retain_importance: PyTree,
    *,
    alpha: float | Float[Array, ""],
    lam: float | Float[Array, ""],
) -> PyTree:
    """SSD: parameters that matter more to the deletion set than to the rest are scaled down.

    A parameter whose importance I_f to the deletion set exceeds `alpha` times that to the rest,
    I_r, is multiplied by min(lam * I_r / I_f, 1); the others stay. No parameter grows. At the
    threshold the factor is lam / alpha: continuous for lam = alpha, a band of selected but
    unchanged parameters for lam > alpha. Where I_r is 0 a selected parameter becomes 0. It works on
    any PyTrees of one layout, so a whole grid is a `vmap` over alpha and lam.

    Args:
        params: the model's parameters.
        forget_importance: of the same layout and shapes, at least 0, from `gradient_importance`.
        retain_importance: likewise. The scale of the two does not matter if it is the same; alpha
            does not carry over between importances of different batch sizes.
        alpha: selection, at least 0; infinity selects nothing.
        lam: dampening, at least 0; 0 prunes what is selected.

    Returns:
        Parameters of the same layout.

    Raises:
        InputError: trees that do not fit together, negative importances, alpha or lam.

    Source:
        Foster, Schoepf & Brintrup 2024 (arXiv 2308.07707), equations 3 and 4.

    Examples:
        >>> forget, rest = {"w": jnp.array([4.0, 1.0, 0.5])}, {"w": jnp.array([1.0, 1.0, 0.0])}
        >>> params = {"w": jnp.array([1.0, -2.0, 3.0])}
        >>> selective_synaptic_dampening(params, forget, rest, alpha=2.0, lam=1.0)["w"].tolist()
        [0.25, -2.0, 0.0]
    """
    alpha = jnp.asarray(checks.within("alpha", alpha, 0, infinite=True, ndim=0))
    lam = jnp.asarray(checks.within("lam", lam, 0, infinite=True, ndim=0))
    trees = {"forget_importance": forget_importance, "retain_importance": retain_importance}
    for name, tree in trees.items():
        same_layout("params", params, name, tree)
        for leaf in jax.tree.leaves(tree):
            checks.nonnegative(name, leaf)

    return _dampen(params, forget_importance, retain_importance, alpha, lam)


@jax.jit
def _dampen(params: PyTree, forgets: PyTree, retains: PyTree, alpha: Array, lam: Array) -> PyTree:
    def dampen(theta: ArrayLike, forget: ArrayLike, retain: ArrayLike) -> Array:
        theta, forget, retain = (jnp.asarray(a) for a in (theta, forget, retain))
        # infinity times 0 is no number: an infinite alpha selects nothing, an infinite lam keeps
        bound = jnp.where(jnp.isinf(alpha), jnp.inf, alpha * retain)
        factor = jnp.where(jnp.isinf(lam), 1.0, lam * retain / jnp.where(forget > 0, forget, 1.0))
        # what is not damped is not multiplied, even by 1: a product flushes subnormal numbers to 0
        damped = (forget > bound) & (factor < 1)
        return jnp.where(damped, theta * factor, theta).astype(theta.dtype)

    return jax.tree.map(dampen, params, forgets, retains)


def same_layout(first: str, a: PyTree, second: str, b: PyTree) -> None:
    """Refuse two trees that differ in structure or in a shape."""
    first_layout: Any = jax.tree.structure(a)
    if first_layout != jax.tree.structure(b):
        raise InputError(f"{second} is not laid out as {first} is; give one array for each of it")
    for leaf in jax.tree.leaves(a):
        checks.real(first, leaf)
    for left, right in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        checks.real(second, right)
        if jnp.shape(left) != jnp.shape(right):
            raise InputError(
                f"{second} has an array of shape {jnp.shape(right)} where {first} has "
                f"{jnp.shape(left)}; give one of the same shape for each of it"
            )
