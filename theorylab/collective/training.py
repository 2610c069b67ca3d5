"""One training loop for all rules.

A scan whose carry holds parameters, the rule's state and the weights so far. Source: gradient
descent on sum_i weights_i loss_i; the rules are cited in `rules`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int, Key, PyTree

from theorylab import checks
from theorylab.collective.checks import classes_of, samples
from theorylab.collective.rules import ERM, Batch, GroupDRO, Model, Problem, Rule, Start
from theorylab.deprecation import old_options
from theorylab.errors import InputError
from theorylab.nets.descent import descend
from theorylab.pytrees import register

TRAINING = "optimizer steps rule batch_size every"  # what was given without a record before 0.2
_ERM = ERM()


@dataclass(frozen=True)
class Training:
    """How a learner is trained.

    Two equal ones share what was compiled: pass the same optimizer and rule again.

    Attributes:
        optimizer: an optax optimizer.
        steps: gradient steps.
        rule: `ERM()`, `JTT`, `LfF`, `CVaR`, `Chi2`, `GroupDRO` or your own.
        batch_size: samples per step, None for all; else batches follow a new permutation
            every epoch, its last n mod batch_size samples left out.
        every: steps between two checkpoints; it must divide `steps`. None where the end is the only
            one.

    Raises:
        InputError: counts below 1, `every` that does not divide `steps`, what is no optimizer or no
            rule.
    """

    optimizer: optax.GradientTransformation
    steps: int
    rule: Rule = _ERM
    batch_size: int | None = None
    every: int | None = None

    def __post_init__(self) -> None:
        if self.rule is None:  # as the argument was before
            object.__setattr__(self, "rule", _ERM)
        checks.count("steps", self.steps)
        for name in ("batch_size", "every"):
            if getattr(self, name) is not None:
                checks.count(name, getattr(self, name))
        if self.every is not None and self.steps % self.every:
            raise InputError(
                f"every = {self.every} does not divide steps = {self.steps}; choose a divisor"
            )
        for name, methods, need in (
            ("optimizer", ("init", "update"), "an optax optimizer"),
            ("rule", ("init", "weigh"), "ERM(), JTT(100, 5.0) or another rule"),
        ):
            value = getattr(self, name)
            if not all(callable(getattr(value, method, None)) for method in methods):
                raise InputError(f"{name} = {checks.shown(value)}; {need} is needed")

    def on(self, n: int) -> "Training":
        """The same on n samples: full batches are no batches, the end is a checkpoint."""
        size = self.batch_size
        if size is not None and size > n:
            raise InputError(f"batch_size = {size} is above the number of samples, {n}")
        return replace(self, batch_size=None if size == n else size, every=self.every or self.steps)


@register()
@dataclass(frozen=True)
class Run:
    """A training run.

    Attributes:
        path: parameters at the checkpoints, every array with a leading axis C.
        checkpoints: (C,) numbers of steps taken by then.
        weights: (n,) mean weight that a sample had when it was visited, times the batch size; 0 if
            it never was.
        share: (C,) share of the collective in the weights of the steps since the last checkpoint;
            NaN without members.
    """

    path: PyTree
    checkpoints: Int[Array, " c"]
    weights: Float[Array, " n"]
    share: Float[Array, " c"]

    @property
    def params(self) -> PyTree:
        """Parameters after the last step."""
        return jax.tree.map(lambda leaf: leaf[-1], self.path)


@old_options(training=(Training, TRAINING))
def fit(
    f: Model,
    params: PyTree,
    x: Float[ArrayLike, "n ..."],
    y: Int[ArrayLike, "n"],
    training: Training,
    *,
    key: Key[Array, ""],
    members: Bool[ArrayLike, "n"] | None = None,
    groups: Int[ArrayLike, "n"] | None = None,
) -> Run:
    """Train a classifier by gradient steps on the cross-entropy, samples weighed by a rule.

    Can be called inside `jit` and `vmap` (members, data, key and parameters may be traced). `f` and
    `training` are static: pass the same `f`, optimizer and rule again and nothing is compiled a
    second time. For plain training of a Flax module use `theorylab.nets.fit`.

    Args:
        f: `f(params, x) -> logits` (n, K); `nets.functional` makes one of a Flax module.
        params: initial parameters.
        x, y: (n, ...) samples and (n,) integer labels.
        training: optimizer, steps, rule, batches and checkpoints.
        key: typed key of the batches and of the rule.
        members: (n,) the collective, whose share in the weights is recorded.
        groups: (n,) for `GroupDRO`; the labels by default.

    Returns:
        A `Run`.

    Raises:
        InputError: sizes that do not match, labels that are no integers below K, non-finite data.

    Examples:
        >>> import optax
        >>> from theorylab.collective import CVaR
        >>> x, y = jnp.array([[1.0], [-1.0], [0.1], [-2.0]]), jnp.array([1, 0, 0, 0])
        >>> training = Training(optax.sgd(0.5), steps=50, rule=CVaR(0.25))
        >>> run = fit(lambda w, x: x * w, jnp.zeros(2), x, y, training, key=jax.random.key(0))
        >>> int(run.weights.argmax())  # the sample that is hardest weighs the most
        2
    """
    x, y = samples(x, y)
    checks.key("key", key)
    checks.instance("training", training, Training, "Training(optax.sgd(0.1), steps=100)")
    n, training = len(y), training.on(len(y))
    mask = jnp.zeros(n, bool) if members is None else jnp.asarray(checks.real("members", members))
    if mask.dtype != bool or mask.shape != y.shape:
        raise InputError(
            f"members is {mask.dtype}{list(mask.shape)}; a bool for each of the {n} samples is "
            "needed"
        )
    jax.tree.map(lambda leaf: checks.finite("params", leaf), params)
    classes = classes_of(f, params, x)
    checks.labels("y", y, classes=classes)
    rule = training.rule
    top = (rule.num_groups or classes) if isinstance(rule, GroupDRO) else None
    labels = jnp.asarray(checks.labels("groups", y if groups is None else groups, n=n, classes=top))
    return _fit(f, Start(params, x, y, labels, key), mask, training)


@partial(jax.jit, static_argnames=("f", "training"))
def _fit(f: Model, start: Start, members: Array, training: Training) -> Run:
    rule, steps, every = training.rule, training.steps, training.every or training.steps
    problem = Problem(f, training.optimizer, training.batch_size, _train)
    step = _stepper(problem, rule, start)
    carry = _first(problem, rule, start)

    def stage(carry: PyTree, schedule: Array) -> tuple[PyTree, tuple[PyTree, Array]]:
        def one(carried: tuple[PyTree, Array], rows: Array) -> tuple[tuple[PyTree, Array], None]:
            carry, share = carried
            carry, batch, weights = step(carry, rows)
            ours = (weights * members[batch.rows]).sum() / jnp.maximum(
                weights.sum(), jnp.finfo(weights.dtype).tiny
            )
            return (carry, share + ours), None

        zero = jnp.zeros((), jax.eval_shape(f, start.params, start.x[:1]).dtype)
        (carry, share), _ = jax.lax.scan(one, (carry, zero), schedule)
        return carry, (carry[0], share / every)

    schedule = _schedule(problem, start, steps)
    carry, (path, share) = jax.lax.scan(
        stage, carry, schedule.reshape(steps // every, every, *schedule.shape[1:])
    )
    total, visits = carry[-2:]
    share = jnp.where(members.any(), share, jnp.nan)
    checkpoints = every * jnp.arange(1, steps // every + 1)
    return Run(path, checkpoints, total / jnp.maximum(visits, 1), share)


def _train(problem: Problem, rule: Rule, start: Start, steps: int) -> PyTree:
    """Parameters after some steps; for rules that train a stage of their own."""
    step = _stepper(problem, rule, start)
    carry, _ = jax.lax.scan(
        lambda c, rows: (step(c, rows)[0], None),
        _first(problem, rule, start),
        _schedule(problem, start, steps),
    )
    return carry[0]


def _schedule(problem: Problem, start: Start, steps: int) -> Int[Array, "t b"]:
    """Rows of every step's batch: a new order each epoch, cut into batches.

    Full batches need none: (t, 0). Drawn ahead of the loop, in which a sort would take longer to
    compile and to run than small models do.
    """
    n, size = len(start.y), problem.batch_size
    if size is None:
        return jnp.zeros((steps, 0), int)
    per_epoch = n // size
    orders = jnp.argsort(jax.random.bits(start.key, (-(-steps // per_epoch), n)), axis=1)
    return orders[:, : per_epoch * size].reshape(-1, size)[:steps]


def _first(problem: Problem, rule: Rule, start: Start) -> tuple[Any, ...]:
    """(params, optimizer state, rule state, summed weights, visits)."""
    n = len(start.y)
    zeros = jnp.zeros(n, jax.eval_shape(problem.f, start.params, start.x[:1]).dtype)
    return (
        start.params,
        problem.optimizer.init(start.params),
        rule.init(problem, start),
        zeros,
        zeros,
    )


def _stepper(
    problem: Problem, rule: Rule, start: Start
) -> Callable[[tuple[Any, ...], Array], tuple[Any, Batch, Array]]:
    n, size = len(start.y), problem.batch_size
    data = (jnp.arange(n), start.x, start.y, start.groups)

    def step(carry: tuple[Any, ...], rows: Array) -> tuple[Any, Batch, Array]:
        params, opt_state, state, total, visits = carry
        rows, x, y, groups = data if size is None else tuple(a[rows] for a in data)

        def losses(params: PyTree) -> Array:
            return optax.softmax_cross_entropy_with_integer_labels(problem.f(params, x), y)

        # one forward pass gives the losses that the weights need
        values, pull = jax.vjp(losses, params)
        batch = Batch(rows, x, y, groups, values)
        weights, state = rule.weigh(problem, state, batch)
        (gradient,) = pull(weights)
        params, opt_state = descend(
            problem.optimizer,
            gradient,
            opt_state,
            params,
            value=weights @ values,
            value_fn=lambda params: weights @ losses(params),
        )
        if size is None:
            total, visits = total + weights * len(rows), visits + 1
        else:
            total, visits = total.at[rows].add(weights * len(rows)), visits.at[rows].add(1)
        return (params, opt_state, state, total, visits), batch, weights

    return step


def select_by_validation(
    f: Model,
    path: PyTree,
    x: ArrayLike,
    y: ArrayLike,
    criterion: Callable[[Float[Array, " m"]], Float[Array, ""]],
) -> Int[Array, ""]:
    """Number of the checkpoint whose criterion of the validation losses is the least.

    Args:
        f: `f(params, x) -> logits`.
        path: parameters with a leading axis of checkpoints, as `Run.path`.
        x, y: (m, ...) validation samples and (m,) labels.
        criterion: of the losses (m,): `jnp.mean`, or `partial(cvar_risk, size=0.2)`.

    Returns:
        The number of the checkpoint; one that diverged is never the best.

    Raises:
        InputError: a path without checkpoints, data that do not fit the model.
    """
    x, y = samples(x, y)
    checks.function("criterion", criterion)
    path = jax.tree.map(lambda leaf: jnp.asarray(checks.real("path", leaf)), path)
    if len({leaf.shape[0] if leaf.ndim else 0 for leaf in jax.tree.leaves(path)} - {0}) != 1:
        raise InputError(
            f"path = {checks.shown(path)}; parameters with a leading axis of checkpoints are needed"
        )
    classes = classes_of(f, jax.tree.map(lambda leaf: leaf[0], path), x, "path, x")
    checks.labels("y", y, classes=classes)

    def value(params: PyTree) -> Array:
        return criterion(optax.softmax_cross_entropy_with_integer_labels(f(params, x), y))

    values = jax.lax.map(value, path)
    # a diverged checkpoint is never the best
    return jnp.argmin(jnp.where(jnp.isnan(values), jnp.inf, values))
