"""What the claims on real data measure; the docstring of a measure has its bounds.

Differences are within a split: the same private, public and test records on both sides.
"""

import numpy as np

from theorylab.lab import Evidence, Preset, Results, over_seeds
from theorylab.lab.claim import Measure
from theorylab.papers.semi_private import tables

All = tables.All


def _less(rows: Results, one: int, other: int, epsilon: float) -> np.ndarray:
    return np.array([tables.at(r, one, epsilon) - tables.at(r, other, epsilon) for r in rows])


def ahead(epsilon: float) -> Measure:
    """On features of a network: 40 public directions less no projection, at least 3 points."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        rows = tables.first(results)
        name = tables.TITLES[rows.unique("data")[0]]
        return [over_seeds(f"k = 40 less all, {name}", _less(rows, 40, 0, epsilon), low=0.03)]

    return measure


def past_the_optimum(epsilon: float) -> Measure:
    """Each step from k = 40 over 120 and 360 to all directions costs accuracy, above 0."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        rows = tables.first(results)
        steps = ((40, 120), (120, 360), (360, 0))
        return [
            over_seeds(
                f"k = {a} less {f'k = {b}' if b else 'all'}", _less(rows, a, b, epsilon), low=0.0
            )
            for a, b in steps
        ]

    return measure


def rising(epsilon: float) -> Measure:
    """Without privacy more directions are better: from 5 to 20, from 20 to 120, and all against
    40, above 0 each."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        rows = tables.first(results)
        return [
            over_seeds("k = 20 less k = 5", _less(rows, 20, 5, epsilon), low=0.0),
            over_seeds("k = 120 less k = 20", _less(rows, 120, 20, epsilon), low=0.0),
            over_seeds("all less k = 40", _less(rows, 0, 40, epsilon), low=0.0),
        ]

    return measure


def middle(epsilon: float) -> Measure:
    """At ε = 0.7 the curve is nearly flat from k = 40 on: within 4 points of k = 120."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        rows = tables.first(results)
        return [
            over_seeds(
                f"{f'k = {k}' if k else 'all'} less k = 120",
                _less(rows, k, 120, epsilon),
                -0.04,
                0.04,
            )
            for k in (40, 360, 0)
        ]

    return measure


def spent(wrong: float = 1.0) -> Measure:
    """The epsilon that every private cell has spent is the one that is printed, within 0.1 %, and
    never above; wrong: a factor on what was spent, for the control."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        shares = [
            wrong * float(value) / epsilon
            for name in ("curves", "low_data")
            for row in results[name]
            for value, epsilon in zip(row["spent"], row.cell["epsilons"], strict=True)
            if epsilon
        ]
        shares += [wrong * float(r["spent"]) / r.cell["epsilon"] for r in results["methods"]]
        return [
            Evidence("largest spent / printed", max(shares), high=1 + 1e-9),
            Evidence("smallest spent / printed", min(shares), low=0.999),
        ]

    return measure


def best_method(ours: str) -> Measure:
    """The bar of `ours` is above every other at the same epsilon, by more than 0."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        rows = results["methods"]
        mine = rows.where(method=ours).stack("accuracy")
        return [
            over_seeds(
                f"{ours} less {other}", mine - rows.where(method=other).stack("accuracy"), low=0.0
            )
            for other in rows.unique("method")
            if other != ours
        ]

    return measure


def fewer_records(epsilon: float) -> Measure:
    """The gain of 40 directions over all is larger with the smallest share of the records than with
    all of them, by at least 5 points."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        rows = results["low_data"]
        least = min(rows.unique("share"))
        gain = _less(rows.where(share=least), 40, 0, epsilon)
        label = f"gain with {least:g} of the records less gain with all"
        return [over_seeds(label, gain - _less(tables.first(results), 40, 0, epsilon), low=0.05)]

    return measure


def elsewhere(results: All, preset: Preset) -> list[Evidence]:
    """On every set but the first PILLAR less no projection at ε = 0.1 is above 0."""
    rows = results["curves"]
    found = []
    for data, source in rows.unique("data", "source"):
        if data != rows.unique("data")[0]:
            mine = rows.where(data=data, source=source)
            one = next(iter(mine))
            label = f"k = {tables.few(one)} less all, {tables.title(one.cell)}"
            found.append(over_seeds(label, _less(mine, tables.few(one), 0, 0.1), low=0.0))
    return found


def defects(results: All, preset: Preset) -> list[Evidence]:
    """At a quarter of the directions features of a network miss less of a two-class head than
    pixels do: pixels less features is at least 0."""
    rows = results["defects"]
    missed = {
        name: np.mean([r["defect"][len(r["defect"]) // 4 - 1] for r in rows.where(network=name)])
        for name in rows.unique("network")
    }
    pixels, network = missed.pop("pixels"), next(iter(missed.values()))
    return [Evidence("pixels less features at k = d/4", float(pixels - network), low=0.0)]
