"""Losses and metrics of one batch: functions (outputs, targets) -> one value a sample (and
position)."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Num

from theorylab import checks
from theorylab.errors import InputError


def cross_entropy(outputs: Float[Array, "*n k"], targets: Num[Array, "..."]) -> Float[Array, "*n"]:
    """-log softmax at the label. `targets`: integer labels (*n), or probabilities (*n, k)."""
    outputs, targets = _fitting(outputs, targets)
    labels = jnp.issubdtype(targets.dtype, jnp.integer)
    if labels != (targets.ndim < outputs.ndim):
        raise InputError(
            f"targets has dtype {targets.dtype} and shape {targets.shape}, outputs "
            f"{outputs.shape}; integer labels {outputs.shape[:-1]} or probabilities "
            f"{outputs.shape}, floats, are needed"
        )
    if labels:
        _check_labels(outputs, targets)
        return optax.softmax_cross_entropy_with_integer_labels(outputs, targets)
    return optax.softmax_cross_entropy(outputs, targets)


def mse(outputs: Float[Array, "*n k"], targets: Num[Array, "..."]) -> Float[Array, "*n"]:
    """Mean over the outputs of the squared error. `targets`: (*n, k) numbers, or integer labels
    (*n), one-hot encoded.

    With one output, `targets` of shape (*n) are numbers: labels -1 and 1, say.
    """
    outputs, targets = _fitting(outputs, targets, masks=False)
    if targets.ndim == outputs.ndim - 1:
        one_hot = outputs.shape[-1] > 1
        if one_hot:
            _check_labels(outputs, targets)
        targets = jax.nn.one_hot(targets, outputs.shape[-1]) if one_hot else targets[..., None]
    return jnp.square(outputs - targets).mean(-1)


def accuracy(outputs: Float[Array, "*n k"], targets: Num[Array, "..."]) -> Float[Array, "*n"]:
    """1.0 where the largest output is at the label (or at the largest target), else 0.0."""
    outputs, targets = _fitting(outputs, targets)
    if targets.ndim < outputs.ndim:
        _check_labels(outputs, targets)
    labels = targets if targets.ndim < outputs.ndim else targets.argmax(-1)
    return (outputs.argmax(-1) == labels).astype(outputs.dtype)


def _fitting(outputs: Array, targets: Array, masks: bool = True) -> tuple[Array, Array]:
    """Arrays without NaN, the targets shaped like the outputs or labels of them: nothing is
    broadcast."""
    if masks:  # a logit of -infinity masks its class
        outputs = checks.within("outputs", outputs, high=np.finfo(np.float64).max, infinite=True)
    outputs = outputs if masks else checks.finite("outputs", outputs)
    outputs, targets = jnp.asarray(outputs), jnp.asarray(checks.finite("targets", targets))
    if not outputs.ndim or targets.shape not in (outputs.shape, outputs.shape[:-1]):
        raise InputError(
            f"targets has shape {targets.shape} and outputs {outputs.shape}; labels "
            f"{outputs.shape[:-1]} or targets {outputs.shape} are needed"
        )
    return outputs, targets


def _check_labels(outputs: Array, targets: Array) -> None:
    checks.within("targets (labels of the outputs)", targets, 0, outputs.shape[-1] - 1, whole=True)
