"""MatchUCB: match and pay as if everybody were worth their upper confidence bound, then learn.

An algorithm is `init() -> state` and `round(state, ...) -> (state, Record)` over an explicit state;
`propose` and `observe` are its two halves, for a platform whose agents are real. `simulate` scans
over rounds and batches over seeds and markets.

Source: Jagadeesan, Wei, Wang, Jordan, Steinhardt (2021), sections 4 and 5.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from theorylab import checks
from theorylab.deprecation import old_arguments
from theorylab.errors import InputError
from theorylab.matching.assignment import matching_of, value_of
from theorylab.matching.confidence import (
    Intervals,
    Model,
    check_round,
    market_shape,
    truths,
    wide,
)
from theorylab.matching.instability import instability_of, unrest_of
from theorylab.matching.markets import AnyArray, Market, Outcome, as_market, empty, first
from theorylab.matching.prices import WEIGHT, PriceRule, primal_dual
from theorylab.matching.references import best_value
from theorylab.precision import float64_inside
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
        market, noise_row, noise_col, best, frictions = wide(
            (market, noise_row, noise_col, best, frictions)
        )
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


@partial(jax.jit, static_argnames=("rounds", "batch"))
def _chunk(  # noqa: PLR0913
    algorithm: Any,
    states: Any,
    keys: AnyArray,
    markets: Market,
    best: AnyArray,
    noise_std: AnyArray,
    frictions: AnyArray,
    present: Any,
    rounds: int,
    batch: int,
) -> tuple[Any, Any]:
    def one(run: tuple[Any, AnyArray, Market, AnyArray, Any]) -> tuple[Any, Any]:
        state, key, market, best, arrivals = run
        n, m = market.U.shape
        noise = noise_std * jax.random.normal(key, (rounds, n + m), jnp.float64)

        def step(state: Any, x: tuple[AnyArray, Any]) -> tuple[Any, Any]:
            here = None if x[1] is None else x[1][0][:, None] & x[1][1][None, :]
            optimum = best
            if here is not None:
                weights = jnp.where(here, market.W, 0.0)
                optimum = value_of(weights, matching_of(weights))
            return algorithm.round(
                state, market, x[0][:n], x[0][n:], best=optimum, present=here, frictions=frictions
            )

        return jax.lax.scan(step, state, (noise, arrivals))

    # Groups of `batch` runs in lockstep, one group after the other.
    groups = jax.tree.map(
        lambda a: a.reshape(-1, batch, *a.shape[1:]), (states, keys, markets, best, present)
    )
    done = jax.lax.map(jax.vmap(one), groups)
    return jax.tree.map(lambda a: a.reshape(keys.size, *a.shape[2:]), done)


@old_arguments(batch="runs_at_once")
@float64_inside
def simulate(  # noqa: C901, PLR0913
    key: jax.Array,
    market: Market,
    algorithm: Any,
    horizon: int,
    *,
    noise_std: float,
    frictions: Float[AnyArray, "f"] | Sequence[float] = (),
    arrivals: tuple[Bool[AnyArray, "t n"], Bool[AnyArray, "t m"]] | None = None,
    chunk: int = 1000,
    runs_at_once: int | None = None,
    mesh: jax.sharding.Mesh | None = None,
) -> Any:
    """Run an algorithm for `horizon` rounds, on one or many markets and seeds.

    Args:
        key: one typed key, or (S,) keys for S independent runs.
        market: (n, m), or (S, n, m) one per run, utilities in [-1, 1].
        algorithm: `match_ucb`, `match_ntu_ucb`, or one's own `init`/`round`.
        horizon: number of rounds.
        noise_std: of the Gaussian noise on reported utilities.
        frictions: (f,) costs of leaving at which the profit of a charging platform is recorded.
        arrivals: truth values (horizon, n), (horizon, m) of who is there in each round.
        chunk: rounds per compiled call; one program serves every horizon that is a multiple of it,
            every market, noise, width and price position of the same shapes.
        runs_at_once: runs that go in lockstep (None: one after the other on a CPU, which is fastest
            there, all at once elsewhere; see benchmarks/matching.py).
        mesh: spread the runs over its first axis.

    Returns:
        The algorithm's records (`Record`) with arrays (S, horizon) or (horizon,), NumPy float64.

    Raises:
        InputError: shapes that do not fit, NaN, or utilities outside [-1, 1].
    """
    market = as_market(market, batched=True)
    U = np.asarray(market.U)
    if U.ndim > 3 or not U.size:
        raise InputError(
            f"market must be (n, m) or (S, n, m) with agents on both sides, got {U.shape}"
        )
    if max(np.abs(U).max(), np.abs(np.asarray(market.V)).max()) > 1:
        raise InputError(
            "market: utilities must lie in [-1, 1], where the confidence intervals start: divide "
            "by the largest"
        )
    for name in ("init", "round"):
        if not callable(getattr(algorithm, name, None)):
            given = checks.shown(algorithm)
            raise InputError(
                f"algorithm = {given}; an algorithm with init and round is needed, such as "
                "match_ucb(...)"
            )
    horizon, chunk = checks.count("horizon", horizon), checks.count("chunk", chunk)
    if runs_at_once is not None:
        runs_at_once = checks.count("runs_at_once", runs_at_once)
    checks.number("noise_std", noise_std, 0.0)
    checks.instance("mesh", mesh, (jax.sharding.Mesh, type(None)), "a jax.sharding.Mesh, or None,")
    kind = getattr(key, "dtype", type(key))
    if not jnp.issubdtype(kind, jax.dtypes.prng_key) or key.ndim > 1:
        raise InputError(f"key must be one typed key or (S,) of them (jax.random.key), got {kind}")
    single = key.ndim == 0 and U.ndim == 2
    runs = max(key.size if key.ndim else 1, len(U) if U.ndim == 3 else 1)
    n, m = U.shape[-2:]
    shape = tuple(getattr(algorithm, "shape", (n, m)))
    if (n, m) != shape:
        raise InputError(f"market: the algorithm is for a market of shape {shape}, not {(n, m)}")
    if (key.ndim and key.size != runs) or (U.ndim == 3 and len(U) != runs):
        raise InputError(
            f"key: {key.size} keys do not go with {len(U)} markets; give one of either, or as many"
        )
    keys = key if key.ndim else jax.random.split(key, runs) if runs > 1 else key[None]
    markets = jax.tree.map(lambda a: jnp.broadcast_to(a, (runs, n, m)), market)
    here = _arrivals(arrivals, horizon, n, m)
    states = jax.tree.map(lambda a: jnp.broadcast_to(a, (runs, *jnp.shape(a))), algorithm.init())
    known = frictions if empty(frictions) else checks.nonnegative("frictions", frictions, ndim=1)
    costs = jnp.asarray(np.asarray(known, float))
    best = jnp.asarray([best_value(w) for w in np.asarray(markets.W)])
    devices = 1 if mesh is None else mesh.shape[mesh.axis_names[0]]
    if runs % devices:
        raise InputError(
            f"mesh: {runs} runs do not spread evenly over the mesh's {devices} devices"
        )
    together = _together(runs // devices, runs_at_once)
    records = []
    for begin in range(0, horizon, chunk):
        rounds = min(chunk, horizon - begin)
        now = (
            None
            if here is None
            else tuple(
                jnp.broadcast_to(a[begin : begin + rounds], (runs, rounds, a.shape[1]))
                for a in here
            )
        )
        fresh = jax.vmap(lambda k, b=begin: jax.random.fold_in(k, b))(keys)
        arguments = (
            algorithm,
            states,
            fresh,
            markets,
            best,
            jnp.asarray(noise_std, float),
            costs,
            now,
        )
        if mesh is None:
            states, record = _chunk(*arguments, rounds=rounds, batch=together)
        else:
            # axes without explicit types, on every JAX
            plain = jax.sharding.Mesh(mesh.devices, mesh.axis_names)
            states, record = _sharded(plain, rounds, together)(*arguments)
        records.append(jax.tree.map(np.asarray, record))
    whole = jax.tree.map(lambda *parts: np.concatenate(parts, axis=1), *records)
    return jax.tree.map(lambda a: a[0], whole) if single else whole


def _arrivals(arrivals: Any, horizon: int, n: int, m: int) -> tuple[np.ndarray, np.ndarray] | None:
    if arrivals is None:
        return None
    if not isinstance(arrivals, (tuple, list)) or len(arrivals) != 2:
        raise InputError(
            f"arrivals = {checks.shown(arrivals)}; two arrays of truth values are needed"
        )
    row, col = (np.asarray(checks.real("arrivals", a)) for a in arrivals)
    if (
        row.shape != (horizon, n)
        or col.shape != (horizon, m)
        or row.dtype != bool
        or col.dtype != bool
    ):
        raise InputError(
            f"arrivals must be truth values ({horizon}, {n}) and ({horizon}, {m}), got "
            f"{row.dtype} {row.shape} and {col.dtype} {col.shape}"
        )
    return row, col


def _together(runs: int, batch: int | None) -> int:
    """The largest number of runs up to `batch` that divides them all.

    By default 1 on a CPU, else all.
    """
    most = batch or (1 if jax.default_backend() == "cpu" else runs)
    return next(b for b in range(min(most, runs), 0, -1) if runs % b == 0)


@cache
def _sharded(mesh: jax.sharding.Mesh, rounds: int, batch: int) -> Any:
    """The chunk with runs spread over the mesh, each device on its own.

    No loop waits for another device's.
    """
    whole, split = jax.sharding.PartitionSpec(), jax.sharding.PartitionSpec(mesh.axis_names[0])
    specs = (whole, split, split, split, split, whole, whole, split)
    body = partial(_chunk, rounds=rounds, batch=batch)
    return jax.jit(jax.shard_map(body, mesh=mesh, in_specs=specs, out_specs=split, check_vma=False))
