"""The presets, and what each of their values means."""

from theorylab.lab import Preset
from theorylab.papers.wrong_line.settings import SETTINGS

MEANINGS = {
    "model": "the linear model: signal features, gap, nuisance features, energy, shift",
    "seeds": "seeds of the noise rates and penalties",
    "side_seeds": "seeds of the nuisance dimensions and of the shortcut",
    "ns": "training sizes n, linear model",
    "etas": "label-noise rates, linear model",
    "noise_lams": "penalties at which noise rates are varied",
    "lams": "penalties where they are varied, at 10 % noise",
    "taus": "shifts of the nuisance features",
    "ks": "numbers of nuisance features where they are varied",
    "learner_ns": "training sizes of gradient descent and of least squares",
    "learner_steps": "steps at which gradient descent is stopped",
    "learner_seeds": "seeds there",
    "check_n": "training size of the check by explicit features",
    "check_k": "nuisance features of that check",
    "check_ns": "training sizes at which number formats are compared",
    "check_tests": "test points of the check by explicit features",
    "shift_draws": "draws of the bound under a mean shift",
    "pairs": "[data set, whether its embedded sample is taken, first and second class]",
    "pair_ns": "training sizes, pairs of classes",
    "pair_etas": "label-noise rates, pairs of classes",
    "pair_lams": "penalties, pairs of classes",
    "pair_seeds": "seeds, pairs of classes",
    "mlp_k": "nuisance features, two-layer network",
    "mlp_width": "hidden units, two-layer network",
    "mlp_ns": "training sizes, two-layer network",
    "mlp_etas": "label-noise rates, two-layer network",
    "mlp_epochs": "epochs, two-layer network",
    "mlp_tests": "test points, two-layer network",
    "mlp_seeds": "seeds, two-layer network",
    "images": "[data set, whether its embedded sample is taken], coloured digits",
    "coloured_ns": "training sizes, coloured digits",
    "colour_etas": "label-noise rates, coloured digits and search",
    "colour_tests": "test images, coloured digits and search",
    "coloured_seeds": "seeds, coloured digits",
    "search": "names of the settings searched, in `settings.SETTINGS`",
    "search_first": "the first seed of the search: a confirmation takes seeds that it has not seen",
    "search_ns": "training sizes, search",
    "search_seeds": "seeds, search",
}

_MODEL = {"d_s": 50, "gap": 0.25, "k": 50_000, "energy": 25.0, "tau": 0.5}

_QUICK = {
    "model": _MODEL,
    "seeds": 4,
    "side_seeds": 4,
    "ns": [100, 200, 400, 800, 1600],
    "etas": [0.0, 0.02, 0.05, 0.1, 0.2, 0.3],
    "noise_lams": [1e-5],
    "lams": [0.3, 0.1, 0.03, 0.01],
    "taus": [0.02, 0.1, 0.2, 0.5, 1.0],
    "ks": [10_000, 2000],
    "learner_ns": [100, 200, 400],
    "learner_steps": [1, 10, 100, 5000],
    "learner_seeds": 4,
    "check_n": 200,
    "check_k": 2000,
    "check_ns": [100, 400],
    "check_tests": 4000,
    "shift_draws": 100_000,
    "pairs": [["mnist", False, 1, 7], ["mnist", False, 3, 8]],
    "pair_ns": [100, 200, 400, 800, 1600],
    "pair_etas": [0.0, 0.1, 0.2],
    "pair_lams": [0.1, 1e-5],
    "pair_seeds": 3,
    "mlp_k": 2000,
    "mlp_width": 128,
    "mlp_ns": [100, 400],
    "mlp_etas": [0.0, 0.2],
    "mlp_epochs": 100,
    "mlp_tests": 1000,
    "mlp_seeds": 2,
    "images": ["mnist", False],
    "coloured_ns": [250, 500, 1000, 2000],
    "colour_etas": [0.0, 0.1, 0.25],
    "colour_tests": 1500,
    "coloured_seeds": 2,
    "search": [
        "flip, rbf",
        "1 v 7, noise x4, rbf logistic",
        "1 v 7, noise x4, rbf logistic, penalty",
    ],
    "search_first": 100,
    "search_ns": [100, 200, 400, 800, 1600],
    "search_seeds": 4,
}

_SMOKE = _QUICK | {
    "seeds": 3,
    "side_seeds": 1,
    "ns": [100, 400],
    "etas": [0.0, 0.1],
    "lams": [0.1],
    "taus": [0.02, 0.5],
    "ks": [2000],
    "learner_ns": [50],
    "learner_steps": [1, 300],
    "learner_seeds": 2,
    "check_n": 60,
    "check_k": 300,
    "check_ns": [100],
    "check_tests": 1000,
    "shift_draws": 20_000,
    "pairs": [["fashion_mnist", True, 1, 3]],
    "pair_ns": [100, 200],
    "pair_etas": [0.0, 0.1],
    "pair_seeds": 1,
    "mlp_k": 200,
    "mlp_width": 32,
    "mlp_ns": [50],
    "mlp_epochs": 20,
    "mlp_tests": 200,
    "mlp_seeds": 2,
    "images": ["fashion_mnist", True],
    "coloured_ns": [60, 120],
    "colour_etas": [0.0, 0.25],
    "colour_tests": 300,
    "coloured_seeds": 1,
    "search": ["flip, rbf", "noise x8, rbf"],
    "search_ns": [60, 120],
    "search_seeds": 2,
}

_SEARCHED = [name for name in SETTINGS if name not in ("interpolating", "ridge")]

_MEDIUM = _QUICK | {"search": _SEARCHED}

_FULL = _QUICK | {
    "model": _MODEL | {"k": 1_000_000},
    "seeds": 20,
    "side_seeds": 20,
    "ns": [100, 200, 400, 800, 1600, 3200, 6400, 12_800],
    "noise_lams": [0.3, 0.1, 0.03, 0.01, 1e-3, 1e-5],
    "lams": [0.3, 0.1, 0.03, 0.01, 1e-3],
    "taus": [0.02, 0.05, 0.1, 0.2, 0.5, 1.0],
    "ks": [1_000_000, 200_000, 50_000, 10_000, 2000],
    "learner_steps": [1, 10, 100, 5000, 100_000],
    "pair_ns": [100, 200, 400, 800, 1600, 3200, 6400],
    "pair_seeds": 10,
    "mlp_ns": [100, 200, 400, 800, 1600, 3200],
    "mlp_etas": [0.0, 0.05, 0.1, 0.2, 0.3],
    "mlp_epochs": 400,
    "mlp_tests": 10_000,
    "mlp_seeds": 10,
    "coloured_ns": [250, 500, 1000, 2000, 4000, 8000],
    "colour_etas": [0.0, 0.1, 0.2, 0.25, 0.3],
    "colour_tests": 10_000,
    "coloured_seeds": 5,
    "search_first": 0,
    "search": _SEARCHED,
    "search_ns": [100, 200, 400, 800, 1600, 3200, 6400, 12_800],
    "search_seeds": 5,
}


PRESETS = {
    "smoke": Preset(
        "smoke", _SMOKE, omits=("Sizes that take seconds, for tests: few claims are judged.")
    ),
    "quick": Preset(
        "quick",
        _QUICK,
        omits="Up to 1,600 samples and 4 seeds; kernel machines in place of the networks on "
        "images. No satellite images (fMoW is not available).",
    ),
    "medium": Preset(
        "medium",
        _MEDIUM,
        omits="As quick, with the whole search for a negative line on Coloured MNIST. No "
        "satellite images (fMoW is not available).",
    ),
    "full": Preset(
        "full",
        _FULL,
        omits=(
            "Up to 12,800 samples, a small CNN on Coloured MNIST. No satellite images (fMoW is "
            "not available)."
        ),
    ),
}
