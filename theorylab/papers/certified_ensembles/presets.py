"""The presets, and what each of their values means."""

from theorylab.lab import Preset

MEANINGS = {
    "pairs": "pairs of points at which functions are compared with their sets",
    "sweeps": "[dimension, members, classes] of random linear ensembles",
    "curved": "[dimension, members, classes] of random ensembles with ellipsoids for sets",
    "ensembles": "random ensembles for each of them",
    "directions": "directions in which each is looked at",
    "table_trials": "ensembles with Gaussian scores for each row of the table of probabilities",
    "curve_trials": "and for each point of the curves of probabilities",
    "curve_members": "numbers of members on these curves",
    "curve_shifts": "mean leads of the top class on these curves",
    "outline": "angles at which certificates are drawn",
    "weights": "random ensembles whose best weights are searched",
    "matrices": "matrices whose norms are bounded",
    "coverage": "simulated points at which confidence bounds are checked",
    "images": "[data, pixels a side, units, training images, test images, steps, bootstrap share]",
    "image_groups": "ensembles of five networks for each data set",
    "attacked": "test images that are attacked",
    "attack_steps": "steps of the attack",
    "smooth": "[data, pixels a side, units, training images, test images, steps]",
    "sigmas": "standard deviations of the noise of smoothing",
    "draws": "noisy copies of each test image",
    "sample": "whether the embedded sample is taken; None leaves it to the data set",
}

_QUICK = {
    "pairs": 100_000,
    "sweeps": [[2, 3, 4], [3, 2, 3], [8, 5, 4]],
    "curved": [[2, 3, 4]],
    "ensembles": 2000,
    "directions": 180,
    "table_trials": 200_000,
    "curve_trials": 5000,
    "curve_members": [1, 2, 4, 8, 16, 32, 64],
    "curve_shifts": [0.0, 2.0, 4.0],
    "outline": 240,
    "weights": 12,
    "matrices": 40,
    "coverage": 20_000,
    "images": [
        ["mnist", 14, 64, 4000, 1000, 300, 1.0],
        ["fashion_mnist", 14, 64, 4000, 1000, 300, 1.0],
        ["keel/optdigits", 8, 64, 1200, 597, 800, 0.25],
    ],
    "image_groups": 1,
    "attacked": 100,
    "attack_steps": 10,
    "smooth": [["mnist", 14, 64, 4000, 100, 200], ["fashion_mnist", 14, 64, 4000, 100, 200]],
    "sigmas": [0.25],
    "draws": 500,
    "sample": None,
}
_SMOKE = _QUICK | {
    "pairs": 2000,
    "sweeps": [[2, 3, 4]],
    "curved": [[2, 3, 4]],
    "ensembles": 400,
    "directions": 60,
    "table_trials": 20_000,
    "curve_trials": 500,
    "curve_members": [1, 2, 8],
    "outline": 90,
    "weights": 3,
    "matrices": 6,
    "coverage": 1000,
    "images": [["fashion_mnist", 7, 16, 300, 100, 60, 1.0]],
    "attacked": 40,
    "attack_steps": 5,
    "smooth": [["fashion_mnist", 7, 16, 300, 40, 60]],
    "sigmas": [0.25],
    "draws": 200,
    "sample": True,
}
_MEDIUM = _QUICK | {
    "pairs": 2_000_000,
    "sweeps": [[2, 3, 4], [3, 2, 3], [8, 5, 4], [16, 3, 10]],
    "curved": [[2, 3, 4], [5, 4, 3]],
    "ensembles": 20_000,
    "curve_trials": 50_000,
    "weights": 200,
    "matrices": 200,
    "coverage": 200_000,
    "images": [
        ["mnist", 28, 128, 20_000, 5000, 3000, 1.0],
        ["fashion_mnist", 28, 128, 20_000, 5000, 3000, 1.0],
        ["keel/optdigits", 8, 64, 1200, 597, 800, 0.25],
    ],
    "image_groups": 3,
    "attacked": 1000,
    "attack_steps": 50,
    "smooth": [
        ["mnist", 28, 128, 20_000, 400, 2000],
        ["fashion_mnist", 28, 128, 20_000, 400, 2000],
    ],
    "sigmas": [0.25, 0.5, 1.0],
    "draws": 10_000,
}
_FULL = _MEDIUM | {
    "ensembles": 100_000,
    "curve_trials": 200_000,
    "images": [
        ["mnist", 28, 512, 60_000, 10_000, 20_000, 1.0],
        ["fashion_mnist", 28, 512, 60_000, 10_000, 20_000, 1.0],
        ["keel/optdigits", 8, 64, 1200, 597, 800, 0.25],
    ],
    "smooth": [
        ["mnist", 28, 512, 60_000, 500, 20_000],
        ["fashion_mnist", 28, 512, 60_000, 500, 20_000],
    ],
    "draws": 100_000,
}

PRESETS = {
    "smoke": Preset("smoke", _SMOKE, omits="Sizes of seconds, for tests: no network learns much."),
    "quick": Preset(
        "quick",
        _QUICK,
        omits="What experiments the paper has could not be read. Networks of 64 units on images of "
        "14 x 14 pixels, 4,000 to train; 500 draws of noise.",
    ),
    "medium": Preset(
        "medium",
        _MEDIUM,
        omits="What experiments the paper has could not be read. Networks of 128 units on 20,000 "
        "images of 28 x 28 pixels; 10,000 draws of noise.",
    ),
    "full": Preset(
        "full",
        _FULL,
        omits="What experiments the paper has could not be read. Dense networks alone.",
    ),
}
