"""Runs the cells that are not in the store yet, and hands back all results.

Cells run here or on a Dask cluster.

A cell's key is a digest of the paper (or the home that papers share), the experiment, the cell,
the code fingerprint and the keys of the cells that it needs: change any of them and it is computed
again, change none and it never is. A run that is stopped, even by `kill -9`, loses the cells in
flight and nothing else.
"""

import contextlib
import hashlib
import re
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from theorylab.errors import DataError, InputError
from theorylab.files import sweep_temporaries, write_atomically
from theorylab.lab.cell_names import cell_names
from theorylab.lab.compute import compute
from theorylab.lab.experiment import Arrays, Cell, Experiment, Preset, Results, Row, canonical
from theorylab.lab.fingerprint import fingerprint, require_unchanged
from theorylab.lab.paper import Paper
from theorylab.lab.store import DamagedResult, Store
from theorylab.lab.watchdog import watched
from theorylab.progress import Progress


@dataclass(frozen=True)
class Task:
    """One cell with its key and the tasks whose results it is handed; `paper` owns its result."""

    paper: str
    experiment: Experiment
    cell: Cell
    key: str
    needs: Mapping[str, "Task"] = field(default_factory=dict)

    @property
    def place(self) -> tuple[str, str, str]:
        """Under what the store keeps its result: paper, experiment and key."""
        return self.paper, self.experiment.name, self.key

    @property
    def depth(self) -> int:
        """How many tasks in a row must be done before it."""
        return 1 + max((t.depth for t in self.needs.values()), default=-1)

    @property
    def name(self) -> str:
        """The experiment and the cell, for a reader."""
        return f"{self.experiment.name} {canonical(self.cell)}"

    def __str__(self) -> str:
        return f"{self.paper}/{self.name}"


class CellError(RuntimeError):
    """Cells failed; the message has a line for each, with the paper, the experiment and the cell.

    The first cause is chained, and the tracebacks are in the file `log` where one could be written.

    Args:
        message: the lines.
        log: the file, or None.
    """

    def __init__(self, message: str, log: Path | None = None):
        super().__init__(message)
        self.log = log


def make_task(paper: Paper, name: str, cell: Cell) -> Task:
    """The task of one cell, with the tasks that it needs."""
    experiment = paper.experiment(name)
    needs = {kw: make_task(paper, *wanted) for kw, wanted in experiment.needs(cell).items()}
    owner = experiment.home or paper.slug
    parts = [owner, name, canonical(cell), fingerprint(experiment.run)]
    parts += [f"{kw}={task.key}" for kw, task in sorted(needs.items())]
    return Task(
        owner,
        experiment,
        dict(cell),
        hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32],
        needs,
    )


class Runner:
    """Compute what is missing in a store, here or on a cluster.

    Args:
        store: where results are kept.
        executor: "here", "dask://local" (a cluster of this machine's cores) or "dask://HOST:PORT"
            (a running scheduler).
        force: compute every cell again.
        console: where progress is told.
        progress: show a bar (default: when the console is a terminal or a notebook), else a line
            now and then.

    Raises:
        InputError: an unknown executor.
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
        if executor != "here" and not re.fullmatch("dask://[^/:].*", executor):
            raise InputError(
                f"unknown executor '{executor}'; give here, dask://local or dask://HOST:PORT"
            )
        self.store, self.executor, self.force = store, executor, force
        self.console = console or Console(stderr=True)
        shown = self.console.is_terminal or self.console.is_jupyter
        self.progress = shown if progress is None else progress
        self.computed = 0
        self.found = 0

    def run(self, paper: Paper, preset: Preset, names: Sequence[str]) -> dict[str, Results]:
        """Results of these experiments, in the order of their cells.

        A cell that fails stops those that need it and no others; when the others are done,
        `CellError` is raised, or `InputError` where nothing but input was at fault. Raises
        `OperationError` when a disk or a cluster fails.
        """
        for name in names:
            require_unchanged(paper.experiment(name).run)
        wanted = {
            name: [make_task(paper, name, c) for c in paper.experiment(name).cells(preset)]
            for name in names
        }
        tasks = _in_order([t for group in wanted.values() for t in group])
        for folder in {self.store.path(*t.place).parent for t in tasks}:
            # a folder that cannot be read is told of when a result is read
            with contextlib.suppress(OSError):
                sweep_temporaries(folder)
        rows = self._find(tasks) if not self.force else {}
        self.found += len(rows)
        missing = [t for t in tasks if t.key not in rows]
        failures: list[tuple[Task, Exception]] = []
        title, cells = f"{paper.slug} ({preset.name})", {t.key: t.experiment.name for t in tasks}
        short = _short_names(tasks)
        with Progress(self.console, title, cells, bar=self.progress) as progress:
            progress.found((key, _seconds(row)) for key, row in rows.items())
            for level in range(max((t.depth for t in missing), default=-1) + 1):
                ready = [
                    t
                    for t in missing
                    if t.depth == level and all(n.key in rows for n in t.needs.values())
                ]
                for task, outcome in self._execute(ready, rows, progress, short):
                    if isinstance(outcome, Exception):
                        failures.append((task, outcome))
                    else:
                        rows[task.key] = outcome
                    progress.finish(task.key, _seconds(outcome))
        if failures:
            raise self._failure(failures, sum(t.key not in rows for t in tasks) - len(failures))
        return {name: Results(tuple(rows[t.key] for t in group)) for name, group in wanted.items()}

    def _say(self, text: str) -> None:
        self.console.print(text, soft_wrap=True, highlight=False, markup=False)

    def _waiting(self, task: Task, who: str) -> None:
        self._say(f"waiting for {task}, which {who} computes")

    def _read(self, task: Task) -> Row | None:
        try:
            row = self.store.read(*task.place)
            if row is not None and canonical(row.cell) != canonical(task.cell):
                raise DamagedResult(
                    f"{self.store.path(*task.place)}: it is the result of another cell"
                )
            return row
        except DamagedResult as damage:
            self._say(f"damaged result, computing it again: {damage}")
            self.store.discard(*task.place)
            return None

    def _find(self, tasks: Sequence[Task]) -> dict[str, Row]:
        found = {t.key: self._read(t) for t in tasks}
        return {key: row for key, row in found.items() if row is not None}

    def _execute(
        self,
        tasks: Sequence[Task],
        rows: Mapping[str, Row],
        progress: Progress,
        names: Mapping[str, str],
    ) -> Iterator[tuple[Task, Row | Exception]]:
        if self.executor == "here":
            yield from self._here(tasks, rows, progress, names)
        elif tasks:
            from theorylab.lab.cluster import execute

            address = self.executor.removeprefix("dask://")
            progress.begin(address, f"{len(tasks)} cells on {self.executor}")
            for task, outcome in execute(address, tasks, lambda t: _upstream(t, rows), self._say):
                yield task, outcome if isinstance(outcome, Exception) else self._keep(task, outcome)

    def _here(
        self,
        tasks: Sequence[Task],
        rows: Mapping[str, Row],
        progress: Progress,
        names: Mapping[str, str],
    ) -> Iterator[tuple[Task, Row | Exception]]:
        # A cell that another process is computing is left for last: by then it is usually in the
        # store.
        busy = []
        for task in tasks:
            with self.store.lock(*task.place, wait=False) as held:
                if held:
                    progress.begin(task.key, names[task.key])
                    yield task, self._obtain(task, rows)
                else:
                    busy.append(task)
        for task in busy:
            with self.store.lock(*task.place, wait=True, say=partial(self._waiting, task)):
                progress.begin(task.key, names[task.key])
                yield task, self._obtain(task, rows)

    def _obtain(self, task: Task, rows: Mapping[str, Row]) -> Row | Exception:
        stored = None if self.force else self._read(task)
        if stored is not None:
            self.found += 1
            return stored
        try:
            row = watched(
                str(task), lambda: compute(task.experiment, task.cell, _upstream(task, rows))
            )
        except SystemExit as error:  # it would end the run as if that were done
            return RuntimeError(f"the cell called for an exit with code {error.code!r}")
        except Exception as error:
            return error
        return self._keep(task, row)

    def _keep(self, task: Task, row: Row) -> Row:
        self.store.write(*task.place, row)
        self.computed += 1
        return row

    def _failure(self, failures: Sequence[tuple[Task, Exception]], skipped: int) -> Exception:
        lines = [f"{task}: {one_line(error)}" for task, error in failures]
        if all(isinstance(error, InputError) for _, error in failures):
            more = f" (and {len(lines) - 1} more cells fail)" if len(lines) > 1 else ""
            wrong: Exception = InputError(f"{failures[0][0]}: {failures[0][1]}{more}")
        else:
            if skipped:
                lines.append(f"not computed, because they need those: {skipped} cells")
            log = self._log(failures)
            wrong = CellError("\n".join(lines), log)
        wrong.__cause__ = failures[0][1]
        return wrong

    def _log(self, failures: Sequence[tuple[Task, Exception]]) -> Path | None:
        """Write the tracebacks of the latest failures beside the results."""
        log = self.store.folder / "failures.log"
        parts = [
            f"{task}\n{''.join(traceback.format_exception(error))}" for task, error in failures
        ]
        try:
            write_atomically(log, "\n".join(parts).encode(errors="replace"))
        except OSError:
            return None
        return log


def one_line(error: BaseException, width: int = 400) -> str:
    """An error as one line of text: its message, cut where it is long, and its type."""
    try:
        text = " ".join(str(error).split())
    except Exception:  # an error that cannot even be told
        text = ""
    text = text if len(text) <= width else text[: width - 3] + "..."
    return f"{text} ({type(error).__name__})" if text else type(error).__name__


def _short_names(tasks: Sequence[Task]) -> dict[str, str]:
    """Key to the name under which a cell of this run is told of."""
    cells: dict[str, dict[str, Cell]] = {}
    for task in tasks:
        cells.setdefault(task.experiment.name, {})[task.key] = task.cell
    return {
        key: name
        for experiment, group in cells.items()
        for key, name in zip(group, cell_names(experiment, list(group.values())), strict=True)
    }


def _seconds(outcome: Row | Exception) -> float | None:
    return None if isinstance(outcome, Exception) else outcome.meta.get("seconds")


def _upstream(task: Task, rows: Mapping[str, Row]) -> dict[str, Arrays]:
    return {keyword: rows[needed.key].arrays for keyword, needed in task.needs.items()}


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
    """Raise `DataError` for data sets that these experiments need and lack.

    The message has the command that fetches them.
    """
    from theorylab import data

    wanted = dict.fromkeys(d for n in names for d in paper.experiment(n).data(preset))
    absent = [d for d in wanted if not data.status(d).cached]
    if absent:
        fetch = f"theorylab data fetch {' '.join(absent)}"
        raise DataError(
            f"paper '{paper.slug}', preset '{preset.name}' needs {', '.join(absent)}; fetch it: "
            f"{fetch}"
        )


def total_seconds(results: Mapping[str, Results]) -> float:
    """Computing time of these results when each was made."""
    return float(sum(row.meta.get("seconds", 0.0) for group in results.values() for row in group))


def devices(results: Mapping[str, Results]) -> list[Any]:
    """The devices that these results were made on."""
    return sorted(
        {row.meta.get("device", "unknown") for group in results.values() for row in group}
    )
