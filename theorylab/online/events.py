"""A fluid scheduler: from event to event with rates that a policy sets, many instances at once.

Sizes may be "just above" or "just below" a number: `nudge` e stands for the size x + e * epsilon
with an infinitesimal epsilon > 0. The simulator carries the epsilon part beside every time and
service and compares lexicographically, so suprema that no instance attains (an overrun by next to
nothing) are evaluated exactly.

Whether a prediction is right is decided by comparing sizes with predictions bit for bit, never by a
tolerance. Only events of different origin, which must meet up to rounding (a job's end and the end
of a stage), meet at a relative tolerance of 1e-12.

Source: the model of Purohit, Svitkina, Kumar (2018), section on non-clairvoyant scheduling.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int

from theorylab import checks
from theorylab.errors import InputError
from theorylab.online.checks import jobs
from theorylab.online.policies import Action, Policy, PreferentialRoundRobin, TwoStage, View
from theorylab.online.reductions import least, some, total
from theorylab.precision import as_float64, float64_inside, is_traced
from theorylab.pytrees import register

MEET = 1e-12  # relative rounding within which events of different origin coincide
DONE, STUCK, ASLEEP, INFEASIBLE = range(4)
_IN_CACHE = 1 << 12  # jobs whose state (some 100 bytes each) stays in a processor's second cache


@register()
@dataclass(frozen=True)
class Schedule:
    """Outcome of a policy.

    Attributes:
        cost: (...) sum of completion times; infinite when the policy leaves a job unserved for
            ever.
        completion: (..., n) completion times.
        status: (...) 0 finished, 1 stuck, 2 out of wake-ups, 3 infeasible rates (the last two only
            under jit; the cost is then NaN).
    """

    cost: Float[Array, "..."]
    completion: Float[Array, "... n"]
    status: Int[Array, "..."]


def schedule(
    policy: Policy,
    sizes: Float[ArrayLike, "... n"],
    predictions: Float[ArrayLike, "... n"] | None = None,
    *,
    nudge: Float[ArrayLike, "... n"] | None = None,
    wakes: int | None = None,
) -> Schedule:
    """Run a policy on instances, many at once, in float64.

    jit, vmap over instances and over a policy's parameters work; a policy that is a plain function
    is traced once. Costs in closed form: `round_robin_cost`, `prr_perfect_cost`.

    Args:
        policy: `RoundRobin()`, `TwoStage(0.1)`, ... or a function of a `View`.
        sizes: (..., n), batch axes first.
        predictions: (..., n); None means correct ones.
        nudge: (..., n) infinitesimal parts of the sizes, 0 by default.
        wakes: how many wake-ups the policy may request in one run (default: its attribute `wakes`,
            else 4).

    Returns:
        A `Schedule`.

    Raises:
        InputError: NaN or negative sizes, shapes that do not fit, infeasible rates, too many
            wake-ups.

    Examples:
        >>> from theorylab.online import RoundRobin, ShortestPredictedFirst
        >>> [float(schedule(p, [1.0, 2.0]).cost) for p in (RoundRobin(), ShortestPredictedFirst())]
        [5.0, 4.0]
    """
    allowed = checks.count("wakes", getattr(policy, "wakes", 4) if wakes is None else wakes, 0)
    result = _schedule(policy, sizes, predictions, nudge, allowed)
    if not is_traced(result.status):
        status = np.asarray(result.status)
        if (status == INFEASIBLE).any():
            raise InputError(
                "the policy gave infeasible rates; needed: rates >= 0 that sum to at most 1."
            )
        if (status == ASLEEP).any():
            raise InputError(
                f"the policy asked for more than {allowed} wake-ups; give a larger wakes=."
            )
    return result


@float64_inside
def _schedule(policy: Policy, sizes: Any, predictions: Any, nudge: Any, wakes: int) -> Schedule:
    x, y, e = jobs(sizes, predictions, nudge)
    batch, n = x.shape[:-1], x.shape[-1]
    if n == 0 or x.size == 0:
        zeros = jnp.zeros(batch)
        return Schedule(zeros, jnp.zeros((*batch, n)), zeros.astype(jnp.int32))
    flat = [None if a is None else jnp.asarray(a).reshape(-1, n).T for a in (x, y, e)]
    block = max(_IN_CACHE // n, 1) if jax.default_backend() == "cpu" else x.size // n
    run = _simulate_blocks(as_pytree(policy), *flat, wakes=wakes, block=block)
    return Schedule(
        run.cost.reshape(batch), run.finish.T.reshape(*batch, n), run.status.reshape(batch)
    )


def as_pytree(policy: Policy) -> Any:
    """A policy that can go through jit.

    A registered dataclass with parameters in float64 (call it with 64-bit types on), or a plain
    function as a static callable.
    """
    checks.function("policy", policy)
    if isinstance(policy, TwoStage | PreferentialRoundRobin):
        policy.check()
    if jax.tree_util.all_leaves([policy]):
        return jax.tree_util.Partial(policy)
    return jax.tree.map(
        lambda p: as_float64(p) if jnp.issubdtype(jnp.result_type(p), jnp.floating) else p, policy
    )


class Run(NamedTuple):
    """Outcome of the simulator, instances on the last axis.

    `snap` is the service (n, B) at the event asked for.
    """

    cost: Float[Array, " B"]
    finish: Float[Array, "n B"]
    status: Int[Array, " B"]
    snap: Any


class _State(NamedTuple):
    attained: Float[Array, "n B"]
    attained_e: Any  # infinitesimal parts; None when no size is nudged
    finish: Float[Array, "n B"]
    reached: Any  # bool (n, B): has overrun its prediction
    time: Float[Array, " B"]
    time_e: Any
    phase: Int[Array, " B"]
    woken_at: Float[Array, " B"]
    infeasible: Any
    stuck: Any
    snap: Any


def ranks(y: Float[Array, "n B"]) -> Int[Array, "n B"]:
    """Place of each job in increasing order of y, ties by index, along the first axis."""
    index = jnp.arange(y.shape[0], dtype=jnp.int32)[:, None]

    def count_one(i: Any, rank: Any) -> Any:
        return rank + ((y[i] < y) | ((y[i] == y) & (i < index)))

    # sorts columns 8 times faster
    return jax.lax.fori_loop(0, y.shape[0], count_one, jnp.zeros(y.shape, jnp.int32))


def simulate(policy: Any, x: Any, y: Any, e: Any, pick: Any = None, *, wakes: int) -> Run:
    """The event loop on arrays (n, B): jobs on the first axis.

    So every reduction runs along whole vectors. pick: (B,) index of the event at which the attained
    service is recorded.
    """
    n = x.shape[0]
    watches = getattr(policy, "watches", True)
    nudged = e is not None
    above = (x > y) | ((x == y) & (e > 0)) if nudged else x > y
    below = (x < y) | ((x == y) & (e < 0)) if nudged else x < y
    rank = ranks(y)

    def ask(view: View) -> Action:
        action = policy(view)
        action = action if isinstance(action, Action) else Action(action)
        rates = jnp.asarray(action.rates, x.dtype)
        if rates.shape != (n,):
            raise InputError(
                f"the policy gave rates of shape {rates.shape}; needed: one rate per job, ({n},)."
            )
        return Action(rates, jnp.asarray(action.wake, x.dtype))

    def step(carry: tuple[Any, _State]) -> tuple[Any, _State]:
        index, s = carry
        unfinished = jnp.isinf(s.finish)
        view = View(
            y,
            rank,
            s.attained,
            unfinished,
            ~unfinished & below,
            s.reached,
            s.finish,
            s.time,
            s.phase,
        )
        action = jax.vmap(ask, in_axes=-1, out_axes=-1)(view)
        wake = jnp.where(action.wake > s.woken_at, action.wake, jnp.inf)  # each wake-up comes once
        rate = jnp.where(unfinished, action.rates, 0.0)
        # an infeasible rate breaks the sum
        bad = ~(total(jnp.where(rate >= 0, rate, 2.0)) <= 1 + 1e-9)
        # The next milestone of an overrunning job is its prediction, of every other job its end.
        pending = above & ~s.reached if watches else jnp.zeros_like(unfinished)
        target = jnp.where(pending, y, x)
        served = rate > 0
        per_rate = jnp.where(served, 1 / jnp.where(served, rate, 1.0), jnp.inf)
        left = target - s.attained
        step_dt = least(jnp.where(served, left * jnp.where(served, per_rate, 1.0), jnp.inf))
        open_ = some(unfinished, x.dtype)
        dt = jnp.maximum(jnp.minimum(step_dt, wake - s.time), 0.0)
        alive = open_ & jnp.isfinite(dt) & ~bad
        dt = jnp.where(alive, dt, 0.0)
        near = served & alive & (left - rate * dt <= MEET * target)
        woken = alive & (wake - s.time - dt <= MEET * jnp.abs(wake)) & jnp.isfinite(wake)
        event, attained_e, time_e = near, None, None
        if nudged:
            target_e = jnp.where(pending, 0.0, e)
            left_e = target_e - s.attained_e
            dt_e = least(jnp.where(near, left_e * jnp.where(near, per_rate, 1.0), jnp.inf))
            dt_e = jnp.minimum(dt_e, jnp.where(woken, -s.time_e, jnp.inf))
            dt_e = jnp.where(dt > 0, dt_e, jnp.maximum(dt_e, 0.0))
            dt_e = jnp.where(alive, dt_e, 0.0)
            event = near & (left_e - rate * dt_e <= 1e-9)
            woken = woken & (-s.time_e <= dt_e + 1e-9)
            attained_e = jnp.where(event, target_e, s.attained_e + rate * dt_e)
            time_e = s.time_e + dt_e
        attained = jnp.where(near, target, s.attained + rate * dt)
        time = s.time + dt
        finish = jnp.where(event & ~pending, time, s.finish)
        reached = s.reached | (event & pending) if watches else s.reached
        snap = s.snap if pick is None else jnp.where(index == pick, attained, s.snap)
        stuck = open_ & jnp.isinf(jnp.minimum(step_dt, wake - s.time))
        infeasible = s.infeasible | (bad & open_)
        phase = s.phase + woken
        woken_at = jnp.where(woken, wake, s.woken_at)
        after = _State(
            attained,
            attained_e,
            finish,
            reached,
            time,
            time_e,
            phase,
            woken_at,
            infeasible,
            stuck,
            snap,
        )
        return index + 1, after

    zero, no = jnp.zeros_like(x), jnp.zeros(x.shape, bool)
    small = (zero, zero[0]) if nudged else (None, None)
    start = _State(
        zero,
        small[0],
        jnp.full_like(x, jnp.inf),
        no,
        zero[0],
        small[1],
        jnp.zeros(x.shape[1], jnp.int32),
        jnp.full(x.shape[1], -jnp.inf),
        no[0],
        no[0],
        None if pick is None else zero,
    )
    most = n * (2 if watches else 1) + wakes  # events: ends, overruns and wake-ups
    events, end = jax.lax.while_loop(
        lambda carry: (carry[0] < most) & jnp.any(jnp.isinf(carry[1].finish)),
        step,
        (jnp.zeros((), jnp.int32), start),
    )
    snap = None if pick is None else jnp.where(pick >= events, end.attained, end.snap)
    open_ = jnp.any(jnp.isinf(end.finish), axis=0)
    status = jnp.where(open_, jnp.where(end.stuck, STUCK, ASLEEP), DONE)
    status = jnp.where(end.infeasible, INFEASIBLE, status)
    cost = jnp.where(status <= STUCK, jnp.sum(end.finish, axis=0), jnp.nan)
    return Run(cost, end.finish, status, snap)


@partial(jax.jit, static_argnames=("wakes", "block"))
def _simulate_blocks(policy: Any, x: Any, y: Any, e: Any, *, wakes: int, block: int) -> Run:
    """`simulate` on `block` instances after another.

    On arrays that stay in the processor's cache.
    """
    n, instances = x.shape
    if instances <= block:
        return simulate(policy, x, y, e, wakes=wakes)
    count = -(-instances // block)

    def split(a: Any) -> Any:
        return (
            jnp.pad(a, ((0, 0), (0, count * block - instances)))
            .reshape(n, count, block)
            .swapaxes(0, 1)
        )

    def join(a: Any) -> Any:
        return jnp.moveaxis(a, 0, -2).reshape(*a.shape[1:-1], -1)[..., :instances]

    return jax.tree.map(
        join,
        jax.lax.map(
            lambda xye: simulate(policy, *xye, wakes=wakes), jax.tree.map(split, (x, y, e))
        ),
    )
