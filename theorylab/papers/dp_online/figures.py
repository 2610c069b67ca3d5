"""Figures: the paper's schematic, computed, and what its proof rests on, step by step."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as MplFigure

from theorylab.lab import Figure, Table
from theorylab.papers.dp_online import tables
from theorylab.plotting import (
    COLOURS,
    DASHES,
    MARKERS,
    panels,
    ramp,
    sample_axis,
    whole_ticks,
)


def _lines(axis: Axes, table: Table, x: str, y: str, names: Sequence[str]) -> None:
    for i, name in enumerate(names):
        rows = table.where(series=name)
        axis.plot(rows[x], rows[y], color=COLOURS[i], ls=DASHES[i], marker=MARKERS[i], label=name)


def _growth(table: Table) -> MplFigure:
    figure, axes = panels(1, height=3.4)
    axis = axes[0, 0]
    _lines(axis, table, "log_rounds", "mistakes", list(dict.fromkeys(table["series"])))
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
            label=f"{noise} noise",
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
