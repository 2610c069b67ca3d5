"""Checks of what is given to the training loop, before anything is compiled."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, PyTree

from theorylab.errors import InputError
from theorylab.nets.losses import cross_entropy, mse

Loss = Callable[[Any, Any], Array]


def pair(name: str, data: Any) -> tuple[Any, Any]:
    if not isinstance(data, tuple | list) or len(data) != 2:
        raise InputError(f"{name}: {type(data).__name__} given, a pair (x, y) is needed")
    x, y = jax.tree.map(jnp.asarray, tuple(data))
    for leaf in jax.tree.leaves((x, y)):
        if jnp.issubdtype(leaf.dtype, jnp.inexact) and not bool(jnp.isfinite(leaf).all()):
            raise InputError(f"{name}: NaN or infinite entries; remove or fill them in before training")
    return x, y


def sample_count(name: str, data: PyTree) -> int:
    sizes = {leaf.shape[0] if leaf.ndim else 0 for leaf in jax.tree.leaves(data)}
    if len(sizes) != 1 or 0 in sizes:
        shapes = ", ".join(str(leaf.shape) for leaf in jax.tree.leaves(data))
        raise InputError(f"{name}: shapes {shapes} given; x and y need the same leading axis, of at least one sample")
    return int(sizes.pop())


def check_targets(name: str, loss: Loss, output: Any, y: Any) -> None:
    """Targets of the two losses of this package against the outputs; the loss's shape for any loss."""
    if loss in (cross_entropy, mse):
        values, expected = y.shape[1:], output.shape[1:]
        labels = jnp.issubdtype(y.dtype, jnp.integer)
        if values == expected[:-1] and labels and expected[-1] > 1:
            low, high = int(y.min()), int(y.max())
            if low < 0 or high >= expected[-1]:
                raise InputError(
                    f"{name}: labels from {low} to {high} given, the model has {expected[-1]} outputs: labels must be "
                    f"0 to {expected[-1] - 1}; give the model more outputs or renumber the labels"
                )
        elif not (values == expected and not labels) and not (
            loss is mse and values == expected[:-1] and expected[-1:] == (1,)
        ):
            raise InputError(
                f"{name}: y of shape {y.shape} and dtype {y.dtype} given for outputs {(len(y), *expected)}; "
                "give integer labels (n,) or floats of the shape of the outputs"
            )
    value = jax.eval_shape(loss, output, jax.tree.map(lambda a: a[:1], y))
    if value.ndim == 0:
        raise InputError(
            "loss: returns one number for the batch, one value for each sample is needed: leave out the mean"
        )


def sample_weights(weights: ArrayLike | None, n: int) -> Array | None:
    if weights is None:
        return None
    weights = jnp.asarray(weights)
    if weights.shape != (n,) or not bool(jnp.isfinite(weights).all()):
        raise InputError(f"weights: shape {weights.shape} given, {n} finite numbers are needed, one for each sample")
    return weights.astype(jnp.result_type(float))


def check_key(name: str, key: Any, axes: int) -> None:
    typed = isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    if not typed or key.ndim != axes or not key.size:
        need = "jax.random.split(jax.random.key(0), S), S >= 1" if axes else "jax.random.key(0)"
        raise InputError(
            f"{name}: {getattr(key, 'dtype', type(key).__name__)} of shape {getattr(key, 'shape', '()')} "
            f"given, typed keys are needed: {need}"
        )
