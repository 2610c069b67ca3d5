"""Losses and metrics of one batch: functions (outputs, targets) -> one value a sample (and position)."""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Num


def cross_entropy(outputs: Float[Array, "*n k"], targets: Num[Array, "..."]) -> Float[Array, "*n"]:
    """-log softmax at the label. `targets`: integer labels (*n), or probabilities (*n, k)."""
    if jnp.issubdtype(targets.dtype, jnp.integer):
        return optax.softmax_cross_entropy_with_integer_labels(outputs, targets)
    return optax.softmax_cross_entropy(outputs, targets)


def mse(outputs: Float[Array, "*n k"], targets: Num[Array, "..."]) -> Float[Array, "*n"]:
    """Mean over the outputs of the squared error. `targets`: (*n, k) numbers, or integer labels (*n), one-hot encoded.

    With one output, `targets` of shape (*n) are numbers: labels -1 and 1, say.
    """
    if targets.ndim == outputs.ndim - 1:
        one_hot = outputs.shape[-1] > 1
        targets = jax.nn.one_hot(targets, outputs.shape[-1]) if one_hot else targets[..., None]
    return jnp.square(outputs - targets).mean(-1)


def accuracy(outputs: Float[Array, "*n k"], targets: Num[Array, "..."]) -> Float[Array, "*n"]:
    """1.0 where the largest output is at the label (or at the largest target), else 0.0."""
    labels = targets if targets.ndim < outputs.ndim else targets.argmax(-1)
    return (outputs.argmax(-1) == labels).astype(outputs.dtype)
