"""Runs the cells that are not in the store yet, here or on a Dask cluster, and hands back all results.

A cell's key is a digest of the paper, the experiment, the cell, the code fingerprint and the keys of the cells that it
needs: change any of them and it is computed again, change none and it never is. A run that is stopped, even by `kill
-9`, loses the cells in flight and nothing else.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from filelock import Timeout
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from theorylab.errors import DataError, InputError
from theorylab.lab import provenance
from theorylab.lab.experiment import Arrays, Cell, Experiment, Preset, Results, Row, canonical
from theorylab.lab.fingerprint import fingerprint
from theorylab.lab.paper import Paper
from theorylab.lab.store import DamagedResult, Store


class CellError(RuntimeError):
    """A cell failed; the message names the paper, the experiment and the cell, the cause is chained."""


@dataclass(frozen=True)
class Task:
    """One cell with its key and the tasks whose results it is handed."""

    paper: str
    experiment: Experiment
    cell: Cell
    key: str
    needs: Mapping[str, "Task"] = field(default_factory=dict)

    @property
    def place(self) -> tuple[str, str, str]:
        return self.paper, self.experiment.name, self.key

    @property
    def depth(self) -> int:
        return 1 + max((t.depth for t in self.needs.values()), default=-1)

    def __str__(self) -> str:
        return f"{self.paper}/{self.experiment.name} {canonical(self.cell)}"


def make_task(paper: Paper, name: str, cell: Cell) -> Task:
    """The task of one cell, with the tasks that it needs."""
    experiment = paper.experiment(name)
    needs = {kw: make_task(paper, *wanted) for kw, wanted in experiment.needs(cell).items()}
    parts = [paper.slug, name, canonical(cell), fingerprint(experiment.run)]
    parts += [f"{kw}={task.key}" for kw, task in sorted(needs.items())]
    return Task(paper.slug, experiment, dict(cell), hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32], needs)


def compute(experiment: Experiment, cell: Cell, upstream: Mapping[str, Arrays]) -> Row:
    """Run one cell. Raises `ValueError` for non-finite arrays that the experiment does not declare."""
    start = time.perf_counter()
    arrays = {name: np.asarray(a) for name, a in experiment.run(**cell, **upstream).items()}
    for name, array in arrays.items():
        if array.dtype == object:
            raise ValueError(f"array {name!r} holds Python objects; a cell returns numbers, booleans or text")
        bad = np.issubdtype(array.dtype, np.inexact) and not np.isfinite(array).all()
        if bad and name not in experiment.nonfinite:
            raise ValueError(f"array {name!r} has NaN or infinite entries, which the experiment does not declare")
    meta = {"seconds": time.perf_counter() - start, "device": provenance.device(), "versions": provenance.versions()}
    return Row(cell, arrays, meta)


class Runner:
    """Computes what is missing.

    executor: "here", "dask://local" (a cluster of this machine's cores) or "dask://HOST:PORT" (a running scheduler).
    force: compute every cell anew.
    progress: show a bar with the time left (default: when the console is a terminal or a notebook).
    """

    def __init__(
        self,
        store: Store,
        *,
        executor: str = "here",
        force: bool = False,
        console: Console | None = None,
        progress: bool | None = None,
    ):
        if executor != "here" and not executor.startswith("dask://"):
            raise InputError(f"unknown executor '{executor}'; give here, dask://local or dask://HOST:PORT")
        self.store, self.executor, self.force = store, executor, force
        self.console = console or Console(stderr=True)
        shown = self.console.is_terminal or self.console.is_jupyter
        self.progress = shown if progress is None else progress
        self.computed = 0
        self.found = 0

    def run(self, paper: Paper, preset: Preset, names: Sequence[str]) -> dict[str, Results]:
        """Results of these experiments, in the order of their cells. Raises `CellError` when a cell fails."""
        wanted = {name: [make_task(paper, name, c) for c in paper.experiment(name).cells(preset)] for name in names}
        tasks = _in_order([t for group in wanted.values() for t in group])
        rows = self._find(tasks) if not self.force else {}
        self.found += len(rows)
        missing = [t for t in tasks if t.key not in rows]
        with self._bar() as bar:
            line = bar.add_task(f"{paper.slug} ({preset.name})", total=len(tasks), completed=len(rows))
            for level in range(max((t.depth for t in missing), default=-1) + 1):
                for task, row in self._execute([t for t in missing if t.depth == level], rows):
                    rows[task.key] = row
                    bar.advance(line)
        return {name: Results(tuple(rows[t.key] for t in group)) for name, group in wanted.items()}

    def _bar(self) -> Progress:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
                   TextColumn("left"), TimeRemainingColumn())  # fmt: skip
        return Progress(*columns, console=self.console, disable=not self.progress)

    def _read(self, task: Task) -> Row | None:
        try:
            return self.store.read(*task.place)
        except DamagedResult as damage:
            self.console.print(f"damaged result, computing it again: {damage}", soft_wrap=True, highlight=False)
            self.store.discard(*task.place)
            return None

    def _find(self, tasks: Sequence[Task]) -> dict[str, Row]:
        found = {t.key: self._read(t) for t in tasks}
        return {key: row for key, row in found.items() if row is not None}

    def _execute(self, tasks: Sequence[Task], rows: Mapping[str, Row]) -> Iterator[tuple[Task, Row]]:
        if self.executor == "here":
            yield from self._here(tasks, rows)
        elif tasks:
            yield from self._dask(tasks, rows)

    def _here(self, tasks: Sequence[Task], rows: Mapping[str, Row]) -> Iterator[tuple[Task, Row]]:
        # A cell that another process is computing is left for last: by then it is usually in the store.
        busy = []
        for task in tasks:
            lock = self.store.lock(*task.place)
            try:
                with lock.acquire(timeout=0):
                    yield task, self._obtain(task, rows)
            except Timeout:
                busy.append(task)
        for task in busy:
            with self.store.lock(*task.place):
                yield task, self._obtain(task, rows)

    def _obtain(self, task: Task, rows: Mapping[str, Row]) -> Row:
        stored = None if self.force else self._read(task)
        if stored is not None:
            self.found += 1
            return stored
        return self._keep(task, _guarded(task, lambda: compute(task.experiment, task.cell, _upstream(task, rows))))

    def _keep(self, task: Task, row: Row) -> Row:
        self.store.write(*task.place, row)
        self.computed += 1
        return row

    def _dask(self, tasks: Sequence[Task], rows: Mapping[str, Row]) -> Iterator[tuple[Task, Row]]:
        try:
            from distributed import Client, as_completed
        except ImportError:
            raise InputError("a dask executor needs the extra 'cluster': pip install 'theorylab[cluster]'") from None
        address = self.executor.removeprefix("dask://")
        try:
            client = Client(threads_per_worker=1) if address == "local" else Client(address, timeout=10)
        except (OSError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"no Dask scheduler at '{address}' ({reason}); start one or use --executor here") from None
        with client:
            futures = {
                client.submit(compute, t.experiment, t.cell, _upstream(t, rows), pure=False, key=f"{t.key}"): t
                for t in tasks
            }
            for future in as_completed(futures):
                task = futures[future]
                yield task, self._keep(task, _guarded(task, future.result))


def _upstream(task: Task, rows: Mapping[str, Row]) -> dict[str, Arrays]:
    return {keyword: rows[needed.key].arrays for keyword, needed in task.needs.items()}


def _guarded(task: Task, work: Callable[[], Row]) -> Row:
    try:
        return work()
    except InputError:
        raise
    except Exception as error:
        raise CellError(f"{task}: {error}") from error


def _in_order(tasks: Sequence[Task]) -> list[Task]:
    """These tasks and all that they need, each once, needed ones first."""
    ordered: dict[str, Task] = {}

    def visit(task: Task) -> None:
        for needed in task.needs.values():
            visit(needed)
        ordered.setdefault(task.key, task)

    for task in tasks:
        visit(task)
    return list(ordered.values())


def check_data(paper: Paper, preset: Preset, names: Sequence[str]) -> None:
    """Raise `DataError`, with the command that fetches them, for data sets that these experiments need and lack."""
    from theorylab import data

    wanted = dict.fromkeys(d for n in names for d in paper.experiment(n).data(preset))
    absent = [d for d in wanted if not data.status(d).cached]
    if absent:
        fetch = f"theorylab data fetch {' '.join(absent)}"
        raise DataError(f"paper '{paper.slug}', preset '{preset.name}' needs {', '.join(absent)}; fetch it: {fetch}")


def total_seconds(results: Mapping[str, Results]) -> float:
    """Computing time of these results when each was made."""
    return float(sum(row.meta.get("seconds", 0.0) for group in results.values() for row in group))


def devices(results: Mapping[str, Results]) -> list[Any]:
    """The devices that these results were made on."""
    return sorted({row.meta.get("device", "unknown") for group in results.values() for row in group})
