"""What a cell is called while it is computed: its experiment, and what sets it apart there."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def cell_names(experiment: str, cells: Sequence[Mapping[str, Any]]) -> list[str]:
    """A short name per cell, such as "train seed=3 lr=0.1".

    It holds the parameters that differ between the cells of a run, wherever they are nested; the
    seed comes last.

    Args:
        experiment: name of the experiment.
        cells: all its cells in one run.

    Returns:
        The names, in the order of the cells.
    """
    flat = [dict(_flattened(cell)) for cell in cells]
    values: dict[tuple[str, ...], set[str]] = {}
    for cell in flat:
        for path, value in cell.items():
            values.setdefault(path, set()).add(value)
    apart = [p for p, v in values.items() if len(v) > 1 or any(p not in c for c in flat)]
    apart.sort(key=lambda path: path[-1] == "seed")
    # a seed handed on to what a cell rests on is said once
    return [" ".join(dict.fromkeys([experiment, *_words(cell, apart)])) for cell in flat]


def _flattened(
    cell: Mapping[str, Any], above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], str]]:
    for key, value in cell.items():
        if isinstance(value, Mapping) and value:
            yield from _flattened(value, (*above, key))
        else:
            text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
            yield (*above, key), text


def _words(cell: Mapping[tuple[str, ...], str], apart: Sequence[tuple[str, ...]]) -> Iterator[str]:
    for path in apart:
        if path in cell:
            yield f"{path[-1]}={cell[path]}"
