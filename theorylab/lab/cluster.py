"""Computes cells on a Dask cluster whose workers have our code."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import theorylab
from theorylab.cluster import PATIENCE, changed, connected, gather, inspect, refusal
from theorylab.lab.compute import compute
from theorylab.lab.experiment import Arrays, Cell, Experiment, Row
from theorylab.lab.fingerprint import differing, module_digests
from theorylab.lab.syntax import file_of
from theorylab.lab.watchdog import patience, watched


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
    files = {name: file_of(name, name.split(".")[0]) for name, _ in expected}
    name = changed({name: path for name, path in files.items() if path is not None})
    return f"{name} has changed since it started" if name else ""


def remote(
    name: str,
    version: str,
    expected: tuple[tuple[str, str], ...],
    experiment: Experiment,
    cell: Cell,
    upstream: Mapping[str, Arrays],
) -> Row | str:
    """Compute one cell on a worker; a text when the worker's code is not ours."""
    wrong = objection(version, expected)
    if wrong:
        return refusal(wrong)
    return watched(name, lambda: compute(experiment, cell, upstream))


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
    version = theorylab.__version__
    with connected(address, "use --executor here") as client:
        expected = {t.key: tuple(sorted(module_digests(t.experiment.run).items())) for t in tasks}
        for digests in set(expected.values()):
            inspect(client, objection, version, digests)

        def submit(task: Any) -> Any:
            digests = expected[task.key]
            cell = task.experiment, task.cell, upstream(task)
            return client.submit(
                remote, str(task), version, digests, *cell, pure=False, key=task.key
            )

        watch = PATIENCE, patience()
        yield from gather(client, address, tasks, submit, say=say, noun="cell", watch=watch)
