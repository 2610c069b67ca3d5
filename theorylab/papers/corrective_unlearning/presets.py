"""The numbers of every preset, world by world."""

from typing import Any

from theorylab.lab import Preset

Values = dict[str, Any]

MEANINGS = {
    "worlds": "data, network, budget, manipulations, methods with grids, and seeds of a sweep",
    "order_world": "the world in which the patch comes before or after augmentation",
    "order_seeds": "seeds there",
}

GAMMAS = [0.1, 0.25, 0.5, 0.75, 1.0]
TENTHS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
_ALPHAS = [0.1, 1.0, 10.0, 50.0, 100.0, 500.0, 1000.0, 1e4]
_FACTORS = [0.1, 0.5, 1.0, 5.0, 10.0]

DIGITS: Values = {
    "world": "digits",
    "data": "keel/optdigits",
    "pool": 1,
    "sizes": [1300, 100, 2000],
    "net": {"kind": "mlp", "width": 128},
    "gammas": GAMMAS,
    "budget": {"steps": 2000, "batch_size": 64, "learning_rate": 0.05, "short": 0.25},
    "augment": None,
    "order": "augment_first",
    "methods": {
        "rewod": {},
        "cf": {"layers": [None, 1]},
        "eu": {"layers": [2, 1]},
        "scrub": {"weights": [0.001], "ascent_steps": [30, 300], "ascend": "loss"},
        "scrub_kl": {"weights": [0.1], "ascent_steps": [300], "ascend": "kl"},
        "badt": {"reductions": ["mean", "batchmean"]},
        "ssd": {"alphas": _ALPHAS, "factors": _FACTORS, "batch_size": 1},
        "ssd_batch": {"alphas": _ALPHAS, "factors": _FACTORS, "batch_size": 64},
        "potion": {"batch_sizes": [64], "stop": 0.2},
        "newton": {"dampings": [0.001], "targets": ["retain", "influence"], "steps": 20},
    },
    "kinds": [
        {"kind": "poison", "size": 28, "patch": 2},
        {"kind": "confusion", "size": 120},
    ],
    "seeds": 6,
}
MNIST: Values = DIGITS | {
    "world": "mnist",
    "data": "mnist",
    "pool": 2,
    "sizes": [4000, 200, 2000],
    "gammas": [0.1, 0.5, 1.0],
    "budget": {"steps": 1500, "batch_size": 64, "learning_rate": 0.05, "short": 0.25},
    "methods": {
        "rewod": {},
        "cf": {"layers": [None]},
        "scrub": {"weights": [0.001], "ascent_steps": [30, 300], "ascend": "loss"},
        "badt": {"reductions": ["mean"]},
        "ssd": {"alphas": _ALPHAS, "factors": _FACTORS, "batch_size": 1},
        "potion": {"batch_sizes": [64], "stop": 0.2},
    },
    "kinds": [
        {"kind": "poison", "size": 80, "patch": 2},
        {"kind": "confusion", "size": 360},
    ],
    "seeds": 3,
}
# ResNet-9 at a quarter of the width, on images of half the side
CIFAR: Values = {
    "world": "cifar10",
    "data": "cifar10",
    "pool": 2,
    "sizes": [8000, 500, 2000],
    "net": {"kind": "resnet9", "width": 16},
    "gammas": [0.1, 0.5],
    "budget": {"steps": 1000, "batch_size": 128, "learning_rate": 0.05, "short": 0.25},
    "augment": [2, 1],
    "order": "augment_first",
    "methods": {
        "rewod": {},
        "cf": {"layers": [None]},
        "ssd_batch": {
            "alphas": [1.0, 10.0, 50.0, 100.0, 500.0, 1000.0],
            "factors": [0.1, 1.0],
            "batch_size": 128,
        },
        "potion": {"batch_sizes": [128], "stop": 0.2},
    },
    "kinds": [
        {"kind": "poison", "size": 160, "patch": 3},
        {"kind": "confusion", "size": 600},
    ],
    "seeds": 3,
}
FASHION: Values = CIFAR | {
    "world": "fashion_mnist",
    "data": "fashion_mnist",
    "augment": [1, 0],
    "budget": {"steps": 600, "batch_size": 128, "learning_rate": 0.05, "short": 0.25},
}


def _paper(sizes: list[int], confused: list[int]) -> list[Values]:
    return [{"kind": "poison", "size": n, "patch": 3} for n in sizes] + [
        {"kind": "confusion", "size": n} for n in confused
    ]


_CIFAR_FULL: Values = CIFAR | {
    "pool": 1,
    "sizes": [49_500, 500, 0],
    "net": {"kind": "resnet9", "width": 64},
    "gammas": TENTHS,
    "budget": {"steps": 4000, "batch_size": 512, "learning_rate": 0.025, "short": 0.25},
    "augment": [4, 1],
    "methods": {
        "rewod": {},
        "cf": {"layers": [None, 3, 2]},
        "eu": {"layers": [3, 2]},
        "scrub": {
            "weights": [0.001, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0],
            "ascent_steps": [100],
            "ascend": "loss",
        },
        "badt": {"reductions": ["mean"]},
        "ssd_batch": {
            "alphas": [0.1, 1.0, 10.0, 50.0, 100.0, 500.0, 1000.0, 1e4, 1e5, 1e6],
            "factors": _FACTORS,
            "batch_size": 512,
        },
        "potion": {"batch_sizes": [512], "stop": 0.2},
    },
    "kinds": _paper([100, 500, 1000], [500, 2500, 5000]),
}
_FASHION_FULL: Values = _CIFAR_FULL | {
    "world": "fashion_mnist",
    "data": "fashion_mnist",
    "sizes": [59_500, 500, 0],
    "augment": [2, 0],
    "kinds": _paper([600], [3000]),
}

_QUICK: Values = {
    "worlds": [DIGITS, MNIST],
    "order_world": MNIST
    | {
        # crops and flips, and so few poisoned samples that a trigger seen anywhere but in its
        # corner is learnt less well
        "augment": [2, 1],
        "gammas": [1.0],
        "methods": {},
        "kinds": [{"kind": "poison", "size": 20, "patch": 2}],
    },
    "order_seeds": 3,
}
_SMOKE_WORLD: Values = DIGITS | {
    "data": "fashion_mnist:sample",  # needs no download
    "pool": 2,
    "sizes": [300, 60, 400],
    "net": {"kind": "mlp", "width": 32},
    "gammas": [0.1, 1.0],
    "budget": {"steps": 150, "batch_size": 32, "learning_rate": 0.05, "short": 0.25},
    "methods": {
        "rewod": {},
        "cf": {"layers": [None, 1]},
        "ssd": {"alphas": [1.0, 10.0], "factors": [0.1, 1.0], "batch_size": 1},
        "ssd_batch": {"alphas": [1.0, 10.0], "factors": [0.1, 1.0], "batch_size": 32},
        "potion": {"batch_sizes": [64], "stop": 0.2},
    },
    "kinds": [
        {"kind": "poison", "size": 12, "patch": 2},
        {"kind": "confusion", "size": 20},
    ],
    "seeds": 2,
}
_SMOKE: Values = {
    "worlds": [_SMOKE_WORLD],
    "order_world": _SMOKE_WORLD | {"augment": [1, 0], "methods": {}, "kinds": DIGITS["kinds"][:1]},
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
        _QUICK | {"worlds": [DIGITS, MNIST, FASHION, CIFAR]},
        omits=(
            "ResNet-9 of width 16 (64 in the paper) on 8,000 images shrunk to half the side, 1,000 "
            "steps of 128 (Fashion-MNIST: 600; the paper: 4,000 of 512), "
            "two shares, 12 of the 50 pairs of SSD, SCRUB and BadT "
            "on the small worlds alone; CIFAR-100 and PCam are left out, Fashion-MNIST is added. "
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
