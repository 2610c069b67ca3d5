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
    futures: dict[int, Any] = {}
    waiting, started, done = _Wait(client, address, say, noun, *watch), 0, 0
    while done < len(tasks):
        most = len(tasks) if ahead is None else max(1, ahead())
        while started < len(tasks) and len(futures) < most and client.status == "running":
            futures[started] = submit(tasks[started])
            started += 1
        for number in [n for n, future in futures.items() if future.status != "pending"]:
            outcome = _outcome(futures[number])
            if isinstance(outcome, str):
                raise OperationError(outcome)
            if outcome is not None:
                del futures[number]
                done += 1
                waiting.told = time.monotonic()
                yield tasks[number], outcome
        if done < len(tasks):
            forgotten = any(future.status == "cancelled" for future in futures.values())
            waiting.look(done, len(tasks), forgotten, tasks[min(futures, default=0)])
            time.sleep(_POLL)


class _Wait:
    """Watches over work that goes on elsewhere."""

    def __init__(
        self,
        client: Any,
        address: str,
        say: Callable[[str], None],
        noun: str,
        patience: float,
        quiet: float,
    ):
        self._client, self._address, self._say, self._noun = client, address, say, noun
        self._patience, self._quiet = patience, quiet
        self.told = time.monotonic()  # when something was last finished or said
        self._alone: float | None = None  # since when the cluster lacks a part

    def look(self, done: int, total: int, forgotten: bool, first: Any) -> None:
        """Say what has not moved for a while; raise `OperationError` where nothing will."""
        now, lost = time.monotonic(), _lost(self._client, self._address)
        if not lost and forgotten:  # the scheduler is another one, and does not know this work
            self._give_up(f"the Dask scheduler at '{self._address}' was started anew", done, total)
        self._alone = (self._alone or now) if lost else None
        if self._alone is not None and now - self._alone > self._patience:
            self._give_up(lost, done, total)
        if lost and now - self.told > 5:
            self.told = now
            self._say(f"{lost}; waiting for {self._patience:g} s")
        elif self._quiet and now - self.told > self._quiet:
            self.told = now
            self._say(
                f"no {self._noun} has finished for {self._quiet:g} s; {total - done} are left, "
                f"among them {first}"
            )

    def _give_up(self, why: str, done: int, total: int) -> None:
        raise OperationError(
            f"{why}; {done} of these {total} {self._noun}s are finished and kept; mend the cluster "
            "and give the same command again"
        )


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
    gone = f"the Dask scheduler at '{address}' has gone"
    if client.status != "running":
        return gone
    try:
        # not `scheduler_info`, which a refresh in the background empties of workers now and then
        workers = client.nthreads()
    except Exception:  # it went while it was asked
        return gone
    return "" if workers else f"the Dask scheduler at '{address}' has no worker"
