"""The cache folder: one .npz for each catalogue entry.

It is checked against known checksums of the decoded arrays at every read.
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pooch

from theorylab.data.catalogue import CATALOGUE, Entry, find_entry
from theorylab.data.digests import DIGESTS
from theorylab.errors import DataError, InputError


@dataclass(frozen=True)
class Status:
    """Where a catalogue entry stands.

    Attributes:
        name: of the entry.
        cached: whether it is in the cache.
        path: of its file, there or not.
        size: bytes of the file.
        origin: the way it came.
    """

    name: str
    cached: bool
    path: Path
    size: int = 0
    origin: str = ""


def cache_dir() -> Path:
    """The folder of fetched data: $THEORYLAB_DATA if set, else the user's cache folder.

    Returns:
        A path, which need not exist yet.
    """
    given = os.environ.get("THEORYLAB_DATA")
    return Path(given).expanduser() if given else Path(pooch.os_cache("theorylab"))


def cache_path(entry: Entry) -> Path:
    """The file of an entry in the cache folder."""
    return cache_dir() / f"{entry.name}.npz"


def digest(arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over names, dtypes, shapes and bytes (C order) of the arrays.

    Args:
        arrays: name to array; they count in the order of their names.

    Returns:
        Hexadecimal digits.

    Raises:
        InputError: what is no dictionary of names and arrays.
    """
    named = isinstance(arrays, Mapping) and all(isinstance(name, str) for name in arrays)
    if not named or any(
        not isinstance(array, np.ndarray) or array.dtype.hasobject for array in arrays.values()
    ):
        raise InputError("arrays is no dictionary of names and NumPy arrays, which is needed")
    total = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name]).reshape(arrays[name].shape)
        total.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        total.update(array.tobytes())
    return total.hexdigest()


def write_npz(
    path: Path, decoded: Mapping[str, Mapping[str, np.ndarray]], origin: str, *, compress: bool
) -> None:
    """Write {data set: {array name: array}} to one file, with a note of the origin.

    The keys are "data set:array name".
    """
    flat = {
        f"{name}:{key}": array for name, arrays in decoded.items() for key, array in arrays.items()
    }
    with path.open("wb") as file:
        (np.savez_compressed if compress else np.savez)(file, **flat, origin=np.array(origin))  # type: ignore[arg-type]
        file.flush()
        os.fsync(file.fileno())


def read_npz(path: Path, name: str, expected: str) -> dict[str, np.ndarray]:
    """The arrays of data set `name` in the file.

    Raises (a `ValueError`, or what NumPy does) unless they are intact.
    """
    with np.load(path, allow_pickle=False) as archive:
        arrays = {
            key.removeprefix(f"{name}:"): archive[key]
            for key in archive.files
            if key.startswith(f"{name}:")
        }
    found = digest(arrays)
    if found != expected:
        raise ValueError(f"checksum {found[:12]}..., expected {expected[:12]}...")
    return arrays


def read_cached(name: str) -> dict[str, np.ndarray]:
    """Verified arrays of one data set from the cache.

    `DataError` names the command that mends an absent or bad one.
    """
    entry = find_entry(name)
    path = cache_path(entry)
    mend = f"run `theorylab data fetch {entry.name}`"
    if not path.exists():
        raise DataError(f"data set {name!r} is not in the cache ({path.parent}): {mend}")
    try:
        return read_npz(path, name, DIGESTS[name])
    # zipfile and NumPy raise a dozen kinds on damaged bytes, all meaning the same here
    except Exception as error:
        raise DataError(f"{path} is corrupted ({error}): {mend}, which replaces it") from error


def status(name: str) -> Status:
    """Where the entry that holds a data set stands.

    It reads no arrays: `verify` checks them.

    Args:
        name: of a data set or of an entry.

    Returns:
        A `Status`.

    Raises:
        InputError: an unknown name.
    """
    entry = find_entry(name)
    path = cache_path(entry)
    if not path.exists():
        return Status(entry.name, False, path)
    try:
        with np.load(path, allow_pickle=False) as archive:
            origin = str(archive["origin"])
    except Exception:  # as above: any damage reads the same
        origin = "unreadable"
    return Status(entry.name, True, path, path.stat().st_size, origin)


def available() -> tuple[str, ...]:
    """Names of the catalogue whose full data lie in the cache.

    Returns:
        A tuple of names.
    """
    return tuple(name for name in CATALOGUE if status(name).cached)


def verify(name: str | None = None) -> tuple[str, ...]:
    """Hash what lies in the cache.

    Args:
        name: one entry; None for all that are there.

    Returns:
        The names checked.

    Raises:
        DataError: an entry asked for by name is absent, or one is corrupted (all corrupted ones are
            named).
        InputError: an unknown name.
    """
    names = available() if name is None else (name,)
    checked, broken = [], []
    for each in names:
        entry = find_entry(each)
        try:
            for member in entry.names if each == entry.name else (each,):
                read_cached(member)
            checked.append(each)
        except DataError as error:
            broken.append(str(error))
    if broken:
        raise DataError("; ".join(broken))
    return tuple(checked)
