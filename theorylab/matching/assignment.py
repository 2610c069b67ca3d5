"""Maximum-weight matching with the option of staying alone, batched and warm-started.

Shortest augmenting paths in one flat loop: under `vmap` a market that is done waits for the slowest
total, not for the slowest at every row, and a good guess of the prices leaves little to do.
`optax`'s Hungarian algorithm is the library alternative; it starts from nothing, gives no prices
and nests its loops, see the benchmark.

Source: Jonker and Volgenant (1987).
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from theorylab.matching.markets import AnyArray, as_weights, first, pairs
from theorylab.precision import float64_inside
from theorylab.pytrees import register


@register()
@dataclass(frozen=True)
class Matching:
    """A matching and its weight.

    Attributes:
        row_to_col: (n,) column of each row, or -1.
        value: sum of the weights of the pairs.
    """

    row_to_col: Int[AnyArray, "n"]
    value: Float[AnyArray, ""]


class _Search(NamedTuple):
    q: AnyArray  # (k,) column prices, the dual variables
    mate: AnyArray  # (k,) column of a row, -1 while it has none
    owner: AnyArray  # (k,) row of a column, -1 while it has none
    todo: AnyArray  # (k,) rows that still need a column
    root: AnyArray  # row whose augmenting path is sought
    row: AnyArray  # row whose edges are looked at next
    base: AnyArray  # distance of `row` from the root
    dist: AnyArray  # (k,) distance of each column
    via: AnyArray  # (k,) row before each column on its shortest path
    seen: AnyArray  # (k,) columns whose distance is final
    back: AnyArray  # column from which a found path is walked back, -1 while searching


def square(weights: Float[AnyArray, "n m"]) -> Float[AnyArray, "k k"]:
    """Weights clipped at 0 and padded by 0 to a square of side at least 1.

    A pair of weight 0 means both stay alone.
    """
    n, m = weights.shape
    k = max(n, m, 1)
    return jnp.pad(jnp.maximum(weights, 0.0), ((0, k - n), (0, k - m)))


def assign(
    weights: Float[AnyArray, "k k"], q: Float[AnyArray, "k"], active: Bool[AnyArray, "k"]
) -> tuple[Int[AnyArray, "k"], Int[AnyArray, "k"]]:
    """Heaviest assignment of the active rows of a non-negative square matrix.

    Gives (column of a row, row of a column). Any `q` is a valid start when all rows are active;
    otherwise `q` must be 0 and inactive rows must be all 0.
    """
    k = weights.shape[0]
    index = jnp.arange(k, dtype=jnp.int32)
    none = jnp.full((), -1, index.dtype)
    # Every row takes its best column at prices q; ties are broken by rotation, so that equal rows
    # spread out.
    surplus = weights - q
    turn = (index[None, :] - index[:, None]) % k
    turns = jnp.where(surplus == surplus.max(1, keepdims=True), turn, k)
    choice = (turns.min(1) + index) % k
    wants = (choice[:, None] == index) & active[:, None]
    winner = jnp.where(wants, index[:, None], k).min(0)
    won = (wants & (winner == index[:, None])).any(1)
    todo = active & ~won
    root = first(todo)
    start = _Search(
        q,
        jnp.where(won, choice, -1),
        jnp.where(winner < k, winner, -1),
        todo,
        root,
        root,
        jnp.zeros((), q.dtype),
        jnp.full(k, jnp.inf, q.dtype),
        jnp.zeros_like(index),
        jnp.zeros(k, bool),
        none,
    )

    def step(s: _Search) -> _Search:
        """Look at one more row of the shortest-path tree, or walk one edge back.

        Along a path that was found.
        """
        searching = s.back < 0
        length = s.base + s.q - weights[s.row]
        shorter = (length < s.dist) & ~s.seen & searching
        dist, via = jnp.where(shorter, length, s.dist), jnp.where(shorter, s.row, s.via)
        open_ = jnp.where(s.seen, jnp.inf, dist)
        near = open_.min()
        col = first(open_ == near)
        holder = s.owner[col]
        grow, found = searching & (holder >= 0), searching & (holder < 0)
        q = jnp.where(found & s.seen, s.q + near - dist, s.q)
        # Walk back: the column goes to the row it was reached from, which gives up the column it
        # had.
        back = jnp.where(found, col, s.back)
        row = via[back]
        walking = back >= 0
        freed = s.mate[row]
        mate = jnp.where(walking & (index == row), back, s.mate)
        owner = jnp.where(walking & (index == back), row, s.owner)
        done = walking & (row == s.root)
        todo = s.todo & ~(done & (index == s.root))
        root = jnp.where(done, first(todo), s.root)
        return _Search(
            q,
            mate,
            owner,
            todo,
            root,
            row=jnp.where(done, root, jnp.where(grow, holder, s.row)),
            base=jnp.where(
                done, 0.0, jnp.where(grow, near + weights[holder, col] - s.q[col], s.base)
            ),
            dist=jnp.where(done, jnp.inf, dist),
            via=via,
            seen=(s.seen | (grow & (index == col))) & ~done,
            back=jnp.where(walking & ~done, freed, none),
        )

    end = jax.lax.while_loop(lambda s: s.todo.any(), step, start)
    return end.mate, end.owner


def matching_of(weights: Float[AnyArray, "n m"]) -> Int[AnyArray, "n"]:
    """row_to_col of a maximum-weight matching; no checks, the caller's precision."""
    n, m = weights.shape
    padded = square(weights)
    mate, _ = assign(padded, jnp.zeros(padded.shape[0], padded.dtype), jnp.any(padded > 0, axis=1))
    mate = mate[:n]
    return jnp.where((pairs(mate, m) & (weights > 0)).any(1), mate, -1)


def value_of(
    weights: Float[AnyArray, "n m"], row_to_col: Int[AnyArray, "n"]
) -> Float[AnyArray, ""]:
    """Sum of the weights of the matched pairs."""
    return jnp.where(pairs(row_to_col, weights.shape[1]), weights, 0.0).sum()


@jax.jit
def _solve(weights: Any) -> Matching:
    row_to_col = matching_of(weights)
    return Matching(row_to_col, value_of(weights, row_to_col))


@float64_inside
def max_weight_matching(weights: Float[AnyArray, "n m"]) -> Matching:
    """Find a matching of the largest total weight; agents may stay alone.

    No pair of weight <= 0 is ever used. Among equally heavy matchings any may come. Exact up to
    float64 rounding of the sums. Under `jit`, `vmap` it may be called with tracers; the matching
    has no gradient. Prices: `core_prices`; very large markets on an accelerator:
    `auction_assignment`.

    Args:
        weights: (n, m) finite, in any unit; either side may be empty.

    Returns:
        A `Matching`.

    Raises:
        InputError: NaN, infinity or a shape that is no matrix.

    Examples:
        >>> found = max_weight_matching([[3.0, 2.0], [2.0, -1.0]])
        >>> found.row_to_col.tolist(), float(found.value)
        ([1, 0], 4.0)
    """
    return _solve(as_weights("weights", weights))
