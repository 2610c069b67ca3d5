"""Certified accuracy of networks and their ensembles."""

import numpy as np
from matplotlib.figure import Figure as MplFigure

from theorylab.lab import Figure, Table
from theorylab.papers.certified_ensembles import tables
from theorylab.plotting import COLOURS, DASHES, panels, shared_legend


def _certified(table: Table) -> MplFigure:
    names = list(dict.fromkeys(table["data"].tolist()))
    figure, axes = panels(max(2, len(names)), height=2.9, sharey=True)
    for axis in axes[0, len(names) :]:
        axis.set_axis_off()
    for axis, data in zip(axes[0], names, strict=False):
        rows = table.where(data=data)
        for i in range(1, 6):
            one = rows.where(series=f"member {i}")
            label = "five members" if i == 1 else "_"
            axis.plot(
                one["radius"], one["accuracy"], color=COLOURS[3], lw=0.8, marker="", label=label
            )
        for series, colour, dash in (
            ("mean member", COLOURS[0], "--"),
            ("ensemble", COLOURS[4], "-"),
        ):
            one = rows.where(series=series)
            axis.plot(
                one["radius"], one["accuracy"], color=colour, ls=dash, lw=2, marker="", label=series
            )
        for series, colour, marker in (
            ("mean member, reference", COLOURS[0], "s"),
            ("ensemble, reference", COLOURS[4], "o"),
        ):
            one = rows.where(series=series)
            if len(one):
                axis.plot(
                    one["radius"],
                    one["accuracy"],
                    color=colour,
                    ls="",
                    marker=marker,
                    mfc="none",
                    label=series,
                )
        axis.set(title=tables.name_of(data), xlabel="l2 radius", ylim=(0, 1), xlim=(0, 0.7))
    axes[0, 0].set_ylabel("certified accuracy")
    shared_legend(figure, axes.ravel(), 3)
    return figure


def _smoothed(table: Table) -> MplFigure:
    rows = list(dict.fromkeys(table["data"].tolist()))
    columns = sorted(set(table["sigma"].tolist()))
    figure, axes = panels(max(2, len(rows)), len(columns), height=2.7, sharey=True)
    for axis in axes[:, len(rows) :].ravel():
        axis.set_axis_off()
    for sigma, line in zip(columns, axes, strict=True):
        for data, axis in zip(rows, line, strict=False):
            shown = table.where(data=data, sigma=sigma)
            for i, series in enumerate(tables.SMOOTHED.values()):
                if series == "best member":
                    continue
                one = shown.where(series=series)
                axis.plot(
                    one["radius"],
                    one["accuracy"],
                    color=COLOURS[i],
                    ls=DASHES[i],
                    marker="",
                    label=series,
                )
            top = np.max(shown["radius"][shown["accuracy"] > 0], initial=0.1)
            axis.set(
                title=f"{tables.name_of(data)}, σ = {sigma:g}", ylim=(0, 1), xlim=(0, 1.05 * top)
            )
        line[0].set_ylabel("certified accuracy")
    for axis in axes[-1, : len(rows)]:
        axis.set_xlabel("l2 radius")
    shared_legend(figure, axes.ravel(), 2)
    return figure


NETWORKS = (
    Figure(
        "ce_certified",
        "Certified accuracy of five Lipschitz networks and of their ensemble",
        "ours",
        ("summary",),
        tables.certified,
        _certified,
        "GroupSort networks whose layers are divided by proved bounds of their norms; radius "
        "gap/(√2 L), L certified at the end. On 8 × 8 digits, with the smaller training sets of an "
        "independent program, its values are drawn as open symbols.",
    ),
    Figure(
        "ce_smoothed",
        "Ensembles of smoothed networks, averaged before and after",
        "ours",
        ("smoothed",),
        tables.smoothed,
        _smoothed,
        "Five networks under Gaussian noise, at confidence .999 for each image. (i) and (ii) bound "
        "five members at once and pay for it; (ii) leads by at least as much where all members are "
        "above 1/2. One smoothed network of averaged scores pays for one.",
    ),
)
