"""Logistic regression with a ridge penalty, by Newton's method with a line search: the SL learner on real data.

The objective is scikit-learn's: sum of weighted logistic losses + l2/2 ||weight||^2, the intercept unpenalised; its C
is 1/l2. Sample weights double as masks, so that one compiled program serves every training set of a sweep.
"""

from functools import partial
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
    rows = design_of(X, intercept)
    theta0 = jnp.zeros(rows.shape[1], X.dtype) if start is None else theta_of(start, intercept)
    theta = minimise(
        rows.T[None], y[None], weights.astype(X.dtype)[None], penalty_of(l2, rows, intercept), theta0,
        iterations=iterations,
    )  # fmt: skip
    return linear_of(theta, intercept)


def design_of(X: Array, intercept: bool) -> Array:
    """The rows of X (..., d), with a last column of ones for an intercept."""
    return jnp.concatenate([X, jnp.ones((*X.shape[:-1], 1), X.dtype)], axis=-1) if intercept else X


def penalty_of(l2: Any, design: Array, intercept: bool) -> Array:
    """The penalty on each weight (p,): none on the intercept."""
    penalty = jnp.full(design.shape[-1], l2, design.dtype)
    return penalty.at[-1].set(0) if intercept else penalty


def theta_of(rule: Linear, intercept: bool) -> Array:
    return jnp.append(rule.weight, rule.intercept) if intercept else jnp.asarray(rule.weight)


def linear_of(theta: Array, intercept: bool) -> Linear:
    return Linear(theta[:-1], theta[-1]) if intercept else Linear(theta, jnp.zeros((), theta.dtype))


class _Point(NamedTuple):
    """Where Newton's method stands, and the objective there."""

    theta: Array
    value: Array
    slope: Array  # of the objective along `move`
    move: Array  # Newton's step
    size: Array  # share of it to try next
    count: Array  # type: ignore[assignment]


def minimise(
    design: Float[Array, "b p n"], y: Float[Array, "b n"], weights: Float[Array, "b n"],
    penalty: Float[Array, " p"], theta0: Float[Array, " p"], *, blocks: Any = None, iterations: int = 50,
) -> Float[Array, " p"]:  # fmt: skip
    """Minimise sum_i w_i log(1 + exp(-y_i <theta, x_i>)) + <penalty, theta^2>/2 over samples in blocks.

    A sample is a column. One pass over them gives the objective, its gradient and its Hessian at the point tried. Steps
    are halved until the objective falls (Armijo's rule). blocks: how many blocks count, may be traced.
    """
    eps, p = jnp.finfo(design.dtype).eps, design.shape[1]
    blocks = len(design) if blocks is None else blocks

    def add(theta: Array, b: Any, sums: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        margin = y[b] * (theta @ design[b])
        small = jnp.exp(-jnp.abs(margin))
        loss = weights[b] * (jnp.maximum(-margin, 0) + jnp.log1p(small))
        wrong = jnp.where(margin > 0, small, 1) / (1 + small)  # logistic function of -margin
        pull = weights[b] * wrong
        curvature = design[b] * (pull * (1 - wrong))
        return sums[0] + jnp.sum(loss), sums[1] - design[b] @ (y[b] * pull), sums[2] + curvature @ design[b].T

    def short(at: _Point) -> Array:  # Newton's steps square the error: one this short leaves rounding
        return jnp.linalg.norm(at.move) <= jnp.sqrt(eps) * jnp.linalg.norm(at.theta)

    def unfinished(at: _Point) -> Array:
        return (at.count == 0) | (~short(at) & (at.count < iterations))

    def body(at: _Point) -> _Point:
        theta = at.theta + at.size * at.move
        nothing = (jnp.zeros((), design.dtype), jnp.zeros(p, design.dtype), jnp.zeros((p, p), design.dtype))
        loss, gradient, hessian = jax.lax.fori_loop(0, blocks, partial(add, theta), nothing)
        value, gradient = loss + penalty @ theta**2 / 2, gradient + penalty * theta
        hessian = hessian + jnp.diag(penalty)
        tiny = eps * jnp.trace(hessian) / p  # an intercept far out has no curvature
        factor = jnp.linalg.cholesky(hessian + tiny * jnp.eye(p, dtype=design.dtype))
        move = -jax.scipy.linalg.cho_solve((factor, True), gradient)
        # In float32 the sum hides the last steps: a rise within its rounding is none.
        fell = (value <= at.value + 1e-4 * at.size * at.slope + 8 * eps * loss) | (at.size < 1e-4)
        there = _Point(theta, value, gradient @ move, move, jnp.ones_like(value), at.count + 1)
        back = at._replace(size=at.size / 2, count=at.count + 1)
        return jax.tree.map(partial(jnp.where, fell), there, back)

    high = jnp.asarray(jnp.inf, design.dtype)
    start = _Point(theta0, high, 0 * theta0[0], jnp.zeros_like(theta0), jnp.ones_like(high), jnp.asarray(0))
    end = jax.lax.while_loop(unfinished, body, start)
    return end.theta + jnp.where(short(end), end.move, 0)
