"""The Projection Norm: how far a network moves when it is retrained on its own predictions.

Pseudo-label the unlabelled test set with the classifier theta_hat, fine-tune the common
initialisation theta_0 (head included) on these labels for T steps to theta~, and report
||theta_ref - theta~||, where theta_ref was fine-tuned from theta_0 on the training set in the same
way. Larger means a larger error. Only differences between test sets of one size, at one T, batch
size and optimiser, mean anything.

Source: Yu, Yang, Wei, Ma, Steinhardt (ICML 2022), algorithm 1, and its public code.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, PyTree

from theorylab.checks import choice, count, flag
from theorylab.deprecation import old_arguments, tell_old
from theorylab.errors import InputError
from theorylab.nets.functional import Params
from theorylab.nets.training_inputs import explained
from theorylab.precision import is_traced
from theorylab.shift.checks import arrays, check_like, labelled_pair, logits, stacked
from theorylab.shift.fine_tuning import FineTuning
from theorylab.shift.pseudo_training import PseudoTraining
from theorylab.shift.training_loops import Classifier


def pseudo_labels(
    f: Classifier, params: Params, x: Any, *, batch_size: int = 500
) -> Int[Array, " m"]:
    """Classes that the classifier predicts, in eval mode.

    Never recomputed while training: that is self-training.

    Args:
        f: logits `f(params, x)`.
        params: its parameters.
        x: (m, ...) samples.
        batch_size: samples at once.

    Returns:
        (m,) class numbers.

    Raises:
        InputError: outputs that are not finite.
    """
    return logits(f, params, x, count("batch_size", batch_size)).argmax(-1).astype(jnp.int32)


def projection_norm(theta_ref: PyTree, theta_tilde: PyTree) -> Float[Array, ""] | np.float64:
    """Euclidean distance between two trees of parameters, over all their entries.

    Use `projection_norms` to train the two as the method wants it. Concrete trees are subtracted
    and summed in float64, whatever their own precision.

    Args:
        theta_ref, theta_tilde: parameters of one network.

    Returns:
        The distance: a NumPy float64; under `jit` and `vmap` a number in the precision of the
        trees.

    Raises:
        InputError: trees of different structure or shapes.

    Examples:
        >>> a = {"w": np.array([0.0, 3.0]), "b": np.array([0.0])}
        >>> b = {"w": np.array([0.0, 0.0]), "b": np.array([4.0])}
        >>> float(projection_norm(a, b))
        5.0
    """
    arrays("theta_ref", theta_ref)
    arrays("theta_tilde", theta_tilde)
    traced = is_traced(theta_ref, theta_tilde)
    measure = _square if traced else _length
    try:
        parts = jax.tree.leaves(jax.tree.map(measure, theta_ref, theta_tilde))
    except (TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        message = (
            "theta_ref, theta_tilde: two different trees; parameters of one network are needed"
        )
        raise InputError(message) from None
    if traced:
        return jnp.sqrt(sum(parts, start=jnp.zeros(())))
    return _length(np.asarray(parts), 0.0 * np.asarray(parts))


def _same_shape(a: Any, b: Any) -> None:
    if np.shape(a) != np.shape(b):
        raise InputError(
            f"theta_ref, theta_tilde: arrays {np.shape(a)} and {np.shape(b)}; equal shapes are "
            "needed"
        )


def _square(a: Any, b: Any) -> Array:
    _same_shape(a, b)
    return jnp.sum(jnp.square(jnp.asarray(a) - jnp.asarray(b)))


def _length(a: Any, b: Any) -> np.float64:
    """The length of one array's change; its square would underflow below 1e-160."""
    _same_shape(a, b)
    change = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    largest = np.abs(change).max(initial=0.0)
    return largest * np.linalg.norm(change / largest) if largest > 0 else np.float64(0.0)


@dataclass(frozen=True)
class ProjectionNorms:
    """Projection Norms of S test sets.

    Attributes:
        values: (S,) distance of theta~ to the reference, or to theta_hat with
            `target="theta_hat"`. The two have different scales: never mix them. Zero is no natural
            floor: take the value of a clean held-out set as the zero point.
        labels: (S, m) pseudo-labels.
        target: the parameters that distances are measured to.
    """

    values: Float[np.ndarray, " s"]
    labels: Int[np.ndarray, "s m"]
    target: Params


@old_arguments("f theta0 theta_hat train test_sets key recipe")
def projection_norms(
    f: Classifier,
    theta0: Params,
    theta_hat: Params,
    train: tuple[Any, Any],
    test_sets: Sequence[Any] | Float[Array, "s m ..."],
    recipe: FineTuning,
    *,
    key: Key[Array, ""],
    target: Params | Literal["theta_hat"] | None = None,
    **options: Any,
) -> ProjectionNorms:
    """Compute the Projection Norms of unlabelled test sets of one size.

    Use it to rank shifts, or with `calibrate` to predict their errors. Scores of the outputs
    (`conf_score`, `atc_score`, ...) cost nothing more than predictions, but do not see directions
    that the outputs do not use.

    Args:
        f: logits `f(params, x)`, in eval mode.
        theta0: the initialisation from which `theta_hat` was trained, head included. Another head
            alone would add a constant that swamps the signal.
        theta_hat: parameters of the classifier under study.
        train: its labelled training set (x, y), for the reference.
        test_sets: (S, m, ...).
        recipe: a `FineTuning`.
        key: fixes the order of the batches, for the reference and all test sets alike.
        target: what distances are measured to. None: the reference, trained on `train`.
            "theta_hat": the classifier; no reference is trained. Or parameters, such as `target`
            of an earlier call, which saves training the reference again.
        options: of `PseudoTraining`.

    Returns:
        `ProjectionNorms`.

    Raises:
        InputError: test sets of several sizes, parameters of different networks, labels that do not
            fit.

    Examples:
        >>> f = lambda w, x: x @ w
        >>> x = np.array([[1.0, 0.0], [0.0, 1.0]] * 8)
        >>> y = np.array([0, 1] * 8)
        >>> recipe = FineTuning(steps=20, lr=0.5, batch_size=16)
        >>> start = np.zeros((2, 2))
        >>> key = jax.random.key(0)
        >>> from theorylab.shift import finetune
        >>> hat = finetune(f, start, x, y, recipe, key=key)
        >>> norms = projection_norms(f, start, hat, (x, y), [x, 0.2 * x], recipe, key=key)
        >>> [round(float(v), 2) for v in norms.values]  # without shift, and with one
        [0.0, 2.79]
    """
    if "use_base_model" in options:
        measured = 'target="theta_hat" measures to theta_hat now, in place of use_base_model=True'
        tell_old("projection_norms", measured, above=1)
        if flag("use_base_model", options.pop("use_base_model")) and target is None:
            target = "theta_hat"
    if isinstance(target, str):
        choice("target", target, ("theta_hat",))
        target = theta_hat
    elif target is not None:
        check_like("target", target, theta_hat)
    else:
        train = labelled_pair("train", train)
    sets = stacked("test_sets", test_sets)
    program = PseudoTraining(f, recipe, **options)
    if target is None:
        target = program(theta0, *train, key=key)
    size, m = sets.shape[:2]
    merged = sets.reshape(size * m, *sets.shape[2:])
    names = ("theta_hat", "test_sets")
    with explained(", ".join(names), merged):
        outputs = logits(f, theta_hat, merged, program.eval_batch_size, names)
    labels = outputs.argmax(-1).astype(jnp.int32).reshape(size, m)
    tilde = program.many(theta0, sets, labels, key=key)
    values = jax.vmap(lambda t: projection_norm(target, t))(tilde)
    return ProjectionNorms(np.asarray(values), np.asarray(labels), target)
