"""Computes cells on a Dask cluster.

Only workers that have our code compute, and nothing is waited for in silence.
"""

import contextlib
import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import theorylab
from theorylab.errors import InputError, OperationError
from theorylab.lab.compute import compute
from theorylab.lab.experiment import Arrays, Cell, Experiment, Row
from theorylab.lab.fingerprint import differing, module_digests
from theorylab.lab.syntax import file_of
from theorylab.lab.watchdog import patience, watched

PATIENCE = 30.0  # seconds without a worker, or without the scheduler, after which a run ends
_POLL = 0.1
_CLOCK = 2.0  # seconds by which the time that a process started at may be told wrong


def objection(version: str, expected: tuple[tuple[str, str], ...]) -> str:
    """Why this process must not compute for one with these digests of modules, in words.

    The text is empty when it may.
    """
    if theorylab.__version__ != version:
        return f"it has theorylab {theorylab.__version__}, this is {version}"
    return _objection(expected)


@cache
def _objection(expected: tuple[tuple[str, str], ...]) -> str:
    wrong = differing(dict(expected))
    if wrong:
        more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        return f"its {wrong[0]}{more} differs from ours, or it has none"
    import psutil  # a dependency of distributed

    started = psutil.Process().create_time()
    for name, _ in expected:
        path = file_of(name, name.split(".")[0])
        if path is not None and name in sys.modules and path.stat().st_mtime > started + _CLOCK:
            return f"{name} has changed since it started"
    return ""


def remote(
    name: str,
    version: str,
    expected: tuple[tuple[str, str], ...],
    experiment: Experiment,
    cell: Cell,
    upstream: Mapping[str, Arrays],
) -> Row | str:
    """Compute one cell on a worker; a text when the worker's code is not ours."""
    from distributed import get_worker

    wrong = objection(version, expected)
    if wrong:
        return _refusal(get_worker().address, wrong)
    return watched(name, lambda: compute(experiment, cell, upstream))


def _refusal(address: str, wrong: str) -> str:
    return f"Dask worker {address} is refused: {wrong}; give it this code and start it again"


def _connect(address: str) -> Any:
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
            f"no Dask scheduler at '{address}' ({reason}); start one or use --executor here"
        ) from None


def execute(
    address: str,
    tasks: Sequence[Any],
    upstream: Callable[[Any], Mapping[str, Arrays]],
    say: Callable[[str], None],
) -> Iterator[tuple[Any, Row | Exception]]:
    """Each task with its row, or with what it raised, as they finish.

    Raises `OperationError` when a worker has other code, when the scheduler is lost, and when no
    worker is left.
    """
    client = _connect(address)
    try:
        expected = {t.key: tuple(sorted(module_digests(t.experiment.run).items())) for t in tasks}
        _inspect(client, set(expected.values()))
        version = theorylab.__version__
        futures = {
            t.key: client.submit(
                remote,
                str(t),
                version,
                expected[t.key],
                t.experiment,
                t.cell,
                upstream(t),
                pure=False,
                key=t.key,
            )
            for t in tasks
        }
        yield from _gather(client, address, {t.key: t for t in tasks}, futures, say)
    finally:
        with contextlib.suppress(Exception):
            client.close(timeout=5)
        if address == "local":
            with contextlib.suppress(Exception):
                client.cluster.close(timeout=10)


def _inspect(client: Any, expected: set[tuple[tuple[str, str], ...]]) -> None:
    for digests in expected:
        answers = client.run(objection, theorylab.__version__, digests, on_error="return")
        for worker, wrong in answers.items():
            if isinstance(wrong, Exception):
                wrong = f"it cannot run this code ({type(wrong).__name__}: {wrong})"
            if wrong:
                raise OperationError(_refusal(worker, wrong))


def _gather(
    client: Any,
    address: str,
    waiting: dict[str, Any],
    futures: Mapping[str, Any],
    say: Callable[[str], None],
) -> Iterator[tuple[Any, Row | Exception]]:
    total, told, seconds = len(waiting), time.monotonic(), patience()
    alone: float | None = None  # since when the cluster lacks a part
    while waiting:
        ready = [key for key in waiting if futures[key].status != "pending"]
        for key in ready:
            outcome = _outcome(futures[key])
            if outcome is None:
                continue
            if isinstance(outcome, str):
                raise OperationError(outcome)
            told = time.monotonic()
            yield waiting.pop(key), outcome
        if not waiting:
            return
        lost = _lost(client, address)
        alone = (time.monotonic() if alone is None else alone) if lost else None
        if alone is not None and time.monotonic() - alone > PATIENCE:
            kept = f"{total - len(waiting)} of these {total} cells are finished and kept"
            raise OperationError(
                f"{lost}; {kept}; mend the cluster and give the same command again"
            )
        if lost and time.monotonic() - told > 5:
            told = time.monotonic()
            say(f"{lost}; waiting for {PATIENCE:g} s")
        elif seconds and time.monotonic() - told > seconds:
            told = time.monotonic()
            first = next(iter(waiting.values()))
            say(
                f"no cell has finished for {seconds:g} s; {len(waiting)} are left, among them "
                f"{first}"
            )
        time.sleep(_POLL)


def _outcome(future: Any) -> Row | str | Exception | None:
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
