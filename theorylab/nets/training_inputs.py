"""Checks of what is given to the training loop, before anything is compiled."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, PyTree

from theorylab import checks
from theorylab.errors import InputError
from theorylab.nets.losses import cross_entropy, mse

Loss = Callable[[Any, Any], Array]


def pair(name: str, data: Any) -> tuple[Any, Any]:
    """Inputs and targets (x, y) as JAX arrays, or PyTrees of them, of finite real numbers."""
    if not isinstance(data, tuple | list) or len(data) != 2:
        raise InputError(f"{name}: {type(data).__name__} given, a pair (x, y) is needed")
    x, y = jax.tree.map(lambda leaf: jnp.asarray(_real(name, leaf)), tuple(data))
    if not jax.tree.leaves(x):
        raise InputError(f"{name}: x = {checks.shown(x)} given, at least one array is needed")
    for leaf in jax.tree.leaves((x, y)):
        if jnp.issubdtype(leaf.dtype, jnp.inexact) and not bool(jnp.isfinite(leaf).all()):
            raise InputError(
                f"{name}: NaN or infinite entries; remove or fill them in before training"
            )
    return x, y


def _real(name: str, leaf: Any) -> Any:
    # `sample_count` refuses empty ones
    return leaf if 0 in getattr(leaf, "shape", ()) else checks.real(name, leaf)


def sample_count(name: str, data: PyTree) -> int:
    """How many samples the arrays of a pair share."""
    sizes = {leaf.shape[0] if leaf.ndim else 0 for leaf in jax.tree.leaves(data)}
    if len(sizes) != 1 or 0 in sizes:
        shapes = ", ".join(str(leaf.shape) for leaf in jax.tree.leaves(data)[:5])
        raise InputError(
            f"{name}: shapes {shapes} given; x and y need the same leading axis, of at least one "
            "sample"
        )
    return int(sizes.pop())


def start_of(params: Any, own: PyTree | None) -> PyTree:
    """Parameters to start from: those given, arrays of real numbers.

    For a module they are shaped as its `own`.
    """
    if params is None:
        if own is None:
            raise InputError(
                "params: None given; a function f(params, x) needs the parameters to start from"
            )
        return own
    jax.tree.map(lambda leaf: _real("params", leaf), params)
    params = jax.tree.map(jnp.asarray, params)
    shapes, needed = ([leaf.shape for leaf in jax.tree.leaves(tree)] for tree in (params, own))
    if own is not None and shapes != needed:
        raise InputError(
            f"params has {len(shapes)} arrays, {checks.shown(shapes)}; the model's {len(needed)}, "
            f"{checks.shown(needed)}, are needed, laid out as functional(model)[1]"
        )
    return params


def leading_axis(name: str, x: PyTree) -> tuple[PyTree, int]:
    """Inputs, arrays of finite numbers with one leading axis, and its length, which may be 0."""
    x = jax.tree.map(
        lambda leaf: leaf if 0 in getattr(leaf, "shape", ()) else checks.finite(name, leaf), x
    )
    lengths = {np.shape(leaf)[:1] for leaf in jax.tree.leaves(x)}
    if len(lengths) != 1 or lengths == {()}:
        raise InputError(
            f"{name} = {checks.shown(x)}; arrays with one leading axis, the samples, are needed"
        )
    return x, int(next(iter(lengths))[0])


@contextmanager
def explained(name: str, x: Any) -> Iterator[None]:
    """What a model raises at the shapes or the layout of its arguments, said with their names."""
    try:
        yield
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        shapes = ", ".join(str(np.shape(leaf)) for leaf in jax.tree.leaves(x)[:5])
        raise InputError(
            f"{name}: the model cannot take these parameters and x of shape {shapes}: "
            f"{_line(error)}"
        ) from error


def outputs_of(name: str, apply: Callable[[Any], Any], x: Any) -> Any:
    """Shape and type of the model's output for one sample of `x`."""
    with explained(name, x):
        return jax.eval_shape(
            apply, jax.tree.map(lambda a: jax.ShapeDtypeStruct((1, *a.shape[1:]), a.dtype), x)
        )


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def check_targets(name: str, loss: Loss, output: Any, y: Any) -> None:
    """Refuse targets that do not fit the outputs under the two losses of this package.

    For any loss, its shape is checked.
    """
    checks.function("loss", loss)
    if loss in (cross_entropy, mse):
        if not hasattr(y, "shape") or not hasattr(output, "shape"):
            raise InputError(
                f"{name}: one array of targets y for one array of outputs is needed by this loss"
            )
        values, expected = y.shape[1:], output.shape[1:]
        labels = jnp.issubdtype(y.dtype, jnp.integer)
        if values == expected[:-1] and labels and expected[-1] > 1:
            low, high = int(y.min()), int(y.max())
            if low < 0 or high >= expected[-1]:
                raise InputError(
                    f"{name}: labels from {low} to {high} given, the model has {expected[-1]} "
                    f"outputs: labels must be 0 to {expected[-1] - 1}; give the model more "
                    "outputs or renumber the labels"
                )
        elif not (values == expected and not labels) and not (
            loss is mse and values == expected[:-1] and expected[-1:] == (1,)
        ):
            raise InputError(
                f"{name}: y of shape {y.shape} and dtype {y.dtype} given for outputs "
                f"{(len(y), *expected)}; give integer labels (n,) or floats of the shape of the "
                "outputs"
            )
    try:
        value = jax.eval_shape(loss, output, jax.tree.map(lambda a: a[:1], y))
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{name}: the loss cannot take the model's outputs and these y: {_line(error)}"
        ) from error
    if np.ndim(value) == 0:
        raise InputError(
            "loss: returns one number for the batch, one value for each sample is needed: leave "
            "out the mean"
        )


def sample_weights(weights: ArrayLike | None, n: int) -> Array | None:
    """Per-sample weights as an array (n,), or None."""
    if weights is None:
        return None
    weights = jnp.asarray(checks.nonnegative("weights", weights, shape=(n,)))
    if not bool((weights > 0).any()):
        raise InputError("weights are all 0; at least one positive weight is needed")
    return weights.astype(jnp.result_type(float))


def check_key(name: str, key: Any, axes: int) -> None:
    """Refuse what is no typed key, or no array of them with the given number of axes."""
    checks.key(name, key, ndim=axes)
