"""Losses and metrics of one batch: functions (outputs, targets) -> one value per sample.

With positions, as of a transformer, it is one value per position.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Num

from theorylab import checks
from theorylab.errors import InputError


def cross_entropy(outputs: Float[Array, "*n k"], targets: Num[Array, "..."]) -> Float[Array, "*n"]:
    """Cross entropy -log softmax at the label, of every sample.

    Args:
        outputs: logits (*n, k); minus infinity masks an output.
        targets: integer labels (*n), or probabilities (*n, k).

    Returns:
        (*n), in nats.

    Raises:
        InputError: shapes that do not fit, NaN, or labels out of range.
    """
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
    """Squared error of every sample, as a mean over its outputs.

    Args:
        outputs: (*n, k).
        targets: (*n, k) numbers, or integer labels (*n), which are one-hot encoded. With one
            output, `targets` of shape (*n) are numbers: labels -1 and 1, say.

    Returns:
        (*n).

    Raises:
        InputError: shapes that do not fit, NaN, or labels out of range.
    """
    outputs, targets = _fitting(outputs, targets, masks=False)
    if targets.ndim == outputs.ndim - 1:
        one_hot = outputs.shape[-1] > 1
        if one_hot:
            _check_labels(outputs, targets)
        targets = jax.nn.one_hot(targets, outputs.shape[-1]) if one_hot else targets[..., None]
    return jnp.square(outputs - targets).mean(-1)


def accuracy(outputs: Float[Array, "*n k"], targets: Num[Array, "..."]) -> Float[Array, "*n"]:
    """Whether the largest output is at the label, for every sample.

    Args:
        outputs: (*n, k).
        targets: integer labels (*n), or (*n, k), whose largest entry counts.

    Returns:
        (*n), 1.0 or 0.0.

    Raises:
        InputError: shapes that do not fit, NaN, or labels out of range.
    """
    outputs, targets = _fitting(outputs, targets)
    if targets.ndim < outputs.ndim:
        _check_labels(outputs, targets)
    labels = targets if targets.ndim < outputs.ndim else targets.argmax(-1)
    return (outputs.argmax(-1) == labels).astype(outputs.dtype)


def _fitting(outputs: Array, targets: Array, masks: bool = True) -> tuple[Array, Array]:
    """Arrays without NaN, the targets shaped like the outputs or labels of them.

    Nothing is broadcast.
    """
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
