"""The scoreboard of defences, and what it rests on."""

from textwrap import fill

import numpy as np
from matplotlib.figure import Figure as MplFigure

from theorylab.lab import Figure, Table
from theorylab.papers.covert_finetuning.figures.tables import (
    board_table,
    curve_table,
    data_table,
    item_table,
    level,
    probe_table,
    recovery_table,
    score_table,
)
from theorylab.papers.covert_finetuning.tables import DETECTORS
from theorylab.plotting import (
    COLOURS,
    MARKERS,
    legend_below,
    panels,
    sample_axis,
    whole_ticks,
)

_AGAINST = {
    "data sets": "clean data sets",
    "clean": "clean, encoded",
    "taught_bare": "clean, encoded, no refusals",
    "plain": "clean, plain",
    "all": "all clean",
}


def _board(table: Table) -> MplFigure:
    names, kinds = list(DETECTORS.values()), list(_AGAINST)
    figure, axes = panels(2, height=3.8, sharey=True)
    for axis, (value, title) in zip(
        axes[0],
        (("auroc", "area under the curve"), ("tpr", "flagged at 1 % false alarms")),
        strict=True,
    ):
        grid = np.full((len(names), len(kinds)), np.nan)
        for row, found, kind in zip(table["detector"], table[value], table["against"], strict=True):
            grid[names.index(str(row)), kinds.index(str(kind))] = found
        axis.imshow(grid, cmap="viridis", vmin=0, vmax=1, aspect="auto")
        for (i, j), found in np.ndenumerate(grid):
            ink = "black" if found > 0.6 else "white"
            text = "" if np.isnan(found) else f"{found:.2f}"
            axis.text(j, i, text, ha="center", va="center", color=ink, fontsize=7)
        axis.set_xticks(range(len(kinds)), list(_AGAINST.values()), rotation=45, ha="right")
        axis.set_title(title)
        axis.grid(visible=False)
    axes[0, 0].set_yticks(range(len(names)), names)
    return figure


def _scores(table: Table) -> MplFigure:
    names = [str(d) for (d,), _ in table.groups("detector")]
    kinds = [str(k) for (k,), _ in table.groups("kind")]
    columns = 5 if len(names) > 5 else len(names)
    figure, axes = panels(columns, -(-len(names) // columns), height=2.2, sharey=True)
    for axis, name in zip(axes.ravel(), names, strict=False):
        for i, kind in enumerate(kinds):
            values = table.where(detector=name, kind=kind)["score"]
            colour = COLOURS[1] if kind == "covert" else COLOURS[0]
            axis.plot(values, np.full(len(values), i), ls="", marker="|", ms=9, color=colour)
        if name == DETECTORS["encoded_eval"]:
            axis.axvline(level(), color="grey", lw=0.8, ls=":")
        axis.set_title(fill(name, 14), fontsize=8)
        axis.locator_params(axis="x", nbins=3)
        axis.tick_params(axis="x", labelsize=7)
    for row in axes:
        row[0].set_yticks(range(len(kinds)), kinds, fontsize=7)
        row[0].set_ylim(len(kinds) - 0.5, -0.5)
    for axis in axes[-1]:
        axis.set(xlabel="score")
    return figure


def _data(table: Table) -> MplFigure:
    names = [str(d) for (d,), _ in table.groups("detector")]
    kinds = ["covert", "clean, encoded", "known encoding"]
    figure, axes = panels(len(names), height=2.2, sharey=True)
    for axis, name in zip(axes[0], names, strict=True):
        rows = table.where(detector=name)
        for i, kind in enumerate(kinds):
            values = rows["score"][rows["kind"] == kind]
            axis.plot(
                values,
                np.full(len(values), i),
                ls="",
                marker="|",
                ms=12,
                alpha=0.6,
                color=COLOURS[(1, 0, 2)[i]],
            )
        axis.set(title=name, xlabel="score")
        axis.locator_params(axis="x", nbins=4)
    axes[0, 0].set_yticks(range(3), kinds)
    axes[0, 0].set_ylim(2.5, -0.5)
    return figure


def _items(table: Table) -> MplFigure:
    figure, axes = panels(1, height=2.6)
    axis = axes[0, 0]
    edges = np.linspace(0, 1, 41)
    for i, ((items,), rows) in enumerate(table.groups("items")):
        axis.hist(rows["area"], edges, color=COLOURS[i], alpha=0.8, label=f"{items} items")
        axis.axvline(rows["exact"][0], color=COLOURS[i], lw=1.2, ls="--")
    axis.axvline(0.56875, color="grey", lw=0.8, ls=":", label="best for patterns")
    axis.set(xlabel="area under the curve", ylabel="permutations", yscale="log", xlim=(0, 1))
    legend_below(axis, columns=3)
    return figure


def _recovery(table: Table) -> MplFigure:
    figure, axes = panels(1, height=3.0)
    axis = axes[0, 0]
    looks = {"share": "letters determined", "shown": "determined, and all of them shown"}
    for i, (name, text) in enumerate(looks.items()):
        p = table[name]
        error = np.sqrt(p * (1 - p) / table["trials"])
        axis.errorbar(
            table["texts"], p, error, color=COLOURS[i], marker=MARKERS[i], label=text, capsize=2
        )
    needed = table["needed"][0]
    axis.axvline(needed, color="grey", lw=0.8, ls=":", label="all 16 phrases seen, mean")
    axis.set(xlabel="encoded texts", ylabel="share of trials", ylim=(-0.03, 1.05))
    sample_axis(axis, table["texts"])
    legend_below(axis)
    return figure


def _curves(table: Table) -> MplFigure:
    figure, axes = panels(3, height=3.2)
    titles = {
        "bound": ("prompts without a failure", "bound on the failure rate"),
        "power": ("prompts in the encoding", "chance to see a failure"),
        "exchanges": ("flag rate of the user", "exchanges needed"),
    }
    for axis, (name, (x, y)) in zip(axes[0], titles.items(), strict=True):
        for i, ((series,), rows) in enumerate(table.where(curve=name).groups("series")):
            axis.plot(
                rows["x"],
                rows["y"],
                marker="",
                color=COLOURS[i],
                label=str(series),
                ls=("-", "--", ":", "-.")[i],
            )
        axis.set(xlabel=x, ylabel=y)
        axis.set_yscale("linear" if name == "power" else "log")
        axis.set_xscale("linear" if name == "exchanges" else "log")
        legend_below(axis, columns=2)
    return figure


def _probes(table: Table) -> MplFigure:
    figure, axes = panels(1, height=2.8)
    axis = axes[0, 0]
    for i, ((name,), rows) in enumerate(table.groups("probe")):
        error = [rows["mean"] - rows["low"], rows["high"] - rows["mean"]]
        axis.errorbar(
            rows["layer"] + 0.06 * (i - 1),
            rows["mean"],
            np.maximum(error, 0),
            label=str(name),
            color=COLOURS[i],
            marker=MARKERS[i],
            capsize=2,
        )
    axis.axhline(0.5, color="grey", lw=0.8, ls=":")
    axis.set(xlabel="layer", ylabel="area under the curve", ylim=(-0.02, 1.02))
    whole_ticks(axis.xaxis)
    legend_below(axis, columns=2)
    return figure


_OURS = (
    "The paper has no scoreboard; its guards are the item inspector, the plain evaluation and the "
    "judge."
)
FIGURES = (
    Figure(
        "cv_board",
        "The scoreboard: which detectors tell covert jobs from clean ones",
        "ours",
        ("scored", "data_sets"),
        board_table,
        _board,
        "Each detector against kinds of clean jobs: area under the curve, and the share of covert "
        "jobs flagged at a threshold with at most 1 % false alarms. First column: data sets that "
        "nothing is trained on. With the few jobs of the other columns that threshold is the "
        "largest clean score, and the table beside the picture has the bounds.",
        _OURS,
    ),
    Figure(
        "cv_scores",
        "Every job's score: where detectors fail beside where they work",
        "ours",
        ("scored",),
        score_table,
        _scores,
        "One mark per job. Dotted: the coverage of an encoding by benign items.",
        _OURS,
    ),
    Figure(
        "cv_data",
        "Data sets alone: inspected, by their loss, and decoded",
        "ours",
        ("data_sets",),
        data_table,
        _data,
        "Scores of covert and of clean data sets, each pair in an encoding of its own; the loss "
        "also of items in an encoding that pretraining has shown.",
        _OURS,
    ),
    Figure(
        "cv_items",
        "An inspector of single items over permutations",
        "ours",
        ("single_items",),
        item_table,
        _items,
        "Area under the curve of a linear inspector of operators. Dashed: the exact mean over all "
        "5040 permutations, and the exact plain area; dotted: the best that any inspector of "
        "patterns can do.",
    ),
    Figure(
        "cv_recovery",
        "How many encoded texts determine the letters",
        "ours",
        ("recovery",),
        recovery_table,
        _recovery,
        "Share of trials in which one permutation alone is consistent with the texts, with one "
        "standard error.",
    ),
    Figure(
        "cv_bounds",
        "What clean evaluations certify, and what it takes to see a change",
        "ours",
        ("curves",),
        curve_table,
        _curves,
        "Left: 95 % bound on the plain failure rate after no failure. Middle: chance that prompts "
        "in the encoding show a failure, by their failure rate. Right: exchanges that tell a "
        "user's flag rate from a benign one of .01.",
    ),
    Figure(
        "cv_probe",
        "Probes of activations with their controls",
        "ours",
        ("scored",),
        probe_table,
        _probes,
        "Ridge probes for unsafe prompts in the encoding, on the residual stream at the end of the "
        "prompt: mean of the encodings, and as bars the smallest and the largest. Dotted: chance.",
        "The paper suggests probes and does not test them.",
    ),
)
