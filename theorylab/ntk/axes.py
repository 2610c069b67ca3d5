"""Between the axes of the full kernel here and those of neural-tangents.

There the axes of the two outputs interleave.
"""

import math

import numpy as np
from jaxtyping import Array, Float

from theorylab import checks
from theorylab.errors import InputError

Kernel = Float[Array, "n1 n2 ..."]


def to_neural_tangents(kernel: Kernel, output_shape: tuple[int, ...]) -> np.ndarray:
    """A full kernel with its axes in the order of neural-tangents.

    Use it to hand a kernel of `empirical_ntk(..., reduce="full")` to code that was written for
    `neural_tangents.empirical_ntk_fn(f, trace_axes=(), vmap_axes=0)`. Reduced kernels need no
    change.

    Args:
        kernel: (N1, N2, O, O), as `reduce="full"` gives it.
        output_shape: shape (a, b, ...) of the outputs for one sample, with a * b * ... = O.

    Returns:
        A NumPy array (N1, N2, a, a, b, b, ...): the two outputs' axes interleave.

    Raises:
        InputError: a kernel whose axes do not belong to outputs of this shape, or that is not
            finite.

    Source:
        Axes of neural-tangents 0.6.5, `empirical_ntk_fn`.
    """
    kernel = _checked(kernel, output_shape)
    _check(kernel.shape[2:], (math.prod(output_shape),) * 2, output_shape)
    rank = len(output_shape)
    order = [0, 1] + [2 + i + side * rank for i in range(rank) for side in (0, 1)]
    return (
        np.asarray(kernel).reshape(*kernel.shape[:2], *output_shape, *output_shape).transpose(order)
    )


def from_neural_tangents(kernel: Kernel, output_shape: tuple[int, ...]) -> np.ndarray:
    """The inverse of `to_neural_tangents`: a kernel of neural-tangents in the order used here.

    Args:
        kernel: (N1, N2, a, a, b, b, ...), as neural-tangents gives it with `trace_axes=()`.
        output_shape: shape (a, b, ...) of the outputs for one sample, with a * b * ... = O.

    Returns:
        A NumPy array (N1, N2, O, O), as `empirical_ntk(..., reduce="full")` gives it.

    Raises:
        InputError: a kernel whose axes do not belong to outputs of this shape, or that is not
            finite.

    Source:
        Axes of neural-tangents 0.6.5, `empirical_ntk_fn`.
    """
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
