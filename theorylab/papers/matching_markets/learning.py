"""Cells that learn: MatchUCB on random, hidden, structured and fixed markets. Noise is Gaussian of
standard deviation `noise`, intervals have half-width `width` sqrt(log(N T) / visits); sums are over
rounds from the first."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from theorylab import matching as mm

KEPT = 60  # rounds of a trace that are stored, evenly on a log axis
FIXED = np.array([[0.5, 0.2], [0.1, 0.4]])  # the market of the price-rule experiment, U = V


def _kept(horizon: int) -> np.ndarray:
    grid = np.geomspace(1, horizon, KEPT).astype(int)
    marks = [t for t in (1000, 4000, horizon // 2) if 1 <= t <= horizon]
    return np.unique([*grid, *marks])


def _sums(trace: mm.Record, kept: np.ndarray) -> dict[str, np.ndarray]:
    names = {
        "instability": "regret",
        "utility_difference": "difference",
        "excess": "excess",
        "width": "width",
        "matched": "matched",
    }
    return {new: getattr(trace, old).cumsum(1)[:, kept - 1] for old, new in names.items()}


def _chain(trace: mm.Record, bound: np.ndarray) -> np.ndarray:
    """(runs, 3): the largest of R - excess, excess - widths and widths - bound over all rounds."""
    regret, excess, width = (
        getattr(trace, n).cumsum(1) for n in ("instability", "excess", "width")
    )
    return np.stack(
        [(regret - excess).max(1), (excess - width).max(1), (width - bound).max(1)], axis=1
    )


def ucb(
    k: int,
    horizon: int,
    runs: int,
    noise: float,
    learner: Mapping[str, Any],
    frictions: list[float],
    seed: int,
    present: int | None = None,
) -> Mapping[str, Any]:
    """`runs` random k x k markets, one run each.

    learner: width of the intervals, whether they are clipped, and the price rule. present: agents
    of each side who are there, drawn again in every round.
    """
    keys = jax.random.split(jax.random.key(seed), 2)
    markets = jax.vmap(lambda key: mm.random_market(key, k))(jax.random.split(keys[0], runs))
    model = mm.unstructured((k, k), horizon=horizon, width=learner["width"], clip=learner["clip"])
    rng = np.random.default_rng(seed)
    arrivals = None
    if present is not None:
        order = rng.permuted(np.tile(np.arange(k), (2, horizon, 1)), axis=-1)
        arrivals = (order[0] < present, order[1] < present)
    trace = mm.simulate(
        jax.random.split(keys[1], runs),
        markets,
        mm.match_ucb(model, prices=learner["prices"]),
        horizon,
        noise_std=noise,
        frictions=np.asarray(frictions, float),
        arrivals=arrivals,
    )
    kept = _kept(horizon)
    rounds = np.arange(1, horizon + 1)
    # With n present a round has at most n / 2 matches; the bound is the same sum of widths.
    matches = k if present is None else present
    visits = np.log(2 * k * horizon) * k * k * matches * rounds
    bound = 4 * k * k + 8 * learner["width"] * np.sqrt(visits)
    profit = trace.profit.cumsum(1)
    return _sums(trace, kept) | {
        "rounds": kept,
        "bound": bound[kept - 1],
        "covered": trace.covered.all(1),
        "chain": _chain(trace, bound),
        "worst_width": trace.width.max(1),
        "profit": profit[:, kept - 1],
        "unrest": np.where(trace.covered[..., None], trace.unrest, 0.0).max(1),
        "earned": np.stack([_break_even(profit[..., f], rounds) for f in range(len(frictions))], -1)
        if frictions
        else np.zeros((runs, 0)),
        "late_rate": _late_rate(trace, np.asarray(frictions, float)),
    }


def _break_even(profit: np.ndarray, rounds: np.ndarray) -> np.ndarray:
    """The round after which the cumulative profit stays positive (one more than the horizon when it
    never does)."""
    return np.where(profit > 0, 0, rounds).max(1) + 1


def _late_rate(trace: mm.Record, frictions: np.ndarray) -> np.ndarray:
    """(runs, frictions, 2): profit with and without the widths added back, per matched agent and
    friction, over the last tenth of the rounds."""
    last = max(trace.matched.shape[1] // 10, 1)
    profit, width, matched = (
        getattr(trace, n)[:, -last:].sum(1) for n in ("profit", "width", "matched")
    )
    earned = frictions * matched[:, None]
    return np.stack([(profit + width[:, None]) / earned, profit / earned], axis=-1)


def hidden(
    k: int, horizon: int, kappa: float, tuned: int, runs: int, noise: float, width: float, seed: int
) -> Mapping[str, Any]:
    """Regret (runs,) on the hard instance with gap kappa noise sqrt(k / tuned), over noise N^1.5
    sqrt(T).

    Three frictions, although none is looked at: so the compiled program of `ucb` serves here too.
    """
    keys = jax.random.split(jax.random.key(seed), 2)
    gap = kappa * noise * np.sqrt(k / tuned)
    markets = jax.vmap(lambda key: mm.hidden_matching_market(key, k, gap))(
        jax.random.split(keys[0], runs)
    )
    model = mm.unstructured((k, k), horizon=horizon, width=width)
    trace = mm.simulate(
        jax.random.split(keys[1], runs),
        markets,
        mm.match_ucb(model),
        horizon,
        noise_std=noise,
        frictions=np.ones(3),
    )
    scale = noise * (2 * k) ** 1.5 * np.sqrt(horizon)
    return {
        "ratio": trace.utility_difference.sum(1) / scale,
        "regret": trace.instability.sum(1) / scale,
    }


def structured(
    k: int, kinds: int, model: str, horizon: int, runs: int, noise: float, width: float, seed: int
) -> Mapping[str, Any]:
    """Regret (runs,) on markets that are typed and linear at once, with the model "unstructured",
    "typed", "linear", or "mistyped": types that the agents do not have."""
    types = np.arange(k) % kinds
    keys = jax.random.split(jax.random.key(seed), 2)
    markets = jax.vmap(lambda key: mm.structured_market(key, types, types, kinds))(
        jax.random.split(keys[0], runs)
    )
    contexts = mm.type_contexts(types, kinds)
    wrong = np.sort(types)
    models: dict[str, Callable[[], Any]] = {
        "unstructured": lambda: mm.unstructured((k, k), horizon=horizon, width=width),
        "typed": lambda: mm.typed(types, types, horizon=horizon, width=width),
        "mistyped": lambda: mm.typed(wrong, types, horizon=horizon, width=width),
        "linear": lambda: mm.linear(contexts, contexts, horizon=horizon, noise_std=noise),
    }
    trace = mm.simulate(
        jax.random.split(keys[1], runs),
        markets,
        mm.match_ucb(models[model]()),
        horizon,
        noise_std=noise,
        frictions=np.ones(3),
    )
    kept = _kept(horizon)
    return _sums(trace, kept) | {"rounds": kept, "covered": trace.covered.all(1)}


def price_rule(
    rule: str, horizon: int, runs: int, noise: float, width: float, seed: int
) -> Mapping[str, Any]:
    """`runs` noise seeds on one fixed 2 x 2 market under one price rule."""
    model = mm.unstructured((2, 2), horizon=horizon, width=width)
    trace = mm.simulate(
        jax.random.split(jax.random.key(seed), runs),
        mm.Market(FIXED, FIXED),
        mm.match_ucb(model, prices=rule),  # type: ignore[arg-type]
        horizon,
        noise_std=noise,
    )
    kept = _kept(horizon)
    return _sums(trace, kept) | {"rounds": kept}
