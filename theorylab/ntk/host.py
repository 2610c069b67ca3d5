"""Kernels on a CPU: derivatives by XLA, the products of gradients by BLAS.

On CPUs XLA forms batches of small products at half of BLAS's rate, writes every gradient to fresh memory, and has no
symmetric product. Here the gradients of a block are formed a few columns at a time in memory that stays in cache, and
multiplied from there (`syrk` on the diagonal: half of the work). Nothing of the size of the Jacobian ever exists,
unless the kernel takes several tiles: then each tile's gradients are formed once and kept.
"""

import dataclasses
import itertools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PyTree

from theorylab.ntk.engine import Engine, Layout, tree_bytes
from theorylab.ntk.features import Analysis
from theorylab.ntk.plan import Plan, Reduce, choose

_WHOLE = 1024  # samples at most that make one tile
_PASS = 320, 4096  # samples x outputs of a backward pass, enough for full speed: with many positions, with one
_PIECE = 1 << 26  # bytes of gradients formed at once: what the last cache holds
_ROWS = 512  # of a large product taken at once, so that a symmetric one is taken only from the diagonal on

Where = tuple[slice, ...]


class HostEngine(Engine):
    """What `Engine` offers, on one CPU. A tile is a list of `Factors`, gradients (n, q, p), and what XLA contracts."""

    def features(self, params: PyTree, x: PyTree, seeds: np.ndarray, plan: Plan) -> list[Any]:
        n = jax.tree.leaves(x)[0].shape[0]
        size = self._batch(n, len(seeds), params, x)
        late = [Factors(n, columns, plan.held) for columns in self._columns(params, x, plan)]
        rest = []
        for start in range(0, n, size):
            batch = jax.tree.map(lambda leaf, i=start: leaf[i : i + size], x)
            blocks = jax.block_until_ready(super().features(params, batch, seeds, plan))
            for factors, (a, d) in zip(late, filter(_is_late, blocks), strict=True):
                factors.append(np.asarray(a), np.asarray(d))
            rest.append([block for block in blocks if not _is_late(block)])
        joined = rest[0] if len(rest) == 1 else jax.tree.map(lambda *parts: jnp.concatenate(parts), *rest)
        return [*late, *(np.asarray(block[0]) if len(block) == 1 else block for block in joined)]

    @np.errstate(invalid="ignore", over="ignore")  # `fill` looks for what is not finite
    def contract(self, left: list[Any], right: list[Any]) -> Float[np.ndarray, "n m ..."]:
        kernel, scratch = _Kernel(self.reduce, left is right), (_Scratch(), _Scratch())
        grams: tuple[list[Any], list[Any]] = [], []
        for u, v in zip(left, right, strict=True):
            if isinstance(u, tuple):
                grams[0].append(u)
                grams[1].append(v)
            elif isinstance(u, np.ndarray):
                kernel.add(u, v)
            elif u.positions == 1:
                a, d = u.single()
                e, h = (a, d) if u is v else v.single()
                kernel.add(d, h, a @ e.T)
            else:
                pieces = ((g, g) for g in u.pieces(scratch[0])) if u is v else zip(
                    u.pieces(scratch[0]), v.pieces(scratch[1]), strict=True)  # fmt: skip
                for g, h in pieces:
                    kernel.add(g, h)
        if not grams[0]:
            return kernel.result()
        by_xla = self._grams(*grams, left is right)
        return by_xla if kernel.total is None else by_xla + kernel.result()

    def _grams(self, left: list[Any], right: list[Any], symmetric: bool) -> Float[np.ndarray, "n m ..."]:
        """What XLA contracts: part by part of a symmetric tile, from the diagonal on."""
        n = len(left[0][0])
        parts = _parts(n) if symmetric else 1
        if parts == 1:
            return np.asarray(super().contract(left, right))
        cuts = [slice(i, i + n // parts) for i in range(0, n, n // parts)]
        shares = [jax.tree.map(lambda a, cut=cut: a[cut], left) for cut in cuts]
        whole: Any = None
        for i, j in itertools.combinations_with_replacement(range(parts), 2):
            block = np.asarray(super().contract(shares[i], shares[j]))
            whole = np.empty((n, n, *block.shape[2:]), block.dtype) if whole is None else whole
            whole[cuts[i], cuts[j]] = block
            whole[cuts[j], cuts[i]] = block.transpose(1, 0, *range(block.ndim - 1, 1, -1))
        return whole

    def _first_tile(self, n1: int, n2: int, symmetric: bool) -> int:
        n = max(n1, n2)  # a shorter side would be padded to the longer
        return n if n <= _WHOLE and n1 == n2 else super()._first_tile(n1, n2, symmetric)

    def _chosen(self, analysis: Analysis, costs: tuple, tiles: int) -> Plan:
        reduce, outputs, n, pairs, itemsize = costs
        if pairs == n * n:  # one symmetric tile, of whose parts those below the diagonal are left out
            pairs *= 0.5 + 0.5 / _parts(n)
        plan = choose(analysis.blocks, reduce, outputs, n, pairs, itemsize, cached=True)
        late = [
            block.sites and block.sizes[0] == 1 and block.kind != "embedding" and (not gram or block.sizes[1] == 1)
            for block, gram in zip(analysis.blocks, plan.grams, strict=True)
        ]
        chosen = frozenset(i for i, handed in enumerate(late) if handed)
        return dataclasses.replace(plan, late=chosen, held=tiles > 1, host=True)

    def _batch(self, samples: int, outputs: int, params: PyTree, x: PyTree) -> int:
        """Samples of one backward pass: even shares of the tile."""
        rows = _PASS[all(block.sizes[1] <= 1 for block in self.analysis(params, x).blocks)]
        return math.ceil(samples / max(1, math.ceil(samples * outputs / rows)))

    def _columns(self, params: PyTree, x: PyTree, plan: Plan) -> list[list[Where | None]]:
        """Of every late block: the slices of its data that are its columns, None for one of ones."""
        blocks = [self.analysis(params, x).blocks[i] for i in sorted(plan.late)]
        whole: list[Where | None] = [(slice(None), slice(None))]
        ones = [[None] * (block.bias is not None) for block in blocks]
        return [
            whole if block.windows is None else [*block.windows.slices, *one]
            for block, one in zip(blocks, ones, strict=True)
        ]

    def _memory(self, params: PyTree, x: PyTree, layout: Layout) -> tuple[int, int]:
        analysis, plan = self.analysis(params, x), layout.plan
        seeds = layout.seeds(0, self.reduce, analysis.dtype)
        size = self._batch(layout.tile, len(seeds), params, x)
        batch = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((size, *leaf.shape[1:]), leaf.dtype), x)
        features = self._compile(self._features, plan, params, batch, seeds)
        rest = [block for block in features.out_info if not _is_late(block)]
        grams = [block for block in rest if len(block) == 2]
        held, piece = layout.tile / size * tree_bytes(rest), 0
        for i, (a, d) in zip(sorted(plan.late), filter(_is_late, features.out_info), strict=True):
            _, s, c, f = analysis.blocks[i].sizes
            column = layout.tile * len(seeds) * f * d.dtype.itemsize
            formed = plan.held and s > 1
            held += c * column if formed else layout.tile / size * tree_bytes((a, d))
            piece = max(piece, 0 if formed or s == 1 else min(c * column, max(_PIECE, column)))
        result = layout.tile**2 * analysis.dtype.itemsize
        result *= {"full": layout.chunk**2, "diagonal": layout.chunk}.get(self.reduce, 1)
        contracting = 2 * piece
        if grams:
            rows = layout.tile // (_parts(layout.tile) if not plan.held else 1)
            shapes = jax.tree.map(lambda a: jax.ShapeDtypeStruct((rows, *a.shape[1:]), a.dtype), grams)
            contracting = max(
                contracting, self._compile(self._contract, None, shapes, shapes).memory_analysis().temp_size_in_bytes
            )
        passing = tree_bytes(batch) + features.memory_analysis().temp_size_in_bytes + tree_bytes(features.out_info)
        return int(held), int(max(passing, contracting + 3 * result))


class Factors:
    """Data and cotangents of one block for the samples of a tile, batch by batch, and the gradients they make.

    `columns`: the slices of the data, one an offset of a convolution's window, that lie side by side; None for ones.
    `keep`: form the gradients at once, and keep them in place of the factors.
    """

    def __init__(self, samples: int, columns: list[Where | None], keep: bool):
        self.samples, self.columns, self.keep = samples, columns, keep
        self.parts: list[tuple[np.ndarray, np.ndarray]] = []
        self.kept: list[np.ndarray] = []
        self.positions, self.done = 0, 0

    def append(self, a: Float[np.ndarray, "n ... c"], d: Float[np.ndarray, "n s q f"]) -> None:
        self.positions = d.shape[1]
        if not self.keep or self.positions == 1:
            self.parts.append((a, d))
            return
        if not self.kept:
            q, f = d.shape[2:]
            self.kept = [np.empty((self.samples, q, f * cut.width), d.dtype) for cut in self._cuts(a, d)]
        for columns, g in zip(self._cuts(a, d), self.kept, strict=True):
            columns.form(a, d, g[self.done : self.done + len(d)])
        self.done += len(d)

    def single(self) -> tuple[Float[np.ndarray, "n c"], Float[np.ndarray, "n q f"]]:
        """Both factors, where each sample has one position."""
        data = [a[:, 0] if a.ndim == 3 else self._laid(a) for a, _ in self.parts]
        return _together(data), _together([d[:, 0] for _, d in self.parts])

    def _laid(self, a: np.ndarray) -> Float[np.ndarray, "n c"]:
        width = sum(1 if where is None else a.shape[-1] for where in self.columns)
        out = np.empty((len(a), 1, width), a.dtype)
        return np.concatenate([_lay(sample, self.columns, row) for sample, row in zip(a, out, strict=True)])

    def pieces(self, scratch: "_Scratch") -> Iterator[Float[np.ndarray, "n q p"]]:
        """The gradients, some columns at a time; each is valid until the next."""
        if self.kept:
            yield from self.kept
            return
        (a, d), *_ = self.parts
        q, f = d.shape[2:]
        for columns in self._cuts(a, d):
            g, start = scratch.take((self.samples, q, f * columns.width), d.dtype), 0
            for a, d in self.parts:
                columns.form(a, d, g[start : start + len(d)])
                start += len(d)
            yield g

    def _cuts(self, a: np.ndarray, d: np.ndarray) -> Iterator["_Columns"]:
        """Offsets together as long as their gradients fit, or an offset cut by its channels."""
        one = self.samples * math.prod(d.shape[2:]) * d.dtype.itemsize
        channels, step = a.shape[-1], max(1, _PIECE // one)
        together = max(1, step // channels)
        offsets = [where for where in self.columns if where is not None]
        for number in range(0, len(offsets), together):
            chosen, last = offsets[number : number + together], number + together >= len(offsets)
            for start in range(0, channels, step):
                span = slice(start, min(channels, start + step))
                ones = [None] * (last and span.stop == channels and None in self.columns)
                width = len(chosen) * (span.stop - start) + len(ones)
                yield _Columns([*((*where[:-1], span) for where in chosen), *ones], width)


class _Columns(NamedTuple):
    """Some columns of the data: slices that lie side by side, and their width in all."""

    slices: list[Where | None]
    width: int

    def form(self, a: np.ndarray, d: Float[np.ndarray, "n s q f"], out: Float[np.ndarray, "n q p"]) -> None:
        """Gradients of these columns."""
        n, s, q, f = d.shape
        transposed, out = d.reshape(n, s, q * f).swapaxes(1, 2), out.reshape(n, q * f, self.width)
        if a.ndim == 3:
            (where,) = self.slices
            np.matmul(transposed, a[(slice(None), *(where or ()))], out=out)
            return
        laid = np.empty((s, self.width), a.dtype)
        for i in range(n):
            np.matmul(transposed[i], _lay(a[i], self.slices, laid), out=out[i])


def _lay(a: np.ndarray, slices: list[Where | None], out: np.ndarray) -> np.ndarray:
    """The slices of the data side by side, rows by rows."""
    start = 0
    for where in slices:
        if where is None:
            out[:, start] = 1
            start += 1
        else:
            part = a[where]
            out.reshape(*part.shape[:-1], -1)[..., start : start + part.shape[-1]] = part
            start += part.shape[-1]
    return out


class _Scratch:
    """Memory that is used again and again: fresh pages would cost as much as the products."""

    def __init__(self) -> None:
        self.raw = np.empty(0, np.uint8)

    def take(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if self.raw.size < size:
            self.raw = np.empty(size, np.uint8)
        return self.raw[:size].view(dtype).reshape(shape)


class _Kernel:
    """A sum of products, as rows (n q), columns (m r) for "full", (q, n, m) for "diagonal", else (n, m)."""

    def __init__(self, reduce: Reduce, symmetric: bool):
        self.reduce, self.symmetric, self.scratch = reduce, symmetric, _Scratch()
        self.total: Any = None
        self.sizes, self.step = (0, 0, 0), 1

    def add(
        self, g: Float[np.ndarray, "n q p"], h: Float[np.ndarray, "m q p"], scale: np.ndarray | None = None
    ) -> None:
        """The products of g and h, times `scale`, one number a pair of samples."""
        n, q, _ = g.shape
        copies = q if self.reduce == "full" else 1
        if self.reduce == "diagonal":
            left, right = g.swapaxes(0, 1), h.swapaxes(0, 1)
        else:
            left, right = g.reshape(1, n * copies, -1), h.reshape(1, len(h) * copies, -1)
        if self.total is None:
            self.sizes, rows = (n, len(h), q), left.shape[1]
            self.step = rows if rows <= 2 * _ROWS else max(1, _ROWS // copies) * copies
            self.total = np.zeros((len(left), rows, right.shape[1]), np.promote_types(g.dtype, h.dtype))
        for total, u, v in zip(self.total, left, right, strict=True):
            for i in range(0, len(u), self.step):
                first, rows = (i if self.symmetric else 0), u[i : i + self.step]
                new = self.scratch.take((len(rows), len(v) - first), total.dtype)
                np.matmul(rows, v[first:].T, out=new)  # numpy takes the half where both are one array
                if scale is not None:
                    part = scale[i // copies : (i + len(rows)) // copies, first // copies :]
                    grid = new.reshape(len(part), copies, -1)
                    grid *= np.repeat(part, copies, 1)[:, None]
                total[i : i + self.step, first:] += new

    def result(self) -> Float[np.ndarray, "n m ..."]:
        for total in self.total if self.symmetric else ():
            for i in range(0, len(total), self.step):
                total[i + self.step :, i : i + self.step] = total[i : i + self.step, i + self.step :].T
        if self.reduce == "diagonal":
            return self.total.transpose(1, 2, 0)
        n, m, q = self.sizes
        return self.total.reshape(n, q, m, q).transpose(0, 2, 1, 3) if self.reduce == "full" else self.total[0]


def _parts(samples: int) -> int:
    """In how many parts a side a symmetric tile is cut."""
    return next(parts for parts in (4, 2, 1) if samples % parts == 0)


def _together(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts) if len(parts) > 1 else parts[0]


def _is_late(block: tuple) -> bool:
    """Data and cotangents for this module; those for XLA's products have an axis more."""
    return len(block) == 2 and block[1].ndim == 4
