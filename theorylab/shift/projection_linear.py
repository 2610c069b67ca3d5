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

from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float

from theorylab.checks import finite, number
from theorylab.errors import InputError
from theorylab.overflow import in_range, require_answer
from theorylab.precision import as_float64
from theorylab.pytrees import register
from theorylab.shift.row_space import (
    Design,
    RowSpace,
    Weights,
    check_designs,
    check_signal,
    check_start,
    in_float64,
    norm,
)


def min_norm_fit(
    X: Design, y: Float[ArrayLike, "n *k"], theta0: Weights | float = 0.0
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
    check_designs(X=X)
    if np.shape(finite("y", y, ndim=(1, 2)))[0] != np.shape(X)[0]:
        raise InputError(
            f"y has shape {np.shape(y)}; one row per sample of X, {np.shape(X)[0]}, is needed."
        )
    check_start(theta0, (np.shape(X)[1], *np.shape(y)[1:]), f"y {np.shape(y)}")
    return _min_norm_fit(X, y, theta0)


@in_float64
def _min_norm_fit(X: Any, y: Any, theta0: Any) -> Any:
    space = RowSpace.of(X)
    y, X = as_float64(y), as_float64(X)
    start = jnp.broadcast_to(as_float64(theta0), (X.shape[1], *y.shape[1:]))
    return start + space.solve(y - X @ start)


@in_range()
def linear_projection_norm(
    X: Design, Xt: Design, theta_star: Weights, theta0: Weights | float = 0.0
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


@in_range()
def linear_test_loss(
    X: Design, Xt: Design, theta_star: Weights, theta0: Weights | float = 0.0
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
    X: Design, Xt: Design, theta_star: Weights, theta0: Weights | float = 0.0
) -> ProjectionParts:
    """Compute Projection Norm, test loss and its bounds for one signal (statements 1, 2 and 4).

    Args:
        X, Xt: (n, d) training and (m, d) test inputs.
        theta_star: (d,) or (d, k) true weights.
        theta0: the start of training.

    Returns:
        `ProjectionParts`.

    Raises:
        InputError: shapes that do not fit, or numbers whose squares leave float64.
    """
    check_designs(X=X, Xt=Xt)
    check_signal("theta_star", theta_star, theta0, X)
    parts = _parts(X, Xt, theta_star, theta0)
    given = {"X": X, "Xt": Xt, "theta_star": theta_star, "theta0": theta0}
    require_answer(replace(parts, kappa=0.0), given)  # kappa may be infinite
    return parts


@in_float64
def _parts(X: Any, Xt: Any, theta_star: Any, theta0: Any) -> Any:
    train, test = RowSpace.of(X), RowSpace.of(Xt)
    theta = as_float64(theta_star) - as_float64(theta0)
    seen = train.project(theta)
    pn, missed = norm(test.reject(seen)), norm(test.project(train.reject(theta)))
    m = np.shape(Xt)[0]
    loss = norm(as_float64(Xt) @ train.reject(theta)) ** 2 / m
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


@in_range()
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
    check_designs(X=X, Xt=Xt)
    number("r", r, 0.0)
    return _expectations(X, Xt, r)


@in_float64
def _expectations(X: Any, Xt: Any, r: Any) -> Any:
    train, test = RowSpace.of(X), RowSpace.of(Xt)
    m, d = np.shape(Xt)
    scale = as_float64(r) ** 2 / d
    overlap = jnp.sum((train.basis @ test.basis.T) ** 2)
    pn2, missed2 = scale * (train.rank() - overlap), scale * (test.rank() - overlap)
    unseen = train.reject(as_float64(Xt).T)  # (I - P) X~^T
    loss = scale * jnp.sum(unseen**2) / m
    low, high = test.extremes()
    return IsotropicExpectations(pn2, missed2, loss, low**2 / m * missed2, high**2 / m * missed2)
