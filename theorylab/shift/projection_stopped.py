"""The Projection Norm of linear models whose training is stopped early, over whole times at once.

Source: Yu et al. (ICML 2022), section on linear models; statement 7 is that of
docs/derivations/linear_projection_norm.md.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from theorylab.checks import nonnegative, number, within
from theorylab.errors import InputError
from theorylab.overflow import in_range
from theorylab.precision import as_float64, is_traced
from theorylab.shift.row_space import (
    Design,
    RowSpace,
    Weights,
    check_designs,
    check_signal,
    in_float64,
    norm,
)


class StoppedNorms(NamedTuple):
    """Projection Norms of training that was stopped.

    Attributes:
        to_reference: distance to what the training set gives, stopped alike.
        to_theta_hat: distance to the classifier under study.
    """

    to_reference: Float[Array | np.ndarray, "*t"]
    to_theta_hat: Float[Array | np.ndarray, "*t"]


@in_range()
def projection_norm_flow(
    X: Design, Xt: Design, theta_hat: Weights, theta0: Weights | float, t: Float[ArrayLike, "*t"]
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
    check_designs(X=X, Xt=Xt)
    check_signal("theta_hat", theta_hat, theta0, X)
    return _stopped(X, Xt, theta_hat, theta0, nonnegative("t", t), None)


@in_range()
def projection_norm_descent(
    X: Design,
    Xt: Design,
    theta_hat: Weights,
    theta0: Weights | float,
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
    check_designs(X=X, Xt=Xt)
    check_signal("theta_hat", theta_hat, theta0, X)
    number("step_size", step_size, 0.0)
    found = _stopped(X, Xt, theta_hat, theta0, within("steps", steps, 0.0, whole=True), step_size)
    if not is_traced(found) and np.isnan(found).any():
        raise InputError(
            f"step_size = {step_size:g}: the descent diverged beyond all numbers; give a smaller "
            "one"
        )
    return found


@in_float64
def _stopped(X: Any, Xt: Any, theta_hat: Any, theta0: Any, times: Any, step_size: Any) -> Any:
    train, test = RowSpace.of(X), RowSpace.of(Xt)
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
        return norm(reference - tilde), norm(theta - tilde)

    times = as_float64(times)
    ref, base = jax.vmap(at)(times.ravel())
    return StoppedNorms(ref.reshape(times.shape), base.reshape(times.shape))
