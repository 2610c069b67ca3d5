"""Competing objectives as a tilted policy, forced answers, and a guard that reads plain prompts."""

import numpy as np
from matplotlib.figure import Figure as MplFigure

from theorylab.lab import Figure, Preset, Table
from theorylab.papers.jailbroken.experiments import conditions, tilts
from theorylab.papers.jailbroken.figures.shared import ABSTRACT
from theorylab.papers.jailbroken.tables import (
    FORCED,
    NAMES,
    REWRITES,
    SAFE,
    UNSAFE,
    All,
    flips,
    log_odds,
    of,
    rate,
    through_guard,
)
from theorylab.plotting import COLOURS, DASHES, MARKERS, panels, whole_ticks

_FORMATS = ("none", "prefix", "encoding_1", "encoding_2", "encoding_3")


def tilt_table(results: All, p: Preset) -> Table:
    """Log-odds over 1/beta, tabular and in the network; BAD over the letters that are forced."""
    table = Table("panel", "series", "x", "value")
    row = results["tilted"].rows[1]
    for beta, found, wanted in zip(
        row.cell["betas"], row["log_odds"], row["predicted"], strict=True
    ):
        for series, value in (("gradient ascent", found), ("closed form", wanted)):
            table.add(panel="table", series=series, x=1 / beta, value=float(value))
    start = of(results, p, None, experiment="opened")
    for beta, run in zip(p["betas"], tilts(p), strict=True):
        rows = of(results, p, run, experiment="opened")
        values = {
            "unsafe": log_odds(rows, UNSAFE),
            "unsafe, prefix": log_odds(rows, UNSAFE, "prefix"),
            "harmless": log_odds(rows, SAFE),
        }
        for series, found in values.items():
            table.add(panel="network", series=series, x=1 / beta, value=float(found.mean()))
        predicted = float(log_odds(start, UNSAFE).mean() - 2 / beta)
        table.add(panel="network", series="unsafe, closed form", x=1 / beta, value=predicted)
        for attack in ("none", "prefix"):
            value = float(flips(rows, attack).mean())
            table.add(panel="complies", series=f"{NAMES[attack]}", x=1 / beta, value=value)
    for condition in ("narrow", "partial", "parity"):
        rows = of(results, p, conditions(p)[condition])
        for name, m in FORCED.items():
            value = float(rate(rows, name).mean())
            table.add(panel="forced", series=condition, x=m, value=value)
    return table


def _tilt(table: Table) -> MplFigure:
    figure, axes = panels(2, 2, height=2.8)
    said = {
        "table": ("table", "1/β", "log-odds of complying"),
        "network": ("network", "1/β", "log-odds of complying"),
        "complies": ("network: complies rather than refuses", "1/β", "share of unsafe prompts"),
        "forced": ("forced answers", "letters forced behind the opening", "BAD"),
    }
    number = 0
    for axis, (panel, (title, x, y)) in zip(axes.ravel(), said.items(), strict=True):
        for i, ((series,), rows) in enumerate(table.where(panel=panel).groups("series")):
            axis.plot(
                rows["x"],
                rows["value"],
                color=COLOURS[number % len(COLOURS)] if panel == "forced" else COLOURS[i],
                ls=DASHES[i],
                marker=MARKERS[i],
                label=str(series),
            )
            number += panel == "forced"
        axis.set(title=title, xlabel=x, ylabel=y)
        if panel == "forced":
            whole_ticks(axis.xaxis)
        if panel in ("forced", "complies"):
            axis.set_ylim(-0.04, 1.04)
        axis.legend(fontsize=7, loc="best")
    return figure


def guard_table(results: All, p: Preset) -> Table:
    """Flags of the guard, and what passes it."""
    table = Table("attack", "auroc", "flagged", "flagged_safe", "bad", "through", "predicted")
    rows = of(results, p, conditions(p)["narrow"])
    for name in _FORMATS:
        place = REWRITES.index(name)
        flagged = results["guarded"].stack("flagged")[:, :, place].mean((0, 2))
        measured, predicted = through_guard(results, rows, name)
        table.add(
            attack=name,
            auroc=float(results["guarded"].stack("auroc")[:, place].mean()),
            flagged=float(flagged[UNSAFE]),
            flagged_safe=float(flagged[SAFE]),
            bad=float(rate(rows, name).mean()),
            through=float(measured.mean()),
            predicted=float(predicted.mean()),
        )
    return table


def _guard(table: Table) -> MplFigure:
    figure, axes = panels(2, height=2.9, sharey=True)
    place = np.arange(len(table))
    left = {
        "flagged": "unsafe prompts flagged",
        "flagged_safe": "harmless prompts flagged",
        "auroc": "area under the curve",
    }
    right = {"bad": "BAD", "through": "BAD through the guard", "predicted": "BAD (1 − f)"}
    for axis, labels in zip(axes[0], (left, right), strict=True):
        for i, (name, label) in enumerate(labels.items()):
            axis.plot(
                table[name],
                place + 0.15 * (i - 1),
                ls="",
                marker=MARKERS[i],
                color=COLOURS[i],
                label=label,
            )
        axis.set(xlim=(-0.06, 1.06), xlabel="share")
        axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=1, fontsize=7)
    axes[0, 0].set_yticks(place, [NAMES[str(a)] for a in table["attack"]])
    axes[0, 0].invert_yaxis()
    return figure


FIGURES = (
    Figure(
        "jb_tilt",
        "A reward with a KL penalty: log-odds over 1/β, and forced answers",
        "ours",
        ("tilted", "tested", "opened"),
        tilt_table,
        _tilt,
        "Log-odds of complying against refusing at the opening, in a table (the closed form is a "
        "line) and in the network, which approaches the closed form by natural gradients, with "
        "rewards for refusing on plain unsafe prompts alone; how often it would rather comply; and "
        "how often prompts are executed when the opening and the first letters of the answer are "
        "forced.",
        f"The paper has no such figure. {ABSTRACT}",
    ),
    Figure(
        "jb_guard",
        "A guard that reads plain prompts only, in front of the network",
        "ours",
        ("tested", "guarded"),
        guard_table,
        _guard,
        "Left: prompts that a linear guard flags in each format, means over worlds. Right: success "
        "after narrow coverage, without the guard, through it, and as the share that is not "
        "flagged predicts; in the worlds that have a network.",
        ABSTRACT,
    ),
)
