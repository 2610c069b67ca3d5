"""What a run says while it computes.

It says how far it is, which cell is in work, and about how long the rest takes.

A terminal or a notebook gets a bar. Anything else gets a line at the start, one now and then, and
one at the end.
"""

import contextlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress
from rich.table import Column
from rich.text import Text

EVERY = 30.0  # seconds that lie at least between two lines
COLUMNS = 80  # of such a line, which is cut there: the name of a cell, its end, may be long


class Forecast:
    """The time that is left, from what finished cells of the same experiment took.

    Without any, from what all cells took.

    cells: key to experiment, of every cell of the run.
    """

    def __init__(self, cells: Mapping[str, str]):
        self._left = dict(cells)
        self._took: dict[str, list[float]] = defaultdict(list)

    def finish(self, key: str, seconds: float | None) -> None:
        """Count a cell as done.

        `seconds` is what it took, and None where that is not known, as for one that failed.
        """
        experiment = self._left.pop(key)
        if seconds is not None:
            self._took[experiment].append(seconds)

    def seconds(self, in_work: Mapping[str, float], speed: float = 1.0) -> float | None:
        """Seconds that the remaining cells will take; None before any has finished.

        in_work: seconds that cells have been computing for. speed: how many are computed side by
        side.
        """
        everything = [s for took in self._took.values() for s in took]
        if not everything:
            return None
        overall = sum(everything) / len(everything)
        mean = {name: sum(took) / len(took) for name, took in self._took.items() if took}
        left = {key: mean.get(name, overall) for key, name in self._left.items()}
        return sum(max(0.0, cost - in_work.get(key, 0.0)) for key, cost in left.items()) / max(
            1.0, speed
        )


class Progress:
    """Tells on a console how a run goes; a context manager.

    title: what is computed. cells: key to experiment, of every cell. bar: a bar, else lines.
    clock: seconds, from any origin. noun: what a cell is called.
    """

    def __init__(
        self,
        console: Console,
        title: str,
        cells: Mapping[str, str],
        *,
        bar: bool,
        clock: Callable[[], float] = time.monotonic,
        noun: str = "cell",
    ):
        self._console, self._title, self._clock, self._noun = console, title, clock, noun
        self._forecast, self._total, self._done = Forecast(cells), len(cells), 0
        # cells that were finished in this run, and seconds that they took
        self._computed, self._computing = 0, 0.0
        self._began, self._told = clock(), -float("inf")
        self._work: tuple[str, str, float] | None = None  # the cell in work: key, name, since when
        self._bar = _Bar(self.now, console=console) if bar else None

    def __enter__(self) -> "Progress":
        if self._bar is not None:
            self._bar.add_task(self._title, total=self._total, completed=self._done)
            self._bar.start()
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        if self._bar is not None:
            self._bar.stop()
        elif kind is None and self._computed:
            self._line(f"{self._computed} of them now, in {duration(self._clock() - self._began)}")

    def found(self, seconds: Iterable[tuple[str, float | None]]) -> None:
        """Count cells that need not be computed, with what they took when they were."""
        for key, took in seconds:
            self._forecast.finish(key, took)
            self._done += 1

    def begin(self, key: str, name: str) -> None:
        """Say that this cell is in work now.

        With a key of no cell, say by what many are computed.
        """
        self._work = key, name, self._clock()
        self._tell()

    def finish(self, key: str, seconds: float | None) -> None:
        """Count this cell as done, or as failed where it has no `seconds`."""
        self._forecast.finish(key, seconds)
        self._done += 1
        self._computed += 1
        self._computing += seconds or 0.0
        if self._work is not None and self._work[0] == key:
            self._work = None  # the next one begins at once, and is told of then
        else:
            self._tell()
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=self._done)

    def now(self) -> str:
        """The cell in work and the time left, in words."""
        in_work, parts, clock = {}, [], self._clock()
        if self._work is not None:
            key, name, since = self._work
            in_work[key] = clock - since
        elapsed = clock - self._began
        left = self._forecast.seconds(in_work, self._computing / elapsed if elapsed > 0 else 1.0)
        if left is not None and self._done < self._total:
            parts.append(f"about {duration(left)} left")
        if self._work is not None:
            parts.append(f"in work: {name}")
        return "; ".join(parts)

    def _tell(self) -> None:
        if self._bar is None and self._clock() - self._told >= EVERY:
            self._told = self._clock()
            self._line(self.now())

    def _line(self, text: str) -> None:
        # A reader who has gone must not end the computation.
        with contextlib.suppress(OSError, ValueError):
            count = f"{self._done} of {self._total} {self._noun}s done"
            said = f"{self._title}: {count}{'; ' * bool(text)}{text}"
            said = said if len(said) <= COLUMNS else said[: COLUMNS - 1] + "…"
            print(said, file=self._console.file, flush=True)


class _Bar(RichProgress):
    """A bar, and under it a line of text that is made again whenever it is shown."""

    def __init__(self, text: Callable[[], str], *, console: Console):
        self._text = text
        title = TextColumn("{task.description}", table_column=Column(overflow="fold"))
        super().__init__(
            title, BarColumn(20), MofNCompleteColumn(), TimeElapsedColumn(), console=console
        )

    def get_renderables(self) -> Iterable[RenderableType]:
        yield self.make_tasks_table(self.tasks)
        yield Text(self._text(), overflow="fold")


def duration(seconds: float) -> str:
    """Seconds as one reads them: "40 s", "3 min", "2 h 10 min"."""
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    hours, rest = divmod(minutes, 60)
    return f"{minutes} min" if not hours else f"{hours} h {rest} min" if rest else f"{hours} h"
