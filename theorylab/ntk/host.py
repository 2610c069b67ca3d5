"""Kernels on a CPU: derivatives by XLA, the products of gradients by BLAS.

On CPUs XLA forms batches of small products at half of BLAS's rate, writes every gradient to fresh
memory, and has no symmetric product. Here the gradients of a block are formed a few columns at a
time in memory that stays in cache, and multiplied from there (`syrk` on the diagonal: half of the
work). Nothing of the size of the Jacobian ever exists, unless the kernel takes several tiles and
the memory holds their gradients: then they are formed once and kept.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from theorylab.ntk.engine import Engine, Layout, even, lengths, made, tree_bytes
from theorylab.ntk.features import Analysis, split, stage_features
from theorylab.ntk.gradients import PIECE, Factors, Products, Where, scratch_bytes
from theorylab.ntk.plan import Plan, Reduce, choose
from theorylab.ntk.stages import Crossing, cut, forward
from theorylab.ntk.workers import Scratch, memory, release, share

_WHOLE = 1024  # samples at most that make one tile
_STAGE = 1 << 26  # bytes of cotangents that exist at once, about
_LARGE = 1 << 23  # bytes of cotangents from which freed memory is given back at once
# samples, samples x outputs of a backward pass: with many positions, with one
_PASS = (64, 160), (4096, 4096)


@dataclasses.dataclass(frozen=True)
class _Tile:
    """The stages of a tile, made one by one whenever they are asked for."""

    make: Callable[[], Iterator[list[Any]]]

    def __iter__(self) -> Iterator[list[Any]]:
        return self.make()


class HostEngine(Engine):
    """What `Engine` offers, on one CPU.

    A tile is a list of stages, or makes them one by one. A stage is a list of `Factors`, gradients
    (n, q, p), and pairs of what XLA contracts.
    """

    def features(
        self, params: PyTree, x: PyTree, seeds: np.ndarray, plan: Plan
    ) -> Iterable[list[Any]]:
        """The stages of a tile: made at once where the plan keeps them, else when asked for."""
        tile = _Tile(lambda: self._run(params, x, seeds, plan))
        return list(tile) if plan.held else tile

    def _run(self, params: PyTree, x: PyTree, seeds: np.ndarray, plan: Plan) -> Iterator[list[Any]]:
        """The stages of a tile, last one first, each from all batches of samples."""
        n = jax.tree.leaves(x)[0].shape[0]
        size = self._batch(n, len(seeds), params, x)
        numbers = sum(block.sizes[1] * block.sizes[3] for block in self.analysis(params, x).blocks)
        large = n * len(seeds) * numbers * seeds.itemsize > _LARGE
        batches = [jax.tree.map(lambda leaf, i=i: leaf[i : i + size], x) for i in range(0, n, size)]
        crossing = [
            self._compile(self._forward, plan, params, batch)(params, batch) for batch in batches
        ]
        cotangents, scratch = [[jnp.asarray(seeds)] for _ in batches], memory()
        for number in reversed(range(len(plan.stages))):
            late = [
                Factors(n, columns, plan.held) for columns in self._columns(params, x, plan, number)
            ]
            rest = []
            for i, batch in enumerate(batches):
                args = params, batch, crossing[i].pop(), cotangents[i]
                blocks, cotangents[i] = jax.block_until_ready(
                    self._compile(self._stage, (plan, number), *args)(*args)
                )
                del args
                rest.append(_collect(blocks, late, scratch))
                del blocks
            joined = (
                rest[0]
                if len(rest) == 1
                else jax.tree.map(lambda *parts: jnp.concatenate(parts), *rest)
            )
            del rest
            yield [*late, *(np.asarray(block[0]) if len(block) == 1 else block for block in joined)]
            del late, joined
            if large:
                release()

    def _forward(self, plan: Plan, params: PyTree, x: PyTree) -> list[Crossing]:
        """What enters every stage."""
        analysis, (weights, fixed, _) = self.analysis(params, x), split(params)
        one = lambda sample: forward(analysis.graph, plan.stages, [*weights, *sample, *fixed])  # noqa: E731
        return jax.vmap(one)(jax.tree.leaves(x))

    def _stage(
        self,
        static: tuple[Plan, int],
        params: PyTree,
        x: PyTree,
        entering: Crossing,
        cotangents: list[Array],
    ) -> tuple[list[tuple[Array, ...]], list[Array]]:
        """Features of one stage, and the cotangents of what enters it."""
        (plan, number), analysis, (weights, fixed, _) = (
            static,
            self.analysis(params, x),
            split(params),
        )

        def one(sample: list[Array], entering: Crossing, cotangents: list[Array]) -> Any:
            stage = plan.stages[number]
            return stage_features(
                analysis, plan, stage, weights, fixed, sample, entering, cotangents
            )

        last = number == len(plan.stages) - 1  # all samples start from the same seeds
        return jax.vmap(one, (0, 0, None if last else 0))(jax.tree.leaves(x), entering, cotangents)

    def contract(
        self, left: Iterable[list[Any]], right: Iterable[list[Any]]
    ) -> Float[np.ndarray, "n m ..."]:
        """The kernel (n, m, ...) of two tiles, stage by stage."""
        symmetric, scratch = left is right, memory()
        first, second = iter(left), iter(right)
        total: Products | None = None
        by_xla: Any = None
        while (u := next(first, None)) is not None:
            v = u if symmetric else next(second)
            grams = [pair for pair in zip(u, v, strict=True) if isinstance(pair[0], tuple)]
            products = [pair for pair in zip(u, v, strict=True) if not isinstance(pair[0], tuple)]
            if grams:
                block = self._grams([g for g, _ in grams], [h for _, h in grams], symmetric)
                by_xla = block if by_xla is None else by_xla + block
            if products:
                total = total or _products(self.reduce, symmetric, *products[0])
                share([unit for pair in products for unit in total.of(*pair)], scratch)
            del u, v, grams, products  # before the next stage is made
        if total is None:
            return by_xla
        return total.result() if by_xla is None else by_xla + total.result()

    def _grams(
        self, left: list[Any], right: list[Any], symmetric: bool
    ) -> Float[np.ndarray, "n m ..."]:
        """What XLA contracts, part by part; of a symmetric tile from the diagonal on."""
        n = len(left[0][0])
        parts = _parts(n)
        cuts = [slice(i, i + n // parts) for i in range(0, n, n // parts)]
        rows, columns = (
            [jax.tree.map(lambda a, cut=cut: a[cut], tile) for cut in cuts]
            for tile in (left, right)
        )
        whole: Any = None
        for i, j in itertools.product(range(parts), repeat=2):
            if symmetric and j < i:
                continue
            block = np.asarray(super().contract(rows[i], columns[j]))
            whole = np.empty((n, n, *block.shape[2:]), block.dtype) if whole is None else whole
            whole[cuts[i], cuts[j]] = block
            if symmetric:
                whole[cuts[j], cuts[i]] = block.transpose(1, 0, *range(block.ndim - 1, 1, -1))
        return whole

    def _best(self, params: PyTree, x1: PyTree, x2: PyTree | None, budget: float) -> Layout:
        """The layout with the fewest derivatives.

        It has small tiles that are held, or large ones, at best one, whose stages come and go.
        """
        (n1, n2), symmetric, found = lengths(x1, x2), x2 is None, []
        # a shorter side is padded to the longer
        for held in (False, True) if n1 == n2 <= _WHOLE else (True, False):
            tile = self._first_tile(n1, n2, symmetric) if held else even(max(n1, n2), _WHOLE)
            layout = self._fitting(params, x1, x2, budget, tile, held)
            over, samples = max(0, layout.bytes - budget), _derived(layout, n1, n2, symmetric)
            found.append((over, samples, layout))
            if not over and samples < n1 + (0 if symmetric else n2) + layout.tile:  # each once
                break
        return min(found, key=lambda one: one[:2])[2]

    def _chosen(
        self, analysis: Analysis, costs: tuple, tile: int, held: bool, budget: float
    ) -> Plan:
        reduce, outputs, n, pairs, itemsize = costs
        # one symmetric tile, of whose parts those below the diagonal are left out
        if pairs == n * n:
            pairs *= 0.5 + 0.5 / _parts(n)
        plan = choose(analysis.blocks, reduce, outputs, n, pairs, itemsize, cached=True)
        late = [
            block.sites
            and block.sizes[0] == 1
            and block.kind != "embedding"
            and (not gram or block.sizes[1] == 1)
            for block, gram in zip(analysis.blocks, plan.grams, strict=True)
        ]
        chosen = frozenset(i for i, handed in enumerate(late) if handed)
        rows = tile * (1 if reduce == "sum_logits" else outputs)
        # else what crosses between stages, of two large tiles, outweighs the stages
        once = held or n <= 2 * tile
        stage = _STAGE if once else max(_STAGE, int(budget / 20))
        stages = cut(analysis.graph, analysis.blocks, analysis.flow, stage // (rows * itemsize))
        return dataclasses.replace(plan, late=chosen, held=held, host=True, stages=tuple(stages))

    def _batch(self, samples: int, outputs: int, params: PyTree, x: PyTree) -> int:
        """Samples of one backward pass: even shares of the tile."""
        most, rows = _PASS[all(block.sizes[1] <= 1 for block in self.analysis(params, x).blocks)]
        return math.ceil(
            samples / max(1, math.ceil(samples / most), math.ceil(samples * outputs / rows))
        )

    def _columns(
        self, params: PyTree, x: PyTree, plan: Plan, stage: int
    ) -> list[list[Where | None]]:
        """Of every late block of a stage: the slices of its data that are its columns.

        None stands for a column of ones.
        """
        blocks = [
            self.analysis(params, x).blocks[i] for i in plan.stages[stage].blocks if i in plan.late
        ]
        whole: list[Where | None] = [(slice(None), slice(None))]
        ones = [[None] * (block.bias is not None) for block in blocks]
        return [
            whole if block.windows is None else [*block.windows.slices, *one]
            for block, one in zip(blocks, ones, strict=True)
        ]

    def _compile(self, function: Callable, static: Any, *args: Any) -> Any:
        known, compiled = len(self._compiled), super()._compile(function, static, *args)
        if len(self._compiled) > known:
            release()  # what compiling took
        return compiled

    def _memory(self, params: PyTree, x: PyTree, layout: Layout) -> tuple[int, int]:
        analysis, plan = self.analysis(params, x), layout.plan
        size = self._batch(layout.tile, layout.chunk, params, x)
        batch = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct((size, *leaf.shape[1:]), leaf.dtype), x
        )
        batches, result = layout.tile / size, layout.tile**2 * analysis.dtype.itemsize
        result *= {"full": layout.chunk**2, "diagonal": layout.chunk}.get(self.reduce, 1)
        crossing = self._compile(self._forward, plan, params, batch)
        waiting = batches * tree_bytes((batch, crossing.out_info))
        cotangents: list[Any] = [layout.seeds(0, self.reduce, analysis.dtype)]
        passing = crossing.memory_analysis().temp_size_in_bytes
        held, passes, contracting, rows = [], [passing], 0.0, len(cotangents[0])
        for number in reversed(range(len(plan.stages))):
            args = params, batch, crossing.out_info[number], cotangents
            compiled = self._compile(self._stage, (plan, number), *args)
            (blocks, before), arriving = compiled.out_info, batches * tree_bytes(cotangents)
            cotangents = list(before)
            rest, piece = [block for block in blocks if not _is_late(block)], 0
            kept = batches * tree_bytes(rest)
            inside = [i for i in plan.stages[number].blocks if i in plan.late]
            for i, (a, d) in zip(inside, filter(_is_late, blocks), strict=True):
                _, s, c, f = analysis.blocks[i].sizes
                column, formed = layout.tile * rows * f * d.dtype.itemsize, plan.held and s > 1
                kept += c * column if formed else batches * tree_bytes((a, d))
                piece = max(piece, 0 if formed or s == 1 else min(c * column, max(PIECE, column)))
            contracting = max(contracting, scratch_bytes(piece, result))
            grams = [block for block in rest if len(block) == 2]
            if grams:
                part = layout.tile // _parts(layout.tile)
                shapes = jax.tree.map(
                    lambda a, n=part: jax.ShapeDtypeStruct((n, *a.shape[1:]), a.dtype), grams
                )
                by_xla = (
                    self._compile(self._contract, None, shapes, shapes)
                    .memory_analysis()
                    .temp_size_in_bytes
                )
                contracting = max(contracting, by_xla + 2 * result)
            held.append(kept if plan.held else kept + batches * tree_bytes(before))
            passes.append(
                compiled.memory_analysis().temp_size_in_bytes
                + tree_bytes((blocks, before))
                + arriving
            )
        if plan.held:
            return int(sum(held)), int(waiting + max(*passes, contracting))
        return int(waiting + max(held)), int(max(*passes, contracting))


def _collect(blocks: list[tuple], late: list[Factors], scratch: list[Scratch]) -> list[tuple]:
    """Hand the late blocks of a batch on; what is left."""
    for factors, (a, d) in zip(late, filter(_is_late, blocks), strict=True):
        factors.append(np.asarray(a), np.asarray(d), scratch)
    return [block for block in blocks if not _is_late(block)]


def _products(reduce: Reduce, symmetric: bool, g: Any, h: Any) -> Products:
    """An empty sum for blocks like these two."""
    return Products(reduce, symmetric, (len(g), len(h), g.shape[1]), g.dtype)


def _derived(layout: Layout, n1: int, n2: int, symmetric: bool) -> int:
    """Samples of which derivatives are taken, repeated ones counted again, as `tiles.fill` goes."""
    if not layout.plan.held:
        return made(n1, n2, layout.tile, symmetric)
    rows, columns, panel = (
        math.ceil(n1 / layout.tile),
        math.ceil(n2 / layout.tile),
        layout.resident - 1,
    )
    starts = range(0, rows, panel)
    return layout.tile * (
        sum(rows - start for start in starts) if symmetric else rows + len(starts) * columns
    )


def _parts(samples: int) -> int:
    """In how many parts a side a symmetric tile is cut."""
    return next(
        parts
        for parts in (4, 2, 1)
        if samples % parts == 0 and (parts == 1 or samples >= 4 * parts)
    )


def _is_late(block: tuple) -> bool:
    """Data and cotangents for this module; those for XLA's products have an axis more."""
    return len(block) == 2 and block[1].ndim == 4
