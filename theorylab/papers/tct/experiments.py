"""The experiments: from a preset to the cells of each."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from theorylab.lab import Experiment, Preset
from theorylab.papers.tct import convex, theory, training
from theorylab.papers.tct.tables import Solve, central, main_setting, standard_solve
from theorylab.papers.types import Cell, Cells


def _unique(cells: list[Any]) -> list[Any]:
    return [cell for i, cell in enumerate(cells) if cell not in cells[:i]]


def _train_cell(p: Preset, setting: Mapping[str, Any], method: str, seed: int) -> Cell:
    world = central(setting["world"]) if method == "centralized" else setting["world"]
    first = setting is main_setting(p)
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


class _Start(NamedTuple):
    """What stage 2 starts from: the rounds of stage 1, and "params" (the average) or "client"."""

    rounds1: int
    which: str = "params"


def _convex_cell(
    p: Preset,
    setting: Mapping[str, Any],
    seed: int,
    start: _Start,
    solves: list[Solve],
    ridges: Sequence[float] = (),
) -> Cell:
    return {
        "stage1": _train_cell(p, setting, "fedavg", seed) if start.rounds1 else None,
        "world": setting["world"],
        "tangent": start._asdict() | {"p": setting["p"]},
        "solves": [list(solve) for solve in solves],
        "rounds": max(solve.rounds for solve in solves),
        "ridges": list(ridges),
        "seed": seed,
    }


def _solves(p: Preset, setting: Mapping[str, Any]) -> list[Solve]:
    """The ways of solving stage 2: in the main setting with all that is varied in it."""
    scaffold, fedavg, pooled, shuffled = (
        standard_solve(setting, name) for name in ("scaffold", "fedavg", "pooled", "shuffled")
    )
    solves = [scaffold, fedavg]
    if setting is main_setting(p):
        solves.append(pooled)
        solves += [s._replace(steps=m) for m in p["steps"] for s in (scaffold, fedavg)]
        solves += [scaffold._replace(c=c) for c in p["cs"]]
        solves += [scaffold._replace(steps=m, standardize=False) for m in p["steps"]]
        solves += [scaffold._replace(coordinates=count) for count in p["ps"]]
        solves.append(scaffold._replace(rounds=p["long"]))
        solves += [shuffled] if p["shuffled"] else []
    return _unique(solves)


def _convex(p: Preset) -> Cells:
    return [
        _convex_cell(
            p,
            setting,
            seed,
            _Start(setting["rounds1"]),
            _solves(p, setting),
            p["ridges"] if setting is main_setting(p) else (),
        )
        for setting in p["settings"]
        for seed in p.seeds(setting["seeds"])
    ]


def _bootstrap(p: Preset) -> Cells:
    setting = main_setting(p)
    starts = [_Start(rounds1) for rounds1 in p["bootstraps"] if rounds1 != setting["rounds1"]]
    return [
        _convex_cell(p, setting, seed, start, [standard_solve(setting)])
        for start in [*starts, _Start(setting["rounds1"], "client")]
        for seed in p.seeds(setting["seeds"])
    ]


def _probe(p: Preset) -> Cells:
    setting, cells = main_setting(p), []
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
