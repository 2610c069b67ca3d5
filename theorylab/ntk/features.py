"""What one sample contributes to the kernel: the factors of its Jacobian, block by block.

One forward pass with a zero added to the output of every site (and to every leaf whose Jacobian is
needed in full), one backward pass per output with respect to those zeros. The samples are vmapped,
so the passes are batched.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from theorylab.ntk import strides
from theorylab.ntk.graph import Graph, Op, read, trace
from theorylab.ntk.plan import Plan
from theorylab.ntk.sites import Block, Site, find_blocks
from theorylab.ntk.stages import Flow, Stage, flow, operations, whole


@dataclass(frozen=True)
class Analysis:
    """A network taken apart: its graph for one sample, its blocks, and how to call it."""

    graph: Graph
    blocks: list[Block]
    flow: Flow
    names: list[str]
    outputs: int
    dtype: Any


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


def pushforward(function: Callable, at: PyTree) -> Callable[[PyTree], tuple[PyTree, PyTree]]:
    """Value and directional derivative at a point, of a tangent; also of layers with `custom_vjp`.

    These have no forward mode; the transpose of their backward pass, which is linear, takes its
    place.
    """
    if not _backward_only(jax.make_jaxpr(function)(at)):
        return lambda tangent: jax.jvp(function, (at,), (tangent,))

    def twice_back(tangent: PyTree) -> tuple[PyTree, PyTree]:
        value, pullback = jax.vjp(function, at)
        zeros = jax.tree.map(jnp.zeros_like, value)
        _, transposed = jax.vjp(lambda cotangent: pullback(cotangent)[0], zeros)
        return value, transposed(tangent)[0]

    return twice_back


def _backward_only(program: Any) -> bool:
    """Whether a program calls a function with its own backward pass."""
    for eqn in getattr(program, "jaxpr", program).eqns:
        if "custom_vjp" in eqn.primitive.name:
            return True
        for leaf in jax.tree.leaves(list(eqn.params.values()), is_leaf=_is_program):
            if _is_program(leaf) and _backward_only(leaf):
                return True
    return False


def _is_program(value: Any) -> bool:
    return hasattr(value, "eqns") or hasattr(value, "jaxpr")


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


def stage_features(
    analysis: Analysis,
    plan: Plan,
    stage: Stage,
    weights: list[Array],
    fixed: list[Array],
    sample: list[Array],
    entering: tuple[list[Array], list[Array]],
    cotangents: list[Float[Array, "q ..."]],
) -> tuple[list[tuple[Array, ...]], list[Float[Array, "q ..."]]]:
    """The features of one sample for every block of a stage, and the cotangents of what enters it.

    A block contracted through gradients gives `(g,)` of shape (kept outputs, entries); one
    contracted through Grams `(a, d)` of shapes (b, s, c) and (kept outputs, b, s, f). Where the
    kernel sums over outputs, f includes them. A late block gives `(a, d)`, d of shape (s, outputs,
    f), a of shape (s, c), or with its windows not yet laid out.
    """
    graph, blocks = analysis.graph, [analysis.blocks[i] for i in stage.blocks]
    sites = {site.op: site for block in blocks for site in block.sites}
    bare = {
        site.op
        for i in plan.late
        for site in analysis.blocks[i].sites
        if analysis.blocks[i].windows
    }
    full = [block.leaf for block in blocks if not block.sites]

    def run(
        zeros: dict[int, Array], shifts: list[Array], values: list[Array]
    ) -> tuple[list[Array], dict[int, tuple[Array, Array]]]:
        shifted = dict(zip(full, shifts, strict=True))
        inputs = (
            [w + shifted[i] if i in shifted else w for i, w in enumerate(weights)] + sample + fixed
        )
        env = dict(zip((r.id for r in graph.inputs), inputs, strict=True))
        env.update(zip((*stage.kept, *stage.enter), (*entering[0], *values), strict=True))
        data = {}
        for number, op in operations(graph, analysis.flow, stage):
            apply = strides.apply if plan.host else Op.__call__
            out = apply(op, *(read(env, a) for a in op.inputs))
            if number in sites:
                out[0] = out[0] + zeros[number]
                data[number] = _data(sites[number], env, number in bare)
            env.update(zip((r.id for r in op.outputs), out, strict=True))
        return [read(env, atom) for atom in stage.leave], data

    zeros = {
        n: jnp.zeros(s.shape, s.dtype)
        for n, s in ((n, graph.shape(graph.ops[n].outputs[0])) for n in sites)
    }
    shifts = [jnp.zeros_like(weights[i]) for i in full]
    _, pullback, data = jax.vjp(run, zeros, shifts, entering[1], has_aux=True)
    cotangents, jacobians, before = jax.vmap(pullback)(cotangents)
    entire = dict(zip(full, jacobians, strict=True))
    features: list[tuple[Array, ...]] = []
    for number, block in zip(stage.blocks, blocks, strict=True):
        if not block.sites:
            g = entire[block.leaf]
            g = g.reshape(len(g), -1)
            features.append((g.reshape(1, -1) if plan.merged else g,))
            continue
        one = len(block.sites) == 1
        a = (
            data[block.sites[0].op][0]
            if one
            else jnp.concatenate([data[site.op][0] for site in block.sites], 1)
        )
        d = jnp.concatenate(
            [jax.vmap(s.rule.cotangent)(cotangents[s.op]) * data[s.op][1] for s in block.sites], 2
        )
        if block.bias is not None and not (number in plan.late and block.windows):
            a = jnp.concatenate([a, jnp.ones((*a.shape[:-1], 1), a.dtype)], -1)
        if number in plan.late:
            wide = jnp.promote_types(d.dtype, jnp.float32)
            a, d = (a if block.windows else a[0]), d[:, 0]
            # spares a copy
            d = d.swapaxes(0, 1) if block.sizes[1] > 1 else d.reshape(1, *d.shape[::2])
            features.append((a.astype(wide), d.astype(wide)))
            continue
        if plan.merged:
            d = d.transpose(1, 2, 0, 3).reshape(1, *d.shape[1:3], -1)
        if block.kind != "embedding":
            a = a.astype(d.dtype)
        features.append((a, d) if plan.grams[number] else (_gradient(a, d, block),))
    return _join_small(features), before


def sample_features(
    analysis: Analysis,
    plan: Plan,
    weights: list[Array],
    fixed: list[Array],
    sample: list[Array],
    seeds: Float[Array, "q o"],
) -> list[tuple[Array, ...]]:
    """The features of one sample for every block of the plan, as `stage_features` gives them."""
    stage = whole(analysis.graph, analysis.blocks)
    return stage_features(analysis, plan, stage, weights, fixed, sample, ([], []), [seeds])[0]


def _data(site: Site, env: dict[int, Array], bare: bool) -> tuple[Array, Array]:
    """A site's data in canonical form, or without its windows, and the factor of its weight."""
    scale = jnp.ones(
        (), read(env, site.data).dtype if site.rule.kind != "embedding" else jnp.float32
    )
    for atom, divides in site.view.scales:
        factor = jnp.reshape(read(env, atom), ())
        scale = scale / factor if divides else scale * factor
    form = site.rule.windows.whole if bare and site.rule.windows else site.rule.data
    return form(read(env, site.data)), scale


def _gradient(a: Array, d: Array, block: Block) -> Float[Array, "q p"]:
    if a.dtype.kind == "i":
        a = jax.nn.one_hot(a, block.sizes[2], dtype=d.dtype)
    # Not an einsum: the entries stay in the order (b, q, f, c) in which the product leaves them, a
    # copy less.
    g = jax.lax.dot_general(d, a, (((2,), (1,)), ((1,), (0,))))
    if 1 not in g.shape[:2]:
        g = jnp.moveaxis(g, 1, 0)
    return g.reshape(d.shape[0], -1)


def _join_small(features: list[tuple[Array, ...]], limit: int = 1 << 14) -> list[tuple[Array, ...]]:
    """Gradients of few entries side by side, so that they are contracted in one product."""
    small = [f[0] for f in features if len(f) == 1 and f[0].shape[1] <= limit]
    if len(small) < 2:
        return features
    return [f for f in features if len(f) == 2 or f[0].shape[1] > limit] + [
        (jnp.concatenate(small, 1),)
    ]
