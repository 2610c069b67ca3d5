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
from theorylab.ntk.engine import Engine, Layout
from theorylab.ntk.store import KernelStore, Key


def fill(  # noqa: C901
    store: KernelStore,
    engine: Engine,
    layout: Layout,
    params: PyTree,
    x1: PyTree,
    x2: PyTree | None,
    progress: bool,
) -> None:
    """Compute every tile that `store` lacks."""
    (n1, n2), size, reduce = store.kernel.shape[:2], layout.tile, engine.reduce
    dtype = engine.analysis(params, x1).dtype
    passes = layout.passes(reduce)
    rows, columns = range(0, n1, size), range(0, n2, size)
    wanted = [(i, j) for i in rows for j in columns if x2 is not None or i <= j]
    pending: deque[tuple[int, int, int, Array]] = deque()

    def key(i: int, j: int) -> Key:
        return i, min(i + size, n1), j, min(j + size, n2)

    def features(x: PyTree, start: int, output: int) -> Any:
        return engine.features(
            params, _tile(x, start, size), layout.seeds(output, reduce, dtype), layout.plan
        )

    with _bar(progress, len(wanted) * len(passes)) as advance:

        def settle(left: int) -> None:
            while len(pending) > left:
                number, i, j, block = pending.popleft()
                _write(store, key(i, j), np.asarray(block), layout, reduce, passes[number], number)
                advance(1)

        for number, (q, r) in enumerate(passes):
            todo = {(i, j) for i, j in wanted if store.passes(key(i, j)) <= number}
            advance(len(wanted) - len(todo))
            shared = x2 is None and q == r
            for start in range(0, len(rows), layout.resident - 1):
                panel = rows[start : start + layout.resident - 1]
                left: dict[int, Any] = {}
                for j in columns:
                    needed = [i for i in panel if (i, j) in todo]
                    if not needed:
                        continue
                    right = None  # what the last column held is free before the next is computed
                    settle(0)
                    if shared and j in panel:
                        right = left[j] if j in left else features(x1, j, q)
                        left[j] = right
                    else:
                        right = features(x1 if x2 is None else x2, j, r)
                    for i in needed:
                        if i not in left:
                            left[i] = features(x1, i, q)
                        pending.append((number, i, j, engine.contract(left[i], right)))
                        settle(1)
                right = None
            settle(0)


def _write(
    store: KernelStore,
    key: Key,
    block: np.ndarray,
    layout: Layout,
    reduce: str,
    chunks: tuple[int, int],
    number: int,
) -> None:
    """Trim what pads the last tile and the last chunk, and hand the rest to the store."""
    if not np.isfinite(block).all():
        raise InputError(
            "f: the kernel has non-finite entries; check params, x1 and x2 for NaN, infinities or "
            "overflow"
        )
    q, r = (slice(c, min(c + layout.chunk, layout.outputs)) for c in chunks)
    block = block[: key[1] - key[0], : key[3] - key[2]]
    if reduce == "full":
        store.write(key, block[:, :, : q.stop - q.start, : r.stop - r.start], (q, r), False)
    elif reduce == "diagonal":
        store.write(key, block[:, :, : q.stop - q.start], (q,), False)
    else:
        store.write(key, block / layout.outputs if reduce == "trace" else block, (), number > 0)
    store.finish(key)


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
def _bar(show: bool, total: int) -> Iterator[Callable[[int], None]]:
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
