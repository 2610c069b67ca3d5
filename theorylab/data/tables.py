"""Text tables to numbers.

Numeric columns stay, words become codes into a sorted list of categories.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from theorylab.errors import DataError

MISSING = frozenset({"?", "", "<null>"})


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        name: of the column.
        categories: empty for a continuous column; else value k stands for `categories[k]`.
    """

    name: str
    categories: tuple[str, ...] = ()


def parse_csv(
    text: str, *, separator: str | None = ",", width: int | None = None
) -> list[list[str]]:
    """Rows of stripped cells.

    Empty lines, KEEL headers (`@`) and lines that are not `width` cells wide are skipped.
    """
    lines = (
        line
        for line in text.replace("\r", "").split("\n")
        if line.strip() and not line.startswith("@")
    )
    rows = [[cell.strip() for cell in line.split(separator)] for line in lines]
    rows = [row for row in rows if width is None or len(row) == width]
    if not rows or len({len(row) for row in rows}) > 1:
        raise DataError(f"the table has no rows, or rows of unequal width: {len(rows)} rows read")
    return rows


def encode_features(
    rows: Sequence[Sequence[str]], names: Sequence[str]
) -> tuple[np.ndarray, tuple[Column, ...]]:
    """Float64 matrix (n, d) and its columns.

    A missing cell is NaN, of whichever kind its column is.
    """
    columns, values = [], []
    for name, cells in zip(names, zip(*rows, strict=True), strict=True):
        present = sorted(set(cells) - MISSING)
        if all(_is_number(cell) for cell in present):
            code = {cell: float(cell) for cell in present}
            columns.append(Column(name))
        else:
            code = {cell: float(k) for k, cell in enumerate(present)}
            columns.append(Column(name, tuple(present)))
        values.append([code.get(cell, np.nan) for cell in cells])
    return np.array(values, np.float64).T.copy(), tuple(columns)


def encode_labels(cells: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Int32 labels (n,) and class names, sorted as numbers where they all are numbers."""
    names = sorted(set(cells))
    if all(_is_number(name) for name in names):
        names.sort(key=float)
    code = {name: k for k, name in enumerate(names)}
    return np.array([code[cell] for cell in cells], np.int32), tuple(names)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def pack_columns(columns: Sequence[Column]) -> np.ndarray:
    """Columns as a 0-d text array, so that they travel in an .npz file without a pickle."""
    return np.array(json.dumps([asdict(column) for column in columns]))


def unpack_columns(packed: np.ndarray) -> tuple[Column, ...]:
    """The columns that `pack_columns` packed."""
    return tuple(Column(c["name"], tuple(c["categories"])) for c in json.loads(str(packed)))
