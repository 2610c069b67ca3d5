"""The experiments: from a preset to the cells of each."""

from typing import Any

from theorylab.lab import Experiment, Preset
from theorylab.papers.collective_action import learning, theory
from theorylab.papers.collective_action.presets import Backgrounds, Digits, Dominoes, Images
from theorylab.papers.types import Cells

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


def _training(rate: float, steps: int, **options: Any) -> dict[str, Any]:
    """How a cell trains; by default on all samples at once and measured at the end alone."""
    return {"rate": rate, "steps": steps, "every": steps, "batch_size": None} | options


def _curves(
    world: dict[str, Any],
    rules: dict[str, dict[str, Any]],
    only: list[str] | None = None,
    **common: Any,
) -> Cells:
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
        training=_training(0.5, p["gaussian_steps"]),
    )


def _digits(p: Preset) -> Cells:
    digits = Digits(*p["digits"])
    world = {"name": digits.name, "n": digits.n, "tests": digits.tests} | (
        {"sample": True, "width": 16} if digits.sample else {}
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
        training=_training(0.1 if digits.sample else 1.0, p["digit_steps"]),
    )


def _images(p: Preset) -> Cells:
    images = Images(*p["images"])
    rules = {
        "erm": {},
        "jtt": {"stage1_steps": p["image_steps"] // 6, "lam": 20.0},
        "lff": {"twin_rate": TWIN},
        "cvar": {"size": 0.2},
    }
    return _curves(
        {
            "name": images.name,
            "sample": images.sample,
            "n": images.n,
            "tests": images.n // 2,
            "width": images.width,
        },
        rules,
        p["image_rules"],
        alphas=p["image_alphas"],
        seeds=list(p.seeds(p["image_seeds"])),
        training=_training(0.1, p["image_steps"], batch_size=100),
    )


def _backgrounds(p: Preset) -> Cells:
    backgrounds = Backgrounds(*p["backgrounds"])
    rules = {
        "erm": {},
        "jtt": {"stage1_steps": p["image_steps"] // 6, "lam": 20.0},
        "group": {"step": 0.05, "num_groups": 4},
    }
    return _curves(
        {**backgrounds._asdict(), "tests": backgrounds.n // 2, "width": 64},
        rules,
        p["background_rules"],
        alphas=p["image_alphas"],
        seeds=list(p.seeds(p["image_seeds"])),
        training=_training(0.1, p["image_steps"], batch_size=100),
    )


def _lambda_one(p: Preset) -> Cells:
    return _curves(
        {"name": "gaussian", "n": p["gaussian_n"], "tests": p["gaussian_tests"]},
        {"jtt": {"stage1_steps": 20, "lam": 1.0}},
        alphas=[0.02, 0.4],
        seeds=list(p.seeds(2)),
        training=_training(0.5, p["gaussian_steps"]),
    )


def _interpolating(p: Preset) -> Cells:
    return _curves(
        {"name": "gaussian", "n": 400, "tests": p["gaussian_tests"], "width": 256},
        {"jtt": {"stage1_steps": p["interpolation_steps"], "lam": 20.0}},
        alphas=[0.02, 0.4],
        seeds=list(p.seeds(2)),
        training=_training(0.5, p["gaussian_steps"]),
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
            training=_training(0.1, p["parity_steps"], every=p["parity_every"], batch_size=128),
        )[0]
        for m in (1, 2, 3)
    ]


def _domino_training(p: Preset) -> dict[str, Any]:
    return _training(0.05, p["domino_steps"], every=p["domino_every"], batch_size=64)


def _dominoes(p: Preset) -> Cells:
    return [
        {
            "world": Dominoes(*p["dominoes"])._asdict(),
            "half": half,
            "pattern": pattern,
            "alphas": p["domino_alphas"],
            "seeds": list(p.seeds(p["domino_seeds"])),
            "training": _domino_training(p),
        }
        for pattern in ("white", "checker")
        for half in ("simple", "complex")
    ]


def _reliance(p: Preset) -> Cells:
    return [
        {
            "world": Dominoes(*p["dominoes"])._asdict(),
            "seeds": list(p.seeds(p["domino_seeds"])),
            "training": _domino_training(p),
        }
    ]


def _digit_data(p: Preset) -> list[str]:
    return [] if Digits(*p["digits"]).sample else ["keel"]


def _image_data(p: Preset) -> list[str]:
    images = Images(*p["images"])
    return [] if images.sample else [images.name]


def _background_data(p: Preset) -> list[str]:
    return [] if Backgrounds(*p["backgrounds"]).name == "backgrounds-fashion" else ["cifar10"]


def _domino_data(p: Preset) -> list[str]:
    return [] if Dominoes(*p["dominoes"]).source == "fashion" else ["mnist", "cifar10"]


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
