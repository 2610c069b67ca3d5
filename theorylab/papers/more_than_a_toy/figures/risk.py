"""Predicted risk against measured risk."""

import numpy as np
from matplotlib.figure import Figure as MplFigure
from matplotlib.lines import Line2D

from theorylab.lab import Figure, Preset, Table
from theorylab.papers.more_than_a_toy.figures.shared import (
    panel_grid,
    plain_ticks,
    rows_of,
    theory_looks,
)
from theorylab.papers.more_than_a_toy.tables import REAL, curves
from theorylab.papers.types import AllResults
from theorylab.plotting import MARKERS, diagonal, panels, ramp, sample_axis, shared_legend

THEORIES = {
    "norm_bound": "norm bound",
    "spectrum_only": "spectrum only",
    "plugin": "plug-in omniscient",
    "gcv": "GCV",
}


def _risk_table(results: AllResults, preset: Preset) -> Table:
    table = Table(
        "kernel",
        "data",
        "n",
        "ridge",
        "test",
        "test_sd",
        "gcv",
        "loo",
        "train",
        "gcv_over_loo",
        "diag_cv",
    )
    for kernel, name, rows in curves(results):
        sizes, ridges = panel_grid(rows)
        mean = {q: rows.stack(q).mean(0) for q in ("test", "gcv", "loo", "train", "diag_cv")}
        spread, ratio = rows.stack("test").std(0), (rows.stack("gcv") / rows.stack("loo")).mean(0)
        for i, n in enumerate(sizes):
            for j, r in enumerate(ridges):
                risks = {q: mean[q][i, j] for q in ("test", "gcv", "loo", "train")}
                table.add(
                    kernel=kernel,
                    data=name,
                    n=n,
                    ridge=r,
                    test_sd=spread[i, j],
                    gcv_over_loo=ratio[i, j],
                    diag_cv=mean["diag_cv"][i],
                    **risks,
                )
    return table


def _draw_risk_curves(table: Table) -> MplFigure:
    """The kernels of the last data set, four side by side."""
    shown = table.where(data=table["data"][-1]).groups("kernel", "data")
    ridges = sorted(set(table["ridge"]))
    columns, blocks = min(4, len(shown)), -(-len(shown) // 4)
    figure, axes = panels(columns, 2 * blocks, height=2.6 if blocks == 1 else 1.9, sharey="row")
    pairs = [(axes[2 * b, c], axes[2 * b + 1, c]) for b in range(blocks) for c in range(columns)]
    spare = pairs[len(shown) :]
    for top, bottom in spare:
        top.set_axis_off()
        bottom.set_axis_off()
    for (top, bottom), ((kernel, name), part) in zip(pairs, shown, strict=False):
        for colour, marker, r in zip(ramp(len(ridges)), MARKERS, ridges, strict=False):
            rows = part.where(ridge=r)
            n, line = rows["n"], {"color": colour, "label": f"ridge {r:g}"}
            top.plot(n, rows["test"], marker="", **line)
            top.fill_between(
                n,
                rows["test"] - rows["test_sd"],
                rows["test"] + rows["test_sd"],
                color=colour,
                alpha=0.15,
            )
            top.plot(n, rows["gcv"], color=colour, marker=marker, ls="none", mfc="none")
            top.plot(n, np.maximum(rows["train"], 1e-4), color=colour, marker="", lw=0.9, ls=":")
            bottom.plot(n, rows["gcv_over_loo"], marker=marker, **line)
        title = f"{kernel}\n{name}" if blocks == 1 else str(kernel).replace(", ", "\n")
        top.set(
            yscale="log",
            title=title,
            ylim=(
                0.6 * min(table["test"].min(), table["gcv"].min()),
                max(1.2, 1.2 * table["gcv"].max()),
            ),
        )
        plain_ticks(top.yaxis)
        bottom.axhspan(0.85, 1.2, color="grey", alpha=0.15, lw=0)
        bottom.set(xlabel="training samples N")
        if part["gcv_over_loo"].max() > 3:
            bottom.set_yscale("log")
            plain_ticks(bottom.yaxis)
        for axis in (top, bottom):
            sample_axis(axis, part["n"])
        top.tick_params(labelbottom=False)
    for top, bottom in pairs[::columns]:
        top.set_ylabel("risk, summed over classes" if blocks == 1 else f"risk, {shown[0][0][1]}")
        bottom.set_ylabel("GCV / LOO")
    quantities = [
        Line2D([], [], color="grey", **look)
        for look in (
            {"label": "test risk"},
            {"label": "GCV", "ls": "none", "marker": "o", "mfc": "none"},
            {"label": "training risk", "ls": ":", "lw": 0.9},
        )
    ]
    ridge_lines = axes[1, 0].get_legend_handles_labels()[0]
    if spare:
        spare[0][0].legend(handles=quantities, loc="center")
        spare[0][1].legend(handles=ridge_lines, loc="center")
    else:
        figure.legend(handles=[*quantities, *ridge_lines], loc="outside lower center", ncols=4)
    return figure


def _theory_table(results: AllResults, preset: Preset) -> Table:
    table = Table("theory", "kernel", "data", "n", "actual", "predicted", "ridge")
    for kernel, name, rows in curves(results):
        sizes, ridges = panel_grid(rows)
        actual = rows.stack("test").mean(0)
        for theory, label in THEORIES.items():
            predicted = rows.stack(theory).mean(0)
            for i, n in enumerate(sizes):
                for j, r in enumerate(ridges):
                    table.add(
                        theory=label,
                        kernel=kernel,
                        data=name,
                        n=n,
                        ridge=r,
                        actual=actual[i, j],
                        predicted=predicted[i, j],
                    )
    return table


def _draw_theories(table: Table) -> MplFigure:
    looks = theory_looks(table)
    if len(table.groups("data")) == 1:  # room for two rows of larger panels
        figure, grid = panels(2, 2, height=2.5, sharex=True)
        rows = [(table["data"][0], grid.ravel(), table)]
        grid[1, 0].set_ylabel("predicted risk")
    else:
        figure, rows = rows_of(table, len(THEORIES), 2.6, sharex="row")
    for data, axes, of_data in rows:
        low, high = of_data["actual"].min() * 0.8, of_data["actual"].max() * 1.25
        for axis, ((theory,), part) in zip(axes, of_data.groups("theory"), strict=True):
            diagonal(axis, low, high)
            for (kernel,), points in part.groups("kernel"):
                look = looks[str(kernel)]
                ridgeless = points.where(ridge=float(points["ridge"].min()))
                axis.plot(
                    points["actual"], points["predicted"], ls="none", alpha=0.35, **look | {"ms": 3}
                )
                axis.plot(ridgeless["actual"], ridgeless["predicted"], label=kernel, **look)
            axis.set(xscale="log", yscale="log", title=str(theory))
            if axis.get_subplotspec().is_last_row() or len(rows) > 1:
                axis.set_xlabel("test risk")
            plain_ticks(axis.xaxis, (0.05, 0.1, 0.25, 0.5, 1.0))
            plain_ticks(axis.yaxis, (0.001, 0.003, 0.01, 0.03, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0))
        axes[0].set_ylabel("predicted risk" if len(rows) == 1 else f"predicted, {data}")
    shared_legend(figure, [rows[0][1][0]], 4)
    return figure


def _draw_estimates(table: Table) -> MplFigure:
    looks, data = theory_looks(table), list(dict.fromkeys(table["data"]))
    figure, axes = panels(2, height=3.2 if len(looks) <= 4 else 3.8, sharey=True)
    values = np.concatenate([table["test"], table["gcv"], table["loo"]])
    for axis, estimate in zip(axes[0], ("gcv", "loo"), strict=True):
        diagonal(axis, values.min() * 0.9, values.max() * 1.1)
        for (kernel, name), rows in table.groups("kernel", "data"):
            look = looks[str(kernel)] | (
                {"marker": MARKERS[data.index(name)]} if len(data) > 1 else {}
            )
            axis.plot(
                rows["test"],
                rows[estimate],
                ls="none",
                alpha=0.75,
                label=f"{kernel} on {name}" if len(data) > 1 else str(kernel),
                **look,
            )
        axis.set(
            xscale="log",
            yscale="log",
            title=f"{estimate.upper()} against test risk",
            xlabel="test risk" if len(data) > 1 else f"test risk, {data[0]}",
        )
        plain_ticks(axis.xaxis, (0.05, 0.1, 0.2, 0.4, 0.6, 1.0, 2.0, 4.0, 8.0))
        plain_ticks(axis.yaxis, (0.05, 0.1, 0.2, 0.4, 0.6, 1.0, 2.0, 4.0, 8.0))
    axes[0, 0].set_ylabel("estimate from the training set")
    if len(data) == 1:
        shared_legend(figure, [axes[0, 0]], 4)
    else:  # the kernel is the colour, the data set the marker
        kernels = [
            Line2D([], [], ls="none", label=kernel, **look | {"marker": "o"})
            for kernel, look in looks.items()
        ]
        sets = [
            Line2D([], [], ls="none", color="grey", marker=MARKERS[i], label=name)
            for i, name in enumerate(data)
        ]
        figure.legend(handles=[*kernels, *sets], loc="outside lower center", ncols=4)
    return figure


_RELATIVE = (
    "Ridges are relative to tr K / N; one-hot labels minus 0.1, squared error summed over the ten "
    "classes."
)


FIGURES = (
    Figure(
        "mtt_fig1",
        "Predicted and actual risk over N and ridge",
        "scaled",
        REAL,
        _risk_table,
        _draw_risk_curves,
        "For kernels on the last data set: test risk (lines; bands: standard deviation over "
        "splits), GCV from the training set alone (open markers) and training risk (dotted). "
        f"Below: GCV / LOO; in the grey band the random-matrix hypothesis is credible. {_RELATIVE}",
        "The paper shows a ResNet-34 pretrained on ImageNet, on CIFAR-100.",
    ),
    Figure(
        "mtt_fig2",
        "Which theories predict the risk",
        "content",
        REAL,
        _theory_table,
        _draw_theories,
        "Predicted against actual risk, one point per N and ridge; lines join the ridgeless "
        "points; dotted: equality. The norm bound is flat and vacuous, the spectrum alone is too "
        "optimistic, the plug-in estimate collapses as N nears the number of samples it was made "
        f"from; GCV lies on the diagonal. {_RELATIVE}",
    ),
    Figure(
        "mtt_fig3",
        "GCV and LOO against test risk, all kernels",
        "scaled",
        REAL,
        _risk_table,
        _draw_estimates,
        f"One point per kernel, data set, N and ridge; dotted: equality. {_RELATIVE}",
        "The paper has more networks and data sets.",
    ),
)
