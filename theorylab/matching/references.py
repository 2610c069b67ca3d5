"""Exact references on the host, from the definitions and by other solvers.

Slow, for checks and small markets. Source: Jagadeesan et al. (2021), section 3.
"""

from itertools import product
from typing import NamedTuple

import jax
import numpy as np
from scipy.optimize import Bounds, LinearConstraint, linear_sum_assignment, linprog, milp

from theorylab.errors import InputError
from theorylab.matching.markets import AnyArray, Market, Outcome, as_market, as_outcome, as_weights

_MOST_AGENTS = 16


def best_value(weights: AnyArray) -> float:
    """Value of a maximum-weight matching with the option of staying alone, by SciPy."""
    clipped = np.maximum(np.asarray(weights, float), 0.0)
    return float(clipped[linear_sum_assignment(clipped, maximize=True)].sum())


def _nets(market: Market, outcome: Outcome) -> tuple[np.ndarray, np.ndarray]:
    U, V = np.asarray(market.U), np.asarray(market.V)
    mate = np.asarray(outcome.row_to_col)
    rows = np.flatnonzero(mate >= 0)
    net_row, net_col = np.array(outcome.tau_row, float), np.array(outcome.tau_col, float)
    net_row[rows] += U[rows, mate[rows]]
    net_col[mate[rows]] += V[rows, mate[rows]]
    return net_row, net_col


def subsidy_lp(market: Market, outcome: Outcome) -> float:
    """Least total subsidy by SciPy's HiGHS (definition 3.1).

    min sum s, s >= 0, net_a + s_a >= 0, net_i + s_i + net_j + s_j >= W_ij.
    """
    W = np.asarray(market.W)
    n, m = W.shape
    if n + m == 0:
        return 0.0
    net_row, net_col = _nets(market, outcome)
    pairs = np.hstack([np.repeat(np.eye(n), m, axis=0), np.tile(np.eye(m), (n, 1))])
    least = np.maximum(0.0, -np.concatenate([net_row, net_col]))
    missing = (W - net_row[:, None] - net_col).ravel()
    constraints = {"A_ub": -pairs, "b_ub": -missing} if n * m else {}
    found = linprog(
        np.ones(n + m),
        bounds=list(zip(least, [None] * (n + m), strict=True)),
        method="highs",
        **constraints,
    )
    return float(found.fun)


class Members(NamedTuple):
    """Who is in a coalition.

    Attributes:
        rows, cols: their numbers.
    """

    rows: list[int]
    cols: list[int]


class Coalition(NamedTuple):
    """The coalition that gains most by leaving.

    Attributes:
        gain: beyond what its members have; 0 of nobody.
        members: its rows and columns.
    """

    gain: float
    members: Members


def best_coalition(market: Market, outcome: Outcome) -> Coalition:
    """The most that a coalition gains by leaving together, over all 2^N coalitions.

    Args:
        market: utilities, of at most 16 agents.
        outcome: matching and transfers.

    Returns:
        `Coalition` (gain, members).

    Raises:
        InputError: more agents, shapes that do not fit.
    """
    with jax.enable_x64(True):
        market = as_market(market)
        outcome = as_outcome(outcome, *market.U.shape)
        W = np.asarray(market.W)
    n, m = W.shape
    if n + m > _MOST_AGENTS:
        raise InputError(
            f"market: coalitions of {n + m} agents cannot be enumerated (at most {_MOST_AGENTS}); "
            "use another form"
        )
    net_row, net_col = _nets(market, outcome)
    best = Coalition(0.0, Members([], []))
    for rows in product((False, True), repeat=n):
        for cols in product((False, True), repeat=m):
            i, j = np.flatnonzero(rows), np.flatnonzero(cols)
            gain = best_value(W[np.ix_(i, j)]) - net_row[i].sum() - net_col[j].sum()
            if gain > best.gain:
                best = Coalition(gain, Members(i.tolist(), j.tolist()))
    return best


def matching_gap(weights: AnyArray) -> float:
    """Value of the best matching minus that of the second best.

    They differ in at least one pair.

    Args:
        weights: (n, m) finite.

    Returns:
        The gap, >= 0.

    Raises:
        InputError: what is no finite matrix.
    """
    with jax.enable_x64(True):
        W = np.array(as_weights("weights", weights))
    rows, cols = linear_sum_assignment(np.maximum(W, 0.0), maximize=True)
    keep = W[rows, cols] > 0
    rows, cols = rows[keep], cols[keep]
    best = W[rows, cols].sum()
    gaps = []
    for i, j in zip(rows, cols, strict=True):
        without = W.copy()
        without[i, j] = 0.0
        gaps.append(best - best_value(without))
    # Or it has all these pairs and one more, among those left alone, that is not worth having.
    alone = W[
        np.ix_(np.setdiff1d(np.arange(W.shape[0]), rows), np.setdiff1d(np.arange(W.shape[1]), cols))
    ]
    return float(min([*gaps, *(-alone).ravel()], default=np.inf))


def ntu_milp(market: Market, row_to_col: np.ndarray) -> float:
    """Subsidies that stabilise without transfers, by SciPy's mixed-integer solver.

    Binary z_ij says who is paid.
    """
    U, V = np.asarray(market.U, float), np.asarray(market.V, float)
    n, m = U.shape
    if n * m == 0:
        return 0.0
    has_row, has_col = _nets(market, Outcome(row_to_col, np.zeros(n), np.zeros(m)))
    gain_row, gain_col = np.maximum(U - has_row[:, None], 0.0), np.maximum(V - has_col, 0.0)
    pick_row, pick_col = np.repeat(np.eye(n), m, axis=0), np.tile(np.eye(m), (n, 1))
    # s_i >= G_ij z_ij and s_j >= H_ij (1 - z_ij)
    rows = np.hstack([pick_row, np.zeros((n * m, m)), -np.diag(gain_row.ravel())])
    cols = np.hstack([np.zeros((n * m, n)), pick_col, np.diag(gain_col.ravel())])
    constraints = [
        LinearConstraint(rows, 0.0, np.inf),
        LinearConstraint(cols, gain_col.ravel(), np.inf),
    ]
    least = np.concatenate([np.maximum(-has_row, 0.0), np.maximum(-has_col, 0.0), np.zeros(n * m)])
    most = np.concatenate([np.full(n + m, np.inf), np.ones(n * m)])
    found = milp(
        np.concatenate([np.ones(n + m), np.zeros(n * m)]),
        constraints=constraints,
        bounds=Bounds(least, most),
        integrality=np.concatenate([np.zeros(n + m), np.ones(n * m)]),
        options={"mip_rel_gap": 0.0},
    )
    if found.x is None:
        raise InputError(f"the mixed-integer solver found no solution: {found.message}")
    return float(found.fun)
