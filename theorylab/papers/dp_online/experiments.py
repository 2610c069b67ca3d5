"""The cells of every experiment, from the numbers of a preset."""

import numpy as np

from theorylab.lab import Experiment, Preset
from theorylab.papers.dp_online import exact, sampled
from theorylab.papers.types import Cells

EPSILON = float(np.log(1.5))  # the paper's reference level


BETA = 0.1


BASE = {"epsilon": EPSILON, "beta": BETA}


def _game(p: Preset) -> Cells:
    return [
        {"k": k, "learner": learner, **BASE}
        for learner in ("private", "not private")
        for k in p["k"]
    ]


def _front(p: Preset) -> Cells:
    return [
        {"epsilon": e, "noise": noise, "beta": BETA, "doublings": p["front_doublings"]}
        for noise in (2.0, 1.0)
        for e in p["front_epsilons"]
    ]


def _heat(p: Preset) -> Cells:
    cells = [
        {"epsilon": e, "noise": 1.0, "beta": BETA, "doublings": p["heat_doublings"]}
        for e in p["heat_epsilons"]
    ]
    return [*cells, {**cells[-1], "noise": 2.0}]


def _regime(p: Preset) -> Cells:
    """The rules without a guarantee of their own where it makes a difference, above log(3/2)."""
    return [
        {"epsilon": e, "k": k, "beta": BETA, "rule": rule}
        for e, k in p["regimes"]
        for rule in (("own", "smallest", "uncut") if e > EPSILON else ("own",))
    ]


def _figure_one(p: Preset) -> Cells:
    return [{"epsilon": 1.0, "delta": 0.02, "beta": BETA, "log_rounds": p["log_rounds"]}]


def _audit(p: Preset) -> Cells:
    """The learner that keeps its word at every epsilon; those that do not, or need not, at one."""
    near = [
        {"learner": learner, "epsilon": e, "beta": BETA, "k": p["audit_k"], "stream": stream}
        for learner in ("above", "little noise", "textbook", "hazard")
        for e in (p["audit_epsilons"] if learner == "above" else p["audit_epsilons"][-1:])
        for stream in ("none", "some", "many")
    ]
    far = {"learner": "above", "beta": BETA, "k": p["audit_far"], "stream": "some"}
    return [*near, *({**far, "epsilon": e} for e in p["audit_epsilons"])]


def _horizon(p: Preset) -> Cells:
    return [{"epsilon": 0.5, "ones": 8, "doublings": p["horizon_doublings"], "beta": BETA}]


def _shame(p: Preset) -> Cells:
    return [{"delta": d, "k": 30, "ones": [1, 10, 100, 1000]} for d in (0.01, 0.001)]


def _concentrated(p: Preset) -> Cells:
    return [{"epsilon": EPSILON, "rounds": p["concentrated_rounds"], "betas": p["betas"]}]


def _dimensions(p: Preset) -> Cells:
    return [{"points": p["dimension_points"]}]


def _soa(p: Preset) -> Cells:
    points, rounds = p["soa"]
    return [{"points": points, "rounds": rounds}]


def _played(p: Preset) -> Cells:
    base = {"scale": 2 / EPSILON, "beta": BETA, "seed": p.seeds(1)[0]}
    return [
        {"k": k, "runs": runs, "by": by, "stream": stream, **base}
        for k, runs, by, stream in (
            (p["played_k"], p["played_runs"], "rounds", "adversary"),
            (p["played_k"], p["played_runs"], "rounds", "informative"),
            (p["played_k"], p["stretches_runs"], "stretches", "adversary"),
            (p["stretches_k"], p["stretches_runs"], "stretches", "adversary"),
        )
    ]


def _uniform(p: Preset) -> Cells:
    """Played at one T, exact at others; the law of counted mistakes only where it is short."""
    k, seed = p["uniform_k"], p.seeds(1)[0]
    sizes = sorted({k, *p["uniform_exact"]})
    return [
        {"k": n, **BASE, "runs": p["uniform_runs"] if n == k else 0, "seed": seed, "feedback": by}
        for by in ("examples", "mistakes")
        for n in sizes
        if by == "examples" or n <= 20
    ]


def _counters(p: Preset) -> Cells:
    seed = p.seeds(1)[0]
    return [
        {"doublings": k, "epsilon": 1.0, "noise": noise, "runs": p["counter_runs"], "seed": seed}
        for noise, sizes in (
            ("laplace", p["counter_doublings"]),
            ("gaussian", p["gaussian_doublings"]),
        )
        for k in sizes
    ]


def _learner(p: Preset) -> Cells:
    return [
        {
            "doublings": p["learner_doublings"],
            "hypotheses": 4,
            "epsilon": 1.0,
            "runs": p["learner_runs"],
            "seed": p.seeds(1)[0],
        }
    ]


def _lemma(p: Preset) -> Cells:
    base = {"rounds": 20, "most_ones": 2, "beta": BETA, "laws": p["laws"], "seed": p.seeds(1)[0]}
    return [{**base, "points": n} for n in (p["lemma_points"], 60)]


EXPERIMENTS = (
    Experiment("game", exact.game, _game),
    Experiment("front", exact.front, _front),
    Experiment("heat", exact.front, _heat),
    Experiment("regime", exact.regime, _regime),
    Experiment("figure_one", exact.figure_one, _figure_one),
    Experiment("audit", exact.audit, _audit),
    Experiment("horizon", exact.horizon, _horizon),
    Experiment("shame", exact.shame, _shame),
    Experiment("concentrated", exact.concentrated, _concentrated),
    Experiment("dimensions", exact.dimensions, _dimensions),
    Experiment("soa", exact.soa, _soa),
    Experiment("played", sampled.played, _played),
    Experiment("uniform", sampled.uniform, _uniform),
    Experiment("counters", sampled.counters, _counters),
    Experiment("learner", sampled.counter_learner, _learner),
    Experiment("lemma", sampled.lemma, _lemma),
)
