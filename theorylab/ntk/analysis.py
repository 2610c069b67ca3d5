"""A network taken apart, once for the shapes of its parameters and of one sample.

`analyse` traces the function of one sample (`graph`), finds where parameters meet data (`sites`),
and what depends on what (`stages.flow`). Nothing is computed here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from theorylab.ntk.graph import Graph, trace
from theorylab.ntk.sites import Block, find_blocks
from theorylab.ntk.stages import Flow, flow


@dataclass(frozen=True)
class Analysis:
    """A network taken apart: its graph for one sample, its blocks, and how to call it."""

    graph: Graph
    blocks: list[Block]
    flow: Flow
    names: list[str]
    outputs: int
    dtype: Any


def analyse(f: Callable, params: PyTree, x: PyTree, structured: bool = True) -> Analysis:
    """Take `f(params, x)` apart at the shapes of `params` and of one sample of `x`."""
    weights, fixed, join = split(params)
    leaves, structure = jax.tree.flatten(x)

    def one(
        weights: list[Array], sample: list[Array], fixed: list[Array]
    ) -> list[Float[Array, " o"]]:
        out = f(
            join(weights, fixed), jax.tree.unflatten(structure, [leaf[None] for leaf in sample])
        )
        return [jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(out)])]

    sample = [jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype) for leaf in leaves]
    graph = trace(one, _shapes(weights), sample, _shapes(fixed))
    out = graph.shape(graph.outputs[0])
    names = [
        jax.tree_util.keystr(path)
        for path, leaf in jax.tree_util.tree_leaves_with_path(params)
        if jnp.issubdtype(leaf.dtype, jnp.inexact)
    ]
    blocks = find_blocks(graph, len(weights), len(sample), structured)
    return Analysis(
        graph, blocks, flow(graph, len(weights), len(sample)), names, out.shape[0], out.dtype
    )


def _shapes(leaves: list[Array]) -> list[jax.ShapeDtypeStruct]:
    return [jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in leaves]


def split(
    params: PyTree,
) -> tuple[list[Array], list[Array], Callable[[list[Array], list[Array]], PyTree]]:
    """The floating-point leaves of `params`, the others, and the way back to the tree."""
    leaves, tree = jax.tree.flatten(params)
    floating = [jnp.issubdtype(leaf.dtype, jnp.inexact) for leaf in leaves]

    def join(weights: list[Array], fixed: list[Array]) -> PyTree:
        w, c = iter(weights), iter(fixed)
        return jax.tree.unflatten(tree, [next(w) if chosen else next(c) for chosen in floating])

    pairs = list(zip(leaves, floating, strict=True))
    return (
        [leaf for leaf, chosen in pairs if chosen],
        [leaf for leaf, chosen in pairs if not chosen],
        join,
    )
