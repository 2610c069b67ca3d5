"""Other learners and images: where the line is wrong there."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as MplFigure
from scipy.special import ndtri

from theorylab.lab import Figure, Table
from theorylab.papers.wrong_line.figures.shared import probit_axes
from theorylab.papers.wrong_line.tables import (
    CLIP,
    coloured_table,
    learners_table,
    mlp_table,
    pairs_table,
    search_table,
)
from theorylab.plotting import COLOURS, MARKERS, band, legend_below, panels, sample_axis


def _lines(axes: Axes, part: Table, by: str, legend: str) -> None:
    """ID-OOD curves through the means by n, one for each group; the last n is ringed."""
    for i, ((value,), rows) in enumerate(part.groups(by)):
        colour, marker = COLOURS[i % 6], MARKERS[i % 6]
        x, y = (ndtri(np.clip(rows[q], CLIP, 1 - CLIP)) for q in ("id", "ood"))
        name = f"{value:g}" if isinstance(value, float) else value
        axes.plot(
            x, y, color=colour, marker=marker, label=f"{legend}{name}: corr {rows['corr'][0]:+.2f}"
        )
        axes.plot(x[-1:], y[-1:], color=colour, marker=marker, ms=8, mfc="none", ls="none")
    probit_axes(axes, part["id"], part["ood"])
    axes.set_xlabel("ID accuracy (probit scale)")
    legend_below(axes)


def _learners(table: Table) -> MplFigure:
    figure, axes = panels(2, height=3.5)
    for axis_, eta in zip(axes[0], sorted(set(table["eta"]), reverse=True), strict=True):
        _lines(axis_, table.where(eta=eta), "learner", "")
        axis_.set_title(f"label noise {eta:.0%}" if eta else "clean labels")
    axes[0, 0].set_ylabel("OOD accuracy (probit scale)")
    return figure


def _pairs(table: Table) -> MplFigure:
    names = list(dict.fromkeys(table["group"]))
    figure, axes = panels(2, len(names), height=2.9, sharey="row")
    for row, name in zip(axes, names, strict=True):
        part = table.where(group=name)
        curves = [
            (f"η = {e:g}, {s}", r)
            for (e, s), r in part.groups("eta", "stage")
            if e or "e-" in str(s)
        ]
        curves = [c for c in curves if "0.2, λ = 0.1" not in c[0]]
        for axis_, quantity in zip(row, ("id", "ood"), strict=True):
            for i, (label, rows) in enumerate(curves):
                axis_.plot(
                    rows["n"],
                    rows[quantity],
                    color=COLOURS[i % 6],
                    marker=MARKERS[i % 6],
                    label=f"{label}: corr {rows['corr'][0]:+.2f}",
                )
                low, high = (
                    rows[quantity] - rows[f"{quantity}_sd"],
                    rows[quantity] + rows[f"{quantity}_sd"],
                )
                band(axis_, rows["n"], low, high, COLOURS[i % 6])
            sample_axis(axis_, part["n"])
            axis_.set(
                title=f"{name}: {'ID' if quantity == 'id' else 'OOD'} accuracy",
                xlabel="training samples n",
            )
        row[0].legend(fontsize=7, loc="lower right")
    return figure


def _mlp(table: Table) -> MplFigure:
    figure, axes = panels(2, height=3.0, sharey=True)
    for axis_, quantity in zip(axes[0], ("id", "ood"), strict=True):
        for i, ((eta, stage), rows) in enumerate(table.groups("eta", "stage")):
            axis_.plot(
                rows["n"],
                rows[quantity],
                color=COLOURS[i % 6],
                marker=MARKERS[i % 6],
                label=f"η = {eta:g}, {stage}: corr {rows['corr'][0]:+.2f}",
            )
            low, high = (
                rows[quantity] - rows[f"{quantity}_sd"],
                rows[quantity] + rows[f"{quantity}_sd"],
            )
            band(axis_, rows["n"], low, high, COLOURS[i % 6])
        sample_axis(axis_, table["n"])
        axis_.set(
            title=f"{'ID' if quantity == 'id' else 'OOD'} accuracy", xlabel="training samples n"
        )
    axes[0, 0].legend(fontsize=7)
    return figure


def _coloured(table: Table) -> MplFigure:
    figure, axes = panels(2, height=3.1)
    for axis_, ((name,), part) in zip(axes[0], table.groups("group"), strict=True):
        _lines(axis_, part, "eta", "η = ")
        axis_.set_title(
            {"interpolating": "interpolating (ridge 1e-4)", "ridge": "not interpolating (ridge 1)"}[
                str(name)
            ]
        )
    axes[0, 0].set_ylabel("OOD accuracy (probit scale)")
    return figure


def _search(table: Table) -> MplFigure:
    names = list(dict.fromkeys(table["setting"]))
    figure, axes = panels(1, height=max(2.4, 0.42 * len(names) + 1.2))
    figure.set_figwidth(7.0)
    axis_ = axes[0, 0]
    axis_.axvline(0, color="grey", lw=0.8)
    etas = sorted(set(table["eta"]))
    for i, eta in enumerate(etas):
        rows = table.where(eta=eta)
        y = [len(names) - 1 - names.index(s) + 0.22 * (1 - i) for s in rows["setting"]]
        low, high = (np.clip(rows[q], -1, 1) for q in ("seed_low", "seed_high"))
        middle = rows["seed_corr"]
        axis_.errorbar(
            middle,
            y,
            xerr=[np.maximum(middle - low, 0), np.maximum(high - middle, 0)],
            ls="none",
            lw=1,
            marker=MARKERS[i],
            color=COLOURS[i],
            label=f"η = {eta:g}",
        )
    axis_.set_yticks(range(len(names))[::-1], names)
    axis_.set(
        xlim=(-1.05, 1.05), xlabel="ID-OOD correlation over n: mean over seeds, 95 % interval"
    )
    axis_.legend(
        loc="upper center",
        bbox_to_anchor=(0.4, 1.0 + 0.6 / max(len(names), 3)),
        ncols=3,
        frameon=False,
    )
    return figure


FIGURES = (
    Figure(
        "wl_learners",
        "Early stopping, and why least squares is no stand-in",
        "ours",
        ("learners",),
        learners_table,
        _learners,
        "Gradient descent on the logistic loss keeps to the line when it is stopped early, and "
        "leaves it when it runs on. Minimum-norm least squares leaves it even with clean labels: "
        "it fits every label to exactly ±1. The largest n is ringed.",
    ),
    Figure(
        "wl_pairs",
        "Real signal, synthetic nuisance: pairs of MNIST digits",
        "ours",
        ("pairs",),
        pairs_table,
        _pairs,
        "50 principal components of two digits with 50,000 nuisance features appended; clean test "
        "labels. Bands: standard deviation over seeds. The line of 3 v 8 turns around even "
        "without added noise: the classes overlap in 50 components.",
    ),
    Figure(
        "wl_mlp",
        "A two-layer network trained until it interpolates",
        "ours",
        ("mlp",),
        mlp_table,
        _mlp,
        "ReLU network of 256 units on explicit nuisance features, SGD; stopped early after two "
        "epochs. Bands: standard deviation over seeds.",
    ),
    Figure(
        "wl_coloured",
        "Coloured MNIST: a reversed colour destroys the line",
        "content",
        ("coloured",),
        coloured_table,
        _coloured,
        "Digits of 14 x 14 pixels; the label is whether the digit is 5 or more, and the colour "
        "agrees with it with probability 0.9, out of distribution 0.1; a kernel machine with an "
        "RBF kernel. Means over seeds, the largest n ringed; correlations are over all models.",
        "A kernel machine instead of the paper's network, whose settings could not be read.",
    ),
    Figure(
        "wl_search",
        "Coloured MNIST: in search of a negative line",
        "ours",
        ("search",),
        search_table,
        _search,
        "Correlation over training sizes: mean over seeds; bars: 95 % interval. x4, x8: growth of "
        "the colour noise of single pixels out of distribution. The settings are in "
        "`papers/wrong_line/settings.py`.",
    ),
)
