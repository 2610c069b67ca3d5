"""What the cells of a preset compile and how much, found without computing them.

Runs in a process of its own, since `jax.jit` is replaced there before anything else is imported
(`theorylab.aot.record`): `command` gives its command line, and it writes a line of JSON for every
experiment. Upstream results are those of a rehearsal as well: arrays of the right shapes.
"""

import argparse
import contextlib
import json
import math
import os
import signal
import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from theorylab.aot import Program, Recorder, Target, Work, available, build, find_target
from theorylab.lab.experiment import Cell, Experiment, Preset, canonical

_COMPILED = (
    2  # programs of an experiment: the one with the most work, and the one with the most room
)


class TimeUp(BaseException):
    """A rehearsal took its time; what it has found counts. Not for `except Exception` to catch."""


def command(
    paper: str, preset: str, device: str, seconds: float, only: Sequence[str] = ()
) -> list[str]:
    """The command line of a rehearsal in a fresh process."""
    start = (
        "from theorylab.aot.record import Recorder; from theorylab.aot.targets import find_target; "
        f"target = find_target({device!r}); "
        "recorder = Recorder(target.backend, target.platform); recorder.install(); "
        "from theorylab.cli.rehearsal import main; main(recorder)"
    )
    given = [paper, preset, device, str(seconds), *only]
    return [sys.executable, "-W", "ignore", "-c", start, *given]


def main(recorder: Recorder) -> None:
    """Rehearse the experiments that the command line names, and print what each does."""
    from theorylab import papers

    parser = argparse.ArgumentParser()
    for name in ("paper", "preset", "device"):
        parser.add_argument(name)
    parser.add_argument("seconds", type=float)
    parser.add_argument("only", nargs="*")
    given = parser.parse_args()
    room, target = papers.get(given.paper), find_target(given.device)
    preset = room.preset(given.preset)
    rehearsal = Rehearsal(room, preset, recorder, target)
    for experiment in room.experiments:
        if not given.only or experiment.name in given.only:
            print(json.dumps(rehearsal.of(experiment, given.seconds)), flush=True)


class Rehearsal:
    """The rehearsals of one preset, for one kind of device.

    Args:
        room: the paper.
        preset: its preset.
        recorder: installed before the room was imported.
        target: the device.
    """

    def __init__(self, room: Any, preset: Preset, recorder: Recorder, target: Target):
        self.room, self.preset, self.recorder, self.target = room, preset, recorder, target
        self._results: dict[str, Mapping[str, np.ndarray]] = {}

    def of(self, experiment: Experiment, seconds: float) -> dict[str, Any]:
        """What an experiment's cells do, from those that fit in `seconds` of this processor.

        Cells that differ by their seed alone do the same. The largest are rehearsed first; where
        not all are, the others count as the average of those that were, which is too much rather
        than too little.
        """
        groups = _alike(experiment.cells(self.preset))
        self.recorder.programs = {}
        done, stopped, work = 0, "", Work()
        deadline = time.process_time() + seconds
        for cells in groups:
            before = self._work()
            left = deadline - time.process_time()
            if done and left <= 0:
                break
            try:
                with warnings.catch_warnings(), _at_most(max(left, 1.0)), _room_here():
                    warnings.simplefilter("ignore")
                    self._run(experiment, cells[0])
            except TimeUp:
                stopped = "time"
            except (Exception, SystemExit) as error:
                stopped = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            done += 1
            after = self._work()
            once = Work(
                after.flops - before.flops,
                after.operations - before.operations,
                after.largest,
                after.bounded,
            )
            work += once.times(len(cells))
            if stopped:
                break
        seen = sum(len(cells) for cells in groups[:done])
        count = sum(len(cells) for cells in groups)
        return {
            "experiment": experiment.name,
            "cells": count,
            "kinds": len(groups),
            "rehearsed": done,
            "stopped": stopped,
            "flops": work.flops * count / max(seen, 1),
            "operations": work.operations * count / max(seen, 1),
            "bounded": work.bounded,
            **self._largest(),
        }

    def _work(self) -> Work:
        return sum((p.total for p in self.recorder.programs.values()), Work())

    def _run(self, experiment: Experiment, cell: Cell) -> Mapping[str, np.ndarray]:
        upstream = {
            keyword: self._upstream(*wanted) for keyword, wanted in experiment.needs(cell).items()
        }
        with self.recorder.on():
            found = experiment.run(**cell, **upstream)
            arrays = {name: np.asarray(array) for name, array in found.items()}
        self._results[f"{experiment.name} {canonical(cell)}"] = arrays
        return arrays

    def _upstream(self, name: str, cell: Cell) -> Mapping[str, np.ndarray]:
        """Made-up results of another experiment's cell, whose programs count there and not here."""
        known = self._results.get(f"{name} {canonical(cell)}")
        if known is not None:
            return known
        noted, self.recorder.programs = self.recorder.programs, {}
        try:
            return self._run(self.room.experiment(name), cell)
        finally:
            self.recorder.programs = noted

    def _largest(self) -> dict[str, Any]:
        """Memory of the largest program, compiled for the device where that can be."""
        programs = [p for p in self.recorder.programs.values() if p.calls]
        if not programs:
            return {"program": "", "memory": 0, "compiled": "", "calls": 0, "failure": ""}
        by_work = sorted(programs, key=lambda p: -p.total.flops)
        by_room = sorted(programs, key=lambda p: -(p.bytes + 2 * p.work.largest))
        chosen = list({id(p): p for p in (by_room[0], by_work[0])}.values())[:_COMPILED]
        there = self.target if available(self.target) else None
        found: list[tuple[int, Program]] = []
        failure = ""
        for program in chosen:
            try:
                found.append((build(program, there).program_bytes, program))
            except Exception as error:  # a compiler's own: what it says is the result
                failure = f"{program.name}: {' '.join(str(error).split())[:200]}"
        memory, largest = max(found, key=lambda pair: pair[0], default=(0, chosen[0]))
        return {
            "program": largest.name,
            "module": getattr(largest.function, "__module__", ""),
            "memory": memory,
            "compiled": self.target.name if there else "cpu",
            "calls": by_work[0].calls,
            "busiest": by_work[0].name,
            "failure": failure,
        }


def _alike(cells: Sequence[Cell]) -> list[list[Cell]]:
    """Cells in groups of those that differ by seeds alone, those with the largest numbers first."""
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(json.dumps(_without_seeds(cell), sort_keys=True), []).append(cell)
    return sorted(groups.values(), key=lambda group: -_size(_without_seeds(group[0])))


def _without_seeds(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _without_seeds(v) for k, v in value.items() if k != "seed"}
    return [_without_seeds(v) for v in value] if isinstance(value, list | tuple) else value


def _size(value: Any) -> float:
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return 0.0
    if isinstance(value, int | float):
        return math.log1p(abs(value))
    return sum(map(_size, value.values() if isinstance(value, Mapping) else value))


@contextlib.contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """Raise `TimeUp` inside after this number of seconds of the processor."""

    def up(*_: Any) -> None:
        raise TimeUp

    before = signal.signal(signal.SIGPROF, up)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


@contextlib.contextmanager
def _room_here() -> Iterator[None]:
    """A memory error inside rather than a machine that stands still: sizes may be beyond it."""
    import resource

    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (int(0.7 * physical), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
