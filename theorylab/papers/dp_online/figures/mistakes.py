"""Mistakes: how many, at which lengths, levels and positions."""

import numpy as np
from matplotlib.figure import Figure as MplFigure

from theorylab.lab import Figure, Table
from theorylab.papers.dp_online import tables
from theorylab.papers.dp_online.figures.shared import lines
from theorylab.plotting import (
    COLOURS,
    DASHES,
    MARKERS,
    panels,
    ramp,
    sample_axis,
    whole_ticks,
)


def _growth(table: Table) -> MplFigure:
    figure, axes = panels(1, height=3.4)
    axis = axes[0, 0]
    lines(axis, table, "log_rounds", "mistakes", list(dict.fromkeys(table["series"])))
    axis.axvline(50.0, color="grey", ls=":", lw=0.9, marker="")
    axis.set(yscale="log", xlabel="ln T", ylabel="E[M], mistakes", ylim=(0.5, 2000))
    axis.legend(loc="upper left")
    return figure


def _games(table: Table) -> MplFigure:
    figure, axes = panels(2, height=3.2)
    left, right = axes[0]
    names = {
        "front": "all informative",
        "mistakes": "bisection adversary",
        "bound": "best lower bound",
        "plain_bound": "k (1 - 3β)",
        "printed_bound": "log(T)/8, as printed",
    }
    for i, (name, label) in enumerate(names.items()):
        rows = table.where(quantity=name)
        left.plot(
            rows["k"], rows["ours"], color=COLOURS[i], ls=DASHES[i], marker=MARKERS[i], label=label
        )
    rows = table.where(quantity="q")
    right.plot(rows["k"], rows["ours"], color=COLOURS[0], marker="", label="q, exact")
    right.plot(
        rows["k"],
        rows["reference"],
        color=COLOURS[1],
        ls="none",
        marker="s",
        mfc="none",
        label="q, prototype",
    )
    right.plot(
        rows["k"],
        0.1 * 0.75 ** (rows["k"] - 1),
        color=COLOURS[2],
        ls="--",
        marker="",
        label="β (3/4)^(k-1)",
    )
    left.set(
        xlabel="k = log2(T + 1)",
        ylabel="E[M], mistakes",
        yscale="log",
        title="Mistakes",
        ylim=(0.3, 3000),
    )
    right.set(xlabel="k = log2(T + 1)", yscale="log", title="Mass before the last insertion")
    left.legend(loc="upper left", ncols=1)
    right.legend(loc="lower left")
    for axis in (left, right):
        whole_ticks(axis.xaxis)
    return figure


def _front(table: Table) -> MplFigure:
    figure, axes = panels(2, height=3.0)
    for axis, noise in zip(axes[0], (2.0, 1.0), strict=True):
        groups = table.where(noise=noise).groups("epsilon")
        for colour, marker, ((epsilon,), rows) in zip(
            ramp(len(groups)), MARKERS, groups, strict=False
        ):
            slope = (rows["mistakes"][-1] - rows["mistakes"][-2]) / (
                rows["doublings"][-1] - rows["doublings"][-2]
            )
            axis.plot(
                rows["doublings"],
                rows["mistakes"],
                color=colour,
                marker=marker,
                label=f"ε = {epsilon:g}: {slope * epsilon:.3f}/ε a doubling",
            )
        axis.set(xlabel="log2 T", yscale="log", title=f"b1 = b2 = {noise:g}/ε", ylim=(1.5, 20_000))
        axis.legend(loc="upper left")
        whole_ticks(axis.xaxis)
    axes[0, 0].set_ylabel("E[M], all informative")
    return figure


def _positions(table: Table) -> MplFigure:
    figure, axes = panels(1, height=3.0)
    axis = axes[0, 0]
    groups = table.groups("k")
    for colour, ((k,), rows) in zip(ramp(len(groups)), groups, strict=True):
        axis.plot(rows["i"], rows["log2_left"], color=colour, marker="", label=f"T = 2^{k:g} - 1")
    axis.set(xlabel="i-th inserted example", ylabel="log2 of the rounds left after it")
    axis.legend(loc="upper right")
    whole_ticks(axis.xaxis)
    return figure


def _rate(table: Table) -> MplFigure:
    figure, axes = panels(1, height=3.1)
    axis = axes[0, 0]
    epsilons = sorted(set(table["epsilon"].tolist()))
    doublings = sorted(set(table["doublings"].tolist()))
    grid = np.array(
        [[table.where(epsilon=e, doublings=k)["rate"][0] for k in doublings] for e in epsilons]
    )
    image = axis.pcolormesh(
        np.arange(len(doublings) + 1), np.arange(len(epsilons) + 1), grid, cmap="viridis", vmin=0
    )
    every = max(1, len(doublings) // 8), max(1, len(epsilons) // 8)
    axis.set_xticks(
        np.arange(len(doublings))[:: every[0]] + 0.5, [f"{k:g}" for k in doublings][:: every[0]]
    )
    axis.set_yticks(
        np.arange(len(epsilons))[:: every[1]] + 0.5, [f"{e:.3g}" for e in epsilons][:: every[1]]
    )
    axis.grid(False)
    axis.set(xlabel="log2 T", ylabel="ε")
    figure.colorbar(image, ax=axis, label="E[M] ε / ln T")
    return figure


def _regimes(table: Table) -> MplFigure:
    figure, axes = panels(2, height=3.0)
    left, right = axes[0]
    names = {
        "own": "with its guarantee",
        "smallest": "smallest mass",
        "uncut": "without the first cut",
    }
    for i, (rule, label) in enumerate(names.items()):
        rows = table.where(rule=rule)
        for axis, column in ((left, "least"), (right, "mistakes")):
            axis.plot(
                rows["epsilon"],
                rows[column],
                color=COLOURS[i],
                ls="none",
                marker=MARKERS[i],
                label=label,
            )
    rows = table.where(rule="own")
    for axis, column in ((left, "promised"), (right, "bound")):
        axis.plot(
            rows["epsilon"],
            rows[column],
            color=COLOURS[4],
            ls="none",
            marker="_",
            ms=12,
            mew=2,
            label="guarantee",
        )
        axis.set_xlabel("ε")
        sample_axis(axis, rows["epsilon"])
    left.set(ylabel="least p_i", ylim=(0, 1.05))
    right.set(ylabel="E[M], mistakes", ylim=(0, None))
    left.legend(loc="lower left")
    return figure


FIGURES = (
    Figure(
        "dpo_fig1",
        "Growth of mistakes",
        "content",
        ("figure_one",),
        tables.growth,
        _growth,
        "Figure 1, which is a schematic in the paper, computed at ε = 1, δ = 0.02, β = 0.1. The "
        "lower bound saturates near (1-2β)²/(16δ) = 2; learners with log T mistakes meet Name & "
        "Shame's 1/δ = 50 near ln T = ε/δ (dotted grey line). Constants are as proved, so the "
        "bound is far below the learners.",
        "AboveThreshold stands for the learners of log T mistakes, in the place of DP-SOA.",
    ),
    Figure(
        "dpo_table",
        "Mistakes up to 2^60 rounds",
        "ours",
        ("game",),
        tables.games,
        _games,
        "AboveThreshold with noise 2/ε at ε = log(3/2) and β = 0.1. Left: its exact E[M] and what"
        " any private learner must err. Right: probability that it fires in the last interval "
        "before the last insertion, beside an independent prototype (open squares) and the "
        "guarantee.",
    ),
    Figure(
        "dpo_slopes",
        "A private learner's mistakes grow like log T / ε",
        "ours",
        ("front",),
        tables.front,
        _front,
        "Exact E[M] of AboveThreshold when every example is informative, over T; β = 0.1. The "
        "last slope is 2 ln 2 / ε = 1.386/ε a doubling at noise 2/ε, and half of it at 1/ε, which"
        " is as private as ε asks for.",
    ),
    Figure(
        "dpo_positions",
        "Where the adversary puts its examples",
        "ours",
        ("game",),
        tables.positions,
        _positions,
        "Rounds that are left after each inserted example: the adversary halves the rest of the "
        "game again and again.",
    ),
    Figure(
        "dpo_rate",
        "The rate log T / ε is attained",
        "ours",
        ("heat",),
        tables.rate,
        _rate,
        "E[M] ε / ln T of AboveThreshold with noise 1/ε on informative examples alone; β = 0.1. "
        "It tends to 1.",
    ),
    Figure(
        "dpo_regimes",
        "The adversary at every epsilon",
        "ours",
        ("regime",),
        tables.regimes,
        _regimes,
        "Against AboveThreshold with noise 1/ε, at T between 2^12 and 2^60. Below log(3/2) "
        "several examples a step, above more parts. Without the first cut the guarantee of p_i is"
        " broken.",
    ),
)
