"""Figures of the paper: drawings of the tables, and their captions."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as MplFigure

from theorylab.lab import Figure, Table
from theorylab.papers.tct.tables import (
    NAMES,
    ablations_table,
    bootstrap_table,
    convexity_table,
    curves_table,
    finals_table,
    probe_table,
    steps_table,
    stopping_table,
    theory_table,
)
from theorylab.plotting import (
    COLOURS,
    DASHES,
    MARKERS,
    WIDTH,
    band,
    legend_below,
    panels,
    ramp,
    shared_legend,
    whole_ticks,
)

ORDER = ("fedavg", "fedprox", "scaffold", "fednova", "centralized", "tct")
_COLOUR = dict(
    zip(
        ORDER, (COLOURS[0], COLOURS[3], COLOURS[1], COLOURS[5], COLOURS[2], COLOURS[4]), strict=True
    )
)
_MARKER = dict(zip(ORDER, MARKERS, strict=True))


def _line(axis: Axes, rows: Table, x: str, method: str, **style: Any) -> None:
    """Mean with the range over seeds."""
    style = {
        "color": _COLOUR.get(method, "grey"),
        "marker": _MARKER.get(method, ""),
        "label": NAMES.get(method, method),
    } | style
    axis.plot(rows[x], rows["mean"], **style)
    band(axis, rows[x], rows["low"], rows["high"], style["color"])


def _rounds(axis: Axes, part: Table, methods: Sequence[str]) -> None:
    for method in methods:
        rows = part.where(method=method)
        if len(rows):
            _line(axis, rows, "round", method, markevery=max(1, len(rows) // 6))
    whole_ticks(axis.xaxis)


def _curves(table: Table) -> MplFigure:
    groups = table.groups("setting")
    columns = min(2, len(groups))
    figure, axes = panels(columns, -(-len(groups) // columns), height=2.6, sharey=True)
    for axis, ((name,), part) in zip(axes.flat, groups, strict=False):
        _rounds(axis, part, ORDER)
        axis.axvline(part["switch"][0], color="grey", lw=0.8, ls=":")
        axis.set(title=str(name), xlabel="communication round")
        absent = [NAMES[m] for m in ORDER if m in set(table["method"]) - set(part["method"])]
        if absent:
            axis.set_xlabel(f"communication round\n(not run here: {', '.join(absent)})")
    for row in axes:
        row[0].set_ylabel("test accuracy")
    shared_legend(figure, axes.flat, 6, spare=axes.flat[len(groups) :])
    return figure


def _convexity(table: Table) -> MplFigure:
    figure, axes = panels(2, height=3.0, sharey=True)
    for axis, panel, title in zip(
        axes[0],
        ("convex", "network"),
        ("(A) convex: tangent features", "(B) the network"),
        strict=True,
    ):
        _rounds(axis, table.where(panel=panel), ORDER)
        axis.set(title=title, xlabel="communication round")
    axes[0, 0].set_ylabel("test accuracy")
    shared_legend(figure, axes[0], 6)
    return figure


def _probe(table: Table) -> MplFigure:
    figure, axes = panels(1, height=3.2)
    axis = axes[0, 0]
    looks = {
        "fedavg": ("FedAvg's layers", "fedavg"),
        "centralized": ("centralized layers", "centralized"),
        "random": ("layers at random initialisation", "fednova"),
    }
    for source, (label, look) in looks.items():
        rows = table.where(source=source)
        _line(axis, rows, "kept", look, label=label)
    total = int(table["layers"][0])
    axis.set(
        xlabel=f"first layers kept, of {total}; the rest retrained centrally",
        ylabel="test accuracy",
    )
    axis.set_xticks(sorted(set(table["kept"])))
    legend_below(axis, 2)
    return figure


def _heterogeneity(table: Table) -> MplFigure:
    sets = [name for (name,), _ in table.groups("data")]
    figure, axes = panels(max(2, len(sets)), height=3.2) if len(sets) > 1 else panels(1, height=3.2)
    for axis, data in zip(axes[0], sets, strict=False):
        part = table.where(data=data)
        settings = [str(name) for (name,), _ in part.groups("setting")]
        for i, method in enumerate(m for m in ORDER if m in set(part["method"])):
            rows = part.where(method=method)
            x = np.array([settings.index(str(s)) for s in rows["setting"]]) + 0.07 * (i - 2)
            error = np.abs(np.stack([rows["low"], rows["high"]]) - rows["mean"])
            axis.errorbar(
                x,
                rows["mean"],
                yerr=error,
                color=_COLOUR[method],
                marker=_MARKER[method],
                lw=1,
                label=NAMES[method],
            )
        axis.set_xticks(range(len(settings)), settings, rotation=20, ha="right")
        axis.set(title=str(data).replace("_", " "), ylabel="final test accuracy")
    shared_legend(figure, axes[0], 3)
    return figure


def _table(table: Table) -> MplFigure:
    groups = table.groups("data", "setting")
    methods = [m for m in ORDER if m in set(table["method"])]
    figure, axes = panels(1, height=0.6 + 0.3 * len(groups))
    figure.set_figwidth(WIDTH)
    axis = axes[0, 0]
    axis.set_axis_off()
    names = [f"{data}, {setting}".replace("_", " ") for (data, setting), _ in groups]
    left = -0.6 - 0.085 * max(len(name) for name in names)  # in columns of numbers
    axis.set(xlim=(left, len(methods) - 0.5), ylim=(-len(groups) + 0.4, 0.9))
    for j, method in enumerate(methods):
        axis.text(j, 0.6, NAMES[method], ha="center", weight="bold", fontsize=8)
    for i, (name, (_, rows)) in enumerate(zip(names, groups, strict=True)):
        axis.text(left, -i, name, fontsize=8)
        means = {str(r["method"]): r for r in rows.rows()}
        federated = [m for m in means if m != "centralized"]
        best = max(federated, key=lambda m: float(means[m]["mean"]))
        for j, method in enumerate(methods):
            if method in means:
                r = means[method]
                spread = f" ± {100 * float(r['sd']):.1f}" if float(r["seeds"]) > 1 else ""
                text = f"{100 * float(r['mean']):.1f}{spread}"
                axis.text(
                    j,
                    -i,
                    text,
                    ha="center",
                    fontsize=8,
                    weight="bold" if method == best else "normal",
                )
    return figure


def _bootstrap(table: Table) -> MplFigure:
    figure, axes = panels(1, height=3.2)
    axis = axes[0, 0]
    _line(axis, table.where(series="average"), "rounds1", "tct", label="TCT")
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
        _line(
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
            _line(
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
            _line(axis, table.where(panel=panel), "x", "tct", label="TCT")
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
        _line(axes[0, 2], rows, "x", "", color=colour, marker=marker, ls=dash, label=label)
    axes[0, 2].set(xlabel="local steps M", title="standardised or raw")
    shared_legend(figure, [axes[0, 2]], 3)
    return figure


def _stopping(table: Table) -> MplFigure:
    figure, axes = panels(1, height=3.2)
    axis = axes[0, 0]
    for algorithm in ("scaffold",):
        rows = table.where(series=algorithm)
        marks = sorted({min(len(rows) - 1, int(i)) for i in np.geomspace(1, len(rows), 8)})
        _line(axis, rows, "x", algorithm, markevery=marks, label=f"{NAMES[algorithm]} in stage 2")
    limit = table.where(series="ridgeless")
    axis.axhline(
        limit["mean"][0], color="grey", ls="--", lw=1, label="its limit: least squares, ridgeless"
    )
    ridge = table.where(series="ridge")
    axis.axhline(ridge["mean"].max(), color=COLOURS[2], ls="-.", lw=1, label="the best ridge")
    axis.set(xscale="log", xlabel="round of stage 2", ylabel="test accuracy")
    legend_below(axis, 2)
    return figure


_SERIES = {
    "bias": ("FedAvg's limit from the optimum", COLOURS[0], "o"),
    "to_minimisers": ("FedAvg's limit from the mean of minimisers", COLOURS[3], "D"),
    "scaffold_to_optimum": ("SCAFFOLD from the optimum", COLOURS[1], "^"),
    "radius": ("SCAFFOLD, spectral radius", COLOURS[1], "^"),
    "rate": ("SCAFFOLD, contraction seen", COLOURS[4], "v"),
    "fedavg_radius": ("FedAvg, spectral radius", COLOURS[0], "o"),
}


def _theory(table: Table) -> MplFigure:
    figure, axes = panels(3, height=3.9)
    for axis, panel in zip(axes[0], ("limits", "radii"), strict=False):
        for (series,), rows in table.where(panel=panel).groups("series"):
            label, colour, marker = _SERIES[str(series)]
            _line(
                axis,
                rows,
                "x",
                "",
                label=label,
                color=colour,
                marker=marker,
                ls=":" if series == "rate" else "-",
            )
        axis.set(xscale="log", xlabel="local steps M")
    axes[0, 0].set(yscale="log", title="p < n: distance of the limit")
    axes[0, 1].set(title="p < n: contraction a round", ylim=(0, 1.05))
    for i, ((series,), rows) in enumerate(table.where(panel="interpolation").groups("series")):
        algorithm, m = str(series).split()
        _line(
            axes[0, 2],
            rows,
            "x",
            algorithm,
            label=f"{NAMES[algorithm]}, M = {m}",
            marker=MARKERS[i % 3],
            ls=DASHES[i % 3],
        )
    axes[0, 2].set(xscale="log", yscale="log", xlabel="rounds", title="p > n: from min-norm")
    for axis in axes[0]:
        legend_below(axis)
    return figure


_SPREAD = "Means over seeds; bands and bars span the seeds."
_TCT = (
    "T1 rounds of FedAvg, then T2 rounds of SCAFFOLD on the standardised tangent features of the "
    "averaged model."
)
_NUMBERS = "The paper's numbering and cells could not be read."
FIGURES = (
    Figure(
        "tct_main_curves",
        "Test accuracy by communication round",
        "content",
        ("train", "convex"),
        curves_table,
        _curves,
        f"{_TCT} The dotted line is the switch. A round of the centralized run is as many epochs "
        f"as a client's. {_SPREAD}",
        _NUMBERS,
    ),
    Figure(
        "tct_convex_vs_nonconvex",
        "SCAFFOLD tracks centralized training on a convex problem, not on the network",
        "content",
        ("train", "convex"),
        convexity_table,
        _convexity,
        "Two classes a client. (A) least squares on the tangent features, M local steps a round; "
        f"centralized: M steps on all examples. (B) the network. {_SPREAD}",
        _NUMBERS,
    ),
    Figure(
        "tct_feature_probe",
        "What FedAvg's layers are worth",
        "content",
        ("probe",),
        probe_table,
        _probe,
        (
            "The first layers stay as they were learned, the others are drawn anew and trained "
            f"centrally. {_SPREAD}"
        ),
        _NUMBERS,
    ),
    Figure(
        "tct_heterogeneity",
        "Accuracy by dissimilarity of the clients",
        "content",
        ("train", "convex"),
        finals_table,
        _heterogeneity,
        f"Networks: mean of the last 10 rounds; TCT: after its last round. {_SPREAD}",
        _NUMBERS,
    ),
    Figure(
        "tct_table",
        "Methods by setting",
        "scaled",
        ("train", "convex"),
        finals_table,
        _table,
        "Test accuracy in percent, mean and standard deviation over seeds; networks: mean of the "
        "last 10 rounds. The best federated method in bold.",
        f"{_NUMBERS} Sourced are its largest gaps: +36 points on Fashion-MNIST, +37 on CIFAR-10.",
    ),
    Figure(
        "tct_ablation_T1",
        "How much bootstrapping is needed",
        "content",
        ("train", "convex", "bootstrap"),
        bootstrap_table,
        _bootstrap,
        f"T1 = 0 is the tangent kernel at initialisation: no bootstrap. {_SPREAD}",
        _NUMBERS,
    ),
    Figure(
        "tct_ablation_M",
        "Local steps in stage 2",
        "content",
        ("convex",),
        steps_table,
        _steps,
        f"With η = 1/λmax. {_SPREAD}",
        _NUMBERS,
    ),
    Figure(
        "tct_ablations",
        "Step size, number of features, standardisation",
        "content",
        ("convex",),
        ablations_table,
        _ablations,
        f"Accuracy after the last round of stage 2. {_SPREAD}",
        _NUMBERS,
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
            f"regression. {_SPREAD}"
        ),
    ),
    Figure(
        "tct_theory",
        "Limits and rates on least squares",
        "ours",
        ("fixed_points", "interpolation"),
        theory_table,
        _theory,
        "Left and middle: four dissimilar clients with noise, more examples than features: FedAvg "
        "is biased, SCAFFOLD is not, and too many local steps slow it down. Right: more features "
        "than examples, no bias. Bands span the seeds.",
    ),
)
