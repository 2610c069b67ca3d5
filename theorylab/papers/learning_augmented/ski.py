"""Cells on ski rental: closed forms beside the LP, exact ratios of the algorithms, and PSK's
experiment."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import stats

from theorylab.online import (
    consistency_lp,
    deterministic_buy_day,
    dual_certificate,
    measure_ski_rule,
    optimal_buy_distribution,
    randomized_buy_distribution,
    randomized_support,
    ski_cost,
    ski_ratios,
    tradeoff_randomized,
    tradeoff_randomized_discrete,
)

Arrays = Mapping[str, Any]


def optimum(b: int, gammas: list[float], lp: bool) -> Arrays:
    """Per gamma (G,): closed form, limit, dual bound, the distribution's own ratio and excess over
    gamma, LP value."""
    found: dict[str, list[float]] = {k: [] for k in ("primal", "dual", "detuned", "excess", "lp")}
    for gamma in gammas:
        q = optimal_buy_distribution(b, gamma)
        certificate = dual_certificate(gamma, b)
        length = max(int(certificate.seasons.size) - max(b // 5, 2), 0)
        found["primal"].append(float(ski_ratios(q, b, 4 * b)))
        found["dual"].append(float(certificate.value))
        found["detuned"].append(float(dual_certificate(gamma, b, length=length).value))
        found["excess"].append(float(ski_ratios(q, b, np.arange(1, 4 * b)).max() - gamma))
        found["lp"].append(consistency_lp(b, 4 * b, gamma).consistency if lp else 0.0)
    arrays = {k: np.asarray(v) for k, v in found.items()}
    return arrays | {
        "closed": tradeoff_randomized_discrete(gammas, b),
        "limit": tradeoff_randomized(gammas),
    }


def surface(b: int, gamma: float, predictions: list[int]) -> Arrays:
    """The LP's least consistency at each prediction (Y,)."""
    return {
        "consistency": np.asarray([consistency_lp(b, y, gamma).consistency for y in predictions])
    }


def certificate(b: int, gamma: float) -> Arrays:
    """Optimal primal and dual on days 1..b: probabilities, weights, cost of each day under the
    weights, ratios."""
    dual = dual_certificate(gamma, b)
    day = np.arange(1, b + 1)
    weights = np.zeros(b)
    weights[: dual.seasons.size] = dual.weights
    costs = np.stack([ski_cost(day, x, b) for x in day])  # seasons by buying days
    q = optimal_buy_distribution(b, gamma)
    endless = (day - 1 + b) / b
    return {
        "day": day,
        "probability": q,
        "weight": weights,
        "hard_cost": endless + weights @ costs,
        "ratio": ski_ratios(q, b, day),
        "floor": np.asarray(dual.cost),
    }


def deterministic(b: int) -> Arrays:
    """Consistency and robustness (b,) of buying on day k = 1..b when the prediction is endless, by
    enumeration."""
    seasons = np.arange(1, 2 * b + 1)
    ratios = np.stack(
        [np.asarray(ski_cost(k, seasons, b)) / np.minimum(seasons, b) for k in range(1, b + 1)]
    )
    return {"consistency": ratios[:, -1], "robustness": ratios.max(1)}


def algorithms(b: int, lams: list[float]) -> Arrays:
    """Worst ratios (L, 2: consistency, robustness) over all predictions of PSK's algorithms D and
    R, by enumeration, and of R on either branch (L, 2 branches, 2) with its supports (L, 2)."""
    predictions = [1, b // 2, b - 1, b, b + 1, 2 * b, 1000 * b]
    rules = {
        "D": lambda lam: lambda y, b: deterministic_buy_day(y, b, lam),
        "R": lambda lam: lambda y, b: randomized_buy_distribution(y, b, lam),
    }
    arrays: dict[str, Any] = {}
    for name, family in rules.items():
        measured = [measure_ski_rule(family(lam), b, predictions=predictions) for lam in lams]
        arrays[name] = np.asarray([[m.consistency, m.robustness] for m in measured])
    branches = []
    for lam in lams:
        for y in (b, b - 1):
            k = int(randomized_support(y, b, lam))
            ratios = np.asarray(
                ski_ratios(randomized_buy_distribution(y, b, lam), b, np.arange(1, max(k, b) + 2))
            )
            branches.append([k, ratios[-1], ratios[:k].max(), ratios[:k].min()])
    return arrays | {"branches": np.asarray(branches).reshape(len(lams), 2, 4)}


RULES = ("D", "R", "trust", "break-even", "classical")


def _branches(b: int, days: np.ndarray) -> Mapping[str, tuple[np.ndarray, np.ndarray]]:
    """Ratio of each algorithm for every season when the prediction is at least b, and when it is
    below."""

    def day(j: float) -> np.ndarray:
        return np.asarray(ski_cost(j, days, b)) / np.minimum(days, b)

    def drawn(y: int, lam: float) -> np.ndarray:
        return np.asarray(ski_ratios(randomized_buy_distribution(y, b, lam), b, days))

    return {
        "D": (
            day(float(deterministic_buy_day(b, b, 0.5))),
            day(float(deterministic_buy_day(0, b, 0.5))),
        ),
        "R": (drawn(b, np.log(1.5)), drawn(0, np.log(1.5))),
        "trust": (day(1.0), day(np.inf)),
        "break-even": (day(b), day(b)),
        "classical": (drawn(b, 1.0), drawn(b, 1.0)),
    }


def psk(b: int, longest: int, sigmas: list[float], trials: int, seed: int) -> Arrays:
    """PSK's experiment: seasons uniform on 1..longest, predictions with normal noise; expected cost
    of the algorithm.

    mean, error: (rules, sigmas) average ratio of the trials and its standard error; exact: its
    exact expectation.
    """
    rng = np.random.default_rng(seed)
    days = np.arange(1, longest + 1)
    tables = np.asarray([_branches(b, days)[rule] for rule in RULES])  # rules, branches, seasons
    season = rng.integers(1, longest + 1, size=trials)
    noise = rng.normal(size=trials)
    mean, error, exact = [], [], []
    for sigma in sigmas:
        low = (season + sigma * noise < b).astype(int)
        ratios = tables[:, low, season - 1]
        mean.append(ratios.mean(1))
        error.append(ratios.std(1, ddof=1) / np.sqrt(trials))
        high = stats.norm.cdf((days - b) / sigma) if sigma > 0 else (days >= b).astype(float)
        exact.append((high * tables[:, 0] + (1 - high) * tables[:, 1]).mean(1))
    return {"mean": np.stack(mean, 1), "error": np.stack(error, 1), "exact": np.stack(exact, 1)}
