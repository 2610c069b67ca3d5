"""A folder of results. Atomic, shared by processes, and every byte read back is checked against its digest.

A result is one file: a line with the SHA-256 of the rest, a line of JSON (what the cell was and how it was made), then
the arrays as NumPy's `.npz`. Nothing is ever unpickled.
"""

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from theorylab.files import require_writable as require_writable
from theorylab.files import write_atomically
from theorylab.lab.experiment import Row

_MAGIC = b"theorylab-result-1 "


class DamagedResult(Exception):
    """A stored file is truncated or altered: it must be computed again."""


class Store:
    """Results keyed by (paper, experiment, key); `key` is a digest made by the runner."""

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)

    def path(self, paper: str, experiment: str, key: str) -> Path:
        return self.folder / paper / experiment / f"{key}.result"

    def lock(self, paper: str, experiment: str, key: str) -> FileLock:
        """A lock that one process holds while it computes this cell; the system frees it when the process dies."""
        path = self.folder / ".locks" / f"{paper}-{experiment}-{key}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(path)

    def write(self, paper: str, experiment: str, key: str, row: Row) -> None:
        payload = io.BytesIO()
        np.savez(payload, **row.arrays)  # type: ignore[arg-type]
        head = json.dumps({"cell": dict(row.cell), "meta": dict(row.meta), "paper": paper, "experiment": experiment})
        body = head.encode() + b"\n" + payload.getvalue()
        digest = hashlib.sha256(body).hexdigest().encode()
        write_atomically(self.path(paper, experiment, key), _MAGIC + digest + b"\n" + body)

    def read(self, paper: str, experiment: str, key: str) -> Row | None:
        """The stored row, None when there is none. Raises `DamagedResult` when the file is not what was written."""
        path = self.path(paper, experiment, key)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        start = len(_MAGIC) + 64 + 1
        digest, body = content[len(_MAGIC) : start - 1], content[start:]
        if not content.startswith(_MAGIC) or hashlib.sha256(body).hexdigest().encode() != digest:
            raise DamagedResult(f"{path}: {_damage(content)}")
        head, _, payload = body.partition(b"\n")
        record: Mapping[str, Any] = json.loads(head)
        with np.load(io.BytesIO(payload), allow_pickle=False) as arrays:
            return Row(record["cell"], dict(arrays), record["meta"])

    def discard(self, paper: str, experiment: str, key: str) -> None:
        self.path(paper, experiment, key).unlink(missing_ok=True)


def _damage(content: bytes) -> str:
    return "not a result file" if not content.startswith(_MAGIC) else "its checksum is wrong (truncated or altered)"
