"""Convolutions of few channels as products with wide matrices: along the last axis of an image a
convolution is written as a dense matrix, along the first it stays one.

It multiplies by many zeros, and is two to three times as fast on a CPU where a kernel has few input
channels or a stride, whose own loops are short.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from theorylab.robustness.steps import Line, Mode

WIDEST = 512  # entries of a row of an image, channels included
FEW = 4  # channels


def weight(mode: Mode, value: Any) -> Any:
    """A weight in this mode."""
    if mode == "absolute":
        return jnp.abs(value)
    return jnp.square(value) if mode == "square" else value


def wide_convolution(
    line: Line,
) -> Callable[[Mode, Sequence[Any], Callable[[Any], Any]], Array] | None:
    """The same map as the convolution of an image, or None where it would be no faster: on other
    devices than a CPU, with many channels, on large images."""
    if jax.default_backend() != "cpu":
        return None
    params = line.op.eqn.params
    x = line.op.eqn.invars[0].aval.shape  # type: ignore[attr-defined]
    out = line.op.eqn.outvars[0].aval.shape  # type: ignore[attr-defined]
    spec = params["dimension_numbers"]
    plain = (
        len(x) == 4
        and params["lhs_dilation"] == params["rhs_dilation"] == (1, 1)
        and params["feature_group_count"] == params["batch_group_count"] == 1
    )
    if not plain:
        return None
    channels, width = x[spec.lhs_spec[1]], x[spec.lhs_spec[3]]
    wide = out[spec.out_spec[3]]
    few = few_channels(line) or params["window_strides"][1] > 1
    largest = max(channels * width, wide * out[spec.out_spec[1]])
    if not few or largest > WIDEST:
        return None

    def apply(mode: Mode, data: Sequence[Any], value: Callable[[Any], Any]) -> Array:
        kernel = jnp.transpose(
            weight(mode, value(line.inputs[1])), _order(spec.rhs_spec, (2, 3, 1, 0))
        )
        places = _places(
            kernel.shape[1], width, wide, params["window_strides"][1], params["padding"][1][0]
        )
        matrix = jnp.einsum("hkio,kxy->hxiyo", kernel, places.astype(kernel.dtype))
        matrix = matrix.reshape(len(kernel), width * channels, -1)
        image = jnp.transpose(data[0], _order(spec.lhs_spec, (0, 2, 3, 1)))
        rows = jax.lax.conv_general_dilated(
            image.reshape(*image.shape[:2], -1),
            matrix,
            params["window_strides"][:1],
            params["padding"][:1],
            dimension_numbers=("NHC", "HIO", "NHC"),
            precision=params["precision"],
        )
        result = rows.reshape(*rows.shape[:2], wide, -1)
        return jnp.transpose(
            result, tuple(np.argsort(_order(spec.out_spec, (0, 2, 3, 1))).tolist())
        )

    return apply


def few_channels(line: Line) -> bool:
    """Whether a convolution reads so few channels that its wide form is the faster one for a batch
    of images too."""
    x = line.op.eqn.invars[0].aval.shape  # type: ignore[attr-defined]
    return x[line.op.eqn.params["dimension_numbers"].lhs_spec[1]] <= FEW


def _order(spec: Sequence[int], wanted: Sequence[int]) -> tuple[int, ...]:
    """The axes of an array in the wanted order; `spec`: where batch, channels, rows, columns
    are."""
    return tuple(spec[i] for i in wanted)


def _places(taps: int, width: int, wide: int, stride: int, padding: int) -> np.ndarray:
    """(taps, width, wide): whether output column y reads input column x by this tap."""
    tap, x, y = np.ogrid[:taps, :width, :wide]
    return x == y * stride + tap - padding
