"""The studies with networks: a data set, a network, how it is trained, and the shifts that it is
tested on.

families, severities: the corruptions of the test sets. eps: radii of the attacks, over 255.
seeds, attack_seeds, random_seeds, sweep_seeds: seeds in all, under attack, from a start without
  pre-training, and of the sweeps.
sweep_severities, sweep_steps, sweep_sizes: what the sweeps vary: severities, T, and test images m.
cell: what a cell is handed. data, sample: a data set or the embedded sample of one; network; train,
  valid, m: images to train on, to validate on, and in every test set; pretrain, base, steps: steps
  of rotation pre-training, of the base model, and of fine-tuning (T); lr, batch: of all three, with
  momentum 0.9 and a cosine schedule.
"""

from typing import Any

Study = dict[str, Any]
FAMILIES_8 = (
    "gaussian_noise",
    "impulse_noise",
    "gaussian_blur",
    "contrast",
    "brightness",
    "rotation",
    "translation",
    "occlusion",
)
FAMILIES_15 = (
    *FAMILIES_8,
    "shot_noise",
    "defocus_blur",
    "motion_blur",
    "gamma",
    "negative",
    "pixelate",
    "elastic",
)
FAMILIES_19 = (*FAMILIES_15, "speckle_noise", "fog", "shear", "jpeg")

_CELL: Study = {
    "data": "fashion_mnist",
    "sample": True,
    "network": "cnn",
    "train": 5000,
    "valid": 1000,
    "m": 600,
    "pretrain": 500,
    "base": 800,
    "steps": 100,
    "lr": 0.02,
    "batch": 64,
}
_QUICK: Study = {
    "cell": _CELL,
    "families": FAMILIES_8,
    "severities": (1, 3, 5),
    "seeds": 3,
    "eps": (0.5, 1, 2, 4, 8, 16),
    "attack_seeds": 3,
    "random_seeds": 2,
    "sweep_severities": (1, 5),
    "sweep_steps": (25, 50),
    "sweep_sizes": (100, 300),
    "sweep_seeds": 1,
}
_FULL_CELL = _CELL | {
    "sample": False,
    "train": 50_000,
    "valid": 5000,
    "m": 10_000,
    "pretrain": 4000,
    "base": 8000,
    "steps": 500,
}
_FULL = _QUICK | {
    "cell": _FULL_CELL,
    "families": FAMILIES_19,
    "severities": (1, 2, 3, 4, 5),
    "random_seeds": 3,
    "sweep_severities": (1, 2, 3, 4, 5),
    "sweep_steps": (50, 200, 1000, 2000),
    "sweep_sizes": (100, 200, 500, 1000, 2000, 5000),
    "sweep_seeds": 3,
}

STUDIES: dict[str, Study] = {
    "tiny": _QUICK
    | {
        "cell": _CELL
        | {
            "network": "mlp",
            "train": 512,
            "valid": 128,
            "m": 128,
            "pretrain": 8,
            "base": 40,
            "steps": 8,
        },
        "families": ("translation", "gaussian_noise"),
        "severities": (1, 5),
        "seeds": 2,
        "eps": (4, 16),
        "attack_seeds": 1,
        "random_seeds": 1,
        "sweep_severities": (5,),
        "sweep_steps": (4,),
        "sweep_sizes": (64,),
    },
    "fmnist sample, cnn": _QUICK,
    "fmnist, cnn": _QUICK
    | {
        "cell": _CELL
        | {
            "sample": False,
            "train": 8000,
            "valid": 2000,
            "m": 1000,
            "pretrain": 600,
            "base": 1500,
            "steps": 150,
        },
        "families": FAMILIES_15,
        "severities": (1, 2, 3, 4, 5),
        "random_seeds": 1,
        "sweep_severities": (1, 5),
        "sweep_steps": (50,),
        "sweep_sizes": (100, 300),
    },
    "cifar10, resnet8": _QUICK
    | {
        "cell": _CELL
        | {
            "data": "cifar10",
            "sample": None,
            "network": "resnet8",
            "train": 8000,
            "valid": 2000,
            "pretrain": 400,
            "base": 1200,
            "steps": 60,
            "lr": 0.05,
            "batch": 32,
        },
        "families": FAMILIES_15,
        "severities": (1, 2, 3, 4, 5),
        "attack_seeds": 0,
        "random_seeds": 0,
        "sweep_seeds": 0,
    },
    "full: fmnist, cnn": _FULL,
    "full: fmnist, mlp": _FULL | {"cell": _FULL_CELL | {"network": "mlp"}},
    "full: cifar10, resnet14": _FULL
    | {
        "cell": _FULL_CELL
        | {
            "data": "cifar10",
            "sample": None,
            "network": "resnet14",
            "train": 45_000,
            "m": 5000,
            "base": 16_000,
            "lr": 0.05,
            "batch": 128,
        },
        "sweep_sizes": (100, 200, 500, 1000, 2000),
    },
}
