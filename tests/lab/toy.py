"""A paper small enough to compute in milliseconds, for the tests of the laboratory."""

import os
import time
from pathlib import Path

import numpy as np

from theorylab.lab import Claim, Evidence, Experiment, Figure, Paper, Preset, Table, over_seeds
from theorylab.plotting import panels


def square(x, seed, pause=0.0):
    """One cell; leaves a mark in the folder TOY_MARKS for every time it is computed."""
    marks = os.environ.get("TOY_MARKS")
    if marks:
        Path(marks, f"{x}-{seed}-{time.time_ns()}").touch()
    time.sleep(pause)
    noise = np.random.default_rng(seed).normal(size=3) * 1e-3
    return {"value": np.float64(x) ** 2 + noise, "label": np.array("square")}


def total(n, squares_0, squares_1):
    return {"total": squares_0["value"].sum() + squares_1["value"].sum()}


def broken(x):
    return {"value": np.array([1.0, np.nan]) * x}


def failing(x):
    raise ZeroDivisionError(f"no inverse of {x - x}")


SQUARES = Experiment(
    "squares",
    square,
    lambda p: [
        {"x": x, "seed": s, "pause": p["pause"]} for x in p["xs"] for s in p.seeds(p["repeats"])
    ],
)
TOTALS = Experiment(
    "totals",
    total,
    lambda p: [{"n": 2}],
    needs=lambda c: {
        f"squares_{i}": ("squares", {"x": i + 1, "seed": 0, "pause": 0.0}) for i in range(c["n"])
    },
)


def _table(results, preset):
    table = Table("x", "mean")
    for x in results["squares"].unique("x"):
        table.add(x=x, mean=results["squares"].where(x=x).stack("value").mean())
    return table


def _draw(table):
    figure, axes = panels(1)
    axes[0, 0].plot(table["x"], table["mean"])
    return figure


def _measure(power):
    def measure(results, preset):
        rows = results["squares"].where(x=3)
        return [over_seeds("x^2 at 3", [r["value"].mean() - 3.0**power for r in rows], -0.01, 0.01)]

    return measure


def presets(**changes):
    values = {"xs": [1, 2, 3], "repeats": 2, "pause": 0.0, **changes}
    return {name: Preset(name, values, omits="nothing") for name in ("smoke", "quick", "full")}


def _sum(plus):
    def measure(results, preset):
        return [Evidence("sum/3", next(iter(results["totals"]))["total"] / 3 + plus, 4.9, 5.1)]

    return measure


PAPER = Paper(
    "toy",
    "A toy",
    "Nobody",
    "Nowhere 2020",
    "0000.00000",
    presets(),
    (SQUARES, TOTALS),
    (Figure("toy_fig1", "Squares", "ours", ("squares",), _table, _draw, "Squares of numbers."),),
    (
        Claim("squares", "x to x^2", "eq. (1)", ("squares",), _measure(2), {"cube": _measure(3)}),
        Claim(
            "sum",
            "1 + 4",
            "eq. (2)",
            ("totals",),
            _sum(0),
            {"off by one": _sum(1)},
            kind="identity",
        ),
    ),
)
