"""Between the full kernel's axes and those of neural-tangents, which interleaves the axes of the
two outputs."""

import math

import numpy as np
from jaxtyping import Array, Float

from theorylab import checks
from theorylab.errors import InputError

Kernel = Float[Array, "n1 n2 ..."]


def to_neural_tangents(kernel: Kernel, output_shape: tuple[int, ...]) -> np.ndarray:
    """A `reduce="full"` kernel with outputs of shape (a, b, ...) per sample as (N1, N2, a, a, b, b,
    ...).

    That is what `neural_tangents.empirical_ntk_fn(f, trace_axes=(), vmap_axes=0)` returns.
    """
    kernel = _checked(kernel, output_shape)
    _check(kernel.shape[2:], (math.prod(output_shape),) * 2, output_shape)
    rank = len(output_shape)
    order = [0, 1] + [2 + i + side * rank for i in range(rank) for side in (0, 1)]
    return (
        np.asarray(kernel).reshape(*kernel.shape[:2], *output_shape, *output_shape).transpose(order)
    )


def from_neural_tangents(kernel: Kernel, output_shape: tuple[int, ...]) -> np.ndarray:
    """The inverse of `to_neural_tangents`."""
    kernel = _checked(kernel, output_shape)
    _check(kernel.shape[2:], tuple(size for size in output_shape for _ in (0, 1)), output_shape)
    rank, outputs = len(output_shape), math.prod(output_shape)
    order = [0, 1, *range(2, 2 + 2 * rank, 2), *range(3, 2 + 2 * rank, 2)]
    return np.asarray(kernel).transpose(order).reshape(*kernel.shape[:2], outputs, outputs)


def _checked(kernel: Kernel, output_shape: tuple[int, ...]) -> Kernel:
    if not isinstance(output_shape, (tuple, list)):
        raise InputError(
            f"output_shape = {checks.shown(output_shape)}; a tuple of whole numbers is needed"
        )
    for size in output_shape:
        checks.count("output_shape", size)
    return checks.finite("kernel", kernel)


def _check(
    found: tuple[int, ...], expected: tuple[int, ...], output_shape: tuple[int, ...]
) -> None:
    if tuple(found) != expected:
        raise InputError(
            f"kernel: with output_shape={output_shape} the axes after the first two must be "
            f"{expected}, got {found}"
        )
