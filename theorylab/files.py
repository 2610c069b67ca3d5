"""Files that survive crashes, damage and company.

They are written as a whole, sealed by a digest, in folders that one process holds.
"""

import contextlib
import hashlib
import json
import logging
import os
import re
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from theorylab.errors import InputError

_SEAL = b"sha256 "
_TEMPORARY = re.compile(r"\..+\.[a-z0-9_]{8}\.tmp")
_log = logging.getLogger(__name__)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a reader, or a crash at any moment, sees the old content or the new.

    Nobody ever sees a part.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno is not None:
            # a full disk names no file, and the temporary one says nothing
            error.filename = str(path)
        raise


def sweep_temporaries(folder: Path, older_than: float = 3600.0) -> None:
    """Remove what writers left in `folder` that were killed in the middle of `write_atomically`.

    A file that was last written to `older_than` seconds ago has no writer any more. Who holds the
    folder may say 0.
    """
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        # another sweeper was faster, or its writer has finished
        with contextlib.suppress(FileNotFoundError):
            if _TEMPORARY.fullmatch(path.name) and time.time() - path.stat().st_mtime >= older_than:
                path.unlink()


def digest(content: bytes) -> str:
    """SHA-256 in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def seal(body: bytes) -> bytes:
    """The content with its digest in a line before it."""
    return _SEAL + digest(body).encode() + b"\n" + body


def unseal(content: bytes) -> bytes | None:
    """What was sealed; None where a single bit of it, or of the seal, is another one now."""
    body = content[len(_SEAL) + 65 :]
    return body if content == seal(body) else None


def read_text(path: Path, what: str) -> str:
    """The text of a regular file that a user named.

    Raises `InputError`, saying `what` is needed, for anything else.
    """
    try:
        if not path.exists():
            raise InputError(f"{path}: no such file; give {what}")
        if not path.is_file():  # a pipe or a device would be waited for
            raise InputError(f"{path} is no regular file; give {what}")
        return path.read_bytes().decode()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); give {what}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not text; give {what}") from None


def seal_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record with the digest of all the rest under "sha256"."""
    rest = {k: v for k, v in record.items() if k != "sha256"}
    return {**rest, "sha256": digest(json.dumps(rest, sort_keys=True).encode())}


def intact_record(record: Any, *, sealed: bool = True) -> bool:
    """Whether a record read from JSON is what was sealed.

    Without its digest it passes only where `sealed` is false.
    """
    if not isinstance(record, dict):
        return False
    return seal_record(record)["sha256"] == record["sha256"] if "sha256" in record else not sealed


def require_writable(folder: Path, option: str) -> None:
    """Raise `InputError`, naming the option, if files cannot be created in `folder`.

    It leaves nothing behind.
    """
    parent = folder
    try:
        while not parent.exists():
            if parent.is_symlink():
                raise InputError(f"{option} {folder}: {parent} is a link to nothing; give a folder")
            parent = parent.parent
        if not parent.is_dir():
            raise InputError(f"{option} {folder}: {parent} is a file; give a folder")
        with tempfile.TemporaryFile(dir=parent):
            pass
    except OSError as error:
        raise InputError(
            f"{option} {folder}: cannot write there ({error.strerror}); give another folder"
        ) from None


@contextlib.contextmanager
def in_one_line(option: str, folder: Path) -> Iterator[None]:
    """Turn an error of the file system into an `InputError` with the option and the folder."""
    try:
        yield
    except OSError as error:
        what = error.strerror or str(error)
        where = "" if error.filename is None else f" ({error.filename})"
        raise InputError(
            f"{option}={str(folder)!r}: {what}{where}; mend that or give another folder. What was "
            "finished is kept"
        ) from None


@contextlib.contextmanager
def held(folder: Path, option: str, patience: float = 5.0) -> Iterator[None]:
    """Hold `folder` against every other process and thread that asks for it here.

    It is made where it is missing.

    Waits for the one that holds it, and says so after `patience` seconds and every minute from then
    on; Ctrl-C ends the wait. The system frees the folder when its holder dies.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock, holder = FileLock(folder / ".lock"), folder / ".holder"
    while True:
        try:
            lock.acquire(timeout=patience, poll_interval=0.05)
            break
        except Timeout:
            patience, process = 60.0, "of unknown number"
            with contextlib.suppress(OSError, ValueError):
                process = str(int(holder.read_bytes()))
            _log.warning(
                "%s=%r: waiting for process %s, which works there; Ctrl-C stops",
                option,
                str(folder),
                process,
            )
    try:
        holder.write_text(str(os.getpid()))
        yield
    finally:
        lock.release()
