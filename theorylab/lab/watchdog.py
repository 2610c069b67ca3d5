"""Says which cell makes no progress, and where it stands, without stopping it."""

import contextlib
import faulthandler
import math
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

from theorylab.errors import InputError

VARIABLE = "THEORYLAB_WATCHDOG"
DEFAULT = 600.0
T = TypeVar("T")


def patience() -> float:
    """Seconds after which a cell is asked where it stands.

    THEORYLAB_WATCHDOG sets them: 600 without it, 0 for never.
    """
    given = os.environ.get(VARIABLE, "")
    try:
        seconds = float(given) if given.strip() else DEFAULT
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < 1e8:
        raise InputError(f"{VARIABLE}={given}: give seconds, for example 600, or 0 for never")
    return seconds


def watched(name: str, work: Callable[[], T]) -> T:
    """Run `work` and say where it stands whenever it has run for a while.

    Every `patience()` seconds until it ends, its name and all stacks go to standard error.

    The stacks are written by a thread of C, so that a computation that never gives the interpreter
    back is seen too; such a one cannot be told of by a thread of Python, and therefore its stack
    ends in a frame of this name.
    """
    with _armed(name, patience()):
        return _under(name, work)


def _under(name: str, work: Callable[[], T]) -> T:
    def frame() -> T:
        return work()

    frame.__code__ = frame.__code__.replace(co_name=name, co_qualname=name)
    return frame()


@contextlib.contextmanager
def _armed(name: str, seconds: float) -> Iterator[None]:
    stream = sys.__stderr__
    try:
        writable = stream is not None and stream.fileno() >= 0
    except (AttributeError, OSError, ValueError):
        writable = False
    if not seconds or stream is None or not writable:
        yield
        return
    done = threading.Event()

    def tell() -> None:
        waited = 0.0
        while not done.wait(seconds):
            waited += seconds
            with contextlib.suppress(OSError, ValueError):
                print(
                    (
                        f"theorylab: {name} has been computing for {waited:g} s ({VARIABLE}); "
                        "where it stands:"
                    ),
                    file=stream,
                    flush=True,
                )

    threading.Thread(target=tell, daemon=True, name="theorylab watchdog").start()
    # after the line that names it
    faulthandler.dump_traceback_later(seconds + 0.05, repeat=True, file=stream)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        done.set()
