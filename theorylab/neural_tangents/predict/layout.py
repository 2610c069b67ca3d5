"""Kernels and outputs of any axes as matrices, for `theorylab.ntk.gradient_flow`."""

from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from theorylab.errors import InputError
from theorylab.neural_tangents.states import together
from theorylab.neural_tangents.trees import axes_of
from theorylab.ntk import GradientFlow, gradient_flow


class Gaussian(NamedTuple):
    """A Gaussian distribution over outputs.

    Attributes:
        mean: outputs, with leading axes of times.
        covariance: of the outputs, pairs of axes side by side.
    """

    mean: Any
    covariance: Any


class Layout:
    """The axes of outputs: traced ones are columns, all others rows of matrices."""

    def __init__(self, y: Any, trace_axes: Any) -> None:
        self.y = jnp.asarray(y)
        self.shape = self.y.shape
        self.traced = axes_of(trace_axes, self.y.ndim)
        self.rows = tuple(a for a in range(self.y.ndim) if a not in self.traced)
        self.columns = prod(self.shape[a] for a in self.traced)

    def matrix(self, kernel: Any) -> Any:
        """(a, b) of a kernel whose pairs of axes stand side by side."""
        kernel = jnp.asarray(kernel)
        if kernel.ndim != 2 * len(self.rows):
            raise InputError(
                f"kernel of shape {kernel.shape}: with trace_axes={self.traced} of outputs "
                f"{self.shape} it needs {2 * len(self.rows)} axes"
            )
        rows = prod(kernel.shape[::2])
        return together(kernel, 0).reshape(rows, -1)

    def outputs(self, values: Any, rows: tuple[int, ...]) -> Any:
        """(a, b) of outputs whose axes that are not traced have these sizes."""
        shape = self.full_shape(rows)
        values = jnp.broadcast_to(values, shape).transpose(*self.rows, *self.traced)
        return values.reshape(prod(rows), self.columns)

    def full_shape(self, rows: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of outputs whose axes that are not traced have these sizes."""
        sizes = dict(zip(self.rows, rows, strict=True))
        return tuple(sizes.get(a, s) for a, s in enumerate(self.shape))

    def row_sizes(self, kernel: Any = None) -> tuple[int, ...]:
        """Sizes of the axes that are not traced, of the test outputs where a kernel is given."""
        if kernel is None:
            return tuple(self.shape[a] for a in self.rows)
        return tuple(jnp.asarray(kernel).shape[::2])

    def back(self, found: Any, rows: tuple[int, ...], dtype: Any) -> Any:
        """Outputs (*t, *axes) from (*t, a, b)."""
        found = jnp.asarray(found, dtype)
        lead = found.ndim - 2
        sizes = [self.shape[a] for a in self.traced]
        found = found.reshape(*found.shape[:lead], *rows, *sizes)
        order = [*self.rows, *self.traced]
        return found.transpose(*range(lead), *(lead + order.index(a) for a in range(len(order))))

    def pairs(self, found: Any, rows: tuple[int, ...], dtype: Any) -> Any:
        """A covariance (*t, pairs of axes side by side) from (*t, a, a)."""
        found = jnp.asarray(found, dtype)
        lead = found.ndim - 2
        found = found.reshape(*found.shape[:lead], *rows, *rows)
        half = len(rows)
        order = [lead + side * half + d for d in range(half) for side in (0, 1)]
        return found.transpose(*range(lead), *order)


def flow_of(
    layout: Layout,
    kernel: Any,
    *,
    learning_rate: Any = 1.0,
    diag_reg: Any = 0.0,
    absolute: bool = False,
    nngp: Any = None,
) -> GradientFlow:
    """Gradient flow on half the mean square, as neural-tangents has it.

    Kernels are taken at their word, in float64: what is rounding is trained on, as it is there.
    """
    with jax.enable_x64(True):
        k = jnp.asarray(layout.matrix(kernel), jnp.float64)
        k = (k + k.T) / 2
        if absolute:
            k = k + diag_reg * jnp.eye(k.shape[0])
        y = jnp.asarray(layout.outputs(layout.y, layout.row_sizes()), jnp.float64)
        initial = None if nngp is None else jnp.asarray(layout.matrix(nngp), jnp.float64)
        return gradient_flow(
            k,
            y,
            nngp=initial,
            learning_rate=learning_rate,
            ridge=0.0 if absolute else diag_reg,
            mean_loss=True,
        )


def dtype_of(*arrays: Any) -> Any:
    """The dtype of results."""
    found = jnp.result_type(*(jnp.asarray(a).dtype for a in arrays if a is not None))
    return found if jnp.issubdtype(found, jnp.inexact) else jnp.zeros((), float).dtype
