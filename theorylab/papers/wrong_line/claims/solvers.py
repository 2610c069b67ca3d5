"""The solvers: convergence, number format, least squares and early stopping."""

from collections.abc import Mapping

import numpy as np

from theorylab.lab import Claim, Evidence, Preset, correlation, over_seeds
from theorylab.lab.claim import Measure
from theorylab.papers.types import AllResults
from theorylab.papers.wrong_line.claims.shared import BIG, PAPER
from theorylab.papers.wrong_line.tables import grid_of, line_of


def gradients(arrays: Mapping[str, str]) -> Measure:
    """The largest gradient norm of any fit of these experiments is below 1e-6."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        return [
            Evidence(
                f"largest gradient norm, {name}",
                max(float(row[array].max()) for row in results[name]),
                0.0,
                1e-6,
            )
            for name, array in arrays.items()
        ]

    return measure


def single_precision(variant: str) -> Measure:
    """Largest relative difference of the ID and OOD errors of a variant from float64."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        row, found = next(iter(results["precision"])), []
        for risk in ("id", "ood"):
            gap = float(np.abs(row[f"{risk}_{variant}"] / row[f"{risk}_float64"] - 1).max())
            found.append(
                Evidence(f"largest relative difference of the {risk.upper()} error", gap, 0.0, 0.01)
            )
        return found

    return measure


def least_squares(eta: float, learner: int) -> Measure:
    """Growth of rho in n of the last learner (minimum norm) or of another: by 30 % or more."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        rows = results["learners"]
        e = grid_of(rows, "etas").index(eta)
        rho = rows.stack("sensitivity")[:, :, e, learner]
        return [
            over_seeds(
                f"rho(largest n) / rho(smallest n), η = {eta:g}", rho[:, -1] / rho[:, 0], 1.3
            )
        ]

    return measure


def early_stopping(eta: float, look: int) -> Measure:
    """Correlation of the line of gradient descent at one look (pooled)."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        rows = results["learners"]
        e = grid_of(rows, "etas").index(eta)
        inside, outside = rows.stack("id")[:, :, e, look], rows.stack("ood")[:, :, e, look]
        corr = line_of(inside, outside, grid_of(rows, "ns")).corr
        return [
            correlation(
                "pooled correlation of probits", corr, inside.size, 0.8, np.inf, len(inside)
            )
        ]

    return measure


FITTED = ("noise", "penalty", "dimension", "shortcut", "pairs")


CLAIMS = (
    Claim(
        "converged",
        "Every logistic fit has a gradient norm below 1e-6",
        "our check: a small penalty needs a converged fit",
        (*FITTED, "precision"),
        gradients(dict.fromkeys(FITTED, "gradient_norm")),
        {"stopped at 3e-5": gradients({"precision": "gradient_norm_loose"})},
    ),
    Claim(
        "single_precision",
        "float32 gives every ID and OOD error within 1 % of float64",
        "our check: float32 is enough",
        ("precision",),
        single_precision("float32"),
        {"float64 stopped at a gradient norm of 3e-5": single_precision("loose")},
        presets=BIG,  # at the smallest sizes the early stop does no harm
    ),
    Claim(
        "least_squares",
        (
            "Minimum-norm least squares lets the nuisance sensitivity grow with n by 30 % or more "
            "even with clean labels"
        ),
        "our derivation, docs/derivations/memorisation.md, statement 7",
        ("learners",),
        least_squares(0.0, -1),
        {"gradient descent on the logistic loss": least_squares(0.0, -2)},
        presets=BIG,
    ),
    Claim(
        "early_stopping",
        "Gradient descent stopped after one step stays on the line with noisy labels: correlation "
        ">= 0.8",
        f"{PAPER}, as cited elsewhere: early stopping removes the effect",
        ("learners",),
        early_stopping(0.1, 0),
        {"run until it interpolates": early_stopping(0.1, -2)},
        presets=BIG,
    ),
)
