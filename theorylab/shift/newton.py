"""Newton's method on a path of penalties, for one problem of l2-penalised logistic regression.

The system is solved on the smaller side: in the samples' coordinates (`_Dual`) with more features
than samples, in the weights' (`_Primal`) otherwise.

Source: Rasmussen and Williams (2006), algorithm 3.1.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from theorylab import linalg

# step sizes tried along a Newton direction; from 0 it pays to go beyond 1
STEPS = 2.0 ** np.arange(4, -20, -1)


def pad_penalties(lams: np.ndarray) -> tuple[Array, Array]:
    """Decreasing penalties padded to a multiple of 8, and their number.

    So paths of all lengths share a program.
    """
    return jnp.asarray(np.pad(lams, (0, -len(lams) % 8), mode="edge")), jnp.asarray(len(lams))


def gram(X: Array, mask: Array) -> Array:
    """What `newton_path` factorises with.

    X X^T, or X itself if there are fewer features than samples.
    """
    X = jnp.where(mask[:, None], X, 0.0)
    return X @ X.T if X.shape[1] >= X.shape[0] else X


@dataclass(frozen=True)
class _Problem:
    """Samples and labels of one problem, inside traced code.

    Weights are in the coordinates of the subclass, outputs are X w (n,).
    """

    X: Array | None  # (n, p), zero rows where a sample does not count
    K: Array  # what `gram` gives
    y: Array
    mask: Array
    number: Array  # of samples that count

    def losses(self, outputs: Array) -> Array:
        """Mean loss."""
        return jnp.where(self.mask, jax.nn.softplus(-self.y * outputs), 0.0).sum(-1) / self.number

    def pull(self, outputs: Array) -> Array:
        """Minus the derivative of the losses with respect to the outputs, times the samples."""
        return jnp.where(self.mask, self.y * jax.nn.sigmoid(-self.y * outputs), 0.0)

    def curvature(self, outputs: Array) -> Array:
        """Second derivative of the mean loss with respect to the outputs."""
        each = jax.nn.sigmoid(outputs) * jax.nn.sigmoid(-outputs)
        return jnp.where(self.mask, each, 0.0) / self.number

    def train_error(self, outputs: Array) -> Array:
        """Share of samples on the wrong side, ties included."""
        return jnp.where(self.mask, self.y * outputs <= 0, False).sum() / self.number


class _Dual(_Problem):
    """Weights are a (n,), with w = X^T a."""

    def zero(self) -> Array:
        """Weights to begin with."""
        return jnp.zeros(self.K.shape[0], self.K.dtype)

    def product(self, weights: Array, other: Array, other_outputs: Array) -> Array:
        """<w, w'> of two weights, the other with its outputs."""
        return weights @ other_outputs

    def gradient(self, weights: Array, outputs: Array, lam: Array) -> tuple[Array, Array]:
        """The gradient in w (in the coordinates of `weights`) and its norm."""
        v = lam * weights - self.pull(outputs) / self.number
        return v, jnp.sqrt(jnp.maximum(v @ (self.K @ v), 0.0))

    def step(self, g: Array, outputs: Array, lam: Array) -> Array:
        """Newton's: (lam + W K)^-1 g = [g - W^1/2 B^-1 W^1/2 K g / lam] / lam, negated."""
        root = jnp.sqrt(self.curvature(outputs))
        eye = jnp.eye(self.K.shape[0], dtype=self.K.dtype)
        factor = linalg.cholesky(eye + root[:, None] * self.K * root / lam)
        inside = linalg.cho_solve(factor, (root * (self.K @ g))[:, None])[:, 0]
        return -(g - root * inside / lam) / lam

    def solution(self, weights: Array) -> dict[str, Array]:
        """What is handed back of the weights."""
        return {"weights": weights} if self.X is None else {"coef": self.X.T @ weights}


class _Primal(_Problem):
    """Weights are w (p,)."""

    X: Array

    def zero(self) -> Array:
        """Weights to begin with."""
        return jnp.zeros(self.X.shape[1], self.K.dtype)

    def product(self, weights: Array, other: Array, other_outputs: Array) -> Array:
        """<w, w'> of two weights, the other with its outputs."""
        return weights @ other

    def gradient(self, weights: Array, outputs: Array, lam: Array) -> tuple[Array, Array]:
        """The gradient in w and its norm."""
        g = lam * weights - self.X.T @ self.pull(outputs) / self.number
        return g, jnp.linalg.norm(g)

    def step(self, g: Array, outputs: Array, lam: Array) -> Array:
        """Newton's, by the Hessian X^T W X / n + lam."""
        eye = jnp.eye(self.X.shape[1], dtype=self.K.dtype)
        hessian = (self.X.T * self.curvature(outputs)) @ self.X + lam * eye
        return -linalg.cho_solve(linalg.cholesky(hessian), g[:, None])[:, 0]

    def solution(self, weights: Array) -> dict[str, Array]:
        """What is handed back of the weights."""
        return {"coef": weights}


class _State(NamedTuple):
    weights: Array
    outputs: Array  # X w (n,)
    gradient_norm: Array
    steps: Array
    stalled: Array


def newton_path(
    X: Array | None,
    K: Array,
    y: Array,
    mask: Array,
    lams: Array,
    tol: Array | float,
    max_steps: int,
    *,
    count: Any = None,
) -> dict[str, Array]:
    """Solve one problem inside traced code: penalties in decreasing order, K = `gram(X, mask)`.

    Returns the fields of `LogisticFit` with leading axis L, all in the dtype of K; "weights" (L, n)
    instead of "coef" where X is None. count: how many of the penalties to go through, may be traced
    (all by default; then zeros follow).
    """
    number = jnp.maximum(mask.sum(), 1).astype(K.dtype)
    if X is not None:
        X = jnp.where(mask[:, None], X, 0.0)
    kind = _Dual if X is None or X.shape[1] >= K.shape[0] else _Primal
    problem: _Dual | _Primal = kind(X, K, y, mask, number)

    def solve(weights: Array, outputs: Array, lam: Array) -> tuple[_State, dict[str, Array]]:
        return _solve(problem, weights, outputs, lam, tol, max_steps)

    def add(
        i: Array, carry: tuple[Array, Array, dict[str, Array]]
    ) -> tuple[Array, Array, dict[str, Array]]:
        weights, outputs, found = carry
        end, one = solve(weights, outputs, lams[i])
        return (
            end.weights,
            end.outputs,
            jax.tree.map(lambda whole, row: whole.at[i].set(row), found, one),
        )

    zero, none = problem.zero(), jnp.zeros(K.shape[0], K.dtype)
    shapes = jax.eval_shape(solve, zero, none, lams[0])[1]
    room = jax.tree.map(lambda s: jnp.zeros((len(lams), *s.shape), s.dtype), shapes)
    return jax.lax.fori_loop(0, len(lams) if count is None else count, add, (zero, none, room))[2]


def _solve(
    problem: _Dual | _Primal,
    weights: Array,
    outputs: Array,
    lam: Array,
    tol: Array | float,
    max_steps: int,
) -> tuple[_State, dict[str, Array]]:
    """The solution at one penalty, from these weights, and what is reported of it."""
    start = _State(
        weights,
        outputs,
        problem.gradient(weights, outputs, lam)[1],
        jnp.zeros((), int),
        jnp.zeros((), bool),
    )

    def unfinished(s: _State) -> Array:
        return (s.gradient_norm > tol) & (s.steps < max_steps) & ~s.stalled

    end = jax.lax.while_loop(unfinished, partial(_newton, problem, lam), start)
    square = problem.product(end.weights, end.weights, end.outputs)
    return end, problem.solution(end.weights) | {
        "gradient_norm": end.gradient_norm,
        "steps": end.steps,
        "train_error": problem.train_error(end.outputs),
        "objective": problem.losses(end.outputs) + lam / 2 * square,
    }


def _newton(problem: _Dual | _Primal, lam: Array, state: _State) -> _State:
    """One step, of the best of many sizes."""
    dtype = problem.K.dtype
    steps = jnp.asarray(STEPS, dtype)
    g, _ = problem.gradient(state.weights, state.outputs, lam)
    step = problem.step(g, state.outputs, lam)
    effect = problem.K @ step
    # Along the direction an evaluation costs O(n): try many step sizes and take the best.
    cross = problem.product(step, state.weights, state.outputs)
    square = problem.product(step, step, effect)
    penalty = steps * cross + steps**2 * square / 2
    now = problem.losses(state.outputs)
    gain = problem.losses(state.outputs + steps[:, None] * effect) - now + lam * penalty
    # Near the optimum the objective has no digits left to tell steps apart: there the full step is
    # right.
    full = jnp.abs(gain).max() <= 1e3 * jnp.finfo(dtype).eps * (now + lam)
    t = jnp.where(full, 1.0, jnp.max(jnp.where(gain <= gain.min(), steps, 0.0)))
    weights = state.weights + t * step
    outputs = problem.K @ weights
    norm = problem.gradient(weights, outputs, lam)[1]
    # Rounding's floor is reached when a full step no longer shrinks the gradient.
    stalled = full & (norm >= state.gradient_norm)
    return _State(
        jnp.where(stalled, state.weights, weights),
        jnp.where(stalled, state.outputs, outputs),
        jnp.where(stalled, state.gradient_norm, norm),
        state.steps + 1,
        stalled,
    )
