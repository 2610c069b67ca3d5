"""Optimal Robustness-Consistency Trade-offs for Learning-Augmented Online Algorithms (Wei, Zhang
2020)."""

from typing import Any

import numpy as np

from theorylab.lab import Experiment, Paper, Preset
from theorylab.papers.learning_augmented import scheduling, ski
from theorylab.papers.learning_augmented.claims import CLAIMS
from theorylab.papers.learning_augmented.figures import FIGURES

Cells = list[dict[str, Any]]
LAMS2 = [0.05, 0.1, 0.2, 0.3, round(1 / 3, 12)]


def _optimum(p: Preset) -> Cells:
    grid = [(b, True) for b in p["lp_prices"]] + [(b, False) for b in p["limit_prices"]]
    return [{"b": b, "gammas": p["gammas"], "lp": lp} for b, lp in grid]


def _surface(p: Preset) -> Cells:
    b = p["surface_price"]
    days = sorted({max(1, round(b * f)) for f in p["surface_predictions"]})
    return [{"b": b, "gamma": g, "predictions": days} for g in p["surface_gammas"]]


def _algorithms(p: Preset) -> Cells:
    return [{"b": b, "lams": p["lams"]} for b in p["algorithm_prices"]]


def _identities(p: Preset) -> Cells:
    shares = [0.0, 0.25, 0.5, 0.75, 1.0]
    return [
        {"n": n, "instances": 300, "shares": shares, "seed": p.seeds(1)[0]}
        for n in p["identity_sizes"]
    ]


def _search(p: Preset) -> Cells:
    return [
        {
            "policy": policy,
            "n": n,
            "parameter": x,
            "perfect": perfect,
            "instances": instances,
            "seed": p.seed,
        }
        for policy, n, parameters, perfect, instances in p["searches"]
        for x in parameters
    ]


def _hard(p: Preset) -> Cells:
    # of the largest lambda; 0.375 is lambda 0.25 at n = 5
    shares = [0.02, 0.05, 0.1, 0.2, 0.375, 0.5, 0.75, 1.0]
    return [
        {"n": n, "lams": [round(s * (n - 1) / (n + 1), 12) for s in shares]}
        for n in p["hard_sizes"]
    ]


def _psk_ski(p: Preset) -> Cells:
    common = {"b": 100, "longest": 400, "sigmas": p["ski_sigmas"], "trials": p["trials"]}
    return [{**common, "seed": s} for s in p.seeds(p["ski_seeds"])]


def _psk_jobs(p: Preset) -> Cells:
    return [
        {"n": 50, "sigmas": p["job_sigmas"], "instances": p["job_instances"], "seed": s}
        for s in p.seeds(p["job_seeds"])
    ]


EXPERIMENTS = (
    Experiment("optimum", ski.optimum, _optimum),
    Experiment("surface", ski.surface, _surface),
    Experiment(
        "certificate",
        ski.certificate,
        lambda p: [{"b": b, "gamma": 2.0} for b in p["certificate_prices"]],
    ),
    Experiment(
        "deterministic", ski.deterministic, lambda p: [{"b": b} for b in p["algorithm_prices"]]
    ),
    Experiment("algorithms", ski.algorithms, _algorithms),
    Experiment("psk_ski", ski.psk, _psk_ski),
    Experiment("identities", scheduling.identities, _identities),
    Experiment("search", scheduling.search, _search),
    Experiment("hard", scheduling.hard, _hard),
    Experiment("psk_jobs", scheduling.psk, _psk_jobs),
)


def _shares(n: int, lams: list[float]) -> list[float]:
    """PRR's share at consistency 1 + lam: (2n - L)/(L - 2), L = (1 + lam)(n + 1)."""
    return [
        round(max((2 * n - (1 + x) * (n + 1)) / ((1 + x) * (n + 1) - 2), 0.0), 12) for x in lams
    ]


def _searches(instances: int) -> list[list[Any]]:
    """policy, n, parameters, correct predictions only, instances of each."""
    few = max(instances // 4, 1)
    return [
        ["two_stage", 2, LAMS2, False, instances],
        *(["two_stage", n, [0.02, 0.1, 0.25], False, instances] for n in (3, 4, 5)),
        ["two_stage", 6, [0.15], False, instances],
        ["two_stage", 2, LAMS2, True, few],
        *(["two_stage", n, [0.1], True, few] for n in (4, 6)),
        ["two_stage_longer", 2, [0.1], False, few],
        ["two_stage_longer", 2, [0.1], True, few],
        *(["two_stage_blind", n, [0.1], False, few] for n in (2, 3)),
        ["prr", 2, _shares(2, LAMS2), False, few],
        ["prr", 2, _shares(2, LAMS2), True, few],
        ["prr", 3, [0.25, 0.5, 0.75], False, instances],
    ]


_NOISE = np.linspace(0, 300, 13).tolist()
_QUICK = {
    "gammas": [1.6, 1.7, 2.0, 2.5, 3.0, 4.0],
    "lp_prices": [5, 10, 20, 100],
    "limit_prices": [400],
    "surface_price": 10,
    "surface_gammas": [1.6, 2.0, 3.0],
    "surface_predictions": [0.3, 0.6, 0.9, 1.0, 1.1, 1.2, 1.3, 1.5, 1.7, 2.0, 2.5, 3.0, 4.0],
    "certificate_prices": [10, 100],
    "algorithm_prices": [10, 100],
    "lams": [0.2, 0.4, 0.5, 0.7, 0.85, 1.0],
    "identity_sizes": [2, 7, 30],
    "searches": _searches(1_000_000),
    "hard_sizes": [2, 3, 4, 5, 6, 10, 100],
    "ski_sigmas": _NOISE,
    "trials": 10_000,
    "ski_seeds": 6,
    "job_sigmas": [0, 1, 10, 100, 1000, 10_000],
    "job_instances": 40,
    "job_seeds": 8,
}
_SMOKE = _QUICK | {
    "lp_prices": [5, 10],
    "limit_prices": [100],
    "surface_gammas": [2.0],
    "surface_predictions": [0.5, 1.0, 1.5, 2.5],
    "certificate_prices": [10],
    "algorithm_prices": [10],
    "lams": [0.5, 1.0],
    "identity_sizes": [5],
    "searches": [
        ["two_stage", 2, [0.1, 0.3], False, 1],
        ["two_stage_blind", 2, [0.1], False, 1],
        ["two_stage_longer", 2, [0.1], False, 1],
    ],
    "hard_sizes": [3],
    "ski_sigmas": [0, 50, 100, 200, 300],
    "ski_seeds": 2,
    "job_sigmas": [0, 10_000],
    "job_seeds": 2,
}
_FULL = _QUICK | {
    "limit_prices": [400, 2000],
    "surface_price": 40,
    "searches": _searches(20_000_000),
    "hard_sizes": [2, 3, 4, 5, 6, 10, 100, 1000],
    "trials": 1_000_000,
    "job_instances": 400,
    "ski_sigmas": [*np.linspace(0, 300, 61).tolist()],
    "job_sigmas": [0, 1, 3, 10, 30, 100, 300, 1000, 3000, 10_000],
}

PAPER = Paper(
    slug="learning_augmented",
    title="Optimal Robustness-Consistency Trade-offs for Learning-Augmented Online Algorithms",
    authors="Alexander Wei, Fred Zhang",
    venue="NeurIPS 2020",
    arxiv="2010.11443",
    summary=(
        "Online algorithms with predictions trade consistency (good predictions) for "
        "robustness (bad ones). The paper finds the best possible trade-off for ski rental "
        "and for scheduling two jobs."
    ),
    presets={
        "smoke": Preset(
            "smoke", _SMOKE, omits="Sizes of seconds, for tests: searches over two jobs only."
        ),
        "quick": Preset(
            "quick",
            _QUICK,
            omits="The paper has no experiments; searches over 1 to 5 million instances "
            "per number of jobs, hard instances up to 100 jobs.",
        ),
        "full": Preset(
            "full",
            _FULL,
            omits="The paper has no experiments; searches over 20 million instances and "
            "more per number of jobs, hard instances up to 1,000 jobs.",
        ),
    },
    experiments=EXPERIMENTS,
    figures=FIGURES,
    claims=CLAIMS,
)
