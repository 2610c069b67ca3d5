"""Inputs on which safety fine-tuning fails, and what moves refusals."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure as MplFigure

from theorylab.lab import Figure, Table
from theorylab.papers.safety_finetuning.figures.shared import MINI, SETS, style
from theorylab.papers.safety_finetuning.figures.tables import (
    attack_table,
    fragility_table,
    path_table,
    rates_table,
)
from theorylab.papers.safety_finetuning.tables import NAMES
from theorylab.plotting import COLOURS, panels, shared_legend, whole_ticks


def _attacks(table: Table) -> MplFigure:
    protocols = [str(p) for (p,), _ in table.groups("protocol")]
    figure, axes = panels(len(protocols), height=3.3, sharey=True)
    names = [str(n) for (n,), _ in table.groups("set")]
    looks: dict[str, Any] = {
        "all": {"color": "grey", "marker": "|", "ms": 14},
        "executed": {"color": COLOURS[2], "marker": "o"},
        "refused": {"color": COLOURS[3], "marker": "s"},
    }
    for axis, protocol in zip(axes[0], protocols, strict=True):
        for kind, look in looks.items():
            rows = table.where(protocol=protocol, prompts=kind)
            kept = rows["share"] >= 0.02
            place = np.array([names.index(n) for n in rows["set"]])
            axis.plot(rows["tau"][kept], place[kept], ls="", label=f"{kind} prompts", **look)
        axis.axvline(0, color="grey", lw=0.8, ls=":")
        axis.set(title=NAMES[protocol], xlabel="mean τ, last layer")
        axis.locator_params(axis="x", nbins=3)
    axes[0, 0].set_yticks(range(len(names)), [SETS[n] for n in names])
    axes[0, 0].invert_yaxis()
    shared_legend(figure, axes[0], 3)
    return figure


def _rates(table: Table) -> MplFigure:
    runs = [str(n) for (n,), _ in table.groups("panel")]
    names = [str(n) for (n,), _ in table.groups("set")]
    figure, axes = panels(2, height=0.3 * len(runs) + 1.6, sharey=True)
    for axis, verdict in zip(axes[0], ("executed", "refused"), strict=True):
        values = np.array(
            [[table.where(panel=run, set=n)[verdict][0] for n in names] for run in runs]
        )
        axis.imshow(values, cmap="viridis", vmin=0, vmax=1, aspect="auto")
        for (i, j), value in np.ndenumerate(values):
            ink = "black" if value > 0.6 else "white"
            axis.text(j, i, f"{value:.2f}", ha="center", va="center", color=ink, fontsize=7)
        axis.set_xticks(range(len(names)), [SETS[n] for n in names], rotation=45, ha="right")
        axis.set_title(f"share {verdict}")
        axis.grid(visible=False)
    axes[0, 0].set_yticks(range(len(runs)), runs)
    return figure


def _path(table: Table) -> MplFigure:
    protocols = [str(p) for (p,), _ in table.groups("protocol")]
    figure, axes = panels(len(protocols), 2, height=2.4, sharex=True, sharey=True)
    names = [str(n) for (n,), _ in table.groups("set")]
    for column, protocol in enumerate(protocols):
        for r, verdict in enumerate(("executed", "refused")):
            axis = axes[r, column]
            for i, name in enumerate(names):
                line = table.where(protocol=protocol, set=name)
                axis.plot(line["amount"], line[verdict], color=COLOURS[i], label=SETS[name])
            axis.axvline(1, color="grey", lw=0.8, ls=":")
            axis.set(ylim=(-0.03, 1.03), title=NAMES[protocol] if r == 0 else "")
        axes[1, column].set(xlabel="part of the change applied", xticks=[0, 1, 2])
    axes[0, 0].set(ylabel="share executed")
    axes[1, 0].set(ylabel="share refused")
    shared_legend(figure, axes.ravel(), 5)
    return figure


def _fragility(table: Table) -> MplFigure:
    figure, axes = panels(3, height=2.6)
    labels = {
        "opened": "opens without the null token",
        "executed": "executed, teacher forced",
        "tau": "mean τ, last layer",
    }
    for axis, (name, text) in zip(axes[0], labels.items(), strict=True):
        for (protocol,), line in table.groups("protocol"):
            axis.plot(line["slots"], line[name], label=NAMES[str(protocol)], **style(str(protocol)))
        axis.set(xlabel="soft tokens", ylabel=text)
        whole_ticks(axis.xaxis)
        if name != "tau":
            axis.set(ylim=(-0.03, 1.03))
    shared_legend(figure, axes[0], 3)
    return figure


FIGURES = (
    Figure(
        "sf_fig7",
        "Inputs that are executed look safe, those that are refused do not",
        "scaled",
        ("measured", "fragility"),
        attack_table,
        _attacks,
        "Mean τ in the last layer of sets of prompts: all of them, and by what the network did "
        "with them. Dotted: 0. Groups of less than 2 % of a set are left out of the picture. Soft "
        "tokens move within a ball and are judged with the answer given; there, refused means not "
        "executed.",
        f"{MINI} The paper shows only inputs that were executed; here all are shown.",
    ),
    Figure(
        "sf_table",
        "What is executed and what refused, of every set, after every run",
        "content",
        ("measured",),
        rates_table,
        _rates,
        "Share of prompts executed and refused (the rest is neither). The last columns are the "
        "harmless counterparts of two sets: without them, a loss of ability would pass for "
        "robustness.",
        "The appendix tables of the paper could not be read; these are its rows and columns with "
        "our values.",
    ),
    Figure(
        "sf_path",
        "Along the change of weights, and beyond it",
        "content",
        ("path",),
        path_table,
        _path,
        "Networks at the base weights plus a multiple of the change: 0 is the base model, 1 the "
        "fine-tuned one (dotted), beyond 1 extrapolation.",
        "The paper's curves could not be read; the experiment is the same.",
    ),
    Figure(
        "sf_fragility",
        "How far refusals hold in a ball of embeddings",
        "ours",
        ("fragility",),
        fragility_table,
        _fragility,
        "Unsafe prompts of which some embeddings are moved, within one mean embedding norm, "
        "towards the executed answer.",
    ),
)
