"""Drawings of the figures: each draws one table and nothing else."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as MplFigure

from theorylab.lab import Table
from theorylab.papers.certified_training.tables import NAMES
from theorylab.plotting import COLOURS, DASHES, MARKERS, panels, shared_legend, whole_ticks

STYLE: dict[str, dict[str, Any]] = {
    m: {"color": COLOURS[i % 6], "marker": MARKERS[i % 6], "ls": DASHES[i % 6]}
    for i, m in enumerate(NAMES)
}
AXES = {
    "k": "segments k",
    "l2": "radius ε, l2",
    "margin": "inverse margin 1/γ",
    "linf": "radius ε, l∞",
    "signal": "radius ε along the signal",
    "signal, n = 10,000": "radius ε, n = 10,000",
    "error": "radius ε, l2",
}


def _curves(axis: Axes, part: Table, value: str = "robust") -> None:
    """Ours with lines, the published values as unfilled marks."""
    for (recipe,), rows in part.groups("recipe"):
        style = STYLE[str(recipe)]
        order = np.argsort(rows["x"])
        x, y = rows["x"][order], rows[value][order]
        there = rows[f"published_{value}"][order]
        if np.isfinite(y).any():
            axis.plot(x[np.isfinite(y)], y[np.isfinite(y)], label=NAMES[str(recipe)], **style)
        if np.isfinite(there).any():
            keep = np.isfinite(there)
            axis.plot(
                x[keep],
                there[keep],
                color=style["color"],
                marker=style["marker"],
                ls="",
                mfc="none",
                label=f"{NAMES[str(recipe)]}, published",
            )


def _ticks(axis: Axes, panel: str, part: Table) -> None:
    """Whole numbers of segments; inverse margins as fractions."""
    if panel == "k":
        axis.set_xticks([1, 2, 4, 6, 8, 10])
    elif panel == "margin":
        values = sorted({round(1 / x) for x in part["x"]}, reverse=True)
        axis.set_xticks([1 / v for v in values], [f"1/{v}" for v in values])
    elif all(float(x).is_integer() for x in part["x"]):
        whole_ticks(axis.xaxis)


def _curve_figure(table: Table, columns: int, only: tuple[str, ...] = ()) -> MplFigure:
    groups = [(p, t) for (p,), t in table.groups("panel") if not only or p in only]
    rows = -(-len(groups) // columns)
    figure, axes = panels(columns, rows, height=2.6)
    flat = list(axes.ravel())
    for axis, (panel, part) in zip(flat, groups, strict=False):
        _curves(axis, part)
        axis.set(xlabel=AXES[str(panel)], ylabel="robust test error", ylim=(-0.02, None))
        _ticks(axis, str(panel), part)
    spare = flat[len(groups) :]
    shared_legend(figure, flat[: len(groups)], 4, spare=spare[:1])
    for axis in spare[1:]:
        axis.set_axis_off()
    return figure


def neuron_figure(table: Table) -> MplFigure:
    figure, axes = panels(2, height=2.8)
    for axis, ((panel,), part) in zip(axes[0], table.groups("panel"), strict=True):
        for (training,), rows in part.groups("training"):
            style = STYLE[str(training)]
            axis.plot(rows["x"], rows["value"], label=NAMES[str(training)], **style)
            keep = np.isfinite(rows["published"])
            if keep.any():
                axis.plot(
                    rows["x"][keep],
                    rows["published"][keep],
                    ls="",
                    marker="x",
                    ms=7,
                    color=style["color"],
                    label=f"{NAMES[str(training)]}, quadrature of the reference",
                )
        axis.axhline(0, color="grey", lw=0.7)
        axis.set(
            xscale="log",
            xlabel="‖θ₂:‖, norm of the other weights",
            xticks=[2, 5, 10, 20, 50],
            xticklabels=["2", "5", "10", "20", "50"],
            ylabel="population gradient" if panel == "gradient" else "risk after a step, less AT's",
        )
        axis.minorticks_off()
    shared_legend(figure, axes[0], 3)
    return figure


def thresholds_figure(table: Table) -> MplFigure:
    figure, axes = panels(2, height=2.8)
    for i, ((ratio,), rows) in enumerate(table.groups("ratio")):
        axes[0, 0].plot(
            rows["r"],
            rows["f"],
            color=COLOURS[i],
            ls=DASHES[i],
            marker="",
            label=f"ε/γ = {ratio:g}",
        )
    axes[0, 0].axhline(0, color="grey", lw=0.7)
    axes[0, 0].set(xlabel="r σ/γ", ylabel="f(r)/γ²")
    axes[0, 0].legend(loc="upper right")
    first = [rows for _, rows in table.groups("ratio")]
    ratios = [float(r["ratio"][0]) for r in first]
    for j, (name, text) in enumerate((("sharp", "sharp"), ("corrected", "corrected, sufficient"))):
        values = [float(r[name][0]) for r in first]
        axes[0, 1].plot(ratios, values, label=text, color=COLOURS[j], marker=MARKERS[j])
    axes[0, 1].set(xlabel="ε/γ", ylabel="threshold of r σ/γ", ylim=(0, None))
    axes[0, 1].legend()
    return figure


def relaxation_figure(table: Table) -> MplFigure:
    figure, axes = panels(2, height=3.0)
    for i, ((line,), rows) in enumerate(table.where(panel="neuron").groups("line")):
        axes[0, 0].plot(
            rows["x"],
            rows["value"],
            label=str(line),
            color=COLOURS[i],
            ls=DASHES[i],
            marker="",
            lw=2.2 if i == 0 else 1.4,
        )
    axes[0, 0].set(xlabel="input z of an unstable neuron", ylabel="output")
    axes[0, 0].legend()
    shown = [(p, t) for (p,), t in table.groups("panel") if p != "neuron"]
    for i, (panel, rows) in enumerate(shown):
        axes[0, 1].plot(
            rows["x"],
            rows["value"],
            label=str(panel),
            color=COLOURS[i],
            marker=MARKERS[i],
            ls=DASHES[i],
        )
        keep = np.isfinite(rows["published"])
        axes[0, 1].plot(
            rows["x"][keep],
            rows["published"][keep],
            ls="",
            marker="x",
            ms=8,
            color=COLOURS[i],
            label="worked by hand" if i == 0 else None,
        )
    names = [str(n) for n in shown[0][1]["line"]]
    axes[0, 1].set_xticks(range(len(names)), names)
    axes[0, 1].set(ylabel="smallest margin")
    axes[0, 1].legend()
    return figure


def bounds_figure(table: Table) -> MplFigure:
    threats = [str(t) for (t,), _ in table.groups("threat")]
    figure, axes = panels(len(threats), height=3.0)
    for axis, threat in zip(axes[0], threats, strict=True):
        for i, ((method,), rows) in enumerate(table.where(threat=threat).groups("method")):
            gap = np.sort(rows["smallest"] - rows["bound"])
            axis.plot(
                np.maximum(gap, 1e-4),
                np.arange(1, len(gap) + 1) / len(gap),
                label=str(method).upper(),
                color=COLOURS[i],
                ls=DASHES[i],
                marker="",
            )
        axis.set(
            xscale="log",
            xlabel="smallest sampled margin − bound",
            ylabel="share of networks and classes",
            title="l∞ ball" if threat == "linf" else "l2 ball",
        )
    axes[0, 0].legend()
    return figure


def linear_figure(table: Table) -> MplFigure:
    return _curve_figure(table, 2)


def wide_figure(table: Table) -> MplFigure:
    figure, axes = panels(2, height=2.9)
    _curves(axes[0, 0], table)
    axes[0, 0].set(xlabel=AXES["error"], ylabel="robust test error")
    _curves(axes[0, 1], table, "standard")
    axes[0, 1].set(xlabel=AXES["error"], ylabel="standard test error")
    shared_legend(figure, axes[0], 3)
    return figure


def attack_figure(table: Table) -> MplFigure:
    figure, axes = panels(2, height=2.8)
    for i, ((series,), rows) in enumerate(table.where(panel="unstable").groups("series")):
        for column, text in (("value", ""), ("published", ", published")):
            keep = np.isfinite(rows[column])
            axes[0, 0].plot(
                rows["x"][keep],
                rows[column][keep],
                label=f"{series}{text}",
                color=COLOURS[i],
                marker=MARKERS[i],
                ls="-" if column == "value" else "",
                mfc=None if column == "value" else "none",
            )
    axes[0, 0].set(xlabel="radius ε, l2", ylabel="unstable neurons at the end", ylim=(0, 1))
    axes[0, 0].legend()
    rows = table.where(panel="cosine")
    axes[0, 1].plot(rows["x"], rows["value"], color=COLOURS[0], label="AT")
    axes[0, 1].set(xlabel="epochs trained", ylabel="|cos(attack, signal)|", ylim=(0, 1))
    return figure


def spheres_figure(table: Table) -> MplFigure:
    return _curve_figure(table, 2)


def unstable_figure(table: Table) -> MplFigure:
    figure, axes = panels(2, 2, height=2.5)
    for axis, ((panel,), rows) in zip(axes.ravel(), table.groups("panel"), strict=True):
        order = np.argsort(rows["x"])
        for column, text, style in (
            ("accumulated", "ours", {"color": COLOURS[2], "marker": "^"}),
            ("published", "published", {"color": COLOURS[1], "marker": "s", "mfc": "none"}),
        ):
            y = rows[column][order]
            keep = np.isfinite(y)
            axis.plot(rows["x"][order][keep], y[keep], label=text, **style)
        axis.set(xlabel=AXES[str(panel)], ylabel="unstable, summed", ylim=(0, None))
        _ticks(axis, str(panel), rows)
    shared_legend(figure, axes.ravel(), 2)
    return figure


def _bars(axis: Axes, rows: Table, columns: list[tuple[str, str]]) -> None:
    """Marks side by side for every recipe: ours and the published."""
    names = [NAMES[str(r)] for r in rows["recipe"]]
    for j, (column, text) in enumerate(columns):
        y = rows[column]
        keep = np.isfinite(y)
        x = np.arange(len(names)) + 0.16 * (j - (len(columns) - 1) / 2)
        axis.plot(x[keep], y[keep], ls="", marker=MARKERS[j], color=COLOURS[j], label=text)
    axis.set_xticks(range(len(names)), names, rotation=40, ha="right", fontsize=7)


_COLUMNS = [
    ("robust", "robust, ours"),
    ("standard", "standard, ours"),
    ("certified", "uncertified, ours"),
    ("published_robust", "robust, published"),
    ("published_standard", "standard, published"),
]


def image_figure(table: Table) -> MplFigure:
    groups = table.groups("threat", "eps")
    figure, axes = panels(4, -(-len(groups) // 4), height=2.4, sharey=True)
    flat = list(axes.ravel())
    for axis, ((threat, eps), rows) in zip(flat, groups, strict=False):
        _bars(axis, rows, _COLUMNS)
        sign = "l∞" if threat == "linf" else "l2"
        axis.set(title=f"{sign}, ε = {float(eps):.3g}", ylim=(-0.03, 1.03))
    for axis in axes[:, 0]:
        axis.set_ylabel("test error")
    for axis in flat[len(groups) :]:
        axis.set_axis_off()
    shared_legend(figure, flat[: len(groups)], 5)
    return figure


def lines_figure(table: Table) -> MplFigure:
    groups = table.groups("panel")
    figure, axes = panels(3, -(-len(groups) // 3), height=2.4)
    flat = list(axes.ravel())
    for axis, ((panel,), part) in zip(flat, groups, strict=False):
        for (recipe,), rows in part.groups("recipe"):
            style = STYLE[str(recipe)]
            order = np.argsort(rows["x"])
            for column, text in (("ours", ""), ("published", ", published")):
                y = rows[column][order]
                keep = np.isfinite(y)
                if keep.any():
                    axis.plot(
                        rows["x"][order][keep],
                        y[keep],
                        label=f"{NAMES[str(recipe)]}{text}",
                        color=style["color"],
                        marker=style["marker"],
                        ls="-" if column == "ours" else "",
                        mfc=None if column == "ours" else "none",
                    )
        unstable = str(panel).startswith("unstable")
        axis.set(
            title=str(panel).removeprefix("unstable, "),
            xlabel="radius ε" if str(panel).endswith("l2") else "segments k",
            ylabel="unstable, summed" if unstable else "robust test error",
        )
    shared_legend(figure, flat[: len(groups)], 4)
    for axis in flat[len(groups) :]:
        axis.set_axis_off()
    return figure


def table1_figure(table: Table) -> MplFigure:
    groups = table.groups("panel")
    figure, axes = panels(3, 2, height=2.4, sharey=True)
    columns = [
        ("ours_robust", "robust, ours"),
        ("published_robust", "robust, published"),
        ("published_standard", "standard, published"),
    ]
    for axis, ((panel,), rows) in zip(axes.T.ravel(), groups, strict=True):
        _bars(axis, rows, columns)
        axis.set(title=str(panel).replace("linf", "l∞"), ylim=(-0.03, 1.03))
    for axis in axes[:, 0]:
        axis.set_ylabel("test error")
    shared_legend(figure, axes.ravel(), 3)
    return figure
