"""What is varied in TCT, one thing at a time."""

import numpy as np
from matplotlib.figure import Figure as MplFigure

from theorylab.lab import Figure, Table
from theorylab.papers.tct.figures.shared import NUMBERS, SPREAD, mean_line
from theorylab.papers.tct.tables import (
    NAMES,
    ablations_table,
    bootstrap_table,
    steps_table,
    stopping_table,
)
from theorylab.plotting import (
    COLOURS,
    DASHES,
    MARKERS,
    legend_below,
    panels,
    ramp,
    shared_legend,
    whole_ticks,
)


def _bootstrap(table: Table) -> MplFigure:
    figure, axes = panels(1, height=3.2)
    axis = axes[0, 0]
    mean_line(axis, table.where(series="average"), "rounds1", "tct", label="TCT")
    client = table.where(series="client 0")
    error = np.abs(np.stack([client["low"], client["high"]]) - client["mean"])
    axis.errorbar(
        client["rounds1"],
        client["mean"],
        yerr=error,
        color=COLOURS[5],
        marker="v",
        ls="none",
        label="TCT at client 0's model, not the average",
    )
    for method, dash in (("fedavg", "--"), ("centralized", "-.")):
        rows = table.where(series=method)
        mean_line(
            axis,
            rows,
            "rounds1",
            method,
            marker="",
            ls=dash,
            label="FedAvg throughout" if method == "fedavg" else "centralized",
        )
    axis.set(xlabel="rounds T1 of stage 1 (0: no bootstrap)", ylabel="test accuracy")
    whole_ticks(axis.xaxis)
    legend_below(axis, 2)
    return figure


def _steps(table: Table) -> MplFigure:
    figure, axes = panels(2, height=3.0, sharey=True)
    for axis, algorithm in zip(axes[0], ("scaffold", "fedavg"), strict=True):
        groups = table.where(algorithm=algorithm).groups("steps")
        for i, (colour, ((m,), rows)) in enumerate(zip(ramp(len(groups)), groups, strict=True)):
            mean_line(
                axis,
                rows,
                "round",
                "",
                color=colour,
                marker=MARKERS[i % 6],
                ls=DASHES[i % 6],
                label=f"M = {m:g}",
                markevery=max(1, len(rows) // 6),
            )
        axis.set(title=f"{NAMES[algorithm]} in stage 2", xlabel="round of stage 2")
        whole_ticks(axis.xaxis)
    axes[0, 0].set_ylabel("test accuracy")
    shared_legend(figure, axes[0], 3)
    return figure


def _ablations(table: Table) -> MplFigure:
    figure, axes = panels(3, height=3.4, sharey=True)
    for axis, panel in zip(axes[0], ("eta", "p", "M"), strict=False):
        if panel != "M":
            mean_line(axis, table.where(panel=panel), "x", "tct", label="TCT")
        axis.set_xscale("log")
        ticks = sorted(set(table.where(panel=panel)["x"]))
        axis.set_xticks(ticks, [f"{x:g}" for x in ticks])
        axis.minorticks_off()
    axes[0, 0].axvspan(2, 4, color=COLOURS[4], alpha=0.15, lw=0)
    axes[0, 0].text(
        2.8,
        0.5,
        "diverges, refused",
        rotation=90,
        ha="center",
        va="center",
        fontsize=7,
        transform=axes[0, 0].get_xaxis_transform(),
    )
    axes[0, 0].set(xlabel="step size c = η λmax", ylabel="test accuracy", title="step size")
    axes[0, 1].set(xlabel="coordinates p of the gradient", title="features")
    looks = {
        "scaffold, standardised": (COLOURS[4], "P", "-"),
        "fedavg, standardised": (COLOURS[0], "o", "-"),
        "scaffold, raw": (COLOURS[1], "s", "--"),
    }
    for series, (colour, marker, dash) in looks.items():
        rows = table.where(panel="M", series=series)
        label = series.replace("scaffold", "SCAFFOLD").replace("fedavg", "FedAvg")
        mean_line(axes[0, 2], rows, "x", "", color=colour, marker=marker, ls=dash, label=label)
    axes[0, 2].set(xlabel="local steps M", title="standardised or raw")
    shared_legend(figure, [axes[0, 2]], 3)
    return figure


def _stopping(table: Table) -> MplFigure:
    figure, axes = panels(1, height=3.2)
    axis = axes[0, 0]
    for algorithm in ("scaffold",):
        rows = table.where(series=algorithm)
        marks = sorted({min(len(rows) - 1, int(i)) for i in np.geomspace(1, len(rows), 8)})
        mean_line(
            axis, rows, "x", algorithm, markevery=marks, label=f"{NAMES[algorithm]} in stage 2"
        )
    limit = table.where(series="ridgeless")
    axis.axhline(
        limit["mean"][0], color="grey", ls="--", lw=1, label="its limit: least squares, ridgeless"
    )
    ridge = table.where(series="ridge")
    axis.axhline(ridge["mean"].max(), color=COLOURS[2], ls="-.", lw=1, label="the best ridge")
    axis.set(xscale="log", xlabel="round of stage 2", ylabel="test accuracy")
    legend_below(axis, 2)
    return figure


FIGURES = (
    Figure(
        "tct_ablation_T1",
        "How much bootstrapping is needed",
        "content",
        ("train", "convex", "bootstrap"),
        bootstrap_table,
        _bootstrap,
        f"T1 = 0 is the tangent kernel at initialisation: no bootstrap. {SPREAD}",
        NUMBERS,
    ),
    Figure(
        "tct_ablation_M",
        "Local steps in stage 2",
        "content",
        ("convex",),
        steps_table,
        _steps,
        f"With η = 1/λmax. {SPREAD}",
        NUMBERS,
    ),
    Figure(
        "tct_ablations",
        "Step size, number of features, standardisation",
        "content",
        ("convex",),
        ablations_table,
        _ablations,
        f"Accuracy after the last round of stage 2. {SPREAD}",
        NUMBERS,
    ),
    Figure(
        "tct_early_stopping",
        "Stage 2 to convergence overfits",
        "ours",
        ("convex",),
        stopping_table,
        _stopping,
        (
            "The number of rounds of stage 2 acts as regularisation: its limit is ridgeless "
            f"regression. {SPREAD}"
        ),
    ),
)
