"""What several figures use."""

from collections.abc import Sequence

from matplotlib.axes import Axes

from theorylab.lab import Table
from theorylab.plotting import COLOURS, DASHES, MARKERS


def lines(
    axis: Axes, table: Table, x: str, y: str, names: Sequence[str], *, marks: bool = True
) -> None:
    """One line for each series, in the colours of the house."""
    for i, name in enumerate(names):
        rows = table.where(series=name)
        axis.plot(
            rows[x],
            rows[y],
            color=COLOURS[i],
            ls=DASHES[i],
            marker=MARKERS[i] if marks else "",
            label=name,
        )
