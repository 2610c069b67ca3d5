"""Which axes of two outputs are paired, traced over, or taken on the diagonal."""

import string
from math import prod
from typing import Any

import jax.numpy as jnp

from theorylab.errors import InputError
from theorylab.neural_tangents.trees import axes_of

PARAMETER = "Z"


class Axes:
    """Names of the output axes on either side, and of those of the kernel.

    A traced axis has one name, which the kernel lacks; a diagonal one has one name, which it has;
    any other has two, side by side in the kernel.
    """

    def __init__(self, ndim: int, trace_axes: Any, diagonal_axes: Any) -> None:
        self.traced = axes_of(trace_axes, ndim)
        self.diagonal = axes_of(diagonal_axes, ndim)
        if both := set(self.traced) & set(self.diagonal):
            raise InputError(
                f"trace_axes and diagonal_axes share {sorted(both)}; an axis can be in one of them"
            )
        self.ndim = ndim
        names = iter(string.ascii_lowercase)
        left, right, out = "", "", ""
        for axis in range(ndim):
            a = next(names)
            b = a if axis in self.traced or axis in self.diagonal else next(names)
            left, right = left + a, right + b
            if axis in self.diagonal:
                out += a
            elif axis not in self.traced:
                out += a + b
        self.left, self.right, self.out = left, right, out

    def check(self, shape1: tuple[int, ...], shape2: tuple[int, ...]) -> None:
        """Refuse what cannot be traced or paired."""
        for axis in (*self.traced, *self.diagonal):
            if shape1[axis] != shape2[axis]:
                raise InputError(
                    f"axis {axis}: {shape1[axis]} and {shape2[axis]} entries; traced and diagonal "
                    "axes need as many on both sides"
                )

    def size(self, shape: tuple[int, ...]) -> int:
        """Entries that are traced over."""
        return prod(shape[axis] for axis in self.traced)

    def contract(self, a: Any, b: Any, extra: int = 0) -> Any:
        """Σ a b over the last `extra` axes, and over traced ones."""
        rest = string.ascii_uppercase[:extra]
        return jnp.einsum(f"{self.left}{rest},{self.right}{rest}->{self.out}", a, b, optimize=True)

    def reduce(self, kernel: Any) -> Any:
        """The mean over traced axes of a kernel (*axes, *axes), laid out as the result."""
        found = jnp.einsum(f"{self.left}{self.right}->{self.out}", kernel)
        return found / self.size(kernel.shape[: self.ndim])
