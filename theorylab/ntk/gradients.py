"""Gradients of one block on a CPU: formed some columns at a time, multiplied, and gone."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from theorylab.ntk.workers import Scratch, Unit, share, workers

PIECE = 1 << 24  # bytes of gradients that a thread forms at once: its share of the last cache

Where = tuple[slice, ...]


class Factors:
    """Data and cotangents of one block for the samples of a tile, and the gradients they make.

    `columns`: the slices of the data, one for each offset of a convolution's window, that lie side
    by side; None for ones. `keep`: form the gradients at once, and keep them in place of the
    factors. `groups`: the positions are those of so many groups, one after the other, each with
    gradients of its own.
    """

    def __init__(self, samples: int, columns: list[Where | None], keep: bool, groups: int = 1):
        self.samples, self.columns, self.keep, self.groups = samples, columns, keep, groups
        self.parts: list[tuple[np.ndarray, np.ndarray]] = []
        self.kept: list[np.ndarray] = []
        self.positions, self.done = 0, 0

    def __len__(self) -> int:
        return self.samples

    @property
    def shape(self) -> tuple[int, int]:
        """Samples and outputs."""
        return self.samples, (self.kept[0] if self.kept else self.parts[0][1]).shape[1]

    @property
    def dtype(self) -> np.dtype:
        """Type of the gradients."""
        return (self.kept[0] if self.kept else self.parts[0][1]).dtype

    def append(
        self,
        a: Float[np.ndarray, "n ... c"],
        d: Float[np.ndarray, "n q s f"],
        memory: list[Scratch],
    ) -> None:
        """Take one batch of samples; with `keep` its gradients are formed now."""
        self.positions = d.shape[2] // self.groups
        if not self.keep or self.positions == 1:
            self.parts.append((a, d))
            return
        cuts = self._cuts(a, d)
        if not self.kept:
            q, f = d.shape[1], d.shape[3]
            self.kept = [np.empty((self.samples, q, f * cut.width), d.dtype) for cut in cuts]

        def unit(cut: "_Columns", g: np.ndarray) -> Unit:
            return lambda scratch: cut.form(a, d, g, scratch)

        end = self.done + len(d)
        share(
            [unit(cut, g[self.done : end]) for cut, g in zip(cuts, self.kept, strict=True)], memory
        )
        self.done = end

    def single(self, group: int) -> tuple[Float[np.ndarray, "n c"], Float[np.ndarray, "n q f"]]:
        """Both factors of a group, where each sample has one position."""
        data = [a[:, group] if a.ndim == 3 else self._laid(a) for a, _ in self.parts]
        return _together(data), _together([d[:, :, group] for _, d in self.parts])

    def _laid(self, a: np.ndarray) -> Float[np.ndarray, "n c"]:
        width = sum(1 if where is None else a.shape[-1] for where in self.columns)
        out = np.empty((len(a), 1, width), a.dtype)
        return np.concatenate(
            [lay(sample, self.columns, row) for sample, row in zip(a, out, strict=True)]
        )

    def pieces(self) -> list["Piece"]:
        """The gradients, cut by columns.

        A piece is what is yet to be formed, or the number of what is kept.
        """
        return list(range(len(self.kept))) if self.kept else list(self._cuts(*self.parts[0]))

    def gradients(self, piece: "Piece", scratch: Scratch, name: str) -> Float[np.ndarray, "n q p"]:
        """Those of one piece, valid until the next of this name."""
        if isinstance(piece, int):
            return self.kept[piece]
        d, start = self.parts[0][1], 0
        g = scratch.take(name, (self.samples, d.shape[1], d.shape[3] * piece.width), d.dtype)
        for a, d in self.parts:
            piece.form(a, d, g[start : start + len(d)], scratch)
            start += len(d)
        return g

    def _cuts(self, a: np.ndarray, d: np.ndarray) -> list["_Columns"]:
        """Group by group: offsets together as long as they fit, or one cut by its channels."""
        one = self.samples * d.shape[1] * d.shape[3] * d.dtype.itemsize
        channels, step = a.shape[-1], max(1, PIECE // one)
        together = max(1, step // channels)
        offsets, cuts = [where for where in self.columns if where is not None], []
        for number in range(0, len(offsets), together):
            chosen, last = offsets[number : number + together], number + together >= len(offsets)
            for start in range(0, channels, step):
                span = slice(start, min(channels, start + step))
                ones = [None] * (last and span.stop == channels and None in self.columns)
                width = len(chosen) * (span.stop - start) + len(ones)
                slices = [*((*where[:-1], span) for where in chosen), *ones]
                cuts.append(_Columns(slices, width, slice(0, self.positions)))
        return [cut.of_group(group) for group in range(self.groups) for cut in cuts]


class _Columns(NamedTuple):
    """Some columns of the data: slices that lie side by side, and their width in all.

    `rows` are the positions of their group.
    """

    slices: list[Where | None]
    width: int
    rows: slice

    def of_group(self, group: int) -> "_Columns":
        """Those of another group, given those of the first."""
        start = group * self.rows.stop
        return self._replace(rows=slice(start, start + self.rows.stop))

    def form(
        self,
        a: np.ndarray,
        d: Float[np.ndarray, "n q s f"],
        out: Float[np.ndarray, "n q p"],
        scratch: Scratch,
    ) -> None:
        """Gradients of these columns."""
        d = d[:, :, self.rows]
        n, q, s, f = d.shape
        out = out.reshape(n, q * f, self.width)
        beside = scratch.take("beside", (s, q, f), d.dtype)
        laid = scratch.take("laid", (s, self.width), a.dtype)
        for i in range(n):
            if a.ndim == 3:
                data = a[i, self.rows][self.slices[0] or ...]
            else:
                data = lay(a[i], self.slices, laid)
            np.copyto(beside, d[i].swapaxes(0, 1))  # in cache, where XLA would go through memory
            np.matmul(beside.reshape(s, q * f).T, data, out=out[i])


Piece = _Columns | int


def lay(a: np.ndarray, slices: list[Where | None], out: np.ndarray) -> np.ndarray:
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


def scratch_bytes(piece: int, result: int) -> int:
    """What the threads hold besides the factors.

    These are pieces of two tiles and their products, for each thread, and the sum of all.
    """
    return workers() * 2 * (piece + result) + result


def _together(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts) if len(parts) > 1 else parts[0]
