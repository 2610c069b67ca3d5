"""A kernel matrix that is filled tile by tile, in memory or in a file that survives being killed."""

import json
import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from theorylab.errors import InputError

Key = tuple[int, int, int, int]  # first row, last row, first column, last column


class KernelStore:
    """The kernel and how many passes over the outputs each of its tiles has had.

    On disk: `kernel.npy`, `setup.json` (what is computed) and `journal.txt`, one line a finished tile with a checksum
    of its bytes. A tile counts once its line is complete and its bytes agree; any other is computed again.
    """

    def __init__(self, shape: tuple[int, ...], dtype: Any, symmetric: bool, folder: Path | None, setup: dict[str, Any]):
        self.symmetric, self.done = symmetric, dict[Key, int]()
        self.journal = None if folder is None else folder / "journal.txt"
        self.kernel: Any = (
            np.zeros(shape, dtype) if folder is None else self._open(folder, shape, np.dtype(dtype), setup)
        )

    def _open(self, folder: Path, shape: tuple[int, ...], dtype: np.dtype, setup: dict[str, Any]) -> np.ndarray:
        folder.mkdir(parents=True, exist_ok=True)
        setup = json.loads(json.dumps({**setup, "shape": shape, "dtype": dtype.name}))
        described, data = folder / "setup.json", folder / "kernel.npy"
        if described.exists() and data.exists():
            found = json.loads(described.read_text())
            if found != setup:
                differ = ", ".join(sorted(k for k in setup if found.get(k) != setup[k]))
                raise InputError(
                    f"out={str(folder)!r} holds another kernel (differs in {differ}); choose an empty folder."
                )
            kernel = np.lib.format.open_memmap(data, mode="r+")
            self._recover(kernel, folder / "journal.txt")
        else:
            kernel = np.lib.format.open_memmap(data, mode="w+", dtype=dtype, shape=shape)
            (folder / "journal.txt").unlink(missing_ok=True)
            temporary = described.with_suffix(".tmp")
            temporary.write_text(json.dumps(setup))
            os.replace(temporary, described)
        return kernel

    def _recover(self, kernel: np.ndarray, journal: Path) -> None:
        last: dict[Key, tuple[int, int]] = {}
        for line in journal.read_text().splitlines() if journal.exists() else []:
            words = line.split()
            if len(words) == 7 and words[-1] == "end":
                a, b, c, d = map(int, words[:4])
                last[a, b, c, d] = (int(words[4]), int(words[5]))
        for key, (passes, checksum) in last.items():
            if self._checksum(kernel, key) == checksum:
                self.done[key] = passes

    def passes(self, key: Key) -> int:
        """How many passes the tile has had."""
        return self.done.get(key, 0)

    def write(self, key: Key, block: np.ndarray, outputs: Any, add: bool) -> None:
        """Put a tile, and its mirror image in a symmetric kernel; `outputs` indexes the axes after the first two."""
        a, b, c, d = key
        self._put((slice(a, b), slice(c, d), *outputs), block, add)
        if self.symmetric and (a, b) != (c, d):
            mirror = (slice(c, d), slice(a, b), *outputs[::-1])
            self._put(mirror, block.transpose(1, 0, *range(block.ndim - 1, 1, -1)), add)

    def _put(self, where: tuple, block: np.ndarray, add: bool) -> None:
        self.kernel[where] = self.kernel[where] + block if add else block

    def finish(self, key: Key) -> None:
        """One more pass over the tile is complete: make it count."""
        self.done[key] = self.passes(key) + 1
        if self.journal is not None:
            self.kernel.flush()
            with open(self.journal, "a") as journal:
                journal.write(" ".join(map(str, (*key, self.done[key], self._checksum(self.kernel, key)))) + " end\n")
                journal.flush()
                os.fsync(journal.fileno())

    def _checksum(self, kernel: np.ndarray, key: Key) -> int:
        a, b, c, d = key
        mirror = zlib.crc32(np.ascontiguousarray(kernel[c:d, a:b]).data) if self.symmetric else 0
        return zlib.crc32(np.ascontiguousarray(kernel[a:b, c:d]).data, mirror)
