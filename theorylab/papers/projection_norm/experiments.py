"""The experiments: from a preset to the cells of each."""

from collections.abc import Mapping
from typing import Any

from theorylab.lab import Experiment, Preset
from theorylab.papers.projection_norm import linear, networks
from theorylab.papers.projection_norm.settings import STUDIES
from theorylab.papers.types import Cells

SCALES = [0.0, 0.25, 0.5, 1.0, 2.0, 4.0]

TIMES = [0.0, 0.1, 1.0, 10.0, 1e4]


def _bounds(p: Preset) -> Cells:
    return [
        {"n": n, "m": m, "d": 60, "draws": p["draws"], "seed": s}
        for n, m in p["pairs"]
        for s in p.seeds(3)
    ]


def _hidden(p: Preset) -> Cells:
    return [
        {"d1": 100, "d2": 50, "n": 60, "m": 60, "scales": SCALES, "seed": s}
        for s in p.seeds(p["linear_seeds"])
    ]


def _more_data(p: Preset) -> Cells:
    return [
        {"n": 40, "d": 100, "sizes": p["test_sizes"], "seed": s} for s in p.seeds(p["linear_seeds"])
    ]


def _early(p: Preset) -> Cells:
    common = {"d1": 100, "d2": 50, "n": 60, "m": 60, "times": TIMES, "steps": [0, 1, 2, 5, 20, 100]}
    return [{**common, "seed": s} for s in p.seeds(p["linear_seeds"])]


def _floor(p: Preset) -> Cells:
    return [
        {"d": 20, "sizes": p["floor_sizes"], "draws": p["floor_draws"], "seed": s}
        for s in p.seeds(4)
    ]


def _kernel(p: Preset) -> Cells:
    return [{"n": 24, "m": 16, "width": 64, "seed": s} for s in p.seeds(p["linear_seeds"])]


def _studies(p: Preset, count: str) -> list[tuple[dict[str, Any], int, dict[str, Any]]]:
    """(study, seed, what its cells share), the first seeds of all studies first."""
    counts = {name: min(STUDIES[name][count], p["seeds_at_most"]) for name in p["studies"]}
    found = [
        (STUDIES[name], i, s)
        for name, seeds in counts.items()
        for i, s in enumerate(p.seeds(seeds))
    ]
    found.sort(key=lambda item: item[1])
    return [
        (study, s, {"study": study["cell"], "start": "rotation", "seed": s})
        for study, _, s in found
    ]


def _train(p: Preset) -> Cells:
    return [common for _, _, common in _studies(p, "seeds")] + [
        {**common, "start": "random"} for _, _, common in _studies(p, "random_seeds")
    ]


def _shifts(p: Preset) -> Cells:
    return [
        {
            **common,
            "family": family,
            "severities": list(study["severities"]) if family != "clean" else [0],
        }
        for study, _, common in _studies(p, "seeds")
        for family in ("clean", *study["families"])
    ]


def _attacks(p: Preset) -> Cells:
    return [
        {**common, "eps": list(study["eps"])} for study, _, common in _studies(p, "attack_seeds")
    ] + [
        {**common, "start": "random", "eps": list(study["eps"])}
        for study, _, common in _studies(p, "random_seeds")
    ]


def _sweep(p: Preset) -> Cells:
    cells = []
    for study, _, common in _studies(p, "sweep_seeds"):
        cell = study["cell"]
        sets = [
            ["clean", 0],
            *([f, s] for f in study["families"] for s in study["sweep_severities"]),
        ]
        base = {**common, "sets": sets, "steps": cell["steps"], "m": cell["m"], "labels": "hat"}
        cells += [{**base, "steps": t} for t in study["sweep_steps"]] + [
            {**base, "m": m} for m in study["sweep_sizes"]
        ]
        cells.append({**base, "labels": "self"})
    return cells


def _needs_training(cell: Mapping[str, Any]) -> Mapping[str, tuple[str, Mapping[str, Any]]]:
    return {"trained": ("train", {k: cell[k] for k in ("study", "start", "seed")})}


def _data(p: Preset) -> list[str]:
    cells = [STUDIES[name]["cell"] for name in p["studies"]]
    return list(dict.fromkeys(c["data"] for c in cells if not c["sample"]))


EXPERIMENTS = (
    Experiment("bounds", linear.bounds, _bounds),
    Experiment("hidden", linear.hidden_shift, _hidden),
    Experiment("more_data", linear.more_data, _more_data),
    Experiment("early", linear.early_stopping, _early),
    Experiment("floor", linear.floor, _floor),
    Experiment("kernel", linear.kernel, _kernel),
    Experiment("train", networks.train, _train, data=_data, nonfinite=frozenset({"threshold"})),
    Experiment("shifts", networks.shifts, _shifts, needs=_needs_training, data=_data),
    Experiment("attacks", networks.attacks, _attacks, needs=_needs_training, data=_data),
    Experiment("sweep", networks.sweep, _sweep, needs=_needs_training, data=_data),
)
