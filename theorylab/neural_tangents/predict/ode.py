"""Gradient flow on any loss, with momentum: `gradient_descent`.

The linearised network moves by df/dt = -K dL/df; with momentum, d²f/dt² = -K dL/df - μ df/dt, which
is what heavy-ball descent becomes at small steps.

Source: Lee et al. 2019, equations 3 to 6; Qian 1999 for momentum.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental.ode import odeint

from theorylab.errors import InputError
from theorylab.neural_tangents.predict.closed import either, require_kernel
from theorylab.neural_tangents.predict.layout import Layout, dtype_of
from theorylab.neural_tangents.trees import any_ranks
from theorylab.pytrees import register


@register()
@dataclass(frozen=True)
class ODEState:
    """Outputs and their velocities during training.

    Attributes:
        fx_train: outputs on the training set.
        fx_test: outputs on the test set.
        qx_train: velocities of the former, with momentum.
        qx_test: velocities of the latter.
    """

    fx_train: Any = None
    fx_test: Any = None
    qx_train: Any = None
    qx_test: Any = None


def gradient_descent(
    loss: Callable[[Any, Any], Any],
    k_train_train: Any,
    y_train: Any,
    learning_rate: float = 1.0,
    momentum: float | None = None,
    trace_axes: Any = (-1,),
) -> Callable[..., Any]:
    """Predicts outputs during gradient flow on any loss, such as cross-entropy.

    Args:
        loss: (outputs, y_train) -> a number, differentiable.
        k_train_train: tangent kernel of the training data, without `trace_axes`.
        y_train: targets.
        learning_rate: above 0; t counts steps of this size.
        momentum: in [0, 1), or None.
        trace_axes: axes of the outputs that the kernel does not have.

    Returns:
        `predict_fn(t, fx_train_or_state_0, fx_test_0, k_test_train)`, as for
        `gradient_descent_mse`; from an `ODEState` it goes on, and gives one. Times may have any
        shape and order, and are finite.

    Raises:
        InputError: a kernel that does not fit; on a call, a state with velocities where there is no
            momentum.

    Source:
        Lee et al. 2019.
    """
    layout = Layout(y_train, trace_axes)
    dtype = dtype_of(k_train_train)
    matrix = layout.matrix(k_train_train).astype(dtype)
    rows = layout.row_sizes()
    rate, friction = learning_rate, 0.0
    if momentum is not None:  # a step is √learning_rate of time
        rate = learning_rate**0.5
        friction = (1.0 - momentum) / rate

    def outer(flat: Any) -> Any:
        return layout.back(flat, rows, dtype)

    slope_of_loss = jax.grad(lambda flat: loss(outer(flat), layout.y))

    @any_ranks
    def predict_fn(
        t: Any = None,
        fx_train_or_state_0: Any = 0.0,
        fx_test_0: Any = None,
        k_test_train: Any = None,
    ) -> Any:
        given = fx_train_or_state_0
        resumed = isinstance(given, ODEState)
        state = given if resumed else ODEState(given, fx_test_0)
        require_kernel(state.fx_test, k_test_train)
        if momentum is None and (state.qx_train is not None or state.qx_test is not None):
            raise InputError("the state has velocities, but momentum=None; give the momentum")
        if t is None:
            raise InputError(
                "t=None: the end of training has no closed form here; give a long time, or use "
                "gradient_descent_mse"
            )
        time = jnp.asarray(t, dtype)
        cross = None
        sides = [rows]
        if state.fx_test is not None:
            cross = layout.matrix(k_test_train).astype(dtype)
            sides.append(layout.row_sizes(k_test_train))
        start = [
            layout.outputs(0.0 if f is None else f, size).astype(dtype)
            for f, size in zip((state.fx_train, state.fx_test), sides, strict=False)
        ]
        moving = [
            jnp.zeros_like(f) if q is None else layout.outputs(q, size).astype(dtype)
            for f, q, size in zip(start, (state.qx_train, state.qx_test), sides, strict=False)
        ]
        values, speeds = _solved(
            (start, moving), time, rate, friction, (matrix, cross), slope_of_loss, momentum
        )
        found = [layout.back(v, size, dtype) for v, size in zip(values, sides, strict=True)]
        if resumed:
            found += [None] * (2 - len(found))
            moved = [layout.back(v, size, dtype) for v, size in zip(speeds, sides, strict=True)]
            moved += [None] * (2 - len(moved))
            return ODEState(*found, *(moved if momentum is not None else (None, None)))
        train = None if given is None else found[0]
        return either(train, found[1] if len(found) > 1 else None)

    return predict_fn


def _solved(
    start: tuple[list[Any], list[Any]],
    time: Any,
    rate: Any,
    friction: Any,
    kernels: tuple[Any, Any],
    slope_of_loss: Callable[[Any], Any],
    momentum: float | None,
) -> tuple[list[Any], list[Any]]:
    """Outputs and velocities at the times, (*t, a, b) each."""
    order = jnp.argsort(time.ravel())
    marks = time.ravel()[order] * rate
    # the solver starts at its first time, and wants them to grow
    marks = jnp.concatenate([jnp.zeros(1, marks.dtype), marks])

    def forces(f: list[Any]) -> list[Any]:
        slope = slope_of_loss(f[0])
        return [-(k @ slope) for k, _ in zip(kernels, f, strict=False)]

    def first(state: list[Any], _: Any) -> list[Any]:
        return forces(state)

    def second(state: tuple[list[Any], list[Any]], _: Any) -> tuple[list[Any], list[Any]]:
        f, q = state
        return q, [g - friction * v for g, v in zip(forces(f), q, strict=True)]

    if momentum is None:
        found = odeint(first, start[0], marks)
        whole: Any = (found, found)
    else:
        whole = odeint(second, start, marks)

    def back(solved: Any, begin: Any) -> Any:
        kept = jnp.where((marks[1:] > 0)[:, None, None], solved[1:], begin)
        kept = jnp.zeros_like(kept).at[order].set(kept)
        return kept.reshape(*time.shape, *begin.shape)

    return tuple(  # type: ignore[return-value]
        [back(s, b) for s, b in zip(solved, begin, strict=True)]
        for solved, begin in zip(whole, start, strict=True)
    )
