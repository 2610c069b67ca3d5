"""Success of a collective against its size: many sizes and seeds, the same compiled programs.

Source: Ben-Dov, Fawkes, Samadi, Sanyal (ICML 2024), experiments.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int, Key, PyTree

from theorylab import checks
from theorylab.collective.checks import classes_of, label
from theorylab.collective.finite import STRATEGIES, Strategy
from theorylab.collective.rules import ERM, Model, Rule
from theorylab.collective.signals import Signal, choose_members, plant
from theorylab.collective.training import Run, fit, select_by_validation, training_options
from theorylab.pytrees import register


class Sample(NamedTuple):
    """Training and test data of one seed, nothing planted yet.

    Attributes:
        x, y: (n, ...) training samples and (n,) their labels.
        x_test, y_test: (m, ...) test samples and (m,) their labels.
        groups: (n,) for `GroupDRO`, the labels by default.
    """

    x: Float[Array, "n ..."]
    y: Int[Array, " n"]
    x_test: Float[Array, "m ..."]
    y_test: Int[Array, " m"]
    groups: Int[Array, " n"] | None = None


@register()
@dataclass(frozen=True)
class Curve:
    """Success curves over A sizes, S seeds and C checkpoints.

    Attributes:
        alphas, checkpoints: the axes (A,) and (C,).
        success: (A, S, C) share of test points, of all labels, that are given y* when they carry
            the signal.
        baseline: (A, S, C) the same when they do not carry it: what success is by chance.
        accuracy: (A, S, C) on clean test points.
        alpha_eff: (A, S) share of the collective in the summed weights of all samples, each the
            mean over its visits: what re-weighting makes of the size, as the paper has it and
            `effective_size_from_weights` computes it. `alpha_eff_steps` averages otherwise.
        alpha_shuffled: (A, S) the same for random points in place of the members: a check on the
            measurement.
        share: (A, S, C) share of the collective in the weights between checkpoints.
        e_c, e_0: (A, S) shares of the members and of the others whose weight is above the mean of
            all; for JTT these are the errors of its first stage on the collective and on the rest.
    """

    alphas: Float[Array, " a"]
    checkpoints: Int[Array, " c"]
    success: Float[Array, "a s c"]
    baseline: Float[Array, "a s c"]
    accuracy: Float[Array, "a s c"]
    alpha_eff: Float[Array, "a s"]
    alpha_shuffled: Float[Array, "a s"]
    share: Float[Array, "a s c"]
    e_c: Float[Array, "a s"]
    e_0: Float[Array, "a s"]

    @property
    def alpha_eff_steps(self) -> Float[Array, "a s"]:
        """Mean over the steps of the share of the collective in the weights of each.

        A step counts once, whatever its weights sum to: another number than `alpha_eff` where steps
        weigh differently in all, or visit unequal numbers of members. NaN without members.
        """
        return self.share.mean(-1)


def success(
    f: Model, params: PyTree, x: Float[ArrayLike, "m ..."], signal: Signal, y_star: int
) -> Float[Array, ""]:
    """Share of the points, of all labels, that the model gives y_star once they carry the signal.

    Args:
        f, params: `f(params, x) -> logits` and its parameters.
        x: (m, ...) points without the signal.
        signal: what plants it.
        y_star: target label.

    Returns:
        The share, in [0, 1].

    Raises:
        InputError: data or a label that do not fit the model.
    """
    signalled = checks.function("signal", signal)(jnp.asarray(checks.finite("x", x)))
    label("y_star", y_star, classes_of(f, params, signalled))
    return (f(params, signalled).argmax(-1) == y_star).mean()


def success_curve(  # noqa: PLR0913
    f: Model,
    init: Callable[[Key[Array, ""]], PyTree],
    sample: Callable[[Key[Array, ""]], Sample],
    *,
    signal: Signal,
    y_star: int,
    alphas: Float[ArrayLike, "a"] | Sequence[float],
    keys: Key[Array, "s"],
    optimizer: optax.GradientTransformation,
    steps: int,
    rule: Rule | None = None,
    strategy: Strategy = "feature_label",
    batch_size: int | None = None,
    every: int | None = None,
    runs_at_once: int | None = None,
    mesh: Mesh | None = None,
) -> Curve:
    """Plant, train and evaluate for every size and seed.

    Two compiled programs do it (train; evaluate), whatever the number of sizes and seeds; the
    second is shared by all rules. A seed fixes the data, the order in which people join (a larger
    collective contains a smaller one), the initial parameters and the batches. `f`, `init`,
    `sample`, `signal`, `optimizer` and `rule` are static: pass the same objects again and nothing
    is compiled a second time. For one run on data of your own use `plant`, `fit` and `success`.

    Args:
        f: `f(params, x) -> logits` (n, K).
        init: key -> parameters.
        sample: key -> `Sample`.
        signal: what members plant.
        y_star: target label.
        alphas: (A,) sizes, in [0, 1].
        keys: (S,) typed keys, one for each seed.
        optimizer: an optax optimizer.
        steps, batch_size, every, rule: as in `fit`.
        strategy: as in `plant`.
        runs_at_once: (size, seed) pairs trained side by side; memory grows with it. By default 1 on
            CPU, where a batch of small products gains nothing, and all elsewhere.
        mesh: spread the runs over these devices, all at once.

    Returns:
        A `Curve`.

    Raises:
        InputError: empty axes, sizes outside [0, 1], untyped keys, and what `fit` refuses.

    Examples:
        >>> from theorylab.collective import coordinate_trigger, gaussian_classes
        >>> def sample(key):
        ...     train, test = jax.random.split(key)
        ...     x, y = gaussian_classes(train, 200, classes=2, dim=2)
        ...     return Sample(x, y, *gaussian_classes(test, 100, classes=2, dim=2))
        >>> curve = success_curve(
        ...     lambda w, x: x @ w, lambda key: jnp.zeros((3, 2)), sample,
        ...     signal=coordinate_trigger(2, 1.0), y_star=0, alphas=[0.0, 0.3],
        ...     keys=jax.random.split(jax.random.key(0), 2), optimizer=optax.sgd(0.5), steps=200)
        >>> curve.success.shape, bool((curve.success[1] > curve.success[0] + 0.2).all())
        ((2, 2, 1), True)
    """
    sizes = _checked(f, init, sample, signal, y_star, alphas, keys)
    training_options(optimizer, rule, steps, batch_size, every)
    checks.choice("strategy", strategy, STRATEGIES)
    if runs_at_once is not None:
        runs_at_once = checks.count("runs_at_once", runs_at_once)
    if mesh is not None:
        checks.instance("mesh", mesh, Mesh, "a jax.sharding.Mesh, or None,")
    runs = len(sizes) * keys.size
    if runs_at_once is None:
        runs_at_once = 1 if jax.default_backend() == "cpu" else runs
    runs_at_once = runs if mesh is not None else min(runs_at_once, runs)
    train = partial(
        fit,
        f,
        optimizer=optimizer,
        steps=steps,
        rule=rule or ERM(),
        batch_size=batch_size,
        every=every,
    )
    parts = []
    for rows in np.split(_rows(runs, runs_at_once, mesh), range(runs_at_once, runs, runs_at_once)):
        tasks = [
            _draw(
                sizes[i // keys.size],
                keys[i % keys.size],
                init,
                sample,
                signal,
                int(y_star),
                strategy,
            )
            for i in rows
        ]
        task = jax.tree.map(lambda *leaves: jnp.stack(leaves), *tasks)
        if mesh is not None:
            task = jax.device_put(task, NamedSharding(mesh, PartitionSpec(mesh.axis_names)))
        run = jax.vmap(
            lambda t: train(t.params, t.x, t.y, key=t.key, members=t.members, groups=t.groups)
        )(task)
        parts.append((run.checkpoints[0], _score(run, task, f, signal, int(y_star))))
    arrays = jax.tree.map(lambda *a: jnp.concatenate(a)[:runs], *(scores for _, scores in parts))
    shaped = {name: a.reshape(len(sizes), keys.size, *a.shape[1:]) for name, a in arrays.items()}
    return Curve(sizes, parts[0][0], **shaped)


class _Task(NamedTuple):
    """A planted training set and what is needed to train on it and to judge the result."""

    params: PyTree
    key: Key[Array, ""]
    x: Float[Array, "n ..."]
    y: Int[Array, " n"]
    groups: Int[Array, " n"]
    members: Bool[Array, " n"]
    strangers: Bool[Array, " n"]
    x_test: Float[Array, "m ..."]
    y_test: Int[Array, " m"]


def _rows(runs: int, count: int, mesh: Mesh | None) -> Int[np.ndarray, " r"]:
    """Numbers of the runs, the first ones repeated to fill up.

    Until `count` (or the number of devices) divides them.
    """
    return np.arange(runs + -runs % (count if mesh is None else mesh.devices.size)) % runs


def _checked(
    f: Any, init: Any, sample: Any, signal: Any, y_star: Any, alphas: Any, keys: Any
) -> Float[Array, " a"]:
    """The sizes, after a look at what both kinds of curves are given."""
    for name, value in (("f", f), ("init", init), ("sample", sample), ("signal", signal)):
        checks.function(name, value)
    checks.key("keys", keys, ndim=1)
    label("y_star", y_star)
    return jnp.asarray(checks.within("alphas", alphas, 0, 1, ndim=1), float)


def _draw(
    alpha: Array,
    key: Array,
    init: Callable,
    sample: Callable,
    signal: Signal,
    y_star: int,
    strategy: Strategy,
) -> _Task:
    # one run at a time and not compiled as a whole: drawing takes XLA seconds to compile and
    # milliseconds to run
    for_data, for_init, for_members, for_order, for_check = jax.random.split(key, 5)
    data = Sample(*sample(for_data))
    members = choose_members(for_members, len(data.y), alpha)
    x, y = plant(data.x, data.y, members, signal, y_star, strategy=strategy)
    groups = y if data.groups is None else data.groups
    strangers = jax.random.permutation(for_check, members)
    return _Task(
        init(for_init), for_order, x, y, groups, members, strangers, data.x_test, data.y_test
    )


@partial(jax.jit, static_argnames=("f", "signal", "y_star"))
def _score(run: Run, task: _Task, f: Model, signal: Signal, y_star: int) -> dict[str, Array]:
    def one(run: Run, task: _Task) -> dict[str, Array]:
        def test(params: PyTree) -> dict[str, Array]:
            clean = f(params, task.x_test).argmax(-1)
            hits = success(f, params, task.x_test, signal, y_star)
            return {
                "success": hits,
                "baseline": (clean == y_star).mean(),
                "accuracy": (clean == task.y_test).mean(),
            }

        heavy = run.weights > run.weights.mean() * (1 + 1e-4)
        return jax.lax.map(test, run.path) | {
            "share": run.share,
            "alpha_eff": _part(run.weights, task.members),
            "alpha_shuffled": _part(run.weights, task.strangers),
            "e_c": _part(task.members * 1.0, heavy),
            "e_0": _part(~task.members * 1.0, heavy),
        }

    return jax.vmap(one)(run, task)


def _part(weights: Float[Array, " n"], mask: Array) -> Float[Array, ""]:
    """Share of the masked samples in the weights; 0 of nothing is 0."""
    return (weights * mask).sum() / jnp.maximum(weights.sum(), jnp.finfo(weights.dtype).tiny)


@register()
@dataclass(frozen=True)
class Selection:
    """Success (A, S) of the checkpoint that a validation set selects.

    By what the collective does to that set.

    Attributes:
        clean: nothing.
        contaminated: signal and target label, in the share alpha.
        signal_only: the signal with the true labels.
        last: no selection, the end of training.
    """

    clean: Float[Array, "a s"]
    contaminated: Float[Array, "a s"]
    signal_only: Float[Array, "a s"]
    last: Float[Array, "a s"]


def selected_success(  # noqa: PLR0913
    f: Model,
    init: Callable[[Key[Array, ""]], PyTree],
    sample: Callable[[Key[Array, ""]], Sample],
    *,
    criterion: Callable[[Float[Array, " m"]], Float[Array, ""]],
    signal: Signal,
    y_star: int,
    alphas: Float[ArrayLike, "a"] | Sequence[float],
    keys: Key[Array, "s"],
    optimizer: optax.GradientTransformation,
    steps: int,
    rule: Rule | None = None,
    batch_size: int | None = None,
    every: int = 1,
) -> Selection:
    """Measure whether it matters that the collective is in the validation set.

    One run per size and seed, stopped in four ways. `sample(key)` draws twice: a second draw's
    training part is the validation set.

    Args:
        f, init, sample, signal, y_star, alphas, keys: as in `success_curve`.
        optimizer, steps, rule, batch_size, every: as in `fit`.
        criterion: from validation losses (m,) to the number that is minimised over checkpoints.

    Returns:
        A `Selection`.

    Raises:
        InputError: as `success_curve`.
    """
    sizes = _checked(f, init, sample, signal, y_star, alphas, keys)
    training_options(optimizer, rule, steps, batch_size, checks.count("every", every))
    checks.function("criterion", criterion)

    def one(alpha: Array, key: Array) -> tuple[Array, ...]:
        return _selection(
            alpha,
            key,
            f,
            init,
            sample,
            criterion,
            signal,
            int(y_star),
            optimizer,
            rule or ERM(),
            steps,
            batch_size,
            every,
        )

    found = [[one(alpha, key) for key in keys] for alpha in sizes]
    return Selection(*(jnp.asarray(column) for column in zip(*map(_columns, found), strict=True)))


def _columns(row: list[tuple[Array, ...]]) -> list[Array]:
    return [jnp.stack(column) for column in zip(*row, strict=True)]


@partial(jax.jit, static_argnums=tuple(range(2, 13)))
def _selection(  # noqa: PLR0913
    alpha: Array,
    key: Array,
    f: Model,
    init: Callable,
    sample: Callable,
    criterion: Callable,
    signal: Signal,
    y_star: int,
    optimizer: optax.GradientTransformation,
    rule: Rule,
    steps: int,
    batch_size: int | None,
    every: int,
) -> tuple[Array, ...]:
    for_data, for_init, for_members, for_order, for_check = jax.random.split(key, 5)
    data, held_out = Sample(*sample(for_data)), Sample(*sample(for_check))
    members, seconds = (choose_members(k, len(data.y), alpha) for k in (for_members, for_check))
    x, y = plant(data.x, data.y, members, signal, y_star)
    run = fit(
        f,
        init(for_init),
        x,
        y,
        key=for_order,
        optimizer=optimizer,
        steps=steps,
        rule=rule,
        batch_size=batch_size,
        every=every,
    )
    signalled, relabelled = plant(held_out.x, held_out.y, seconds, signal, y_star)
    sets = ((held_out.x, held_out.y), (signalled, relabelled), (signalled, held_out.y))
    chosen = [select_by_validation(f, run.path, *v, criterion) for v in sets]
    at = [jax.tree.map(lambda leaf, i=i: leaf[i], run.path) for i in (*chosen, -1)]
    return tuple(success(f, params, data.x_test, signal, y_star) for params in at)
