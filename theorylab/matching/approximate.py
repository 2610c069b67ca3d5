"""Approximate solvers with a certificate, for markets in which parallel bids beat exact search.

Both end with dual-feasible prices, so `dual_gap` bounds what was lost, and the gap lemma bounds the
instability it can cause. On a CPU the exact solver wins at every size that was measured
(benchmarks/matching.py).

Source: Bertsekas (1988), auction; docs/derivations/stable_prices.md, statement 2, gap lemma.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from theorylab.checks import count, number
from theorylab.deprecation import old_arguments
from theorylab.matching.assignment import square, value_of
from theorylab.matching.markets import AnyArray, Prices, as_weights, best, first, pairs
from theorylab.matching.prices import feasible
from theorylab.overflow import in_range
from theorylab.precision import float64_inside
from theorylab.pytrees import register


@register()
@dataclass(frozen=True)
class Certified:
    """A matching with dual-feasible prices, and a certified bound on what it loses.

    Attributes:
        row_to_col: (n,) column of each row, -1 for those alone.
        p, q: (n,) and (m,) prices.
        gap: no matching is heavier by more.
        sweeps: rounds of bids made.
    """

    row_to_col: Int[AnyArray, "n"]
    p: Float[AnyArray, "n"]
    q: Float[AnyArray, "m"]
    gap: Float[AnyArray, ""]
    sweeps: Int[AnyArray, ""]


def _certify(weights: AnyArray, row_to_col: AnyArray, q: AnyArray, sweeps: AnyArray) -> Certified:
    row_to_col = jnp.where(
        (pairs(row_to_col, weights.shape[1]) & (weights > 0)).any(1), row_to_col, -1
    )
    p, q = feasible(weights, q)
    return Certified(row_to_col, p, q, p.sum() + q.sum() - value_of(weights, row_to_col), sweeps)


@jax.jit
def _auction(weights: AnyArray, start_eps: AnyArray, last: AnyArray) -> Certified:
    padded = square(weights)
    k = padded.shape[0]
    index = jnp.arange(k, dtype=jnp.int32)

    def bid(state: tuple[Any, ...]) -> tuple[Any, ...]:
        q, mate, eps, count = state
        # Every row without a column bids for its best one: up to where the second best would be as
        # good, and eps more.
        surplus = padded - q
        choice = best(surplus, 1)
        top = surplus.max(1)
        second = jnp.where(index == choice[:, None], -jnp.inf, surplus).max(1) if k > 1 else top
        offer = q[choice] + top - second + eps
        offers = jnp.where(
            (choice[:, None] == index) & (mate < 0)[:, None], offer[:, None], -jnp.inf
        )
        winner, price = best(offers, 0), offers.max(0)
        sold = jnp.isfinite(price)
        q = jnp.where(sold, price, q)
        lost = jnp.where(mate >= 0, sold[mate], False)
        mate = jnp.where(lost, -1, mate)
        won = (winner == index[:, None]) & sold
        mate = jnp.where(won.any(1), first(won, 1), mate)
        # All have one: sharpen eps and start over from these prices, unless this was the last.
        complete = (mate >= 0).all()
        again = complete & (eps > last)
        return (
            q,
            jnp.where(again, -1, mate),
            jnp.where(again, jnp.maximum(eps / 4, last), eps),
            count + 1,
        )

    start = (
        jnp.zeros(k, padded.dtype),
        jnp.full(k, -1, index.dtype),
        jnp.maximum(start_eps, last),
        jnp.array(0),
    )
    q, mate, _, count = jax.lax.while_loop(lambda s: (s[1] < 0).any(), bid, start)
    # A common shift leaves the sum of a square problem's prices alone, and makes both sides
    # non-negative.
    n, m = weights.shape
    return _certify(weights, jnp.where(mate[:n] < m, mate[:n], -1), (q - q.min())[:m], count)


@old_arguments(tolerance="tol")
@float64_inside
def auction_assignment(weights: Float[AnyArray, "n m"], *, tol: float = 1e-6) -> Certified:
    """Match by a forward auction with eps-scaling: all unassigned rows bid at once.

    The certified gap is at most max(n, m) * eps with a last eps of tol / max(n, m); exact for
    integer weights and tol < 1. Sweeps grow with the range of the weights over eps. Use
    `max_weight_matching` on a CPU.

    Args:
        weights: (n, m) finite.
        tol: gap to reach, in the weights' unit.

    Returns:
        A `Certified` matching.

    Raises:
        InputError: a tolerance that is not positive, NaN or a non-matrix.
    """
    weights = as_weights("weights", weights)
    scale = jnp.max(jnp.abs(weights), initial=0.0)
    k = max(*weights.shape, 1)
    number("tol", tol, 0.0, open_low=True)
    last = jnp.maximum(tol / k, 1e-14 * scale)  # below, a bid of eps would round to nothing
    return _auction(weights, scale / 4, last)


def _soft(weights: AnyArray, q: AnyArray, eps: AnyArray) -> tuple[AnyArray, AnyArray]:
    """One round of soft best responses.

    softmax >= max and the added 1 make each half dual-feasible.
    """
    m = weights.shape[1]
    q = eps * jax.nn.logsumexp(
        jnp.vstack([jnp.zeros((1, m)), (weights - _row(weights, q, eps)[:, None]) / eps]), axis=0
    )
    return _row(weights, q, eps), q


def _row(weights: AnyArray, q: AnyArray, eps: AnyArray) -> AnyArray:
    scaled = (weights - q) / eps
    return eps * jax.nn.logsumexp(jnp.hstack([jnp.zeros((weights.shape[0], 1)), scaled]), axis=1)


@partial(jax.jit, static_argnames=("phases", "sweeps"))
def _soft_duals(
    weights: AnyArray, eps: AnyArray, phases: int, sweeps: int
) -> tuple[AnyArray, AnyArray]:
    start = jnp.maximum(jnp.max(jnp.abs(weights), initial=0.0), eps)

    def phase(q: Any, share: Any) -> tuple[Any, None]:
        now = start * (eps / start) ** share
        return jax.lax.fori_loop(0, sweeps, lambda _, q: _soft(weights, q, now)[1], q), None

    shares = jnp.linspace(0.0, 1.0, phases) if phases > 1 else jnp.ones(1)
    q, _ = jax.lax.scan(phase, jnp.zeros(weights.shape[1], weights.dtype), shares)
    return _row(weights, q, eps), q


@in_range()
@float64_inside
def soft_assignment_duals(
    weights: Float[AnyArray, "n m"], *, eps: float = 1e-3, phases: int = 8, sweeps: int = 50
) -> Prices:
    """Prices of entropic matching with an outside option, annealed down to `eps`.

    p_i = eps log(1 + sum_j exp((W_ij - q_j) / eps)) and the same for q, in turn, ending with p:
    dual-feasible at every step, and the sum of prices is above the best matching by at most of
    order eps (n + m) log once converged. Differentiable.

    Args:
        weights: (n, m) finite.
        eps: the last temperature.
        phases: temperatures, from the size of the weights on.
        sweeps: rounds at each.

    Returns:
        `Prices` (p, q).

    Raises:
        InputError: unless eps > 0 and phases, sweeps >= 1; NaN or a non-matrix.
    """
    weights = as_weights("weights", weights)
    number("eps", eps, 0.0, open_low=True)
    phases, sweeps = count("phases", phases), count("sweeps", sweeps)
    return Prices(*_soft_duals(weights, jnp.asarray(eps), phases, sweeps))


@partial(jax.jit, static_argnames=("phases", "sweeps"))
def _soft_assignment(weights: AnyArray, eps: AnyArray, phases: int, sweeps: int) -> Certified:
    p, q = _soft_duals(weights, eps, phases, sweeps)
    n, m = weights.shape
    rows, cols = jnp.arange(n, dtype=jnp.int32), jnp.arange(m, dtype=jnp.int32)

    def take(state: Any) -> Any:
        """Match all pairs that are each other's tightest among those left."""
        mate, slack, count = state
        best_col, best_row = best(-slack, 1), best(-slack, 0)
        mutual = (best_col[:, None] == cols) & (best_row == rows[:, None]) & jnp.isfinite(slack)
        mate = jnp.where(mutual.any(1), best_col, mate)
        left = ~mutual.any(1)[:, None] & ~mutual.any(0)
        return mate, jnp.where(left, slack, jnp.inf), count + 1

    slack = jnp.where(weights > 0, p[:, None] + q - weights, jnp.inf)
    start = (jnp.full(n, -1, rows.dtype), slack, jnp.array(phases * sweeps))
    if n * m == 0:
        return _certify(weights, start[0], q, start[2])
    mate, _, count = jax.lax.while_loop(lambda s: jnp.isfinite(s[1]).any(), take, start)
    return _certify(weights, mate, q, count)


@float64_inside
def soft_assignment(
    weights: Float[AnyArray, "n m"], *, eps: float = 1e-3, phases: int = 8, sweeps: int = 50
) -> Certified:
    """Round `soft_assignment_duals` to a matching with a certified gap, tightest pairs first.

    Args:
        weights: (n, m) finite.
        eps, phases, sweeps: as there.

    Returns:
        A `Certified` matching.

    Raises:
        InputError: as there.
    """
    weights = as_weights("weights", weights)
    number("eps", eps, 0.0, open_low=True)
    phases, sweeps = count("phases", phases), count("sweeps", sweeps)
    return _soft_assignment(weights, jnp.asarray(eps), phases, sweeps)
