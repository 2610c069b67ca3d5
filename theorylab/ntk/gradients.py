"""Gradients of one block on a CPU: formed some columns at a time, multiplied, and gone."""

import itertools
import math
import threading
from collections import Counter
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from theorylab.ntk.plan import Reduce
from theorylab.ntk.workers import Scratch, Unit, share, workers

PIECE = 1 << 24  # bytes of gradients that a thread forms at once: its share of the last cache
# of a large product taken at once, so that a symmetric one is taken only from the diagonal on
ROWS = 320

Where = tuple[slice, ...]


class Factors:
    """Data and cotangents of one block for the samples of a tile, and the gradients they make.

    `columns`: the slices of the data, one for each offset of a convolution's window, that lie side
    by side; None for ones. `keep`: form the gradients at once, and keep them in place of the
    factors.
    """

    def __init__(self, samples: int, columns: list[Where | None], keep: bool):
        self.samples, self.columns, self.keep = samples, columns, keep
        self.parts: list[tuple[np.ndarray, np.ndarray]] = []
        self.kept: list[np.ndarray] = []
        self.positions, self.done = 0, 0

    def __len__(self) -> int:
        return self.samples

    @property
    def shape(self) -> tuple[int, int]:
        """Samples and outputs."""
        return self.samples, (self.kept[0] if self.kept else self.parts[0][1]).shape[
            1 if self.kept else 2
        ]

    @property
    def dtype(self) -> np.dtype:
        """Type of the gradients."""
        return (self.kept[0] if self.kept else self.parts[0][1]).dtype

    def append(
        self,
        a: Float[np.ndarray, "n ... c"],
        d: Float[np.ndarray, "n s q f"],
        memory: list[Scratch],
    ) -> None:
        """Take one batch of samples; with `keep` its gradients are formed now."""
        self.positions = d.shape[1]
        if not self.keep or self.positions == 1:
            self.parts.append((a, d))
            return
        cuts = self._cuts(a, d)
        if not self.kept:
            q, f = d.shape[2:]
            self.kept = [np.empty((self.samples, q, f * cut.width), d.dtype) for cut in cuts]

        def unit(cut: "_Columns", g: np.ndarray) -> Unit:
            return lambda scratch: cut.form(a, d, g, scratch)

        end = self.done + len(d)
        share(
            [unit(cut, g[self.done : end]) for cut, g in zip(cuts, self.kept, strict=True)], memory
        )
        self.done = end

    def single(self) -> tuple[Float[np.ndarray, "n c"], Float[np.ndarray, "n q f"]]:
        """Both factors, where each sample has one position."""
        data = [a[:, 0] if a.ndim == 3 else self._laid(a) for a, _ in self.parts]
        return _together(data), _together([d[:, 0] for _, d in self.parts])

    def _laid(self, a: np.ndarray) -> Float[np.ndarray, "n c"]:
        width = sum(1 if where is None else a.shape[-1] for where in self.columns)
        out = np.empty((len(a), 1, width), a.dtype)
        return np.concatenate(
            [_lay(sample, self.columns, row) for sample, row in zip(a, out, strict=True)]
        )

    def pieces(self) -> list["_Piece"]:
        """The gradients, cut by columns.

        A piece is what is yet to be formed, or the number of what is kept.
        """
        return list(range(len(self.kept))) if self.kept else list(self._cuts(*self.parts[0]))

    def gradients(self, piece: "_Piece", scratch: Scratch, name: str) -> Float[np.ndarray, "n q p"]:
        """Those of one piece, valid until the next of this name."""
        if isinstance(piece, int):
            return self.kept[piece]
        d, start = self.parts[0][1], 0
        g = scratch.take(name, (self.samples, d.shape[2], d.shape[3] * piece.width), d.dtype)
        for a, d in self.parts:
            piece.form(a, d, g[start : start + len(d)], scratch)
            start += len(d)
        return g

    def _cuts(self, a: np.ndarray, d: np.ndarray) -> list["_Columns"]:
        """Offsets together as long as their gradients fit, or an offset cut by its channels."""
        one = self.samples * math.prod(d.shape[2:]) * d.dtype.itemsize
        channels, step = a.shape[-1], max(1, PIECE // one)
        together = max(1, step // channels)
        offsets, cuts = [where for where in self.columns if where is not None], []
        for number in range(0, len(offsets), together):
            chosen, last = offsets[number : number + together], number + together >= len(offsets)
            for start in range(0, channels, step):
                span = slice(start, min(channels, start + step))
                ones = [None] * (last and span.stop == channels and None in self.columns)
                width = len(chosen) * (span.stop - start) + len(ones)
                cuts.append(_Columns([*((*where[:-1], span) for where in chosen), *ones], width))
        return cuts


class _Columns(NamedTuple):
    """Some columns of the data: slices that lie side by side, and their width in all."""

    slices: list[Where | None]
    width: int

    def form(
        self,
        a: np.ndarray,
        d: Float[np.ndarray, "n s q f"],
        out: Float[np.ndarray, "n q p"],
        scratch: Scratch,
    ) -> None:
        """Gradients of these columns."""
        n, s, q, f = d.shape
        transposed, out = d.reshape(n, s, q * f).swapaxes(1, 2), out.reshape(n, q * f, self.width)
        if a.ndim == 3:
            (where,) = self.slices
            np.matmul(transposed, a[(slice(None), *(where or ()))], out=out)
            return
        laid = scratch.take("laid", (s, self.width), a.dtype)
        for i in range(n):
            np.matmul(transposed[i], _lay(a[i], self.slices, laid), out=out[i])


_Piece = _Columns | int


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


class Products:
    """A sum of products of gradients, to which units of work add in any order.

    Rows are (n q) and columns (m r) for "full"; the sum is (q, n, m) for "diagonal", else (n, m).
    Units add to each part of the sum in the order of their making, so results are equal to the last
    bit.
    """

    def __init__(self, reduce: Reduce, symmetric: bool, sizes: tuple[int, int, int], dtype: Any):
        n, m, q = self.sizes = sizes
        self.reduce, self.symmetric = reduce, symmetric
        self.copies = q if reduce == "full" else 1
        self.total = np.zeros(
            (q if reduce == "diagonal" else 1, n * self.copies, m * self.copies), dtype
        )
        rows = n * self.copies
        step = rows if rows <= 2 * ROWS else math.ceil(n / math.ceil(rows / ROWS)) * self.copies
        # whole samples
        self.cuts = [slice(start, min(start + step, rows)) for start in range(0, rows, step)]
        self.given = Counter[int]()  # of the rows from there on: units made so far
        self.added = Counter[tuple[int, ...]]()  # of a part of the sum: units added so far
        self.early: dict[tuple[Any, int], np.ndarray] = {}  # what came before its turn
        self.lock = threading.Lock()

    def of(self, u: Any, v: Any) -> list[Unit]:
        """The units of work of one block: of gradients (n, q, p), or of factors."""
        # the widest so far
        self.total = self.total.astype(np.result_type(self.total, u.dtype, v.dtype), copy=False)
        if isinstance(u, np.ndarray):
            step = max(1, PIECE // (u[..., :1].size * u.itemsize))
            spans = [slice(start, start + step) for start in range(0, u.shape[-1], step)]
            return [
                self._unit(lambda _, s=s: (u[..., s], u[..., s] if u is v else v[..., s]))
                for s in spans
            ]
        if u.positions == 1:
            (a, d), (e, h) = (u.single(),) * 2 if u is v else (u.single(), v.single())
            return [self._unit(lambda _: (d, h), [cut], (a, e)) for cut in self.cuts]

        def formed(left: _Piece, right: _Piece, scratch: Scratch) -> tuple[np.ndarray, np.ndarray]:
            g = u.gradients(left, scratch, "left")
            return g, g if u is v else v.gradients(right, scratch, "right")

        return [
            self._unit(lambda s, p=p, r=r: formed(p, r, s))
            for p, r in zip(u.pieces(), v.pieces(), strict=True)
        ]

    def _unit(self, make: Any, cuts: list[slice] | None = None, factors: Any = None) -> Unit:
        """Some rows of the products of what `make` gives.

        They are multiplied by those of `factors`, one number for each pair of samples.
        """
        cuts = cuts or self.cuts
        numbers = [self.given[cut.start] for cut in cuts]
        self.given.update(cut.start for cut in cuts)

        def unit(scratch: Scratch) -> None:
            g, h = map(self._matrices, make(scratch))
            for cut, number in zip(cuts, numbers, strict=True):
                self._add(number, cut, g, h, scratch, factors)

        return unit

    def _matrices(self, g: Float[np.ndarray, "n q p"]) -> Float[np.ndarray, "b r p"]:
        return (
            g.swapaxes(0, 1)
            if self.reduce == "diagonal"
            else g.reshape(1, len(g) * self.copies, -1)
        )

    def _add(self, number: int, cut: slice, g: Any, h: Any, scratch: Scratch, factors: Any) -> None:
        """Some rows of the products.

        Where they are symmetric, only the square on the diagonal and what is right of it are taken.
        """
        columns = self.total.shape[2]
        ends = (cut.start, cut.stop, columns) if self.symmetric else (0, columns)
        for span in itertools.starmap(slice, itertools.pairwise(ends)):
            if span.start == span.stop:
                continue
            if factors is not None:
                a, e = factors[0][self._samples(cut)], factors[1][self._samples(span)]
                scale = np.matmul(a, e.T, out=scratch.take("scale", (len(a), len(e)), a.dtype))
            new = scratch.take(
                "product", (cut.stop - cut.start, span.stop - span.start), self.total.dtype
            )
            for part, (total, u, v) in enumerate(zip(self.total, g, h, strict=True)):
                # numpy takes the half where both are one array
                np.matmul(u[cut], v[span].T, out=new)
                if factors is not None:
                    grid = new.reshape(len(scale), self.copies, -1)
                    grid *= (np.repeat(scale, self.copies, 1) if self.copies > 1 else scale)[
                        :, None
                    ]
                place = part, cut.start, span.start
                with self.lock:
                    self.early[place, number] = new if self.added[place] == number else new.copy()
                    while (place, self.added[place]) in self.early:
                        total[cut, span] += self.early.pop((place, self.added[place]))
                        self.added[place] += 1

    def _samples(self, rows: slice) -> slice:
        return slice(rows.start // self.copies, rows.stop // self.copies)

    def result(self) -> Float[np.ndarray, "n m ..."]:
        """The sum, in the shape that the reduction asks for."""
        for total in self.total if self.symmetric else ():
            for cut in self.cuts:
                total[cut.stop :, cut] = total[cut, cut.stop :].T
        n, m, q = self.sizes
        if self.reduce == "diagonal":
            return self.total.transpose(1, 2, 0)
        return (
            self.total.reshape(n, q, m, q).transpose(0, 2, 1, 3)
            if self.reduce == "full"
            else self.total[0]
        )


def scratch_bytes(piece: int, result: int) -> int:
    """What the threads hold besides the factors.

    These are pieces of two tiles and their products, for each thread, and the sum of all.
    """
    return workers() * 2 * (piece + result) + result


def _together(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts) if len(parts) > 1 else parts[0]
