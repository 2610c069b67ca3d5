"""The Projection Norm of linear models: closed forms, bounds, early stopping, kernels.

Noiseless targets y = X theta*, training = the interpolator closest to theta_0, pseudo-labels X~
theta_hat. With P, P~ the projections on the row spaces of X (n, d) and X~ (m, d), and theta =
theta* - theta_0,

    theta_hat - theta_0 = P theta
    theta_hat - theta~ = (I - P~) P theta
    X~ (theta_hat - theta*) = -X~ (I - P) theta

Projections come from singular vectors, so any n, m, d and rank will do. Signals are (d,), or (d, k)
for k outputs, whose squares are summed. All is computed in float64, whatever the input.

Source: Yu et al. (ICML 2022), section on linear models; the statements that docstrings number are
those of docs/derivations/linear_projection_norm.md.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from theorylab import linalg
from theorylab.checks import finite, nonnegative, number, within
from theorylab.errors import InputError
from theorylab.precision import as_float64, float64_inside, input_epsilon, is_traced
from theorylab.pytrees import register

Design = Float[ArrayLike, "n d"]
Signal = Float[ArrayLike, "d *k"]


def _in_float64(function: Callable[..., Any]) -> Callable[..., Any]:
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


def min_norm_fit(
    X: Design, y: Float[ArrayLike, "n *k"], theta0: Signal | float = 0.0
) -> Float[np.ndarray, "d *k"]:
    """The least-squares solution closest to `theta0`, where gradient descent from it ends.

    Args:
        X: (n, d) samples.
        y: (n,) or (n, k) targets.
        theta0: (d,) or (d, k) start, or one number.

    Returns:
        (d,) or (d, k) weights.

    Raises:
        InputError: shapes that do not fit.

    Examples:
        >>> fit = min_norm_fit(np.array([[1.0, 1.0]]), np.array([2.0]), np.array([1.0, 0.0]))
        >>> fit.round(9).tolist()
        [1.5, 0.5]
    """
    _check(X=X)
    if np.shape(finite("y", y, ndim=(1, 2)))[0] != np.shape(X)[0]:
        raise InputError(
            f"y has shape {np.shape(y)}; one row per sample of X, {np.shape(X)[0]}, is needed."
        )
    _check_start(theta0, (np.shape(X)[1], *np.shape(y)[1:]), f"y {np.shape(y)}")
    return _min_norm_fit(X, y, theta0)


@_in_float64
def _min_norm_fit(X: Any, y: Any, theta0: Any) -> Any:
    space = _RowSpace.of(X)
    y, X = as_float64(y), as_float64(X)
    start = jnp.broadcast_to(as_float64(theta0), (X.shape[1], *y.shape[1:]))
    return start + space.solve(y - X @ start)


def linear_projection_norm(
    X: Design, Xt: Design, theta_star: Signal, theta0: Signal | float = 0.0
) -> Float[np.ndarray, ""]:
    """Compute ||theta_hat - theta~|| = ||(I - P~) P (theta* - theta_0)|| (statement 1).

    Args:
        X, Xt: (n, d) training and (m, d) test inputs.
        theta_star: (d,) or (d, k) true weights.
        theta0: the start of training.

    Returns:
        The Projection Norm.

    Raises:
        InputError: shapes that do not fit.

    Examples:
        >>> X, Xt = np.eye(3)[:2], np.eye(3)[1:]  # seen: axes 0, 1; tested: 1, 2
        >>> float(linear_projection_norm(X, Xt, np.array([3.0, 1.0, 2.0])))  # axis 0, not tested
        3.0
        >>> float(linear_test_loss(X, Xt, np.array([3.0, 1.0, 2.0])))  # axis 2, not seen: 2^2 / 2
        2.0
    """
    return projection_parts(X, Xt, theta_star, theta0).pn


def linear_test_loss(
    X: Design, Xt: Design, theta_star: Signal, theta0: Signal | float = 0.0
) -> Float[np.ndarray, ""]:
    """Compute (1/m) ||X~ theta_hat - X~ theta*||^2 = (1/m) ||X~ (I - P)(theta* - theta_0)||^2.

    Statement 1.

    Args:
        X, Xt: (n, d) training and (m, d) test inputs.
        theta_star: (d,) or (d, k) true weights.
        theta0: the start of training.

    Returns:
        The test loss.

    Raises:
        InputError: shapes that do not fit.
    """
    return projection_parts(X, Xt, theta_star, theta0).loss


@register()
@dataclass(frozen=True)
class ProjectionParts:
    """What the linear theory says of one signal.

    Attributes:
        pn: ||(I - P~) P theta||, the Projection Norm.
        missed: ||P~ (I - P) theta||, the part of the signal that the test set sees and the training
            set does not.
        loss: test loss.
        lower, upper: (s_min^2 / m) missed^2 <= loss <= (s_max^2 / m) missed^2 (statement 2), with
            the extreme singular values of X~, zero ones left out.
        kappa: pn / missed. The loss is at most s_max^2 / (m kappa^2) pn^2 (statement 4); without
            a lower bound on kappa, pn bounds nothing: it is 0 for a signal in the null space of P.
            Infinite where nothing is missed.
    """

    pn: Any
    missed: Any
    loss: Any
    lower: Any
    upper: Any
    kappa: Any


def projection_parts(
    X: Design, Xt: Design, theta_star: Signal, theta0: Signal | float = 0.0
) -> ProjectionParts:
    """Compute Projection Norm, test loss and its bounds for one signal (statements 1, 2 and 4).

    Args:
        X, Xt: (n, d) training and (m, d) test inputs.
        theta_star: (d,) or (d, k) true weights.
        theta0: the start of training.

    Returns:
        `ProjectionParts`.

    Raises:
        InputError: shapes that do not fit.
    """
    _check(X=X, Xt=Xt)
    _check_signal("theta_star", theta_star, theta0, X)
    return _parts(X, Xt, theta_star, theta0)


@_in_float64
def _parts(X: Any, Xt: Any, theta_star: Any, theta0: Any) -> Any:
    train, test = _RowSpace.of(X), _RowSpace.of(Xt)
    theta = as_float64(theta_star) - as_float64(theta0)
    seen = train.project(theta)
    pn, missed = _norm(test.reject(seen)), _norm(test.project(train.reject(theta)))
    m = np.shape(Xt)[0]
    loss = _norm(as_float64(Xt) @ train.reject(theta)) ** 2 / m
    low, high = test.extremes()
    kappa = jnp.where(missed > 0, pn / jnp.where(missed > 0, missed, 1.0), jnp.inf)
    return ProjectionParts(pn, missed, loss, low**2 / m * missed**2, high**2 / m * missed**2, kappa)


@register()
@dataclass(frozen=True)
class IsotropicExpectations:
    """Expectations over signals with E theta theta^T = (r^2 / d) I (statement 3).

    Attributes:
        pn2: E ||(I - P~) P theta||^2 = (r^2/d) (rank X - tr P P~).
        missed2: E ||P~ (I - P) theta||^2 = (r^2/d) (rank X~ - tr P P~) = pn2 + (r^2/d) (rank X~ -
            rank X).
        loss: E test loss = (r^2 / (m d)) tr X~ (I - P) X~^T.
        lower, upper: (s_min^2/m) missed2 <= loss <= (s_max^2/m) missed2; with equal ranks these are
            bounds by pn2.
    """

    pn2: Any
    missed2: Any
    loss: Any
    lower: Any
    upper: Any


def isotropic_expectations(X: Design, Xt: Design, r: float = 1.0) -> IsotropicExpectations:
    """Compute exact expectations over an isotropic signal.

    Args:
        X, Xt: (n, d) training and (m, d) test inputs.
        r: root mean square length of the signal.

    Returns:
        `IsotropicExpectations`.

    Raises:
        InputError: shapes that do not fit, a negative length.
    """
    _check(X=X, Xt=Xt)
    number("r", r, 0.0)
    return _expectations(X, Xt, r)


@_in_float64
def _expectations(X: Any, Xt: Any, r: Any) -> Any:
    train, test = _RowSpace.of(X), _RowSpace.of(Xt)
    m, d = np.shape(Xt)
    scale = as_float64(r) ** 2 / d
    overlap = jnp.sum((train.basis @ test.basis.T) ** 2)
    pn2, missed2 = scale * (train.rank() - overlap), scale * (test.rank() - overlap)
    unseen = train.reject(as_float64(Xt).T)  # (I - P) X~^T
    loss = scale * jnp.sum(unseen**2) / m
    low, high = test.extremes()
    return IsotropicExpectations(pn2, missed2, loss, low**2 / m * missed2, high**2 / m * missed2)


class StoppedNorms(NamedTuple):
    """Projection Norms of training that was stopped.

    Attributes:
        to_reference: distance to what the training set gives, stopped alike.
        to_theta_hat: distance to the classifier under study.
    """

    to_reference: Float[Array | np.ndarray, "*t"]
    to_theta_hat: Float[Array | np.ndarray, "*t"]


def projection_norm_flow(
    X: Design, Xt: Design, theta_hat: Signal, theta0: Signal | float, t: Float[ArrayLike, "*t"]
) -> StoppedNorms:
    """Compute the Projection Norms of gradient flow stopped at time t (statement 7).

    To the reference ||(e^{-t C~} - e^{-t C}) (theta_hat - theta_0)||, to theta_hat ||e^{-t C~}
    (theta_hat - theta_0)||, with C = X^T X / n and C~ = X~^T X~ / m, for flow on half the mean
    squared loss. Without shift (C~ = C) the first is 0 at every t; both tend to the Projection Norm
    as t grows, if theta_hat interpolates (theta_hat - theta_0 in the row space of X).

    Args:
        X, Xt: (n, d) training and (m, d) test inputs.
        theta_hat: (d,) or (d, k) weights of the classifier.
        theta0: the start of training.
        t: times >= 0, of any shape.

    Returns:
        `StoppedNorms` (to_reference, to_theta_hat), of the shape of `t`.

    Raises:
        InputError: shapes that do not fit, negative times.
    """
    _check(X=X, Xt=Xt)
    _check_signal("theta_hat", theta_hat, theta0, X)
    return _stopped(X, Xt, theta_hat, theta0, nonnegative("t", t), None)


def projection_norm_descent(
    X: Design,
    Xt: Design,
    theta_hat: Signal,
    theta0: Signal | float,
    steps: Float[ArrayLike, "*t"],
    *,
    step_size: float,
) -> StoppedNorms:
    """Compute the Projection Norms of gradient descent stopped after some steps (statement 7).

    As `projection_norm_flow`, with (I - step_size C)^steps for e^{-t C}, exactly.

    Args:
        X, Xt: (n, d) training and (m, d) test inputs.
        theta_hat: (d,) or (d, k) weights of the classifier.
        theta0: the start of training.
        steps: whole numbers >= 0, of any shape.
        step_size: of the descent.

    Returns:
        `StoppedNorms` (to_reference, to_theta_hat), of the shape of `steps`.

    Raises:
        InputError: shapes that do not fit; a step size at which the descent diverges beyond all
            numbers.
    """
    _check(X=X, Xt=Xt)
    _check_signal("theta_hat", theta_hat, theta0, X)
    number("step_size", step_size, 0.0)
    found = _stopped(X, Xt, theta_hat, theta0, within("steps", steps, 0.0, whole=True), step_size)
    if not is_traced(found) and np.isnan(found).any():
        raise InputError(
            f"step_size = {step_size:g}: the descent diverged beyond all numbers; give a smaller "
            "one"
        )
    return found


@_in_float64
def _stopped(X: Any, Xt: Any, theta_hat: Any, theta0: Any, times: Any, step_size: Any) -> Any:
    train, test = _RowSpace.of(X), _RowSpace.of(Xt)
    theta = as_float64(theta_hat) - as_float64(theta0)
    n, m = np.shape(X)[0], np.shape(Xt)[0]

    def learned(curvature: Array, t: Array) -> Array:
        """Share of the way to the solution at time t, or after t steps.

        1 - base^t, for negative bases too.
        """
        if step_size is None:
            return -jnp.expm1(-t * curvature)
        base = 1 - as_float64(step_size) * curvature
        return 1 - jnp.where((t % 2 == 1) & (base < 0), -1.0, 1.0) * jnp.abs(base) ** t

    def at(t: Array) -> tuple[Array, Array]:
        tilde = test.filter(theta, learned(test.values**2 / m, t))
        reference = train.filter(theta, learned(train.values**2 / n, t))
        return _norm(reference - tilde), _norm(theta - tilde)

    times = as_float64(times)
    ref, base = jax.vmap(at)(times.ravel())
    return StoppedNorms(ref.reshape(times.shape), base.reshape(times.shape))


def projection_norm_gram(
    K11: Float[ArrayLike, "n n"],
    K21: Float[ArrayLike, "m n"],
    K22: Float[ArrayLike, "m m"],
    residuals: Float[ArrayLike, "n *k"],
    *,
    rcond: float | None = None,
) -> Float[np.ndarray, ""]:
    """Compute the Projection Norm in a kernel's feature space, from Gram matrices alone.

    With K11 = Phi Phi^T, K22 = Phi~ Phi~^T, K21 = Phi~ Phi^T and alpha = K11^+ residuals, its
    square is alpha^T K11 alpha - v^T K22^+ v, v = K21 alpha (statement 9). For a network linearised
    at theta_0, Phi is the Jacobian and `residuals` is y - f_0; columns are outputs that share the
    kernel.

    Args:
        K11: (n, n) kernel of the training inputs.
        K21: (m, n) kernel between test and training inputs.
        K22: (m, m) kernel of the test inputs.
        residuals: (n,) or (n, k) targets minus outputs at theta_0.
        rcond: eigenvalues below rcond times the largest count as 0. By default (n + m) times the
            machine epsilon of the kernels' type: float32 kernels lose directions that float64 ones
            keep.

    Returns:
        The Projection Norm.

    Raises:
        InputError: shapes that do not fit.
    """
    kernels = {"K11": K11, "K21": K21, "K22": K22}
    (n, n2), (m, n3), (m2, m3) = (np.shape(finite(name, K, ndim=2)) for name, K in kernels.items())
    if not (n == n2 == n3 and m == m2 == m3):
        raise InputError(
            f"K11 {n, n2}, K21 {m, n3}, K22 {m2, m3}; shapes (n, n), (m, n), (m, m) are needed."
        )
    if rcond is not None:
        number("rcond", rcond, 0.0, 1.0)
    if np.shape(finite("residuals", residuals, ndim=(1, 2)))[0] != n:
        raise InputError(
            f"residuals has shape {np.shape(residuals)}; one row per training sample, {n}, is "
            "needed."
        )
    cut = (n + m) * max(map(input_epsilon, (K11, K21, K22))) if rcond is None else rcond
    return _gram(K11, K21, K22, residuals, cut)


@_in_float64
def _gram(K11: Any, K21: Any, K22: Any, residuals: Any, cut: Any) -> Any:
    def inverse_root(K: Array) -> Array:
        """(r, n): rows u_i / sqrt(s_i) of the eigenvectors kept."""
        values, vectors = linalg.eigh(K)
        kept = values > cut * values[-1]
        return jnp.where(kept, 1 / jnp.sqrt(jnp.where(kept, values, 1.0)), 0.0)[:, None] * vectors.T

    root = inverse_root(as_float64(K11))
    seen = root @ as_float64(residuals)  # alpha = root^T seen, and alpha^T K11 alpha = |seen|^2
    v = as_float64(K21) @ (root.T @ seen)
    return jnp.sqrt(
        jnp.maximum(jnp.sum(seen**2) - jnp.sum((inverse_root(as_float64(K22)) @ v) ** 2), 0.0)
    )


@register()
@dataclass(frozen=True)
class _RowSpace:
    """Thin singular value decomposition, of shapes that do not depend on rank.

    Singular vectors of zero values are set to 0. basis (r, d): right singular vectors; values (r,);
    left (n, r).
    """

    basis: Array
    values: Array
    left: Array

    @classmethod
    def of(cls, X: Any) -> "_RowSpace":
        cut = max(np.shape(X)) * input_epsilon(X)
        left, values, basis = linalg.svd(as_float64(X))
        kept = values > cut * values[0]
        return cls(
            jnp.where(kept[:, None], basis, 0.0),
            jnp.where(kept, values, 0.0),
            jnp.where(kept, left, 0.0),
        )

    def project(self, theta: Array) -> Array:
        return self.basis.T @ (self.basis @ theta)

    def reject(self, theta: Array) -> Array:
        return theta - self.project(theta)

    def filter(self, theta: Array, weights: Array) -> Array:
        """sum_i weights_i v_i v_i^T theta."""
        return (self.basis.T * weights) @ (self.basis @ theta)

    def solve(self, y: Array) -> Array:
        inverse = jnp.where(self.values > 0, 1 / jnp.where(self.values > 0, self.values, 1.0), 0.0)
        return (self.basis.T * inverse) @ (self.left.T @ y)

    def rank(self) -> Array:
        return (self.values > 0).sum().astype(self.values.dtype)

    def extremes(self) -> tuple[Array, Array]:
        """Smallest non-zero and largest singular value."""
        return jnp.where(self.values > 0, self.values, jnp.inf).min(), self.values[0]


def _norm(x: Array) -> Array:
    return jnp.sqrt(jnp.sum(x**2))


def _check(**designs: Any) -> None:
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


def _check_signal(name: str, theta: Any, theta0: Any, X: Any) -> None:
    if np.shape(finite(name, theta, ndim=(1, 2)))[0] != np.shape(X)[1]:
        raise InputError(
            f"{name} has shape {np.shape(theta)}; one row per feature, {np.shape(X)[1]}, is needed."
        )
    _check_start(theta0, np.shape(theta), name)


def _check_start(theta0: Any, shape: tuple[int, ...], goes_with: str) -> None:
    # another shape may broadcast, to other signals
    if np.shape(finite("theta0", theta0)) not in ((), shape):
        raise InputError(
            f"theta0 has shape {np.shape(theta0)}; one number or shape {shape} is needed with "
            f"{goes_with}"
        )
