"""Projections of per-sample gradients layer by layer, without forming the gradients.

The gradient of a weight is G = sum_s a_s d_s^T, data times cotangents. With random S (c, k1) and T
(f, k2) its projection S^T G T = sum_s (S^T a_s)(T^T d_s)^T takes c k1 + f k2 random numbers for
each layer in place of c f k.

Source: layer-wise Kronecker projections, Choe et al. 2024 (arXiv 2405.13954, LoGra).
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from theorylab.ntk.analysis import analyse, split
from theorylab.ntk.features import sample_features
from theorylab.ntk.plan import Plan
from theorylab.ntk.rules import are_rows

Project = Callable[[Float[Array, " p"], Array], Float[Array, " k"]]


def factors(k: int) -> tuple[int, int]:
    """The most even pair of factors of `k`."""
    small = next(i for i in range(math.isqrt(k), 0, -1) if k % i == 0)
    return small, k // small


def relative_variance(k: int) -> float:
    """Bound of the variance of an estimated entry over the product of the two squared norms.

    (1 + 2/k1)(1 + 2/k2) - 1: what a single layer whose gradients have rank one comes close to. With
    the gradient spread evenly over many layers it falls towards 2/k.
    """
    k1, k2 = factors(k)
    return (1 + 2 / k1) * (1 + 2 / k2) - 1


def kronecker_projection(
    f: Callable, params: PyTree, x: PyTree, k: int, whole: Project
) -> Callable:
    """The projection `project(sample, key)` of the gradient of sum(f)/sqrt(O) at one sample.

    It gives `k` numbers, summed over the layers. What no rule takes apart (biases, scales) is
    projected in full by `whole(gradient, key)`.
    """
    weights, fixed, _ = split(params)
    analysis = analyse(f, params, x)
    plan = Plan(tuple(bool(block.sites) for block in analysis.blocks), merged=False)
    seeds = jnp.full((1, analysis.outputs), 1 / math.sqrt(analysis.outputs), analysis.dtype)

    def project(sample: PyTree, key: Array) -> Float[Array, " k"]:
        features = sample_features(analysis, plan, weights, fixed, jax.tree.leaves(sample), seeds)
        total = jnp.zeros(k, analysis.dtype)
        for number, feature in enumerate(features):
            here = jax.random.fold_in(key, number)
            total += (
                _factored(*feature, k, here) if len(feature) == 2 else whole(feature[0][0], here)
            )
        return total

    return project


def _factored(a: Array, d: Float[Array, "1 b s f"], k: int, key: Array) -> Float[Array, " k"]:
    """The projection of one layer's gradient, as k numbers.

    `a` is (b, s, c), or for an embedding the rows (1, s) that are looked up: then S is drawn row by
    row.
    """
    (k1, k2), (left, right) = factors(k), jax.random.split(key)
    signs = jax.random.rademacher(right, (d.shape[1], d.shape[3], k2), d.dtype)
    if are_rows(a):
        rows = jax.vmap(
            lambda row: jax.random.rademacher(jax.random.fold_in(left, row), (k1,), d.dtype)
        )(a[0])
        data = jnp.where(a[0][:, None] >= 0, rows, 0)[None]
    else:
        data = a @ jax.random.rademacher(left, (a.shape[0], a.shape[2], k1), a.dtype)
    return jnp.einsum("bsk,bsl->kl", data, d[0] @ signs).ravel() / math.sqrt(k)
