"""From cells to the quantities of figures and claims: points of one model, quality of a score,
predicted errors."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from theorylab.papers.projection_norm.settings import STUDIES
from theorylab.papers.types import AllResults
from theorylab.shift import CalibrationLine, Extrapolation, calibrate, mild_to_hard

METRICS = {
    "pn": "Projection Norm",
    "pn_base": "distance to theta_hat",
    "conf": "1 - ConfScore",
    "entropy": "Entropy",
    "atc": "ATC",
    "agree_head": "AgreeScore, other head",
    "agree_independent": "AgreeScore, independent",
    "rotation": "Rotation",
    "cot": "COT",
    "nuclear": "1 - nuclear norm",
}
OUTPUT_BASED = ("conf", "entropy", "atc")


def study_of(cell: Mapping[str, Any]) -> str:
    """Name of the study of a cell."""
    return next(name for name, study in STUDIES.items() if study["cell"] == dict(cell["study"]))


@dataclass(frozen=True)
class Points:
    """The shifted test sets of one model: (s,) arrays; clean data is family "clean", severity 0."""

    family: np.ndarray
    severity: np.ndarray
    scores: Mapping[str, np.ndarray]

    @property
    def error(self) -> np.ndarray:
        return self.scores["error"]

    def line(self, metric: str) -> CalibrationLine:
        return calibrate(self.scores[metric], self.error)

    def extrapolation(self, metric: str) -> Extrapolation:
        """From severities 1 and 2 to 4 and 5; clean data counts as mild where there is no severity
        2."""
        mild = (1, 2) if 2 in self.severity else (0, 1)
        return mild_to_hard(self.scores[metric], self.error, self.severity, mild=mild, hard=(4, 5))

    def extent(self, metric: str) -> float:
        """From the least to the largest score."""
        return float(np.ptp(self.scores[metric]))

    def places(self, sets: list[list[Any]]) -> np.ndarray:
        """Where (family, severity) pairs stand."""
        place = {
            (f, int(s)): i for i, (f, s) in enumerate(zip(self.family, self.severity, strict=True))
        }
        return np.array([place[f, s] for f, s in sets])


def models(results: AllResults) -> dict[str, dict[int, Points]]:
    """Study -> seed -> points of the rotation-pre-trained models."""
    found: dict[str, dict[int, list[Any]]] = {}
    for row in results["shifts"]:
        found.setdefault(study_of(row.cell), {}).setdefault(row.cell["seed"], []).append(row)
    return {name: {s: _points(rows) for s, rows in seeds.items()} for name, seeds in found.items()}


def _points(rows: list[Any]) -> Points:
    family: list[str] = []
    severity: list[int] = []
    scores: dict[str, list[float]] = {}
    for row in rows:
        count = len(row.cell["severities"])  # of "clean", the first set alone
        family += [row.cell["family"]] * count
        severity += list(row.cell["severities"])
        for name, values in row.arrays.items():
            scores.setdefault(name, []).extend(values[:count])
    return Points(np.array(family), np.array(severity), {k: np.array(v) for k, v in scores.items()})


def second_clean(results: AllResults, study: str, seed: int) -> Mapping[str, float]:
    """Scores of the second clean set of a model."""
    rows = [
        r for r in results["shifts"].where(family="clean", seed=seed) if study_of(r.cell) == study
    ]
    return {name: float(values[1]) for name, values in rows[0].arrays.items()}


def attacked(
    results: AllResults, start: str
) -> dict[str, dict[int, tuple[list[float], Mapping[str, np.ndarray]]]]:
    """Study -> seed -> (eps, scores) of the attacked test sets."""
    found: dict[str, dict[int, Any]] = {}
    for row in results["attacks"]:
        if row.cell["start"] == start:
            found.setdefault(study_of(row.cell), {})[row.cell["seed"]] = (
                list(row.cell["eps"]),
                row.arrays,
            )
    return found


class Sweep(NamedTuple):
    """How well the Projection Norm of one cell of the sweep predicts the error."""

    study: str
    seed: int
    cell: Mapping[str, Any]
    r2: float
    spearman: float


def sweeps(results: AllResults) -> list[Sweep]:
    """Every cell of the sweep, and the main run on the same test sets."""
    found = []
    by_model = models(results)
    seen = set()
    for row in results["sweep"]:
        name, cell = study_of(row.cell), row.cell
        points = by_model[name][cell["seed"]]
        if (name, cell["seed"]) not in seen:
            seen.add((name, cell["seed"]))
            places = points.places(cell["sets"])
            line = calibrate(points.scores["pn"][places], points.error[places])
            main = {
                **cell,
                "steps": cell["study"]["steps"],
                "m": cell["study"]["m"],
                "labels": "hat",
            }
            found.append(Sweep(name, cell["seed"], main, line.r2, line.spearman))
        line = calibrate(row["pn"], row["error"])
        found.append(Sweep(name, cell["seed"], cell, line.r2, line.spearman))
    return found
