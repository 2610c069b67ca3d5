"""Cells without learning: Figure 1's market, and the properties of Subset Instability on random
markets."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from theorylab import matching as mm
from theorylab.matching import references


def _outcome(market: mm.Market, row_to_col: Any, tau: Any) -> mm.Outcome:
    """Transfers tau (n,) to matched rows, paid by their columns."""
    n, m = np.shape(market.U)
    mate = np.asarray(row_to_col)
    rows = np.flatnonzero(mate >= 0)
    tau_row, tau_col = np.zeros(n), np.zeros(m)
    tau_row[rows] = np.asarray(tau)[rows]
    tau_col[mate[rows]] = -tau_row[rows]
    return mm.Outcome(mate, tau_row, tau_col)


def _bisect(stable: Callable[[float], bool], inside: float, outside: float) -> float:
    for _ in range(60):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if stable(middle) else (inside, middle)
    return inside


def example(worth: float, cost: float) -> Mapping[str, Any]:
    """Figure 1: one customer C, providers P and Q. `worth` is u_C(P), `cost` is -u_P(C).

    Instability and utility difference of {C-Q} at transfer 11, the gain of the coalition {C, P},
    and the interval of payments from C to P at which C-P is stable, by bisection.
    """
    market = mm.Market(np.array([[worth, worth + 3]]), np.array([[-cost, -10.0]]))
    wrong = _outcome(market, [1], [-11.0])
    gain, (rows, cols) = mm.best_coalition(market, wrong)

    def stable(payment: float) -> bool:
        return mm.is_stable(market, _outcome(market, [0], [-payment]), tol=1e-12)

    grid = np.linspace(0, 12, 49)
    inside = grid[[stable(t) for t in grid]]
    interval = [
        _bisect(stable, inside[0], inside[0] - 1),
        _bisect(stable, inside[-1], inside[-1] + 1),
    ]
    # Illustrative intervals: upper ends at which every stable outcome matches C with Q.
    high = mm.Market(np.array([[worth + 0.5, worth + 4]]), np.array([[-cost + 0.5, -7.0]]))
    best = mm.max_weight_matching(high.W).row_to_col
    p, _ = mm.core_prices(high.W, best)
    return {
        "instability": mm.subset_instability(market, wrong),
        "difference": mm.utility_difference(market, wrong),
        "coalition_gain": gain,
        "coalition": np.array([rows == [0], 0 in cols, 1 in cols]),
        "interval": interval,
        "payments": grid,
        "curve": np.array(
            [mm.subset_instability(market, _outcome(market, [0], [-t])) for t in grid]
        ),
        "U": market.U,
        "V": market.V,
        "high_U": high.U,
        "high_V": high.V,
        "optimistic_match": best,
        "optimistic_tau": p - high.U[0, best[0]],
    }


def _random_outcome(rng: np.random.Generator, market: mm.Market) -> mm.Outcome:
    """A random matching of random size with random transfers that cancel within pairs."""
    n, m = market.U.shape
    size = rng.integers(0, min(n, m) + 1)
    mate = np.full(n, -1)
    mate[rng.permutation(n)[:size]] = rng.permutation(m)[:size]
    return _outcome(market, mate, rng.normal(size=n))


def _naive(market: mm.Market, outcome: mm.Outcome) -> float:
    """The assignment form without the individual losses: what pairs gain, nobody alone."""
    row, col = mm.net_utilities(market, outcome)
    return references.best_value(market.W - row[:, None] - col)


def _twisted(
    rng: np.random.Generator, market: mm.Market, outcome: mm.Outcome
) -> tuple[float, float]:
    """|I(u) - I(u')| and sum_a max |u_a - u'_a| for the worst kind of small change: own match down,
    all others up."""
    delta = rng.uniform(0, 0.3)
    X = outcome.row_to_col[:, None] == np.arange(market.U.shape[1])
    sign = np.where(X, -1.0, 1.0)
    other = mm.Market(market.U + delta * sign, market.V + delta * sign)
    before, after = (float(mm.subset_instability(mkt, outcome)) for mkt in (market, other))
    return abs(before - after), float(delta * market.agents)


def _learned(rng: np.random.Generator, market: mm.Market) -> dict[str, Any]:
    """Instability of the outcome from random valid intervals, against the excess and the widths;
    the same for prices from the lower bounds; and for any dual vector, any matching and any split
    of the surplus (the gap lemma)."""
    n, m = market.U.shape
    up, down = rng.uniform(0, 0.5, (2, 2, n, m)) * (rng.random((2, 2, n, m)) < 0.7)
    high, low = (
        mm.Market(market.U + up[0], market.V + up[1]),
        mm.Market(market.U - down[0], market.V - down[1]),
    )

    def decided(by: mm.Market) -> tuple[mm.Outcome, Any]:
        mate = mm.max_weight_matching(by.W).row_to_col
        p, _ = mm.core_prices(by.W, mate)
        X = mate[:, None] == np.arange(m)
        return _outcome(market, mate, p - (by.U * X).sum(1)), X

    outcome, X = decided(high)
    found: dict[str, Any] = {
        "ucb": mm.subset_instability(market, outcome),
        "ucb_excess": ((high.W - market.W) * X).sum(),
        "ucb_width": ((high.W - low.W) * X).sum(),
    }
    pessimist, Y = decided(low)
    found |= {
        "lcb": mm.subset_instability(market, pessimist),
        "lcb_excess": ((high.W - market.W) * Y).sum(),
    }
    # Gap lemma: feasible prices that are not optimal, a matching that is not, and its surplus split
    # at random.
    q: Any = rng.uniform(0, 1, m)
    p: Any = np.maximum((high.W - q).max(1), 0.0) + rng.uniform(0, 0.2, n)
    mate = _random_outcome(rng, market).row_to_col
    Z = mate[:, None] == np.arange(m)
    surplus = ((p[:, None] + q - high.W) * Z).sum(1)
    tau = p - rng.random(n) * surplus - (high.U * Z).sum(1)
    gap = p.sum() + q.sum() - (high.W * Z).sum()
    found |= {
        "rough": mm.subset_instability(market, _outcome(market, mate, tau)),
        "rough_excess": ((high.W - market.W) * Z).sum(),
        "gap": gap,
    }
    # Search frictions: pay by the lower bound (or, wrongly, the upper one) and charge.
    fee = rng.uniform(0.05, 0.5)
    mate = outcome.row_to_col
    p, q = mm.core_prices(high.W, mate)
    for name, by in (("charged", low), ("overcharged", high)):
        taken = mm.Outcome(
            mate, (p - (by.U * X).sum(1) - fee) * X.any(1), (q - (by.V * X).sum(0) - fee) * X.any(0)
        )
        found[f"{name}_unrest"] = mm.unrest(market, taken, friction=fee)
        profit = -taken.tau_row.sum() - taken.tau_col.sum()
        found[f"{name}_profit_error"] = abs(profit - (2 * fee * X.sum() - found["ucb_width"]))
    found |= {
        "room": _room(market, "max_slack"),
        "edge_room": _room(market, "row"),
        "needed_room": mm.matching_gap(market.W) / (n + m),
    }
    return found


def _room(market: mm.Market, select: mm.PriceRule) -> float:
    """The least slack that these prices leave in any constraint that may be slack."""
    mate = mm.max_weight_matching(market.W).row_to_col
    p, q = mm.core_prices(market.W, mate, select=select)
    X = mate[:, None] == np.arange(market.U.shape[1])
    pairs = np.where(X, np.inf, p[:, None] + q - market.W)
    return float(min(pairs.min(), p[X.any(1)].min(initial=np.inf), q[X.any(0)].min(initial=np.inf)))


def properties(n: int, m: int, count: int, seed: int) -> Mapping[str, Any]:
    """The three forms, the properties and the lemmas on `count` random n x m markets; arrays
    (markets,)."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for _ in range(count):
        market = mm.Market(*rng.uniform(-1, 1, (2, n, m)))
        outcome = _random_outcome(rng, market)
        forms = [
            float(mm.subset_instability(market, outcome, form=f))
            for f in ("assignment", "lp", "coalitions")
        ]
        subsidy_row, subsidy_col = mm.minimal_subsidies(market, outcome)
        paid = mm.Outcome(
            outcome.row_to_col, outcome.tau_row + subsidy_row, outcome.tau_col + subsidy_col
        )
        loose = mm.Outcome(outcome.row_to_col, np.abs(outcome.tau_row), np.abs(outcome.tau_col))
        change, moved = _twisted(rng, market, outcome)
        rows.append(
            {
                "assignment": forms[0],
                "lp": forms[1],
                "coalitions": forms[2],
                "naive": _naive(market, outcome),
                "subsidies": float(subsidy_row.sum() + subsidy_col.sum()),
                "left": float(mm.unrest(market, paid)),
                "unrest": float(mm.unrest(market, outcome)),
                "difference": float(mm.utility_difference(market, outcome)),
                "loose": float(mm.subset_instability(market, loose)),
                "change": change,
                "moved": moved,
            }
            | _learned(rng, market)
        )
    return {name: np.array([float(r[name]) for r in rows]) for name in rows[0]}


def ntu(
    count: int, k: int, horizon: int, noise: float, width: float, seed: int
) -> Mapping[str, Any]:
    """MatchNTUCB on `count` random k x k markets: instability and excess (markets, rounds kept),
    instability of random and of maximum-weight matchings (markets,), and the largest breach of I <=
    excess where intervals held."""
    keys = jax.random.split(jax.random.key(seed), 2)
    markets = jax.vmap(lambda key: mm.random_market(key, k))(jax.random.split(keys[0], count))
    algorithm = mm.match_ntu_ucb(mm.unstructured((k, k), horizon=horizon, width=width))
    trace = mm.simulate(
        jax.random.split(keys[1], count), markets, algorithm, horizon, noise_std=noise
    )
    rng = np.random.default_rng(seed)
    each = [mm.Market(markets.U[i], markets.V[i]) for i in range(count)]
    instability = np.stack(
        [mm.ntu_instability(mkt, x) for mkt, x in zip(each, trace.row_to_col, strict=True)]
    )
    tries = rng.permuted(np.tile(np.arange(k), (count, 20, 1)), axis=-1)
    kept = np.unique(np.geomspace(1, horizon, 60).astype(int))
    return {
        "rounds": kept,
        "instability": instability.cumsum(1)[:, kept - 1],
        "excess": trace.excess.cumsum(1)[:, kept - 1],
        "early": instability[:, : horizon // 50].mean(1),
        "late": instability[:, -horizon // 10 :].mean(1),
        "breach": np.where(trace.covered, instability - trace.excess, -np.inf).max(1),
        "covered": trace.covered.all(1),
        "random": np.array(
            [mm.ntu_instability(mkt, t).mean() for mkt, t in zip(each, tries, strict=True)]
        ),
        "heaviest": np.array(
            [mm.ntu_instability(mkt, mm.max_weight_matching(mkt.W).row_to_col) for mkt in each]
        ),
    }
