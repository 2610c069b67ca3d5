"""Test accuracy of TCT and of what it is compared with."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as MplFigure

from theorylab.lab import Figure, Table
from theorylab.papers.tct.figures.shared import COLOUR, MARKER, NUMBERS, ORDER, SPREAD, mean_line
from theorylab.papers.tct.tables import (
    NAMES,
    convexity_table,
    curves_table,
    finals_table,
    probe_table,
)
from theorylab.plotting import WIDTH, legend_below, panels, shared_legend, whole_ticks


def _rounds(axis: Axes, part: Table, methods: Sequence[str]) -> None:
    for method in methods:
        rows = part.where(method=method)
        if len(rows):
            mean_line(axis, rows, "round", method, markevery=max(1, len(rows) // 6))
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
        mean_line(axis, rows, "kept", look, label=label)
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
                color=COLOUR[method],
                marker=MARKER[method],
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


_TCT = (
    "T1 rounds of FedAvg, then T2 rounds of SCAFFOLD on the standardised tangent features of the "
    "averaged model."
)


FIGURES = (
    Figure(
        "tct_main_curves",
        "Test accuracy by communication round",
        "content",
        ("train", "convex"),
        curves_table,
        _curves,
        f"{_TCT} The dotted line is the switch. A round of the centralized run is as many epochs "
        f"as a client's. {SPREAD}",
        NUMBERS,
    ),
    Figure(
        "tct_convex_vs_nonconvex",
        "SCAFFOLD tracks centralized training on a convex problem, not on the network",
        "content",
        ("train", "convex"),
        convexity_table,
        _convexity,
        "Two classes per client. (A) Least squares on the tangent features, M local steps per "
        f"round; centralized: M steps on all examples. (B) The network. {SPREAD}",
        NUMBERS,
    ),
    Figure(
        "tct_feature_probe",
        "What FedAvg's layers are worth",
        "content",
        ("probe",),
        probe_table,
        _probe,
        (
            "The first layers stay as they were learned; the others are initialised again and "
            f"trained centrally. {SPREAD}"
        ),
        NUMBERS,
    ),
    Figure(
        "tct_heterogeneity",
        "Accuracy by dissimilarity of the clients",
        "content",
        ("train", "convex"),
        finals_table,
        _heterogeneity,
        f"Networks: mean of the last 10 rounds; TCT: after its last round. {SPREAD}",
        NUMBERS,
    ),
    Figure(
        "tct_table",
        "Methods by setting",
        "scaled",
        ("train", "convex"),
        finals_table,
        _table,
        "Test accuracy in percent, mean and standard deviation over seeds; networks: mean of the "
        "last 10 rounds. The best federated method is in bold.",
        f"{NUMBERS} Known from its text are its largest gaps: +36 points on Fashion-MNIST, +37 on "
        "CIFAR-10.",
    ),
)
