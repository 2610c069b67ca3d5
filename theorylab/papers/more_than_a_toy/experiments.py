"""The experiments: from a preset to the cells of each."""

from collections.abc import Mapping
from typing import Any

from theorylab.lab import Experiment, Preset
from theorylab.papers.more_than_a_toy import networks, real, synthetic
from theorylab.papers.more_than_a_toy.claims.scaling import SLOPES
from theorylab.papers.types import Cells

ALPHA, DELTA = 1.5, 1.6  # spectrum and target power of the random-feature studies


def _population(features: int, alpha: float = ALPHA) -> dict[str, Any]:
    return {"p": features, "alpha": alpha, "delta": DELTA, "noise": 0.0}


def _rate(p: Preset) -> Cells:
    common = {"ridges": [1e-8, 1e-3, 1e-2], "seed": p.seeds(1)[0], "draws": p["rate_draws"]}
    return [
        {"design": "gaussian", "n": n, "population": _population(4 * n), **common}
        for n in p["rate_sizes"]
    ]


def _controls(p: Preset) -> Cells:
    common = {
        "n": p["control_n"],
        "draws": p["control_draws"],
        "ridges": [1e-4, 1e-3, 1e-2, 1e-1],
    }
    designs = dict.fromkeys(
        ("gaussian", "rademacher", "duplicated", "augmented", "elliptical"), ALPHA
    ) | {"steep": 6.0}
    return [
        {"design": d, "population": _population(p["control_p"], a), "seed": s, **common}
        for d, a in designs.items()
        for s in p.seeds(4)
    ]


def _law(p: Preset) -> Cells:
    common = {"modes": [1, 10], "ridge": 1e-4, "share": 0.3, "seed": p.seeds(1)[0]}
    draws = {
        "gaussian": p["law_draws"],
        "duplicated": p["law_draws"] // 4,
        "elliptical": p["law_draws"] // 4,
    }
    return [
        {
            "design": d,
            "n": n,
            "population": {"p": 4 * n, "alpha": ALPHA},
            "draws": count,
            **common,
        }
        for d, count in draws.items()
        for n in p["law_sizes"]
    ]


def _exponents(p: Preset) -> Cells:
    pairs = dict.fromkeys([*SLOPES, (3.0, 2.0)])
    return [
        {"alpha": a, "delta": d, "p": p["exponent_modes"], "sizes": [100, 1000, 10_000]}
        for a, d in pairs
    ]


def _selection(p: Preset) -> Cells:
    return [
        {
            "n": 300,
            "p": 1500,
            "alpha": ALPHA,
            "delta": DELTA,
            "noise": v,
            "seed": s,
            "draws": p["selection_draws"],
        }
        for v in (0.0, 0.05, 0.5)
        for s in p.seeds(2)
    ]


def _analytic(p: Preset) -> Cells:
    return [
        {
            "data": name,
            "sample": sample,
            "seed": s,
            "sizes": p["sizes"],
            "ridges": p["ridges"],
            "pool": p["pool"],
            "tests": p["tests"],
        }
        for name, sample in p["data"]
        for s in p.seeds(p["splits"])
    ]


def _spoiled(p: Preset) -> Cells:
    name, sample = p["data"][0]
    ridges = [r for r in p["ridges"] if r > 0]  # repeated samples make a singular kernel
    common = {
        "data": name,
        "sample": sample,
        "n": p["control_n"],
        "ridges": ridges,
        "tests": p["tests"],
    }
    return [
        {**common, "seed": s, "control": control}
        for control in ("duplicated", "augmented", "elliptical")
        for s in p.seeds(p["splits"])
    ]


def _train(p: Preset) -> Cells:
    chosen = dict.fromkeys(n for n, weights in p["networks"] if weights == "trained")
    return [_training(p, name, sample, network) for name, sample in p["data"] for network in chosen]


def _training(p: Preset, name: str, sample: bool | None, network: str) -> dict[str, Any]:
    return {
        "network": network,
        "data": name,
        "sample": sample,
        "seed": p.seed,
        "images": p["train_images"],
        "epochs": p["train_epochs"],
    }


def _kernels(p: Preset) -> Cells:
    return [
        {
            "network": network,
            "weights": weights,
            "images": {
                "data": name,
                "sample": sample,
                "skip": p["train_images"],
                "pool": p["network_pool"],
                "tests": p["network_tests"],
            },
            "seed": p.seed,
            "epochs": p["train_epochs"] if weights in ("trained", "features") else 0,
        }
        for name, sample in p["data"]
        for network, weights in p["networks"]
    ]


def _kernel_needs(cell: Mapping[str, Any]) -> Mapping[str, tuple[str, Mapping[str, Any]]]:
    if not cell["epochs"] or cell["network"] == "efficientnet_lite0":
        return {}
    same = {k: cell[k] for k in ("network", "seed", "epochs")}
    images = cell["images"]
    of_set = {"data": images["data"], "sample": images["sample"], "images": images["skip"]}
    return {"trained": ("train", {**same, **of_set})}


def _network_curves(p: Preset) -> Cells:
    # Without ridge, regression on fewer features than samples is ordinary least squares: not the
    # question here.
    ridges = {"features": [r for r in p["ridges"] if r > 0]}
    return [
        {
            "kernel": cell,
            "network": cell["network"],
            "weights": cell["weights"],
            "data": cell["images"]["data"],
            "seed": s,
            "sizes": p["network_sizes"],
            "ridges": ridges.get(cell["weights"], p["ridges"]),
        }
        for cell in _kernels(p)
        for s in p.seeds(p["splits"])
    ]


def _unit_diagonal(p: Preset) -> Cells:
    kernels = _kernels(p)
    chosen = [cell for cell in kernels if cell["weights"] == "pretrained"]
    return [
        {
            "kernel": cell,
            "network": cell["network"],
            "weights": cell["weights"],
            "data": cell["images"]["data"],
            "seed": s,
            "n": p["network_sizes"][-1],
            "ridges": p["ridges"],
        }
        for cell in chosen or kernels[:1]
        for s in p.seeds(p["splits"] if chosen else 1)
    ]


def _data(p: Preset) -> list[str]:
    return [name for name, sample in p["data"] if not sample]


def _network_data(p: Preset) -> list[str]:
    pretrained = any(network == "efficientnet_lite0" for network, _ in p["networks"])
    return _data(p) + (["efficientnet_lite0"] if pretrained else [])


_SINGULAR = frozenset({"condition"})  # of a kernel matrix with repeated samples

EXPERIMENTS = (
    Experiment("gcv_rate", synthetic.gcv, _rate),
    Experiment("gcv_controls", synthetic.gcv, _controls),
    Experiment("local_law", synthetic.local_law, _law),
    Experiment("exponents", synthetic.exponents, _exponents),
    Experiment("selection", synthetic.selection, _selection),
    Experiment("analytic", real.analytic, _analytic, data=_data, nonfinite=_SINGULAR),
    Experiment("spoiled", real.spoiled, _spoiled, data=_data, nonfinite=_SINGULAR),
    Experiment("train", networks.train, _train, data=_data),
    Experiment("kernels", networks.kernel, _kernels, needs=_kernel_needs, data=_network_data),
    Experiment(
        "network_curves",
        real.network_curve,
        _network_curves,
        data=_network_data,
        nonfinite=_SINGULAR,
        needs=lambda cell: {"kernels": ("kernels", cell["kernel"])},
    ),
    Experiment(
        "unit_diagonal",
        real.unit_diagonal,
        _unit_diagonal,
        data=_network_data,
        needs=lambda cell: {"kernels": ("kernels", cell["kernel"])},
    ),
)
