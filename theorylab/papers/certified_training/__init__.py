"""How Robust Accuracy Suffers from Certified Training with Convex Relaxations (De Bartolomeis,
Clarysse, Sanyal, Yang 2023)."""

from typing import Any

from theorylab.lab import Experiment, Paper, Preset
from theorylab.papers.certified_training import images, synthetic, theory
from theorylab.papers.certified_training.claims import CLAIMS
from theorylab.papers.certified_training.figures import FIGURES
from theorylab.papers.certified_training.presets import PRESETS

Cells = list[dict[str, Any]]
RATIOS = [0.667, 0.7, 0.8, 0.9, 0.99]


def _one_seed(p: Preset) -> int:
    return p.seeds(1)[0]


def _neuron(p: Preset) -> Cells:
    return [{"norms": p["neuron_norms"], "step": 0.5, "gamma": 6.0, "eps": 5.0}]


def _networks(p: Preset) -> Cells:
    common = {"widths": [2, 5, 5, 3], "points": 1000, "seed": _one_seed(p)}
    return [
        {"count": p["networks"], "programs": p["programs"], "threat": threat, **common}
        for threat in ("linf", "l2")
    ]


def _task(data: str, d: int, n: int, test: int) -> dict[str, Any]:
    return {"data": data, "d": d, "n": n, "test": test}


def _training(
    rates: list[float], epochs: int, momentum: float, history: bool = False
) -> dict[str, Any]:
    return {"rates": rates, "epochs": epochs, "momentum": momentum, "history": history}


def _recipe(name: str) -> dict[str, Any]:
    """ "zero" is COAP with lower slopes of 0."""
    return {"recipe": "coap", "alpha_mode": "zero"} if name == "zero" else {"recipe": name}


def _linear(p: Preset) -> Cells:
    common = {"training": _training(p["linear_rates"], 100, 0.0), "attack": [40, 1]}
    small = _task("linear", p["linear_d"], p["linear_n"], p["linear_test"])
    cells = [
        {
            **common,
            **_recipe(name),
            "threat": "signal",
            "task": small,
            "points": [[6.0, eps] for eps in p["linear_eps"]],
            "seed": seed,
        }
        for name in p["linear_recipes"]
        for seed in p.seeds(p["seeds"])
    ]
    cells += [
        {
            **common,
            "recipe": name,
            "threat": "l2",
            "task": small,
            "points": [[6.0, eps] for eps in p["linear_l2_eps"]],
            "seed": _one_seed(p),
        }
        for name in ("standard", "adversarial", "coap")
    ]
    large = [4.75, 5.0, 5.25] if p["linear_large"] else []
    return cells + [
        {
            **common,
            "recipe": name,
            "threat": "signal",
            "task": small | {"n": p["linear_large"]},
            "points": [[6.0, eps]],
            "seed": _one_seed(p),
        }
        for name in ("standard", "adversarial", "coap")
        for eps in large
    ]


def _wide(p: Preset) -> Cells:
    common = {
        "task": _task("spheres", 100, 50, p["wide_test"]),
        "threat": "l2",
        "attack": [40, 1],
    }
    cells = [
        {
            **common,
            "recipe": name,
            "points": [[1.0, 12.0, eps] for eps in p["wide_eps"]],
            "training": _training(p["wide_rates"], 150, 0.95),
            "seed": seed,
        }
        for name in ("standard", "adversarial", "coap")
        for seed in p.seeds(p["seeds"])
    ]
    # how the attack turns towards the signal in adversarial training
    return cells + [
        {
            **common,
            "recipe": "adversarial",
            "points": [[1.0, 12.0, p["wide_eps"][-1]]],
            "training": _training([p["wide_rates"][-1]], length, 0.95),
            "seed": _one_seed(p),
        }
        for length in p["wide_lengths"]
        if length != 150
    ]


def _spheres(p: Preset) -> Cells:
    margin = p["sphere_margin_eps"]
    balls = [[1.0, 21.0, eps] for eps in p["sphere_eps"]]
    outer = [[1.0, r, margin] for r in p["sphere_outer"]]
    threats = {
        "l2": balls + outer,
        "linf": [[1.0, 21.0, eps] for eps in p["sphere_linf"]],
        **{f"lines {k}": [[1.0, 21.0, p["sphere_k_eps"]]] for k in p["sphere_k"]},
    }
    common = {
        "task": _task("spheres", 10, p["sphere_n"], p["sphere_test"]),
        "attack": p["sphere_attack"],
    }
    return [
        {
            **common,
            "threat": threat,
            "recipe": recipe,
            "points": points,
            "training": _training(p["sphere_rates"], 150, 0.95, recipe == "coap"),
            "seed": seed,
        }
        for threat, points in threats.items()
        for recipe in ("adversarial", "coap")
        for seed in p.seeds(p["sphere_seeds"])
    ]


def _images(p: Preset) -> Cells:
    cells = []
    for data, net, train, test, threat, radii, epochs, projections, recipes in p["images"]:
        for eps in radii:
            for recipe in recipes:
                cell = _image_cell(p, [data, net, train, test], threat, eps, epochs)
                training = cell["training"] | {"projections": projections}
                for seed in p.seeds(p["image_seeds"]):
                    cells.append(cell | {"recipe": recipe, "training": training, "seed": seed})
    return cells


def _image_cell(p: Preset, task: list[Any], threat: str, eps: float, epochs: int) -> dict[str, Any]:
    sample = {} if p["image_sample"] is None else {"sample": p["image_sample"]}
    return {
        "task": dict(zip(("data", "net", "train", "test"), task, strict=True)) | sample,
        "threat": threat,
        "eps": eps,
        "training": {"epochs": epochs, "batch_size": 50, "rate": 0.002, "projections": 0},
        "attack": p["image_attack"],
        "certify": "coap",
    }


def _lines(p: Preset) -> Cells:
    return [
        _image_cell(p, [data, net, train, test], f"lines {k}", eps, epochs)
        | {"recipe": recipe, "seed": seed}
        for data, net, train, test, eps, counts, epochs in p["line_images"]
        for k in counts
        for recipe in ("adversarial", "coap")
        for seed in p.seeds(p["image_seeds"])
    ]


def _sets(p: Preset) -> list[str]:
    if p["image_sample"]:
        return []
    return sorted({row[0] for row in [*p["images"], *p["line_images"]]})


EXPERIMENTS = (
    Experiment("neuron", theory.neuron, _neuron),
    Experiment("kinks", theory.kinks, lambda p: [{"count": p["kinks"], "seed": _one_seed(p)}]),
    Experiment(
        "thresholds",
        theory.thresholds,
        lambda p: [{"ratios": RATIOS, "small": [0.02, 0.05, 0.5, 1.6, 6.0]}],
    ),
    Experiment("risk", theory.risk, lambda p: [{"draws": p["risk_draws"], "seed": _one_seed(p)}]),
    Experiment(
        "example",
        theory.example,
        lambda p: [{"threats": [["linf", 0.3], ["l2", 0.3], ["linf", 0.6]]}],
    ),
    Experiment("networks", theory.random_networks, _networks),
    Experiment("linear", synthetic.grid, _linear, nonfinite=frozenset({"accumulated"})),
    Experiment("wide", synthetic.grid, _wide),
    Experiment("spheres", synthetic.grid, _spheres),
    Experiment("images", images.train, _images, data=_sets),
    Experiment("lines", images.train, _lines, data=_sets),
)

PAPER = Paper(
    slug="certified_training",
    title="How Robust Accuracy Suffers from Certified Training with Convex Relaxations",
    authors="Piersilvio De Bartolomeis, Jacob Clarysse, Amartya Sanyal, Fanny Yang",
    venue="arXiv preprint, 2023",
    arxiv="2306.06995",
    summary=(
        "Training with a provable certificate costs accuracy, standard and robust, against "
        "adversarial training: the more so the more the perturbations align with the signal and "
        "the smaller the margin."
    ),
    presets=PRESETS,
    experiments=EXPERIMENTS,
    figures=FIGURES,
    claims=CLAIMS,
)
