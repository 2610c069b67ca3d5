"""Simulation of learning platforms: rounds in compiled chunks, over many markets and seeds.

Source: Jagadeesan, Wei, Wang, Jordan, Steinhardt (2021), sections 4 and 5.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Bool, Float

from theorylab import checks
from theorylab.deprecation import old_options
from theorylab.errors import InputError
from theorylab.matching.assignment import matching_of, value_of
from theorylab.matching.markets import AnyArray, Market, as_market, empty
from theorylab.matching.references import best_value
from theorylab.precision import float64_inside


@dataclass(frozen=True)
class Execution:
    """How a simulation is laid out on the machine.

    Attributes:
        chunk: rounds per compiled call; one program serves every horizon that is a multiple of it,
            every market, noise, width and price position of the same shapes. Noise is drawn for a
            chunk at a time: another length draws other noise.
        runs_at_once: runs that go in lockstep (None: one after the other on a CPU, which is fastest
            there, all at once elsewhere; see benchmarks/matching.py).
        mesh: spread the runs over its first axis.

    Raises:
        InputError: counts below 1, what is no mesh.
    """

    chunk: int = 1000
    runs_at_once: int | None = None
    mesh: Mesh | None = None

    def __post_init__(self) -> None:
        checks.count("chunk", self.chunk)
        if self.runs_at_once is not None:
            checks.count("runs_at_once", self.runs_at_once)
        checks.instance("mesh", self.mesh, (Mesh, type(None)), "a jax.sharding.Mesh, or None,")

    def together(self, runs: int) -> int:
        """How many runs go in lockstep on each device: the largest number that divides them all."""
        devices = 1 if self.mesh is None else self.mesh.shape[self.mesh.axis_names[0]]
        if runs % devices:
            raise InputError(
                f"mesh: {runs} runs do not spread evenly over the mesh's {devices} devices"
            )
        own = runs // devices
        most = self.runs_at_once or (1 if jax.default_backend() == "cpu" else own)
        return next(b for b in range(min(most, own), 0, -1) if own % b == 0)


_EXECUTION = Execution()


class _Shared(NamedTuple):
    """What all runs have in common."""

    algorithm: Any
    noise_std: AnyArray
    frictions: AnyArray


class _Runs(NamedTuple):
    """What every run has for itself, along the first axis of each array.

    present: who is there in the rounds of the chunk, None for everybody.
    """

    states: Any
    keys: AnyArray
    markets: Market
    best: AnyArray
    present: tuple[AnyArray, ...] | None


@partial(jax.jit, static_argnames=("rounds", "batch"))
def _chunk(shared: _Shared, runs: _Runs, rounds: int, batch: int) -> tuple[Any, Any]:
    def one(run: _Runs) -> tuple[Any, Any]:
        state, key, market, best, arrivals = run
        n, m = market.U.shape
        noise = shared.noise_std * jax.random.normal(key, (rounds, n + m), jnp.float64)

        def step(state: Any, x: tuple[AnyArray, Any]) -> tuple[Any, Any]:
            here = None if x[1] is None else x[1][0][:, None] & x[1][1][None, :]
            optimum = best
            if here is not None:
                weights = jnp.where(here, market.W, 0.0)
                optimum = value_of(weights, matching_of(weights))
            return shared.algorithm.round(
                state,
                market,
                x[0][:n],
                x[0][n:],
                best=optimum,
                present=here,
                frictions=shared.frictions,
            )

        return jax.lax.scan(step, state, (noise, arrivals))

    # Groups of `batch` runs in lockstep, one group after the other.
    groups = jax.tree.map(lambda a: a.reshape(-1, batch, *a.shape[1:]), runs)
    done = jax.lax.map(jax.vmap(one), groups)
    return jax.tree.map(lambda a: a.reshape(runs.keys.size, *a.shape[2:]), done)


@old_options(execution=(Execution, "chunk runs_at_once mesh batch=runs_at_once"))
@float64_inside
def simulate(
    key: jax.Array,
    market: Market,
    algorithm: Any,
    horizon: int,
    *,
    noise_std: float,
    frictions: Float[AnyArray, "f"] | Sequence[float] = (),
    arrivals: tuple[Bool[AnyArray, "t n"], Bool[AnyArray, "t m"]] | None = None,
    execution: Execution = _EXECUTION,
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
        execution: how rounds and runs are laid out on the machine.

    Returns:
        The algorithm's records (`Record`) with arrays (S, horizon) or (horizon,), NumPy float64.

    Raises:
        InputError: shapes that do not fit, NaN, or utilities outside [-1, 1].
    """
    market = _market(market)
    shape = market.U.shape[-2:]
    _check_algorithm(algorithm, shape)
    horizon = checks.count("horizon", horizon)
    checks.number("noise_std", noise_std, 0.0)
    checks.instance("execution", execution, Execution, "Execution(chunk, runs_at_once, mesh)")
    keys = _keys(key, market)
    runs = keys.size
    here = _arrivals(arrivals, horizon, *shape)
    markets = jax.tree.map(lambda a: jnp.broadcast_to(a, (runs, *shape)), market)
    states = jax.tree.map(lambda a: jnp.broadcast_to(a, (runs, *jnp.shape(a))), algorithm.init())
    known = frictions if empty(frictions) else checks.nonnegative("frictions", frictions, ndim=1)
    costs = jnp.asarray(np.asarray(known, float))
    shared = _Shared(algorithm, jnp.asarray(noise_std, float), costs)
    best = jnp.asarray([best_value(w) for w in np.asarray(markets.W)])
    together = execution.together(runs)
    records = []
    for begin in range(0, horizon, execution.chunk):
        rounds = min(execution.chunk, horizon - begin)
        now = None if here is None else tuple(_of_chunk(a, runs, begin, rounds) for a in here)
        fresh = jax.vmap(lambda k, b=begin: jax.random.fold_in(k, b))(keys)
        advance = _advance(execution.mesh, rounds, together)
        states, record = advance(shared, _Runs(states, fresh, markets, best, now))
        records.append(jax.tree.map(np.asarray, record))
    whole = jax.tree.map(lambda *parts: np.concatenate(parts, axis=1), *records)
    single = key.ndim == 0 and market.U.ndim == 2
    return jax.tree.map(lambda a: a[0], whole) if single else whole


def _market(market: Any) -> Market:
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
    return market


def _check_algorithm(algorithm: Any, shape: tuple[int, ...]) -> None:
    for name in ("init", "round"):
        if not callable(getattr(algorithm, name, None)):
            given = checks.shown(algorithm)
            raise InputError(
                f"algorithm = {given}; an algorithm with init and round is needed, such as "
                "match_ucb(...)"
            )
    own = tuple(getattr(algorithm, "shape", shape))
    if shape != own:
        raise InputError(f"market: the algorithm is for a market of shape {own}, not {shape}")


def _keys(key: Any, market: Market) -> AnyArray:
    """(S,) one key for every run."""
    kind = getattr(key, "dtype", type(key))
    if not jnp.issubdtype(kind, jax.dtypes.prng_key) or key.ndim > 1:
        raise InputError(f"key must be one typed key or (S,) of them (jax.random.key), got {kind}")
    markets = len(market.U) if market.U.ndim == 3 else 1
    runs = max(key.size if key.ndim else 1, markets)
    if (key.ndim and key.size != runs) or (market.U.ndim == 3 and markets != runs):
        raise InputError(
            f"key: {key.size} keys do not go with {markets} markets; give one of either, or as many"
        )
    return key if key.ndim else jax.random.split(key, runs) if runs > 1 else key[None]


def _of_chunk(arrivals: np.ndarray, runs: int, begin: int, rounds: int) -> AnyArray:
    now = arrivals[begin : begin + rounds]
    return jnp.broadcast_to(now, (runs, *now.shape))


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


def _advance(mesh: Mesh | None, rounds: int, batch: int) -> Any:
    """The compiled chunk, on this device or over a mesh."""
    if mesh is None:
        return partial(_chunk, rounds=rounds, batch=batch)
    # axes without explicit types, on every JAX
    return _sharded(Mesh(mesh.devices, mesh.axis_names), rounds, batch)


@cache
def _sharded(mesh: Mesh, rounds: int, batch: int) -> Any:
    """The chunk with runs spread over the mesh, each device on its own.

    No loop waits for another device's.
    """
    whole, split = PartitionSpec(), PartitionSpec(mesh.axis_names[0])
    body = partial(_chunk, rounds=rounds, batch=batch)
    return jax.jit(
        jax.shard_map(body, mesh=mesh, in_specs=(whole, split), out_specs=split, check_vma=False)
    )
