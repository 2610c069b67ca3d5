"""Sums over samples of a power of every sample's own gradient, without keeping the gradients.

The network is taken apart as for the tangent kernel (`theorylab.ntk`): a weight that meets the data
in a product or a convolution has the gradient sum_s a_s d_s^T, data times cotangents over the
positions s. With one position its power is the product of powers, |a|^p |d|^p, so that the sum over
samples is one matrix product; with more, each sample's gradient is one small product. Neither needs
the convolutions over kernels that `vmap(grad)` turns into, and only the cotangents are propagated
back. What no rule takes apart (norm scales, weights used in two ways) has its gradient in full.
"""

import math
from collections.abc import Callable
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from theorylab.ntk.analysis import Analysis, analyse, split
from theorylab.ntk.features import sample_features
from theorylab.ntk.plan import Plan
from theorylab.ntk.rules import entries
from theorylab.ntk.sites import Block
from theorylab.unlearning.lowering import on_cpu, products_of_few

Loss = Callable[[PyTree, PyTree], Float[Array, " n"]]
_TOGETHER, _HELD = 4, 1 << 16  # gradients of so many entries (256 KB) are summed so many at a time
_SMALL = 1 << 14  # entries up to which `sample_features` lays gradients in full side by side


def powers_by_vmap(
    loss: Loss, params: PyTree, samples: PyTree, weights: Float[Array, " n"], power: int
) -> PyTree:
    """sum_i w_i |grad loss_i|^power by `vmap(grad)`.

    What `powers` falls back on, and is tested and measured against.
    """

    def one(sample: PyTree) -> PyTree:
        alone = jax.tree.map(lambda a: a[None], sample)
        return jax.grad(lambda p: loss(p, alone)[0])(params)

    gradients = jax.vmap(one)(samples)
    return jax.tree.map(lambda g: jnp.tensordot(weights, jnp.abs(g) ** power, 1), gradients)


def powers(
    loss: Loss, params: PyTree, samples: PyTree, weights: Float[Array, " n"], power: int
) -> PyTree:
    """sum_i w_i |grad loss_i|^power, entry by entry, over a batch of samples.

    `loss` gives (n,) losses, each of its own sample alone.
    """
    # one sample at a time passes through the network that is analysed
    analysis = _without_biases(analyse(products_of_few(loss, 1), params, samples))
    if any(block.lookup for block in analysis.blocks):
        return powers_by_vmap(loss, params, samples, weights, power)
    floating, fixed, join = split(params)
    grams = tuple(bool(block.sites) for block in analysis.blocks)
    plan = Plan(grams, merged=False, host=on_cpu())
    seeds = jnp.ones((1, 1), analysis.dtype)

    def features(sample: list[Array]) -> list[tuple[Array, ...]]:
        return sample_features(analysis, plan, floating, fixed, sample, seeds)

    found = _in_block_order(analysis, jax.vmap(features)(jax.tree.leaves(samples)))
    out = [jnp.zeros(math.prod(leaf.shape), leaf.dtype) for leaf in floating]
    for block, feature in zip(analysis.blocks, found, strict=True):
        if not block.sites:
            total = jnp.tensordot(weights, jnp.abs(feature[0][:, 0]) ** power, 1)
            out[block.leaf] += total.ravel()
            continue
        a, d = feature[0], feature[1][:, 0]  # (n, b, s, c), (n, b, s, f)
        total = _single(a, d, weights, power) if a.shape[2] == 1 else _many(a, d, weights, power)
        leaf = floating[block.leaf]
        site = block.sites[0]
        places = np.asarray(site.rule.weight(entries(site.view.ops, leaf.shape)))
        out[block.leaf] = out[block.leaf].at[places.ravel()].add(total.ravel())
    return join(
        [flat.reshape(leaf.shape) for flat, leaf in zip(out, floating, strict=True)],
        [jnp.zeros_like(leaf) for leaf in fixed],
    )


def _single(a: Array, d: Array, weights: Array, power: int) -> Float[Array, "b c f"]:
    a, d = jnp.abs(a[:, :, 0]) ** power, jnp.abs(d[:, :, 0]) ** power
    return jnp.einsum("nbc,nbf->bcf", a * weights[:, None, None], d)


def _many(a: Array, d: Array, weights: Array, power: int) -> Float[Array, "b c f"]:
    """The weighted sum of powers of gradients that sum over several positions.

    On a CPU one sample after another, so that a gradient is used while it is in cache, and with
    the wider factor last: XLA's batches of products reach a third of this rate (64 positions), and
    its sum over the powers of all takes as long again.
    """
    if not on_cpu():
        gradients = jnp.einsum("nbsc,nbsf->nbcf", a, d)
        return jnp.einsum("n,nbcf->bcf", weights, jnp.abs(gradients) ** power)

    def add(total: Array, sample: tuple[Array, Array, Array]) -> tuple[Array, None]:
        a, d, weight = sample
        return total + weight * jnp.abs(jnp.einsum("bsf,bsc->bfc", d, a)) ** power, None

    none = jnp.zeros((a.shape[1], d.shape[3], a.shape[3]), jnp.result_type(a, d, weights))
    together = _TOGETHER if math.prod(none.shape) <= _HELD else 1
    return jax.lax.scan(add, none, (a, d, weights), unroll=together)[0].swapaxes(1, 2)


def _without_biases(analysis: Analysis) -> Analysis:
    """The same network with every bias a block of its own, in full.

    A column of ones in the data does not say which entry of the bias belongs to which feature.
    """
    blocks: list[Block] = []
    for block in analysis.blocks:
        if block.bias is None:
            blocks.append(block)
            continue
        b, s, c, f = block.sizes
        blocks.append(replace(block, sizes=(b, s, c - 1, f), bias=None))
        blocks.append(Block(block.bias, (), (1, 0, 1, f)))
    return replace(analysis, blocks=blocks)


def _in_block_order(
    analysis: Analysis, features: list[tuple[Array, ...]]
) -> list[tuple[Array, ...]]:
    """The features block by block.

    `sample_features` moves small gradients in full to the end, side by side.
    """
    small = [
        i for i, block in enumerate(analysis.blocks) if not block.sites and block.sizes[3] <= _SMALL
    ]
    if len(small) < 2:
        return features
    *others, joined = features
    rest = iter(others)
    cuts = np.cumsum([analysis.blocks[i].sizes[3] for i in small])[:-1]
    pieces = iter(jnp.split(joined[0], cuts, axis=-1))
    return [(next(pieces),) if i in small else next(rest) for i in range(len(analysis.blocks))]
