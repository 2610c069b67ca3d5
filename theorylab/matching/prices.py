"""Core prices: the dual of the assignment problem, given its solution; and which dual is chosen.

A pair (p, q) is in the core when p, q >= 0, p_i + q_j >= W_ij for all pairs, equality on matched
pairs and 0 for agents that stay alone. The core is a lattice: the max-plus fixed point from 0 is
one extreme, the same on the transpose is the other, and their average lies strictly between where
there is room.

Source: Shapley and Shubik (1971); max-slack prices: docs/derivations/stable_prices.md, statement 4.
"""

from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from theorylab.checks import choice
from theorylab.errors import InputError
from theorylab.matching.assignment import assign, square, value_of
from theorylab.matching.markets import (
    AnyArray,
    Prices,
    as_floats,
    as_matching,
    as_weights,
    first,
    pairs,
)
from theorylab.precision import float64_inside, is_traced

PriceRule = Literal["midpoint", "row", "col", "max_slack"]
# place between row-optimal and column-optimal prices
WEIGHT = {"row": 0.0, "midpoint": 0.5, "col": 1.0}
_BISECTIONS = 50


def _sweep(
    links: Float[AnyArray, "2 k k"], start: Float[AnyArray, "2 k"]
) -> Float[AnyArray, "2 k"]:
    """Least fixed point of x <- max(x, links (max, +) x) above `start`.

    2k sweeps suffice when it exists.
    """
    most = 2 * links.shape[-1] + 1

    def body(state: Any) -> Any:
        x, _, count = state
        new = jnp.maximum(x, (links + x[:, None, :]).max(2))
        return new, (new > x).any(), count + 1

    return jax.lax.while_loop(
        lambda s: s[1] & (s[2] < most), body, (start, jnp.array(True), jnp.array(0))
    )[0]


def _links(paired: Float[AnyArray, "k k"], worth: Float[AnyArray, "k"]) -> Float[AnyArray, "2 k k"]:
    """Max-plus matrices of the two directions.

    Index k stands for a column and the row that owns it: the column's price q_k leaves the row d_k
    - q_k, so p_i + q_j >= W_ij reads q_j >= W_ij - d_i + q_i; likewise for the rows.
    """
    return jnp.stack([paired.T - worth[None, :], paired - worth[None, :]])


def extremes(
    weights: Float[AnyArray, "k k"], owner: Int[AnyArray, "k"], matched: Bool[AnyArray, "k"]
) -> tuple[Float[AnyArray, "k"], Float[AnyArray, "k"], Float[AnyArray, "k"]]:
    """Smallest and largest column prices of the core of a padded square market.

    And each column's pair value.
    """
    paired = weights[owner]
    worth = jnp.where(matched, jnp.diagonal(paired), 0.0)
    low = _sweep(_links(paired, worth), jnp.zeros((2, weights.shape[0]), weights.dtype))
    return jnp.where(matched, low[0], 0.0), jnp.where(matched, worth - low[1], 0.0), worth


def max_slack(
    weights: Float[AnyArray, "k k"],
    owner: Int[AnyArray, "k"],
    matched: Bool[AnyArray, "k"],
    real: Bool[AnyArray, "k k"],
) -> tuple[Float[AnyArray, "k"], Float[AnyArray, "k"], Float[AnyArray, ""]]:
    """Column prices that leave the most room in the core.

    The largest s such that every unmatched pair has p_i + q_j >= W_ij + s and every matched agent
    at least s: (prices, pair values, s). By bisection on s: inflate W by s off the matching and
    sweep.
    """
    k = weights.shape[0]
    paired, allowed = weights[owner], real[owner] & ~jnp.eye(k, dtype=bool)
    worth = jnp.where(matched, jnp.diagonal(paired), 0.0)
    plain = jnp.where(allowed, paired, -jnp.inf)
    tolerance = 1e-13 * jnp.maximum(1.0, worth.max())

    def at(s: AnyArray) -> tuple[AnyArray, AnyArray]:
        links = _links(plain + s, worth)
        low = _sweep(links, jnp.where(matched, s, jnp.zeros((2, k), weights.dtype)))
        fixed = jnp.maximum(low, (links + low[:, None, :]).max(2)) - low <= tolerance
        room = jnp.where(matched, worth - low >= s - tolerance, low <= tolerance)
        return low, (fixed & room).all()

    def halve(_: Any, span: tuple[AnyArray, AnyArray]) -> tuple[AnyArray, AnyArray]:
        middle = (span[0] + span[1]) / 2
        fits = at(middle)[1]
        return jnp.where(fits, middle, span[0]), jnp.where(fits, span[1], middle)

    top = jnp.where(matched, worth / 2, jnp.inf).min()
    top = jnp.where(jnp.isfinite(top), top, 0.0)
    s = jax.lax.fori_loop(0, _BISECTIONS, halve, (jnp.zeros_like(top), top))[0]
    low = at(s)[0]
    return jnp.where(matched, (low[0] + worth - low[1]) / 2, 0.0), worth, s


def whole(
    row_to_col: Int[AnyArray, "n"], k: int, m: int
) -> tuple[Int[AnyArray, "k"], Bool[AnyArray, "k"]]:
    """The matching as a permutation of the padded square, those who are alone paired up.

    (Row of each column, whether that pair is a real match.)
    """
    X = jnp.pad(pairs(row_to_col, m), ((0, k - row_to_col.shape[0]), (0, k - m)))
    row_alone, col_alone = ~X.any(1), ~X.any(0)
    # The r-th row that is alone goes with the r-th column that is.
    same = jnp.cumsum(row_alone)[:, None] == jnp.cumsum(col_alone)
    return first(X | (row_alone[:, None] & col_alone & same), 0), ~col_alone


def _prices(weights: Any, row_to_col: Any, select: str) -> tuple[AnyArray, AnyArray]:
    n, m = weights.shape
    padded = square(weights)
    k = padded.shape[0]
    owner, matched = whole(row_to_col, k, m)
    if select == "max_slack":
        real = (jnp.arange(k)[:, None] < n) & (jnp.arange(k)[None, :] < m)
        unclipped = jnp.pad(weights, ((0, k - n), (0, k - m)))
        q, worth, _ = max_slack(unclipped, owner, matched, real)
    else:
        low, high, worth = extremes(padded, owner, matched)
        q = (1 - WEIGHT[select]) * low + WEIGHT[select] * high
    p = jnp.zeros(k, weights.dtype).at[owner].set(worth - q)
    return p[:n], q[:m]


_prices_jit = jax.jit(_prices, static_argnames="select")


@float64_inside
def core_prices(
    weights: Float[AnyArray, "n m"],
    row_to_col: Int[AnyArray, "n"],
    *,
    select: PriceRule = "midpoint",
) -> Prices:
    """Core prices of a market whose maximum-weight matching is known.

    On an extreme point small errors in the weights keep breaking stability: sqrt(T) instead of
    log(T) regret (`match_ucb`). At most 2 max(n, m) + 1 sweeps of O(nm).

    Args:
        weights: (n, m) finite.
        row_to_col: (n,) as `max_weight_matching` gives it.
        select: "row" is best for rows (smallest q), "col" best for columns, "midpoint" their
            average, and "max_slack" the point farthest from every constraint that may be slack (by
            at least gap / (min(n, m) + 1), gap = best minus second-best matching; its own extreme
            points averaged).

    Returns:
        `Prices` (p, q).

    Raises:
        InputError: a bad rule, shapes, NaN, or a matching that is not of maximum weight (no prices
            exist then).

    Examples:
        >>> for rule in ("row", "midpoint", "col"):
        ...     p, q = core_prices([[3.0, 2.0]], [0], select=rule)  # the row may turn to column 2
        ...     print(p.tolist(), q.tolist())
        [3.0] [0.0, 0.0]
        [2.5] [0.5, 0.0]
        [2.0] [1.0, 0.0]
    """
    choice("select", select, get_args(PriceRule))
    weights = as_weights("weights", weights)
    row_to_col = as_matching(row_to_col, *weights.shape)
    p, q = _prices_jit(weights, row_to_col, select=select)
    if not is_traced(weights, row_to_col):
        short = float(jnp.max((weights - p[:, None] - q[None, :]), initial=0.0))
        below = float(-min(jnp.min(p, initial=0.0), jnp.min(q, initial=0.0)))
        if max(short, below) > 1e-9 * max(1.0, float(jnp.max(jnp.abs(weights), initial=0.0))):
            raise InputError(
                "row_to_col is not a maximum-weight matching (prices miss a constraint by "
                f"{max(short, below):.3g}): get one from max_weight_matching(weights)"
            )
    return Prices(p, q)


@float64_inside
def dual_gap(
    weights: Float[AnyArray, "n m"],
    row_to_col: Int[AnyArray, "n"],
    p: Float[AnyArray, "n"],
    q: Float[AnyArray, "m"],
) -> Float[AnyArray, ""]:
    """Certify that no matching is heavier than this one by more than the returned number.

    Sum of prices minus the value of the matching, after lifting p and q to dual feasibility (so
    that it is a bound for any numbers given). It also bounds what an approximate solver costs in
    stability (the gap lemma).

    Args:
        weights: (n, m) finite.
        row_to_col: (n,) matching.
        p, q: (n,) and (m,) prices.

    Returns:
        The gap, >= 0.

    Raises:
        InputError: shapes that do not fit, NaN, an invalid matching.

    Source:
        docs/derivations/stable_prices.md, statement 2.
    """
    weights = as_weights("weights", weights)
    n, m = weights.shape
    row_to_col = as_matching(row_to_col, n, m)
    p, q = as_floats("p", p), as_floats("q", q)
    if p.shape != (n,) or q.shape != (m,):
        raise InputError(f"p, q must have shapes ({n},), ({m},), got {p.shape}, {q.shape}")
    p, q = feasible(weights, q, at_least=p)
    return p.sum() + q.sum() - value_of(weights, row_to_col)


def feasible(
    weights: AnyArray, q: AnyArray, at_least: AnyArray | float = 0.0
) -> tuple[AnyArray, AnyArray]:
    """Dual-feasible prices from any column prices.

    q lifted to 0, and the smallest p that goes with it.
    """
    q = jnp.maximum(q, 0.0)
    return jnp.maximum(
        jnp.maximum(at_least, 0.0), jnp.max(weights - q[None, :], axis=1, initial=0.0)
    ), q


def primal_dual(
    weights: Float[AnyArray, "k k"],
    warm: Float[AnyArray, "k"],
    position: Any,
    slack: bool,
    real: Bool[AnyArray, "k k"],
) -> tuple[
    Int[AnyArray, "k"],
    Bool[AnyArray, "k"],
    Float[AnyArray, "k"],
    Float[AnyArray, "k"],
    Float[AnyArray, "k"],
]:
    """Matching and prices of a padded market, from prices that were nearly right.

    `real`: pairs that exist. Gives (row of each column, whether it is a match, that row's price,
    the column's price, midpoint prices to start from next time).
    """
    clipped = jnp.where(real, jnp.maximum(weights, 0.0), 0.0)
    _, owner = assign(clipped, warm, jnp.ones(weights.shape[0], bool))
    matched = jnp.diagonal(clipped[owner]) > 0
    low, high, worth = extremes(clipped, owner, matched)
    q = (
        max_slack(weights, owner, matched, real)[0]
        if slack
        else (1 - position) * low + position * high
    )
    return owner, matched, worth - q, q, (low + high) / 2
