"""What figures of several subjects share."""

from typing import Any

from matplotlib.axes import Axes

from theorylab.lab import Table
from theorylab.papers.tct.tables import NAMES
from theorylab.plotting import COLOURS, MARKERS, band

ORDER = ("fedavg", "fedprox", "scaffold", "fednova", "centralized", "tct")


SPREAD = "Means over seeds; bands and bars span the seeds."

NUMBERS = "The paper's numbering and cells could not be read."

COLOUR = dict(
    zip(
        ORDER, (COLOURS[0], COLOURS[3], COLOURS[1], COLOURS[5], COLOURS[2], COLOURS[4]), strict=True
    )
)

MARKER = dict(zip(ORDER, MARKERS, strict=True))


def mean_line(axis: Axes, rows: Table, x: str, method: str, **style: Any) -> None:
    """Mean with the range over seeds."""
    style = {
        "color": COLOUR.get(method, "grey"),
        "marker": MARKER.get(method, ""),
        "label": NAMES.get(method, method),
    } | style
    axis.plot(rows[x], rows["mean"], **style)
    band(axis, rows[x], rows["low"], rows["high"], style["color"])
