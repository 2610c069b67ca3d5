"""A block of few positions on a CPU, pair by pair of samples, without its gradients.

The kernel of two samples is the sum over positions s, t and features f of
d[q, s, f] (a a')[s, t] d'[r, t, f], for data a and cotangents d of one sample and a', d' of the
other. Taken from the right, it costs s^2 (c + q f) + q^2 s f, for q outputs and c columns of the
data, where products of gradients cost q^2 c f: a tenth, for a transformer of sixteen tokens.
"""

import numpy as np
from jaxtyping import Float

from theorylab.ntk.gradients import Where, lay
from theorylab.ntk.workers import Scratch

CACHED = 1 << 20  # bytes of weighted cotangents that exist at once: they stay in a core's cache


class Paired:
    """Data and cotangents of one block for the samples of a tile.

    `columns` and `groups` are those of `gradients.Factors`.
    """

    def __init__(self, samples: int, columns: list[Where | None], groups: int = 1):
        self.samples, self.columns, self.groups = samples, columns, groups
        self.data: Float[np.ndarray, "n g*s c"] = np.empty(0)
        self.cotangents: Float[np.ndarray, "n q g*s f"] = np.empty(0)
        self.done = 0

    def __len__(self) -> int:
        return self.samples

    @property
    def shape(self) -> tuple[int, int]:
        """Samples and outputs."""
        return self.samples, self.cotangents.shape[1]

    @property
    def dtype(self) -> np.dtype:
        """Type of the products."""
        return self.cotangents.dtype

    def append(self, a: np.ndarray, d: Float[np.ndarray, "n q g*s f"], _: list[Scratch]) -> None:
        """Take one batch of samples; windows of the data are laid out now."""
        if not self.done:
            one = a[0] if a.ndim == 3 else self._laid(a[0], d.shape[2])
            self.data = np.empty((self.samples, *one.shape), a.dtype)
            self.cotangents = np.empty((self.samples, *d.shape[1:]), d.dtype)
        end = self.done + len(d)
        self.cotangents[self.done : end] = d
        for number, one in enumerate(a, self.done):
            self.data[number] = one if one.ndim == 2 else self._laid(one, d.shape[2])
        self.done = end

    def _laid(self, a: np.ndarray, positions: int) -> Float[np.ndarray, "s c"]:
        width = sum(1 if where is None else a.shape[-1] for where in self.columns)
        return lay(a, self.columns, np.empty((positions, width), a.dtype))

    def of_group(self, group: int) -> tuple[np.ndarray, np.ndarray]:
        """Data (n, s, c) and cotangents (n, q, s, f) of one group."""
        size = self.data.shape[1] // self.groups
        rows = slice(group * size, (group + 1) * size)
        return self.data[:, rows], self.cotangents[:, :, rows]


def multiply(
    left: tuple[np.ndarray, np.ndarray],
    right: tuple[np.ndarray, np.ndarray],
    same: bool,
    out: Float[np.ndarray, "n*q m*r"],
    scratch: Scratch,
) -> None:
    """The products of all pairs of samples of two sides, each data and cotangents of one group.

    Where both sides are the `same`, only one half is computed.
    """
    (a, d), (e, h) = left, right
    n, q, s, f = d.shape
    m, r = len(h), h.shape[1]
    step = max(1, CACHED // (r * s * f * h.itemsize))
    blocks = out.reshape(n, q, m, r)
    columns = e.reshape(m * s, -1)
    for i in range(n):
        first = i if same else 0
        weights = scratch.take("weights", ((m - first) * s, s), a.dtype)
        np.matmul(columns[first * s :], a[i].T, out=weights)
        weights = weights.reshape(m - first, 1, s, s).swapaxes(2, 3)
        flat = d[i].reshape(q, s * f)
        for start in range(first, m, step):
            stop = min(m, start + step)
            moved = scratch.take("moved", (stop - start, r, s, f), h.dtype)
            np.matmul(weights[start - first : stop - first], h[start:stop], out=moved)
            products = np.matmul(flat, moved.reshape(-1, s * f).T)
            blocks[i, :, start:stop] = products.reshape(q, stop - start, r)
        if same:
            blocks[i:, :, i] = blocks[i, :, i:].transpose(1, 2, 0)
