"""The presets, and what each of their values means."""

from collections.abc import Mapping
from typing import Any, TypedDict, cast

from theorylab.lab import Preset

MEANINGS = {
    "settings": "the settings: fields of `Setting`; the first is the main one",
    "bootstraps": "rounds of stage 1 after which stage 2 may start, in the main setting",
    "steps": "local steps M of stage 2, in the main setting",
    "cs": "step sizes of stage 2, in units of 1/λmax, in the main setting",
    "ps": "coordinates of the gradient that make the features, in the main setting",
    "long": "rounds of stage 2 by which it has converged",
    "shuffled": "whether corrections are handed to the wrong clients as a control",
    "ridges": "ridges of the regression to which stage 2 converges",
    "kept": "layers that stay as they are when the others are retrained",
    "probe_epochs": "epochs of that retraining",
    "toys": "seeds of the least-squares problems",
    "equal_rounds": "rounds over which two forms of SCAFFOLD are compared",
}


class Setting(TypedDict):
    """What is compared on one distribution of data over clients."""

    name: str  # under which it is drawn
    world: dict[str, Any]  # data, model, clients and how they part the data: `worlds.build`
    methods: list[str]  # what TCT is compared with
    options: dict[str, Any]  # of local training
    own: dict[str, dict[str, Any]]  # options of single methods
    rounds1: int  # T1, rounds of stage 1
    rounds2: int  # T2, rounds of stage 2
    central: int  # rounds of the centralized run
    p: int  # coordinates of the gradient that make the features
    steps: int  # M, local steps of stage 2
    seeds: int


_BASELINES = ["fedavg", "fedprox", "scaffold", "centralized"]


def _setting(
    name: str, world: Mapping[str, Any], clients: int, partition: str, **values: Any
) -> Setting:
    where = {**world, "clients": clients, "partition": partition}
    return cast(Setting, {"name": name, "world": where, **values})


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


PRESETS = {
    "smoke": Preset(
        "smoke", _SMOKE, omits=("Sizes that take seconds, for tests: accuracies mean nothing.")
    ),
    "quick": Preset(
        "quick",
        _QUICK,
        omits="1,250 images of the embedded sample of Fashion-MNIST, a small CNN, p = 8,000, "
        "20 + 20 rounds (partitions other than pairs of classes: 500 images, 10 + 10); no "
        "CIFAR.",
    ),
    "medium": Preset(
        "medium",
        _MEDIUM,
        omits="10,000 images of each set, 10 clients, 10 + 10 rounds of 2 epochs with a small "
        "CNN, p = 8,000 (CIFAR-10: ResNet-8 of width 8, 8 + 6 rounds of 1 epoch, one seed); "
        "ablations as in the quick preset.",
    ),
    "full": Preset(
        "full", _FULL, omits="No CIFAR-100; ResNet-18 with group norm, no augmentation."
    ),
}
