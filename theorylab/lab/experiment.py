"""What a paper room declares: presets, and experiments made of independent cells.

Also the results that these give back.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from theorylab.errors import InputError
from theorylab.lab.values import require_like
from theorylab.table import html_table

Cell = Mapping[str, Any]
Arrays = Mapping[str, np.ndarray]
# every paper has these; "medium", an hour on a small machine, some
PRESETS = ("smoke", "quick", "full")
MEDIUM = "medium"
_SEEDS = 1000  # seeds that a base seed keeps for itself
LARGEST_SEED = (2**31 - _SEEDS) // _SEEDS  # every seed that follows from it fits JAX's 32-bit keys


def canonical(cell: Cell) -> str:
    """JSON text of a cell, the same for equal cells.

    Keys are sorted, tuples become lists, and NumPy scalars are refused.
    """
    return json.dumps(cell, sort_keys=True, separators=(",", ":"), allow_nan=False)


@dataclass(frozen=True)
class Preset:
    """The numbers of one run: sizes, grids and the number of repetitions, under a name.

    Attributes:
        name: of the preset.
        values: the numbers by name.
        seed: base seed.
        omits: says in words what this preset leaves out against the paper; it goes under every
            figure.
    """

    name: str
    values: Mapping[str, Any]
    seed: int = 0
    omits: str = ""

    def __getitem__(self, key: str) -> Any:
        return self.values[key]

    def seeds(self, count: int) -> range:
        """`count` consecutive seeds, of which runs with other `--seed` values share none.

        Raises `InputError` for more than the 1,000 that belong to a base seed.
        """
        if count > _SEEDS:
            raise InputError(
                f"{count} seeds are wanted of base seed {self.seed}, which has {_SEEDS}; give a "
                "smaller count"
            )
        return range(_SEEDS * self.seed, _SEEDS * self.seed + count)

    def with_values(self, changes: Mapping[str, Any], like: Sequence["Preset"] = ()) -> "Preset":
        """This preset with some values replaced.

        Raises `InputError` for a name that the preset does not have, and for a value of another
        kind than those that this preset and those in `like` have there.
        """
        unknown = sorted(set(changes) - set(self.values))
        if unknown:
            raise InputError(
                f"preset '{self.name}' has no value {unknown[0]!r}; it has: "
                f"{', '.join(self.values)}"
            )
        for name, value in changes.items():
            require_like(
                name,
                value,
                [self.values[name], *(p.values[name] for p in like if name in p.values)],
            )
        note = ", ".join(f"{k}={json.dumps(v)}" for k, v in changes.items())
        omits = f"{self.omits} Changed by hand: {note}.".strip() if changes else self.omits
        return Preset(self.name, {**self.values, **changes}, self.seed, omits)


def require_seed(seed: int) -> None:
    """Raise `InputError` for a base seed from which no seeds of JAX's keys follow."""
    if seed < 0:
        raise InputError(f"seed must be 0 or more, not {seed}")
    if seed > LARGEST_SEED:
        raise InputError(
            f"seed must be {LARGEST_SEED} or less, not {seed}: {_SEEDS} seeds below 2^31 follow "
            "from it"
        )


def _no_needs(_: Cell) -> Mapping[str, tuple[str, Cell]]:
    return {}


def _no_data(_: Preset) -> Sequence[str]:
    return ()


@dataclass(frozen=True)
class Experiment:
    """A list of independent cells and one pure function from a cell to named arrays.

    Attributes:
        name: of the experiment.
        run: a function `run(**cell, **upstream) -> {name: array}`, of theorylab or of a user's own
            module, script or notebook. Its code and all that it reaches
            (`theorylab.lab.fingerprint`) are part of the key of its results.
        cells: from a preset to the cells, each a flat dictionary of JSON values.
        needs: from a cell to `{keyword: (experiment, cell)}`: results of other cells of this paper
            that `run` is handed under that keyword, as a dictionary of arrays.
        data: from a preset to the names of the data sets that must be present before anything is
            computed.
        nonfinite: names of the arrays in which NaN and infinity are results and not mistakes.
        home: under what name the store keeps the results; rooms that name the same one, and declare
            the experiment alike, share them. Empty: the paper's own.

    Examples:
        >>> def square(x):
        ...     return {"y": np.array(x**2)}
        >>> squares = Experiment("squares", square, lambda preset: [{"x": x} for x in preset["xs"]])
        >>> squares.cells(Preset("quick", {"xs": [2, 3]}))
        [{'x': 2}, {'x': 3}]
        >>> squares.run(x=3)["y"]
        array(9)
    """

    name: str
    run: Callable[..., Mapping[str, Any]]
    cells: Callable[[Preset], Sequence[Cell]]
    needs: Callable[[Cell], Mapping[str, tuple[str, Cell]]] = _no_needs
    data: Callable[[Preset], Sequence[str]] = _no_data
    nonfinite: frozenset[str] = frozenset()
    home: str = ""


@dataclass(frozen=True)
class Row:
    """One finished cell.

    Attributes:
        cell: its parameters.
        arrays: its arrays by name.
        meta: how it was made: seconds, device, versions.
    """

    cell: Cell
    arrays: Arrays
    meta: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> np.ndarray:
        return self.arrays[name]


@dataclass(frozen=True)
class Results:
    """The finished cells of one experiment, in the order in which the experiment lists them.

    Attributes:
        rows: one `Row` per cell.
    """

    rows: tuple[Row, ...]

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def where(self, **parameters: Any) -> "Results":
        """The rows whose cell has these parameters. Raises `KeyError` when none has."""
        rows = tuple(r for r in self.rows if all(r.cell.get(k) == v for k, v in parameters.items()))
        if not rows:
            raise KeyError(f"no cell with {parameters}; there are: {self.unique(*parameters)}")
        return Results(rows)

    def unique(self, *names: str) -> list[Any]:
        """Distinct values of one cell parameter (or tuples of several), in order of appearance."""
        seen = [tuple(r.cell.get(n) for n in names) for r in self.rows]
        distinct = sorted({json.dumps(s): s for s in seen}.values(), key=seen.index)
        return [s[0] for s in distinct] if len(names) == 1 else distinct

    def stack(self, array: str) -> np.ndarray:
        """The array of this name from every row, stacked on a new first axis."""
        return np.stack([r[array] for r in self.rows])

    def _repr_html_(self) -> str:
        """What a notebook shows: the first 20 cells, with the shapes of their arrays."""
        names = list(dict.fromkeys(k for r in self.rows for k in r.cell))
        rows = [
            [
                *(r.cell.get(k, "") for k in names),
                ", ".join(f"{k} {v.shape}" for k, v in r.arrays.items()),
                float(r.meta.get("seconds", 0.0)),
            ]
            for r in self.rows[:20]
        ]
        return html_table(f"{len(self)} cells", [*names, "arrays", "seconds"], rows)
