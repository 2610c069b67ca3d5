"""A folder of results that many processes may share.

Files are written atomically, and every byte read back is checked against its digest.

A result is one file: a line with the SHA-256 of the rest, a line of JSON (what the cell was and how
it was made), then the arrays as NumPy's `.npz`. Nothing is ever unpickled, and a file counts only
under the name that it was written to.
"""

import contextlib
import errno
import hashlib
import io
import json
import os
import socket
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from theorylab.errors import OperationError
from theorylab.files import write_atomically
from theorylab.lab.experiment import Row

_MAGIC = b"theorylab-result-2 "


class DamagedResult(Exception):
    """A stored file is truncated, altered or another cell's: it must be computed again."""


class Store:
    """A folder of results, keyed by (paper, experiment, key).

    `key` is a digest made by the runner.

    Args:
        folder: where it lies; made at the first write.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     store = Store(folder)
        ...     store.write("paper", "squares", "key", Row({"x": 3}, {"y": np.array(9)}))
        ...     found = store.read("paper", "squares", "key")
        >>> found.cell, int(found["y"])
        ({'x': 3}, 9)
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)

    def path(self, paper: str, experiment: str, key: str) -> Path:
        """The file of one result."""
        return self.folder / paper / experiment / f"{key}.result"

    def lock_path(self, paper: str, experiment: str, key: str) -> Path:
        """The file whose lock is held while a result is computed."""
        return self.folder / ".locks" / f"{paper}-{experiment}-{key}.lock"

    @contextlib.contextmanager
    def lock(
        self,
        paper: str,
        experiment: str,
        key: str,
        *,
        wait: bool,
        say: Callable[[str], None] = lambda _: None,
    ) -> Iterator[bool]:
        """Hold the lock of one cell while it is computed.

        The system frees it when the process dies.

        Yields whether it is held: False, at once, when `wait` is false and another process holds
        it. `say` is told who is waited for, again every minute that it is somebody else, and every
        ten minutes.
        """
        path = self.lock_path(paper, experiment, key)
        owner = path.with_suffix(".owner")
        with _operation(path, "lock"):
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(path)
            held = _try(lock, 0)
        said: tuple[str, float] | None = None
        while wait and not held:
            who = _owner(owner)
            if said is None or who != said[0] or time.monotonic() - said[1] > 600:
                said = who, time.monotonic()
                say(who)
            with _operation(path, "lock"):
                held = _try(lock, 60)
        if not held:
            yield False
            return
        try:
            note = {
                "pid": os.getpid(),
                "host": socket.gethostname(),
                "since": time.strftime("%Y-%m-%d %H:%M:%S"),
            }
            # a note for those who wait: the lock holds without it
            with contextlib.suppress(OSError):
                owner.write_text(json.dumps(note))
            yield True
        finally:
            with contextlib.suppress(OSError):
                owner.unlink(missing_ok=True)
            lock.release()

    def write(self, paper: str, experiment: str, key: str, row: Row) -> None:
        """Keep a row. Raises `OperationError` when the disk does not take it."""
        payload = io.BytesIO()
        np.savez(payload, **row.arrays)  # type: ignore[arg-type]
        head = json.dumps(
            {
                "cell": dict(row.cell),
                "meta": dict(row.meta),
                "paper": paper,
                "experiment": experiment,
                "key": key,
            }
        )
        body = head.encode() + b"\n" + payload.getvalue()
        digest = hashlib.sha256(body).hexdigest().encode()
        path = self.path(paper, experiment, key)
        with _operation(path, "write"):
            write_atomically(path, _MAGIC + digest + b"\n" + body)

    def read(self, paper: str, experiment: str, key: str) -> Row | None:
        """The stored row, None when there is none.

        Raises `DamagedResult` when the file is not what was written for this cell, `OperationError`
        when the system does not let it be read.
        """
        path = self.path(paper, experiment, key)
        try:
            with _operation(path, "read"):
                if not stat.S_ISREG(path.stat().st_mode):  # a pipe would be waited for
                    raise OSError(errno.EINVAL, "it is no regular file", str(path))
                content = path.read_bytes()
        except FileNotFoundError:
            return None
        start = len(_MAGIC) + 64 + 1
        digest, body = content[len(_MAGIC) : start - 1], content[start:]
        if not content.startswith(_MAGIC) or hashlib.sha256(body).hexdigest().encode() != digest:
            raise DamagedResult(f"{path}: {_damage(content)}")
        head, _, payload = body.partition(b"\n")
        try:
            record: Mapping[str, Any] = json.loads(head)
            found = record["paper"], record["experiment"], record["key"]
            if found == (paper, experiment, key):
                with np.load(io.BytesIO(payload), allow_pickle=False) as arrays:
                    return Row(record["cell"], dict(arrays), record["meta"])
        # NumPy, zipfile and json raise a dozen kinds on bytes that are not theirs
        except Exception as error:
            raise DamagedResult(f"{path}: not a result file ({type(error).__name__})") from None
        raise DamagedResult(
            f"{path}: it is the result of another cell, {'/'.join(map(str, found))}"
        )

    def discard(self, paper: str, experiment: str, key: str) -> None:
        """Remove one result, if it is there."""
        path = self.path(paper, experiment, key)
        with _operation(path, "remove"):
            path.unlink(missing_ok=True)


def _try(lock: FileLock, seconds: float) -> bool:
    try:
        lock.acquire(timeout=seconds)
    except Timeout:
        return False
    return True


def _owner(note: Path) -> str:
    """Who holds a lock, in words."""
    try:
        told = json.loads(note.read_text())
        return f"process {told['pid']} on {told['host']} (since {told['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


@contextlib.contextmanager
def _operation(path: Path, what: str) -> Iterator[None]:
    """Turn what the system refuses into one line that names the file.

    An absent file stays `FileNotFoundError`.
    """
    try:
        yield
    except FileNotFoundError:
        if what == "read":
            raise
        raise OperationError(f"cannot {what} {path}: its folder has gone; run it again") from None
    except (OSError, NotImplementedError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OperationError(
            f"cannot {what} {path}: {reason}; mend it or give another --store; finished cells are "
            "kept"
        ) from error


def _damage(content: bytes) -> str:
    if content.startswith(b"theorylab-result-") and not content.startswith(_MAGIC):
        return "it was written by another version"
    return (
        "not a result file"
        if not content.startswith(_MAGIC)
        else "its checksum is wrong (truncated or altered)"
    )
