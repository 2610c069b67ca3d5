"""Kernels on a CPU: derivatives by XLA, the products of gradients by BLAS.

On CPUs XLA forms batches of small products at half of BLAS's rate, writes every gradient to fresh
memory, and has no symmetric product. Here the gradients of a block are formed a few columns at a
time in memory that stays in cache, and multiplied from there (`syrk` on the diagonal: half of the
work). Nothing of the size of the Jacobian ever exists, unless the kernel takes several tiles and
the memory holds their gradients: then they are formed once and kept.

What a layout takes here is counted in `host_account`.
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

from theorylab.ntk import strides
from theorylab.ntk.analysis import Analysis, split
from theorylab.ntk.contract import contract
from theorylab.ntk.engine import Engine
from theorylab.ntk.features import Feature, stage_features
from theorylab.ntk.gradients import Factors, Where
from theorylab.ntk.host_account import StageAccount, TileAccount
from theorylab.ntk.layout import Account, Layout, Task, even, first_tile, samples_like, tree_bytes
from theorylab.ntk.paired import Paired
from theorylab.ntk.plan import Plan, Reduce, Work, choose, gradient_cost, gram_cost, paired_cost
from theorylab.ntk.sites import Block
from theorylab.ntk.stages import Crossing, cut, forward
from theorylab.ntk.sums import Products
from theorylab.ntk.workers import Scratch, memory, release, share
from theorylab.ntk.xla import XlaEngine

_WHOLE = 1024  # samples at most that make one tile
_STAGE = 1 << 26  # bytes of cotangents that exist at once, about
_LARGE = 1 << 23  # bytes of cotangents from which freed memory is given back at once
# samples, samples x outputs of a backward pass: with many positions, with one
_PASS = (64, 160), (4096, 4096)

# the rate of products pair by pair of samples, against that of large ones
_PAIRS = 0.6

# Of a block, on the host: factors, gradients (n, q, p), or a pair for XLA to contract
HostFeature = Factors | Paired | np.ndarray | Feature


@dataclasses.dataclass(frozen=True)
class _Tile:
    """The stages of a tile, made one by one whenever they are asked for."""

    make: Callable[[], Iterator[list[HostFeature]]]

    def __iter__(self) -> Iterator[list[HostFeature]]:
        return self.make()


class HostEngine(Engine):
    """What `Engine` offers, on one CPU.

    A tile is a list of stages, or makes them one by one, the last one first. A stage is a list of
    the features of its blocks.
    """

    # Plan and layout
    # ---------------------------------------------------------------------------

    def _search(self, params: PyTree, x: PyTree, task: Task, budget: float) -> Layout:
        """The layout with the fewest derivatives.

        It has small tiles that are held, or large ones, at best one, whose stages come and go.
        """
        once = task.rows + (0 if task.symmetric else task.columns)
        # a shorter side is padded to the longer
        one_tile = task.rows == task.columns <= _WHOLE
        found = []
        for held in (False, True) if one_tile else (True, False):
            tile = first_tile(task) if held else even(max(task.rows, task.columns), _WHOLE)
            layout = self._fit(params, x, task, budget, tile, held=held)
            over, samples = max(0, layout.bytes - budget), layout.derived(task)
            found.append((over, samples, layout))
            if not over and samples < once + layout.tile:  # each once
                break
        return min(found, key=lambda one: one[:2])[2]

    def _plan(self, analysis: Analysis, work: Work, tile: int, held: bool, budget: float) -> Plan:
        # one symmetric tile, of whose parts those below the diagonal are left out
        if work.pairs == work.samples * work.samples:
            work = work._replace(pairs=work.pairs * (0.5 + 0.5 / parts(work.samples)))
        plan = choose(analysis.blocks, *work, cached=True)
        paired = frozenset(
            number for number, block in enumerate(analysis.blocks) if _pays_by_pairs(block, work)
        )
        late = frozenset(
            number
            for number, (block, gram) in enumerate(zip(analysis.blocks, plan.grams, strict=True))
            if block.multiplied and (number in paired or not gram or block.sizes[1] == 1)
        )
        rows = tile * (1 if self.reduce == "sum_logits" else work.outputs)
        # else what crosses between stages, of two large tiles, outweighs the stages
        once = held or work.samples <= 2 * tile
        stage = _STAGE if once else max(_STAGE, int(budget / 20))
        numbers = stage // (rows * work.itemsize)
        stages = cut(analysis.graph, analysis.blocks, analysis.flow, numbers)
        return dataclasses.replace(
            plan, late=late, held=held, host=True, paired=paired, stages=tuple(stages)
        )

    def _account(self, params: PyTree, x: PyTree, layout: Layout) -> Account:
        analysis, plan = self.analysis(params, x), layout.plan
        size = self._batch(layout.tile, layout.chunk, params, x)
        batch = samples_like(x, size)
        crossing = self._compile(self._forward, plan, params, batch)
        tile = TileAccount(
            layout,
            self.reduce,
            analysis.dtype.itemsize,
            size,
            tree_bytes((batch, crossing.out_info)),
        )
        stages, passing = [], crossing.memory_analysis().temp_size_in_bytes
        cotangents: list[Any] = [layout.seeds(0, self.reduce, analysis.dtype)]
        for number in reversed(range(len(plan.stages))):
            args = params, batch, crossing.out_info[number], cotangents
            compiled = self._compile(self._stage, (plan, number), *args)
            blocks, before = compiled.out_info
            account = StageAccount(
                arriving=tree_bytes(cotangents),
                given=tree_bytes((blocks, before)),
                leaving=tree_bytes(before),
                scratch=compiled.memory_analysis().temp_size_in_bytes,
            )
            inside = [i for i in plan.stages[number].blocks if i in plan.late]
            for i, (a, d) in zip(inside, filter(is_late, blocks), strict=True):
                add = account.add_paired if i in plan.paired else account.add_late
                add(tile, analysis.blocks[i], tree_bytes((a, d)), d.dtype.itemsize)
            rest = [block for block in blocks if not is_late(block)]
            account.add_others(tile, tree_bytes(rest))
            grams = [block for block in rest if len(block) == 2]
            if grams:
                shapes = samples_like(grams, layout.tile // parts(layout.tile))
                by_xla = self._compile(self._contract, None, shapes, shapes)
                account.add_grams(tile, by_xla.memory_analysis().temp_size_in_bytes)
            stages.append(account)
            cotangents = list(before)
        return tile.total(stages, passing)

    def _batch(self, samples: int, outputs: int, params: PyTree, x: PyTree) -> int:
        """Samples of one backward pass: even shares of the tile."""
        most, rows = _PASS[all(block.sizes[1] <= 1 for block in self.analysis(params, x).blocks)]
        passes = max(1, math.ceil(samples / most), math.ceil(samples * outputs / rows))
        return math.ceil(samples / passes)

    # Features: stages of a tile, batch by batch
    # ---------------------------------------------------------------------------

    def features(
        self, params: PyTree, x: PyTree, seeds: np.ndarray, plan: Plan
    ) -> Iterable[list[HostFeature]]:
        """The stages of a tile: made at once where the plan keeps them, else when asked for."""
        tile = _Tile(lambda: self._stages(params, x, seeds, plan))
        return list(tile) if plan.held else tile

    def _stages(
        self, params: PyTree, x: PyTree, seeds: np.ndarray, plan: Plan
    ) -> Iterator[list[HostFeature]]:
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
            late = self._late(params, x, plan, number, n)
            rest = []
            for i, batch in enumerate(batches):
                args = params, batch, crossing[i].pop(), cotangents[i]
                blocks, cotangents[i] = jax.block_until_ready(
                    self._compile(self._stage, (plan, number), *args)(*args)
                )
                del args
                rest.append(_collect(blocks, late, scratch))
                del blocks
            joined = _joined(rest)
            del rest
            yield [*late, *(np.asarray(block[0]) if len(block) == 1 else block for block in joined)]
            del late, joined
            if large:
                release()

    def _forward(self, plan: Plan, params: PyTree, x: PyTree) -> list[Crossing]:
        """What enters every stage."""
        analysis, (weights, fixed, _) = self.analysis(params, x), split(params)

        def one(sample: list[Array]) -> list[Crossing]:
            inputs = [*weights, *sample, *fixed]
            return forward(analysis.graph, plan.stages, inputs, strides.apply)

        return jax.vmap(one)(jax.tree.leaves(x))

    def _stage(
        self,
        static: tuple[Plan, int],
        params: PyTree,
        x: PyTree,
        entering: Crossing,
        cotangents: list[Array],
    ) -> tuple[list[Feature], list[Array]]:
        """Features of one stage, and the cotangents of what enters it."""
        (plan, number), (weights, fixed, _) = static, split(params)
        analysis, stage = self.analysis(params, x), plan.stages[number]

        def one(sample: list[Array], entering: Crossing, cotangents: list[Array]) -> Any:
            return stage_features(
                analysis, plan, stage, weights, fixed, sample, entering, cotangents
            )

        last = number == len(plan.stages) - 1  # all samples start from the same seeds
        return jax.vmap(one, (0, 0, None if last else 0))(jax.tree.leaves(x), entering, cotangents)

    def _late(
        self, params: PyTree, x: PyTree, plan: Plan, stage: int, samples: int
    ) -> list[Factors | Paired]:
        """The late blocks of a stage, with no samples yet."""
        found: list[Factors | Paired] = []
        for number in plan.stages[stage].blocks:
            block = self.analysis(params, x).blocks[number]
            if number not in plan.late:
                continue
            # the slices of the data that are the columns; None stands for a column of ones
            columns: list[Where | None] = [(slice(None), slice(None))]
            if block.windows is not None:
                columns = [*block.windows.slices, *[None] * (block.bias is not None)]
            if number in plan.paired:
                found.append(Paired(samples, columns, block.sizes[0]))
            else:
                found.append(Factors(samples, columns, plan.held, block.sizes[0]))
        return found

    # Contraction: products by BLAS, Grams by XLA
    # ---------------------------------------------------------------------------

    def contract(
        self, left: Iterable[list[HostFeature]], right: Iterable[list[HostFeature]]
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
        count = parts(n)
        cuts = [slice(i, i + n // count) for i in range(0, n, n // count)]
        rows, columns = (
            [jax.tree.map(lambda a, cut=cut: a[cut], tile) for cut in cuts]
            for tile in (left, right)
        )
        whole: Any = None
        for i, j in itertools.product(range(count), repeat=2):
            if symmetric and j < i:
                continue
            pair = rows[i], columns[j]
            block = np.asarray(self._compile(self._contract, None, *pair)(*pair))
            whole = np.empty((n, n, *block.shape[2:]), block.dtype) if whole is None else whole
            whole[cuts[i], cuts[j]] = block
            if symmetric:
                whole[cuts[j], cuts[i]] = block.transpose(1, 0, *range(block.ndim - 1, 1, -1))
        return whole

    def _contract(
        self, _plan: None, left: list[Feature], right: list[Feature]
    ) -> Float[Array, "n m ..."]:
        return contract(left, right, self.reduce)

    def traced(self, params: PyTree, x1: PyTree, x2: PyTree | None) -> Array:
        """The kernel in one piece, by XLA alone, for use inside the caller's transformations."""
        return XlaEngine(self.f, self.reduce, self.structured).traced(params, x1, x2)

    def _compile(self, function: Callable, static: Any, *args: Any) -> Any:
        known, compiled = len(self._compiled), super()._compile(function, static, *args)
        if len(self._compiled) > known:
            release()  # what compiling took
        return compiled


def _collect(
    blocks: list[Feature], late: list[Factors | Paired], scratch: list[Scratch]
) -> list[Feature]:
    """Hand the late blocks of a batch on; what is left."""
    for factors, (a, d) in zip(late, filter(is_late, blocks), strict=True):
        factors.append(np.asarray(a), np.asarray(d), scratch)
    return [block for block in blocks if not is_late(block)]


def _joined(rest: list[list[Feature]]) -> list[Feature]:
    """The features of all batches as those of a tile."""
    if len(rest) == 1:
        return rest[0]
    return jax.tree.map(lambda *batches: jnp.concatenate(batches), *rest)


def _pays_by_pairs(block: Block, work: Work) -> bool:
    """Whether a block is contracted faster pair by pair of samples than in the two other orders."""
    if work.reduce != "full" or not block.multiplied or block.sizes[1] == 1:
        return False
    others = min(gradient_cost(block, *work).flop, gram_cost(block, *work).total)
    return paired_cost(block, *work).flop < _PAIRS * others


def _products(reduce: Reduce, symmetric: bool, g: Any, h: Any) -> Products:
    """An empty sum for blocks like these two."""
    return Products(reduce, symmetric, (len(g), len(h), g.shape[1]), g.dtype)


def parts(samples: int) -> int:
    """In how many parts a side a symmetric tile is cut."""
    return next(
        count
        for count in (4, 2, 1)
        if samples % count == 0 and (count == 1 or samples >= 4 * count)
    )


def is_late(block: Feature) -> bool:
    """Data and cotangents for BLAS; those for XLA's products have an axis more."""
    return len(block) == 2 and block[1].ndim == 4
