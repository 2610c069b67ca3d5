"""Which parameter leaves meet the data only in operations with a rule.

The others need their Jacobian in full.
"""

import math
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from theorylab.ntk.graph import Const, Graph, Op, Ref
from theorylab.ntk.rules import Rule, Windows, entries, rearranges, rule_for


class View(NamedTuple):
    """A parameter leaf seen through rearranging operations and multiplied by constants."""

    leaf: int
    ops: tuple[Op, ...] = ()
    scales: tuple[tuple[Ref | Const, bool], ...] = ()  # (factor, whether it divides)


class Site(NamedTuple):
    """One operation where a leaf meets data."""

    op: int
    data: Ref | Const
    view: View
    rule: Rule


@dataclass(frozen=True)
class Block:
    """A share of the Jacobian, orthogonal to all others.

    It holds the sites of one leaf on the same entries, or a leaf in full.
    """

    leaf: int
    sites: tuple[Site, ...]  # empty: the Jacobian of the whole leaf
    sizes: tuple[int, int, int, int]  # b, s, c, f; a leaf in full: 1, 0, 1, size
    # the leaf that is added to what the only site gives: one more entry of c, of data 1
    bias: int | None = None

    @property
    def kind(self) -> str:
        """Kinds of the operations that it holds, or "jacobian"."""
        kinds = sorted({site.rule.kind for site in self.sites}) or ["jacobian"]
        return "+".join(kinds + ["bias"] * (self.bias is not None))

    @property
    def windows(self) -> Windows | None:
        """The only site's windows, if it has them."""
        return self.sites[0].rule.windows if len(self.sites) == 1 else None


def find_blocks(graph: Graph, leaves: int, samples: int, structured: bool = True) -> list[Block]:  # noqa: C901
    """Split the parameters, the first `leaves` inputs of the graph, into blocks.

    The next `samples` inputs are data.
    """
    full: set[int] = set() if structured else set(range(leaves))
    sites: dict[int, list[Site]] = defaultdict(list)
    depends: dict[int, frozenset[int]] = {
        r.id: frozenset({i}) for i, r in enumerate(graph.inputs[:leaves])
    }
    data = {r.id for r in graph.inputs[leaves : leaves + samples]}
    views = {r.id: View(i) for i, r in enumerate(graph.inputs[:leaves])}
    # of a leaf: to which operations' results it is added
    added: dict[int, list[tuple[int, View]]] = defaultdict(list)
    makers = {r.id: number for number, op in enumerate(graph.ops) for r in op.outputs}
    uses = Counter(
        a.id
        for atoms in (*(op.inputs for op in graph.ops), graph.outputs)
        for a in atoms
        if isinstance(a, Ref)
    )

    for number, op in enumerate(graph.ops):
        refs = [a for a in op.inputs if isinstance(a, Ref)]
        # functions of parameters alone
        pure = [a for a in refs if a.id in depends and a.id not in data]
        if any(a.id in data for a in refs):
            data.update(r.id for r in op.outputs)
            for a in pure:
                site = _site(graph, number, op, a, views) if len(pure) == 1 else None
                if (
                    site is None
                    and op.name == "add"
                    and len(refs) == 2
                    and len(pure) == 1
                    and a.id in views
                ):
                    (other,) = (b for b in refs if b is not a)
                    if uses[other.id] == 1 and other.id in makers:
                        added[views[a.id].leaf].append((makers[other.id], views[a.id]))
                        continue
                if site is None:
                    full |= depends[a.id]
                else:
                    sites[site.view.leaf].append(site)
        elif pure:
            union = frozenset().union(*(depends[a.id] for a in pure))
            depends.update((r.id, union) for r in op.outputs)
            view = _view(graph, op, pure, views)
            if view is not None:
                views[op.outputs[0].id] = view
    for atom in graph.outputs:  # an output that no data reaches
        if isinstance(atom, Ref) and atom.id not in data:
            full |= depends.get(atom.id, frozenset())

    shapes = [graph.shapes[ref.id].shape for ref in graph.inputs[:leaves]]
    # before the weights are chosen
    full |= {leaf for leaf, places in added.items() if len(places) > 1 or sites[leaf]}
    alone = {
        found[0].op: (leaf, found[0])
        for leaf, found in sites.items()
        if len(found) == 1 and leaf not in full
    }
    biases: dict[int, int] = {}  # of a weight, the leaf added to what its only site gives
    for leaf, places in added.items():
        weight, site = alone.get(places[0][0], (leaf, None))
        if (
            site
            and leaf not in full
            and weight not in biases
            and _is_bias(graph, site, places[0][1], shapes[leaf])
        ):
            biases[weight] = leaf
        else:
            full.add(leaf)

    blocks = []
    for leaf, shape in enumerate(shapes):
        if leaf in biases.values():
            continue
        groups = None if leaf in full else _groups(sites[leaf], shape)
        if groups is None:
            blocks.append(Block(leaf, (), (1, 0, 1, math.prod(shape))))
        for group in groups or ():
            b, _, c, f = group[0].rule.sizes
            sizes = b, sum(site.rule.sizes[1] for site in group), c + (leaf in biases), f
            blocks.append(Block(leaf, tuple(group), sizes, biases.get(leaf)))
    return blocks


def _site(graph: Graph, number: int, op: Op, weight: Ref, views: dict[int, View]) -> Site | None:
    position = op.inputs.index(weight)
    view = views.get(weight.id)
    rule = (
        rule_for(op, position, [graph.shape(a) for a in op.inputs])
        if len(op.inputs) == 2 and view
        else None
    )
    return Site(number, op.inputs[1 - position], view, rule) if view and rule else None


def _is_bias(graph: Graph, site: Site, view: View, shape: tuple[int, ...]) -> bool:
    """Whether a leaf that is added to a site's result is one number for each feature f.

    It must be the same at all positions.
    """
    if site.view.scales or view.scales or site.rule.sizes[0] != 1 or site.rule.kind == "embedding":
        return False
    numbers = np.broadcast_to(
        entries(view.ops, shape), graph.shape(graph.ops[site.op].outputs[0]).shape
    )
    with jax.ensure_compile_time_eval():
        rows = np.asarray(site.rule.cotangent(jnp.asarray(numbers)))[0]
    return bool((rows == rows[0]).all()) and len(np.unique(rows[0])) == len(rows[0]) == math.prod(
        shape
    )


def _view(graph: Graph, op: Op, pure: list[Ref], views: dict[int, View]) -> View | None:
    """What `op` makes of its only parameter-dependent input, if that is still a view of a leaf."""
    view = views.get(pure[0].id) if len(pure) == 1 else None
    if view is None:
        return None
    position = op.inputs.index(pure[0])
    if len(op.inputs) == 1 and rearranges(op):
        return view._replace(ops=(*view.ops, op))
    if op.name == "neg":
        return view._replace(scales=(*view.scales, (Const(-1.0), False)))
    if op.name == "mul" or (op.name == "div" and position == 0):
        other = op.inputs[1 - position]
        if (
            math.prod(graph.shape(other).shape) == 1
            and graph.shape(op.outputs[0]).shape == graph.shape(pure[0]).shape
        ):
            return view._replace(scales=(*view.scales, (other, op.name == "div")))
    return None


def _groups(sites: list[Site], shape: tuple[int, ...]) -> list[list[Site]] | None:
    """Sites on the same entries of a leaf, group by group; None where two groups share entries."""
    if len(sites) < 2:
        return [sites] if sites else []
    groups: list[tuple[np.ndarray, list[Site]]] = []
    for site in sites:
        numbers = np.asarray(site.rule.weight(entries(site.view.ops, shape)))
        for known, members in groups:
            # data are row numbers, not values
            lookups = [s.rule.kind == "embedding" for s in (site, members[0])]
            if lookups[0] == lookups[1] and np.array_equal(known, numbers):
                members.append(site)
                break
            if np.intersect1d(known, numbers).size:
                return None
        else:
            groups.append((numbers, [site]))
    return [members for _, members in groups]
