"""Depthwise convolution, lowered as shifted multiply-adds on CPU.

There XLA's grouped convolution is slow. A depthwise convolution is sum_{i,j} w[i, j, c] x[., h s +
i, w s + j, c]: k^2 strided slices of the padded input, each times one row of the kernel. XLA fuses
the sum into one loop; its gradients have the same form. Measured on two busy CPU cores, float32,
JAX 0.12, shifted against grouped: batch gradient of one layer (8 images, 16x16x144, 3x3) 19 ms
against 99, (5x5, stride 2) 16 against 222; per-sample gradients of the same layers 8 ms against 626
and 8 against 668; gradient of all of EfficientNet-Lite0 for one 32x32 image 75 ms against 733. The
price is a compilation about 4 times as long.
"""

from collections.abc import Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from theorylab import checks
from theorylab.errors import InputError
from theorylab.nets.inputs import numbers, streams

Lowering = Literal["auto", "shifted", "grouped"]


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after one axis by TensorFlow's SAME rule.

    The output has ceil(size / stride) entries; an odd zero goes to the end.
    """
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def depthwise_conv(
    x: Float[Array, "n h w c"],
    kernel: Float[Array, "k1 k2 1 c"],
    *,
    strides: int | tuple[int, int] = 1,
    padding: Literal["SAME", "VALID"] | Sequence[tuple[int, int]] = "SAME",
    lowering: Lowering = "auto",
) -> Float[Array, "n h2 w2 c"]:
    """Convolution of every channel with a kernel of its own.

    Use it in place of `nnx.Conv(feature_group_count=channels)` where per-sample gradients are taken
    on a CPU.

    Args:
        x: (n, h, w, c).
        kernel: (k1, k2, 1, c), HWIO order.
        strides: one number for both axes, or two.
        padding: "SAME" (TensorFlow's rule), "VALID", or (before, after) for both axes.
        lowering: "shifted" (k1 k2 multiply-adds), "grouped" (`jax.lax.conv_general_dilated` with
            one group per channel), or "auto": "shifted" when JAX's default backend at trace time is
            the CPU, "grouped" elsewhere. The two agree to rounding.

    Returns:
        (n, h2, w2, c).

    Raises:
        InputError: shapes that do not fit, an unknown padding or lowering, or a window larger than
            the padded image.
    """
    x, kernel = numbers("x", x), numbers("kernel", kernel)
    if x.ndim != 4 or kernel.ndim != 4 or kernel.shape[2] != 1 or kernel.shape[3] != x.shape[3]:
        raise InputError(
            f"x, kernel: shapes {x.shape}, {kernel.shape} given; (n, h, w, c) and (k1, k2, 1, c), "
            "one c, are needed"
        )
    checks.choice("lowering", lowering, ("auto", "shifted", "grouped"))
    steps = _two("strides", strides, 1)
    if isinstance(padding, str):
        checks.choice("padding", padding, ("SAME", "VALID"))  # or two pairs (before, after)
    if isinstance(padding, str) and padding == "SAME":
        pads = tuple(same_padding(x.shape[a + 1], kernel.shape[a], steps[a]) for a in range(2))
    elif isinstance(padding, str):
        pads = ((0, 0), (0, 0))
    else:
        checks.real("padding", padding, shape=(2, 2))
        pads = tuple(_two("padding", pair, 0) for pair in padding)
    if any(x.shape[a + 1] + sum(pads[a]) < kernel.shape[a] for a in range(2)):
        raise InputError(
            f"x: shape {x.shape} given, with padding {pads} smaller than the kernel "
            f"{kernel.shape[:2]}"
        )
    dtype = jnp.result_type(x, kernel)
    x, kernel = x.astype(dtype), kernel.astype(dtype)
    if lowering == "grouped" or (lowering == "auto" and jax.default_backend() != "cpu"):
        return jax.lax.conv_general_dilated(
            x,
            kernel,
            steps,
            pads,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=x.shape[3],
        )
    x = jnp.pad(x, ((0, 0), *pads, (0, 0)))
    rows, columns = ((x.shape[a + 1] - kernel.shape[a]) // steps[a] + 1 for a in range(2))
    out = jnp.zeros((), x.dtype)
    for i in range(kernel.shape[0]):
        for j in range(kernel.shape[1]):
            last_row, last_column = i + (rows - 1) * steps[0] + 1, j + (columns - 1) * steps[1] + 1
            out = out + x[:, i : last_row : steps[0], j : last_column : steps[1]] * kernel[i, j, 0]
    return out


def _two(name: str, value: Any, least: int) -> tuple[int, int]:
    if np.ndim(checks.real(name, value)) == 0:
        return (checks.count(name, value, least),) * 2
    first, second = checks.real(name, value, shape=(2,))
    return checks.count(name, first, least), checks.count(name, second, least)


class DepthwiseConv(nnx.Module):
    """The layer `depthwise_conv` with SAME padding and no bias.

    Its kernel is He-normal for fan-in k^2.

    Args:
        channels: of input and output.
        kernel_size: k, for a k x k window.
        stride: of both axes.
        lowering: as for `depthwise_conv`.
        rngs: draws the kernel.

    Raises:
        InputError: counts below 1, or an unknown lowering.
    """

    def __init__(
        self,
        channels: int,
        kernel_size: int,
        stride: int,
        *,
        lowering: Lowering = "auto",
        rngs: nnx.Rngs,
    ):
        channels, kernel_size = (
            checks.count("channels", channels),
            checks.count("kernel_size", kernel_size),
        )
        (
            checks.count("stride", stride),
            checks.choice("lowering", lowering, ("auto", "shifted", "grouped")),
        )
        streams(rngs)
        std = (2.0 / kernel_size**2) ** 0.5
        self.kernel = nnx.Param(
            std * jax.random.normal(rngs.params(), (kernel_size, kernel_size, 1, channels))
        )
        self.stride, self.lowering = stride, lowering

    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h2 w2 c"]:
        """The convolution of a batch of images."""
        return depthwise_conv(x, self.kernel[...], strides=self.stride, lowering=self.lowering)
