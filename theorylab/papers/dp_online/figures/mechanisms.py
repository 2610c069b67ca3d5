"""Mechanisms: their noise, their privacy, and where they concentrate."""

import numpy as np
from matplotlib.figure import Figure as MplFigure

from theorylab.lab import Figure, Table
from theorylab.papers.dp_online import tables
from theorylab.plotting import (
    COLOURS,
    DASHES,
    MARKERS,
    panels,
    whole_ticks,
)


def _counters(table: Table) -> MplFigure:
    figure, axes = panels(2, height=3.0)
    left, right = axes[0]
    for i, ((noise,), rows) in enumerate(table.groups("noise")):
        left.plot(
            rows["doublings"],
            rows["quantile"],
            color=COLOURS[i],
            ls=DASHES[i],
            marker=MARKERS[i],
            label=f"{str(noise).capitalize()} noise",
        )
    rows = table.where(noise="laplace")
    left.plot(
        rows["doublings"],
        rows["reference"],
        color=COLOURS[4],
        ls="none",
        marker="D",
        mfc="none",
        ms=8,
        label="prototype",
    )
    for i, power in enumerate((1.5, 2.0)):
        scaled = rows["quantile"] / rows["doublings"] ** power
        right.plot(
            rows["doublings"],
            scaled,
            color=COLOURS[i + 2],
            ls=DASHES[i],
            marker=MARKERS[i],
            label=f"laplace / (log2 T)^{power:g}",
        )
    left.set(
        xlabel="log2 T", ylabel="0.9-quantile of the largest error", title="Tree counter, ε = 1"
    )
    right.set(
        xlabel="log2 T",
        title="Between two powers",
        ylim=(0, 1.6 * float(np.max(rows["quantile"] / rows["doublings"] ** 1.5))),
    )
    left.set_ylim(0, 1.5 * float(table["quantile"].max()))
    left.legend(loc="upper left")
    right.legend(loc="upper left")
    for axis in (left, right):
        whole_ticks(axis.xaxis)
    return figure


def _traces(table: Table) -> MplFigure:
    figure, axes = panels(2, height=2.8)
    for axis, name, title in zip(
        axes[0],
        ("survival", "mass"),
        ("p_i: not fired before step i", "q_i: fires in the interval"),
        strict=True,
    ):
        axis.plot(table["i"], table[name], color=COLOURS[0], marker="", label="AboveThreshold")
        axis.plot(
            table["i"],
            table[f"{name}_bound"],
            color=COLOURS[1],
            ls="--",
            marker="",
            label="guarantee",
        )
        axis.set(xlabel="step i", title=title)
        axis.legend(loc="lower left")
        whole_ticks(axis.xaxis)
    axes[0, 0].set_ylim(0, 1.05)
    axes[0, 1].set_yscale("log")
    return figure


def _audits(table: Table) -> MplFigure:
    figure, axes = panels(2, height=3.0)
    left, right = axes[0]
    for i, ((series,), rows) in enumerate(table.where(panel="events").groups("series")):
        keep = rows["y"] > 0
        left.plot(
            rows["x"][keep],
            rows["y"][keep],
            color=COLOURS[i],
            ls="none",
            marker=MARKERS[i],
            ms=3,
            label=str(series),
        )
    for i, ((series,), rows) in enumerate(table.where(panel="rounds").groups("series")):
        colour = COLOURS[2 * i]
        right.plot(
            rows["x"],
            rows["y"],
            color=colour,
            ls=DASHES[2 * i],
            marker=MARKERS[2 * i],
            label=str(series),
        )
    for x in (-1.0, 1.0):
        left.axvline(x, color="grey", ls=":", lw=0.9, marker="")
    right.axhline(1.0, color="grey", ls=":", lw=0.9, marker="")
    left.set(
        yscale="log",
        xlabel="log ratio / ε of a firing round",
        ylabel="share of events",
        title="All neighbours, all rounds",
    )
    left.set_ylim(top=60)
    right.set(
        xlabel="log2 T",
        ylabel="largest log ratio / ε",
        title="One informative example more",
        yscale="log",
    )
    left.legend(loc="upper left")
    right.legend(loc="upper left")
    right.set_ylim(0.3, 8 * float(table.where(panel="rounds")["y"].max()))
    whole_ticks(right.xaxis)
    return figure


def _uniform(table: Table) -> MplFigure:
    figure, axes = panels(1, height=3.1)
    axis = axes[0, 0]
    for i, ((feedback,), rows) in enumerate(table.groups("feedback")):
        axis.plot(
            rows["k"],
            rows["exact"],
            color=COLOURS[i],
            ls=DASHES[i],
            marker="",
            label=f"exact, counts {feedback}",
        )
        axis.errorbar(
            rows["k"],
            rows["played"],
            yerr=4 * rows["se"],
            color=COLOURS[i],
            ls="none",
            marker=MARKERS[i],
            mfc="none",
            label=f"played, counts {feedback}",
        )
    rows = table.where(feedback="examples")
    axis.plot(rows["k"], rows["bound"], color=COLOURS[4], ls=":", marker="", label="guarantee")
    axis.set(xlabel="log2 T", ylabel="E[M], mistakes", ylim=(0, 1.15 * float(table["exact"].max())))
    axis.legend(loc="upper left")
    whole_ticks(axis.xaxis)
    return figure


def _concentration(table: Table) -> MplFigure:
    figure, axes = panels(2, height=3.0)
    for axis, panel in zip(axes[0], ("beta", "step"), strict=True):
        for i, ((series,), rows) in enumerate(table.where(panel=panel).groups("series")):
            marker = MARKERS[i] if panel == "beta" else ""
            axis.plot(
                rows["x"],
                rows["y"],
                color=COLOURS[i],
                ls=DASHES[i],
                marker=marker,
                label=str(series),
            )
        whole_ticks(axis.xaxis)
    left, right = axes[0]
    left.set(
        xlabel="log10(1/β)",
        ylabel="E[M], all informative",
        title="Concentration costs",
        ylim=(0, 1.5 * float(table.where(panel="beta")["y"].max())),
    )
    right.set(xlabel="step i", title="A printed step is false", ylim=(-0.05, 1.45))
    left.legend(loc="upper left")
    right.legend(loc="upper right")
    return figure


FIGURES = (
    Figure(
        "dpo_counters",
        "Errors of continual counters",
        "ours",
        ("counters",),
        tables.counters,
        _counters,
        "0.9-quantile of the largest error of the binary-tree counter over T rounds; Gaussian "
        "noise at δ = 1e-6; open diamonds: an independent prototype.",
    ),
    Figure(
        "dpo_traces",
        "The adversary's invariants",
        "ours",
        ("game",),
        tables.traces,
        _traces,
        "p_i and q_i before each of the insertions at the largest T, exact, and what holds for "
        "every learner that is log(3/2)-private and 0.1-concentrated (dashed).",
    ),
    Figure(
        "dpo_audit",
        "Exact privacy audit",
        "ours",
        ("audit", "horizon"),
        tables.audits,
        _audits,
        "Left: log ratios of the probability of every firing round under neighbouring streams, on"
        " three streams; dotted grey: ±ε; those beyond ±2ε are counted at the ends. Right: one "
        "more informative example before T - 9 others; a learner whose every round is ε-private "
        "(green) is not ε-private over many.",
    ),
    Figure(
        "dpo_uniform",
        "Learners that answer at random until they fire",
        "ours",
        ("uniform",),
        tables.uniform,
        _uniform,
        "E[M] against the adversary that skips the middle of three parts, at ε = log(3/2), β = "
        "0.1; learners count every example or their mistakes alone. Open markers: games played, "
        "with bars of 4 standard errors.",
    ),
    Figure(
        "dpo_concentration",
        "Case I, and a step of case II",
        "ours",
        ("concentrated", "shame"),
        tables.concentration,
        _concentration,
        "Left: E[M] on informative examples alone at ε = log(3/2), against the bound that needs "
        "concentration alone. Right: Name & Shame against the bisection adversary: by the printed "
        "step, p_(i+1) >= p_i - 2 q_i with all q_i = 0, its p_i would stay at 1 (dashed); it "
        "falls, and stays above 1/2 - 4iδ.",
    ),
)
