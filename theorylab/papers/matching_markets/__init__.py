"""Learning Equilibria in Matching Markets from Bandit Feedback (Jagadeesan, Wei, Wang, Jordan,
Steinhardt 2021)."""

from typing import Any

from theorylab.lab import Experiment, Paper, Preset
from theorylab.papers.matching_markets import learning, static
from theorylab.papers.matching_markets.claims import CLAIMS
from theorylab.papers.matching_markets.figures import FIGURES

Cells = list[dict[str, Any]]
NOISE, WIDTH = 0.25, 0.5  # width 2 sigma: the smallest constant for which the intervals hold


def _ucb(k: int, horizon: int, p: Preset, **changes: Any) -> dict[str, Any]:
    base = {
        "k": k,
        "horizon": horizon,
        "runs": p["runs"],
        "noise": NOISE,
        "width": WIDTH,
        "clip": True,
        "prices": "midpoint",
        "frictions": [0.1, 0.3, 1.0],
        "seed": p.seeds(1)[0],
    }
    return base | changes


def _regret(p: Preset) -> Cells:
    return [_ucb(k, h, p) for k in p["sizes"] for h in p["horizons"]]


def _variants(p: Preset) -> Cells:
    k, horizon = p["sizes"][0], p["horizons"][-1]
    return [
        _ucb(k, horizon, p, prices="row"),
        _ucb(k, horizon, p, width=WIDTH / 10),
        _ucb(k, horizon, p, width=8.0),
        _ucb(k, horizon, p, width=8.0, clip=False),
    ]


def _arrivals(p: Preset) -> Cells:
    return [_ucb(p["arrivals_k"], p["horizons"][-1], p, present=n) for n in p["arrivals"]]


def _hidden(p: Preset) -> Cells:
    base = {"runs": p["runs"], "noise": NOISE, "width": WIDTH, "seed": p.seeds(1)[0]}
    first, last = p["hidden_horizons"][0], p["hidden_horizons"][-1]
    tuned = [
        {"k": k, "horizon": h, "kappa": kappa, "tuned": h, **base}
        for k in p["hidden_sizes"]
        for kappa in p["kappas"]
        for h in p["hidden_horizons"]
    ]
    return tuned + [
        {"k": k, "horizon": last, "kappa": 3.0, "tuned": first, **base} for k in p["hidden_sizes"]
    ]


def _structured(p: Preset) -> Cells:
    base = {
        "kinds": 3,
        "horizon": p["structured_horizon"],
        "runs": p["runs"],
        "noise": NOISE,
        "width": WIDTH,
        "seed": p.seeds(1)[0],
    }
    last = p["structured_sizes"][-1]
    cells = [
        {"k": k, "model": model, **base} for k in p["structured_sizes"] for model in p["models"]
    ]
    return [*cells, {"k": last, "model": "mistyped", **base}]


def _rules(p: Preset) -> Cells:
    base = {
        "horizon": p["rule_horizon"],
        "runs": p["rule_runs"],
        "noise": NOISE,
        "width": WIDTH,
        "seed": p.seeds(1)[0],
    }
    return [{"rule": rule, **base} for rule in p["rules"]]


def _properties(p: Preset) -> Cells:
    return [{"n": n, "m": m, "count": p["markets"], "seed": p.seeds(1)[0]} for n, m in p["shapes"]]


EXPERIMENTS = (
    Experiment(
        "example", static.example, lambda p: [{"worth": 9.0, "cost": c} for c in (5.0, 4.0)]
    ),
    Experiment(
        "properties",
        static.properties,
        _properties,
        nonfinite=frozenset({"room", "edge_room", "needed_room"}),
    ),
    Experiment(
        "ntu",
        static.ntu,
        lambda p: [
            {
                "count": p["ntu_markets"],
                "k": 4,
                "horizon": p["ntu_horizon"],
                "noise": NOISE,
                "width": WIDTH,
                "seed": p.seeds(1)[0],
            }
        ],
        nonfinite=frozenset({"breach"}),
    ),
    Experiment("regret", learning.ucb, _regret),
    Experiment("variants", learning.ucb, _variants),
    Experiment("arrivals", learning.ucb, _arrivals),
    Experiment("hidden", learning.hidden, _hidden),
    Experiment("structured", learning.structured, _structured),
    Experiment("rules", learning.price_rule, _rules),
)

_QUICK = {
    "sizes": [4, 8, 16],
    "horizons": [1000, 4000],
    "runs": 16,
    "arrivals_k": 8,
    "arrivals": [2, 4, 8],
    "hidden_sizes": [4, 8],
    "hidden_horizons": [1000, 4000],
    "kappas": [1.0, 3.0, 8.0],
    "structured_sizes": [4, 8, 12],
    "structured_horizon": 1000,
    "models": ["unstructured", "typed", "linear"],
    "rule_horizon": 10_000,
    "rule_runs": 8,
    "rules": ["midpoint", "row", "col", "max_slack"],
    "markets": 100,
    "shapes": [[2, 3], [4, 2], [4, 4]],
    "ntu_markets": 100,
    "ntu_horizon": 2000,
}
_SMOKE = _QUICK | {
    "sizes": [4],
    "horizons": [300],
    "runs": 4,
    "arrivals_k": 4,
    "arrivals": [2],
    "hidden_sizes": [4],
    "hidden_horizons": [200, 300],
    "kappas": [3.0],
    "structured_sizes": [4],
    "structured_horizon": 300,
    "models": ["unstructured", "typed"],
    "rule_horizon": 1000,
    "rule_runs": 2,
    "rules": ["midpoint", "row"],
    "markets": 60,
    "shapes": [[2, 3]],
    "ntu_markets": 4,
    "ntu_horizon": 100,
}
_FULL = _QUICK | {
    "sizes": [4, 8, 16, 32, 64],
    "horizons": [1000, 4000, 100_000],
    "runs": 64,
    "arrivals_k": 32,
    "arrivals": [4, 8, 16],
    "hidden_sizes": [4, 8, 16, 32],
    "hidden_horizons": [1000, 4000, 16_000],
    "structured_sizes": [6, 12, 24, 48],
    "rule_horizon": 100_000,
    "rule_runs": 64,
    "markets": 1000,
    "ntu_horizon": 20_000,
}

PAPER = Paper(
    slug="matching_markets",
    title="Learning Equilibria in Matching Markets from Bandit Feedback",
    authors="Meena Jagadeesan, Alexander Wei, Yixin Wang, Michael I. Jordan, Jacob Steinhardt",
    venue="NeurIPS 2021",
    arxiv="2108.08843",
    summary=(
        "Matching markets with money, where the platform learns what agents want only from "
        "what they report of the matches they get. Subset Instability measures how far an "
        "outcome is from stable, and optimistic algorithms keep its sum over rounds near the "
        "square root of their number."
    ),
    presets={
        "smoke": Preset(
            "smoke", _SMOKE, omits="Sizes of seconds, for tests: rates are not judged."
        ),
        "quick": Preset(
            "quick",
            _QUICK,
            omits=(
                "The paper is theory alone; up to 16 agents a side and 4,000 rounds (prices: "
                "10,000)."
            ),
        ),
        "full": Preset("full", _FULL, omits="Up to 64 agents a side and 100,000 rounds."),
    },
    experiments=EXPERIMENTS,
    figures=FIGURES,
    claims=CLAIMS,
)
