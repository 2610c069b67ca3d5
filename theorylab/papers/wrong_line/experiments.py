"""The experiments: from a preset to the cells of each."""

from theorylab.lab import Experiment, Preset
from theorylab.papers.types import Cells
from theorylab.papers.wrong_line import images, linear, networks
from theorylab.papers.wrong_line.settings import SETTINGS


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
        "model": {name: p["model"][name] for name in ("k", "energy", "tau")},
    }
    return [
        {
            "pair": {"data": name, "sample": sample, "first": a, "second": b},
            **common,
            "seed": s,
        }
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
_UNBOUNDED = frozenset({"memorised", "approximation", "norm_w_n", "ood_bound"})

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
