"""What this package accepts, on top of `theorylab.checks`: samples, labels -1 and +1, weights."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from theorylab.checks import count, finite, nonnegative, same_length, signs
from theorylab.errors import InputError
from theorylab.overflow import representable
from theorylab.precision import is_traced


def floats(
    name: str, value: Any, *, ndim: int | None = None, shape: tuple[int | None, ...] | None = None
) -> jax.Array:
    """`value` as a JAX array of finite floats with these axes, none of them empty."""
    array = representable(name, finite(name, value, ndim=ndim, shape=shape))
    return array if jnp.issubdtype(array.dtype, jnp.floating) else array.astype(float)


def labelled(
    X: Any, y: Any, names: tuple[str, str] = ("X_l", "y_l")
) -> tuple[jax.Array, jax.Array]:
    """Samples (n, d) and their labels (n,), every label -1 or +1."""
    X, y = floats(names[0], X, ndim=2), signs(names[1], y)
    same_length(**dict(zip(names, (X, y), strict=True)))
    return X, jnp.asarray(y).astype(X.dtype)


def unlabelled(X: Any, d: int) -> jax.Array:
    """Unlabelled samples (n, d) in the dimension of the labelled ones."""
    return floats("X_u", X, shape=(None, d))


def row_weights(name: str, value: Any, **rows: jax.Array) -> jax.Array:
    """Accept a weight >= 0 for each row of an array, at least one above 0; by default ones.

    The array is given by its name.
    """
    array = next(iter(rows.values()))
    if value is None:
        return jnp.ones(len(array), array.dtype)
    array = floats(name, nonnegative(name, value, ndim=1))
    same_length(**{name: array}, **rows)
    if not is_traced(array) and not np.asarray(array).any():
        raise InputError(
            f"{name} is 0 for all {len(array)} rows; at least one weight above 0 is needed"
        )
    return array


def two_classes(name: str, y: Any, weights: Any) -> None:
    """Refuse labels of one class alone, with which an unpenalised intercept would be infinite."""
    if not is_traced(y, weights) and len(set(np.asarray(y)[np.asarray(weights) > 0].tolist())) < 2:
        raise InputError(f"{name} holds one class alone: give samples of both, or intercept=False")


def steps(name: str, value: Any) -> Any:
    """A number of steps, which may be traced."""
    return value if is_traced(value) else count(name, value)
