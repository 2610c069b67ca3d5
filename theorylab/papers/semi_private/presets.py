"""The presets, and what each of their values means."""

from theorylab.lab import Preset

MEANINGS = {
    "delta": "delta of every guarantee",
    "dimensions": "dimensions of the Gaussian mixture",
    "sizes": "numbers of private records there, at the dimensions",
    "mixture_seeds": "draws of mixture data, each with several draws of noise",
    "noise_draws": "draws of noise for each draw of data",
    "scaling_epsilons": "levels of privacy at which the number of records for 90 % is found",
    "scaling_sizes": "numbers of private records there",
    "scaling_noise_draws": "draws of noise there",
    "spiked_ranks": "numbers of directions on the spiked distribution",
    "spiked_n": "private records there",
    "spiked_seeds": "draws of that distribution",
    "images": "[data, network, size, training images, test images] of each set of features",
    "tables": "[data, training rows, test rows] of each table",
    "texts": "reviews that are encoded, training and test; [0, 0] for none",
    "tokens": "word pieces of a review that are read",
    "public": "public records",
    "ranks": "numbers of directions on real data; 0 stands for all",
    "table_ranks": "numbers of directions on tables",
    "fractions": "shares of the private records that are there, beside all of them",
    "steps": "noisy gradients on real data",
    "splits": "divisions of the real data into public and private records",
    "methods": "[method, directions] that are compared at the same epsilon",
    "method_splits": "divisions of the data for the comparison of methods",
    "method_share": "share of the private records there",
    "margin_draws": "random distributions whose margins are measured",
    "sampled": "[d, k, share in the first k, n, trials] of samples whose directions are measured",
    "shifts": "total variations of shifted distributions",
}

_IMAGES = [
    ["cifar10", "efficientnet_lite0", 96, 6000, 1500],
    ["fashion_mnist", "pixels", 14, 6000, 2000],
    ["mnist", "pixels", 14, 6000, 2000],
]
_METHODS = [
    ["PILLAR", 20],
    ["no projection", 0],
    ["Johnson-Lindenstrauss", 20],
    ["DP-PCA", 20],
    ["GEP", 16],
    ["AdaDPS", 0],
]
_QUICK = {
    "delta": 1e-5,
    "dimensions": [16, 64, 256],
    "sizes": [50, 100, 200, 400, 800, 1600, 3200, 6400],
    "mixture_seeds": 3,
    "noise_draws": 16,
    "scaling_epsilons": [0.05, 0.1, 0.2, 0.4],
    "scaling_sizes": [12, 25, 50, 100, 200, 400, 800, 1600],
    "scaling_noise_draws": 64,
    "spiked_ranks": [2, 5, 10, 20, 40, 100, 200],
    "spiked_n": 4000,
    "spiked_seeds": 6,
    "images": _IMAGES,
    "tables": [["adult", 12_000, 4000]],
    "texts": [0, 0],
    "tokens": 64,
    "public": 1500,
    "ranks": [5, 10, 20, 40, 120, 360, 0],
    "table_ranks": [2, 5, 10, 20, 40, 0],
    "fractions": [0.2],
    "steps": 10,
    "splits": 1,
    "methods": _METHODS,
    "method_splits": 1,
    "method_share": 0.7,
    "margin_draws": 300,
    "sampled": [[30, 3, 0.61, 2000, 40], [100, 5, 0.634, 5000, 10]],
    "shifts": [0.01, 0.03, 0.1],
}
_SMOKE = _QUICK | {
    "dimensions": [16, 64],
    "sizes": [50, 200, 800, 3200],
    "mixture_seeds": 1,
    "noise_draws": 8,
    "scaling_epsilons": [0.1, 0.4],
    "scaling_sizes": [25, 100, 400],
    "scaling_noise_draws": 16,
    "spiked_ranks": [2, 20, 60],
    "spiked_n": 1000,
    "spiked_seeds": 1,
    "images": [["fashion_mnist", "pixels", 14, 1500, 500]],
    "tables": [],
    "public": 300,
    "ranks": [5, 40, 0],
    "fractions": [0.5],
    "splits": 1,
    "methods": [["PILLAR", 20], ["no projection", 0], ["Johnson-Lindenstrauss", 20]],
    "margin_draws": 40,
    "sampled": [[30, 3, 0.61, 500, 10]],
}
_MEDIUM = _QUICK | {
    "dimensions": [16, 64, 256, 1024],
    "sizes": [50, 100, 200, 400, 800, 1600, 3200, 6400, 12_800],
    "mixture_seeds": 12,
    "fractions": [0.05, 0.1, 0.25, 0.5],
    "images": [
        ["cifar10", "efficientnet_lite0", 96, 20_000, 4000],
        ["fashion_mnist", "efficientnet_lite0", 48, 20_000, 4000],
        ["mnist", "efficientnet_lite0", 48, 20_000, 4000],
    ],
    "tables": [["adult", 30_000, 10_000]],
    "texts": [8000, 2000],
    "public": 2500,
    "steps": 20,
    "splits": 4,
    "method_splits": 4,
    "method_share": 0.5,
    "margin_draws": 2000,
    "sampled": [[30, 3, 0.61, 2000, 100], [100, 5, 0.634, 5000, 100]],
}
_FULL = _MEDIUM | {
    "mixture_seeds": 20,
    "images": [
        ["cifar10", "efficientnet_lite0", 224, 50_000, 10_000],
        ["fashion_mnist", "efficientnet_lite0", 96, 60_000, 10_000],
        ["mnist", "efficientnet_lite0", 96, 60_000, 10_000],
    ],
    "texts": [18_000, 4000],
    "tokens": 256,
    "public": 5000,
    "fractions": [0.05, 0.1, 0.25, 0.5, 0.75],
    "splits": 5,
    "method_splits": 5,
    "method_share": 1.0,
}

_STEPS = "Descent is over all records at once, with a fixed step for each epsilon."
PRESETS = {
    "smoke": Preset("smoke", _SMOKE, omits="Sizes of seconds, for tests: pixels of a few images."),
    "quick": Preset(
        "quick",
        _QUICK,
        omits="EfficientNet-Lite0 features of 6,000 CIFAR-10 images, pooled pixels of 6,000 images "
        f"of the other two sets, 1,500 of each public; no reviews. {_STEPS}",
    ),
    "medium": Preset(
        "medium",
        _MEDIUM,
        omits="20,000 images of each set, EfficientNet-Lite0 features at 96 and 48 pixels. "
        f"{_STEPS}",
    ),
    "full": Preset(
        "full",
        _FULL,
        omits="ResNet-50 and its rivals, CIFAR-100, Flower-16, GTSRB and the medical sets: "
        f"EfficientNet-Lite0 on CIFAR-10, MNIST and Fashion-MNIST stands for them. {_STEPS}",
    ),
}
