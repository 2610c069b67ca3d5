"""Networks trained until they interpolate their (noisy) training labels: the nonlinear version of the experiment."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import optax
from flax import nnx
from jaxtyping import Array, Key

from theorylab.errors import InputError
from theorylab.nets.fit import fit
from theorylab.nets.functional import Params, predict
from theorylab.shift.checks import require_count


@dataclass(frozen=True)
class Interpolation:
    """A trained network and how far it came.

    Attributes:
        f, params: pure function `f(params, x)` in eval mode, and its parameters.
        epochs: epochs trained.
        train_error: (rounds,) share of training samples with a wrong (observed) label after every round.
    """

    f: Callable[[Params, Any], Any]
    params: Params
    epochs: int
    train_error: np.ndarray

    @property
    def interpolates(self) -> bool:
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
    """Train a classifier in rounds of epochs until no training label is wrong, or `max_epochs` is reached.

    Between rounds the optimizer's state starts anew. A small `max_epochs` is early stopping. Look at `interpolates`:
    a network that did not get there is returned all the same.

    Args:
        model: NNX module with one output for each class.
        data: (x, integer labels), the labels as observed.
        options: further options of `theorylab.nets.fit`.
    """
    require_count("max_epochs", max_epochs)
    require_count("round_epochs", round_epochs)
    x, labels = data
    if not len(x):
        raise InputError("data holds no sample; at least one is needed.")
    done, errors = 0, []
    while done < max_epochs:
        epochs = min(round_epochs, max_epochs - done)
        trained = fit(
            model, data, key=jax.random.fold_in(key, done), optimizer=optimizer, batch_size=min(batch_size, len(x)),
            epochs=epochs, **{"progress": False, **options},
        )  # fmt: skip
        assert trained.model is not None
        model, done = trained.model, done + epochs
        errors.append(error_rate(trained.f, trained.params, x, labels))
        if errors[-1] == 0:
            break
    return Interpolation(trained.f, trained.params, done, np.asarray(errors))


def error_rate(f: Callable[[Params, Any], Any], params: Params, x: Any, labels: Any) -> float:
    """Share of samples whose largest output is not at their label."""
    return float(np.mean(np.asarray(predict(f, params, x)).argmax(-1) != np.asarray(labels)))
