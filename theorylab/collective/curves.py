"""Success of a collective against its size: many sizes and seeds, the same compiled programs.

Source: Ben-Dov, Fawkes, Samadi, Sanyal (ICML 2024), experiments.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int, Key, PyTree

from theorylab import checks
from theorylab.collective.settings import SETTING, Sample, Setting, check_axes, success
from theorylab.collective.signals import choose_members
from theorylab.collective.training import TRAINING, Run, Training, fit
from theorylab.deprecation import old_options
from theorylab.pytrees import register


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


@old_options("f init sample", setting=(Setting, SETTING), training=(Training, TRAINING))
def success_curve(
    setting: Setting,
    training: Training,
    *,
    alphas: Float[ArrayLike, "a"] | Sequence[float],
    keys: Key[Array, "s"],
    runs_at_once: int | None = None,
    mesh: Mesh | None = None,
) -> Curve:
    """Plant, train and evaluate for every size and seed.

    Two compiled programs do it (train; evaluate), whatever the number of sizes and seeds; the
    second is shared by all rules. A seed fixes the data, the order in which people join (a larger
    collective contains a smaller one), the initial parameters and the batches. `setting` and
    `training` are static: pass the same functions, optimizer and rule again and nothing is compiled
    a second time. For one run on data of your own use `plant`, `fit` and `success`.

    Args:
        setting: the learner, its data, and what the collective plants in them.
        training: as in `fit`.
        alphas: (A,) sizes, in [0, 1].
        keys: (S,) typed keys, one for each seed.
        runs_at_once: (size, seed) pairs trained side by side; memory grows with it. By default 1 on
            CPU, where a batch of small products gains nothing, and all elsewhere.
        mesh: spread the runs over these devices, all at once.

    Returns:
        A `Curve`.

    Raises:
        InputError: empty axes, sizes outside [0, 1], untyped keys, and what `fit` refuses.

    Examples:
        >>> import optax
        >>> from theorylab.collective import Sample, coordinate_trigger, gaussian_classes
        >>> def sample(key):
        ...     train, test = jax.random.split(key)
        ...     x, y = gaussian_classes(train, 200, classes=2, dim=2)
        ...     return Sample(x, y, *gaussian_classes(test, 100, classes=2, dim=2))
        >>> setting = Setting(lambda w, x: x @ w, lambda key: jnp.zeros((3, 2)), sample,
        ...                   signal=coordinate_trigger(2, 1.0), y_star=0)
        >>> curve = success_curve(setting, Training(optax.sgd(0.5), steps=200), alphas=[0.0, 0.3],
        ...                       keys=jax.random.split(jax.random.key(0), 2))
        >>> curve.success.shape, bool((curve.success[1] > curve.success[0] + 0.2).all())
        ((2, 2, 1), True)
    """
    sizes = check_axes(setting, alphas, keys)
    checks.instance("training", training, Training, "Training(optax.sgd(0.1), steps=100)")
    if runs_at_once is not None:
        runs_at_once = checks.count("runs_at_once", runs_at_once)
    if mesh is not None:
        checks.instance("mesh", mesh, Mesh, "a jax.sharding.Mesh, or None,")
    runs = len(sizes) * keys.size
    if runs_at_once is None:
        runs_at_once = 1 if jax.default_backend() == "cpu" else runs
    runs_at_once = runs if mesh is not None else min(runs_at_once, runs)
    parts = []
    for rows in np.split(_rows(runs, runs_at_once, mesh), range(runs_at_once, runs, runs_at_once)):
        tasks = [_draw(sizes[i // keys.size], keys[i % keys.size], setting) for i in rows]
        task = jax.tree.map(lambda *leaves: jnp.stack(leaves), *tasks)
        if mesh is not None:
            task = jax.device_put(task, NamedSharding(mesh, PartitionSpec(mesh.axis_names)))
        run = jax.vmap(
            lambda t: fit(
                setting.f,
                t.params,
                t.x,
                t.y,
                training,
                key=t.key,
                members=t.members,
                groups=t.groups,
            )
        )(task)
        parts.append((run.checkpoints[0], _score(run, task, setting)))
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


def _draw(alpha: Array, key: Array, setting: Setting) -> _Task:
    # one run at a time and not compiled as a whole: drawing takes XLA seconds to compile and
    # milliseconds to run
    for_data, for_init, for_members, for_order, for_check = jax.random.split(key, 5)
    data = Sample(*setting.sample(for_data))
    members = choose_members(for_members, len(data.y), alpha)
    x, y = setting.plant(data.x, data.y, members)
    groups = y if data.groups is None else data.groups
    strangers = jax.random.permutation(for_check, members)
    return _Task(
        setting.init(for_init),
        for_order,
        x,
        y,
        groups,
        members,
        strangers,
        data.x_test,
        data.y_test,
    )


@partial(jax.jit, static_argnames="setting")
def _score(run: Run, task: _Task, setting: Setting) -> dict[str, Array]:
    f, y_star = setting.f, setting.y_star

    def one(run: Run, task: _Task) -> dict[str, Array]:
        def test(params: PyTree) -> dict[str, Array]:
            clean = f(params, task.x_test).argmax(-1)
            hits = success(f, params, task.x_test, setting.signal, y_star)
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
