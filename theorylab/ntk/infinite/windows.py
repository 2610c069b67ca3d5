"""Sliding windows over axes of covariances, and the three paddings."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from theorylab import checks
from theorylab.errors import InputError

PADDINGS = ("SAME", "VALID", "CIRCULAR")


@dataclass(frozen=True)
class Window:
    """Sizes and strides per spatial dimension, and the padding."""

    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    padding: str

    def output(self, spatial: tuple[int, ...]) -> tuple[int, ...]:
        """Spatial shape after sliding over a field of the given spatial shape."""
        if len(spatial) != len(self.sizes):
            raise InputError(
                f"window={self.sizes}: has {len(self.sizes)} dimensions, but the field it slides "
                f"over has {len(spatial)} (spatial shape {spatial}); give one size per dimension"
            )
        if self.padding != "VALID":
            return tuple(-(-n // s) for n, s in zip(spatial, self.strides, strict=True))
        if any(n < k for n, k in zip(spatial, self.sizes, strict=True)):
            raise InputError(
                f"window={self.sizes}: larger than the field {spatial}; use padding='SAME' or a "
                "smaller one"
            )
        return tuple(
            (n - k) // s + 1 for n, k, s in zip(spatial, self.sizes, self.strides, strict=True)
        )

    def pad(self, x: Float[Array, "..."], axes: Sequence[tuple[int, ...]]) -> Float[Array, "..."]:
        """Pad the axes of each dimension.

        "VALID" windows on the result are then this padding's windows.
        """
        widths = [(0, 0)] * x.ndim
        for size, stride, group in zip(self.sizes, self.strides, axes, strict=True):
            for axis in group:
                n = x.shape[axis]
                total = (
                    max((-(-n // stride) - 1) * stride + size - n, 0)
                    if self.padding != "VALID"
                    else 0
                )
                widths[axis] = (total // 2, total - total // 2)
        return jnp.pad(x, widths, mode="wrap" if self.padding == "CIRCULAR" else "constant")

    def sums(self, x: Float[Array, "..."], axes: Sequence[tuple[int, ...]]) -> Float[Array, "..."]:
        """Sum over windows; `axes[d]` are the axes that share dimension d's offset.

        One dimension after the other: sums of k slices each instead of k² at once.
        """
        # The barrier keeps XLA from recomputing the layers below once per offset, which compounds
        # with depth.
        x = jax.lax.optimization_barrier(self.pad(x, axes))
        for size, stride, group in zip(self.sizes, self.strides, axes, strict=True):
            x = reduce(
                jnp.add, [_shifted(x, group, offset, size, stride) for offset in range(size)]
            )
        return x


def _shifted(x: Array, axes: tuple[int, ...], offset: int, size: int, stride: int) -> Array:
    """Every `stride`-th window's element number `offset`, along all the axes at once."""
    start, stop, step = [0] * x.ndim, list(x.shape), [1] * x.ndim
    for axis in axes:
        count = (x.shape[axis] - size) // stride + 1
        start[axis], stop[axis], step[axis] = offset, offset + (count - 1) * stride + 1, stride
    return jax.lax.slice(x, start, stop, step)


def check_window(window: Any, strides: Any, padding: str) -> Window:
    """Expand integers (two dimensions) and validate."""
    sizes = _per_dimension("window", window, 2)
    steps = _per_dimension("strides", strides, len(sizes))
    if len(steps) != len(sizes):
        raise InputError(f"strides={steps}: one per dimension of window={sizes} is needed")
    return Window(sizes, steps, checks.choice("padding", padding, PADDINGS))


def _per_dimension(name: str, value: Any, dimensions: int) -> tuple[int, ...]:
    if not isinstance(value, (tuple, list)):
        return (checks.count(name, value),) * dimensions
    if not value:
        raise InputError(
            f"{name} = {value}; a positive whole number per spatial dimension is needed"
        )
    return tuple(checks.count(name, size) for size in value)
