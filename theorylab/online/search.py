"""Worst-case search for scheduling policies: random instances and local refinement, in float64.

Thousands of climbers run side by side on the device. Each keeps its worst instance so far, moves
it, and keeps the move if the competitive ratio grows; now and then it takes over another climber's
instance if that is worse. Besides steps of all scales there are the moves that adversaries make in
proofs: a size set equal to its prediction or just off it, sizes set equal to each other, and sizes
*snapped* to just above the service that a job had received at some event of the schedule, so that
it fails to finish by next to nothing.

Source: our search; the proof's adversary is that of Wei, Zhang (2020).
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from theorylab import checks
from theorylab.errors import InputError
from theorylab.online.events import Run, as_pytree, schedule, simulate
from theorylab.online.policies import Policy
from theorylab.online.scheduling import Instance, competitive_ratio


@dataclass(frozen=True)
class WorstCase:
    """The worst instance that a search found.

    Attributes:
        ratio: its competitive ratio.
        instance: the instance.
        evaluated: how many instances were evaluated.
    """

    ratio: float
    instance: Instance
    evaluated: int


class _Climbers(NamedTuple):
    x: Float[Array, "n B"]
    e: Float[Array, "n B"]
    y: Float[Array, "n B"]
    ratio: Float[Array, " B"]
    snap: Float[Array, "n B"]


def worst_case_search(
    policy: Policy,
    n: int,
    *,
    key: Array,
    instances: int = 1_000_000,
    perfect: bool = False,
    climbers: int = 2048,
    steps: int = 256,
    wakes: int | None = None,
) -> WorstCase:
    """Search for the n-job instance on which the policy has the largest competitive ratio.

    The result is a lower estimate of the supremum. A policy that leaves a job unserved has ratio
    infinity. Against any deterministic policy, `proof_adversary` finds the lower bound at once.

    Args:
        policy: as for `schedule`.
        n: jobs.
        key: typed key.
        instances: at least this number is evaluated, in rounds of `climbers` climbers and `steps`
            moves; a round needs about 10 n climbers floats of memory, whatever `instances` is.
        perfect: predictions equal to the sizes (the search then finds the consistency, else the
            robustness).
        climbers, steps: of a round.
        wakes: wake-ups that the policy may request.

    Returns:
        A `WorstCase`.

    Raises:
        InputError: values out of range, a policy that breaks its contract.

    Source:
        our search; its moves include the instances of docs/derivations/scheduling.md.
    """
    (
        checks.count("n", n, 1),
        checks.count("instances", instances, 1),
        checks.count("climbers", climbers, 2),
        checks.count("steps", steps, 1),
    )
    allowed = checks.count("wakes", getattr(policy, "wakes", 4) if wakes is None else wakes, 0)
    checks.flag("perfect", perfect), checks.key("key", key)
    rounds = -(-instances // (climbers * steps))
    best: tuple[float, Any] = (-np.inf, None)
    with jax.enable_x64(True):
        tree = as_pytree(policy)
        for i in range(rounds):
            found = _round(
                tree,
                jax.random.fold_in(key, i),
                n=n,
                shape=(climbers, steps),
                perfect=perfect,
                wakes=allowed,
            )
            ratio = float(found.ratio)
            if np.isnan(ratio):
                schedule(
                    policy, *(np.asarray(a) for a in (found.x, found.y)), nudge=found.e, wakes=wakes
                )
                raise InputError(
                    "the policy gave a cost that is not a number; needed: finite rates and "
                    "wake-ups."
                )
            if ratio > best[0]:
                best = ratio, Instance(*(np.asarray(a) for a in (found.x, found.e, found.y)))
    return WorstCase(*best, rounds * climbers * steps)


def proof_adversary(policy: Policy, n: int, *, wakes: int | None = None) -> WorstCase:
    """The adversary in the proof of `scheduling_lower_bound`, against any deterministic policy.

    All predictions are 1. It runs the policy on correct predictions until the first job finishes,
    and makes every other job just longer than the service it had received by then. The ratio is at
    least `scheduling_lower_bound(n, consistency - 1)`.

    Args:
        policy: as for `schedule`.
        n: jobs.
        wakes: wake-ups that the policy may request.

    Returns:
        A `WorstCase`.

    Raises:
        InputError: values out of range, a policy that breaks its contract.

    Source:
        Wei, Zhang (2020), proof of the lower bound for n jobs.
    """
    allowed = checks.count("wakes", getattr(policy, "wakes", 4) if wakes is None else wakes, 0)
    ones = np.ones(checks.count("n", n, 1))
    truth = schedule(policy, ones, ones, wakes=wakes)
    with jax.enable_x64(True):
        served = np.asarray(
            _service_until_first(as_pytree(policy), jnp.ones((n, 1)), wakes=allowed)
        )[:, 0]
    first = int(np.argmin(truth.completion))
    others = np.arange(n) != first
    late = others & (served < 1)
    instance = Instance(np.where(late, served, 1.0), late.astype(float), ones)
    cost = schedule(policy, instance.sizes, ones, nudge=instance.nudge, wakes=wakes).cost
    return WorstCase(float(competitive_ratio(cost, instance.sizes)), instance, 2)


@partial(jax.jit, static_argnames=("wakes",))
def _service_until_first(policy: Any, ones: Any, *, wakes: int) -> Any:
    """(n, 1): service received when the first of n jobs of size 1 finishes."""
    n = ones.shape[0]
    events = jnp.arange(2 * n + wakes)
    run = jax.vmap(lambda k: simulate(policy, ones, ones, None, k[None], wakes=wakes))(events)
    first = jnp.argmax(jnp.any(run.snap >= 1, axis=(1, 2)))
    return run.snap[first]


@partial(jax.jit, static_argnames=("n", "shape", "perfect", "wakes"))
def _round(
    policy: Any, key: Array, *, n: int, shape: tuple[int, int], perfect: bool, wakes: int
) -> _Climbers:
    """The best climber of one round."""
    size, steps = shape
    events = 2 * n + wakes
    start_key, climb_key = jax.random.split(key)

    def evaluate(pick: Any, x: Any, e: Any, y: Any) -> _Climbers:
        # A common factor changes no ratio: keep the largest size at 1, and all numbers far from 0
        # and infinity.
        top = jnp.max(x, axis=0)
        x, y = (jnp.clip(a / top, 1e-12, 1e12) for a in (x, y))
        run: Run = simulate(
            policy, x, y, None if perfect else e, None if perfect else pick, wakes=wakes
        )
        opt = jnp.sum(jnp.sort(x, axis=0) * jnp.arange(n, 0, -1)[:, None], axis=0)
        return _Climbers(x, e, y, run.cost / opt, x if perfect else run.snap)

    def climb(now: _Climbers, key: Array) -> tuple[_Climbers, None]:
        # one call: drawing is much of what is compiled
        drawn = jax.random.uniform(key, (2 * n + 7, size))
        pick = (drawn[-1] * events).astype(jnp.int32)
        new = evaluate(pick, *_move(drawn[:-2], now, perfect))
        kept = new.ratio < now.ratio  # false for NaN: a policy that broke its contract must be seen
        now = jax.tree.map(lambda a, b: jnp.where(kept, b, a), new, now)
        other = jax.tree.map(
            lambda a: jnp.roll(a, (drawn[-2, 0] * size).astype(jnp.int32), axis=-1), now
        )
        taken = (other.ratio > now.ratio) & (
            drawn[-2] < 1 / 64
        )  # rarely: different climbers find different hard instances
        return jax.tree.map(lambda a, b: jnp.where(taken, a, b), other, now), None

    x, e, y = _sample(jax.random.uniform(start_key, (4 * n + 1, size)), perfect)
    state = _Climbers(x, e, y, jnp.full((size,), -jnp.inf), x)
    state, _ = jax.lax.scan(climb, state, jax.random.split(climb_key, steps))
    best = jnp.argmax(jnp.where(jnp.isnan(state.ratio), jnp.inf, state.ratio))
    return jax.tree.map(lambda a: a[..., best], state)


def _normal(uniform: Any) -> Any:
    return jax.scipy.special.ndtri(jnp.maximum(uniform, 1e-12))


def _sample(drawn: Float[Array, "4n+1 B"], perfect: bool) -> tuple[Any, Any, Any]:
    """Random instances: half with equal predictions.

    Sizes right, just off, wildly wrong, or tiny.
    """
    *rows, equal = drawn
    u = jnp.stack(rows).reshape(4, -1, drawn.shape[1])
    y = jnp.where(equal < 0.5, 1.0, jnp.exp(_normal(u[0])))
    if perfect:
        return y, jnp.zeros_like(y), y
    kind = jnp.floor(5 * u[1])
    x = jnp.select([kind <= 1, kind == 2], [y, 1e-3 * y], y * jnp.exp(1.5 * _normal(u[2])))
    return x, jnp.where(kind == 1, jnp.floor(3 * u[3]) - 1, 0.0), y


def _move(drawn: Float[Array, "2n+5 B"], now: _Climbers, perfect: bool) -> tuple[Any, Any, Any]:
    """One random move of every climber, on a random subset of its jobs."""
    n = now.x.shape[0]
    move, source, extent, log_scale, side = drawn[2 * n :]
    mask = drawn[:n] < jnp.where(extent < 0.6, 1.2 / n, 0.6)
    noise = _normal(drawn[n : 2 * n])
    # together, or each
    factor = jnp.exp(jnp.exp(12.5 * log_scale - 12) * jnp.where(move < 0.15, noise[0], noise))
    side = jnp.floor(3 * side) - 1  # -1, 0 or 1
    one = jnp.arange(n)[:, None] == jnp.floor(source * n)
    x, e, y = now.x, now.e, now.y

    def chosen(a: Any) -> Any:
        return jnp.sum(jnp.where(one, a, 0.0), axis=0)

    if perfect:
        x = jnp.where(mask, jnp.where(move < 0.7, x * factor, chosen(x)), x)
        return x, e, x
    stretch, right, equal, snap, bend, level = (
        move < 0.35,
        (move >= 0.35) & (move < 0.5),
        (move >= 0.5) & (move < 0.6),
        (move >= 0.6) & (move < 0.8),
        (move >= 0.8) & (move < 0.9),
        move >= 0.9,
    )
    new_x = jnp.select(
        [stretch, right, equal, snap],
        [x * factor, y, chosen(x), jnp.where(now.snap > 0, now.snap, x)],
        x,
    )
    new_e = jnp.select(
        [stretch, right, equal, snap], [jnp.zeros_like(e), side, chosen(e), jnp.ones_like(e)], e
    )
    new_y = jnp.select([bend, level], [y * factor, chosen(y)], y)
    x, e, y = (jnp.where(mask, new, old) for new, old in ((new_x, x), (new_e, e), (new_y, y)))
    return x, e, y
