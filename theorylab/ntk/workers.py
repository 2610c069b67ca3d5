"""Threads for NumPy's products: one per core, each with one BLAS thread and its own memory.

Products of a few hundred rows leave a threaded BLAS waiting, and copies between them use one core;
whole pieces of work, one a thread, use all.
"""

import ctypes
import functools
import math
import mmap
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

# BLAS's number of threads is the process's: one caller at a time sets it
_LIMITED = threading.Lock()


class Scratch:
    """Memory of one thread by name, used over and over.

    Fresh pages would cost as much as the products. It is mapped, not allocated: an allocator keeps
    what a thread has freed, for that thread.
    """

    def __init__(self) -> None:
        self.raw: dict[str, np.ndarray] = {}

    def take(self, name: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """An array of undefined values, until the next one of that name."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if name not in self.raw or self.raw[name].size < size:
            self.raw[name] = np.frombuffer(mmap.mmap(-1, max(size, 1)), np.uint8)
        return self.raw[name][:size].view(dtype).reshape(shape)


Unit = Callable[[Scratch], None]


def workers() -> int:
    """Threads at work: the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory() -> list[Scratch]:
    """Scratch memory for every thread."""
    return [Scratch() for _ in range(workers())]


def share(units: list[Unit], memory: list[Scratch]) -> None:
    """Run all units, each once, in any order, in as many threads as there is scratch memory for."""
    todo = units[::-1]

    # who asks for the result looks for what is not finite
    @np.errstate(invalid="ignore", over="ignore")
    def work(scratch: Scratch) -> None:
        while todo:
            try:
                unit = todo.pop()
            except IndexError:  # another thread took the last one
                return
            unit(scratch)

    threads = memory[: len(units)]
    if len(threads) < 2:
        return work(memory[0])
    with _LIMITED, _controller().limit(limits=1):
        others = [_pool(os.getpid(), workers()).submit(work, scratch) for scratch in threads[1:]]
        try:
            work(threads[0])
        finally:
            wait(others)
        for done in others:
            done.result()


@functools.cache
def _pool(process: int, size: int) -> ThreadPoolExecutor:
    """Threads that wait for the next work.

    To start some costs as much as a small kernel. A fork has none of them.
    """
    return ThreadPoolExecutor(size)


def release() -> None:
    """Give what was freed back to the system.

    An allocator keeps it, thread by thread, and asks for more elsewhere.
    """
    trim = _trim()
    if trim is not None:
        trim(0)


@functools.cache
def _trim() -> Any:
    """The C library's function for it; there is one on Linux, in glibc."""
    try:
        return ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):
        return None


@functools.cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()
