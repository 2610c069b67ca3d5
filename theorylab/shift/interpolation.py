"""Networks trained until they interpolate their (noisy) training labels.

The nonlinear version of the experiment of `sweep`. Source: Sanyal et al. (2025), experiments.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import optax
from flax import nnx
from jaxtyping import Array, Key

from theorylab.checks import count, instance, same_length
from theorylab.checks import key as checked_key
from theorylab.checks import labels as check_labels
from theorylab.nets.fit import fit
from theorylab.nets.functional import Params
from theorylab.shift.checks import labelled_pair, logits


@dataclass(frozen=True)
class Interpolation:
    """A trained network and how far it came.

    Attributes:
        f, params: pure function `f(params, x)` in eval mode, and its parameters.
        epochs: epochs trained.
        train_error: (rounds,) share of training samples with a wrong (observed) label after every
            round.
    """

    f: Callable[[Params, Any], Any]
    params: Params
    epochs: int
    train_error: np.ndarray

    @property
    def interpolates(self) -> bool:
        """Whether no training label was wrong at the end."""
        return bool(self.train_error[-1] == 0)

    def error(self, x: Any, labels: Any) -> float:
        """Share of samples that the network labels wrongly."""
        return error_rate(self.f, self.params, x, labels)


def train_to_interpolation(
    model: nnx.Module,
    data: tuple[Any, Any],
    *,
    key: Key[Array, ""],
    optimizer: optax.GradientTransformation,
    batch_size: int,
    max_epochs: int,
    round_epochs: int = 10,
    **options: Any,
) -> Interpolation:
    """Train a classifier in rounds of epochs until no training label is wrong, or epochs run out.

    Between rounds the optimizer's state starts again. A small `max_epochs` is early stopping. Look
    at `interpolates`: a network that did not get there is returned all the same.

    Args:
        model: NNX module with one output for each class.
        data: (x, integer labels), the labels as observed.
        key: typed key of all rounds.
        optimizer: an optax optimizer.
        batch_size: samples per step.
        max_epochs: epochs in all.
        round_epochs: epochs between two looks at the training error.
        options: further options of `theorylab.nets.fit`.

    Returns:
        An `Interpolation`.

    Raises:
        InputError: data that do not fit the model, counts below 1.
    """
    max_epochs, round_epochs = count("max_epochs", max_epochs), count("round_epochs", round_epochs)
    batch_size = count("batch_size", batch_size)
    instance("model", model, nnx.Module, "a Flax NNX module")
    instance("optimizer", optimizer, optax.GradientTransformation, "an optimizer of optax")
    checked_key("key", key)
    x, y = labelled_pair("data", data)
    done, errors = 0, []
    while done < max_epochs:
        epochs = min(round_epochs, max_epochs - done)
        trained = fit(
            model,
            (x, y),
            key=jax.random.fold_in(key, done),
            optimizer=optimizer,
            batch_size=min(batch_size, len(x)),
            epochs=epochs,
            **{"progress": False, **options},
        )
        assert trained.model is not None
        model, done = trained.model, done + epochs
        errors.append(error_rate(trained.f, trained.params, x, y))
        if errors[-1] == 0:
            break
    return Interpolation(trained.f, trained.params, done, np.asarray(errors))


def error_rate(f: Callable[[Params, Any], Any], params: Params, x: Any, labels: Any) -> float:
    """Share of samples whose largest output is not at their label.

    Args:
        f, params: pure function `f(params, x)` and its parameters.
        x, labels: samples and integer labels.

    Returns:
        The share, in [0, 1].

    Raises:
        InputError: labels that do not fit the outputs.
    """
    outputs = np.asarray(logits(f, params, x))
    y = check_labels("labels", labels, classes=outputs.shape[-1])
    same_length(x=outputs, labels=y)
    return float(np.mean(outputs.argmax(-1) != np.asarray(y)))
