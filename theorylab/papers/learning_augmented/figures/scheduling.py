"""Preferential round robin, and schedules of more than two jobs."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure as MplFigure

from theorylab.lab import Figure, Preset, Table
from theorylab.online import prr_consistency, scheduling_lower_bound
from theorylab.papers.learning_augmented.figures.shared import distinct_numbers
from theorylab.papers.types import AllResults
from theorylab.plotting import COLOURS, MARKERS, diagonal, panels, ramp


def _identity_table(results: AllResults, preset: Preset) -> Table:
    table = Table("n", "share", "formula", "simulated", "error")
    for row in results["identities"]:
        for j, share in enumerate(row.cell["shares"]):
            shown = slice(0, 40)
            for f, s in zip(row["formula"][j, shown], row["simulated"][j, shown], strict=True):
                table.add(
                    n=row.cell["n"], share=share, formula=f, simulated=s, error=abs(s / f - 1)
                )
    return table


def _identity_draw(table: Table) -> MplFigure:
    figure, axes = panels(2, height=3.0)
    shares = table.groups("share")
    for colour, marker, ((share,), rows) in zip(ramp(len(shares)), MARKERS, shares, strict=False):
        axes[0, 0].plot(
            rows["formula"],
            rows["simulated"],
            color=colour,
            marker=marker,
            ls="none",
            ms=3,
            mfc="none",
            label=f"a = {share:g}",
        )
        sizes = distinct_numbers(rows, "n")
        worst = [max(float(rows.where(n=n)["error"].max()), 1e-17) for n in sizes]
        axes[0, 1].plot(sizes, worst, color=colour, marker=marker)
    low, high = table["formula"].min() * 0.98, table["formula"].max() * 1.02
    diagonal(axes[0, 0], low, high)
    axes[0, 0].set(
        xlabel="(2 OPT - (1-a) Σx) / ((1+a) OPT)",
        ylabel="simulated cost / OPT",
        title="Exact cost of PRR(a)",
    )
    sizes = distinct_numbers(table, "n")
    axes[0, 1].set(
        xscale="log",
        yscale="log",
        ylim=(1e-17, 1e-13),
        xlabel="jobs n",
        title="largest relative error",
    )
    axes[0, 1].set_xticks(sizes, [f"{n:g}" for n in sizes])
    axes[0, 1].minorticks_off()
    axes[0, 0].legend()
    return figure


def _bounds_table(results: AllResults, preset: Preset) -> Table:
    table = Table("n", "series", "lam", "ratio")
    for row in results["hard"]:
        n, end = row.cell["n"], (row.cell["n"] - 1) / (row.cell["n"] + 1)
        for lam in np.linspace(0, end, 60):
            table.add(
                n=n, series="lower bound LB_n", lam=lam, ratio=float(scheduling_lower_bound(n, lam))
            )
        for lam, two_stage, prr in zip(
            row.cell["lams"], row["simulated"], row["prr_simulated"], strict=True
        ):
            table.add(n=n, series="two-stage, hard instance", lam=lam, ratio=two_stage)
            table.add(n=n, series="PRR, hard instance", lam=lam, ratio=prr)
        for lam, ratio in zip(
            row.cell["lams"],
            np.maximum(row["simulated"], row["small_job"]) / row["bound"],
            strict=True,
        ):
            table.add(n=n, series="two-stage / bound", lam=lam, ratio=ratio)
        for lam, ratio in zip(row.cell["lams"], row["small_job"], strict=True):
            if ratio > 0:
                table.add(n=n, series="two-stage, small right job", lam=lam, ratio=ratio)
    shown = set(results["hard"].unique("n"))
    for row in results["search"]:
        n, parameter = row.cell["n"], row.cell["parameter"]
        if n in shown and not row.cell["perfect"] and row.cell["policy"] == "two_stage":
            table.add(n=n, series="two-stage, searched", lam=parameter, ratio=float(row["ratio"]))
        elif n in shown and not row.cell["perfect"] and row.cell["policy"] == "prr":
            lam = float(prr_consistency(n, parameter)) - 1
            table.add(n=n, series="PRR, searched", lam=lam, ratio=float(row["ratio"]))
    return table


def _bounds_draw(table: Table) -> MplFigure:
    sizes = [
        n for n in distinct_numbers(table, "n") if n in (3, 5, 6, 10, 100, 1000)
    ] or distinct_numbers(table, "n")
    figure, axes = panels(2, -(-(len(sizes) + 1) // 2), height=2.7)
    styles: Mapping[str, dict[str, Any]] = {
        "lower bound LB_n": {"color": COLOURS[0], "ls": "-", "marker": ""},
        "two-stage, hard instance": {"color": COLOURS[2], "ls": "--", "marker": "o", "ms": 3},
        "two-stage, small right job": {"color": COLOURS[3], "ls": "none", "marker": "^", "ms": 4},
        "two-stage, searched": {
            "color": COLOURS[4],
            "ls": "none",
            "marker": "D",
            "mfc": "none",
            "ms": 6,
        },
        "PRR, hard instance": {"color": COLOURS[1], "ls": "-.", "marker": "s", "ms": 3},
        "PRR, searched": {"color": COLOURS[5], "ls": "none", "marker": "v", "mfc": "none", "ms": 6},
    }
    *shown, last = axes.ravel()[: len(sizes) + 1]
    for axis in axes.ravel()[len(sizes) + 1 :]:
        axis.set_axis_off()
    handles: dict[str, Any] = {}
    for axis, n in zip(shown, sizes, strict=True):
        for series, style in styles.items():
            rows = table.where(n=n, series=series)
            if len(rows):
                (handles[series],) = axis.plot(rows["lam"], rows["ratio"], **style)
        axis.set(title=f"n = {n:g}", xlabel="consistency - 1, λ")
        if n > 20:
            axis.set_yscale("log")
            ticks = [t for t in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if t <= n]
            axis.set_yticks(ticks, [str(t) for t in ticks])
            axis.minorticks_off()
    for axis in axes[:, 0]:
        axis.set_ylabel("robustness")
    shown[min(1, len(sizes) - 1)].legend(handles.values(), handles.keys())
    for colour, marker, n in zip(ramp(len(sizes)), MARKERS, sizes, strict=False):
        rows = table.where(n=n, series="two-stage / bound")
        last.plot(rows["lam"], rows["ratio"], color=colour, marker=marker, ms=3, label=f"n = {n:g}")
    last.set(
        title="two-stage, worst known / lower bound", xlabel="consistency - 1, λ", yscale="log"
    )
    last.set_yticks([1, 1.1, 1.5, 2, 2.5], ["1", "1.1", "1.5", "2", "2.5"])
    last.minorticks_off()
    last.legend()
    return figure


FIGURES = (
    Figure(
        "la_v1",
        "Preferential round robin on correct predictions",
        "ours",
        ("identities",),
        _identity_table,
        _identity_draw,
        "Simulated cost of PRR(a) on Pareto sizes against the exact formula, for the share a "
        "given to the predicted-shortest job (a = 0 is round robin), and the largest relative "
        "error by number of jobs. Dotted: both costs are equal.",
    ),
    Figure(
        "la_v2",
        "Lower bound and algorithms by number of jobs",
        "ours",
        ("hard", "search"),
        _bounds_table,
        _bounds_draw,
        "The lower bound for n jobs; simulated worst known instances of the two-stage schedule "
        "and of PRR at the same consistency; worst ratios found by search where a search was run. "
        "The two-stage schedule leaves the bound at n = 5, where only instances with a small "
        "right job show it; the last panel divides its worst known ratio by the bound.",
    ),
)
