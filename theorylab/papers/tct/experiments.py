"""The experiments: from a preset to the cells of each."""

from collections.abc import Mapping
from typing import Any

from theorylab.lab import Experiment, Preset
from theorylab.papers.tct import convex, theory, training
from theorylab.papers.tct.tables import central
from theorylab.papers.types import Cell, Cells


def _unique(cells: list[Any]) -> list[Any]:
    return [cell for i, cell in enumerate(cells) if cell not in cells[:i]]


def _train_cell(p: Preset, setting: Mapping[str, Any], method: str, seed: int) -> Cell:
    world = central(setting["world"]) if method == "centralized" else setting["world"]
    first = setting is p["settings"][0]
    rounds = (
        setting["central"] if method == "centralized" else setting["rounds1"] + setting["rounds2"]
    )
    keep = [rounds] if method == "centralized" else []
    if method == "fedavg":
        keep = sorted({*(p["bootstraps"] if first else ()), setting["rounds1"]} - {0})
    options = setting["options"] | setting["own"].get(method, {})
    return {
        "world": world,
        "method": method,
        "options": options,
        "rounds": rounds,
        "keep": keep,
        "seed": seed,
    }


def _train(p: Preset) -> Cells:
    return _unique(
        [
            _train_cell(p, setting, method, seed)
            for setting in p["settings"]
            for method in setting["methods"]
            for seed in p.seeds(setting["seeds"])
        ]
    )


def _convex_cell(
    p: Preset,
    setting: Mapping[str, Any],
    seed: int,
    solves: list[Any],
    rounds1: int,
    which: str,
    ridges: list[float],
) -> Cell:
    stage1 = _train_cell(p, setting, "fedavg", seed) if rounds1 else None
    return {
        "stage1": stage1,
        "world": setting["world"],
        "rounds1": rounds1,
        "which": which,
        "p": setting["p"],
        "solves": solves,
        "rounds": max(s[5] for s in solves),
        "ridges": ridges,
        "seed": seed,
    }


def _solves(p: Preset, setting: Mapping[str, Any]) -> list[Any]:
    """The ways of solving stage 2: in the first setting with all that is varied in it."""
    m, q, rounds = setting["steps"], setting["p"], setting["rounds2"]
    solves = [[algorithm, m, 1.0, True, q, rounds] for algorithm in ("scaffold", "fedavg")]
    if setting is p["settings"][0]:
        solves.append(["pooled", m, 1.0, True, q, rounds])
        solves += [[a, k, 1.0, True, q, rounds] for k in p["steps"] for a in ("scaffold", "fedavg")]
        solves += [["scaffold", m, c, True, q, rounds] for c in p["cs"]]
        solves += [["scaffold", k, 1.0, False, q, rounds] for k in p["steps"]]
        solves += [["scaffold", m, 1.0, True, k, rounds] for k in p["ps"]]
        solves += [["scaffold", m, 1.0, True, q, p["long"]]]
        solves += [["shuffled", m, 1.0, True, q, rounds]] if p["shuffled"] else []
    return _unique(solves)


def _convex(p: Preset) -> Cells:
    first = p["settings"][0]
    return [
        _convex_cell(
            p, s, seed, _solves(p, s), s["rounds1"], "params", p["ridges"] if s is first else []
        )
        for s in p["settings"]
        for seed in p.seeds(s["seeds"])
    ]


def _bootstrap(p: Preset) -> Cells:
    setting = p["settings"][0]
    solves = [["scaffold", setting["steps"], 1.0, True, setting["p"], setting["rounds2"]]]
    models = [(t, "params") for t in p["bootstraps"] if t != setting["rounds1"]] + [
        (setting["rounds1"], "client")
    ]
    return [
        _convex_cell(p, setting, s, solves, *model, [])
        for model in models
        for s in p.seeds(setting["seeds"])
    ]


def _probe(p: Preset) -> Cells:
    setting, cells = p["settings"][0], []
    options = setting["options"] | {"epochs": p["probe_epochs"]}
    for seed in p.seeds(setting["seeds"]):
        fed = _train_cell(p, setting, "fedavg", seed)
        pooled = _train_cell(p, setting, "centralized", seed)
        for source, stage1 in (("fedavg", fed), ("centralized", pooled), ("random", None)):
            rounds = max(stage1["keep"]) if stage1 else 0
            cells.append(
                {
                    "stage1": stage1,
                    "world": setting["world"],
                    "source": source,
                    "rounds": rounds,
                    "kept": p["kept"],
                    "options": options,
                    "seed": seed,
                }
            )
    return cells


def _stage1(cell: Mapping[str, Any]) -> Mapping[str, tuple[str, Mapping[str, Any]]]:
    return {} if cell["stage1"] is None else {"trained": ("train", cell["stage1"])}


def _data(p: Preset) -> list[str]:
    return sorted({s["world"]["data"] for s in p["settings"] if not s["world"]["sample"]})


EXPERIMENTS = (
    Experiment(
        "equivalence",
        theory.equivalence,
        lambda p: [
            {"steps": 7, "rounds": p["equal_rounds"], "seed": s} for s in p.seeds(p["toys"])
        ],
    ),
    Experiment(
        "fixed_points",
        theory.fixed_points,
        lambda p: [
            {"steps": [1, 5, 20, 100], "rounds": 2500, "seed": s} for s in p.seeds(p["toys"])
        ],
    ),
    Experiment(
        "interpolation",
        theory.interpolation,
        lambda p: [
            {"steps": [10, 100, 1000], "rounds": [10, 30, 100, 300, 1500], "seed": s}
            for s in p.seeds(p["toys"])
        ],
    ),
    Experiment(
        "gram_form",
        theory.gram_form,
        lambda p: [{"steps": [1, 25, 500], "rounds": 6, "seed": s} for s in p.seeds(p["toys"])],
    ),
    Experiment(
        "step_size",
        theory.step_size,
        lambda p: [{"factors": [0.5, 1.0, 1.9, 2.1], "seed": s} for s in p.seeds(1)],
    ),
    Experiment(
        "tangent", theory.tangent, lambda p: [{"draws": 20_000, "seed": s} for s in p.seeds(1)]
    ),
    Experiment("train", training.train, _train, data=_data),
    Experiment("probe", training.probe, _probe, needs=_stage1, data=_data),
    Experiment("convex", convex.convex, _convex, needs=_stage1, data=_data),
    Experiment("bootstrap", convex.convex, _bootstrap, needs=_stage1, data=_data),
)
