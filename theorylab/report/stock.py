"""What a store holds of a paper: results of today's code and of older code, and what is missing.

Nothing is computed here. A result that was made by other code than today's is shown, never hidden,
and marked stale.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from theorylab.lab.claim import Claim
from theorylab.lab.experiment import Preset, Results, Row, canonical
from theorylab.lab.paper import Figure, Paper
from theorylab.lab.runner import make_task
from theorylab.lab.store import DamagedResult, Store

State = Literal["fresh", "stale", "missing"]


@dataclass(frozen=True)
class Stock:
    """Results of one paper at one preset, as far as they are there.

    results: the experiments of which every cell is there, of today's code or older.
    states: experiment to its worst cell: "missing" before "stale" before "fresh".
    """

    paper: Paper
    preset: Preset
    results: Mapping[str, Results]
    states: Mapping[str, State]

    def state(self, needs: Sequence[str]) -> State:
        """The worst state of these experiments."""
        found = {self.states[n] for n in needs}
        return "missing" if "missing" in found else "stale" if "stale" in found else "fresh"

    def counts(self) -> Counter[State]:
        """How many experiments are in which state."""
        return Counter(self.states.values())


def take_stock(paper: Paper, preset: Preset, store: Store) -> Stock:
    """Read what the store has of the experiments that the paper's figures and claims need."""
    items: list[Figure | Claim] = [*paper.figures, *paper.claims]
    needed = dict.fromkeys(n for item in items for n in item.needs)
    results, states = {}, {}
    for name in needed:
        results[name], states[name] = _experiment(paper, preset, store, name)
    complete = {name: Results(rows) for name, rows in results.items() if states[name] != "missing"}
    return Stock(paper, preset, complete, states)


def _experiment(
    paper: Paper, preset: Preset, store: Store, name: str
) -> tuple[tuple[Row, ...], State]:
    rows: list[Row] = []
    state: State = "fresh"
    older: Mapping[str, Path] | None = None
    for cell in paper.experiment(name).cells(preset):
        row = _read(store, *make_task(paper, name, cell).place)
        if row is None:
            older = _newest(store.folder / paper.slug / name) if older is None else older
            path = older.get(canonical(cell))
            row = _read(store, paper.slug, name, path.stem) if path else None
            if row is None:
                return (), "missing"
            state = "stale"
        rows.append(row)
    return tuple(rows), state


def _read(store: Store, paper: str, experiment: str, key: str) -> Row | None:
    try:
        return store.read(paper, experiment, key)
    except DamagedResult:
        return None


def _newest(folder: Path) -> Mapping[str, Path]:
    """The newest result file of every cell, whatever code made it.

    Only the first lines of the files are read.
    """
    found = {}
    for path in sorted(folder.glob("*.result"), key=lambda p: p.stat().st_mtime):
        try:
            with path.open("rb") as file:
                file.readline()
                found[canonical(json.loads(file.readline())["cell"])] = path
        except (OSError, ValueError, KeyError, TypeError):
            continue  # damaged: as good as absent
    return found
