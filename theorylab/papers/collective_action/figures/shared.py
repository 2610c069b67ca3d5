"""What figures of several subjects share."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from theorylab.lab import Table
from theorylab.plotting import COLOURS, DASHES, MARKERS, band

BANDS = "Bands: 95 % confidence intervals of the mean over seeds. "


def sizes_axis(axis: Axes, sizes: np.ndarray) -> None:
    axis.set_xscale("log")
    shown = [
        a
        for a in (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4)
        if sizes.min() * 0.99 <= a <= sizes.max() * 1.01
    ]
    axis.set_xticks(shown, [f"{a:g}" for a in shown], fontsize=7)
    axis.minorticks_off()


def rule_lines(axis: Axes, rows: Table, x: str, by: str, order: Sequence[str]) -> None:
    groups = {str(key): part for (key,), part in rows.groups(by)}
    for i, name in enumerate(order):
        if name in groups:
            part = groups[name]
            axis.plot(
                part[x],
                part["mean"],
                color=COLOURS[i % 6],
                marker=MARKERS[i % 6],
                ls=DASHES[i % 6],
                label=name,
            )
            band(axis, part[x], part["low"], part["high"], COLOURS[i % 6])
