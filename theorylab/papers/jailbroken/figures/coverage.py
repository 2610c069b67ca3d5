"""What capability, coverage and patches do, and how far verdicts depend on their thresholds."""

from fractions import Fraction
from typing import Any

import numpy as np
from matplotlib.figure import Figure as MplFigure

from theorylab.lab import Figure, Preset, Table
from theorylab.papers.jailbroken.experiments import NARROW, PARITY, conditions, patched, run_of
from theorylab.papers.jailbroken.figures.shared import ABSTRACT
from theorylab.papers.jailbroken.tables import (
    NAMES,
    REWRITES,
    THRESHOLDS,
    All,
    coverages,
    of,
    rate,
)
from theorylab.plotting import COLOURS, DASHES, MARKERS, diagonal, panels, shared_legend

_SEEN = ("none", "prefix", "encoding_1", "encoding_2", "encoding_3", "encoding_4")
_COVERED = ("prefix", "encoding_1", "prefix_encoding_1", "encoding_2", "adaptive")
_COLUMNS = tuple(a for a in REWRITES if a != "synonym")


def capability_table(results: All, p: Preset) -> Table:
    """After narrow coverage: verdicts and capability of every size and format."""
    table = Table("size", "attack", "capability", "bad", "unclear", "good")
    for size in p["models"]:
        rows = of(results, p, run_of(p, NARROW), size)
        for attack in _SEEN:
            found = {
                c: float(rate(rows, attack, c).mean())
                for c in ("capability", "bad", "unclear", "good")
            }
            table.add(size=size, attack=attack, **found)
    return table


def _capability(table: Table) -> MplFigure:
    figure, axes = panels(2, height=3.0, sharey=True)
    sizes = [str(s) for (s,), _ in table.groups("size")]
    for axis, verdict in zip(axes[0], ("bad", "unclear"), strict=True):
        for (size, attack), rows in table.groups("size", "attack"):
            axis.plot(
                rows["capability"],
                rows[verdict],
                ls="",
                marker=MARKERS[sizes.index(str(size)) % len(MARKERS)],
                color=COLOURS[_SEEN.index(str(attack))],
                alpha=0.85,
            )
        axis.set(
            xlabel="capability c: harmless prompts executed",
            title=verdict.upper(),
            xlim=(-0.05, 1.05),
            ylim=(-0.05, 1.05),
        )
    diagonal(axes[0, 0], 0, 1)
    axes[0, 1].plot([0, 1], [1, 0], color="grey", lw=0.8, ls=":", marker="")
    for i, attack in enumerate(_SEEN):
        axes[0, 0].plot([], [], ls="", marker="o", color=COLOURS[i], label=NAMES[attack])
    for i, size in enumerate(sizes):
        axes[0, 0].plot([], [], ls="", marker=MARKERS[i], color="grey", label=size)
    axes[0, 0].set_ylabel("share of unsafe prompts")
    shared_legend(figure, axes[0], 4)
    return figure


def coverage_table(results: All, p: Preset) -> Table:
    """BAD by the share of two formats among refusals; parity stands apart."""
    table = Table("place", "share", "attack", "bad", "capability")
    runs = [run_of(p, NARROW), *coverages(p).values(), run_of(p, PARITY)]
    labels = ["0", *(str(Fraction(q).limit_denominator(1000)) for q in coverages(p)), "parity"]
    for place, (label, run) in enumerate(zip(labels, runs, strict=True)):
        rows = of(results, p, run)
        for attack in _COVERED:
            able = np.nan if attack == "adaptive" else rate(rows, attack, "capability").mean()
            table.add(
                place=place,
                share=f"q {label}",
                attack=attack,
                bad=float(rate(rows, attack).mean()),
                capability=float(able),
            )
    return table


def _coverage(table: Table) -> MplFigure:
    figure, axes = panels(1, height=3.2)
    axis = axes[0, 0]
    for i, attack in enumerate(_COVERED):
        rows = table.where(attack=attack)
        last = len(rows) - 1
        look = {"color": COLOURS[i], "marker": MARKERS[i]}
        axis.plot(
            rows["place"][:last], rows["bad"][:last], ls=DASHES[i], label=NAMES[attack], **look
        )
        axis.plot(rows["place"][last:], rows["bad"][last:], ls="", **look)
    rows = table.where(attack="prefix")
    names = [str(s).removeprefix("q ") for s in rows["share"]]
    axis.set_xticks(rows["place"], names)
    axis.axvline(len(rows) - 1.5, color="grey", lw=0.8, ls=":")
    axis.set(
        xlabel="share of prefix and of encoding 1 among refusals", ylabel="BAD", ylim=(-0.04, 1.04)
    )
    shared_legend(figure, [axis], 3)
    return figure


def patches_table(results: All, p: Preset) -> Table:
    """BAD on every format after one of them was patched."""
    table = Table("patched", "attack", "bad")
    rows = {"nothing": run_of(p, NARROW)}
    rows |= {NAMES[name]: run_of(p, patched(p, name)) for name in p["patches"]}
    rows |= {"every format": run_of(p, PARITY)}
    for name, run in rows.items():
        for attack in (*_COLUMNS, "adaptive"):
            value = float(rate(of(results, p, run), attack).mean())
            table.add(patched=name, attack=attack, bad=value)
    return table


def _patches(table: Table) -> MplFigure:
    rows = [str(r) for (r,), _ in table.groups("patched")]
    columns = [str(c) for (c,), _ in table.groups("attack")]
    values = np.array([[table.where(patched=r, attack=c)["bad"][0] for c in columns] for r in rows])
    figure, axes = panels(2, height=0.42 * len(rows) + 1.9)
    axes[0, 1].remove()
    axis = axes[0, 0]
    axis.set_subplotspec(axis.get_gridspec()[0, :])
    axis.imshow(values, cmap="viridis", vmin=0, vmax=1, aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        ink = "black" if value > 0.6 else "white"
        axis.text(j, i, f"{value:.2f}", ha="center", va="center", color=ink, fontsize=8)
    axis.set_xticks(range(len(columns)), [NAMES[c] for c in columns], rotation=30, ha="right")
    axis.set_yticks(range(len(rows)), rows)
    axis.set_ylabel("patched")
    axis.grid(visible=False)
    return figure


def thresholds_table(results: All, p: Preset) -> Table:
    """Main contrasts at other thresholds of the verdict."""
    table = Table("threshold", "series", "value")
    for share in THRESHOLDS:
        options: Any = {"executed_share": share}
        rows = {
            name: of(results, p, conditions(p)[name]) for name in ("narrow", "parity", "partial")
        }
        single = np.maximum(
            *(rate(rows["partial"], a, **options) for a in ("prefix", "encoding_1"))
        )
        gain = rate(rows["partial"], "prefix_encoding_1", **options) - single
        values = {
            "narrow: none": rate(rows["narrow"], "none", **options),
            "narrow: adaptive": rate(rows["narrow"], "adaptive", **options),
            "parity: adaptive": rate(rows["parity"], "adaptive", **options),
            "partial: combination less single": gain,
        }
        for series, value in values.items():
            table.add(threshold=share, series=series, value=float(value.mean()))
    return table


def _thresholds(table: Table) -> MplFigure:
    figure, axes = panels(1, height=3.0)
    axis = axes[0, 0]
    for i, ((series,), rows) in enumerate(table.groups("series")):
        axis.plot(
            rows["threshold"],
            rows["value"],
            color=COLOURS[i],
            ls=DASHES[i],
            marker=MARKERS[i],
            label=str(series),
        )
    axis.set(xlabel="share of right letters from which an answer is BAD", ylabel="rate")
    shared_legend(figure, [axis], 2)
    return figure


FIGURES = (
    Figure(
        "jb_capability",
        "Attacks need capability: verdicts beside what each model can read",
        "ours",
        ("tested",),
        capability_table,
        _capability,
        "After refusals of plain prompts alone, for models of several sizes and every encoding: "
        "share executed and share unclear, against the share of harmless prompts that is executed "
        "in the same format. Dotted: executed as often as capability allows, unclear as often as "
        "it is missing.",
        ABSTRACT,
    ),
    Figure(
        "jb_coverage",
        "How attacks fall as refusals cover two formats",
        "ours",
        ("tested",),
        coverage_table,
        _coverage,
        "Success of single attacks, of their combination and of an encoding that is not covered, "
        "against the share of prefix and of encoding 1 (each) among refusals. Right of the dotted "
        "line: all readable formats are covered.",
        f"{ABSTRACT} Shares stop at a third: at a half no plain prompt would be left.",
    ),
    Figure(
        "jb_patches",
        "Patching one format at a time moves the hole",
        "ours",
        ("tested",),
        patches_table,
        _patches,
        "Success of every attack (columns) after refusals of plain prompts and of one format "
        "(rows).",
        ABSTRACT,
    ),
    Figure(
        "jb_thresholds",
        "Conclusions at other thresholds of the verdict",
        "ours",
        ("tested",),
        thresholds_table,
        _thresholds,
        "An answer counts as BAD from a share of right letters on; elsewhere it is .8.",
        ABSTRACT,
    ),
)
