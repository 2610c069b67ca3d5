"""Figures of the theory and of synthetic data: records, margins, directions, rates, accounting."""

import numpy as np
from matplotlib.figure import Figure as Picture

from theorylab.lab import Figure, Table
from theorylab.papers.semi_private import tables
from theorylab.papers.semi_private.figures.shared import LEVELS, STYLE
from theorylab.plotting import (
    COLOURS,
    DASHES,
    MARKERS,
    band,
    diagonal,
    panels,
    ramp,
    sample_axis,
    shared_legend,
)


def _sizes(table: Table) -> Picture:
    figure, axes = panels(2, height=2.9, sharey=True)
    for axis, method in zip(axes[0], ("PILLAR", "no projection"), strict=True):
        groups = table.where(method=method).groups("d")
        for colour, marker, ((d,), rows) in zip(ramp(len(groups)), MARKERS, groups, strict=False):
            axis.plot(rows["n"], rows["accuracy"], color=colour, marker=marker, label=f"d = {d:g}")
            axis.plot(rows["n"], rows["free"], color=colour, ls=":", marker="")
        axis.axhline(tables.LEVEL, color="grey", ls="--", lw=0.8, marker="")
        axis.set(title=method, xlabel="private records n")
        sample_axis(axis, rows["n"])
    axes[0, 0].set_ylabel("test accuracy")
    shared_legend(figure, axes[0], 4)
    return figure


def _numbers(table: Table) -> Picture:
    figure, axes = panels(2, height=2.9)
    left, right = axes[0]
    names = ("PILLAR", "no projection", "no projection, prototype")
    for k, name in enumerate(names):
        if name not in set(table["series"].tolist()):
            continue
        rows = table.where(panel="d", series=name)
        xs = np.array(sorted(set(rows["x"].tolist())))
        means = np.array([float(np.nanmean(rows.where(x=x)["n"])) for x in xs])
        left.plot(xs, means, color=COLOURS[k], ls=DASHES[k], marker=MARKERS[k], label=name)
    rows = table.where(panel="epsilon")
    xs = np.array(sorted(set(rows["x"].tolist())))
    means = np.array([float(np.nanmean(rows.where(x=x)["n"])) for x in xs])
    right.plot(xs, means, color=COLOURS[0], marker=MARKERS[0], label="PILLAR")
    centre = np.exp(np.log(means * xs).mean())
    right.plot(xs, centre / xs, color="grey", ls=":", marker="", label="proportional to 1/ε")
    left.set(xlabel="dimension d", ylabel="records for 90 %", yscale="log", title="ε = 0.1")
    right.set(xlabel="ε", ylabel="records for 90 %", yscale="log", title="d = 64")
    sample_axis(left, table.where(panel="d", series="PILLAR")["x"])
    sample_axis(right, xs)
    right.set_yticks([50, 100, 200, 400], ["50", "100", "200", "400"])
    right.minorticks_off()
    left.set_ylim(None, 4e4)
    left.legend(loc="upper left")
    right.legend(loc="upper right")
    return figure


def _spiked(table: Table) -> Picture:
    figure, axes = panels(2, height=2.9)
    left, right = axes[0]
    for epsilon in LEVELS:
        rows = table.where(epsilon=epsilon)
        left.plot(rows["k"], rows["accuracy"], ls="-", **STYLE[epsilon])
        low, high = (rows["accuracy"] + s * rows["deviation"] for s in (-1, 1))
        band(left, rows["k"], low, high, STYLE[epsilon]["color"])
    right.plot(rows["k"], rows["defect"], color=COLOURS[3], marker=MARKERS[3])
    left.set(xlabel="directions k", ylabel="test accuracy")
    right.set(xlabel="directions k", ylabel="low-rank defect ξ_k", ylim=(-0.02, 1))
    for axis in (left, right):
        sample_axis(axis, rows["k"])
    left.legend(loc="lower center")
    return figure


def _margin(table: Table) -> Picture:
    figure, axes = panels(2, height=3.3)
    left, right = axes[0]
    for k, name in enumerate(("label +1", "label -1")):
        rows = table.where(panel="plane", series=name)
        left.plot(rows["x"], rows["y"], color=COLOURS[k], ls="none", marker=MARKERS[k], label=name)
    for k, name in enumerate(("classifier w", "leading direction")):
        rows = table.where(panel="plane", series=name)
        x, y = float(rows["x"][0]), float(rows["y"][0])
        left.plot([0, x], [0, y], color=COLOURS[k + 2], ls=DASHES[k], marker="", label=name)
    left.set(title="Four points in the plane", xlim=(-1.2, 1.2), ylim=(-1.2, 1.2))
    left.set_aspect("equal")
    labels = {"printed": "as printed", "sharp": "as it is"}
    for k, (name, label) in enumerate(labels.items()):
        rows = table.where(panel="margins", series=name)
        right.plot(rows["x"], rows["y"], color=COLOURS[k], ls="none", marker=".", ms=3, label=label)
    diagonal(right, -1, 1)
    right.set_xticks([-1, -0.5, 0, 0.5, 1])
    right.set(title="Random distributions", xlabel="promised margin", ylabel="measured margin")
    shared_legend(figure, axes[0], 6)
    return figure


def _bars(table: Table) -> Picture:
    figure, axes = panels(2, height=3.0)
    for axis, panel in zip(axes[0], ("samples", "shifts"), strict=True):
        mine = table.where(panel=panel)
        names = list(dict.fromkeys(mine["x"]))
        for k, series in enumerate(dict.fromkeys(mine["series"])):
            rows = mine.where(series=series)
            axis.plot(
                range(len(names)),
                rows["y"],
                color=COLOURS[k],
                ls="none",
                marker=MARKERS[k],
                label=series,
            )
        sign = "η = " if panel == "shifts" else ""
        axis.set_xticks(range(len(names)), [sign + str(n).replace(", n", ",\nn") for n in names])
        axis.set(yscale="log", xlim=(-0.5, len(names) - 0.5))
        axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.24), ncols=1, fontsize=7)
    axes[0, 0].set(title="Directions of a sample", ylabel="‖P - P̂‖")
    axes[0, 1].set(title="Directions under a shift", xlabel="total variation")
    return figure


def _rates(table: Table) -> Picture:
    figure, axes = panels(2, height=2.9, sharey=True)
    for axis, ((defect,), rows) in zip(axes[0], table.groups("defect"), strict=True):
        for k, method in enumerate(dict.fromkeys(rows["method"])):
            mine = rows.where(method=method)
            axis.plot(
                mine["d"],
                mine["rate"],
                color=COLOURS[k],
                ls=DASHES[k],
                marker=MARKERS[k],
                label=method,
            )
        axis.set(yscale="log", xlabel="dimension d", title=f"ξ = {defect:g}")
        sample_axis(axis, rows["d"])
    axes[0, 0].set_ylabel("private records, up to constants")
    shared_legend(figure, axes[0], 3)
    return figure


def _accounted(table: Table) -> Picture:
    figure, axes = panels(2, height=2.9)
    for k, epsilon in enumerate((0.1, 0.7)):
        rows = table.where(epsilon=epsilon)
        label = f"ε = {epsilon:g}"
        style = {"color": COLOURS[k], "ls": "none", "marker": MARKERS[k], "label": label}
        axes[0, 0].plot(rows["steps"], rows["noise_multiplier"], **style)
        axes[0, 1].plot(rows["steps"], rows["spent"] / epsilon, **style)
    axes[0, 1].axhline(1, color="grey", ls=":", lw=0.8, marker="")
    axes[0, 0].set(xscale="log", yscale="log", xlabel="steps", ylabel="noise multiplier")
    axes[0, 1].set(xscale="log", xlabel="steps", ylabel="ε spent / ε stated", ylim=(0.98, 1.02))
    shared_legend(figure, axes[0], 2)
    return figure


FIGURES = (
    Figure(
        "spl_sizes",
        "The price of the dimension",
        "ours",
        ("sample_sizes",),
        tables.sizes,
        _sizes,
        "Accuracy on the Gaussian mixture with θ = σ² = 1/√d over the number of private records, at"
        " ε = 0.1 (zCDP, records replaced), with two public directions and without projection;"
        " dotted: without privacy, dashed: 90 %. Accuracies are exact, in the mean over noise and"
        " data.",
    ),
    Figure(
        "spl_numbers",
        "Records for 90 %",
        "ours",
        ("sample_sizes", "epsilon_sizes"),
        tables.numbers,
        _numbers,
        "Private records at which the mixture's accuracy reaches 90 %: over the dimension, beside"
        " an independent prototype, and over ε for PILLAR with exact Gaussian accounting.",
    ),
    Figure(
        "spl_spiked",
        "Too few directions and too many",
        "ours",
        ("spiked",),
        tables.spiked,
        _spiked,
        "A margin whose classifier is spread over 20 directions of 200. Left: accuracy over the"
        " number of public directions, bands: one standard deviation; right: what they miss of the"
        " classifier.",
    ),
    Figure(
        "spl_margin",
        "What a projection leaves of a margin",
        "ours",
        ("counterexample", "margins"),
        tables.plane,
        _margin,
        "Left: the paper's promise fails: w separates the points at γ = 0.3, yet behind the leading"
        " direction the labels of two pairs are opposed. Right: margins of random distributions"
        " over what is promised; below the dotted line a promise is broken.",
    ),
    Figure(
        "spl_directions",
        "Bounds for directions",
        "ours",
        ("sampled", "shifted"),
        tables.directions,
        _bars,
        "Errors of leading directions and their bounds. Left: of samples, with lemma 3's bound."
        " Right: under a shift of total variation η; a bound of 1 says nothing.",
    ),
    Figure(
        "spl_table",
        "Private records that each method needs",
        "content",
        ("rates",),
        tables.rates,
        _rates,
        "The paper's table of methods as numbers, up to constants and logarithms: k = 40, error"
        " 0.1, ε = 0.1, γ = 0.3. The margin behind the projection is that of the worst case.",
        "Rates as curves; ζ is the margin that is left, not the printed one.",
    ),
    Figure(
        "spl_accounting",
        "Noise of the paper's settings",
        "content",
        ("accounted",),
        tables.accounted,
        _accounted,
        "The settings of the paper's code: noise multipliers by an independent calculation, and the"
        " ε that Rényi accounting of ours says they spend, δ = 1e-5; dotted: what is stated.",
        "The paper's accountant is PRV, which asks for about 10 % less noise.",
    ),
)
