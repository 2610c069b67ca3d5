"""Logistic regression with a ridge penalty, by Newton's method with a line search: the SL learner on real data.

The objective is scikit-learn's: sum of weighted logistic losses + l2/2 ||weight||^2, the intercept unpenalised; its C
is 1/l2. Sample weights double as masks, so that one compiled program serves every training set of a sweep.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from theorylab.errors import InputError
from theorylab.mixtures.checks import floats, known, labelled, nonnegative, positive


class Linear(NamedTuple):
    """A linear classifier: the sign of <weight, x> + intercept."""

    weight: Float[Array, "*batch d"]
    intercept: Float[Array, "*batch"]

    def score(self, X: Float[Array, "n d"]) -> Float[Array, "*batch n"]:
        """Signed scores of the rows of X; with stacked classifiers one row of scores each."""
        return self.weight @ jnp.asarray(X).T + self.intercept[..., None]

    def error(
        self, X: Float[Array, "n d"], y: Float[Array, " n"], *, sample_weight: Float[Array, " n"] | None = None
    ) -> Float[Array, "*batch"]:
        """Error rate on labels in {-1, +1}, weighted or not; a score of zero counts as +1."""
        wrong = jnp.where(self.score(X) >= 0, 1, -1) != jnp.asarray(y)
        return jnp.average(wrong, axis=-1, weights=sample_weight)

    def normalised(self) -> "Linear":
        """The same rule with a weight of length 1 (a zero weight stays)."""
        length = jnp.linalg.norm(self.weight, axis=-1)
        length = jnp.where(length > 0, length, 1)
        return Linear(self.weight / length[..., None], self.intercept / length)


def fit_logistic(
    X: Float[Array, "n d"], y: Float[Array, " n"], *, l2: Any = 1.0, sample_weight: Float[Array, " n"] | None = None,
    intercept: bool = True, start: Linear | None = None, iterations: int = 50,
) -> Linear:  # fmt: skip
    """Minimise sum_i w_i log(1 + exp(-y_i (<weight, x_i> + intercept))) + l2/2 ||weight||^2.

    y: -1 or +1. sample_weight: >= 0, zero leaves a row out. l2: > 0, may be traced. Stops when Newton's step is shorter
    than the root of the precision, relative to the solution. Raises `InputError` when an intercept is fitted to one
    class alone: it would be infinite.
    """
    X, y = labelled(X, y)
    weights = jnp.ones(len(X), X.dtype) if sample_weight is None else floats("sample_weight", sample_weight, ndim=1)
    if weights.shape != y.shape:
        raise InputError(f"sample_weight has shape {weights.shape}: one weight a row, {y.shape}, is needed")
    nonnegative("sample_weight", weights)
    positive("l2", l2)
    positive("iterations", iterations, at_least=1)
    used, labels = known(weights), known(y)
    if intercept and used is not None and labels is not None and len(set(labels[used > 0].tolist())) < 2:
        raise InputError("y holds one class alone: give samples of both, or intercept=False")
    return minimise(X, y, weights.astype(X.dtype), l2, intercept=intercept, start=start, iterations=iterations)


def minimise(
    X: Array, y: Array, weights: Array, l2: Any, *, intercept: bool, start: Linear | None = None, iterations: int = 50
) -> Linear:
    """`fit_logistic` without its checks."""
    d = X.shape[1]
    design = jnp.concatenate([X, jnp.ones((len(X), 1), X.dtype)], axis=1) if intercept else X
    penalty = jnp.full(design.shape[1], l2, X.dtype)
    if intercept:
        penalty = penalty.at[-1].set(0)
    theta0 = jnp.zeros(design.shape[1], X.dtype)
    if start is not None:
        theta0 = jnp.concatenate([start.weight, start.intercept[None]]) if intercept else start.weight
    design_t = design.T
    eps = jnp.finfo(X.dtype).eps

    def body(state: tuple[Array, ...]) -> tuple[Array, ...]:
        theta, u, _, count = state
        p = jax.nn.sigmoid(-y * u)
        gradient = penalty * theta - design_t @ (weights * y * p)
        hessian = (design_t * (weights * p * (1 - p))) @ design + jnp.diag(penalty)
        tiny = eps * jnp.trace(hessian) / len(theta)  # an intercept far out has no curvature
        factor = jnp.linalg.cholesky(hessian + tiny * jnp.eye(len(theta), dtype=X.dtype))
        move = -jax.scipy.linalg.cho_solve((factor, True), gradient)
        along, slope = design @ move, gradient @ move
        loss = _loss(y * u)
        slack = 8 * eps * (weights @ loss)

        def too_long(a: Array) -> Array:  # Armijo's rule, on differences: in float32 the sum hides the last steps
            ridge = a * ((theta * penalty) @ move) + a**2 / 2 * ((penalty * move) @ move)
            rise = weights @ (_loss(y * (u + a * along)) - loss) + ridge
            return (rise > 1e-4 * a * slope + slack) & (a > 1e-4)

        a = jax.lax.while_loop(too_long, lambda a: a / 2, jnp.ones((), X.dtype))
        # Newton's steps square the error: one this short leaves rounding.
        done = jnp.linalg.norm(move) <= jnp.sqrt(eps) * jnp.linalg.norm(theta)
        return theta + a * move, u + a * along, ~done, count + 1

    def unfinished(state: tuple[Array, ...]) -> Array:
        return state[2] & (state[3] < iterations)

    state: tuple[Array, ...] = (theta0, design @ theta0, jnp.asarray(True), jnp.asarray(0))
    theta = jax.lax.while_loop(unfinished, body, state)[0]
    return Linear(theta[:d], theta[d] if intercept else jnp.zeros((), X.dtype))


def _loss(margin: Array) -> Array:
    return jax.nn.softplus(-margin)
