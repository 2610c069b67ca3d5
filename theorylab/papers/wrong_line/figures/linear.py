"""The linear model: where its line is wrong, and the bounds that say so."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as MplFigure
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator
from scipy.special import ndtri

from theorylab.lab import Figure, Table
from theorylab.papers.wrong_line.figures.shared import probit_axes
from theorylab.papers.wrong_line.tables import CLIP, bounds_table, linear_table, points_table
from theorylab.plotting import (
    COLOURS,
    MARKERS,
    band,
    diagonal,
    panels,
    ramp,
    sample_axis,
    shared_legend,
)


def scatter(axes: Axes, rows: Table, *, line: bool = True) -> None:
    """One point per model on probit axes, coloured by training size, and the fitted line."""
    x, y = (ndtri(np.clip(rows[q], CLIP, 1 - CLIP)) for q in ("id", "ood"))
    sizes = sorted(set(rows["n"]))
    for colour, marker, n in zip(ramp(len(sizes)), (*MARKERS, "X", "p"), sizes, strict=False):
        at = rows["n"] == n
        axes.plot(x[at], y[at], ls="none", marker=marker, color=colour, label=f"n = {n:g}")
    if line and np.ptp(x) > 0:
        slope, intercept = np.polyfit(x, y, 1)
        ends = np.array([x.min(), x.max()])
        axes.plot(ends, slope * ends + intercept, color="grey", marker="", lw=1)
    probit_axes(axes, rows["id"], rows["ood"])


def _draw_points(table: Table) -> MplFigure:
    figure, axes = panels(2, height=3.1)
    for axis_, eta, letter in zip(axes[0], (0.1, 0.0), "ab", strict=True):
        rows = table.where(eta=eta)
        scatter(axis_, rows)
        name = f"label noise {eta:.0%}" if eta else "clean labels"
        axis_.set(
            title=f"({letter}) {name}: corr {rows['corr'][0]:+.2f}, slope {rows['slope'][0]:+.2f}",
            xlabel="ID accuracy (probit scale)",
        )
    axes[0, 0].set_ylabel("OOD accuracy (probit scale)")
    axes[0, 1].legend(loc="lower right")
    return figure


_PANELS = {
    "noise": "label noise η",
    "penalty": "penalty λ (η = 0.1)",
    "shift": "shift τ (η = 0.1)",
    "dimension": "nuisance features k (η = 0.1)",
}


def _ablation(table: Table) -> MplFigure:
    figure, axes = panels(2, 2, height=3.2)
    for axis_, (panel, title) in zip(axes.flat, _PANELS.items(), strict=True):
        part = table.where(panel=panel)
        groups = sorted(part.groups("value"))
        for i, (colour, ((value,), rows)) in enumerate(zip(ramp(len(groups)), groups, strict=True)):
            x, y = (ndtri(np.clip(rows[q], CLIP, 1 - CLIP)) for q in ("id", "ood"))
            axis_.plot(
                x,
                y,
                color=colour,
                marker=MARKERS[i % 6],
                label=f"{value:g}: corr {rows['corr'][0]:+.2f}",
            )
            axis_.plot(
                x[-1:], y[-1:], color=colour, marker=MARKERS[i % 6], ms=8, mfc="none", ls="none"
            )
        probit_axes(axis_, part["id"], part["ood"])
        axis_.set_title(title)
        low, high = axis_.get_ylim()
        axis_.set_ylim(low, high + 0.15 * (high - low))  # room for the legend
        axis_.legend(fontsize=7, loc="upper right" if panel == "dimension" else "upper left")
    for axis_ in axes[1]:
        axis_.set_xlabel("ID accuracy (probit scale)")
    for axis_ in axes[:, 0]:
        axis_.set_ylabel("OOD accuracy (probit scale)")
    return figure


def _reference(table: Table) -> MplFigure:
    figure, axes = panels(2, height=4.2, sharey=True)
    groups = table.groups("panel", "value")
    y = np.arange(len(groups))[::-1]
    signs = {
        "noise": "η",
        "penalty": "λ",
        "shift": "τ",
        "dimension": "k",
        "shortcut": "shortcut, η",
    }
    for axis_, quantity in zip(axes[0], ("corr", "slope"), strict=True):
        ours = [rows[quantity][0] for _, rows in groups]
        theirs = [rows[f"reference_{quantity}"][0] for _, rows in groups]
        axis_.axvline(0, color="grey", lw=0.8)
        axis_.plot(
            theirs,
            y,
            ls="none",
            marker="D",
            mfc="none",
            ms=6,
            color=COLOURS[1],
            label="reference values",
        )
        axis_.plot(ours, y, ls="none", marker="o", color=COLOURS[0], label="measured here")
        axis_.set_xlabel(
            "correlation of probits" if quantity == "corr" else "slope of the probit line"
        )
    axes[0, 0].set_yticks(y, [f"{signs[str(p)]} = {v:g}" for (p, v), _ in groups])
    shared_legend(figure, [axes[0, 0]], 2)
    return figure


def _curves(table: Table) -> MplFigure:
    figure, axes = panels(3, height=2.8)
    part = table.where(panel="noise")
    groups = sorted(part.groups("value"))
    for axis_, quantity in zip(axes[0], ("id", "ood", "rho"), strict=True):
        for i, (colour, ((eta,), rows)) in enumerate(zip(ramp(len(groups)), groups, strict=True)):
            axis_.plot(
                rows["n"], rows[quantity], color=colour, marker=MARKERS[i % 6], label=f"η = {eta:g}"
            )
            if quantity != "rho":
                low, high = (
                    rows[quantity] - rows[f"{quantity}_sd"],
                    rows[quantity] + rows[f"{quantity}_sd"],
                )
                band(axis_, rows["n"], low, np.minimum(high, 1.0), colour)
        sample_axis(axis_, part["n"])
        axis_.set_xlabel("training samples n")
    axes[0, 0].set_title("ID accuracy")
    axes[0, 1].set_title("OOD accuracy")
    axes[0, 2].set(title="sensitivity ‖w_N‖ / ‖w_S‖", yscale="log")
    axes[0, 2].set_yticks([0.5, 1, 2, 5, 10, 20], ["0.5", "1", "2", "5", "10", "20"])
    axes[0, 2].minorticks_off()
    shared_legend(figure, [axes[0, 0]], 6)
    return figure


def _bounds(table: Table) -> MplFigure:
    figure, axes = panels(3, height=2.9)
    for axis_, quantity in zip(axes[0], ("weights", "ood error"), strict=False):
        part = table.where(quantity=quantity)
        groups = sorted(part.groups("eta"))
        for i, (colour, ((eta,), rows)) in enumerate(zip(ramp(len(groups)), groups, strict=True)):
            axis_.plot(
                rows["bound"],
                rows["measured"],
                ls="none",
                marker=MARKERS[i % 6],
                ms=3,
                color=colour,
                label=f"η = {eta:g}",
            )
        ends = part["bound"].min(), part["measured"].max()
        diagonal(axis_, *ends)
        axis_.set(xlabel="lower bound", title=f"{quantity}: measured ≥ bound")
    axes[0, 0].set(xscale="log", yscale="log", title="‖w_N‖ at margin 1", ylabel="measured")
    for which in (axes[0, 0].xaxis, axes[0, 0].yaxis):
        which.set_major_locator(FixedLocator([0.2, 0.5, 1, 2, 5, 10, 20]))
        which.set_major_formatter(FixedFormatter(["0.2", "0.5", "1", "2", "5", "10", "20"]))
        which.set_minor_locator(NullLocator())
    axes[0, 1].set_title("OOD error, zero-mean shift")
    axes[0, 0].legend(fontsize=7, loc="upper left")
    part = table.where(quantity="mean shift")
    margins = sorted(set(part["n"]))
    for name, tint, sign in (("measured", COLOURS[0], "o"), ("bound", COLOURS[1], "s")):
        mean = [part.where(n=m)[name].mean() for m in margins]
        axes[0, 2].plot(margins, mean, color=tint, marker=sign, label=name)
    axes[0, 2].set(title="P(error | x), mean shift", xlabel="margin of x")
    axes[0, 2].legend(loc="lower left")
    return figure


_LINEAR = ("noise", "penalty", "dimension", "shortcut")

_SETTING = (
    "50 signal and k = 50,000 nuisance features (compressed exactly), l2-logistic regression at λ "
    "= 1e-5, OOD shift τ = 0.5 on the nuisance block; accuracies on clean labels, exact over the "
    "population."
)


FIGURES = (
    Figure(
        "wl_fig1",
        "Accuracy on the wrong line, and on the line",
        "content",
        ("noise", "penalty", "dimension", "shortcut"),
        points_table,
        _draw_points,
        "One point per training set. With wrong labels more data raise ID and lower OOD accuracy; "
        "without wrong labels both rise. Grey: least-squares line. " + _SETTING,
        "The paper's own dimensions could not be read.",
    ),
    Figure(
        "wl_ablation",
        "Remove one condition, and the line turns back",
        "content",
        _LINEAR,
        linear_table,
        _ablation,
        "Means over seeds by training size, the largest ringed; correlations are over all models. "
        + _SETTING,
        "The paper's own ablations could not be read.",
    ),
    Figure(
        "wl_table",
        "Correlation and slope of every linear setting",
        "ours",
        _LINEAR,
        linear_table,
        _reference,
        "They stand beside reference values from an independent NumPy computation with other "
        "random numbers. The CSV has the accuracies, training errors and sensitivities by n. "
        + _SETTING,
    ),
    Figure(
        "wl_curves",
        "Accuracies and nuisance sensitivity against the training size",
        "content",
        _LINEAR,
        linear_table,
        _curves,
        "Bands: standard deviation over seeds. " + _SETTING,
        "The paper's own curves could not be read.",
    ),
    Figure(
        "wl_bounds",
        "Lower bounds on the nuisance weights and on the OOD error",
        "ours",
        ("noise", "mean_shift"),
        bounds_table,
        _bounds,
        "One point per training set that was interpolated; on or above the diagonal (dotted) the "
        "bound holds. Right: a misaligned mean shift with uniform noise on 40 coordinates. "
        + _SETTING,
    ),
)
