"""The empirical neural tangent kernel of any JAX function, in tiles.

Jacot, Gabriel, Hongler (2018): J(x) = df(params, x)/dparams and kernel(x, x') = J(x) J(x')^T.
"""

import math
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from theorylab.errors import InputError

Reduce = Literal["full", "diagonal", "trace", "sum_logits"]


def _outputs_of_one(f: Callable, x: PyTree) -> Callable[[PyTree], Float[Array, " o"]]:
    """`f` as a function of the parameters for one sample, its outputs raveled into one vector."""
    batch = jax.tree.map(lambda leaf: leaf[None], x)
    return lambda params: jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(f(params, batch))])


def _jacobian(f: Callable, params: PyTree, x: PyTree, sum_logits: bool) -> list[Float[Array, "n o p"]]:
    """Per-sample Jacobians, one (n, outputs, leaf size) array for every parameter leaf."""

    def one(sample: PyTree) -> PyTree:
        out, pullback = jax.vjp(_outputs_of_one(f, sample), params)
        seeds = jnp.eye(out.size, dtype=out.dtype)
        if sum_logits:
            seeds = jnp.sum(seeds, 0, keepdims=True) / math.sqrt(out.size)
        (jac,) = jax.vmap(pullback)(seeds)
        return [leaf.reshape(len(seeds), -1) for leaf in jax.tree.leaves(jac)]

    return jax.vmap(one)(x)


def _contract(left: list, right: list, reduce: Reduce) -> Float[Array, "n m ..."]:
    """Sum over parameter leaves of the products of two Jacobians."""
    formula = {"full": "nop,mqp->nmoq", "diagonal": "nop,mop->nmo"}.get(reduce, "nop,mop->nm")
    dot = [jnp.einsum(formula, a, b, precision="highest") for a, b in zip(left, right, strict=True)]
    return sum(dot[1:], dot[0]) / (left[0].shape[1] if reduce == "trace" else 1)


def _take(x: PyTree, rows: slice) -> PyTree:
    return jax.tree.map(lambda leaf: leaf[rows], x)


def _length(x: PyTree, name: str) -> int:
    sizes = {np.shape(leaf)[0] if np.ndim(leaf) else None for leaf in jax.tree.leaves(x)}
    if len(sizes) != 1 or None in sizes:
        raise InputError(f"{name}: every array needs the same leading axis of samples, got {sorted(map(str, sizes))}.")
    return int(sizes.pop())


def empirical_ntk(
    f: Callable,
    params: PyTree,
    x1: PyTree,
    x2: PyTree | None = None,
    *,
    reduce: Reduce = "trace",
    method: str = "auto",
    memory_gb: float | None = None,
) -> np.ndarray:
    """Empirical neural tangent kernel of `f(params, x)`, exact up to rounding.

    `reduce="full"` returns (N1, N2, O, O); "diagonal" (N1, N2, O), its diagonal over outputs; "trace" (N1, N2), the
    mean of that diagonal; "sum_logits" (N1, N2), 1/O times the sum over all pairs of outputs. `x2=None` means `x1`.
    """
    if reduce not in ("full", "diagonal", "trace", "sum_logits"):
        raise InputError(f"reduce={reduce!r}: choose 'full', 'diagonal', 'trace' or 'sum_logits'.")
    n1, n2 = _length(x1, "x1"), _length(x1 if x2 is None else x2, "x2")
    with jax.default_matmul_precision("highest"):
        features = jax.jit(lambda x: _jacobian(f, params, x, reduce == "sum_logits"))
        contract = jax.jit(lambda a, b: _contract(a, b, reduce))
        shapes = jax.eval_shape(features, _take(x1, slice(0, 1)))
        per_sample = sum(leaf.size * leaf.dtype.itemsize for leaf in shapes)
        tile = max(1, min(n1, int((memory_gb or 2.0) * 1e9 / (4 * max(per_sample, 1)))))
        outputs = shapes[0].shape[1]
        tail = {"full": (outputs, outputs), "diagonal": (outputs,)}.get(reduce, ())
        kernel = np.empty((n1, n2, *tail), shapes[0].dtype)
        for i in range(0, n1, tile):
            left = features(_take(x1, slice(i, i + tile)))
            for j in range(i if x2 is None else 0, n2, tile):
                right = left if x2 is None and i == j else features(_take(x1 if x2 is None else x2, slice(j, j + tile)))
                block = np.asarray(contract(left, right))
                kernel[i : i + tile, j : j + tile] = block
                if x2 is None:
                    kernel[j : j + tile, i : i + tile] = _swap(block)
    if not np.isfinite(kernel).all():
        raise InputError("f: the kernel has non-finite entries; check params and x for NaN, infinities or overflow.")
    return kernel


def _swap(block: np.ndarray) -> np.ndarray:
    """The block of the pairs (x', x) from that of (x, x')."""
    return block.transpose(1, 0, *range(block.ndim - 1, 1, -1))
