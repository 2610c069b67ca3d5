"""The line of the linear model: when it is wrong, and what restores it."""

from collections.abc import Callable

import numpy as np

from theorylab.lab import Claim, Evidence, Preset, over_seeds
from theorylab.lab.claim import Measure
from theorylab.papers.types import AllResults
from theorylab.papers.wrong_line.claims.shared import BIG, PAPER, line, more_data_hurts, noise_line
from theorylab.papers.wrong_line.tables import grid_of


def penalty_line(lam: float) -> Callable:
    def get(results: AllResults) -> tuple[np.ndarray, np.ndarray, list[float]]:
        rows = results["penalty"]
        l = grid_of(rows, "lams").index(lam)
        return rows.stack("id")[:, :, 0, l], rows.stack("ood")[:, :, 0, l, 0], grid_of(rows, "ns")

    return get


def non_interpolating(lam: float) -> Measure:
    """The training error on the observed labels is above 0 for every n >= 200."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        rows = results["penalty" if lam in grid_of(results["penalty"], "lams") else "noise"]
        e, l, ns = (
            grid_of(rows, "etas").index(0.1),
            grid_of(rows, "lams").index(lam),
            grid_of(rows, "ns"),
        )
        error = rows.stack("train_error")[:, :, e, l]
        return [
            over_seeds(f"training error at λ = {lam:g}, n = {n}", error[:, i], 1e-12)
            for i, n in enumerate(ns)
            if n >= 200
        ]

    return measure


BASE, CLEAN, STRONG, STILL = (
    noise_line(0.1),
    noise_line(0.0),
    penalty_line(0.1),
    noise_line(0.1, 0.02),
)

BLIND = noise_line(0.1, blind=True)

NEGATIVE = ((-np.inf, -0.6), (-np.inf, -0.2))

_ASSERTED = {
    "clean labels": line(CLEAN, *NEGATIVE),
    "strong penalty": line(STRONG, *NEGATIVE),
    "shift removed": line(STILL, *NEGATIVE),
    "OOD with the ID noise scale": line(BLIND, *NEGATIVE),
}


CLAIMS = (
    Claim(
        "wrong_line",
        "With label noise, interpolation, many nuisance features and a shift on them, ID and OOD "
        "accuracy are negatively correlated: correlation <= -0.6, slope < -0.2",
        f"{PAPER}, abstract and Fig. 1a",
        ("noise", "penalty"),
        line(BASE, *NEGATIVE),
        _ASSERTED,
    ),
    Claim(
        "clean_line",
        "Without label noise the accuracies are on a rising line: correlation >= 0.85",
        f"{PAPER}, Fig. 1b",
        ("noise",),
        line(CLEAN, (0.85, np.inf)),
        {"label noise": line(BASE, (0.85, np.inf))},
    ),
    Claim(
        "penalty_restores",
        "A penalty of 0.1, which does not interpolate, restores the line: correlation >= 0.95",
        f"{PAPER}, linear ablation: no interpolation",
        ("noise", "penalty"),
        line(STRONG, (0.95, np.inf)),
        {"penalty 1e-5": line(BASE, (0.95, np.inf))},
    ),
    Claim(
        "penalty_does_not_interpolate",
        "At λ = 0.1 the training error is above 0 for n >= 200",
        "our check: what the ablation of interpolation assumes",
        ("noise", "penalty"),
        non_interpolating(0.1),
        {"penalty 1e-5": non_interpolating(1e-5)},
    ),
    Claim(
        "no_shift_restores",
        "Without a real shift (τ = 0.02) the line is restored: correlation >= 0.98",
        f"{PAPER}, linear ablation: no shift",
        ("noise",),
        line(STILL, (0.98, np.inf)),
        {"τ = 0.5": line(BASE, (0.98, np.inf))},
    ),
    Claim(
        "more_data_hurts",
        "With noisy labels, more data lower OOD accuracy by 0.10 or more and raise ID accuracy by "
        "0.10 or more",
        f"{PAPER}, abstract",
        ("noise", "penalty"),
        more_data_hurts(BASE, 0.1, 0.1),
        {
            "clean labels": more_data_hurts(CLEAN, 0.1, 0.1),
            "strong penalty": more_data_hurts(STRONG, 0.1, 0.1),
            "OOD with the ID noise scale": more_data_hurts(BLIND, 0.1, 0.1),
        },
        presets=BIG,
    ),
)
