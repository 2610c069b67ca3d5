"""The experiments: from a preset to the cells of each."""

from typing import Any

from theorylab.lab import Experiment, Preset
from theorylab.papers.matching_markets import learning, static
from theorylab.papers.types import Cells

NOISE, WIDTH = 0.25, 0.5  # width 2 sigma: the smallest constant for which the intervals hold


def _ucb(k: int, horizon: int, p: Preset, **learner: Any) -> dict[str, Any]:
    return {
        "k": k,
        "horizon": horizon,
        "runs": p["runs"],
        "noise": NOISE,
        "learner": {"width": WIDTH, "clip": True, "prices": "midpoint"} | learner,
        "frictions": [0.1, 0.3, 1.0],
        "seed": p.seeds(1)[0],
    }


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
    return [_ucb(p["arrivals_k"], p["horizons"][-1], p) | {"present": n} for n in p["arrivals"]]


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
