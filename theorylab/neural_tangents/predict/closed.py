"""Training by gradient flow on squared loss: `gradient_descent_mse`, and its largest step."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from theorylab import ntk
from theorylab.errors import InputError
from theorylab.neural_tangents.predict.layout import Layout, dtype_of, flow_of
from theorylab.neural_tangents.states import together
from theorylab.neural_tangents.trees import any_ranks


def gradient_descent_mse(
    k_train_train: Any,
    y_train: Any,
    learning_rate: float = 1.0,
    diag_reg: float = 0.0,
    diag_reg_absolute_scale: bool = False,
    trace_axes: Any = (-1,),
) -> Callable[..., Any]:
    """Predicts outputs during gradient flow on half the mean squared error.

    Args:
        k_train_train: tangent kernel of the training data, without `trace_axes`.
        y_train: targets.
        learning_rate: above 0.
        diag_reg: added to the diagonal.
        diag_reg_absolute_scale: whether `diag_reg` is a number of its own, and not in units of the
            mean of the diagonal.
        trace_axes: axes of the outputs that the kernel does not have.

    Returns:
        `predict_fn(t, fx_train_0, fx_test_0, k_test_train)`: outputs at the times t (any shape;
        None for the end) on the training set, the test set (`fx_train_0=None`) or both.

    Raises:
        InputError: a kernel that does not fit; on a call, the end of training with a singular one.

    Source:
        Lee et al. 2019; by `theorylab.ntk.gradient_flow`.
    """
    layout = Layout(y_train, trace_axes)
    dtype = dtype_of(k_train_train)
    flow = flow_of(
        layout,
        k_train_train,
        learning_rate=learning_rate,
        diag_reg=diag_reg,
        absolute=diag_reg_absolute_scale,
    )

    @any_ranks
    def predict_fn(
        t: Any = None, fx_train_0: Any = 0.0, fx_test_0: Any = None, k_test_train: Any = None
    ) -> Any:
        require_kernel(fx_test_0, k_test_train)
        rows = layout.row_sizes()
        start = layout.outputs(0.0 if fx_train_0 is None else fx_train_0, rows)
        train = test = None
        if fx_train_0 is not None:
            train = layout.back(flow.predict(t, f_train=start).mean, rows, dtype)
        if fx_test_0 is not None:
            after = layout.row_sizes(k_test_train)
            found = flow.predict(
                t,
                layout.matrix(k_test_train),
                f_train=start,
                f_test=layout.outputs(fx_test_0, after),
            )
            test = layout.back(found.mean, after, dtype)
        return either(train, test)

    return predict_fn


def require_kernel(fx_test_0: Any, k_test_train: Any) -> None:
    """Predictions on the test set need its kernel."""
    if fx_test_0 is not None and k_test_train is None:
        raise InputError(
            "k_test_train=None: predictions on the test set need it; give it, or no fx_test_0"
        )


def either(train: Any, test: Any) -> Any:
    """What was asked for, alone or as a pair."""
    if test is None:
        return train
    return test if train is None else (train, test)


def max_learning_rate(
    ntk_train_train: Any,
    y_train_size: int | None = None,
    momentum: float = 0.0,
    eps: float = 1e-12,
) -> float:
    """The largest step at which descent on half the mean squared error converges.

    Args:
        ntk_train_train: tangent kernel of the training data.
        y_train_size: entries of the targets; None for as many as the kernel has rows.
        momentum: in [0, 1).
        eps: not needed here; ignored.

    Returns:
        A number.

    Raises:
        InputError: a kernel without a positive eigenvalue.

    Source:
        Lee et al. 2019; by `theorylab.ntk.max_learning_rate`.
    """
    k = jnp.asarray(ntk_train_train)
    rows = 1
    for size in k.shape[::2]:
        rows *= size
    matrix = together(k, 0).reshape(rows, rows)
    matrix = (matrix + matrix.T) / 2
    factor = rows if y_train_size is None else y_train_size
    return factor * ntk.max_learning_rate(matrix, momentum=momentum)
