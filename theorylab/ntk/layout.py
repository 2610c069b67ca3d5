"""Layout: how a kernel is cut into tiles of samples and chunks of outputs, to fit the memory.

`fit` shrinks tiles until they fit the budget, and then holds as many as it has room for. It knows
no engine: an engine hands over a `plan`, the orders of contraction for a tile, and an `account`,
the bytes that a layout takes.
"""

import dataclasses
import math
import os
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, PyTree

from theorylab.ntk.plan import Plan, Reduce, Work

TILE = 256  # samples per tile at most: products of this size run at full speed
# of the budget is planned; the rest is for the scratch of convolutions and products, in no account
SHARE = 0.7
# a symmetric kernel: tiles on each side, where each keeps at least the second number of samples
_TRIANGLE = 4, 64


class Account(NamedTuple):
    """Bytes of working memory for one layout."""

    tile: float  # the features of one tile
    extra: float  # all that is needed once, whatever the number of tiles


@dataclasses.dataclass(frozen=True)
class Task:
    """The kernel that is to be cut."""

    reduce: Reduce
    outputs: int
    itemsize: int  # bytes of a number
    rows: int  # samples
    columns: int
    symmetric: bool
    devices: int = 1

    def tiles(self, tile: int) -> tuple[int, int]:
        """How many lie along the rows and along the columns."""
        return math.ceil(self.rows / tile), math.ceil(self.columns / tile)

    def work(self, tile: int, held: bool) -> Work:
        """What the orders of contraction are compared for with tiles of this size."""
        pairs: float = self.rows * self.columns
        if self.symmetric:
            pairs = self.rows * self.columns / 2 + self.rows * tile / 2
        once = self.rows + (0 if self.symmetric else self.columns)
        samples = once if held else self.samples_of_pairs(tile)
        return Work(self.reduce, self.outputs, samples, pairs, self.itemsize)

    def samples_of_pairs(self, tile: int) -> int:
        """Samples of all pairs of tiles, those of a tile counted for each pair."""
        rows, columns = self.tiles(tile)
        return tile * (rows**2 if self.symmetric else 2 * rows * columns)


@dataclasses.dataclass(frozen=True)
class Layout:
    """How a kernel is cut: samples per tile, outputs per chunk, tiles of features held at once."""

    tile: int
    chunk: int
    outputs: int
    resident: int
    plan: Plan
    bytes: int  # estimate of the working memory
    work: Work | None = None  # what the plan was chosen for

    def passes(self, reduce: Reduce) -> list[tuple[int, int]]:
        """The pairs of output chunks that each tile of the kernel takes, by their first outputs."""
        starts = range(0, 1 if reduce == "sum_logits" else self.outputs, self.chunk)
        return [(q, r) for q in starts for r in starts if reduce == "full" or q == r]

    def seeds(self, start: int, reduce: Reduce, dtype: Any) -> Float[np.ndarray, "q o"]:
        """The cotangents of the outputs of one chunk.

        They are one-hot rows, zero rows beyond the last output, or one even row for the sum.
        """
        if reduce == "sum_logits":
            return np.full((1, self.outputs), 1 / math.sqrt(self.outputs), dtype)
        return np.eye(self.chunk, self.outputs, start, dtype)

    def derived(self, task: Task) -> int:
        """Samples of which derivatives are taken, repeated ones counted again, as `fill` goes."""
        if not self.plan.held:
            return task.samples_of_pairs(self.tile)
        rows, columns = task.tiles(self.tile)
        panels = range(0, rows, self.resident - 1)
        if task.symmetric:
            return self.tile * sum(rows - start for start in panels)
        return self.tile * (rows + len(panels) * columns)


Plans = Callable[[Work, int], Plan]  # of the work and the samples of a tile
Accounts = Callable[[Layout], Account]


def fit(
    task: Task, budget: float, tile: int, plan: Plans, account: Accounts, *, held: bool = True
) -> Layout:
    """The largest tiles within the budget, from `tile` samples down.

    Beyond the budget where even a pair of samples is.

    `held`: the features of tiles stay for the tiles they meet next, else they are made for every
    pair of tiles.
    """
    tile = math.ceil(tile / task.devices) * task.devices
    chunk = 1 if task.reduce == "sum_logits" else task.outputs
    while True:
        work = task.work(tile, held)
        layout = Layout(tile, chunk, task.outputs, 2, plan(work, tile), 0, work)
        needs = account(layout)
        alone = task.symmetric and tile >= task.rows
        least = needs.tile * (1 if alone else 2) + needs.extra
        if least <= budget or (tile == task.devices and chunk == 1):
            return _filled(task, layout, needs, least, budget, held)
        tile, chunk = _smaller(task, tile, chunk, _shrink(budget, least, needs.extra))


def _shrink(budget: float, least: float, extra: float) -> float:
    """The factor by which a layout of `least` bytes shrinks; more would come closer in one step."""
    ratio = (budget - extra) / (least - extra) if budget > extra else budget / least
    return 0.95 * ratio**0.7


def _smaller(task: Task, tile: int, chunk: int, shrink: float) -> tuple[int, int]:
    """Fewer samples per tile, in even shares; below one sample for each device, fewer outputs."""
    devices = task.devices
    if tile == devices:
        return tile, max(1, min(chunk - 1, int(chunk * shrink)))
    most = max(1, min(tile - devices, int(tile * shrink)))
    shares = even(max(task.rows, task.columns), most)
    return max(1, shares // devices) * devices, chunk


def _filled(
    task: Task, layout: Layout, account: Account, least: float, budget: float, held: bool
) -> Layout:
    """The layout with as many tiles held as the rest of the budget has room for."""
    rows, columns = task.tiles(layout.tile)
    tiles, resident = rows + columns, 2
    if held:
        resident = max(2, min(int((budget - account.extra) // account.tile), tiles))
    used = min(resident, rows if task.symmetric else tiles)
    planned = int(max(least, used * account.tile + account.extra))
    return dataclasses.replace(layout, resident=resident, bytes=planned)


def first_tile(task: Task) -> int:
    """Samples of a tile to begin with, where tiles are held."""
    parts = min(_TRIANGLE[0], max(1, task.rows // _TRIANGLE[1])) if task.symmetric else 1
    return min(TILE, math.ceil(max(task.rows, task.columns) / parts))


def even(samples: int, tile: int) -> int:
    """Samples of a tile, at most about `tile`: even shares, large ones multiples of eight."""
    share = math.ceil(samples / math.ceil(samples / tile))
    return share if share < 64 else min(tile, math.ceil(share / 8) * 8)


def tree_bytes(tree: PyTree) -> int:
    """Bytes of all arrays of a tree."""
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def samples_like(x: PyTree, samples: int) -> PyTree:
    """Shapes and types of this many samples like those of `x`."""
    return jax.tree.map(lambda a: jax.ShapeDtypeStruct((samples, *a.shape[1:]), a.dtype), x)


def default_budget() -> float:
    """A quarter of the machine's memory, half of an accelerator's."""
    stats = jax.devices()[0].memory_stats() or {}
    if "bytes_limit" in stats:
        return 0.5 * (stats["bytes_limit"] - stats.get("bytes_in_use", 0))
    return 0.25 * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
