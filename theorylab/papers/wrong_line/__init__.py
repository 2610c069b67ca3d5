"""Accuracy on the wrong line: label noise and nuisance features turn the ID-OOD accuracy line
around (Sanyal 2025)."""

from typing import Any

from theorylab.lab import Experiment, Paper, Preset
from theorylab.papers.wrong_line import images, linear, networks
from theorylab.papers.wrong_line.claims import CLAIMS
from theorylab.papers.wrong_line.figures import FIGURES
from theorylab.papers.wrong_line.settings import SETTINGS

Cells = list[dict[str, Any]]


def _noise(p: Preset) -> Cells:
    common = {
        "model": p["model"],
        "ns": p["ns"],
        "etas": p["etas"],
        "lams": p["noise_lams"],
        "taus": p["taus"],
    }
    return [{**common, "seed": s} for s in p.seeds(p["seeds"])]


def _penalty(p: Preset) -> Cells:
    common = {
        "model": p["model"],
        "ns": p["ns"],
        "etas": [0.1],
        "lams": p["lams"],
        "taus": [p["model"]["tau"]],
    }
    return [{**common, "seed": s} for s in p.seeds(p["seeds"])]


def _dimension(p: Preset) -> Cells:
    tau = p["model"]["tau"]
    common = {"ns": p["ns"], "etas": [0.1], "lams": [1e-5], "taus": [tau]}
    return [
        {**common, "model": {**p["model"], "k": k}, "seed": s}
        for k in p["ks"]
        for s in p.seeds(p["side_seeds"])
    ]


def _shortcut(p: Preset) -> Cells:
    model = {**p["model"], "shortcut": 2.0}
    common = {
        "model": model,
        "ns": p["ns"],
        "etas": [0.0, 0.1],
        "lams": [1e-5],
        "taus": [p["model"]["tau"]],
    }
    return [{**common, "seed": s} for s in p.seeds(p["side_seeds"])]


def _learners(p: Preset) -> Cells:
    common = {
        "model": p["model"],
        "ns": p["learner_ns"],
        "etas": [0.0, 0.1],
        "steps": p["learner_steps"],
    }
    return [{**common, "seed": s} for s in p.seeds(p["learner_seeds"])]


def _compression(p: Preset) -> Cells:
    common = {
        "n": p["check_n"],
        "k": p["check_k"],
        "d_s": 20,
        "eta": 0.1,
        "tests": p["check_tests"],
    }
    return [{**common, "seed": s} for s in p.seeds(2)]


def _precision(p: Preset) -> Cells:
    common = {"model": p["model"], "ns": p["check_ns"], "etas": [0.0, 0.1], "lams": [1e-5, 0.1]}
    return [{**common, "seed": s} for s in p.seeds(1)]


def _mean_shift(p: Preset) -> Cells:
    return [
        {
            "k": 40,
            "kappa": 3.0,
            "margins": [-1.0, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 2.9],
            "half_width": 0.5,
            "draws": p["shift_draws"],
            "seed": s,
        }
        for s in p.seeds(3)
    ]


def _pairs(p: Preset) -> Cells:
    common = {
        "ns": p["pair_ns"],
        "etas": p["pair_etas"],
        "lams": p["pair_lams"],
        **{name: p["model"][name] for name in ("k", "energy", "tau")},
    }
    return [
        {"data": name, "sample": sample, "first": a, "second": b, **common, "seed": s}
        for name, sample, a, b in p["pairs"]
        for s in p.seeds(p["pair_seeds"])
    ]


def _mlp(p: Preset) -> Cells:
    common = {
        "model": {**p["model"], "k": p["mlp_k"]},
        "width": p["mlp_width"],
        "ns": p["mlp_ns"],
        "etas": p["mlp_etas"],
        "epochs": p["mlp_epochs"],
        "stopped": 2,
        "tests": p["mlp_tests"],
    }
    return [{**common, "seed": s} for s in p.seeds(p["mlp_seeds"])]


def _images(p: Preset, names: list[str], ns: list[int], seeds: range) -> Cells:
    data, sample = p["images"]
    common = {
        "data": data,
        "sample": sample,
        "ns": ns,
        "etas": p["colour_etas"],
        "tests": p["colour_tests"],
    }
    return [{"name": n, "setting": SETTINGS[n], **common, "seed": s} for n in names for s in seeds]


def _coloured(p: Preset) -> Cells:
    return _images(p, ["interpolating", "ridge"], p["coloured_ns"], p.seeds(p["coloured_seeds"]))


def _search(p: Preset) -> Cells:
    # what a search has found must be confirmed on seeds that it has not seen
    first = p["search_first"]
    return _images(p, p["search"], p["search_ns"], p.seeds(first + p["search_seeds"])[first:])


def _image_data(p: Preset) -> list[str]:
    data, sample = p["images"]
    return [] if sample else [data]


def _pair_data(p: Preset) -> list[str]:
    return sorted({name for name, sample, *_ in p["pairs"] if not sample})


# of a classifier that interpolates
_UNBOUNDED = frozenset({"memorised", "approximation", "norm_n", "ood_bound"})
EXPERIMENTS = (
    Experiment("noise", linear.grid, _noise, nonfinite=_UNBOUNDED),
    Experiment("penalty", linear.grid, _penalty, nonfinite=_UNBOUNDED),
    Experiment("dimension", linear.grid, _dimension, nonfinite=_UNBOUNDED),
    Experiment("shortcut", linear.grid, _shortcut, nonfinite=_UNBOUNDED),
    Experiment("learners", linear.learners, _learners),
    Experiment("compression", linear.compression, _compression),
    Experiment("precision", linear.precision, _precision),
    Experiment("mean_shift", linear.mean_shift, _mean_shift),
    Experiment("pairs", images.pairs, _pairs, data=_pair_data),
    Experiment("coloured", images.coloured, _coloured, data=_image_data),
    Experiment("search", images.coloured, _search, data=_image_data),
    Experiment("mlp", networks.mlp, _mlp),
)

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

PAPER = Paper(
    slug="wrong_line",
    title=(
        "Accuracy on the Wrong Line: On the Pitfalls of Noisy Data for Out-of-Distribution "
        "Generalisation"
    ),
    authors="Amartya Sanyal, Yaxi Hu, Yaodong Yu, Yian Ma, Yixin Wang, Bernhard Schölkopf",
    venue="AISTATS 2025",
    arxiv="2406.19049",
    summary=(
        "Accuracy in and out of distribution usually rise together. Label noise and nuisance "
        "features suffice to turn the line around: a model that memorises wrong labels does "
        "so with features that harm it after the shift."
    ),
    presets={
        "smoke": Preset(
            "smoke", _SMOKE, omits="Sizes of seconds, for tests: few claims are judged."
        ),
        "quick": Preset(
            "quick",
            _QUICK,
            omits="Up to 1,600 samples and 4 seeds; kernel machines in place of the networks on "
            "images. No satellite "
            "images (fMoW cannot be had).",
        ),
        "medium": Preset(
            "medium",
            _MEDIUM,
            omits="As quick, with the whole search for a negative line on Coloured MNIST. No "
            "satellite images (fMoW "
            "cannot be had).",
        ),
        "full": Preset(
            "full",
            _FULL,
            omits=(
                "Up to 12,800 samples, a small CNN on Coloured MNIST. No satellite images (fMoW "
                "cannot be had)."
            ),
        ),
    },
    experiments=EXPERIMENTS,
    figures=FIGURES,
    claims=CLAIMS,
)
