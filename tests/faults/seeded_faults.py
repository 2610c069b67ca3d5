"""Faults of files, drawn from a seed, and what a user gets afterwards."""

import collections
import contextlib
import errno
import io
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from theorylab.errors import InputError


def outcome(result: Callable[[], np.ndarray], right: np.ndarray, folder: Path) -> str:
    """What a user gets who asks for the result."""
    try:
        found = result()
    except InputError as error:
        return (
            "refused in one line"
            if "\n" not in str(error) and str(folder) in str(error)
            else "refused unclearly"
        )
    except Exception as error:
        return f"traceback {type(error).__name__}"
    return "right" if np.array_equal(found, right) else "silently wrong"


def damage(path: Path, foreign: Path, draw: random.Random) -> str:
    """One fault on a file; `foreign` is its counterpart in the folder of another function. Returns
    the kind."""
    kind = draw.choice(
        ("flip", "flip", "truncate", "delete", "duplicate", "append", "zeros", "swap", "directory")
    )
    content = path.read_bytes() if path.is_file() else b""
    place, end = sorted((draw.randrange(len(content) + 1), draw.randrange(len(content) + 1)))
    if kind in ("delete", "directory"):
        path.unlink(missing_ok=True) if not path.is_dir() else None
        if kind == "directory":
            path.mkdir(exist_ok=True)
    elif path.is_dir():
        return "directory"
    elif kind == "swap":
        path.unlink(missing_ok=True)
        if foreign.exists():
            shutil.copy(foreign, path)
    else:
        flipped = bytearray(content or b"\0")
        flipped[draw.randrange(len(flipped))] ^= 1 << draw.randrange(8)
        path.write_bytes(
            {
                "flip": bytes(flipped),
                "truncate": content[:place],
                "duplicate": content[:end] + content[place:],
                "append": content + draw.randbytes(draw.randrange(1, 200)),
                "zeros": content[:place] + bytes(end - place) + content[end:],
            }[kind]
        )
    return kind


def report(counts: collections.Counter, capsys: pytest.CaptureFixture) -> None:
    with capsys.disabled():
        print(
            *(
                f"\n  {number:4d} {kind}: {found}"
                for (kind, found), number in sorted(counts.items())
            ),
            flush=True,
        )
    assert {found for _, found in counts} <= {"right", "refused in one line"}


@contextlib.contextmanager
def full_after(calls: int, draw: random.Random, journal: Any = None) -> Iterator[None]:
    """A disk on which this number of writes succeeds.

    What module `journal` opens gets a part of a line before."""
    left = iter(range(calls))

    def guarded(function: Callable) -> Callable:
        def call(*arguments: Any, **options: Any) -> Any:
            if next(left, None) is None:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return function(*arguments, **options)

        return call

    class Journal(io.FileIO):
        def write(self, line: Any) -> int:
            if next(left, None) is None:
                super().write(line[: draw.randrange(len(line))])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return super().write(line)

    with pytest.MonkeyPatch.context() as patch:
        for name in ("posix_fallocate", "pwrite", "fsync", "replace", "mkdir"):
            patch.setattr(os, name, guarded(getattr(os, name)))
        if journal is not None:
            patch.setattr(journal, "open", lambda path, mode: Journal(path, mode), raising=False)
        yield
