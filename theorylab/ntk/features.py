"""What one sample contributes to the kernel: the factors of its Jacobian, block by block.

One forward pass with a zero added to the output of every site (and to every leaf whose Jacobian is
needed in full), one backward pass per output with respect to those zeros. The samples are vmapped,
so the passes are batched.
"""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from theorylab.ntk import strides
from theorylab.ntk.analysis import Analysis
from theorylab.ntk.graph import Op, read
from theorylab.ntk.plan import Plan
from theorylab.ntk.rules import are_rows
from theorylab.ntk.sites import Block, Site
from theorylab.ntk.stages import Stage, operations, whole

Feature = tuple[Array, ...]  # of one block: a gradient (g,), or data and cotangents (a, d)
Key = tuple[int, int]  # of one site
Meeting = tuple[Array, Array]  # of one site: its data, and the factor of its weight


def stage_features(
    analysis: Analysis,
    plan: Plan,
    stage: Stage,
    weights: list[Array],
    fixed: list[Array],
    sample: list[Array],
    entering: tuple[list[Array], list[Array]],
    cotangents: list[Float[Array, "q ..."]],
) -> tuple[list[Feature], list[Float[Array, "q ..."]]]:
    """The features of one sample for every block of a stage, and the cotangents of what enters it.

    A block contracted through gradients gives `(g,)` of shape (kept outputs, entries); one
    contracted through Grams `(a, d)` of shapes (b, s, c) and (kept outputs, b, s, f). Where the
    kernel sums over outputs, f includes them. A late block gives `(a, d)`, d of shape (outputs, s,
    f), a of shape (s, c), or with its windows not yet laid out.
    """
    graph, blocks = analysis.graph, [analysis.blocks[i] for i in stage.blocks]
    sites = [site for block in blocks for site in block.sites]
    full = [block.leaf for block in blocks if not block.sites]

    def run(
        zeros: dict[Key, Array], shifts: list[Array], values: list[Array]
    ) -> tuple[list[Array], dict[Key, Meeting]]:
        shifted = dict(zip(full, shifts, strict=True))
        moved = [w + shifted[i] if i in shifted else w for i, w in enumerate(weights)]
        inputs = zip((r.id for r in graph.inputs), [*moved, *sample, *fixed], strict=True)
        crossing = zip((*stage.kept, *stage.enter), (*entering[0], *values), strict=True)
        return _forward(analysis, plan, stage, {**dict(inputs), **dict(crossing)}, zeros)

    zeros = {site.key: _zeros(analysis, site) for site in sites}
    shifts = [jnp.zeros_like(weights[leaf]) for leaf in full]
    _, pullback, data = jax.vjp(run, zeros, shifts, entering[1], has_aux=True)
    of_sites, jacobians, before = jax.vmap(pullback)(cotangents)
    in_full = dict(zip(full, jacobians, strict=True))
    features = [
        _of_sites(plan, number, block, data, of_sites)
        if block.sites
        else _in_full(plan, in_full[block.leaf])
        for number, block in zip(stage.blocks, blocks, strict=True)
    ]
    return _join_small(features), before


def sample_features(
    analysis: Analysis,
    plan: Plan,
    weights: list[Array],
    fixed: list[Array],
    sample: list[Array],
    seeds: Float[Array, "q o"],
) -> list[Feature]:
    """The features of one sample for every block of the plan, as `stage_features` gives them."""
    stage = whole(analysis.graph, analysis.blocks)
    return stage_features(analysis, plan, stage, weights, fixed, sample, ([], []), [seeds])[0]


def _forward(
    analysis: Analysis, plan: Plan, stage: Stage, env: dict[int, Array], zeros: dict[Key, Array]
) -> tuple[list[Array], dict[Key, Meeting]]:
    """What leaves the stage, with a zero added at every site; and the data of the sites."""
    blocks = [(number, analysis.blocks[number]) for number in stage.blocks]
    sites: dict[int, list[tuple[Site, int]]] = defaultdict(list)
    for number, holding in blocks:
        for site in holding.sites:
            sites[site.op].append((site, number))
    # their windows are laid out later, on the host
    bare = {number for number, holding in blocks if number in plan.late and holding.windows}
    direct = {number for number, holding in blocks if _is_direct(plan, number, holding)}
    apply = strides.apply if plan.host else Op.__call__
    data: dict[Key, Meeting] = {}
    for number, op in operations(analysis.graph, analysis.flow, stage):
        values, here = [read(env, atom) for atom in op.inputs], sites.get(number, [])
        if here and here[0][0].loop is not None:
            out = _loop(apply, [site for site, _ in here], env, values, zeros, data)
        else:
            out = apply(op, *values)
            for site, block in here:
                out[0] = out[0] + zeros[site.key]
                data[site.key] = _data(site, env, block in bare, block in direct)
        env.update(zip((r.id for r in op.outputs), out, strict=True))
    return [read(env, atom) for atom in stage.leave], data


def _zeros(analysis: Analysis, site: Site) -> Array:
    """What is added to the result of a site, in a loop at every step."""
    if site.loop is not None and site.inner is not None:
        return site.loop.zeros(site.inner)
    shape = analysis.graph.shape(analysis.graph.ops[site.op].outputs[0])
    return jnp.zeros(shape.shape, shape.dtype)


def _loop(
    apply: Callable[..., list[Any]],
    sites: list[Site],
    env: dict[int, Array],
    values: list[Array],
    zeros: dict[Key, Array],
    data: dict[Key, Meeting],
) -> list[Array]:
    """The outputs of a loop; the data of its sites are added to `data`."""
    inner = [site.inner for site in sites if site.inner is not None]
    within = sites[0].loop
    assert within is not None
    added = {site.key[1]: zeros[site.key] for site in sites}
    out, found = within.run(apply, inner, added, values)
    for site in sites:
        a = site.rule.data(found[site.key[1]])
        data[site.key] = a, _scale(site, env, jnp.float32 if site.rule.lookup else a.dtype)
    return out


def _is_direct(plan: Plan, number: int, block: Block) -> bool:
    """Whether a block's gradient is taken of data and cotangents as they are."""
    return block.direct is not None and not plan.grams[number] and number not in plan.late


def _data(site: Site, env: dict[int, Array], bare: bool, direct: bool) -> Meeting:
    """A site's data, and the factor of its weight.

    The data are in canonical form, or without their windows, or as they are.
    """
    assert site.data is not None
    values = read(env, site.data)
    form = site.rule.windows.whole if bare and site.rule.windows else site.rule.data
    return values if direct else form(values), _scale(
        site, env, jnp.float32 if site.rule.lookup else values.dtype
    )


def _scale(site: Site, env: dict[int, Array], dtype: Any) -> Array:
    """By what a site's weight is multiplied before it meets data."""
    scale = jnp.ones((), dtype)
    for atom, divides in site.view.scales:
        factor = jnp.reshape(read(env, atom), ())
        scale = scale / factor if divides else scale * factor
    return scale


def _of_sites(
    plan: Plan,
    number: int,
    block: Block,
    data: dict[Key, Meeting],
    cotangents: dict[Key, Array],
) -> Feature:
    """A block's features."""
    if not _is_direct(plan, number, block) or block.direct is None:
        return _formed(plan, number, block, *_factors(block, data, cotangents))
    (site,) = block.sites
    values, scale = data[site.key]
    return _in_full(plan, jax.vmap(block.direct, (None, 0))(values, cotangents[site.key]) * scale)


def _factors(
    block: Block, data: dict[Key, Meeting], cotangents: dict[Key, Array]
) -> tuple[Array, Array]:
    """Data (b, s, c) and cotangents (q, b, s, f) of a block, the positions of all its sites."""
    parts = [data[site.key][0] for site in block.sites]
    a = parts[0] if len(parts) == 1 else jnp.concatenate(parts, 1)
    d = jnp.concatenate(
        [jax.vmap(s.rule.cotangent)(cotangents[s.key]) * data[s.key][1] for s in block.sites], 2
    )
    return a, d


def _formed(plan: Plan, number: int, block: Block, a: Array, d: Array) -> Feature:
    """A block's features in the form that its way of contraction takes."""
    late = number in plan.late
    if block.bias is not None and not (late and block.windows):
        a = jnp.concatenate([a, jnp.ones((*a.shape[:-1], 1), a.dtype)], -1)
    if late:
        return _for_the_host(block, a, d)
    if plan.merged:
        d = d.transpose(1, 2, 0, 3).reshape(1, *d.shape[1:3], -1)
    if not block.lookup:
        a = a.astype(d.dtype)
    return (a, d) if plan.grams[number] else (_gradient(a, d, block),)


def _for_the_host(block: Block, a: Array, d: Array) -> Feature:
    """Data and cotangents to be multiplied by BLAS: the positions of all groups side by side."""
    kind = jnp.promote_types(d.dtype, jnp.float32)
    d = d.reshape(d.shape[0], -1, d.shape[-1])
    a = a if block.windows else a.reshape(-1, a.shape[-1])
    return a.astype(kind), d.astype(kind)


def _in_full(plan: Plan, g: Array) -> Feature:
    """Gradients for every output, as they were formed."""
    g = g.reshape(len(g), -1)
    return (g.reshape(1, -1) if plan.merged else g,)


def _gradient(a: Array, d: Array, block: Block) -> Float[Array, "q p"]:
    if are_rows(a):
        a = jax.nn.one_hot(a, block.sizes[2], dtype=d.dtype)
    # Not an einsum: the entries stay in the order (b, q, f, c) in which the product leaves them, a
    # copy less.
    g = jax.lax.dot_general(d, a, (((2,), (1,)), ((1,), (0,))))
    if 1 not in g.shape[:2]:
        g = jnp.moveaxis(g, 1, 0)
    return g.reshape(d.shape[0], -1)


def _join_small(features: list[Feature], limit: int = 1 << 14) -> list[Feature]:
    """Gradients of few entries side by side, so that they are contracted in one product."""
    small = [f[0] for f in features if len(f) == 1 and f[0].shape[1] <= limit]
    if len(small) < 2:
        return features
    return [f for f in features if len(f) == 2 or f[0].shape[1] > limit] + [
        (jnp.concatenate(small, 1),)
    ]
