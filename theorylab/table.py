"""The numbers of a figure in long form: named columns of equal length, written as CSV."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from itertools import islice
from typing import Any

import numpy as np

Value = str | float | int


class Table:
    """Named columns of equal length.

    Build it row by row with `add`, read it by column, by group or by condition.

    Args:
        columns: their names.

    Examples:
        >>> table = Table("n", "risk")
        >>> table.add(n=10, risk=0.5)
        >>> print(table.to_csv().strip())
        n,risk
        10,0.5
    """

    def __init__(self, *columns: str):
        self._columns: dict[str, list[Value]] = {c: [] for c in columns}

    def add(self, **row: Value) -> None:
        """Append one row. Raises `ValueError` unless it names exactly the columns."""
        if set(row) != set(self._columns):
            raise ValueError(f"row has {sorted(row)}, the table has {sorted(self._columns)}")
        for name, value in row.items():
            self._columns[name].append(value.item() if isinstance(value, np.generic) else value)

    def __len__(self) -> int:
        return len(next(iter(self._columns.values()), []))

    def __getitem__(self, column: str) -> np.ndarray:
        return np.asarray(self._columns[column])

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(self._columns)

    def rows(self) -> Iterator[Mapping[str, Value]]:
        """One dictionary per row."""
        return (
            dict(zip(self._columns, r, strict=True))
            for r in zip(*self._columns.values(), strict=True)
        )

    def where(self, **conditions: Value) -> "Table":
        """The rows that have these values."""
        kept = Table(*self._columns)
        for row in self.rows():
            if all(row[k] == v for k, v in conditions.items()):
                kept.add(**row)
        return kept

    def groups(self, *by: str) -> list[tuple[tuple[Value, ...], "Table"]]:
        """The rows grouped by the values of these columns, in order of appearance."""
        keys = list(dict.fromkeys(tuple(row[c] for c in by) for row in self.rows()))
        return [(key, self.where(**dict(zip(by, key, strict=True)))) for key in keys]

    def to_csv(self) -> str:
        """CSV text; floats with 8 significant digits, so that equal results give equal bytes."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(self._columns)
        for row in zip(*self._columns.values(), strict=True):
            writer.writerow([f"{v:.8g}" if isinstance(v, float) else v for v in row])
        return out.getvalue()

    def _repr_html_(self) -> str:
        """What a notebook shows: the first 20 rows."""
        caption = f"{len(self)} rows" + (", the first 20 shown" if len(self) > 20 else "")
        return html_table(
            caption, self._columns, islice(zip(*self._columns.values(), strict=True), 20)
        )

    @classmethod
    def from_csv(cls, text: str) -> "Table":
        """Read back what `to_csv` wrote; a column of numbers comes back as floats."""
        header, *lines = list(csv.reader(io.StringIO(text)))
        table = cls(*header)
        for i, name in enumerate(header):
            table._columns[name] = _numbers([line[i] for line in lines])
        return table


def html_table(caption: str, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """An HTML table for notebooks; floats with 5 significant digits, everything escaped."""
    head = "".join(f"<th>{escape(c)}</th>" for c in columns)
    body = "".join(
        "<tr>"
        + "".join(f"<td>{escape(f'{v:.5g}' if isinstance(v, float) else str(v))}</td>" for v in row)
        + "</tr>"
        for row in rows
    )
    return (
        f"<table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table>"
    )


def _numbers(column: Sequence[str]) -> list[Any]:
    try:
        return [float(v) for v in column]
    except ValueError:
        return list(column)
