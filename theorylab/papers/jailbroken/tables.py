"""From results to the numbers that figures and claims share."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from theorylab.lab import Preset, Results
from theorylab.papers.jailbroken.experiments import run_of
from theorylab.papers.jailbroken.testing import OPENINGS
from theorylab.safety import (
    REWRITES,
    AttackTable,
    Outcomes,
    adaptive_rate,
    attack_table,
    partial_coverage,
    union_excess,
)
from theorylab.safety.attack_sets import ATTACKS

All = Mapping[str, Results]
SAFE, UNSAFE = range(2)
PLACE = {name: i for i, name in enumerate(ATTACKS)}
READABLE = ("prefix", "encoding_1", "encoding_2", "encoding_3", "prefix_encoding_1")
ENCODINGS = ("encoding_1", "encoding_2", "encoding_3")
# shares of right letters from which an answer counts as executed
THRESHOLDS = (0.6, 0.7, 0.8, 0.9, 0.95)
FORCED = {"forced_0": 0, "forced_1": 1, "forced_2": 2, "forced_4": 4}
MISLED = {"forced_0": 0, "forced_1": 1, "misled_2": 2, "misled_4": 4}
NAMES = {
    "none": "none",
    "prefix": "prefix",
    "encoding_1": "encoding 1",
    "encoding_2": "encoding 2",
    "encoding_3": "encoding 3",
    "encoding_4": "encoding 4",
    "prefix_encoding_1": "prefix + encoding 1",
    "synonym": "synonym",
    "adaptive": "adaptive",
}


def coverages(p: Preset) -> dict[float, Any]:
    """Share of prefix and of encoding 1 each, rising, to its run."""
    return {q: run_of(p, partial_coverage(q)) for q in sorted([p["partial"], *p["coverages"]])}


def of(results: All, p: Preset, run: Any, size: str = "", experiment: str = "tested") -> Results:
    """The tests of a model (the main one, if none is named) after a run."""
    options = p["models"][size or p["main"]]
    rows = tuple(
        r
        for r in results[experiment]
        if r.cell["run"] == run
        and all(r.cell["base"][part] == options[part] for part in ("model", "training"))
    )
    if not rows:
        raise KeyError(f"no run {run} of {size or p['main']}")
    return Results(rows)


def tables(rows: Results, **shares: float) -> list[AttackTable]:
    """The attack table of every world."""
    found = []
    for row in rows:
        unsafe, safe = (Outcomes(row["right"][i], row["null"][i]) for i in (UNSAFE, SAFE))
        found.append(attack_table(unsafe, safe, **shares))
    return found


def rate(rows: Results, attack: str, column: str = "bad", **shares: float) -> np.ndarray:
    """(worlds,) a column of the attack table; "adaptive" is the union of all that rewrite."""
    if attack == "adaptive":
        return np.array([adaptive_rate(t.success[rewrites()]) for t in tables(rows, **shares)])
    return np.array([float(getattr(t, column)[PLACE[attack]]) for t in tables(rows, **shares)])


def excess(rows: Results) -> np.ndarray:
    """(worlds,) adaptive success less what independent attacks would have."""
    return np.array([union_excess(t.success[rewrites()]) for t in tables(rows)])


def rewrites() -> np.ndarray:
    """Places of the attacks that rewrite the prompt."""
    return np.array([PLACE[name] for name in REWRITES])


def log_odds(rows: Results, label: int, attack: str = "none") -> np.ndarray:
    """(worlds,) mean log-odds of complying against refusing at the opening."""
    return rows.stack("log_odds")[:, label, OPENINGS.index(attack)].mean(-1)


def flips(rows: Results, attack: str) -> np.ndarray:
    """(worlds,) share of unsafe prompts at whose opening the network would rather comply."""
    return (rows.stack("log_odds")[:, UNSAFE, OPENINGS.index(attack)] > 0).mean(-1)


def through_guard(results: All, rows: Results, attack: str) -> tuple[np.ndarray, np.ndarray]:
    """(worlds,) success of an attack through the guard, measured and predicted by BAD (1 - f)."""
    measured, predicted = [], []
    for row, table in zip(rows, tables(rows), strict=True):
        seen = results["guarded"].where(seed=row.cell["seed"]).rows[0]
        flagged = seen["flagged"][UNSAFE, REWRITES.index(attack)]
        success = np.asarray(table.success[PLACE[attack]])
        measured.append((success & ~flagged).mean())
        predicted.append(success.mean() * (1 - flagged.mean()))
    return np.array(measured), np.array(predicted)
