"""What the optimal trade-off of ski rental rests on."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure as MplFigure

from theorylab.lab import Figure, Preset, Table
from theorylab.papers.learning_augmented.figures.shared import distinct_numbers
from theorylab.papers.types import AllResults
from theorylab.plotting import COLOURS, MARKERS, panels, ramp


def _certificate_table(results: AllResults, preset: Preset) -> Table:
    table = Table("b", "time", "density", "weight", "hard_cost", "ratio", "floor")
    for row in results["certificate"]:
        b = row.cell["b"]
        for i, day in enumerate(row["day"]):
            table.add(
                b=b,
                time=day / b,
                density=b * row["probability"][i],
                weight=b * b * row["weight"][i],
                hard_cost=row["hard_cost"][i],
                ratio=row["ratio"][i],
                floor=float(row["floor"]),
            )
    return table


def _certificate_draw(table: Table) -> MplFigure:
    figure, axes = panels(2, 2, height=2.5, sharex=True)
    shown = {
        "density": "probability of buying × b",
        "weight": "weight of the season × b²",
        "ratio": "ratio of the optimum, by season",
        "hard_cost": "cost under the weights, by buying day",
    }
    k = np.log(2.0)
    t = np.linspace(0.01, k, 100)
    for axis, (column, title) in zip(axes.ravel(), shown.items(), strict=True):
        for i, b in enumerate(distinct_numbers(table, "b")):
            rows = table.where(b=b)
            style: dict[str, Any] = {"marker": MARKERS[i], "ms": 5} if b <= 20 else {"marker": ""}
            axis.plot(
                rows["time"],
                rows[column],
                color=COLOURS[i],
                ls="-" if b > 20 else ":",
                label=f"b = {b:g}",
                **style,
            )
        axis.set_title(title)
        axis.axvline(k, color="grey", lw=0.7, ls=":")
    for axis, limit in ((axes[0, 0], np.exp(t)), (axes[0, 1], np.exp(k - t))):
        axis.plot(t, limit, color=COLOURS[4], ls="--", marker="", lw=1, label="b → ∞")
    for axis in axes[1]:
        axis.set_xlabel("time / b")
    axes[0, 0].legend()
    return figure


def _surface_table(results: AllResults, preset: Preset) -> Table:
    table = Table("b", "gamma", "prediction", "consistency", "largest")
    closed = {
        (r.cell["b"], g): c
        for r in results["optimum"]
        for g, c in zip(r.cell["gammas"], r["closed"], strict=True)
    }
    for row in results["surface"]:
        b, gamma = row.cell["b"], row.cell["gamma"]
        for y, c in zip(row.cell["predictions"], row["consistency"], strict=True):
            table.add(
                b=b,
                gamma=gamma,
                prediction=y / b,
                consistency=c,
                largest=closed.get((b, gamma), float("nan")),
            )
    return table


def _surface_draw(table: Table) -> MplFigure:
    figure, axes = panels(1, height=3.2)
    axis = axes[0, 0]
    gammas = table.groups("gamma")
    for colour, marker, ((gamma,), rows) in zip(ramp(len(gammas)), MARKERS, gammas, strict=False):
        axis.plot(
            rows["prediction"],
            rows["consistency"],
            color=colour,
            marker=marker,
            label=f"γ = {gamma:g}",
        )
        axis.axhline(rows["largest"][0], color=colour, lw=0.8, ls=":")
    axis.axvline(1.0, color="grey", lw=0.7, ls=":")
    axis.set(xlabel="prediction y / b", ylabel="least consistency at this prediction")
    axis.legend()
    return figure


FIGURES = (
    Figure(
        "la_v4",
        "Optimal strategy and hard seasons certify each other",
        "ours",
        ("certificate",),
        _certificate_table,
        _certificate_draw,
        "γ = 2. Top: the optimal buying distribution and the weights of the hard seasons, with "
        "the limits e^t/(e^κ-1) and e^(κ-x) (dashed; dotted grey line: κ = ln 2). Bottom: the "
        "distribution's ratio is γ up to κ, and under the weights every buying day up to κ costs "
        "the same, later ones more.",
    ),
    Figure(
        "la_v5",
        "The optimum depends on the prediction",
        "ours",
        ("surface", "optimum"),
        _surface_table,
        _surface_draw,
        "The best consistency at each single prediction, from the linear program. It is largest "
        "for predictions from 2b on, where it equals the closed form (dotted lines); just above b "
        "rules that fix one distribution are not optimal.",
    ),
)
