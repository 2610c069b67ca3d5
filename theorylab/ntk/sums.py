"""The sum of the products of all blocks on a CPU, in units of work that threads share."""

import itertools
import math
import threading
from collections import Counter
from typing import Any

import numpy as np
from jaxtyping import Float

from theorylab.ntk.gradients import PIECE, Factors, Piece
from theorylab.ntk.paired import Paired, multiply
from theorylab.ntk.plan import Reduce
from theorylab.ntk.workers import Scratch, Unit

# of a large product taken at once, so that a symmetric one is taken only from the diagonal on
ROWS = 320


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
        """The units of work of one block: of gradients (n, q, p), of factors, or of pairs."""
        # the widest so far
        self.total = self.total.astype(np.result_type(self.total, u.dtype, v.dtype), copy=False)
        if isinstance(u, np.ndarray):
            step = max(1, PIECE // (u[..., :1].size * u.itemsize))
            spans = [slice(start, start + step) for start in range(0, u.shape[-1], step)]
            return [
                self._unit(lambda _, s=s: (u[..., s], u[..., s] if u is v else v[..., s]))
                for s in spans
            ]
        if isinstance(u, Paired):
            groups = [(u.of_group(g), v.of_group(g)) for g in range(u.groups)]
            return [self._paired(cut, *pair, u is v) for pair in groups for cut in self.cuts]
        if u.positions == 1:
            return [unit for group in range(u.groups) for unit in self._single(u, v, group)]

        def formed(left: Piece, right: Piece, scratch: Scratch) -> tuple[np.ndarray, np.ndarray]:
            g = u.gradients(left, scratch, "left")
            return g, g if u is v else v.gradients(right, scratch, "right")

        return [
            self._unit(lambda s, p=p, r=r: formed(p, r, s))
            for p, r in zip(u.pieces(), v.pieces(), strict=True)
        ]

    def _single(self, u: Factors, v: Factors, group: int) -> list[Unit]:
        """The units of a group of one position: products of data times products of cotangents."""
        (a, d), (e, h) = (u.single(group),) * 2 if u is v else (u.single(group), v.single(group))
        return [self._unit(lambda _: (d, h), [cut], (a, e)) for cut in self.cuts]

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

    def _paired(self, cut: slice, left: Any, right: Any, same: bool) -> Unit:
        """Some rows of the products of one group, pair by pair of samples."""
        number = self.given[cut.start]
        self.given[cut.start] += 1

        def unit(scratch: Scratch) -> None:
            rows = tuple(part[self._samples(cut)] for part in left)
            for span in self._spans(cut):
                columns = tuple(part[self._samples(span)] for part in right)
                new = self._new(cut, span, scratch)
                multiply(rows, columns, same and span == cut, new, scratch)
                self._take(number, 0, cut, span, new)

        return unit

    def _add(self, number: int, cut: slice, g: Any, h: Any, scratch: Scratch, factors: Any) -> None:
        """Some rows of the products."""
        for span in self._spans(cut):
            if factors is not None:
                a, e = factors[0][self._samples(cut)], factors[1][self._samples(span)]
                scale = np.matmul(a, e.T, out=scratch.take("scale", (len(a), len(e)), a.dtype))
            new = self._new(cut, span, scratch)
            for part, (u, v) in enumerate(zip(g, h, strict=True)):
                # numpy takes the half where both are one array
                np.matmul(u[cut], v[span].T, out=new)
                if factors is not None:
                    grid = new.reshape(len(scale), self.copies, -1)
                    grid *= (np.repeat(scale, self.copies, 1) if self.copies > 1 else scale)[
                        :, None
                    ]
                self._take(number, part, cut, span, new)

    def _spans(self, cut: slice) -> list[slice]:
        """The columns of some rows.

        Of symmetric products only the square on the diagonal, and what is right of it.
        """
        columns = self.total.shape[2]
        ends = (cut.start, cut.stop, columns) if self.symmetric else (0, columns)
        spans = itertools.starmap(slice, itertools.pairwise(ends))
        return [span for span in spans if span.start < span.stop]

    def _new(self, cut: slice, span: slice, scratch: Scratch) -> np.ndarray:
        shape = cut.stop - cut.start, span.stop - span.start
        return scratch.take("product", shape, self.total.dtype)

    def _take(self, number: int, part: int, cut: slice, span: slice, new: np.ndarray) -> None:
        """Add to a part of the sum when the turn of this unit comes."""
        place = part, cut.start, span.start
        with self.lock:
            self.early[place, number] = new if self.added[place] == number else new.copy()
            while (place, self.added[place]) in self.early:
                self.total[part][cut, span] += self.early.pop((place, self.added[place]))
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
