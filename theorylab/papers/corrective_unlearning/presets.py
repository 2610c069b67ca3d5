"""The numbers of every preset, world by world."""

from typing import Any

from theorylab.lab import Preset

Values = dict[str, Any]

MEANINGS = {
    "worlds": "images, network, training, manipulations, methods with grids, and seeds of a sweep",
    "order_world": "the world in which the patch comes before or after augmentation",
    "order_seeds": "seeds there",
}

GAMMAS = [0.1, 0.25, 0.5, 0.75, 1.0]
TENTHS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
_ALPHAS = [0.1, 1.0, 10.0, 50.0, 100.0, 500.0, 1000.0, 1e4]
_FACTORS = [0.1, 0.5, 1.0, 5.0, 10.0]
# grids of methods
_REWOD: Values = {"rewod": {}}
_SCRUB: Values = {"scrub": {"weights": [0.001], "ascent_steps": [30, 300], "ascend": "loss"}}
_BADT: Values = {"badt": {"reductions": ["mean"]}}


def _cf(*layers: int | None) -> Values:
    return {"cf": {"layers": list(layers)}}


def _eu(*layers: int) -> Values:
    return {"eu": {"layers": list(layers)}}


def _ssd(name: str, alphas: list[float], factors: list[float], batch_size: int) -> Values:
    return {name: {"alphas": alphas, "factors": factors, "batch_size": batch_size}}


def _potion(batch_size: int) -> Values:
    return {"potion": {"batch_sizes": [batch_size], "stop": 0.2}}


def _images(data: str, pool: int, *sizes: int) -> Values:
    """sizes: of training, validation and test part."""
    return {"data": data, "pool": pool, "sizes": list(sizes)}


def _training(
    steps: int, batch_size: int, learning_rate: float, augment: list[int] | None = None
) -> Values:
    """augment: padding of crops, and 1 for flips; None for neither."""
    return {
        "steps": steps,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "short": 0.25,
        "augment": augment,
    }


def _kinds(poison: list[int], confusion: list[int], patch: int) -> list[Values]:
    """Numbers of manipulated samples."""
    return [{"kind": "poison", "size": n, "patch": patch} for n in poison] + [
        {"kind": "confusion", "size": n} for n in confusion
    ]


_SSD_SINGLE = _ssd("ssd", _ALPHAS, _FACTORS, 1)
DIGITS: Values = {
    "world": "digits",
    "images": _images("keel/optdigits", 1, 1300, 100, 2000),
    "net": {"kind": "mlp", "width": 128},
    "gammas": GAMMAS,
    "training": _training(2000, 64, 0.05),
    "order": "augment_first",
    "methods": {
        **_REWOD,
        **_cf(None, 1),
        **_eu(2, 1),
        **_SCRUB,
        "scrub_kl": {"weights": [0.1], "ascent_steps": [300], "ascend": "kl"},
        "badt": {"reductions": ["mean", "batchmean"]},
        **_SSD_SINGLE,
        **_ssd("ssd_batch", _ALPHAS, _FACTORS, 64),
        **_potion(64),
        "newton": {"dampings": [0.001], "targets": ["retain", "influence"], "steps": 20},
    },
    "kinds": _kinds([28], [120], 2),
    "seeds": 6,
}
MNIST: Values = DIGITS | {
    "world": "mnist",
    "images": _images("mnist", 2, 4000, 200, 2000),
    "gammas": [0.1, 0.5, 1.0],
    "training": _training(1500, 64, 0.05),
    "methods": {**_REWOD, **_cf(None), **_SCRUB, **_BADT, **_SSD_SINGLE, **_potion(64)},
    "kinds": _kinds([80], [360], 2),
    "seeds": 3,
}


def _resnet_methods(alphas: list[float]) -> Values:
    return {**_REWOD, **_cf(None), **_ssd("ssd_batch", alphas, [0.1, 1.0], 128), **_potion(128)}


# ResNet-9 at a quarter of the width, on images of half the side
CIFAR: Values = DIGITS | {
    "world": "cifar10",
    "images": _images("cifar10", 2, 8000, 500, 2000),
    "net": {"kind": "resnet9", "width": 16},
    "gammas": [0.1, 0.5],
    "training": _training(1000, 128, 0.05, [2, 1]),
    "methods": _resnet_methods([1.0, 10.0, 50.0, 100.0, 500.0, 1000.0]),
    "kinds": _kinds([], [600], 3),
    "seeds": 3,
}
# thresholds for poison, of which a tenth is 16 samples: the useful one lies between 2 and 40, by
# seed; of swapped labels, 500 changes nothing
_TRIGGER: Values = {
    "methods": _resnet_methods([1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 40.0, 50.0]),
    "kinds": _kinds([160], [], 3),
}
FASHION: Values = CIFAR | {
    "world": "fashion_mnist",
    "images": _images("fashion_mnist", 2, 8000, 500, 2000),
    "training": _training(600, 128, 0.05, [1, 0]),
}
_CIFAR_FULL: Values = CIFAR | {
    "images": _images("cifar10", 1, 49_500, 500, 0),
    "net": {"kind": "resnet9", "width": 64},
    "gammas": TENTHS,
    "training": _training(4000, 512, 0.025, [4, 1]),
    "methods": {
        **_REWOD,
        **_cf(None, 3, 2),
        **_eu(3, 2),
        "scrub": {
            "weights": [0.001, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0],
            "ascent_steps": [100],
            "ascend": "loss",
        },
        **_BADT,
        **_ssd(
            "ssd_batch",
            [0.1, 1.0, 10.0, 50.0, 100.0, 500.0, 1000.0, 1e4, 1e5, 1e6],
            _FACTORS,
            512,
        ),
        **_potion(512),
    },
    "kinds": _kinds([100, 500, 1000], [500, 2500, 5000], 3),
}
_FASHION_FULL: Values = _CIFAR_FULL | {
    "world": "fashion_mnist",
    "images": _images("fashion_mnist", 1, 59_500, 500, 0),
    "training": _training(4000, 512, 0.025, [2, 0]),
    "kinds": _kinds([600], [3000], 3),
}

_QUICK: Values = {
    "worlds": [DIGITS, MNIST],
    # crops and flips, and so few poisoned samples that a trigger seen anywhere but in its corner is
    # learnt less well
    "order_world": MNIST
    | {
        "training": _training(1500, 64, 0.05, [2, 1]),
        "gammas": [1.0],
        "methods": {},
        "kinds": _kinds([20], [], 2),
    },
    "order_seeds": 3,
}
_SMOKE_WORLD: Values = DIGITS | {
    "images": _images("fashion_mnist:sample", 2, 300, 60, 400),  # needs no download
    "net": {"kind": "mlp", "width": 32},
    "gammas": [0.1, 1.0],
    "training": _training(150, 32, 0.05),
    "methods": {
        **_REWOD,
        **_cf(None, 1),
        **_ssd("ssd", [1.0, 10.0], [0.1, 1.0], 1),
        **_ssd("ssd_batch", [1.0, 10.0], [0.1, 1.0], 32),
        **_potion(64),
    },
    "kinds": _kinds([12], [20], 2),
    "seeds": 2,
}
_SMOKE: Values = {
    "worlds": [_SMOKE_WORLD],
    "order_world": _SMOKE_WORLD
    | {"training": _training(150, 32, 0.05, [1, 0]), "methods": {}, "kinds": _kinds([28], [], 2)},
    "order_seeds": 2,
}

_DATA = (
    "Optdigits (all 5,620 rows, 1,300 for training) in place of scikit-learn's digits, which are "
    "its test part."
)
PRESETS = {
    "smoke": Preset(
        "smoke",
        _SMOKE,
        omits="Sizes of seconds, for tests, on the embedded sample of Fashion-MNIST: nothing is "
        "judged.",
    ),
    "quick": Preset(
        "quick",
        _QUICK,
        omits=(
            "Fully connected networks of width 128 on 8 x 8 digits and on 4,000 MNIST images of "
            "14 x 14 pixels, in place of ResNet-9 and WRN-28-10 on CIFAR and PCam; five shares, "
            f"one size of S_m a world. {_DATA}"
        ),
    ),
    "medium": Preset(
        "medium",
        _QUICK | {"worlds": [DIGITS, MNIST, CIFAR | _TRIGGER, CIFAR, FASHION | _TRIGGER, FASHION]},
        omits=(
            "ResNet-9 of width 16 (64 in the paper) on 8,000 images shrunk to half the side, 1,000 "
            "steps of 128 (Fashion-MNIST: 600; the paper: 4,000 of 512), "
            "two shares, 16 pairs of SSD for poison and 12 for confusion (50 in the paper), SCRUB "
            "and BadT on the small worlds alone; CIFAR-100 and PCam are left out, Fashion-MNIST is "
            "added. "
            f"{_DATA}"
        ),
    ),
    "full": Preset(
        "full",
        _QUICK | {"worlds": [DIGITS, MNIST, _FASHION_FULL, _CIFAR_FULL]},
        omits=(
            "The paper's network, budget and grids on CIFAR-10, 500 training images held out for "
            "selection; CIFAR-100, PCam and WRN-28-10 are left out, Fashion-MNIST is added."
        ),
    ),
}
