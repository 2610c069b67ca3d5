"""Work on an existing Dask cluster.

Only workers that have our code compute, and nothing is waited for in silence.
"""

import contextlib
import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from theorylab.errors import InputError, OperationError

PATIENCE = 30.0  # seconds without a worker, or without the scheduler, after which work ends
_POLL = 0.1
_CLOCK = 2.0  # seconds by which the time that a process started at may be told wrong

T = TypeVar("T")


def changed(modules: Mapping[str, Path]) -> str:
    """The first of these modules whose file has changed since this process started; "" for none.

    What runs here is then not what is written.
    """
    import psutil  # a dependency of distributed

    started = psutil.Process().create_time()
    for name, path in modules.items():
        if name in sys.modules and path.stat().st_mtime > started + _CLOCK:
            return name
    return ""


def refusal(wrong: str) -> str:
    """What this process, a worker, answers when it must not compute."""
    from distributed import get_worker

    return _refusal(get_worker().address, wrong)


def _refusal(address: str, wrong: str) -> str:
    return f"Dask worker {address} is refused: {wrong}; give it this code and start it again"


@contextlib.contextmanager
def connected(address: str, otherwise: str) -> Iterator[Any]:
    """A client of the scheduler at `address`, or of a cluster of this machine's cores ("local").

    Raises `InputError` where there is none; `otherwise` says what the caller can do without one.
    """
    client = _connect(address, otherwise)
    try:
        yield client
    finally:
        with contextlib.suppress(Exception):
            client.close(timeout=5)
        if address == "local":
            with contextlib.suppress(Exception):
                client.cluster.close(timeout=10)


def _connect(address: str, otherwise: str) -> Any:
    try:
        from distributed import Client
    except ImportError:
        raise InputError(
            "a dask executor needs the extra 'cluster': pip install 'theorylab[cluster]'"
        ) from None
    for name in (
        "distributed",
        *(n for n in logging.root.manager.loggerDict if n.startswith("distributed.")),
    ):
        # what it logs on a loss is told here in one line
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        if address == "local":
            return Client(threads_per_worker=1, silence_logs=logging.CRITICAL)
        return Client(address, timeout=10)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"no Dask scheduler at '{address}' ({reason}); start one or {otherwise}"
        ) from None


def inspect(client: Any, objection: Callable[..., str], *expected: Any) -> None:
    """Ask every worker `objection(*expected)`: why it must not compute, or "".

    Raises `OperationError` with the first that has a reason, or that cannot even be asked.
    """
    for worker, wrong in client.run(objection, *expected, on_error="return").items():
        if isinstance(wrong, Exception):
            wrong = f"it cannot run this code ({type(wrong).__name__}: {wrong})"
        if wrong:
            raise OperationError(_refusal(worker, wrong))


def gather(
    client: Any,
    address: str,
    tasks: Sequence[T],
    submit: Callable[[T], Any],
    *,
    say: Callable[[str], None],
    noun: str,
    watch: tuple[float, float],
    ahead: Callable[[], int] | None = None,
) -> Iterator[tuple[T, Any]]:
    """Each task with the result of its future, or with what it raised, as they finish.

    `submit` makes the future; `ahead` says how many of them may be under way at once (None: all). A
    result that is a text is a worker's refusal. `noun` is what a task is called, and `watch` has
    the seconds after which a cluster without workers or scheduler is given up, and those after
    which work in which nothing finishes is told of (0: never). Raises `OperationError` for a
    refusal and for a cluster that is given up.
    """
    patience, quiet = watch
    futures: dict[int, Any] = {}
    told, started, done = time.monotonic(), 0, 0
    alone: float | None = None  # since when the cluster lacks a part
    while done < len(tasks):
        most = len(tasks) if ahead is None else max(1, ahead())
        while started < len(tasks) and len(futures) < most:
            futures[started] = submit(tasks[started])
            started += 1
        for number in [n for n, future in futures.items() if future.status != "pending"]:
            outcome = _outcome(futures[number])
            if outcome is None:
                continue
            if isinstance(outcome, str):
                raise OperationError(outcome)
            told, done = time.monotonic(), done + 1
            del futures[number]
            yield tasks[number], outcome
        if done == len(tasks):
            return
        lost = _lost(client, address)
        alone = (time.monotonic() if alone is None else alone) if lost else None
        if alone is not None and time.monotonic() - alone > patience:
            kept = f"{done} of these {len(tasks)} {noun}s are finished and kept"
            raise OperationError(
                f"{lost}; {kept}; mend the cluster and give the same command again"
            )
        if lost and time.monotonic() - told > 5:
            told = time.monotonic()
            say(f"{lost}; waiting for {patience:g} s")
        elif quiet and time.monotonic() - told > quiet:
            told = time.monotonic()
            say(
                f"no {noun} has finished for {quiet:g} s; {len(tasks) - done} are left, among them "
                f"{tasks[min(futures)]}"
            )
        time.sleep(_POLL)


def _outcome(future: Any) -> Any:
    """What a future that is no longer pending holds.

    None when its result was lost with its worker.
    """
    if future.status == "error":
        error = future.exception(timeout=10)
        return error if isinstance(error, Exception) else RuntimeError(repr(error))
    if future.status == "finished":
        with contextlib.suppress(Exception, TimeoutError):
            return future.result(timeout=60)
    return None


def _lost(client: Any, address: str) -> str:
    """What is missing of the cluster, in words."""
    if client.status != "running":
        return f"the Dask scheduler at '{address}' has gone"
    workers = client.scheduler_info().get("workers", {})
    return "" if workers else f"the Dask scheduler at '{address}' has no worker"
