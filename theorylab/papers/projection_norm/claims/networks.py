"""Predicting the error of networks on shifted test sets."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from theorylab.lab import Claim, Evidence, Preset, over_seeds
from theorylab.lab.claim import Measure
from theorylab.papers.projection_norm.claims.shared import BIG, PAPER
from theorylab.papers.projection_norm.tables import (
    METRICS,
    OUTPUT_BASED,
    Points,
    models,
    second_clean,
    sweeps,
)
from theorylab.papers.types import AllResults


def _by_study(
    results: AllResults,
    label: str,
    value: Callable[[Points], float],
    low: float = -np.inf,
    high: float = np.inf,
) -> list[Evidence]:
    """One piece of evidence a study: the value of each seed's model."""
    return [
        over_seeds(f"{label}, {name}", [value(points) for points in seeds.values()], low, high)
        for name, seeds in models(results).items()
    ]


def predicts(metric: str) -> Measure:
    """R^2 >= 0.80 and rank correlation >= 0.85 between the score and the error over the shifts."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        return [
            *_by_study(
                results,
                f"R^2 of {METRICS.get(metric, metric)}",
                lambda p: p.line(metric).r2,
                low=0.80,
            ),
            *_by_study(results, "rank correlation", lambda p: p.line(metric).spearman, low=0.85),
        ]

    return measure


def self_trained(results: AllResults, preset: Preset) -> list[Evidence]:
    """The same with labels that the network in training gives itself."""
    own = [sweep for sweep in sweeps(results) if sweep.cell["labels"] == "self"]
    return [
        over_seeds("R^2, self-training", [sweep.r2 for sweep in own], low=0.80),
        over_seeds("rank correlation, self-training", [sweep.spearman for sweep in own], low=0.85),
    ]


def beats_output_based(metric: str) -> Measure:
    """R^2 exceeds the best of ConfScore, Entropy and ATC by at least 0.25."""

    def lead_over_outputs(points: Points) -> float:
        return points.line(metric).r2 - max(points.line(m).r2 for m in OUTPUT_BASED)

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        return _by_study(
            results,
            f"R^2 of {METRICS.get(metric, metric)} - best output-based",
            lead_over_outputs,
            low=0.25,
        )

    return measure


def extrapolates(metric: str) -> Measure:
    """Mean squared error from mild to hard shifts at most half of the best of ConfScore, Entropy
    and ATC."""

    def ratio(points: Points) -> float:
        return points.extrapolation(metric).mse / min(
            points.extrapolation(m).mse for m in OUTPUT_BASED
        )

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        return _by_study(
            results, f"MSE of {METRICS.get(metric, metric)} / best output-based", ratio, high=0.5
        )

    return measure


def zero_point(metric: str) -> Measure:
    """Two clean sets differ by at most 10 % of the range over shifts, and the norm at least grows
    by half from clean to the hardest shift."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        evidence = []
        for name, seeds in models(results).items():
            again = {s: second_clean(results, name, s)[metric] for s in seeds}
            clean = {s: float(p.scores[metric][p.family == "clean"][0]) for s, p in seeds.items()}
            gap = [abs(again[s] - clean[s]) / p.extent(metric) for s, p in seeds.items()]
            growth = [p.scores[metric].max() / clean[s] for s, p in seeds.items()]
            evidence += [
                over_seeds(f"|clean A - clean B| / range, {name}", gap, high=0.1),
                over_seeds(f"largest / clean, {name}", growth, low=1.5),
            ]
        return evidence

    return measure


def schedule_matters(variant: str) -> Measure:
    """A wrong schedule of the reference moves the norm of clean data by more than a mild shift
    (median) does."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        evidence = []
        for name, seeds in models(results).items():
            ratios = []
            for s, p in seeds.items():
                pn, clean = p.scores["pn"], float(p.scores["pn"][p.family == "clean"][0])
                other = (
                    second_clean(results, name, s)["pn"]
                    if variant == "clean B"
                    else float(p.scores[variant][p.family == "clean"][0])
                )
                ratios.append(
                    abs(other - clean) / float(np.median(np.abs(pn[p.severity == 1] - clean)))
                )
            evidence.append(
                over_seeds(f"change of clean data / change by severity 1, {name}", ratios, low=1.0)
            )
        return evidence

    return measure


def robust_to(option: str) -> Measure:
    """R^2 with another T or m is at least that of the main setting, on the same test sets, minus
    0.1."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        runs = sweeps(results)
        main = {(run.study, run.seed): run.r2 for run in runs if _changed(run.cell) is None}
        changes: dict[str, list[float]] = {}
        for run in runs:
            if _changed(run.cell) == option:
                label = f"R^2 - main, {option} = {run.cell.get(option)}, {run.study}"
                changes.setdefault(label, []).append(run.r2 - main[run.study, run.seed])
        return [over_seeds(label, values, low=-0.1) for label, values in changes.items()]

    return measure


def _changed(cell: Mapping[str, Any]) -> str | None:
    if cell["labels"] == "self":
        return "labels"
    return next((k for k in ("steps", "m") if cell[k] != cell["study"][k]), None)


CLAIMS = (
    Claim(
        "pn_predicts_error",
        "The Projection Norm predicts the error, with R^2 >= .80 and rank correlation >= .85",
        f"{PAPER}, abstract and main table; the thresholds are ours",
        ("shifts", "sweep"),
        predicts("pn"),
        {
            "reference with another head": predicts("pn_ref_head"),
            "ConfScore": predicts("conf"),
            "self-training labels": self_trained,
        },
        presets=BIG,
    ),
    Claim(
        "pn_is_ahead",
        "The Projection Norm's R^2 exceeds that of ConfScore, Entropy and ATC by .25 or more",
        f"{PAPER}, main table; the margin is ours",
        ("shifts",),
        beats_output_based("pn"),
        {"reference with another head": beats_output_based("pn_ref_head")},
        presets=BIG,
    ),
    Claim(
        "pn_extrapolates",
        "Fitted on mild shifts, the Projection Norm's line errs on hard shifts at most half as "
        "much as the lines of the other scores",
        f"{PAPER}, lines fitted on mild shifts",
        ("shifts",),
        extrapolates("pn"),
        {"reference with another head": extrapolates("pn_ref_head")},
        presets=("medium", "full"),
    ),
    Claim(
        "pn_extrapolates_little",
        "Fitted on the few mild shifts of the quick preset, its line errs at most half as much on "
        "hard ones as theirs",
        f"{PAPER}, lines fitted on mild shifts",
        ("shifts",),
        extrapolates("pn"),
        {"reference with another head": extrapolates("pn_ref_head")},
        kind="finding",
        presets=("quick",),
        note=(
            "It errs less than theirs, but more than half as much, with lines through the 8 "
            "shifts of severity 1 and clean data."
        ),
    ),
    Claim(
        "clean_zero_point",
        (
            "Clean test sets agree to 10 % of the range, and under shifts the norm grows by half "
            "or more above their value"
        ),
        "our check; the margins are ours",
        ("shifts",),
        zero_point("pn"),
        {"reference with another head": zero_point("pn_ref_head")},
        presets=BIG,
    ),
    Claim(
        "schedule_matters",
        "A cosine of the wrong period in the reference counts more than a mild shift",
        "our check of the schedule in the paper's code",
        ("shifts",),
        schedule_matters("pn_ref_period"),
        {"another clean set instead": schedule_matters("clean B")},
        presets=BIG,
    ),
    Claim(
        "steps_matter_little",
        "R^2 is flat in the number of steps T: it falls by 0.1 at most",
        f"{PAPER}, on the number of iterations; the margin is ours",
        ("shifts", "sweep"),
        robust_to("steps"),
        {"self-training labels": robust_to("labels")},
        presets=BIG,
    ),
    Claim(
        "samples_matter_little",
        "R^2 is flat in the number of test samples down to about a hundred: it falls by 0.1 at "
        "most",
        (
            "an independent run of the paper's method (the code of COT, Lu et al. 2023); the "
            "margin is ours"
        ),
        ("shifts", "sweep"),
        robust_to("m"),
        {"self-training labels": robust_to("labels")},
        presets=BIG,
    ),
)
