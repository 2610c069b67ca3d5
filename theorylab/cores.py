"""Independent calls of compiled functions, spread over the cores of a CPU.

XLA runs one program after the other and splits each operation over the cores. Operations on some
hundred kilobytes gain little by that: two programs called from two threads of Python, which give up
its lock while they run, finish in half the time.
"""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import jax

T = TypeVar("T")
R = TypeVar("R")


def parallel_map(
    function: Callable[[T], R], items: Iterable[T], *, threads: int | None = None
) -> list[R]:
    """The list `[function(item) for item in items]`, on CPU from as many threads as cores.

    Use it for independent calls of compiled functions on some hundred kilobytes. Large operations
    use all cores by themselves, and small ones belong into one program (`jax.vmap`). Not under a
    transformation of JAX (jit, vmap, grad). Each result is waited for. On accelerators, which queue
    their work themselves, and with one thread the items are taken one after the other without
    waiting. The caller's 64-bit mode, matmul precision and default device hold inside. The
    exception of the first item that raises one is raised.

    Programs that call LAPACK on batches could wait for each other for ever. `theorylab.linalg` has
    calls that do not; `linalg.waiting_calls` finds the others in a function of the caller's: give
    `threads=1` for these.

    Args:
        function: what is done with each item.
        items: the items, in order.
        threads: how many at most; None for the number of cores.

    Returns:
        The results, in the order of the items.
    """
    waiting = list(items)
    count = min(threads or available_cores(), len(waiting))
    if count < 2 or jax.default_backend() != "cpu":
        return [function(item) for item in waiting]
    wide, precision, device = (
        getattr(jax.config, f"jax_{name}")
        for name in ("enable_x64", "default_matmul_precision", "default_device")
    )

    def call(item: T) -> R:  # settings made by a context manager are a thread's own
        with (
            jax.enable_x64(wide),
            jax.default_matmul_precision(precision),
            jax.default_device(device),
        ):
            return jax.block_until_ready(function(item))

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(call, waiting))


def available_cores() -> int:
    """Number of cores that this process may use.

    Returns:
        A whole number of at least 1.
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
