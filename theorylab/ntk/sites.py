"""Which parameter leaves meet the data only in operations with a rule.

The others need their Jacobian in full.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from theorylab.ntk.graph import Const, Graph, Op, Ref
from theorylab.ntk.rules import Rule, Windows, entries, rearranges, rule_for
from theorylab.ntk.scans import Inner, Loop, loop, rule_of_loop

_SMALL = 1 << 8  # entries of a group below which a product of its own does not pay


class View(NamedTuple):
    """A parameter leaf seen through rearranging operations and multiplied by constants."""

    leaf: int
    ops: tuple[Op, ...] = ()
    scales: tuple[tuple[Ref | Const, bool], ...] = ()  # (factor, whether it divides)


class Site(NamedTuple):
    """One operation where a leaf meets data."""

    op: int
    data: Ref | Const | None  # None: what the loop hands out
    view: View
    rule: Rule
    loop: Loop | None = None  # where the operation is a loop,
    inner: Inner | None = None  # the operation in its body

    @property
    def key(self) -> tuple[int, int]:
        """What tells it from all other sites of a network."""
        return self.op, -1 if self.inner is None else self.inner.op


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
    def lookup(self) -> bool:
        """Whether its data are numbers of rows."""
        return any(site.rule.lookup for site in self.sites)

    @property
    def multiplied(self) -> bool:
        """Whether products of data and cotangents make its gradient: not in tiny groups."""
        b, _, c, f = self.sizes
        return bool(self.sites) and not self.lookup and (b == 1 or c * f >= _SMALL)

    @property
    def direct(self) -> Callable | None:
        """The only site's gradient without canonical forms, if it has one."""
        alone = self.sites[0] if len(self.sites) == 1 else None
        return alone.rule.direct if alone is not None and alone.loop is None else None

    @property
    def windows(self) -> Windows | None:
        """The only site's windows, if it has them."""
        return self.sites[0].rule.windows if len(self.sites) == 1 else None


def find_blocks(graph: Graph, leaves: int, samples: int, structured: bool = True) -> list[Block]:
    """Split the parameters, the first `leaves` inputs of the graph, into blocks.

    The next `samples` inputs are data. Without `structured` every leaf is a block in full.
    """
    shapes = [graph.shapes[ref.id].shape for ref in graph.inputs[:leaves]]
    if not structured:
        return [_in_full(leaf, shape) for leaf, shape in enumerate(shapes)]
    uses = _follow(graph, leaves, samples)
    biases = _biases(graph, uses, shapes)
    blocks = []
    for leaf, shape in enumerate(shapes):
        if leaf in biases.values():
            continue
        groups = None if leaf in uses.full else _groups(uses.sites[leaf], shape)
        if groups is None:
            blocks.append(_in_full(leaf, shape))
        for group in groups or ():
            blocks.append(_block(leaf, group, biases.get(leaf)))
    return blocks


def _in_full(leaf: int, shape: tuple[int, ...]) -> Block:
    return Block(leaf, (), (1, 0, 1, math.prod(shape)))


def _block(leaf: int, group: list[Site], bias: int | None) -> Block:
    """One block of sites on the same entries of a leaf: their positions side by side."""
    b, _, c, f = group[0].rule.sizes
    positions = sum(site.rule.sizes[1] for site in group)
    return Block(leaf, tuple(group), (b, positions, c + (bias is not None), f), bias)


class _Uses:
    """Where the leaves of a network meet its data, filled while its operations are followed.

    A leaf is in `full` where no rule applies, in `sites` where one does, and in `added` where it is
    added to the result of an operation that nothing else uses; it may be in several.
    """

    def __init__(self, graph: Graph, leaves: int, samples: int):
        parameters, data = graph.inputs[:leaves], graph.inputs[leaves : leaves + samples]
        self.graph = graph
        self.full: set[int] = set()
        self.sites: dict[int, list[Site]] = defaultdict(list)
        # of a leaf: to which operations' results it is added
        self.added: dict[int, list[tuple[int, View]]] = defaultdict(list)
        # of values: the leaves that functions of parameters alone depend on, and what is a view
        self.depends = {r.id: frozenset({i}) for i, r in enumerate(parameters)}
        self.views = {r.id: View(i) for i, r in enumerate(parameters)}
        self.data = {r.id for r in data}
        self.makers = {r.id: number for number, op in enumerate(graph.ops) for r in op.outputs}
        atoms = (a for many in (*(op.inputs for op in graph.ops), graph.outputs) for a in many)
        self.readers = Counter(a.id for a in atoms if isinstance(a, Ref))

    def pure(self, op: Op) -> list[Ref]:
        """The inputs that are functions of parameters alone."""
        refs = [a for a in op.inputs if isinstance(a, Ref)]
        return [a for a in refs if a.id in self.depends and a.id not in self.data]

    def meets_data(self, op: Op) -> bool:
        """Whether data reach the operation."""
        return any(isinstance(a, Ref) and a.id in self.data for a in op.inputs)

    def meet(self, number: int, op: Op) -> None:
        """Parameters, if any, enter an operation that data reach: by a rule, added, or in full."""
        pure = self.pure(op)
        self.data.update(r.id for r in op.outputs)
        if op.name == "scan":
            self._enter(number, op, pure)
            return
        for a in pure:
            site = _site(self.graph, number, op, a, self.views) if len(pure) == 1 else None
            if site is not None:
                self.sites[site.view.leaf].append(site)
            elif not (len(pure) == 1 and self._add(op, a)):
                self.full |= self.depends[a.id]

    def _enter(self, number: int, op: Op, pure: list[Ref]) -> None:
        """Parameters enter a loop: find where they meet data in its body."""
        within = loop(op)
        views = {
            position: self.views[a.id]
            for position, a in enumerate(op.inputs)
            if isinstance(a, Ref)
            and a in pure
            and a.id in self.views
            and within.apart(position) is not None
        }
        entering = [
            a
            for position, a in enumerate(op.inputs)
            if isinstance(a, Ref) and a in pure and position not in views
        ]
        self.full = self.full.union(*(self.depends[a.id] for a in entering))
        positions = list(views)
        data = len(within.body.inputs) - len(positions)
        inside = _follow(within.with_leaves(positions), len(positions), data)
        for leaf in inside.full | inside.added.keys():
            self.full.add(views[positions[leaf]].leaf)
        for leaf, sites in inside.sites.items():
            view, apart = views[positions[leaf]], bool(within.apart(positions[leaf]))
            for site in sites:
                if site.loop is not None:  # loops in loops are left whole
                    self.full.add(view.leaf)
                    continue
                rule = rule_of_loop(within.length, apart, site.view.ops, site.rule)
                seen = view._replace(scales=(*view.scales, *site.view.scales))
                # data of None is that of a loop, which is left whole above
                inner = Inner(site.op, site.data, site.rule)  # type: ignore[arg-type]
                self.sites[view.leaf].append(Site(number, None, seen, rule, within, inner))

    def _add(self, op: Op, a: Ref) -> bool:
        """Note a view of a leaf that is added to what an operation gives and nothing else reads."""
        others = [b for b in op.inputs if isinstance(b, Ref) and b is not a]
        if op.name != "add" or len(others) != 1 or a.id not in self.views:
            return False
        (other,) = others
        if self.readers[other.id] != 1 or other.id not in self.makers:
            return False
        view = self.views[a.id]
        self.added[view.leaf].append((self.makers[other.id], view))
        return True

    def compute(self, op: Op) -> None:
        """An operation on parameters alone: what it gives depends on them, and may be a view."""
        pure = self.pure(op)
        union = frozenset().union(*(self.depends[a.id] for a in pure))
        self.depends.update((r.id, union) for r in op.outputs)
        view = _view(self.graph, op, pure, self.views)
        if view is not None:
            self.views[op.outputs[0].id] = view


def _follow(graph: Graph, leaves: int, samples: int) -> _Uses:
    """How every leaf is used, operation by operation."""
    uses = _Uses(graph, leaves, samples)
    for number, op in enumerate(graph.ops):
        if uses.meets_data(op):
            uses.meet(number, op)
        elif uses.pure(op):
            uses.compute(op)
    for atom in graph.outputs:  # an output that no data reaches
        if isinstance(atom, Ref) and atom.id not in uses.data:
            uses.full |= uses.depends.get(atom.id, frozenset())
    return uses


def _biases(graph: Graph, uses: _Uses, shapes: list[tuple[int, ...]]) -> dict[int, int]:
    """Of a weight, the leaf that is added to what its only site gives.

    Added leaves that are no such bias are needed in full.
    """
    # before the weights are chosen
    uses.full |= {
        leaf for leaf, places in uses.added.items() if len(places) > 1 or uses.sites[leaf]
    }
    alone = {
        found[0].op: (leaf, found[0])
        for leaf, found in uses.sites.items()
        if len(found) == 1 and leaf not in uses.full and found[0].loop is None
    }
    biases: dict[int, int] = {}
    for leaf, places in uses.added.items():
        (maker, view), *_ = places
        weight, site = alone.get(maker, (leaf, None))
        free = leaf not in uses.full and weight not in biases
        if site is not None and free and _is_bias(graph, site, view, shapes[leaf]):
            biases[weight] = leaf
        else:
            uses.full.add(leaf)
    return biases


def _place(op: Op, ref: Ref) -> int:
    """Where an operation takes a value; constants before it are not compared with it."""
    return next(i for i, a in enumerate(op.inputs) if isinstance(a, Ref) and a == ref)


def _site(graph: Graph, number: int, op: Op, weight: Ref, views: dict[int, View]) -> Site | None:
    position = _place(op, weight)
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
    if site.view.scales or view.scales or not site.rule.takes_bias:
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
    position = _place(op, pure[0])
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
            alike = site.rule.lookup == members[0].rule.lookup  # or data of two kinds
            if alike and np.array_equal(known, numbers):
                members.append(site)
                break
            if np.intersect1d(known, numbers).size:
                return None
        else:
            groups.append((numbers, [site]))
    return [members for _, members in groups]
