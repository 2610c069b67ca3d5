"""Further rotation-invariant linear learners beside `fit_logistic_path`.

Ridge, minimum norm, and gradient descent from 0: all see the nuisance block through its Gram
matrix alone. Source: docs/derivations/memorisation.md, statements 6 and 7.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from theorylab.checks import choice, finite, nonnegative, number, same_length, signs, within
from theorylab.errors import InputError
from theorylab.overflow import in_range
from theorylab.precision import as_float64, float64_inside
from theorylab.pytrees import register
from theorylab.ridge import RidgePath


@in_range()
def fit_ridge(
    X: Float[ArrayLike, "n p"], y: Float[ArrayLike, " n"], alphas: Float[ArrayLike, " l"]
) -> np.ndarray:
    """Fit the weights that minimise (1/n) ||y - X w||^2 + alpha ||w||^2, for every penalty.

    For a path with GCV and leave-one-out use `theorylab.ridge.RidgePath`.

    Args:
        X: (n, p) samples.
        y: (n,) targets.
        alphas: (L,) penalties >= 0; 0 is the minimum-norm fit.

    Returns:
        (L, p) weights.

    Raises:
        InputError: negative penalties, shapes that do not fit.
    """
    X, y = finite("X", X, ndim=2), finite("y", y, ndim=1)
    same_length(X=X, y=y)
    alphas = nonnegative("alphas", alphas, ndim=(0, 1))
    return np.asarray(RidgePath.fit(X, y).coef(alphas))[..., 0]


def fit_min_norm(X: Float[ArrayLike, "n p"], y: Float[ArrayLike, " n"]) -> np.ndarray:
    """Fit least squares of minimum norm.

    Not a stand-in for the maximum margin: every sample is fitted to exactly -1 or 1, so nuisance
    weights grow with n without any label noise, from the residual that the signal block leaves of a
    sign. For the margin use `fit_logistic_path` with a small penalty.

    Args:
        X: (n, p) samples.
        y: (n,) targets.

    Returns:
        (p,) weights.

    Raises:
        InputError: shapes that do not fit.
    """
    return fit_ridge(X, y, np.zeros(1))[0]


@register("learning_rate")
@dataclass(frozen=True)
class DescentPath:
    """Gradient descent looked at after the given numbers of steps.

    Attributes:
        coef: (t, p) weights.
        steps: (t,) numbers of steps.
        train_error: (t,) share of samples on the wrong side of their observed label, ties counted
            as wrong.
        loss: (t,) mean loss.
        learning_rate: what was used.
    """

    coef: Float[Array, "t p"]
    steps: Int[np.ndarray, " t"]
    train_error: Float[Array, " t"]
    loss: Float[Array, " t"]
    learning_rate: float


def fit_descent(
    X: Float[ArrayLike, "n p"],
    y: Float[ArrayLike, " n"],
    steps: Int[ArrayLike, " t"] | Sequence[int],
    *,
    loss: Literal["logistic", "squared"] = "logistic",
    learning_rate: float | None = None,
) -> DescentPath:
    """Run full-batch gradient descent from 0 on the mean loss, without penalty.

    Early stopping is the regulariser; the limit on separable data is the maximum margin (logistic)
    or the minimum norm (squared).

    Args:
        X: (n, p) samples.
        y: (n,) labels -1 or 1.
        steps: increasing numbers of steps at which to look (0 allowed).
        loss: "logistic", or "squared": (1 - y <w, x>)^2 / 2, whose limit is the minimum-norm fit.
        learning_rate: by default 1 / the loss's smoothness, lambda_max(X X^T) / n (a quarter of it
            for logistic).

    Returns:
        A `DescentPath`.

    Raises:
        InputError: steps that do not increase, labels other than -1 and 1, shapes that do not fit.
    """
    X, y = finite("X", X, ndim=2), signs("y", y)
    same_length(X=X, y=y)
    marks = np.atleast_1d(np.asarray(within("steps", steps, 0.0, whole=True, ndim=(0, 1))))
    if marks.dtype.kind not in "iu" or (np.diff(marks) <= 0).any():
        raise InputError(
            f"steps = {marks.tolist()}; increasing whole numbers of at least 0 are needed."
        )
    choice("loss", loss, ("logistic", "squared"))
    if learning_rate is not None:
        number("learning_rate", learning_rate, 0.0, open_low=True)
    elif not np.asarray(X).any():
        raise InputError("X is zero everywhere and sets no learning rate; give learning_rate")
    coef, wrong, value, rate = _descend(X, y, np.diff(marks, prepend=0), loss, learning_rate)
    if not (np.isfinite(coef).all() and np.isfinite(value).all()):
        raise InputError(
            f"learning_rate = {rate:g}: the descent diverged; give a smaller one (None chooses one)"
        )
    return DescentPath(coef, marks, wrong, value, float(rate))


@float64_inside
def _descend(X: Any, y: Any, counts: Any, loss: str, learning_rate: float | None) -> Any:
    return _descent_scan(as_float64(X), as_float64(y), jnp.asarray(counts), learning_rate, loss)


@partial(jax.jit, static_argnames="loss")
def _descent_scan(X: Array, y: Array, counts: Array, learning_rate: Any, loss: str) -> Any:
    n = len(y)
    # The iterates are X^T a: on many features, n numbers and the Gram matrix carry everything.
    dual = X.shape[1] > n
    K = X @ X.T if dual else X.T @ X
    smoothness = jnp.linalg.norm(K, ord=2) / n / (4 if loss == "logistic" else 1)
    rate = 1 / smoothness if learning_rate is None else jnp.asarray(learning_rate, X.dtype)

    def outputs(v: Array) -> Array:
        return K @ v if dual else X @ v

    def pull(f: Array) -> Array:
        return y * jax.nn.sigmoid(-y * f) if loss == "logistic" else y - f

    def step(_: Any, v: Array) -> Array:
        r = pull(outputs(v))
        return v + rate / n * (r if dual else X.T @ r)

    def advance(v: Array, count: Array) -> tuple[Array, Any]:
        v = jax.lax.fori_loop(0, count, step, v)
        f = outputs(v)
        losses = jax.nn.softplus(-y * f) if loss == "logistic" else (y - f) ** 2 / 2
        return v, (X.T @ v if dual else v, jnp.mean(y * f <= 0, dtype=X.dtype), losses.mean())

    start = jnp.zeros(n if dual else X.shape[1], X.dtype)
    _, (coef, wrong, value) = jax.lax.scan(advance, start, counts)
    return coef, wrong, value, rate
