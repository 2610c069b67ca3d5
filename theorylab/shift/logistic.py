"""l2-penalised logistic regression by Newton's method: penalty paths, batches, padded samples.

Objective, mean over the samples: (1/n) sum_i log(1 + exp(-y_i <w, x_i>)) + (lam/2) ||w||^2. At lam
-> 0 on separable data the direction of w tends to that of the maximum margin; a small lam needs
many digits, so everything is float64 and the norm of the gradient is reported with every fit.

Newton's system is solved on the smaller side. With more features than samples (the rule here) w =
X^T a and B = I + W^1/2 K W^1/2 / (n lam) with K = X X^T is factorised: n^3 / 3 flops per step.
Otherwise the Hessian X^T W X / n + lam.

Source: Rasmussen and Williams (2006), algorithm 3.1.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int

from theorylab import linalg
from theorylab.checks import choice, count, finite, number, positive
from theorylab.deprecation import old_field
from theorylab.errors import InputError
from theorylab.precision import float64_inside, is_traced
from theorylab.pytrees import register
from theorylab.shift.checks import batched_signs, sample_mask

# step sizes tried along a Newton direction; from 0 it pays to go beyond 1
STEPS = 2.0 ** np.arange(4, -20, -1)


@register("tol")
@dataclass(frozen=True)
class LogisticFit:
    """A path of L penalties, for each problem of a batch (axes *b).

    Attributes:
        coef: (*b, L, p) weights.
        lams: (L,) penalties, in the order given.
        gradient_norm: (*b, L) norm of the objective's gradient at `coef`.
        steps: (*b, L) Newton steps taken.
        train_error: (*b, L) share of samples on the wrong side of their (observed) label, ties
            counted as wrong.
        objective: (*b, L).
        tol: the gradient norm that was asked for.
    """

    coef: Float[Array, "*b l p"]
    lams: Float[Array, " l"]
    gradient_norm: Float[Array, "*b l"]
    steps: Int[Array, "*b l"]
    train_error: Float[Array, "*b l"]
    objective: Float[Array, "*b l"]
    tol: float

    iterations = old_field("iterations", "steps")

    @property
    def converged(self) -> Bool[Array, "*b l"]:
        """Where the gradient norm is what was asked for."""
        return self.gradient_norm <= self.tol


def fit_logistic_path(
    X: Float[ArrayLike, "*b n p"],
    y: Float[ArrayLike, "*b n"],
    lams: Float[ArrayLike, " l"] | Sequence[float],
    *,
    mask: Bool[ArrayLike, "*b n"] | None = None,
    tol: float = 1e-8,
    max_steps: int = 100,
    batch_size: int | None = None,
    precision: str = "float64",
) -> LogisticFit:
    """Fit weights that minimise the mean logistic loss plus (lam/2) ||w||^2, for every penalty.

    There is no intercept; `theorylab.mixtures.fit_logistic` has one. The penalties are gone through
    from the largest to the smallest (under jit: as given), each from the solution before. A fit
    that misses `tol` after `max_steps` Newton steps is returned with its gradient norm and
    announced by a RuntimeWarning (under jit nothing can be announced: look at `converged`).

    Args:
        X: (*b, n, p) samples, with any number of batch axes in front.
        y: (*b, n) labels -1 or 1.
        lams: penalties > 0, one or many.
        mask: (*b, n) which samples count; padding is False. n in the objective is their number.
        tol: the gradient norm to reach.
        max_steps: Newton steps per penalty.
        batch_size: problems solved at once; by default one after the other on CPU (LAPACK is
            parallel itself), all at once elsewhere. Memory grows with this number, not with the
            batch.
        precision: "float64", or "float32" for comparison: give it a `tol` that it can reach, 1e-6
            say.

    Returns:
        A `LogisticFit`.

    Raises:
        InputError: shapes that do not fit together, labels other than -1 and 1, penalties that are
            not positive.

    Examples:
        >>> X, y = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]), np.array([1.0, 1.0, -1.0])
        >>> fit = fit_logistic_path(X, y, [0.1])
        >>> np.asarray(fit.coef).round(4).tolist(), bool(fit.converged.all())
        ([[1.3608, 0.9378]], True)
    """
    shape = np.shape(finite("X", X, ndim=tuple(range(2, 8))))
    if np.shape(finite("y", y)) != shape[:-1]:
        raise InputError(
            f"y has shape {np.shape(y)} but X has {shape}; one label for each sample is needed"
        )
    batched_signs("y", y, shape[:-1])
    lams = positive("lams", lams, ndim=(0, 1))  # 1e-6 is nearly none
    number("tol", tol, 0.0)
    max_steps = count("max_steps", max_steps)
    mask = jnp.ones(shape[:-1], bool) if mask is None else sample_mask("mask", mask, shape[:-1])
    choice("precision", precision, ("float64", "float32"))
    size = int(np.prod(shape[:-2]))
    if batch_size is None:
        batch_size = 1 if jax.default_backend() == "cpu" else size
    batch_size = count("batch_size", batch_size)
    found = _fit(X, y, lams, mask, tol, max_steps, min(batch_size, size), precision)
    fit = LogisticFit(**found, tol=tol)
    if not is_traced(fit.gradient_norm) and not np.all(fit.converged):
        worst = np.max(fit.gradient_norm)
        warnings.warn(
            f"{np.sum(~fit.converged)} of {fit.converged.size} logistic fits have a gradient norm "
            f"above tol = {tol:g} after at most {max_steps} steps (largest {worst:.2g}); raise "
            "max_steps, or tol if this is small enough.",
            RuntimeWarning,
            stacklevel=2,
        )
    return fit


@float64_inside
def fit_kernel_logistic(
    K: Float[ArrayLike, "n n"],
    y: Float[ArrayLike, "*b n"],
    lams: Float[ArrayLike, " l"] | Sequence[float],
    *,
    mask: Bool[ArrayLike, " n"] | None = None,
    tol: float = 1e-8,
    max_steps: int = 100,
) -> dict[str, Any]:
    """`fit_logistic_path` on features of which only the Gram matrix K is known.

    For many label vectors on the same samples. Returns "dual" (*b, L, n), the a of f(x) = sum_i a_i
    k(x_i, x) (zero at padding), and "gradient_norm", "steps", "train_error", "objective" (*b,
    L) as `LogisticFit` has them. K: positive semi-definite; mask: (n,).
    """
    n = np.shape(finite("K", K, ndim=2))[0]
    if np.shape(K) != (n, n):
        raise InputError(f"K has shape {np.shape(K)}; a square matrix of inner products is needed.")
    batched_signs("y", y, (*np.shape(finite("y", y))[:-1], n))
    penalties = np.atleast_1d(np.asarray(positive("lams", lams, ndim=(0, 1)), np.float64))
    number("tol", tol, 0.0)
    max_steps = count("max_steps", max_steps)
    counted = (
        np.ones(n, bool) if mask is None else np.asarray(sample_mask("mask", mask, (n,)), bool)
    )
    labels = jnp.asarray(y, jnp.float64)
    order = np.argsort(-penalties, kind="stable")
    padded, length = pad_penalties(penalties[order])
    found = _kernel_paths(
        jnp.asarray(K, jnp.float64),
        labels.reshape(-1, n),
        padded,
        length,
        jnp.asarray(counted),
        jnp.asarray(tol),
        max_steps,
    )
    if not np.isfinite(np.asarray(found["gradient_norm"])).all():
        raise InputError(
            "K gives no finite fit; a positive semi-definite matrix of inner products is needed"
        )
    back = np.argsort(order)
    return {
        name: np.asarray(value)[:, back].reshape(*labels.shape[:-1], len(back), *value.shape[2:])
        for name, value in found.items()
    }


@partial(jax.jit, static_argnums=6)
def _kernel_paths(
    K: Array, y: Array, lams: Array, count: Array, mask: Array, tol: Array, max_steps: int
) -> Any:
    K = jnp.where(mask[:, None] & mask, K, 0.0)

    def problem(labels: Array) -> dict[str, Array]:
        found = newton_path(None, K, labels, mask, lams, tol, max_steps, count=count)
        return {"dual" if name == "weights" else name: value for name, value in found.items()}

    return jax.lax.map(problem, y)


def pad_penalties(lams: np.ndarray) -> tuple[Array, Array]:
    """Decreasing penalties padded to a multiple of 8, and their number.

    So paths of all lengths share a program.
    """
    return jnp.asarray(np.pad(lams, (0, -len(lams) % 8), mode="edge")), jnp.asarray(len(lams))


@float64_inside
def _fit(
    X: Any,
    y: Any,
    lams: Any,
    mask: Any,
    tol: float,
    max_steps: int,
    batch_size: int,
    precision: str,
) -> Any:
    dtype = jnp.float64 if precision == "float64" else jnp.float32
    lams = jnp.atleast_1d(jnp.asarray(lams, dtype))
    # traced penalties cannot be sorted (their order is data): they are taken as they come
    order = (
        np.arange(lams.size) if is_traced(lams) else np.argsort(-np.asarray(lams), kind="stable")
    )
    found = _batched(
        jnp.asarray(X, dtype),
        jnp.asarray(y, dtype),
        lams[order],
        jnp.asarray(mask, bool),
        jnp.asarray(tol, dtype),
        max_steps,
        batch_size,
    )
    back = np.argsort(order)
    taken = {
        name: value[..., back, :] if name == "coef" else value[..., back]
        for name, value in found.items()
    }
    return taken | {"lams": lams}


@partial(jax.jit, static_argnums=(5, 6))
def _batched(
    X: Array, y: Array, lams: Array, mask: Array, tol: Array, max_steps: int, batch_size: int
) -> Any:
    batch, (n, p) = X.shape[:-2], X.shape[-2:]

    def problem(one: tuple[Array, Array, Array]) -> dict[str, Array]:
        x, labels, counted = one
        return newton_path(x, gram(x, counted), labels, counted, lams, tol, max_steps)

    flat = (X.reshape(-1, n, p), y.reshape(-1, n), mask.reshape(-1, n))
    # no batches of 1: XLA's batched products are several times slower on CPU
    found = jax.lax.map(problem, flat, batch_size=batch_size if batch_size > 1 else None)
    return {name: value.reshape(*batch, *value.shape[1:]) for name, value in found.items()}


class _State(NamedTuple):
    weights: Array  # a (n,) with w = X^T a, or w (p,)
    outputs: Array  # X w (n,)
    gradient_norm: Array
    steps: Array
    stalled: Array


def gram(X: Array, mask: Array) -> Array:
    """What `newton_path` factorises with.

    X X^T, or X itself if there are fewer features than samples.
    """
    X = jnp.where(mask[:, None], X, 0.0)
    return X @ X.T if X.shape[1] >= X.shape[0] else X


def newton_path(  # noqa: C901
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
    dtype, n = K.dtype, K.shape[0]
    number = jnp.maximum(mask.sum(), 1).astype(dtype)
    if X is not None:
        X = jnp.where(mask[:, None], X, 0.0)
    dual = X is None or X.shape[1] >= n

    def losses(outputs: Array) -> Array:
        return jnp.where(mask, jax.nn.softplus(-y * outputs), 0.0).sum(-1) / number

    def norm2(weights: Array, outputs: Array) -> Array:
        return weights @ (outputs if dual else weights)

    def pull(outputs: Array) -> Array:
        """Minus the derivative of the losses with respect to the outputs.

        Times the number of samples.
        """
        return jnp.where(mask, y * jax.nn.sigmoid(-y * outputs), 0.0)

    def gradient(weights: Array, outputs: Array, lam: Array) -> tuple[Array, Array]:
        """The gradient in w (in the coordinates of `weights`) and its norm."""
        if dual:
            v = lam * weights - pull(outputs) / number
            return v, jnp.sqrt(jnp.maximum(v @ (K @ v), 0.0))
        g = lam * weights - X.T @ pull(outputs) / number  # type: ignore[union-attr]
        return g, jnp.linalg.norm(g)

    def direction(g: Array, outputs: Array, lam: Array) -> tuple[Array, Array]:
        """Newton's step and its effect on the outputs."""
        curvature = (
            jnp.where(mask, jax.nn.sigmoid(outputs) * jax.nn.sigmoid(-outputs), 0.0) / number
        )
        if dual:
            # (lam + W K)^-1 g = [g - W^1/2 B^-1 W^1/2 K g / lam] / lam
            root = jnp.sqrt(curvature)
            factor = linalg.cholesky(jnp.eye(n, dtype=dtype) + root[:, None] * K * root / lam)
            step = (
                -(g - root * linalg.cho_solve(factor, (root * (K @ g))[:, None])[:, 0] / lam) / lam
            )
        else:
            hessian = (X.T * curvature) @ X + lam * jnp.eye(X.shape[1], dtype=dtype)  # type: ignore[operator, union-attr]
            step = -linalg.cho_solve(linalg.cholesky(hessian), g[:, None])[:, 0]
        return step, K @ step

    steps = jnp.asarray(STEPS, dtype)

    def newton(lam: Array, state: _State) -> _State:
        g, _ = gradient(state.weights, state.outputs, lam)
        step, effect = direction(g, state.outputs, lam)
        # Along the direction an evaluation costs O(n): try many step sizes and take the best.
        cross = (step @ state.outputs) if dual else step @ state.weights
        penalty = steps * cross + steps**2 * norm2(step, effect) / 2
        now = losses(state.outputs)
        gain = losses(state.outputs + steps[:, None] * effect) - now + lam * penalty
        # Near the optimum the objective has no digits left to tell steps apart: there the full step
        # is right.
        full = jnp.abs(gain).max() <= 1e3 * jnp.finfo(dtype).eps * (now + lam)
        t = jnp.where(full, 1.0, jnp.max(jnp.where(gain <= gain.min(), steps, 0.0)))
        weights = state.weights + t * step
        outputs = K @ weights
        norm = gradient(weights, outputs, lam)[1]
        # Rounding's floor is reached when a full step no longer shrinks the gradient.
        stalled = full & (norm >= state.gradient_norm)
        return _State(
            jnp.where(stalled, state.weights, weights),
            jnp.where(stalled, state.outputs, outputs),
            jnp.where(stalled, state.gradient_norm, norm),
            state.steps + 1,
            stalled,
        )

    def solve(weights: Array, outputs: Array, lam: Array) -> tuple[_State, dict[str, Array]]:
        start = _State(
            weights,
            outputs,
            gradient(weights, outputs, lam)[1],
            jnp.zeros((), int),
            jnp.zeros((), bool),
        )

        def unfinished(s: _State) -> Array:
            return (s.gradient_norm > tol) & (s.steps < max_steps) & ~s.stalled

        end = jax.lax.while_loop(unfinished, partial(newton, lam), start)
        wrong = jnp.where(mask, y * end.outputs <= 0, False).sum() / number
        solution = (
            {"weights": end.weights}
            if X is None
            else {"coef": X.T @ end.weights if dual else end.weights}
        )
        return end, solution | {
            "gradient_norm": end.gradient_norm,
            "steps": end.steps,
            "train_error": wrong,
            "objective": losses(end.outputs) + lam / 2 * norm2(end.weights, end.outputs),
        }

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

    zero, none = jnp.zeros(n if X is None or dual else X.shape[1], dtype), jnp.zeros(n, dtype)
    shapes = jax.eval_shape(solve, zero, none, lams[0])[1]
    room = jax.tree.map(lambda s: jnp.zeros((len(lams), *s.shape), s.dtype), shapes)
    return jax.lax.fori_loop(0, len(lams) if count is None else count, add, (zero, none, room))[2]
