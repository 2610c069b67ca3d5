"""What figures of several subjects share."""

from typing import Any

from matplotlib.axes import Axes

from theorylab.lab import Table
from theorylab.plotting import band

SEEDS = "Mean over markets and noise; the band is one standard error."


def seed_line(axis: Axes, rows: Table, colour: Any, **style: Any) -> None:
    x, mean, se = rows["x"], rows["mean"], rows["se"]
    axis.plot(x, mean, color=colour, **style)
    band(axis, x.tolist(), (mean - se).tolist(), (mean + se).tolist(), colour)
