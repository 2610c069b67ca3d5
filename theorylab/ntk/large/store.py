"""A kernel in one chunked zarr array, whose finished tiles survive crashes and show damage."""

import contextlib
import hashlib
import json
import math
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
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

Tile = tuple[int, int]  # its row and its column among the tiles
_DIGESTS = {"f", "params", "x1", "x2"}  # of the setup: their values tell a reader nothing


@dataclass(frozen=True)
class Grid:
    """How a kernel is cut into square tiles: one chunk of the array each."""

    shape: tuple[int, ...]
    dtype: np.dtype
    tile: int
    symmetric: bool

    def tiles(self) -> list[Tile]:
        """The tiles to compute, row by row; of a symmetric kernel on and above the diagonal."""
        rows, columns = (range(math.ceil(n / self.tile)) for n in self.shape[:2])
        return [(i, j) for i in rows for j in columns if i <= j or not self.symmetric]

    def span(self, number: int, axis: int) -> slice:
        """The samples of a row or a column of tiles."""
        return slice(number * self.tile, min((number + 1) * self.tile, self.shape[axis]))

    @property
    def chunks(self) -> tuple[int, ...]:
        """The shape of a chunk, in the last of which the array ends."""
        return (self.tile, self.tile, *self.shape[2:])


class TileArray:
    """The kernel, and which of its tiles are finished.

    The folder is a zarr array. A chunk carries its CRC, so that no reader takes a damaged one for
    data; a tile that is not there yet reads as NaN. `.tiles` in it has `setup.txt` (what is
    computed, sealed) and `journal.txt`: a line for each finished tile with the SHA-256 of its
    numbers, and one of the line together with the setup. A tile that no line vouches for is erased
    and computed again. `zarr.json` is not read but known, and mended.
    """

    def __init__(
        self,
        folder: Path,
        grid: Grid,
        setup: dict[str, Any],
        accuracy: float | None,
        say: Callable[[str], None],
    ):
        self.grid, self._folder, self._journal = grid, folder, folder / ".tiles" / "journal.txt"
        described = {**setup, "shape": list(grid.shape), "kernel_dtype": grid.dtype.name}
        self._setup = json.dumps({**described, "tile": grid.tile}, sort_keys=True).encode()
        for place in (folder, folder / ".tiles"):
            sweep_temporaries(place, older_than=0)
        written = self._journal.read_bytes() if self._journal.exists() else b""
        lines = [line for line in written.splitlines(keepends=True) if line == self._whole(line)]
        self._check_setup(bool(lines))
        attributes = {"fingerprint": self.fingerprint, "accuracy": accuracy}
        _mend_header(folder, grid, {"theorylab": {**json.loads(self._setup), **attributes}})
        self._array = _open(folder, "r+")
        if b"".join(lines) != written:
            write_atomically(self._journal, b"".join(lines))
        self.done = self._vouched(lines, say)
        self._erase(self.done)

    @property
    def fingerprint(self) -> str:
        """The digest of what is computed, in 16 digits."""
        return _fingerprint(json.loads(self._setup))

    def missing(self) -> list[Tile]:
        """The tiles that are not finished."""
        return [tile for tile in self.grid.tiles() if tile not in self.done]

    def finish(self, tile: Tile, block: np.ndarray) -> None:
        """Write a tile, and its mirror image in a symmetric kernel; then note it in the journal."""
        block = np.asarray(block, self.grid.dtype)
        with in_one_line("out", self._folder):
            for where, part in zip(self._places(tile), (block, _mirrored(block)), strict=False):
                self._array[where] = part
            line = b"%d %d " % tile + _sha256(block).encode()
            with open(self._journal, "ab") as journal:
                journal.write(self._sealed(line))
                journal.flush()
                os.fsync(journal.fileno())
        self.done.add(tile)

    def _places(self, tile: Tile) -> list[tuple[slice, slice]]:
        """Where a tile lies, and where its mirror image does if it has one."""
        (i, j), grid = tile, self.grid
        places = [(grid.span(i, 0), grid.span(j, 1))]
        return places + [(grid.span(j, 0), grid.span(i, 1))] * (grid.symmetric and i != j)

    def _vouched(self, lines: list[bytes], say: Callable[[str], None]) -> set[Tile]:
        """The tiles of these lines whose numbers are those that were written."""
        found, known = set(), set(self.grid.tiles())
        last = {(int(i), int(j)): total.decode() for i, j, total, *_ in map(bytes.split, lines)}
        for tile, total in last.items():
            if tile in known and self._intact(tile, total):
                found.add(tile)
            else:
                say(f"tile {tile} is damaged and is computed again")
        return found

    def _intact(self, tile: Tile, total: str) -> bool:
        try:
            block, *mirror = [np.asarray(self._array[where]) for where in self._places(tile)]
            return _sha256(block) == total and all(
                _sha256(_mirrored(image)) == total for image in mirror
            )
        except Exception:  # zarr's, for a chunk that is cut short or whose CRC is another one
            return False

    def _erase(self, kept: set[Tile]) -> None:
        """Remove the chunks of tiles that are not vouched for, and what killed writers left."""
        for left in self._folder.glob("c/**/*.partial"):
            left.unlink(missing_ok=True)
        for i, j in set(self.grid.tiles()) - kept:
            for a, b in {(i, j), (j, i)} if self.grid.symmetric else {(i, j)}:
                rest = ["0"] * (len(self.grid.shape) - 2)
                self._folder.joinpath("c", str(a), str(b), *rest).unlink(missing_ok=True)

    def _sealed(self, line: bytes) -> bytes:
        return line + b" " + digest(self._setup + line).encode() + b" end\n"

    def _whole(self, line: bytes) -> bytes:
        """The line as it was written if it is a line of this kernel, and another text if not."""
        return self._sealed(b" ".join(line.split(b" ")[:3]))

    def _check_setup(self, vouched: bool) -> None:
        """Refuse the array of another kernel, or of an unknown one; describe it in a new folder."""
        path = self._folder / ".tiles" / "setup.txt"
        content = path.read_bytes() if os.path.lexists(path) else None
        body = None if content is None else unseal(content)
        if body == self._setup:
            return
        if body is not None:
            raise InputError(_differences(self._folder, json.loads(body), json.loads(self._setup)))
        strangers = {p.name for p in self._folder.iterdir()} - {".tiles"}
        if not vouched and (content is not None or strangers or self._journal.exists()):
            state = "missing" if content is None else "damaged"
            raise InputError(
                f"out={str(self._folder)!r}: .tiles/setup.txt is {state}, so it is not known what "
                "is there; choose another folder or delete this one."
            )
        write_atomically(path, seal(self._setup))


@contextlib.contextmanager
def open_tiles(
    folder: Path,
    grid: Grid,
    setup: dict[str, Any],
    accuracy: float | None,
    say: Callable[[str], None],
) -> Iterator[TileArray]:
    """The array in `folder`, held against other processes.

    A second one waits and finds what the first has finished. Raises `InputError` where the folder
    holds something else, or cannot be read or written.
    """
    require_zarr()
    with contextlib.ExitStack() as stack:
        with in_one_line("out", folder):
            stack.enter_context(held(folder / ".tiles", "out"))
            array = TileArray(folder, grid, setup, accuracy, say)
        yield array


def read_tiles(folder: Path) -> Any:
    """The zarr array in `folder`, to read."""
    return _open(folder, "r")


def require_zarr() -> None:
    """Refuse to begin without the extra that writes the array."""
    try:
        import zarr  # noqa: F401
    except ImportError:
        raise InputError(
            "out: the array on disk needs the extra 'zarr': pip install 'theorylab[zarr]'"
        ) from None


def _open(folder: Path, mode: Any) -> Any:
    import zarr

    return zarr.open_array(str(folder), mode=mode)


def _mend_header(folder: Path, grid: Grid, attributes: dict[str, Any]) -> None:
    """Write `zarr.json` where it is not what zarr would write now."""
    import zarr
    from zarr.codecs import Crc32cCodec

    with tempfile.TemporaryDirectory() as scratch:
        zarr.create_array(
            scratch,
            shape=grid.shape,
            chunks=tuple(max(1, n) for n in grid.chunks),
            dtype=grid.dtype,
            fill_value=float("nan"),
            compressors=[Crc32cCodec()],  # kernels do not compress
            attributes=attributes,
            zarr_format=3,
        )
        wanted = Path(scratch, "zarr.json").read_bytes()
    path = folder / "zarr.json"
    if not path.exists() or path.read_bytes() != wanted:
        write_atomically(path, wanted)


def _mirrored(block: np.ndarray) -> np.ndarray:
    """The same entries for the samples, and the outputs, the other way round."""
    return block.transpose(1, 0, *range(block.ndim - 1, 1, -1))


def _sha256(block: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(block).data).hexdigest()


def _fingerprint(setup: dict[str, Any]) -> str:
    return digest(json.dumps(setup, sort_keys=True).encode())[:16]


def _differences(folder: Path, found: dict[str, Any], given: dict[str, Any]) -> str:
    names = [name for name in sorted({*found, *given}) if found.get(name) != given.get(name)]
    told = ", ".join(
        name if name in _DIGESTS else f"{name} was {found.get(name)!r}, is {given.get(name)!r}"
        for name in names
    )
    prints = f"fingerprint {_fingerprint(found)}, this call's is {_fingerprint(given)}"
    return (
        f"out={str(folder)!r} holds another kernel ({prints}; differs in {told}); choose another "
        "folder or delete this one."
    )
