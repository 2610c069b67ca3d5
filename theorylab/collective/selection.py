"""Whether it matters that the collective is in the validation set that stops the training.

Source: Ben-Dov, Fawkes, Samadi, Sanyal (ICML 2024), experiments.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Key

from theorylab import checks
from theorylab.collective.settings import SETTING, Sample, Setting, check_axes, success
from theorylab.collective.signals import choose_members
from theorylab.collective.training import TRAINING, Training, fit, select_by_validation
from theorylab.deprecation import old_options
from theorylab.pytrees import register


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


@old_options("f init sample", setting=(Setting, SETTING), training=(Training, TRAINING))
def selected_success(
    setting: Setting,
    training: Training,
    *,
    criterion: Callable[[Float[Array, " m"]], Float[Array, ""]],
    alphas: Float[ArrayLike, "a"] | Sequence[float],
    keys: Key[Array, "s"],
) -> Selection:
    """Measure whether it matters that the collective is in the validation set.

    One run per size and seed, stopped in four ways. `setting.sample(key)` draws twice: a second
    draw's training part is the validation set.

    Args:
        setting, alphas, keys: as in `success_curve`.
        training: as in `fit`; with a checkpoint after every step unless it says otherwise.
        criterion: from validation losses (m,) to the number that is minimised over checkpoints.

    Returns:
        A `Selection`.

    Raises:
        InputError: as `success_curve`.
    """
    sizes = check_axes(setting, alphas, keys)
    checks.instance("training", training, Training, "Training(optax.sgd(0.1), steps=100)")
    checks.function("criterion", criterion)
    training = replace(training, every=training.every or 1)
    found = [[_selection(a, key, setting, training, criterion) for key in keys] for a in sizes]
    return Selection(*(jnp.asarray(column) for column in zip(*map(_columns, found), strict=True)))


def _columns(row: list[tuple[Array, ...]]) -> list[Array]:
    return [jnp.stack(column) for column in zip(*row, strict=True)]


@partial(jax.jit, static_argnames=("setting", "training", "criterion"))
def _selection(
    alpha: Array, key: Array, setting: Setting, training: Training, criterion: Callable
) -> tuple[Array, ...]:
    f = setting.f
    for_data, for_init, for_members, for_order, for_check = jax.random.split(key, 5)
    data, held_out = Sample(*setting.sample(for_data)), Sample(*setting.sample(for_check))
    members, seconds = (choose_members(k, len(data.y), alpha) for k in (for_members, for_check))
    x, y = setting.plant(data.x, data.y, members)
    run = fit(f, setting.init(for_init), x, y, training, key=for_order)
    signalled, relabelled = setting.plant(held_out.x, held_out.y, seconds)
    sets = ((held_out.x, held_out.y), (signalled, relabelled), (signalled, held_out.y))
    chosen = [select_by_validation(f, run.path, *v, criterion) for v in sets]
    at = [jax.tree.map(lambda leaf, i=i: leaf[i], run.path) for i in (*chosen, -1)]
    return tuple(success(f, params, data.x_test, setting.signal, setting.y_star) for params in at)
