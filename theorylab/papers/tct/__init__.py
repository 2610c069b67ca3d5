"""TCT: train a network federatedly, convexify it by its tangent kernel, train that by SCAFFOLD (Yu
et al. 2022)."""

from collections.abc import Mapping
from typing import Any

from theorylab.lab import Experiment, Paper, Preset
from theorylab.papers.tct import convex, theory, training
from theorylab.papers.tct.claims import CLAIMS
from theorylab.papers.tct.figures import FIGURES
from theorylab.papers.tct.tables import central

Cell = dict[str, Any]
Cells = list[Cell]


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

_BASELINES = ["fedavg", "fedprox", "scaffold", "centralized"]


def _setting(
    name: str, world: Mapping[str, Any], clients: int, partition: str, **values: Any
) -> dict[str, Any]:
    return {"name": name, "world": {**world, "clients": clients, "partition": partition}, **values}


_SAMPLE = {
    "data": "fashion_mnist",
    "sample": True,
    "train": 1250,
    "test": 1000,
    "model": {"kind": "cnn"},
}
_SGD = {"lr": 0.1, "epochs": 5, "batch_size": 50}
_PROX = {"fedprox": {"mu": 0.1}}
# at lr = 0.1 SCAFFOLD diverges on these networks within 20 rounds
_OWN = _PROX | {"scaffold": {"lr": 0.03}}
_SMALL = {
    "options": _SGD,
    "own": _OWN,
    "rounds1": 20,
    "rounds2": 20,
    "central": 20,
    "p": 8000,
    "steps": 100,
    "seeds": 3,
}
_LESS = _SAMPLE | {"train": 500}
_SHORT = _SMALL | {
    "rounds1": 10,
    "rounds2": 10,
    "central": 10,
    "methods": ["fedavg", "centralized"],
}
_QUICK: dict[str, Any] = {
    "settings": [
        _setting("#C = 2", _SAMPLE, 5, "pairs", methods=_BASELINES, **_SMALL),
        _setting("500 images, #C = 1", _LESS, 10, "label 1", **_SHORT),
        _setting("500 images, Dir(0.1)", _LESS, 10, "dirichlet 0.1", **_SHORT),
        _setting("500 images, iid", _LESS, 10, "iid", **_SHORT),
    ],
    "bootstraps": [0, 5, 20],
    "steps": [10, 100, 500],
    "cs": [0.1, 1.0, 1.9],
    "ps": [1000, 8000],
    "long": 300,
    "shuffled": True,
    "ridges": [1e-8, 1e-5, 1e-4, 1e-3, 1e-2],
    "kept": [1, 3, 4, 5],
    "probe_epochs": 5,
    "toys": 3,
    "equal_rounds": 50,
}
_TINY = _SAMPLE | {
    "train": 100,
    "test": 100,
    "model": {"kind": "cnn", "channels": [4], "hidden": [8]},
}
_SECONDS = {
    "options": _SGD | {"epochs": 2},
    "own": {},
    "rounds1": 2,
    "rounds2": 3,
    "central": 2,
    "p": 500,
    "steps": 20,
    "seeds": 2,
}
_SMOKE = _QUICK | {
    "settings": [
        _setting(
            "#C = 2", _TINY, 5, "pairs", methods=["fedavg", "scaffold", "centralized"], **_SECONDS
        )
    ],
    "bootstraps": [0, 2],
    "steps": [5, 20],
    "cs": [0.3, 1.0],
    "ps": [200, 500],
    "long": 30,
    "ridges": [1e-3],
    "kept": [1, 3],
    "probe_epochs": 1,
    "toys": 2,
}
_TEN = _SAMPLE | {"sample": False, "train": 10_000, "test": 2000}
_TEN_CIFAR = _TEN | {"data": "cifar10", "model": {"kind": "resnet", "depth": 8, "width": 8}}
_HOUR = _SMALL | {
    "options": _SGD | {"epochs": 2},
    "rounds1": 10,
    "rounds2": 10,
    "central": 20,
    "methods": _BASELINES,
}
_MEDIUM = _QUICK | {
    "settings": [
        _QUICK["settings"][0],
        _setting("10,000 images, #C = 2", _TEN, 10, "label 2", **_HOUR),
        _setting("10,000 images, #C = 1", _TEN, 10, "label 1", **_HOUR),
        _setting("10,000 images, Dir(0.1)", _TEN, 10, "dirichlet 0.1", **_HOUR),
        _setting(
            "10,000 images, #C = 2, ResNet-8",
            _TEN_CIFAR,
            10,
            "label 2",
            **_HOUR
            | {
                "options": {"lr": 0.1, "epochs": 1, "batch_size": 50},
                "rounds1": 8,
                "rounds2": 6,
                "central": 14,
                "methods": ["fedavg", "scaffold", "centralized"],
            },
        ),
    ],
}
_FASHION = {
    "data": "fashion_mnist",
    "sample": False,
    "train": 60_000,
    "test": 10_000,
    "model": {"kind": "cnn", "channels": [32, 64, 128], "hidden": [128]},
}
_CIFAR = {
    "data": "cifar10",
    "sample": False,
    "train": 50_000,
    "test": 10_000,
    "model": {"kind": "resnet", "depth": 18},
}
_MNIST = {
    "data": "mnist",
    "sample": False,
    "train": 2500,
    "test": 1000,
    "model": {"kind": "cnn", "channels": [32, 64, 128], "padding": 1, "hidden": [128]},
}
_PAPER = {
    "options": {"lr": 0.01, "epochs": 5, "batch_size": 64, "momentum": 0.9},
    "own": _PROX,
    "rounds1": 100,
    "rounds2": 100,
    "central": 200,
    "p": 100_000,
    "steps": 500,
    "seeds": 3,
    "methods": [*_BASELINES, "fednova"],
}
_AUTHORS = _PAPER | {
    "options": {"lr": 0.1, "epochs": 5, "batch_size": 64},
    "steps": 100,
    "methods": _BASELINES,
}
_FULL = _QUICK | {
    "settings": [
        _setting("#C = 2", _FASHION, 10, "label 2", **_PAPER),
        _setting("#C = 1", _FASHION, 10, "label 1", **_PAPER),
        _setting("Dir(0.1)", _FASHION, 10, "dirichlet 0.1", **_PAPER),
        _setting("Dir(0.5)", _FASHION, 10, "dirichlet 0.5", **_PAPER),
        _setting("#C = 2, ResNet-18", _CIFAR, 10, "label 2", **_PAPER),
        _setting("#C = 1, ResNet-18", _CIFAR, 10, "label 1", **_PAPER),
        _setting("consecutive pairs", _MNIST, 5, "pairs", **_AUTHORS),
    ],
    "bootstraps": [0, 5, 20, 50, 100],
    "ps": [1000, 10_000, 100_000],
    "probe_epochs": 20,
    "long": 1000,
    "shuffled": False,
}

PAPER = Paper(
    slug="tct",
    title="TCT: Convexifying Federated Learning using Bootstrapped Neural Tangent Kernels",
    authors="Yaodong Yu, Alexander Wei, Sai Praneeth Karimireddy, Yi Ma, Michael I. Jordan",
    venue="NeurIPS 2022",
    arxiv="2207.06343",
    summary=(
        "Federated learning with dissimilar clients ends far below centralised training, "
        "because the problem is not convex. Train-Convexify-Train first runs FedAvg, then "
        "replaces the network by its tangent kernel at the weights it has reached, and solves "
        "the convex problem that results with SCAFFOLD."
    ),
    presets={
        "smoke": Preset(
            "smoke", _SMOKE, omits="Sizes of seconds, for tests: accuracies mean nothing."
        ),
        "quick": Preset(
            "quick",
            _QUICK,
            omits="1,250 images of the embedded sample of Fashion-MNIST, a small CNN, p = 8,000, "
            "20 + 20 "
            "rounds (partitions other than pairs of classes: 500 images, 10 + 10); no CIFAR.",
        ),
        "medium": Preset(
            "medium",
            _MEDIUM,
            omits="10,000 images of each set, 10 clients, 10 + 10 rounds of 2 epochs with a small "
            "CNN, p = 8,000 "
            "(CIFAR-10: ResNet-8 of width 8, 8 + 6 rounds of 1 epoch, one seed); ablations as in "
            "the quick preset.",
        ),
        "full": Preset(
            "full", _FULL, omits="No CIFAR-100; ResNet-18 with group norm, no augmentation."
        ),
    },
    experiments=EXPERIMENTS,
    figures=FIGURES,
    claims=CLAIMS,
)
