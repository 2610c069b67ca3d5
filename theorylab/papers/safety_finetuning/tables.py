"""From results to the numbers that figures and claims share."""

from collections.abc import Mapping

import numpy as np

from theorylab.lab import Preset, Results
from theorylab.safety import BAD, GOOD, SITES

All = Mapping[str, Results]
NAMES = {
    "none": "base model",
    "unlearning": "unlearning",
    "dpo": "DPO",
    "supervised": "SSFT",
}
CLASSES = ("safe", "unsafe")
MATRICES = ("first", "second")
EXECUTED, REFUSED, UNCLEAR = range(3)


def of(results: Results, protocol: str, lr: float | None = None) -> Results:
    """The cells of one run; "none" is the base model."""
    rows = tuple(
        r
        for r in results
        if (r.cell["run"] is None and protocol == "none")
        or (
            r.cell["run"] is not None
            and r.cell["run"]["protocol"] == protocol
            and (lr is None or r.cell["run"]["lr"] == lr)
        )
    )
    if not rows:
        raise KeyError(f"no run {protocol} at {lr}")
    return Results(rows)


def panels_of_figure_3(p: Preset) -> list[tuple[str, int, float]]:
    """(protocol, 1 for the medium rate and 0 for the small one, learning rate), as in the paper."""
    return [
        ("none", 0, 0.0),
        ("unlearning", 1, p["lr"]),
        ("dpo", 1, p["lr"]),
        ("supervised", 1, p["lr"]),
        ("dpo", 0, p["small_lr"]),
        ("supervised", 0, p["small_lr"]),
    ]


def every_run(p: Preset) -> list[tuple[str, float]]:
    """All networks that are measured, the base model first."""
    five = [(protocol, lr) for protocol, _, lr in panels_of_figure_3(p)]
    return five + [("supervised", lr) for lr in p["more_lrs"]]


def supervised_rates(p: Preset) -> list[float]:
    """Learning rates of supervised fine-tuning, rising."""
    return sorted({p["lr"], p["small_lr"], *p["more_lrs"]})


def label(protocol: str, lr: float) -> str:
    """A run's name, for a reader."""
    return NAMES[protocol] if protocol == "none" else f"{NAMES[protocol]}, {lr:.0e}"


def number(rows: Results, name: str) -> int:
    """Place of a set of prompts among those of these cells."""
    return list(rows.rows[0].cell["looking"]["sets"]).index(name)


def rate(rows: Results, name: str, verdict: int) -> np.ndarray:
    """(worlds,) share of a set's prompts with this verdict."""
    return rows.stack("rates")[:, number(rows, name), verdict]


def gap(rows: Results, array: str = "gap") -> np.ndarray:
    """(worlds, layers) gap of mean tau at the chosen site."""
    if array == "gap_shuffled":
        return rows.stack(array)
    return rows.stack(array)[:, SITES.index(rows.rows[0].cell["looking"]["site"])]


def slope(rows: Results, output: str, kind: str) -> np.ndarray:
    """(worlds,) median local Lipschitz constant of a class of prompts."""
    place = ("logit", "prob").index(output), CLASSES.index(kind)
    return np.median(rows.stack("slopes")[:, place[0], place[1]], axis=-1)


def tau_by_verdict(rows: Results, name: str, *, shuffle: bool = False) -> np.ndarray:
    """(worlds, 2) mean tau in the last layer of a set's executed and refused prompts."""
    out, place = [], number(rows, name)
    for row in rows:
        tau, verdict = row["tau"][place], row["verdicts"][place]
        if shuffle:
            verdict = np.random.default_rng(0).permutation(verdict)
        found = [tau[verdict == v] for v in (BAD, GOOD)]
        out.append([t.mean() if len(t) else np.nan for t in found])
    return np.array(out)


def change_cosine(results: All, one: tuple[str, float], other: tuple[str, float]) -> np.ndarray:
    """(worlds,) cosine of the changes of all parameters that two runs made."""
    out = []
    for a, b in zip(of(results["tuned"], *one), of(results["tuned"], *other), strict=True):
        start = results["base"].where(seed=a.cell["seed"]).rows[0]["parameters"].astype(float)
        u, v = a["parameters"] - start, b["parameters"] - start
        out.append(u @ v / (np.linalg.norm(u) * np.linalg.norm(v)))
    return np.array(out)


def excess(rows: Results, matrix: int) -> np.ndarray:
    """(worlds,) mean projection of the five leading directions less a random direction's."""
    found, baseline = rows.stack("projection")[:, matrix], rows.stack("baseline")[:, matrix]
    return (found[..., :5].mean(-1) - baseline).mean(1)


def selectivity_ratio(rows: Results) -> np.ndarray:
    """(worlds, layers) mean norm of the change on unsafe inputs over that on safe ones."""
    acted = rows.stack("acted").mean(-1)
    return acted[..., 1] / acted[..., 0]


def on_path(rows: Results, name: str, verdict: int) -> np.ndarray:
    """(worlds, amounts)."""
    return rows.stack("rates")[:, :, number(rows, name), verdict]
