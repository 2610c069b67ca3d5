"""The Role of Learning Algorithms in Collective Action (Ben-Dov, Fawkes, Samadi, Sanyal 2024)."""

from typing import Any

from theorylab.lab import Experiment, Paper, Preset
from theorylab.papers.collective_action import learning, theory
from theorylab.papers.collective_action.claims import CLAIMS
from theorylab.papers.collective_action.figures import FIGURES

Cells = list[dict[str, Any]]
TWIN = 2.1  # LfF's twin at three times the rate, times the q = .7 of the official code


def _worlds(p: Preset) -> Cells:
    return [
        {"points": m, "labels": k, "count": p["worlds"], "lam": 40.0, "seed": p.seeds(1)[0]}
        for m, k in p["world_shapes"]
    ]


def _population(p: Preset) -> Cells:
    exact = (0.05, 0.09, 0.2, 0.35, 0.36, 0.6)
    sizes = sorted(
        {round(0.6 * i / p["population_points"], 6) for i in range(p["population_points"] + 1)}
        | {*exact}
    )
    return [{"lam": lam, "alphas": sizes} for lam in (4.0, 1.0)]


def _weights(p: Preset) -> Cells:
    return [
        {
            "m": p["weight_samples"],
            "sizes": [0.01, 0.2, 0.0333],
            "rhos": [0.1, 1.0, 5.0],
            "seed": p.seeds(1)[0],
        }
    ]


def _curves(
    world: dict[str, Any],
    rules: dict[str, dict[str, Any]],
    only: list[str] | None = None,
    **common: Any,
) -> Cells:
    common = {"every": common["steps"], "batch_size": None} | common
    return [
        {"world": world, "rule": rule, "options": rules[rule], **common} for rule in only or rules
    ]


def _gaussian(p: Preset) -> Cells:
    rules = {
        "erm": {},
        "jtt": {"stage1_steps": 20, "lam": 20.0},
        "lff": {"ema": 0.0, "twin_rate": TWIN},
        "cvar": {"size": 0.2},
        "chi2": {"rho": 1.0},
        "group": {"step": 0.1},
    }
    return _curves(
        {"name": "gaussian", "n": p["gaussian_n"], "tests": p["gaussian_tests"]},
        rules,
        p["rules"],
        alphas=p["alphas"],
        seeds=list(p.seeds(p["seeds"])),
        rate=0.5,
        steps=p["gaussian_steps"],
    )


def _digits(p: Preset) -> Cells:
    name, sample, n, tests = p["digits"]
    world = {"name": name, "n": n, "tests": tests} | (
        {"sample": True, "width": 16} if sample else {}
    )
    rules = {
        "erm": {},
        "jtt": {"stage1_steps": 30, "lam": 20.0},
        "lff": {"ema": 0.0, "twin_rate": TWIN},
        "cvar": {"size": 0.1},
    }
    return _curves(
        world,
        rules,
        p["digit_rules"],
        alphas=p["digit_alphas"],
        seeds=list(p.seeds(p["seeds"])),
        rate=1.0 if not sample else 0.1,
        steps=p["digit_steps"],
    )


def _images(p: Preset) -> Cells:
    name, sample, n, width = p["images"]
    rules = {
        "erm": {},
        "jtt": {"stage1_steps": p["image_steps"] // 6, "lam": 20.0},
        "lff": {"twin_rate": TWIN},
        "cvar": {"size": 0.2},
    }
    return _curves(
        {"name": name, "sample": sample, "n": n, "tests": n // 2, "width": width},
        rules,
        p["image_rules"],
        alphas=p["image_alphas"],
        seeds=list(p.seeds(p["image_seeds"])),
        rate=0.1,
        steps=p["image_steps"],
        batch_size=100,
    )


def _backgrounds(p: Preset) -> Cells:
    name, n = p["backgrounds"]
    rules = {
        "erm": {},
        "jtt": {"stage1_steps": p["image_steps"] // 6, "lam": 20.0},
        "group": {"step": 0.05, "num_groups": 4},
    }
    return _curves(
        {"name": name, "n": n, "tests": n // 2, "width": 64},
        rules,
        p["background_rules"],
        alphas=p["image_alphas"],
        seeds=list(p.seeds(p["image_seeds"])),
        rate=0.1,
        steps=p["image_steps"],
        batch_size=100,
    )


def _lambda_one(p: Preset) -> Cells:
    return _curves(
        {"name": "gaussian", "n": p["gaussian_n"], "tests": p["gaussian_tests"]},
        {"jtt": {"stage1_steps": 20, "lam": 1.0}},
        alphas=[0.02, 0.4],
        seeds=list(p.seeds(2)),
        rate=0.5,
        steps=p["gaussian_steps"],
    )


def _interpolating(p: Preset) -> Cells:
    return _curves(
        {"name": "gaussian", "n": 400, "tests": p["gaussian_tests"], "width": 256},
        {"jtt": {"stage1_steps": p["interpolation_steps"], "lam": 20.0}},
        alphas=[0.02, 0.4],
        seeds=list(p.seeds(2)),
        rate=0.5,
        steps=p["gaussian_steps"],
    )


def _validation(p: Preset) -> Cells:
    return [
        {
            "n": p["validation_n"],
            "tests": p["gaussian_tests"],
            "size": a,
            "alphas": p["validation_alphas"],
            "seeds": list(p.seeds(p["validation_seeds"])),
            "rate": 0.5,
            "steps": p["gaussian_steps"],
        }
        for a in p["tails"]
    ]


def _parity(p: Preset) -> Cells:
    return [
        _curves(
            {"name": f"parity-{m}", "n": p["parity_n"], "tests": p["parity_n"], "width": 100},
            {"erm": {}},
            alphas=p["parity_alphas"],
            seeds=list(p.seeds(p["parity_seeds"])),
            rate=0.1,
            steps=p["parity_steps"],
            every=p["parity_every"],
            batch_size=128,
        )[0]
        for m in (1, 2, 3)
    ]


def _dominoes(p: Preset) -> Cells:
    source, n, tests, width = p["dominoes"]
    return [
        {
            "n": n,
            "tests": tests,
            "source": source,
            "half": half,
            "pattern": pattern,
            "width": width,
            "alphas": p["domino_alphas"],
            "seeds": list(p.seeds(p["domino_seeds"])),
            "rate": 0.05,
            "steps": p["domino_steps"],
            "every": p["domino_every"],
            "batch_size": 64,
        }
        for pattern in ("white", "checker")
        for half in ("simple", "complex")
    ]


def _reliance(p: Preset) -> Cells:
    source, n, tests, width = p["dominoes"]
    return [
        {
            "n": n,
            "tests": tests,
            "source": source,
            "width": width,
            "seeds": list(p.seeds(p["domino_seeds"])),
            "rate": 0.05,
            "steps": p["domino_steps"],
            "every": p["domino_every"],
            "batch_size": 64,
        }
    ]


def _digit_data(p: Preset) -> list[str]:
    return [] if p["digits"][1] else ["keel"]


def _image_data(p: Preset) -> list[str]:
    return [] if p["images"][1] else [p["images"][0]]


def _background_data(p: Preset) -> list[str]:
    return [] if p["backgrounds"][0] == "backgrounds-fashion" else ["cifar10"]


def _domino_data(p: Preset) -> list[str]:
    return [] if p["dominoes"][0] == "fashion" else ["mnist", "cifar10"]


_NO_MEMBERS = frozenset({"share"})  # of a collective that rounds to nobody
EXPERIMENTS = (
    Experiment(
        "worlds", theory.worlds, _worlds, nonfinite=frozenset({"corrected_bound", "naive_bound"})
    ),
    Experiment("population", theory.population, _population),
    Experiment("weights", theory.weight_checks, _weights),
    Experiment("gaussian", learning.curve, _gaussian, nonfinite=_NO_MEMBERS),
    Experiment("digits", learning.curve, _digits, data=_digit_data, nonfinite=_NO_MEMBERS),
    Experiment("images", learning.curve, _images, data=_image_data, nonfinite=_NO_MEMBERS),
    Experiment(
        "backgrounds", learning.curve, _backgrounds, data=_background_data, nonfinite=_NO_MEMBERS
    ),
    Experiment("lambda_one", learning.curve, _lambda_one),
    Experiment("interpolating", learning.curve, _interpolating),
    Experiment("validation", learning.validation, _validation),
    Experiment("parity", learning.curve, _parity),
    Experiment("dominoes", learning.dominoes, _dominoes, data=_domino_data),
    Experiment("reliance", learning.reliance, _reliance, data=_domino_data),
)

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

PAPER = Paper(
    slug="collective_action",
    title="The Role of Learning Algorithms in Collective Action",
    authors="Omri Ben-Dov, Jake Fawkes, Samira Samadi, Amartya Sanyal",
    venue="ICML 2024",
    arxiv="2405.06582",
    summary=(
        "A few people who agree on a signal can steer a classifier trained on everybody's "
        "data. How much they can depends on the learning algorithm: re-weighting learners "
        "amplify small collectives."
    ),
    presets={
        "smoke": Preset(
            "smoke",
            _SMOKE,
            omits="Sizes of seconds, Fashion-MNIST alone; most claims are not judged.",
        ),
        "quick": Preset(
            "quick",
            _QUICK,
            omits="Linear models and small perceptrons; images shrunk to 8 x 8 x 3 (CIFAR-10), 14 "
            "x 14 and 16 x 16 "
            "(dominoes); up to 6 seeds.",
        ),
        "full": Preset(
            "full", _FULL, omits="A three-layer CNN in place of ResNets; Waterbirds has a stand-in."
        ),
    },
    experiments=EXPERIMENTS,
    figures=FIGURES,
    claims=CLAIMS,
)
