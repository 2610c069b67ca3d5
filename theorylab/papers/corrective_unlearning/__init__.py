"""Corrective Machine Unlearning: undo manipulated training data of which only a part was found
(Goel, Prabhu, Torr, Kumaraguru, Sanyal 2024)."""

from typing import Any

from theorylab.lab import Experiment, Paper, Preset
from theorylab.papers.corrective_unlearning import identities, sweep
from theorylab.papers.corrective_unlearning.claims import CLAIMS
from theorylab.papers.corrective_unlearning.figures import FIGURES
from theorylab.papers.corrective_unlearning.presets import PRESETS

Cells = list[dict[str, Any]]


def _cells(world: dict[str, Any], seeds: range, **changes: Any) -> Cells:
    common = {k: v for k, v in world.items() if k not in ("kinds", "seeds")} | changes
    return [
        {**common, "manipulation": kind, "seed": seed} for kind in world["kinds"] for seed in seeds
    ]


def _sweeps(p: Preset) -> Cells:
    return [cell for world in p["worlds"] for cell in _cells(world, p.seeds(world["seeds"]))]


def _orders(p: Preset) -> Cells:
    return [
        cell
        for order in ("augment_first", "patch_first")
        for cell in _cells(p["order_world"], p.seeds(p["order_seeds"]), order=order)
    ]


def _data(p: Preset) -> list[str]:
    names = dict.fromkeys(w["images"]["data"] for w in (*p["worlds"], p["order_world"]))
    return [name for name in names if ":" not in name]  # a sample is embedded


PAPER = Paper(
    slug="corrective_unlearning",
    title="Corrective Machine Unlearning",
    authors="Shashwat Goel, Ameya Prabhu, Philip Torr, Ponnurangam Kumaraguru, Amartya Sanyal",
    venue="TMLR 2024",
    arxiv="2402.14015",
    summary=(
        "Remove the effect of manipulated training data when only a part of it has been found. "
        "Retraining without that part is not enough: a trigger survives until nearly all of it "
        "is known, and methods that heal triggers do not heal confused classes."
    ),
    presets=PRESETS,
    experiments=(
        Experiment("sweep", sweep.sweep, _sweeps, data=_data),
        Experiment("order", sweep.sweep, _orders, data=_data),
        Experiment(
            "identities",
            identities.identities,
            lambda p: [{"seed": s, "draws": 50} for s in p.seeds(1)],
        ),
    ),
    figures=FIGURES,
    claims=CLAIMS,
)
