"""Fill a kernel tile by tile.

Features are computed once where memory allows, and contracted pair by pair.
"""

import contextlib
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from theorylab.errors import InputError
from theorylab.ntk.engine import Engine
from theorylab.ntk.layout import Layout
from theorylab.ntk.store import KernelStore, Key

Advance = Callable[[int], None]
Place = tuple[int, int]  # of a tile: its first row and its first column


def fill(
    store: KernelStore,
    engine: Engine,
    layout: Layout,
    params: PyTree,
    x1: PyTree,
    x2: PyTree | None,
    progress: bool,
) -> None:
    """Compute every tile that `store` lacks."""
    work = _Fill(store, engine, layout, params, x1, x2)
    passes = layout.passes(engine.reduce)
    with _bar(progress, len(work.places) * len(passes)) as advance:
        for number, chunks in enumerate(passes):
            work.one_pass(number, chunks, advance)


class _Fill:
    """The tiles of one kernel, panel by panel.

    A panel is as many tiles of rows as are held at once; the columns move past it. While one pair
    of tiles is contracted, the block of the pair before it is written.
    """

    def __init__(
        self,
        store: KernelStore,
        engine: Engine,
        layout: Layout,
        params: PyTree,
        x1: PyTree,
        x2: PyTree | None,
    ):
        self.store, self.engine, self.layout = store, engine, layout
        self.params, self.x1, self.x2 = params, x1, x2
        self.dtype = engine.analysis(params, x1).dtype
        self.shape = store.kernel.shape[:2]
        self.rows, self.columns = (range(0, n, layout.tile) for n in self.shape)
        self.places = [(i, j) for i in self.rows for j in self.columns if x2 is not None or i <= j]
        self.pending: deque[tuple[Place, Array]] = deque()

    def one_pass(self, number: int, chunks: tuple[int, int], advance: Advance) -> None:
        """One pair of chunks of outputs of every tile that lacks this pass."""
        todo = {place for place in self.places if self.store.passes(self._key(*place)) <= number}
        advance(len(self.places) - len(todo))

        def settle(left: int) -> None:
            """Write blocks until only `left` wait."""
            while len(self.pending) > left:
                place, block = self.pending.popleft()
                self._write(self._key(*place), np.asarray(block), number, chunks)
                advance(1)

        for start in range(0, len(self.rows), self.layout.resident - 1):
            panel = self.rows[start : start + self.layout.resident - 1]
            self._panel(panel, todo, chunks, settle)
        settle(0)

    def _panel(
        self, panel: range, todo: set[Place], chunks: tuple[int, int], settle: Advance
    ) -> None:
        """The columns past one panel."""
        (q, r), left = chunks, dict[int, Any]()
        shared = self.x2 is None and q == r  # rows and columns have the same features
        for j in self.columns:
            needed = [i for i in panel if (i, j) in todo]
            if not needed:
                continue
            right = None  # what the last column held is free before the next is computed
            settle(0)
            if shared and j in panel:
                left[j] = right = left[j] if j in left else self._features(self.x1, j, q)
            else:
                right = self._features(self.x1 if self.x2 is None else self.x2, j, r)
            for i in needed:
                if i not in left:
                    left[i] = self._features(self.x1, i, q)
                self.pending.append(((i, j), self.engine.contract(left[i], right)))
                settle(1)

    def _features(self, x: PyTree, start: int, output: int) -> Any:
        seeds = self.layout.seeds(output, self.engine.reduce, self.dtype)
        samples = _tile(x, start, self.layout.tile)
        return self.engine.features(self.params, samples, seeds, self.layout.plan)

    def _key(self, i: int, j: int) -> Key:
        (n1, n2), size = self.shape, self.layout.tile
        return i, min(i + size, n1), j, min(j + size, n2)

    def _write(self, key: Key, block: np.ndarray, number: int, chunks: tuple[int, int]) -> None:
        """Trim what pads the last tile and the last chunk, and hand the rest to the store."""
        if not np.isfinite(block).all():
            raise InputError(
                "f: the kernel has non-finite entries; check params, x1 and x2 for NaN, infinities "
                "or overflow"
            )
        layout, reduce = self.layout, self.engine.reduce
        q, r = (slice(c, min(c + layout.chunk, layout.outputs)) for c in chunks)
        block = block[: key[1] - key[0], : key[3] - key[2]]
        if reduce == "full":
            trimmed = block[:, :, : q.stop - q.start, : r.stop - r.start]
            self.store.write(key, trimmed, (q, r), False)
        elif reduce == "diagonal":
            self.store.write(key, block[:, :, : q.stop - q.start], (q,), False)
        else:
            mean = block / layout.outputs if reduce == "trace" else block
            self.store.write(key, mean, (), number > 0)
        self.store.finish(key)


def _tile(x: PyTree, start: int, size: int) -> PyTree:
    """Samples `start` to `start + size`.

    Beyond the end the last one is repeated, so that all tiles have one shape.
    """

    def take(leaf: Array) -> Array:
        rows = leaf[start : start + size]
        missing = size - rows.shape[0]
        return jnp.concatenate([rows, jnp.repeat(rows[-1:], missing, 0)]) if missing else rows

    return jax.tree.map(take, x)


@contextlib.contextmanager
def _bar(show: bool, total: int) -> Iterator[Advance]:
    columns = (
        TextColumn("tiles"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, disable=not show) as bar:
        task = bar.add_task("tiles", total=total)
        yield lambda steps: bar.advance(task, steps)
