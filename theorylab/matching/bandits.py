"""MatchUCB: match and pay as if everybody were worth their upper confidence bound, then learn.

An algorithm is `init() -> state` and `round(state, ...) -> (state, Record)` over an explicit state;
`propose` and `observe` are its two halves, for a platform whose agents are real. `simulate` (in
`simulation`) scans over rounds and batches over seeds and markets.

Source: Jagadeesan, Wei, Wang, Jordan, Steinhardt (2021), sections 4 and 5.
"""

from dataclasses import dataclass
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from theorylab import checks
from theorylab.matching.confidence import (
    Intervals,
    Model,
    check_round,
    market_shape,
    truths,
    wide,
)
from theorylab.matching.instability import instability_of, unrest_of
from theorylab.matching.markets import AnyArray, Market, Outcome, empty, first
from theorylab.matching.prices import WEIGHT, PriceRule, primal_dual
from theorylab.precision import as_float64, float64_inside
from theorylab.pytrees import register


@register()
@dataclass(frozen=True)
class State:
    """What an algorithm carries from round to round.

    Attributes:
        knowledge: state of its model.
        prices: (k,) midpoint prices of the last round, from which the next search starts.
    """

    knowledge: Any
    prices: Float[AnyArray, "k"]


@register()
@dataclass(frozen=True)
class Decision:
    """A platform's choice, and what it came from.

    Attributes:
        outcome: matching and transfers.
        pairs: (n, m) who is matched.
        intervals: confidence bounds used.
        p, q: (n,) and (m,) core prices at the upper bounds.
    """

    outcome: Outcome
    pairs: Bool[AnyArray, "n m"]
    intervals: Intervals
    p: Float[AnyArray, "n"]
    q: Float[AnyArray, "m"]


_SCORES = (
    "instability",
    "utility_difference",
    "excess",
    "width",
    "matched",
    "covered",
    "profit",
    "unrest",
)


@register()
@dataclass(frozen=True)
class Record:
    """One round, or many along the last axis.

    Profit and unrest have frictions on the last axis, rounds on the one before.

    Attributes:
        instability: Subset Instability at the true utilities.
        utility_difference: welfare lost.
        excess: sum over matched agents of UCB - u.
        width: the same sum of UCB - LCB.
        matched: agents in pairs.
        covered: whether every interval of those present held the truth.
        profit: per friction, of the platform that charges for it: minus the sum of transfers.
        unrest: per friction, the most that a pair or an agent gains by leaving.
    """

    instability: Float[AnyArray, "*rounds"]
    utility_difference: Float[AnyArray, "*rounds"]
    excess: Float[AnyArray, "*rounds"]
    width: Float[AnyArray, "*rounds"]
    matched: Float[AnyArray, "*rounds"]
    covered: Bool[AnyArray, "*rounds"]
    profit: Float[AnyArray, "*rounds frictions"]
    unrest: Float[AnyArray, "*rounds frictions"]


@register("shape", "slack")
@dataclass(frozen=True)
class MatchUCB:
    """The algorithm that `match_ucb` makes.

    Attributes:
        model: confidence model.
        position: place of prices between row-optimal (0) and column-optimal (1).
        shape: (n, m).
        slack: pay max-slack prices.
    """

    model: Any
    position: Any
    shape: tuple[int, int]
    slack: bool

    @float64_inside
    def init(self) -> State:
        """The state before the first round."""
        return State(self.model.init(), jnp.zeros(max(*self.shape, 1)))

    @float64_inside
    def propose(
        self, state: State, present: Bool[AnyArray, "n m"] | None = None
    ) -> tuple[State, Decision]:
        """Match and pay by primal and dual at the upper bounds: tau_a = price - UCB of the match.

        The paper's COMPUTEMATCH.
        """
        n, m = self.shape
        k = max(n, m, 1)
        checks.instance("state", state, State, "what init() or observe() gives")
        if present is not None:
            truths("present", present, self.shape)
        state = wide(state)
        bounds = self.model.intervals(state.knowledge)
        real = jnp.ones((n, m), bool) if present is None else present
        real, weights = (
            jnp.pad(a, ((0, k - n), (0, k - m))) for a in (real, bounds.high_row + bounds.high_col)
        )
        owner, matched, row_price, q, warm = primal_dual(
            weights, state.prices, self.position, self.slack, real
        )
        X = ((owner == jnp.arange(k)[:, None]) & matched)[:n, :m]
        p = jnp.where(X, row_price[:m], 0.0).sum(1)
        q = jnp.where(X.any(0), q[:m], 0.0)
        outcome = Outcome(
            jnp.where(X.any(1), first(X, 1), -1),
            p - jnp.where(X, bounds.high_row, 0.0).sum(1),
            q - jnp.where(X, bounds.high_col, 0.0).sum(0),
        )
        return State(state.knowledge, warm), Decision(outcome, X, bounds, p, q)

    @float64_inside
    def observe(
        self,
        state: State,
        decision: Decision,
        seen_row: Float[AnyArray, "n"],
        seen_col: Float[AnyArray, "m"],
    ) -> State:
        """Learn from what matched agents report of their utility.

        Entries of agents who are alone are ignored.
        """
        checks.instance("state", state, State, "what propose() gives")
        checks.instance("decision", decision, Decision, "what propose() gives")
        state = wide(state)
        return State(
            self.model.update(state.knowledge, decision.pairs, seen_row, seen_col), state.prices
        )

    @float64_inside
    def round(
        self,
        state: State,
        market: Market,
        noise_row: Float[AnyArray, "n"],
        noise_col: Float[AnyArray, "m"],
        *,
        best: Float[AnyArray, ""],
        present: Bool[AnyArray, "n m"] | None = None,
        frictions: Float[AnyArray, "f"],
    ) -> tuple[State, Record]:
        """One round against a known market: propose, observe with this noise, score.

        best: welfare of the optimum.
        """
        check_round(self.shape, market, present, noise_row=noise_row, noise_col=noise_col)
        checks.number("best", best)
        if empty(frictions):
            frictions = frictions if hasattr(frictions, "shape") else np.zeros(0)
        else:
            frictions = checks.nonnegative("frictions", frictions, ndim=1)
        market, best, frictions = wide((market, best, frictions))
        noise_row, noise_col = as_float64(noise_row), as_float64(noise_col)
        state, decision = self.propose(state, present)
        X, tau = decision.pairs, decision.outcome
        gain_row, gain_col = jnp.where(X, market.U, 0.0).sum(1), jnp.where(X, market.V, 0.0).sum(0)
        record = score(
            market,
            decision,
            present,
            frictions,
            best - gain_row.sum() - gain_col.sum(),
            instability_of(market, tau, present)[0],
        )
        return self.observe(state, decision, gain_row + noise_row, gain_col + noise_col), record


@float64_inside
def friction_outcome(decision: Decision, friction: Float[AnyArray, ""]) -> Outcome:
    """The outcome of a platform that charges for search frictions.

    Matched agents get price - LCB - friction. It stays stable for agents whom leaving costs
    `friction`, and earns friction - (UCB - LCB) per matched agent.

    Args:
        decision: what `propose` gives.
        friction: cost of leaving.

    Returns:
        An `Outcome`.

    Raises:
        InputError: what is no `Decision`, or a negative friction.

    Source:
        Jagadeesan et al. (2021), search frictions; docs/derivations/stable_prices.md, statement 3.
    """
    checks.instance("decision", decision, Decision, "what propose() of the algorithm gives")
    checks.number("friction", friction, 0.0)
    decision = wide(decision)
    X, bounds = decision.pairs, decision.intervals
    low_row, low_col = (
        jnp.where(X, bounds.low_row, 0.0).sum(1),
        jnp.where(X, bounds.low_col, 0.0).sum(0),
    )
    return Outcome(
        decision.outcome.row_to_col,
        jnp.where(X.any(1), decision.p - low_row - friction, 0.0),
        jnp.where(X.any(0), decision.q - low_col - friction, 0.0),
    )


def score(
    market: Market,
    decision: Decision,
    present: AnyArray | None,
    frictions: AnyArray,
    lost: AnyArray,
    instability: AnyArray,
) -> Record:
    """The record of a decision whose welfare loss and instability are known."""
    X, bounds = decision.pairs, decision.intervals
    high = bounds.high_row + bounds.high_col
    holds = bounds.hold(market.U, market.V)
    seen = market.W if present is None else jnp.where(present, market.W, -jnp.inf)

    def charged(friction: AnyArray) -> Any:
        outcome = friction_outcome(decision, friction)
        # Absent agents gain nothing by leaving: their pairs are worth -inf and their own net is 0.
        unstable = unrest_of(
            Market(jnp.where(jnp.isfinite(seen), market.U, -jnp.inf), market.V), outcome, friction
        )
        return -outcome.tau_row.sum() - outcome.tau_col.sum(), unstable

    profit, unstable = (
        jax.vmap(charged)(frictions) if frictions.shape[0] else (frictions, frictions)
    )
    return Record(
        instability,
        lost,
        excess=jnp.where(X, high - market.W, 0.0).sum(),
        width=jnp.where(X, high - bounds.low_row - bounds.low_col, 0.0).sum(),
        matched=2.0 * jnp.sum(X),
        covered=jnp.all(holds if present is None else holds | ~present),
        profit=profit,
        unrest=unstable,
    )


def match_ucb(
    model: Model, shape: tuple[int, int] | None = None, *, prices: PriceRule = "midpoint"
) -> MatchUCB:
    """Make MatchUCB on a confidence model.

    `unstructured` gives MatchUCB, `typed` MatchTypedUCB, `linear` MatchLinUCB. Without transfers
    use `match_ntu_ucb`.

    Args:
        model: one of these, or your own.
        shape: not needed any more: the model knows the shape of its market.
        prices: which core point pays, see `core_prices`; the extreme ones lose the log(T) rate.

    Returns:
        A `MatchUCB`.

    Raises:
        InputError: an unknown rule, or no model.

    Examples:
        >>> from theorylab.matching import Market, simulate, unstructured
        >>> market = Market(np.diag([0.8, 0.8]), np.diag([0.8, 0.8]))
        >>> model = unstructured((2, 2), horizon=200, width=0.2)
        >>> algorithm = match_ucb(model)
        >>> trace = simulate(jax.random.key(0), market, algorithm, 200, noise_std=0.1)
        >>> trace.instability.shape, bool(trace.instability[-50:].max() < 0.05)
        ((200,), True)
    """
    checks.choice("prices", prices, get_args(PriceRule))
    return MatchUCB(
        model, WEIGHT.get(prices, 0.5), market_shape(model, shape), prices == "max_slack"
    )
