"""One loop for every way to train a robust classifier, and for many runs at once.

`nets.fit` minimises a loss of outputs and targets. A robust run needs a radius that grows with the
step, a key for every step's attack, learning rates and radii that differ between runs side by side,
and errors under attack and with certificates after each epoch: so it has a loop of its own.
Source: the loop is ours; the papers of what it trains are at `Recipe`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Key, PyTree

from theorylab import checks
from theorylab.errors import InputError
from theorylab.robustness.apgd import margin
from theorylab.robustness.certify import _checked
from theorylab.robustness.objectives import (
    Batch,
    Moment,
    Recipe,
    lower_margins,
    objective,
    with_eps,
    worst_points,
)
from theorylab.robustness.program import read
from theorylab.robustness.propagation import Flow
from theorylab.robustness.relaxations import layers, relaxation
from theorylab.robustness.schedules import Schedule
from theorylab.robustness.threats import LineUnion, LpBall, Threat, checked_threat

Network = Callable[[PyTree, Array], Array]


@dataclass(frozen=True)
class Watch:
    """What is measured after an epoch, on the first samples of the data given, at the target eps.

    Args:
        data: (x, y), samples (n, ...) and labels (n,); of many runs (r, n, ...) and (r, n).
        samples: how many of them are looked at.
        attack_steps: of Auto-PGD for the robust error; lines are searched.
        certify: method of the certified error, None for none.
        unstable: whether unstable neurons are counted.
        every: epochs between two looks; the last epoch is always looked at.
    """

    data: tuple[Any, Any]
    samples: int = 500
    attack_steps: int = 10
    certify: Literal["ibp", "crown", "crown-ibp", "coap"] | None = None
    unstable: bool = True
    every: int = 1


@dataclass(frozen=True)
class Trained:
    """The runs' parameters and histories; of r runs every array but `looked` has a leading axis r.

    Attributes:
        params: after the last epoch.
        loss: (epochs,) mean training loss.
        eps: (epochs,) radius at the end of the epoch.
        looked: (looks,) epochs after which the errors were measured.
        standard: (looks,) share of wrong labels on clean samples.
        robust: (looks,) share of wrong labels under attack.
        certified: (looks,) share without a certificate; NaN where not asked for.
        unstable: (looks,) share of unstable neurons (l <= 0 <= u, COAP's bounds); NaN where not
            asked for.
    """

    params: PyTree
    loss: np.ndarray
    eps: np.ndarray
    looked: np.ndarray
    standard: np.ndarray
    robust: np.ndarray
    certified: np.ndarray
    unstable: np.ndarray


@dataclass(frozen=True)
class Runs:
    """Keys, radii and first learning rates of r runs side by side.

    Args:
        keys: (r,) typed keys.
        eps: (r,) target radii.
        learning_rates: (r,) of the first epoch.
    """

    keys: Key[Array, " r"]
    eps: Float[ArrayLike, " r"]
    learning_rates: Float[ArrayLike, " r"]


class _Carry(NamedTuple):
    params: PyTree
    state: Any


def train_robust(
    f: Network,
    params: PyTree,
    data: tuple[ArrayLike, ArrayLike],
    threat: Threat,
    recipe: Recipe,
    schedule: Schedule,
    *,
    key: Key[Array, ""],
    watch: Watch | None = None,
) -> Trained:
    """Train one network against a set of perturbations.

    For many small networks, `train_robust_many` trains them side by side.

    Args:
        f: logits (n, k) of a batch, for certified recipes one that `certified_margins` can read.
        params: where to start.
        data: (x, y), samples (n, ...) and integer labels (n,).
        threat: the set at its target eps.
        recipe: how to train.
        schedule: for how long, with which ramp and optimiser.
        key: draws batches, attacks and projections.
        watch: errors after every epoch; None for none.

    Returns:
        `Trained`.

    Raises:
        InputError: shapes that do not fit, a loss that is not finite.

    Examples:
        >>> from theorylab.robustness import LpBall, dense_network, dense_params
        >>> x = jnp.array([[1.0, 1.0], [-1.0, -1.0]])
        >>> found = train_robust(
        ...     dense_network, dense_params(jax.random.key(0), (2, 2)), (x, jnp.array([0, 1])),
        ...     LpBall(0.5), Recipe("ibp"), Schedule(8, batch_size=2, ramp=4, optimizer="sgd"),
        ...     key=jax.random.key(1),
        ... )
        >>> found.loss.shape, found.eps.tolist()[:5]
        ((8,), [0.125, 0.25, 0.375, 0.5, 0.5])
    """
    checks.key("key", key)
    one = _checked_run(f, params, data, threat, recipe, schedule, watch)
    jobs = _Jobs(
        jax.tree.map(lambda a: jnp.asarray(a)[None], params),
        one[0][None],
        one[1][None],
        jnp.asarray([threat.eps], one[0].dtype),
        jnp.asarray([schedule.learning_rate], one[0].dtype),
        key[None],
    )
    return _first(_train(f, jobs, threat, recipe, schedule, watch, single=True))


def train_robust_many(
    f: Network,
    params: PyTree,
    data: tuple[ArrayLike, ArrayLike],
    threat: Threat,
    recipe: Recipe,
    schedule: Schedule,
    *,
    runs: Runs,
    watch: Watch | None = None,
) -> Trained:
    """Train r small networks at once: a grid of seeds, radii and learning rates.

    Run i is `train_robust` from params[i] on data[i] with the i-th of `runs`.

    Args:
        f: logits (n, k) of a batch, for certified recipes one that `certified_margins` can read.
        params: where to start, with a leading axis r.
        data: samples (r, n, ...) and integer labels (r, n).
        threat: the set; its eps is replaced by each run's.
        recipe: how to train, the same for all runs.
        schedule: for how long, the same for all runs; the learning rate is each run's.
        runs: keys, radii and learning rates.
        watch: errors after every epoch, its data with a leading axis r; None for none.

    Returns:
        `Trained` with a leading axis r; a run that diverges leaves the others alone.

    Raises:
        InputError: shapes that do not fit.
    """
    checks.instance("runs", runs, Runs, "Runs(keys, eps, learning_rates)")
    keys, eps, learning_rates = runs.keys, runs.eps, runs.learning_rates
    checks.key("keys", keys, ndim=1)
    count = len(keys)
    checks.real("eps", eps), checks.real("learning_rates", learning_rates)
    checks.same_length(keys=np.zeros(count), eps=eps, learning_rates=learning_rates)
    x, y = (jnp.asarray(checks.finite("data", a)) for a in _pair("data", data))
    eps = jnp.asarray(checks.nonnegative("eps", eps, shape=(count,)), x.dtype)
    rates = checks.positive("learning_rates", learning_rates, shape=(count,))
    if x.shape[:1] != (count,) or y.shape[:2] != x.shape[:2]:
        raise InputError(
            f"data: shapes {x.shape}, {y.shape}; ({count}, n, ...) and ({count}, n) are needed"
        )
    for leaf in jax.tree.leaves(params):
        if np.shape(checks.finite("params", leaf))[:1] != (count,):
            raise InputError(f"params: a leading axis of {count}, one start a run, is needed")
    first = jax.tree.map(lambda a: a[0], params)
    if watch is not None:
        checks.instance("watch", watch, Watch, "Watch(data)")
    seen = None if watch is None else Watch(tuple(a[0] for a in watch.data), watch.samples)
    _checked_run(f, first, (x[0], y[0]), threat, recipe, schedule, seen)
    jobs = _Jobs(params, x, y, eps, jnp.asarray(rates, x.dtype), keys)
    schedule = replace(schedule, loop="device")
    return _train(f, jobs, threat, recipe, schedule, watch, single=False)


class _Jobs(NamedTuple):
    """Runs side by side: everything with a leading axis."""

    params: PyTree
    x: Array
    y: Array
    eps: Array
    rate: Array
    key: Array


def _first(found: Trained) -> Trained:
    each = {
        name: jax.tree.map(lambda a: a[0], getattr(found, name))
        for name in Trained.__dataclass_fields__
        if name != "looked"
    }
    return Trained(**each, looked=found.looked)


def _checked_run(
    f: Network, params: PyTree, data: Any, threat: Any, recipe: Any, schedule: Any, watch: Any
) -> tuple[Array, Array]:
    checks.instance("recipe", recipe, Recipe, "Recipe(...)")
    checks.instance("schedule", schedule, Schedule, "Schedule(...)")
    x, y, _ = _checked(f, params, *_pair("data", data))
    checked_threat(threat, x.shape[1:])
    if schedule.batch_size > len(x):
        raise InputError(f"batch_size = {schedule.batch_size}; at most n = {len(x)} is needed")
    if isinstance(threat, LpBall) and threat.p == 1 and recipe.kind in ("adversarial", "trades"):
        raise InputError("threat.p = 1; no attack on an l1 ball is here, take p = 2 or math.inf")
    if watch is not None:
        checks.instance("watch", watch, Watch, "Watch(data)")
        _checked(f, params, *watch.data)
    return x, jnp.asarray(y)


def _pair(name: str, data: Any) -> tuple[Any, Any]:
    """(x, y), or an `InputError`."""
    if not isinstance(data, tuple | list) or len(data) != 2 or np.ndim(data[0]) < 2:
        raise InputError(f"{name} = {checks.shown(data)}; a pair (x, y) of arrays is needed")
    return data[0], data[1]


def _train(
    f: Network,
    jobs: _Jobs,
    threat: Threat,
    recipe: Recipe,
    schedule: Schedule,
    watch: Watch | None,
    *,
    single: bool,
) -> Trained:
    loop, optimizer = schedule.loop, schedule.transformation()
    schedule = replace(schedule, loop=None, learning_rate=1.0)  # in no compiled program
    start = jax.tree.map(lambda a: jnp.array(a, copy=True), jobs.params)  # the carry is donated
    carry = _Carry(start, jax.vmap(optimizer.init)(start))
    n = jobs.x.shape[1]
    per_epoch = n // schedule.batch_size
    fixed = {"f": f, "recipe": recipe, "schedule": schedule}
    if loop is None:
        program = read(f, jax.tree.map(lambda a: a[0], jobs.params), jobs.x.shape[2:])
        convolves = any(s.name == "conv_general_dilated" for s in program.steps)
        loop = "host" if convolves and jax.default_backend() == "cpu" else "device"
    if single:  # without a batch axis convolutions stay convolutions
        carry, jobs = jax.tree.map(lambda a: a[0], (carry, jobs))
    losses, looks = [], []
    for epoch in range(schedule.epochs):
        if loop == "device":
            carry, loss = _epoch(carry, jobs, threat, epoch, single=single, **fixed)
        else:
            each = []
            order = jax.random.permutation(jax.random.fold_in(jobs.key, epoch), n)
            for i in range(per_epoch):
                t = epoch * per_epoch + i
                picked = order[i * schedule.batch_size : (i + 1) * schedule.batch_size]
                carry, loss = _one_step(carry, jobs, threat, picked, t, **fixed)
                each.append(loss)
            loss = jnp.stack(each).mean()
        losses.append(np.asarray(loss).reshape(-1))
        if watch is not None and ((epoch + 1) % watch.every == 0 or epoch + 1 == schedule.epochs):
            looks.append((epoch + 1, _look(f, carry.params, jobs, threat, watch, single)))
    history = np.stack(losses, 1)
    if single and not np.isfinite(history).all():
        at = int(np.argmin(np.isfinite(history[0])))
        raise InputError(
            f"learning_rate: the loss is not finite in epoch {at}; a smaller one, or "
            f"Schedule(clip_norm=1.0), is needed"
        )
    shares = np.array(
        [schedule.eps_share((e + 1) * per_epoch, per_epoch) for e in range(schedule.epochs)]
    )
    eps = np.asarray(jobs.eps).reshape(-1)
    params = jax.tree.map(lambda a: a[None], carry.params) if single else carry.params
    measured = (
        np.stack([np.asarray(m).reshape(4, -1) for _, m in looks], 2)
        if looks
        else np.full((4, len(eps), 0), np.nan)
    )
    return Trained(
        params, history, eps[:, None] * shares, np.array([e for e, _ in looks]), *measured
    )


def _step(
    carry: _Carry,
    jobs: _Jobs,
    threat: Threat,
    picked: Array,
    t: Array,
    f: Network,
    recipe: Recipe,
    schedule: Schedule,
) -> tuple[_Carry, Array]:
    """One step of one run; `jobs` without a leading axis."""
    per_epoch = len(jobs.x) // schedule.batch_size
    eps = jobs.eps * schedule.eps_share(t, per_epoch).astype(jobs.x.dtype)
    ramp = schedule.ramp_at(t, per_epoch).astype(jobs.x.dtype)
    key = jax.random.fold_in(jax.random.fold_in(jobs.key, 0x0AD7), t)
    moment = Moment(eps, jobs.eps, ramp, key)
    x, y = jobs.x[picked], jobs.y[picked]

    def loss(params: PyTree) -> Array:
        batch = Batch(f, params, x, y, with_eps(threat, eps), moment)
        return objective(recipe, batch).mean()

    value, gradient = jax.value_and_grad(loss)(carry.params)
    optimizer = schedule.transformation()
    update, state = optimizer.update(gradient, carry.state, carry.params)
    rate = jobs.rate * schedule.rate_share(t, per_epoch).astype(jobs.x.dtype)
    params = jax.tree.map(lambda p, u: (p - rate * u).astype(p.dtype), carry.params, update)
    return _Carry(params, state), value


_one_step = partial(jax.jit, static_argnames=("f", "recipe", "schedule"), donate_argnums=0)(_step)


@partial(jax.jit, static_argnames=("f", "recipe", "schedule", "single"), donate_argnums=0)
def _epoch(
    carry: _Carry,
    jobs: _Jobs,
    threat: Threat,
    epoch: Array,
    *,
    f: Network,
    recipe: Recipe,
    schedule: Schedule,
    single: bool,
) -> tuple[_Carry, Array]:
    def one(carry: _Carry, job: _Jobs) -> tuple[_Carry, Array]:
        n, size = len(job.x), schedule.batch_size
        order = jax.random.permutation(jax.random.fold_in(job.key, epoch), n)
        if size == n:
            order = jnp.arange(n)

        def body(carry: _Carry, i: Array) -> tuple[_Carry, Array]:
            picked = jax.lax.dynamic_slice_in_dim(order, i * size, size)
            t = epoch * (n // size) + i
            return _step(carry, job, threat, picked, t, f, recipe, schedule)

        carry, losses = jax.lax.scan(body, carry, jnp.arange(n // size))
        return carry, losses.mean()

    return one(carry, jobs) if single else jax.vmap(one)(carry, jobs)


def _look(
    f: Network, params: PyTree, jobs: _Jobs, threat: Threat, watch: Watch, single: bool
) -> Array:
    x, y = (jnp.asarray(a) for a in watch.data)
    at = slice(None, watch.samples)
    x, y = (x[at], y[at]) if single else (x[:, at], y[:, at])
    options = (watch.attack_steps, watch.certify, watch.unstable)
    seen = jobs._replace(params=params, x=x, y=y)
    return _measure(f, seen, threat, options=options, single=single)


@partial(jax.jit, static_argnames=("f", "options", "single"))
def _measure(f: Network, seen: _Jobs, threat: Threat, *, options: Any, single: bool) -> Array:
    steps, certify, unstable = options

    def one(job: _Jobs) -> Array:
        params, x, y, eps, _, key = job
        set_ = with_eps(threat, eps)
        network = partial(f, params)
        recipe = Recipe("adversarial", attack_steps=steps)
        clean = ~(margin(network(x), y) > 0)  # not a number is wrong too
        wrong = clean
        if isinstance(set_, LineUnion) or set_.p != 1:
            at = worst_points(network, x, y, set_, recipe, key, lambda z: -margin(network(z), y))
            wrong = clean | ~(margin(network(at), y) > 0)
        none = jnp.full((), jnp.nan, x.dtype)
        batch = Batch(f, params, x, y, set_, Moment(eps, eps, 1.0, key))
        uncertain = none
        if certify is not None:
            uncertain = 1 - (lower_margins(batch, certify, recipe) > 0).all(1).mean()
        share = none
        if unstable:
            share = unstable_share(f, params, x, set_)
        return jnp.stack([clean.mean(), wrong.mean(), uncertain, share])

    return one(seen) if single else jax.vmap(one, out_axes=1)(seen)


def unstable_share(f: Network, params: PyTree, x: Array, threat: Threat) -> Float[Array, ""]:
    """The share of unstable neurons (l <= 0 <= u, COAP's bounds) over samples and layers."""
    program = read(f, params, x.shape[1:])
    flow = Flow(program, program.constants_at(params))

    def one(x: Array) -> Array:
        known = layers(flow, x, threat, relaxation("coap"))
        flat = [((l <= 0) & (u >= 0)).ravel() for l, u in known.bounds.values()]
        return jnp.concatenate(flat).mean()

    return jax.vmap(one)(x).mean()
