"""The presets, and what each of their values means."""

from typing import NamedTuple

from theorylab.lab import Preset


class Digits(NamedTuple):
    """Handwritten digits: a data set or the embedded sample of one, training and test images."""

    name: str
    sample: bool
    n: int
    tests: int


class Images(NamedTuple):
    """Photographs: a data set or the embedded sample of one, how many, and the network's width.

    Width 0 is a convolutional network.
    """

    name: str
    sample: bool
    n: int
    width: int


class Backgrounds(NamedTuple):
    """Photographs on two backgrounds, and how many."""

    name: str
    n: int


class Dominoes(NamedTuple):
    """Pairs of pictures: their source, training and test pairs, and the network's width.

    Width 0 is a convolutional network.
    """

    source: str
    n: int
    tests: int
    width: int


MEANINGS = {
    "worlds": "random finite worlds per shape",
    "world_shapes": "[points, labels] of the random worlds",
    "population_points": "sizes of the collective on the grid of the population curves",
    "weight_samples": "losses to which each re-weighting rule is applied",
    "alphas": "sizes of the collective, Gaussian classes",
    "seeds": "seeds, Gaussian classes and handwritten digits",
    "rules": "learning rules, Gaussian classes",
    "digit_rules": "learning rules, handwritten digits",
    "image_rules": "learning rules, photographs",
    "background_rules": "learning rules, photographs on two backgrounds",
    "gaussian_n": "training points, Gaussian classes",
    "gaussian_tests": "test points, Gaussian classes",
    "gaussian_steps": "training steps, Gaussian classes",
    "interpolation_steps": "steps of a first stage that is trained to interpolation",
    "digits": "the handwritten digits: fields of `Digits`",
    "digit_alphas": "sizes of the collective, handwritten digits",
    "digit_steps": "training steps, handwritten digits",
    "images": "the photographs: fields of `Images`",
    "image_alphas": "sizes of the collective, photographs",
    "image_seeds": "seeds, photographs",
    "image_steps": "training steps, photographs",
    "backgrounds": "the photographs on two backgrounds: fields of `Backgrounds`",
    "validation_n": "training points where a validation set stops the training",
    "validation_alphas": "sizes of the collective there",
    "validation_seeds": "seeds there",
    "tails": "the share of largest losses that the CVaR learners there mind",
    "parity_n": "training and test points, parity signals",
    "parity_alphas": "sizes of the collective, parity signals",
    "parity_seeds": "seeds, parity signals",
    "parity_steps": "training steps, parity signals",
    "parity_every": "steps between two measurements, parity signals",
    "dominoes": "the dominoes: fields of `Dominoes`",
    "domino_alphas": "sizes of the collective, dominoes",
    "domino_seeds": "seeds, dominoes",
    "domino_steps": "training steps, dominoes",
    "domino_every": "steps between two measurements, dominoes",
}

_QUICK = {
    "worlds": 10_000,
    "world_shapes": [[3, 2], [8, 4]],
    "population_points": 300,
    "weight_samples": 1000,
    "alphas": [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4],
    "seeds": 4,
    "rules": ["erm", "jtt", "lff", "cvar", "chi2"],
    "digit_rules": ["erm", "jtt", "lff", "cvar"],
    "image_rules": ["erm", "jtt", "cvar"],
    "background_rules": ["erm", "group"],
    "gaussian_n": 4000,
    "gaussian_tests": 4000,
    "gaussian_steps": 300,
    "interpolation_steps": 1500,
    "digits": ["optdigits", False, 1200, 597],
    "digit_alphas": [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4],
    "digit_steps": 400,
    "images": ["cifar10", False, 4000, 64],
    "image_alphas": [0.005, 0.02, 0.1, 0.4],
    "image_seeds": 3,
    "image_steps": 600,
    "backgrounds": ["backgrounds", 4000],
    "validation_n": 2000,
    "validation_alphas": [0.01, 0.02, 0.1],
    "validation_seeds": 6,
    "tails": [0.05],
    "parity_n": 4000,
    "parity_alphas": [0.3, 0.4],
    "parity_seeds": 6,
    "parity_steps": 1000,
    "parity_every": 250,
    "dominoes": ["mnist+cifar10", 4000, 1600, 200],
    "domino_alphas": [0.02, 0.05],
    "domino_seeds": 2,
    "domino_steps": 2000,
    "domino_every": 500,
}

_SMOKE = _QUICK | {
    "worlds": 200,
    "world_shapes": [[5, 3]],
    "population_points": 30,
    "weight_samples": 100,
    "alphas": [0.02, 0.4],
    "seeds": 2,
    "rules": ["erm", "jtt"],
    "digit_rules": ["erm", "jtt"],
    "image_rules": ["erm"],
    "background_rules": ["group"],
    "gaussian_n": 1000,
    "gaussian_tests": 500,
    "gaussian_steps": 100,
    "interpolation_steps": 100,
    "digits": ["fashion_mnist", True, 400, 200],
    "digit_alphas": [0.02, 0.4],
    "digit_steps": 60,
    "images": ["fashion_mnist", True, 200, 8],
    "image_alphas": [0.02, 0.4],
    "image_seeds": 2,
    "image_steps": 30,
    "backgrounds": ["backgrounds-fashion", 200],
    "validation_n": 200,
    "validation_alphas": [0.1],
    "validation_seeds": 2,
    "tails": [0.2],
    "parity_n": 256,
    "parity_alphas": [0.3, 0.4],
    "parity_seeds": 2,
    "parity_steps": 20,
    "parity_every": 10,
    "dominoes": ["fashion", 256, 100, 16],
    "domino_alphas": [0.1],
    "domino_steps": 40,
    "domino_every": 20,
}

_FULL = _QUICK | {
    "worlds": 60_000,
    "alphas": [
        0.002,
        0.003,
        0.005,
        0.007,
        0.01,
        0.015,
        0.02,
        0.03,
        0.05,
        0.07,
        0.1,
        0.15,
        0.2,
        0.25,
        0.3,
        0.4,
        0.5,
        0.6,
        0.7,
        0.8,
    ],
    "seeds": 10,
    "digit_alphas": [0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5],
    "images": ["cifar10", False, 36_000, 0],
    "image_alphas": [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4],
    "image_seeds": 5,
    "image_steps": 10_800,
    "backgrounds": ["backgrounds", 8000],
    "validation_alphas": [0.01, 0.02, 0.05, 0.1],
    "validation_seeds": 20,
    "parity_alphas": [0.2, 0.3, 0.4, 0.5],
    "parity_seeds": 10,
    "parity_steps": 4000,
    "dominoes": ["mnist+cifar10", 8000, 2000, 0],
    "domino_alphas": [0.005, 0.01, 0.02, 0.05, 0.1],
    "domino_seeds": 5,
    "domino_steps": 4000,
}


PRESETS = {
    "smoke": Preset(
        "smoke",
        _SMOKE,
        omits="Sizes that take seconds, on Fashion-MNIST alone; most claims are not judged.",
    ),
    "quick": Preset(
        "quick",
        _QUICK,
        omits="Linear models and small perceptrons; images shrunk to 8 x 8 x 3 (CIFAR-10), 14 "
        "x 14 and 16 x 16 (dominoes); up to 6 seeds.",
    ),
    "full": Preset(
        "full",
        _FULL,
        omits=(
            "A three-layer CNN takes the place of ResNets; another data set "
            "stands in for Waterbirds."
        ),
    ),
}
