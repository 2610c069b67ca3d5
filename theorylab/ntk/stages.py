"""Where the backward pass of a network can pause.

So only a share of its cotangents exists at a time.

A stage is a run of operations. Forward, the values that cross into it are kept; backward, a stage
takes the cotangents of the values that leave it, gives those of the values that enter it, and all
blocks of parameters that it holds.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from theorylab.ntk.graph import Const, Graph, Op, Ref, read
from theorylab.ntk.sites import Block


class Stage(NamedTuple):
    """A run of operations, the values that enter and leave it, and the numbers of its blocks.

    It holds operations `start` to `stop`. `kept` enter without a derivative: they depend on no
    parameter, or are no floating-point numbers.
    """

    start: int
    stop: int
    kept: tuple[int, ...]
    enter: tuple[int, ...]
    leave: tuple[Ref | Const, ...]
    blocks: tuple[int, ...]


Crossing = tuple[list[jax.Array], list[jax.Array]]  # values without a derivative, and with one


class Flow(NamedTuple):
    """What depends on what: operations that data reach, values that both reach, and last uses."""

    reached: frozenset[int]  # operations
    active: frozenset[int]  # values
    last: dict[int, int]  # value -> last operation that takes it; beyond all for outputs
    made: dict[int, int]  # value that data reach -> operation that makes it, -1 for the data


def flow(graph: Graph, leaves: int, samples: int) -> Flow:
    """Follow the first `leaves` inputs, parameters, and the next `samples`, data."""
    made = {r.id: -1 for r in graph.inputs[leaves : leaves + samples]}
    params, active = {r.id for r in graph.inputs[:leaves]}, set[int]()
    reached, last = set[int](), dict[int, int]()
    for number, op in enumerate(graph.ops):
        refs = {a.id for a in op.inputs if isinstance(a, Ref)}
        last.update(dict.fromkeys(refs, number))
        outputs = {r.id for r in op.outputs}
        if refs & made.keys():
            reached.add(number)
            made.update(dict.fromkeys(outputs, number))
            if refs & (params | active):
                active |= outputs
        elif refs & params:
            params |= outputs
    last.update({a.id: len(graph.ops) for a in graph.outputs if isinstance(a, Ref)})
    return Flow(frozenset(reached), frozenset(active), last, made)


def whole(graph: Graph, blocks: list[Block]) -> Stage:
    """The network as one stage."""
    return Stage(0, len(graph.ops), (), (), tuple(graph.outputs), tuple(range(len(blocks))))


def cut(graph: Graph, blocks: list[Block], follows: Flow, numbers: int) -> list[Stage]:
    """Stages with about `numbers` numbers per sample and output in the cotangents of their blocks.

    No block is cut, so a stage may hold more. Cuts are made where little crosses, and after the
    operation that a parameter enters if they can be: what it gives is then not needed twice.
    """
    spans = [_span(graph, block, follows) for block in blocks]
    entire = sum(block.sizes[1] * block.sizes[3] for block in blocks)
    if entire < 1.5 * numbers or any(
        isinstance(a, Const) or a.id not in follows.active for a in graph.outputs
    ):
        return [whole(graph, blocks)]
    ends = {site.op + 1 for block in blocks for site in block.sites}
    free = [
        c
        for c in range(1, len(graph.ops))
        if c - 1 in follows.reached and not any(a < c <= b for a, b in spans)
    ]
    crossing = {c: _crossing(graph, follows, c) for c in free}
    weight = {
        c: sum(math.prod(graph.shapes[i].shape) for i in crossing[c][1]) - 0.5 * (c in ends)
        for c in free
    }
    cuts, stop = [], len(graph.ops)

    def held(c: int) -> int:
        return sum(
            b.sizes[1] * b.sizes[3]
            for b, (a, _) in zip(blocks, spans, strict=True)
            if c <= a < stop
        )

    while True:
        allowed = [c for c in free if c < stop and max(1, numbers) <= held(c) < held(0)]
        least = held(max(allowed)) if allowed else 0
        near = [c for c in allowed if held(c) <= 1.5 * least]
        if not near or held(0) < held(min(near)) + numbers / 2:
            break
        stop = min(near, key=lambda c: (weight[c], -c))
        cuts.append(stop)
    return _stages(graph, blocks, spans, crossing, sorted(cuts))


def _stages(
    graph: Graph, blocks: list[Block], spans: list, crossing: dict, cuts: list[int]
) -> list[Stage]:
    edges, stages = [0, *cuts, len(graph.ops)], []
    for start, stop in itertools.pairwise(edges):
        kept, enter = crossing[start] if start else ((), ())
        leave = tuple(map(Ref, crossing[stop][1])) if stop in crossing else tuple(graph.outputs)
        inside = tuple(i for i, (a, _) in enumerate(spans) if start <= a < stop)
        stages.append(Stage(start, stop, kept, enter, leave, inside))
    return stages


def _span(graph: Graph, block: Block, follows: Flow) -> tuple[int, int]:
    """First and last operation in which a block's parameters meet data."""
    if block.sites:
        places = [site.op for site in block.sites]
        return min(places), max(places)
    pure, places = {graph.inputs[block.leaf].id}, []  # functions of the leaf that no data reach
    for number, op in enumerate(graph.ops):
        if pure & {a.id for a in op.inputs if isinstance(a, Ref)}:
            if number in follows.reached:
                places.append(number)
            else:
                pure |= {r.id for r in op.outputs}
    return (min(places), max(places)) if places else (0, 0)


def _crossing(graph: Graph, follows: Flow, c: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Values from before operation c that are used from there on.

    Those without a derivative come first, then those with one.
    """
    live = [i for i, maker in follows.made.items() if 0 <= maker < c <= follows.last.get(i, -1)]
    smooth = [
        i in follows.active and jnp.issubdtype(graph.shapes[i].dtype, jnp.inexact) for i in live
    ]
    pairs = list(zip(live, smooth, strict=True))
    return tuple(i for i, s in pairs if not s), tuple(i for i, s in pairs if s)


def operations(graph: Graph, follows: Flow, stage: Stage) -> Iterator[tuple[int, Op]]:
    """Those of a stage, and those before it that no data reach."""
    for number, op in enumerate(graph.ops[: stage.stop]):
        if number >= stage.start or number not in follows.reached:
            yield number, op


def forward(
    graph: Graph,
    stages: Sequence[Stage],
    inputs: list[Any],
    apply: Callable[..., list[Any]] = Op.__call__,
) -> list[Crossing]:
    """The values that enter every stage; `apply` takes an operation and its inputs."""
    env = dict(zip((r.id for r in graph.inputs), inputs, strict=True))
    for op in graph.ops[: stages[-1].start]:
        env.update(
            zip(
                (r.id for r in op.outputs),
                apply(op, *(read(env, a) for a in op.inputs)),
                strict=True,
            )
        )
    return [([env[i] for i in stage.kept], [env[i] for i in stage.enter]) for stage in stages]
