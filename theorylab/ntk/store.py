"""A kernel matrix that is filled tile by tile, in memory or in a file that survives a crash."""

import contextlib
import hashlib
import io
import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from theorylab.errors import InputError
from theorylab.files import (
    digest,
    held,
    in_one_line,
    seal,
    sweep_temporaries,
    unseal,
    write_atomically,
)

Key = tuple[int, int, int, int]  # first row, last row, first column, last column
_DIGESTS = {"f", "params", "x1", "x2"}  # of the setup: their values tell a reader nothing


class KernelStore:
    """The kernel and how many passes over the outputs each of its tiles has had."""

    def __init__(self, kernel: np.ndarray, symmetric: bool):
        self.kernel, self.symmetric, self.done = kernel, symmetric, dict[Key, int]()

    def passes(self, key: Key) -> int:
        """How many passes the tile has had."""
        return self.done.get(key, 0)

    def write(self, key: Key, block: np.ndarray, outputs: Any, add: bool) -> None:
        """Put a tile, and its mirror image in a symmetric kernel.

        `outputs` indexes the axes after the first two.
        """
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

    def result(self) -> np.ndarray:
        """The kernel to hand out."""
        return self.kernel


class KernelFolder(KernelStore):
    """A kernel on disk, whose finished tiles survive a crash.

    The folder holds `kernel.npy`, `setup.txt` (what is computed) and `journal.txt` (a line for each
    finished tile). Nothing is believed without its digest. `setup.txt` is sealed. A line of the
    journal has the digest of its tile's bytes, and one of itself together with the setup: it
    vouches that this tile of this kernel is finished, and whatever is not vouched for is computed
    again. The header of `kernel.npy` is not read but known, and mended.
    """

    def __init__(
        self,
        folder: Path,
        shape: tuple[int, ...],
        dtype: np.dtype,
        symmetric: bool,
        setup: dict[str, Any],
        memory_gb: float,
    ):
        self._folder, self._journal, self._memory_gb = folder, folder / "journal.txt", memory_gb
        self._setup = json.dumps(
            {**setup, "shape": shape, "dtype": dtype.name}, sort_keys=True
        ).encode()
        sweep_temporaries(folder, older_than=0)
        written = _read(self._journal) or b""
        lines = [line for line in written.splitlines(keepends=True) if line == self._whole(line)]
        self._check_setup(bool(lines))
        super().__init__(_map(folder / "kernel.npy", shape, dtype), symmetric)
        if b"".join(lines) != written:
            write_atomically(self._journal, b"".join(lines))
        for words in map(bytes.split, lines):
            key: Any = tuple(map(int, words[:4]))
            if self.passes(key) < int(words[4]) and self._tile_digest(key) == words[5].decode():
                self.done[key] = int(words[4])

    def finish(self, key: Key) -> None:
        """One more pass over the tile is complete: write it, then note it in the journal."""
        super().finish(key)
        with in_one_line("out", self._folder):
            self.kernel.flush()  # type: ignore[attr-defined]
            line = " ".join(map(str, (*key, self.done[key], self._tile_digest(key)))).encode()
            with open(self._journal, "ab") as journal:
                journal.write(self._sealed(line))
                journal.flush()
                os.fsync(journal.fileno())

    def result(self) -> np.ndarray:
        """The kernel as a read-only memory map."""
        with in_one_line("out", self._folder):
            return np.load(self._folder / "kernel.npy", mmap_mode="r")

    def _sealed(self, line: bytes) -> bytes:
        return line + b" " + digest(self._setup + line).encode() + b" end\n"

    def _whole(self, line: bytes) -> bytes:
        """The line as it was written if it is a line of this kernel, and another text if not."""
        return self._sealed(b" ".join(line.split(b" ")[:6]))

    def _check_setup(self, vouched: bool) -> None:
        """Refuse the folder of another kernel, or of an unknown one.

        In an empty folder the kernel is described.
        """
        path = self._folder / "setup.txt"
        content = _read(path)
        found = _described(content)
        given = json.loads(self._setup)
        if found is not None and found["kernel"] == given:
            return
        if found is not None:
            raise InputError(_differences(self._folder, found["kernel"], given))
        empty = not any((self._folder / name).exists() for name in ("kernel.npy", "journal.txt"))
        if not vouched and not (content is None and empty):
            state = "missing" if content is None else "damaged"
            raise InputError(
                f"out={str(self._folder)!r}: setup.txt is {state}, so it is not known which "
                "kernel is there; choose another folder or delete this one."
            )
        write_atomically(
            path, seal(json.dumps({"kernel": given, "memory_gb": self._memory_gb}).encode())
        )

    def _tile_digest(self, key: Key) -> str:
        a, b, c, d = key
        total = hashlib.sha256(np.ascontiguousarray(self.kernel[a:b, c:d]).data)
        if self.symmetric and (a, b) != (c, d):
            total.update(np.ascontiguousarray(self.kernel[c:d, a:b]).data)
        return total.hexdigest()


@contextlib.contextmanager
def open_folder(
    folder: Path,
    shape: tuple[int, ...],
    dtype: Any,
    symmetric: bool,
    setup: dict[str, Any],
    memory_gb: float,
) -> Iterator[KernelFolder]:
    """The kernel in `folder`, held against other processes.

    A second one waits and finds what the first has finished. Raises `InputError` where the folder
    holds another kernel, or cannot be read or written.
    """
    with contextlib.ExitStack() as stack:
        with in_one_line("out", folder):
            stack.enter_context(held(folder, "out"))
            store = KernelFolder(folder, shape, np.dtype(dtype), symmetric, setup, memory_gb)
        yield store


def recorded_memory_gb(folder: Path) -> float | None:
    """The budget that the kernel in `folder` was cut for.

    What is cut alike can be resumed, whatever is free now.
    """
    with in_one_line("out", folder):
        found = _described(_read(folder / "setup.txt"))
    return None if found is None else found["memory_gb"]


def _described(content: bytes | None) -> dict[str, Any] | None:
    """What a whole `setup.txt` says; None for a damaged one."""
    body = None if content is None else unseal(content)
    return None if body is None else json.loads(body)


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if os.path.lexists(path) else None


def _differences(folder: Path, found: Mapping[str, Any], given: Mapping[str, Any]) -> str:
    names = [name for name in sorted({*found, *given}) if found.get(name) != given.get(name)]
    told = [
        name if name in _DIGESTS else f"{name} was {found.get(name)!r}, is {given.get(name)!r}"
        for name in names
    ]
    mend = "give memory_gb as in the first call, " if set(names) <= {"tile", "chunk"} else ""
    where = f"out={str(folder)!r} holds another kernel (differs in {', '.join(told)})"
    return f"{where}; {mend}choose another folder or delete this one."


def _map(path: Path, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """The file's numbers.

    Its header and its length are made what they must be, and its place on the disk is taken.
    """
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header,
        {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape},
    )
    start = header.getvalue()
    size = len(start) + math.prod(shape) * dtype.itemsize
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        before = os.fstat(handle).st_size
        if before != size:
            os.ftruncate(handle, size)
        try:
            # a disk that is full later would kill who writes to mapped memory
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(handle, 0, size)
        except OSError:
            os.ftruncate(handle, min(before, size))
            raise
        if os.pread(handle, len(start), 0) != start:
            os.pwrite(handle, start, 0)
    finally:
        os.close(handle)
    return np.memmap(path, dtype, "r+", len(start), shape)
