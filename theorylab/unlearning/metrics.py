"""What counts: accuracy on the affected domain and elsewhere, and agreement with wrong labels.

Accuracies are against clean labels.
Source: Goel, Prabhu, Torr, Kumaraguru & Sanyal 2024 (arXiv 2402.14015), as their code evaluates.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int

from theorylab import checks
from theorylab.errors import InputError
from theorylab.precision import is_traced
from theorylab.pytrees import register
from theorylab.unlearning.manipulations import (
    BackdoorPatch,
    InterclassConfusion,
    Manipulation,
    RandomLabelPermutation,
    TrainingSet,
)
from theorylab.unlearning.network import Model, Network, require
from theorylab.unlearning.retrain import mask_of

_BATCH = 1000


@register()
@dataclass(frozen=True)
class Exam:
    """Held-out samples with clean labels.

    Attributes:
        x_affected, y_affected: of the affected domain.
        x_other, y_other: outside of it.
        x_validation, y_validation: clean samples that hyperparameters may be chosen by.
    """

    x_affected: Float[Array, "a ..."]
    y_affected: Int[Array, " a"]
    x_other: Float[Array, "o ..."]
    y_other: Int[Array, " o"]
    x_validation: Float[Array, "v ..."]
    y_validation: Int[Array, " v"]


@register()
@dataclass(frozen=True)
class Scores:
    """Accuracies in [0, 1]. Of several models, every array has their leading axes.

    Attributes:
        corrected: on the affected domain, clean labels: Acc_corr.
        retained: outside of it: Acc_retain.
        validation: on the validation samples.
        agreement: share of the deletion set predicted as its manipulated labels.
        manipulated: share of all manipulated training samples, trigger in place, predicted as their
            clean labels.
    """

    corrected: Float[Array, "..."]
    retained: Float[Array, "..."]
    validation: Float[Array, "..."]
    agreement: Float[Array, "..."]
    manipulated: Float[Array, "..."]


def exam(
    manipulation: Manipulation,
    x_test: Float[ArrayLike, "m ..."],
    y_test: Int[ArrayLike, "m"],
    x_validation: Float[ArrayLike, "v ..."],
    y_validation: Int[ArrayLike, " v"],
) -> Exam:
    """The test samples of the affected domain and the others.

    Poisoning: every test image with the trigger, and the test set as it is. Interclass confusion:
    the two classes, and the others. A random label permutation affects all: the test set twice.
    Labels stay clean: images of the target class count as correct when predicted so, and a perfect
    backdoor leaves Acc_corr at their share.

    Args:
        manipulation: what was done to the training set.
        x_test: (m, ...) inputs without a trigger.
        y_test: (m,) clean labels.
        x_validation: (v, ...) inputs that hyperparameters may be chosen by.
        y_validation: (v,) their clean labels.

    Returns:
        An `Exam`.

    Raises:
        InputError: no test sample in the affected domain or none outside, or arrays that do not
            fit.
    """
    kinds = (BackdoorPatch, InterclassConfusion, RandomLabelPermutation)
    checks.instance("manipulation", manipulation, kinds, "BackdoorPatch(), say,")
    x, y = checks.finite("x_test", x_test), np.asarray(checks.labels("y_test", y_test))
    checks.same_length(x_test=x, y_test=y)
    valid = checks.finite("x_validation", x_validation), checks.labels("y_validation", y_validation)
    checks.same_length(x_validation=valid[0], y_validation=valid[1])
    x, x_valid, y_valid = jnp.asarray(x), jnp.asarray(valid[0]), jnp.asarray(valid[1])
    if isinstance(manipulation, BackdoorPatch):
        parts = manipulation.apply(x), y, x, y
    elif isinstance(manipulation, InterclassConfusion):
        inside = np.isin(y, (manipulation.a, manipulation.b))
        if inside.all() or not inside.any():
            raise InputError(
                f"y_test: {int(inside.sum())} of {inside.size} samples are of the classes "
                f"{manipulation.a} and {manipulation.b}; some inside and some outside are needed"
            )
        parts = x[inside], y[inside], x[~inside], y[~inside]
    else:
        parts = x, y, x, y
    return Exam(parts[0], jnp.asarray(parts[1]), parts[2], jnp.asarray(parts[3]), x_valid, y_valid)


def scores(
    network: Network,
    model: Model,
    questions: Exam,
    data: TrainingSet,
    forget: Bool[ArrayLike, "n"],
    *,
    most: int | None = None,
) -> Scores:
    """All accuracies of one model, which can be vmapped over models and deletion sets.

    Args:
        network: from `network(...)`.
        model: the model that is judged, in eval mode.
        questions: from `exam`.
        data: the training set, for `agreement` and `manipulated`.
        forget: (n,) mask of the deletion set, for `agreement`: manipulated samples alone.
        most: an upper bound on the manipulated samples, which alone are looked at; None takes their
            number, and n inside a trace.

    Returns:
        `Scores` of single numbers.

    Raises:
        InputError: things that do not fit together.
    """
    require(network, model)
    checks.instance("questions", questions, Exam, "an Exam, made by exam(...),")
    q, chosen = questions, mask_of(data, forget)
    if most is not None:
        most = checks.count("most", most, 1, chosen.size)
    if most is None and not is_traced(data.manipulated):
        most = max(1, int(data.manipulated.sum()))
    parts = (q.x_affected, q.x_other, q.x_validation)
    small = max(map(len, parts)) <= _BATCH or any(
        is_traced(a) for a in jax.tree.leaves((model, chosen))
    )
    grade = _grade_compiled if small else _grade
    return grade(network, most, model, q, data, chosen)


def _grade(
    network: Network,
    most: int | None,
    model: Model,
    q: Exam,
    data: TrainingSet,
    chosen: Array,
) -> Scores:
    index = _members(data.manipulated, most)
    x, y = data.batch(index)
    answers = predictions(network, model, x)
    there, known = data.manipulated[index], chosen[index]
    return Scores(
        _share(predictions(network, model, q.x_affected) == q.y_affected),
        _share(predictions(network, model, q.x_other) == q.y_other),
        _share(predictions(network, model, q.x_validation) == q.y_validation),
        _share(answers == y, known & there),
        _share(answers == data.clean[index], there),
    )


_grade_compiled = jax.jit(_grade, static_argnames=("network", "most"))


def deletion_agreement(
    network: Network,
    model: Model,
    data: TrainingSet,
    forget: Bool[ArrayLike, "n"],
    *,
    most: int | None = None,
) -> Float[Array, ""]:
    """Share of the deletion set that the model predicts as its manipulated labels.

    Args:
        network: from `network(...)`.
        model: the model that is judged, in eval mode.
        data: the training set.
        forget: (n,) mask of the deletion set.
        most: an upper bound on the samples in `forget`, of which no more are looked at; None takes
            their number, and n inside a trace.

    Returns:
        () share in [0, 1], 0 for an empty set.

    Raises:
        InputError: a mask that does not fit.
    """
    require(network, model)
    chosen = mask_of(data, forget)
    if most is not None:
        most = checks.count("most", most, 1, chosen.size)
    index = _members(chosen, most)
    x, y = data.batch(index)
    return _share(predictions(network, model, x) == y, chosen[index])


def predictions(network: Network, model: Model, x: Any) -> Int[Array, " n"]:
    """The class of the largest output, in batches that bound the memory where nothing is traced."""
    if len(x) <= _BATCH or any(is_traced(a) for a in jax.tree.leaves((model, x))):
        return _predict(network, model, x)
    parts = [_predict(network, model, x[i : i + _BATCH]) for i in range(0, len(x), _BATCH)]
    return jnp.concatenate(parts)


@partial(jax.jit, static_argnames="network")
def _predict(network: Network, model: Model, x: Array) -> Int[Array, " n"]:
    return network.logits(model, x).argmax(-1)


def _members(mask: Array, most: int | None) -> Int[Array, " m"]:
    """Numbers of the samples of a mask first, `most` numbers in all."""
    if most is None:
        most = mask.size if is_traced(mask) else max(1, int(mask.sum()))
    return jnp.argsort(~mask, stable=True)[:most]


def _share(right: Array, counted: Array | None = None) -> Float[Array, ""]:
    if counted is None:
        return right.mean(dtype=jnp.float32)
    return (right & counted).sum() / jnp.maximum(counted.sum(), 1)
