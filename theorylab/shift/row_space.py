"""Row spaces of samples, which the linear theory of the Projection Norm projects on, in float64."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from theorylab import linalg
from theorylab.checks import finite
from theorylab.errors import InputError
from theorylab.precision import as_float64, float64_inside, input_epsilon, is_traced
from theorylab.pytrees import register

Design = Float[ArrayLike, "n d"]
Weights = Float[ArrayLike, "d *k"]


def in_float64(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` compiled, inside float64.

    For positional arguments that are arrays, numbers, lists or None.
    """
    compiled = jax.jit(function)

    @float64_inside
    def run(*arguments: Any) -> Any:
        return compiled(
            *(a if a is None or isinstance(a, jax.Array) else np.asarray(a) for a in arguments)
        )

    return run


@register()
@dataclass(frozen=True)
class RowSpace:
    """Thin singular value decomposition, of shapes that do not depend on rank.

    Singular vectors of zero values are set to 0. basis (r, d): right singular vectors; values (r,);
    left (n, r).
    """

    basis: Array
    values: Array
    left: Array

    @classmethod
    def of(cls, X: Any) -> "RowSpace":
        """The row space of a matrix (n, d)."""
        cut = max(np.shape(X)) * input_epsilon(X)
        left, values, basis = linalg.svd(as_float64(X))
        kept = values > cut * values[0]
        return cls(
            jnp.where(kept[:, None], basis, 0.0),
            jnp.where(kept, values, 0.0),
            jnp.where(kept, left, 0.0),
        )

    def project(self, theta: Array) -> Array:
        """P theta."""
        return self.basis.T @ (self.basis @ theta)

    def reject(self, theta: Array) -> Array:
        """(I - P) theta."""
        return theta - self.project(theta)

    def filter(self, theta: Array, weights: Array) -> Array:
        """sum_i weights_i v_i v_i^T theta."""
        return (self.basis.T * weights) @ (self.basis @ theta)

    def solve(self, y: Array) -> Array:
        """X^+ y."""
        inverse = jnp.where(self.values > 0, 1 / jnp.where(self.values > 0, self.values, 1.0), 0.0)
        return (self.basis.T * inverse) @ (self.left.T @ y)

    def rank(self) -> Array:
        """Number of singular values that are not 0."""
        return (self.values > 0).sum().astype(self.values.dtype)

    def extremes(self) -> tuple[Array, Array]:
        """Smallest non-zero and largest singular value."""
        return jnp.where(self.values > 0, self.values, jnp.inf).min(), self.values[0]


def norm(x: Array) -> Array:
    """Euclidean length over all entries."""
    return jnp.sqrt(jnp.sum(x**2))


def check_designs(**designs: Any) -> None:
    """Refuse matrices of samples that are zero everywhere or have different features."""
    width = None
    for name, X in designs.items():
        finite(name, X, ndim=2)
        if not is_traced(X) and not np.asarray(X).any():
            raise InputError(f"{name} is zero everywhere; its row space is empty.")
        if width is not None and np.shape(X)[1] != width:
            raise InputError(
                f"{name} has {np.shape(X)[1]} columns, X has {width}; both need the same features."
            )
        width = np.shape(X)[1]


def check_signal(name: str, theta: Any, theta0: Any, X: Any) -> None:
    """Refuse weights or a start that do not fit the features of X."""
    if np.shape(finite(name, theta, ndim=(1, 2)))[0] != np.shape(X)[1]:
        raise InputError(
            f"{name} has shape {np.shape(theta)}; one row per feature, {np.shape(X)[1]}, is needed."
        )
    check_start(theta0, np.shape(theta), name)


def check_start(theta0: Any, shape: tuple[int, ...], goes_with: str) -> None:
    """Refuse a start that is neither a number nor of this shape."""
    # another shape may broadcast, to other signals
    if np.shape(finite("theta0", theta0)) not in ((), shape):
        raise InputError(
            f"theta0 has shape {np.shape(theta0)}; one number or shape {shape} is needed with "
            f"{goes_with}"
        )
