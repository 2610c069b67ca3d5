"""Logistic regression with a ridge penalty, by Newton's method with a line search.

It is the SL learner on real data. The objective is scikit-learn's: sum of weighted logistic losses
+ l2/2 ||weight||^2, the intercept unpenalised; its C is 1/l2. Sample weights double as masks, so
that one compiled program serves every training set of a sweep.

Source: scikit-learn's `LogisticRegression`, as Tifrea et al. (2023) use it; Nocedal and Wright
(2006), algorithm 6.1 and section 3.1 (Armijo).
"""

import warnings
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from theorylab import linalg
from theorylab.checks import finite, flag, instance, number, same_length, signs
from theorylab.deprecation import old_arguments
from theorylab.mixtures.checks import labelled, row_weights, steps, two_classes
from theorylab.mixtures.frame import Frame, framed, wide_if_concrete
from theorylab.precision import as_float64, float64_inside, input_epsilon, is_traced


class LinearRule(NamedTuple):
    """A linear classifier: the sign of <weight, x> + intercept.

    Attributes:
        weight: (..., d).
        intercept: (...).
        converged: of what `fit_logistic` gives: whether Newton's step from there is small; None of
            other rules.
    """

    weight: Float[Array, "*batch d"]
    intercept: Float[Array, "*batch"]
    converged: Any = None

    def score(self, X: Float[Array, "n d"]) -> Float[Array, "*batch n"]:
        """Signed scores of the rows of X; with stacked classifiers one row of scores each.

        In the precision in which X comes: float64 for float64 samples, wherever their origin is.
        """
        weight, intercept = finite("weight", self.weight), finite("intercept", self.intercept)
        X = finite("X", X, shape=(None, np.shape(weight)[-1]))
        wide = input_epsilon(X) < jnp.finfo(jnp.result_type(float)).eps
        if wide and not is_traced(weight, intercept, X):
            weight, intercept = np.asarray(weight, float), np.asarray(intercept, float)
            return weight @ np.asarray(X, float).T + intercept[..., None]
        weight, intercept = jnp.asarray(weight), jnp.asarray(intercept)
        return weight @ jnp.asarray(X).T + intercept[..., None]

    def error(
        self,
        X: Float[Array, "n d"],
        y: Float[Array, " n"],
        *,
        sample_weight: Float[Array, " n"] | None = None,
    ) -> Float[Array, "*batch"]:
        """Error rate on labels in {-1, +1}, weighted or not; a score of zero counts as +1."""
        score, y = self.score(X), signs("y", y)
        same_length(X=X, y=y)
        wrong = jnp.where(score >= 0, 1, -1) != jnp.asarray(y)
        weights = (
            None if sample_weight is None else row_weights("sample_weight", sample_weight, X=X)
        )
        return jnp.average(wrong, axis=-1, weights=weights)

    @float64_inside
    def normalised(self) -> "LinearRule":
        """The same rule with a weight of length 1 (a zero weight stays)."""
        weight = as_float64(self.weight)
        length = jnp.linalg.norm(weight, axis=-1)
        length = jnp.where(length > 0, length, 1)
        return LinearRule(weight / length[..., None], as_float64(self.intercept) / length)


@old_arguments(iterations="max_steps")
@wide_if_concrete
def fit_logistic(
    X: Float[Array, "n d"],
    y: Float[Array, " n"],
    *,
    l2: Any = 1.0,
    sample_weight: Float[Array, " n"] | None = None,
    intercept: bool = True,
    start: LinearRule | None = None,
    max_steps: int = 200,
) -> LinearRule:
    """Minimise sum_i w_i log(1 + exp(-y_i (<weight, x_i> + intercept))) + l2/2 ||weight||^2.

    Stops when Newton's step is shorter than the root of the precision, relative to the solution.
    A fit that is not there when the evaluations run out is announced by a RuntimeWarning (under
    `jit` nothing can be announced: look at `converged`). It is computed in float64, under `jit` in
    the precision of X, in units of the spread of each column and, with an intercept, about the
    mean, so that neither the origin nor the unit of a column costs digits. For whole paths of
    penalties without intercept, and n below d, use `theorylab.shift.fit_logistic_path`.

    Args:
        X: (n, d) samples.
        y: (n,) labels -1 or +1.
        l2: > 0, may be traced; scikit-learn's 1/C.
        sample_weight: (n,) >= 0; zero leaves a row out.
        intercept: fit one, unpenalised.
        start: a `LinearRule` to start from.
        max_steps: evaluations at most.

    Returns:
        A `LinearRule` classifier, in NumPy float64 unless under `jit`.

    Raises:
        InputError: an intercept fitted to one class alone, which would be infinite; shapes that do
            not fit, other labels.

    Examples:
        >>> X, y = jnp.array([[0.0], [1.0], [2.0], [3.0]]), jnp.array([-1, -1, 1, 1])
        >>> rule = fit_logistic(X, y)
        >>> round(float(-rule.intercept / rule.weight[0]), 3)  # the boundary
        1.5
        >>> float(rule.error(X, y))
        0.0
    """
    X, y = labelled(X, y, ("X", "y"))
    weights = row_weights("sample_weight", sample_weight, X=X)
    number("l2", l2, 0.0, open_low=True)
    max_steps = steps("max_steps", max_steps)
    if flag("intercept", intercept):
        two_classes("y", y, weights)
    Z, frame = framed(X, weights, centre=intercept)
    rows = design_of(Z, intercept)
    theta0 = jnp.zeros(rows.shape[1], X.dtype)
    if start is not None:
        theta0 = enter(frame, check_rule("start", start, X.shape[1]), intercept).astype(X.dtype)
    penalty = penalty_of(l2 / frame.unit**2, rows, intercept)
    problem = Objective(rows.T[None], y[None], weights.astype(X.dtype)[None], penalty)
    theta, _ = minimise(problem, theta0, max_steps=max_steps)
    converged = settled(problem, theta)
    if not is_traced(converged) and not converged:
        warnings.warn(
            "the logistic fit has not converged; raise max_steps, or the penalty l2",
            RuntimeWarning,
            stacklevel=4,
        )
    return leave(frame, theta, intercept)._replace(converged=converged)


def enter(frame: Frame, rule: LinearRule, intercept: bool) -> Array:
    """The parameters in a frame of a rule outside of it, as one vector."""
    weight = jnp.asarray(rule.weight * frame.unit)
    return theta_of(LinearRule(weight, rule.intercept + rule.weight @ frame.origin), intercept)


def leave(frame: Frame, theta: Array, intercept: bool) -> LinearRule:
    """The rule outside of a frame, of parameters in it."""
    inside = linear_of(theta, intercept)
    weight = inside.weight / frame.unit
    return LinearRule(weight, inside.intercept - weight @ frame.origin)


class Objective(NamedTuple):
    """sum_i w_i log(1 + exp(-y_i <theta, x_i>)) + <penalty, theta^2>/2 over samples in blocks.

    A sample is a column.
    """

    design: Float[Array, "b p n"]
    y: Float[Array, "b n"]
    weights: Float[Array, "b n"]
    penalty: Float[Array, " p"]
    blocks: Any = None  # how many blocks count, may be traced; None for all


def settled(problem: Objective, theta: Float[Array, " p"]) -> Array:
    """Whether Newton's step at theta is at most the root of the precision, in a frame.

    There the unit of a score is 1, and that of theta with it. All blocks count.
    """
    design, y, weights, penalty, _ = problem
    pull = y * weights * jax.nn.sigmoid(-y * jnp.einsum("p,bpn->bn", theta, design))
    gradient = penalty * theta - jnp.einsum("bpn,bn->p", design, pull)
    move = inverse_hessian(problem, theta) @ gradient
    small = float(jnp.finfo(design.dtype).eps) ** 0.5
    return jnp.linalg.norm(move) <= small * (1 + jnp.linalg.norm(theta))


def check_rule(name: str, rule: Any, d: int | None = None) -> LinearRule:
    """One linear rule, of d features."""
    instance(name, rule, LinearRule, "a LinearRule, as fit_logistic gives it,")
    finite(f"{name}.weight", rule.weight, shape=(d,))
    finite(f"{name}.intercept", rule.intercept, ndim=0)
    return rule


def design_of(X: Array, intercept: bool) -> Array:
    """The rows of X (..., d), with a last column of ones for an intercept."""
    return jnp.concatenate([X, jnp.ones((*X.shape[:-1], 1), X.dtype)], axis=-1) if intercept else X


def penalty_of(l2: Any, design: Array, intercept: bool) -> Array:
    """The penalty on each weight (p,), of those on features (d,): none on the intercept."""
    penalty = jnp.asarray(l2, design.dtype)
    return jnp.append(penalty, 0) if intercept else penalty


def theta_of(rule: LinearRule, intercept: bool) -> Array:
    """Weight and intercept as one vector, the intercept last."""
    return jnp.append(rule.weight, rule.intercept) if intercept else jnp.asarray(rule.weight)


def linear_of(theta: Array, intercept: bool) -> LinearRule:
    """The `LinearRule` classifier of one vector, the intercept last."""
    return (
        LinearRule(theta[:-1], theta[-1])
        if intercept
        else LinearRule(theta, jnp.zeros((), theta.dtype))
    )


class _Point(NamedTuple):
    """Where the descent stands, and the objective there."""

    theta: Array
    inverse: Array  # of the Hessian, as far as it is known
    value: Array
    gradient: Array
    move: Array  # the step to the minimum, by `inverse`
    size: Array  # share of it to try next
    ratio: Array  # its length / that of the step before; 1 for the first by a Hessian
    count: Array  # type: ignore[assignment]  # of evaluations


def minimise(
    problem: Objective,
    theta0: Float[Array, " p"],
    *,
    inverse: Float[Array, "p p"] | None = None,
    max_steps: int = 200,
    tol: Any = 0.0,
) -> tuple[Float[Array, " p"], Float[Array, "p p"]]:
    """Minimise an `Objective` from theta0.

    BFGS from the inverse Hessian, which is computed again when a step fails to
    halve the next one: a pass over the samples for the gradient costs a fifth of one for the
    Hessian. A step that does not lower the objective (Armijo's rule) asks for the Hessian at hand,
    or is halved where it is that one's.

    inverse: of a Hessian to begin with, as `inverse_hessian` gives it of a problem nearby.
    max_steps: evaluations at most. tol: error of theta, relative; rounding at least. Returns the
    minimiser and the inverse Hessian as it is known there.
    """
    design, y, weights, penalty, blocks = problem
    eps = float(jnp.finfo(design.dtype).eps)
    count = len(design) if blocks is None else blocks
    pull = y * weights

    def add(theta: Array, b: Any, sums: tuple[Array, Array]) -> tuple[Array, Array]:
        margin = y[b] * (theta @ design[b])
        small = jnp.exp(-jnp.abs(margin))
        one = 1 + small
        # as exact as `jnp.log1p`, in a third of its time on a CPU
        log1p = jnp.log(one) - (one - 1 - small) / one
        wrong = jnp.where(margin > 0, small, 1) / one  # logistic function of -margin
        loss = weights[b] * (jnp.maximum(-margin, 0) + log1p)
        return sums[0] + jnp.sum(loss), sums[1] - design[b] @ (pull[b] * wrong)

    def evaluate(theta: Array) -> tuple[Array, Array, Array]:
        nothing = (jnp.zeros((), design.dtype), jnp.zeros_like(theta))
        loss, gradient = jax.lax.fori_loop(0, count, partial(add, theta), nothing)
        return loss + penalty @ theta**2 / 2, gradient + penalty * theta, loss

    def done(at: _Point, fresh: Array) -> Array:
        """Whether the step leaves no error to speak of.

        A Newton step squares it, another shrinks it by the ratio.
        """
        length, whole = jnp.linalg.norm(at.move), jnp.linalg.norm(at.theta)
        newton = fresh & (at.ratio == 1) & (length <= eps**0.5 * whole)
        last = length * jnp.minimum(at.ratio, 0.5) <= jnp.maximum(tol, 16 * eps) * whole
        return newton | last | (at.count >= max_steps)

    def descend(at: _Point, fresh: Array) -> _Point:
        """Steps from one Hessian, until it no longer serves."""

        def serves(at: _Point) -> Array:
            first = (at.ratio == 1) & (at.size > jnp.where(fresh, 1e-4, 0.9))
            return ~done(at, fresh) & (first | (at.ratio <= 0.5) & (at.size == 1))

        def body(at: _Point) -> _Point:
            step = at.size * at.move
            value, gradient, loss = evaluate(at.theta + step)
            # In float32 the sum hides the last steps: a rise within its rounding is none.
            fell = value <= at.value + 1e-4 * step @ at.gradient + 8 * eps * loss
            inverse = _bfgs(at.inverse, step, gradient - at.gradient)
            move = -inverse @ gradient
            ratio = jnp.linalg.norm(move) / jnp.linalg.norm(step)
            one = jnp.ones_like(value)
            there = _Point(
                at.theta + step, inverse, value, gradient, move, one, ratio, at.count + 1
            )
            back = at._replace(size=at.size / 2, count=at.count + 1)
            return jax.tree.map(partial(jnp.where, fell), there, back)

        return jax.lax.while_loop(serves, body, at)

    def begin(at: _Point, inverse: Array) -> _Point:
        one = jnp.ones_like(at.value)
        return at._replace(inverse=inverse, move=-inverse @ at.gradient, size=one, ratio=one)

    def renew(state: tuple[_Point, Array]) -> tuple[_Point, Array]:
        at, fresh = state[0], jnp.asarray(True)
        inverse = inverse_hessian(problem, at.theta)
        return descend(begin(at, inverse), fresh), fresh

    fresh = jnp.asarray(inverse is None)
    inverse = inverse_hessian(problem, theta0) if inverse is None else inverse
    value, gradient, _ = evaluate(theta0)
    at = begin(
        _Point(theta0, inverse, value, gradient, gradient, value, value, jnp.asarray(1)), inverse
    )
    end, _ = jax.lax.while_loop(lambda state: ~done(*state), renew, (descend(at, fresh), fresh))
    return end.theta + jnp.where(end.count < max_steps, end.move, 0), end.inverse


def _bfgs(
    inverse: Float[Array, "p p"], step: Float[Array, " p"], rise: Float[Array, " p"]
) -> Float[Array, "p p"]:
    """The inverse Hessian after a step over which the gradient rose so.

    Unchanged where rounding hides the rise.
    """
    along = step @ rise
    seen = inverse @ rise
    scale = jnp.where(along > 0, 1 / along, 0)
    cross = scale * jnp.outer(step, seen)
    return inverse - cross - cross.T + (scale**2 * (rise @ seen) + scale) * jnp.outer(step, step)


def inverse_hessian(problem: Objective, theta: Float[Array, " p"]) -> Float[Array, "p p"]:
    """Of an objective at theta."""
    design, _, weights, penalty, blocks = problem
    eye = jnp.eye(design.shape[1], dtype=design.dtype)

    def add(b: Any, hessian: Array) -> Array:
        right = jax.nn.sigmoid(theta @ design[b])
        return hessian + (design[b] * (weights[b] * right * (1 - right))) @ design[b].T

    hessian = jax.lax.fori_loop(
        0, len(design) if blocks is None else blocks, add, jnp.diag(penalty)
    )
    # an intercept far out has no curvature
    tiny = jnp.finfo(design.dtype).eps * jnp.trace(hessian) / len(eye)
    return linalg.cho_solve(linalg.cholesky(hessian + tiny * eye), eye)
