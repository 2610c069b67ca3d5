"""How far an outcome is from stable: Subset Instability, subsidies that mend it, simpler losses.

With r_a = max(0, -net_a) and E_ij = W_ij - (net_i + r_i) - (net_j + r_j), what remains of the
subsidy programme is the dual of a maximum-weight matching, so Subset Instability = sum_a r_a +
MWM(max(E, 0)): one assignment and no linear programme.

Source: Jagadeesan et al. (2021), section 3 (definition 3.1 and proposition 3.3); the assignment
form: docs/derivations/stable_prices.md, statement 1.
"""

from typing import Literal, get_args

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float

from theorylab.checks import choice, number
from theorylab.deprecation import old_arguments
from theorylab.matching import references
from theorylab.matching.assignment import assign, matching_of, square, value_of
from theorylab.matching.markets import AnyArray, Market, Outcome, Sides, as_market, as_outcome, nets
from theorylab.matching.prices import extremes
from theorylab.precision import float64_inside

Form = Literal["assignment", "lp", "coalitions"]


def _excess(market: Market, outcome: Outcome) -> tuple[AnyArray, AnyArray, AnyArray]:
    """Individual losses r of rows and columns, and what pairs then gain by leaving.

    Once those are paid, clipped at 0.
    """
    net_row, net_col = nets(market, outcome)
    loss_row, loss_col = jnp.maximum(-net_row, 0.0), jnp.maximum(-net_col, 0.0)
    gain = market.W - (net_row + loss_row)[:, None] - (net_col + loss_col)
    return loss_row, loss_col, jnp.maximum(gain, 0.0)


def instability_of(
    market: Market, outcome: Outcome, present: Bool[AnyArray, "n m"] | None = None
) -> tuple[Float[AnyArray, ""], Float[AnyArray, ""]]:
    """Subset Instability, and the largest gain of one pair or agent that leaves, without checks.

    In the caller's precision. present: pairs of agents who are there; absent agents must be
    unmatched, without transfer.
    """
    loss_row, loss_col, gain = _excess(market, outcome)
    if present is not None:
        gain = jnp.where(present, gain, 0.0)
    padded = square(gain)
    mate, _ = assign(padded, jnp.zeros(padded.shape[0], padded.dtype), jnp.any(padded > 0, axis=1))
    alone = jnp.maximum(jnp.max(loss_row, initial=0.0), jnp.max(loss_col, initial=0.0))
    return loss_row.sum() + loss_col.sum() + value_of(padded, mate), jnp.maximum(
        alone, jnp.max(gain, initial=0.0)
    )


_instability = jax.jit(lambda market, outcome: instability_of(market, outcome)[0])


@float64_inside
def subset_instability(
    market: Market, outcome: Outcome, *, form: Form = "assignment"
) -> Float[AnyArray, ""]:
    """The least total subsidy that makes the outcome stable; 0 if and only if it is stable.

    Use `is_stable` for a yes or no, `utility_difference` for welfare alone.

    Args:
        market: utilities.
        outcome: matching and transfers.
        form: three equal readings. "assignment" (one matching on the device; jit and vmap), "lp"
            (minimal subsidies by SciPy's linear programme) and "coalitions" (the most that a
            coalition gains by leaving, by enumeration of all 2^N; N <= 16) are references on the
            host.

    Returns:
        The instability, in the unit of utilities.

    Raises:
        InputError: bad shapes, NaN, an invalid matching or form.

    Examples:
        >>> from theorylab.matching import Market, Outcome
        >>> market = Market([[9.0, 12.0]], [[-5.0, -10.0]])  # one customer, two providers
        >>> outcome = Outcome([1], [-11.0], [0.0, 11.0])  # matched to the second, who is paid 11
        >>> float(subset_instability(market, outcome)), float(utility_difference(market, outcome))
        (3.0, 2.0)
    """
    choice("form", form, get_args(Form))
    market = as_market(market)
    outcome = as_outcome(outcome, *market.U.shape)
    if form == "assignment":
        return _instability(market, outcome)
    if form == "lp":
        return jnp.asarray(references.subsidy_lp(market, outcome))
    return jnp.asarray(references.best_coalition(market, outcome)[0])


@jax.jit
def _subsidies(market: Market, outcome: Outcome) -> tuple[AnyArray, AnyArray]:
    loss_row, loss_col, gain = _excess(market, outcome)
    padded = square(gain)
    k = padded.shape[0]
    _, owner = assign(padded, jnp.zeros(k, padded.dtype), jnp.ones(k, bool))
    low, high, worth = extremes(padded, owner, jnp.diagonal(padded[owner]) > 0)
    q = (low + high) / 2
    p = jnp.zeros_like(q).at[owner].set(worth - q)
    return loss_row + p[: loss_row.shape[0]], loss_col + q[: loss_col.shape[0]]


@float64_inside
def minimal_subsidies(market: Market, outcome: Outcome) -> Sides:
    """Subsidies of the least total that make the outcome stable.

    They are not unique: the midpoint of the core of what is left after individual losses are paid.

    Args:
        market: utilities.
        outcome: matching and transfers.

    Returns:
        `Sides` (row, col): of customers (n,) and of providers (m,).

    Raises:
        InputError: as `subset_instability`.
    """
    market = as_market(market)
    return Sides(*_subsidies(market, as_outcome(outcome, *market.U.shape)))


@jax.jit
def _difference(market: Market, outcome: Outcome) -> AnyArray:
    return value_of(market.W, matching_of(market.W)) - value_of(market.W, outcome.row_to_col)


@float64_inside
def utility_difference(market: Market, outcome: Outcome) -> Float[AnyArray, ""]:
    """Welfare lost against the best matching; blind to transfers.

    It can be 0 while agents want to leave. With transfers that cancel within pairs it is never
    above Subset Instability.

    Args:
        market: utilities.
        outcome: matching and transfers.

    Returns:
        The difference, >= 0.

    Raises:
        InputError: as `subset_instability`.
    """
    market = as_market(market)
    return _difference(market, as_outcome(outcome, *market.U.shape))


@float64_inside
def unrest(market: Market, outcome: Outcome, *, friction: float = 0.0) -> Float[AnyArray, ""]:
    """The most that one agent, or one pair together, gains by leaving.

    0 if and only if the outcome is stable under search frictions.

    Args:
        market: utilities.
        outcome: matching and transfers.
        friction: what leaving costs every agent.

    Returns:
        The gain, >= 0.

    Raises:
        InputError: as `subset_instability`; a negative friction.
    """
    number("friction", friction, 0.0)
    market = as_market(market)
    return unrest_of(market, as_outcome(outcome, *market.U.shape), friction)


def unrest_of(market: Market, outcome: Outcome, friction: float | AnyArray) -> Float[AnyArray, ""]:
    """`unrest` without checks, in the caller's precision."""
    net_row, net_col = nets(market, outcome)
    alone = (
        jnp.maximum(jnp.max(-net_row, initial=-jnp.inf), jnp.max(-net_col, initial=-jnp.inf))
        - friction
    )
    together = jnp.max(market.W - net_row[:, None] - net_col, initial=-jnp.inf) - 2 * friction
    return jnp.maximum(jnp.maximum(alone, together), 0.0)


@old_arguments(tolerance="tol")
def is_stable(
    market: Market, outcome: Outcome, *, tol: float = 1e-9, friction: float = 0.0
) -> bool:
    """Whether no agent and no pair gains by leaving.

    Args:
        market: utilities.
        outcome: matching and transfers.
        tol: gains up to this do not count.
        friction: what leaving costs every agent.

    Returns:
        The answer.

    Raises:
        InputError: as `unrest`; a negative tol.
    """
    number("tol", tol, 0.0)
    return bool(unrest(market, outcome, friction=friction) <= tol)
