"""What figures of several subjects share."""

from typing import Any

from matplotlib.axis import Axis
from matplotlib.figure import Figure as MplFigure
from matplotlib.ticker import NullLocator

from theorylab.lab import Results, Table
from theorylab.plotting import COLOURS, MARKERS, panels

_TICKS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.5, 2.0, 4.0, 8.0)


def panel_grid(rows: Results) -> tuple[list[int], list[float]]:
    first = next(iter(rows)).cell
    return list(first["sizes"]), list(first["ridges"])


def theory_looks(table: Table) -> dict[str, dict[str, Any]]:
    """Colour and marker of every kernel, the same in all panels."""
    return {
        str(kernel): {
            "color": COLOURS[i % 6],
            "marker": MARKERS[i % 6],
            "mfc": None if i < 6 else "none",
        }
        for i, ((kernel,), _) in enumerate(table.groups("kernel"))
    }


def rows_of(
    table: Table, columns: int, height: float, **shared: Any
) -> tuple[MplFigure, list[tuple[Any, Any, Table]]]:
    """One row of panels for each data set: (data, axes of the row, its part of the table)."""
    parts = table.groups("data")
    figure, axes = panels(
        columns, len(parts), height=height if len(parts) == 1 else 0.85 * height, **shared
    )
    return figure, [(data, row, part) for row, ((data,), part) in zip(axes, parts, strict=True)]


def plain_ticks(axis: Axis, ticks: tuple[float, ...] = _TICKS) -> None:
    """Risks of less than a decade: a few of these ticks, with plain numbers."""
    low, high = axis.get_view_interval()
    inside = [t for t in ticks if low <= t <= high]
    inside = inside[:: -(-len(inside) // 6)] if inside else []
    axis.set_ticks(inside, labels=[f"{t:g}" for t in inside])
    axis.set_minor_locator(NullLocator())
