"""Transposed convolutions: `conv_transpose`.

The signal is spread out by the strides, with zeros between, and a filter slides over it. So do its
covariances, the two positions of a pair together.

Source: Novak et al. 2019 for convolutions; placement of the padding as `jax.lax.conv_transpose`.
"""

from collections.abc import Sequence
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from theorylab import checks
from theorylab.errors import InputError
from theorylab.ntk.infinite.affine import affine
from theorylab.ntk.infinite.layer import Layer, Shape, check_drawing, layer
from theorylab.ntk.infinite.state import State
from theorylab.ntk.infinite.windows import Window, check_window

Pads = tuple[int, int]


def spread(x: Float[Array, "..."], window: Window, axes: Sequence[tuple[int, ...]]) -> Array:
    """The signal with zeros between its positions, padded so that "VALID" windows are what counts.

    `axes[d]` are the axes that belong to dimension d.
    """
    zero = jnp.zeros((), x.dtype)
    config = [(0, 0, 0)] * x.ndim
    circular = []
    for size, stride, group in zip(window.sizes, window.strides, axes, strict=True):
        for axis in group:
            n = x.shape[axis]
            low, high = _pads(n, size, stride, window.padding)
            if window.padding == "CIRCULAR":
                config[axis] = (0, stride - 1, stride - 1)
                circular.append((axis, low, high))
            else:
                config[axis] = (low, high, stride - 1)
    x = jax.lax.pad(x, zero, config)
    for axis, low, high in circular:
        x = jnp.pad(x, [(low, high) if a == axis else (0, 0) for a in range(x.ndim)], mode="wrap")
    return x


def _pads(n: int, size: int, stride: int, padding: str) -> Pads:
    if padding == "CIRCULAR":  # the adjoint of the circular convolution of the same strides
        low = size - 1 - max(size - stride, 0) // 2
        return low, size - 1 - low
    if padding == "VALID":
        return size - 1, size - 1 + max(stride - size, 0)
    total = size + stride - 2
    low = size - 1 if stride > size - 1 else -(-total // 2)
    return low, total - low


def spread_shape(spatial: tuple[int, ...], window: Window) -> tuple[int, ...]:
    """Spatial sizes after the transposed convolution."""
    if len(spatial) != len(window.sizes):
        raise InputError(
            f"window={window.sizes}: has {len(window.sizes)} dimensions, but the field it slides "
            f"over has {len(spatial)} (spatial shape {spatial}); give one size per dimension"
        )
    sizes = []
    for n, k, s in zip(spatial, window.sizes, window.strides, strict=True):
        low, high = _pads(n, k, s, window.padding)
        long = n * s if window.padding == "CIRCULAR" else (n - 1) * s + 1
        sizes.append(long + low + high - k + 1)
    return tuple(sizes)


def over_spread_windows(state: State, window: Window) -> State:
    """Averages over filter offsets of the signal that is spread out."""
    spatial = spread_shape(state.spatial, window)
    dims = len(spatial)
    slide = Window(window.sizes, (1,) * dims, "VALID")

    def average(cov: Array, lead: int) -> Array:
        axes = [(lead + d, lead + dims + d) if state.full else (lead + d,) for d in range(dims)]
        return slide.sums(spread(cov, window, axes), axes) / prod(window.sizes)

    return state.linear(average, spatial=spatial)


@layer("width", "window")
class ConvTranspose(Layer):
    """The layer that `conv_transpose` makes."""

    width: int
    window: Window
    sigma_w: Any
    sigma_b: Any

    def init(self, key: PRNGKeyArray, input_shape: Shape) -> dict[str, Array]:
        """Weights and biases, standard normal."""
        check_drawing(key, input_shape)
        spread_shape(input_shape[1:-1], self.window)
        key_w, key_b = jax.random.split(key)
        shape = (*self.window.sizes, input_shape[-1], self.width)
        return {
            "w": jax.random.normal(key_w, shape),
            "b": jax.random.normal(key_b, (self.width,)),
        }

    def apply(
        self, params: dict[str, Array], x: Float[Array, "n ..."], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "n ..."]:
        """The transposed convolution of the spatial axes."""
        dims = len(self.window.sizes)
        if dims > 3:
            raise InputError(
                f"window={self.window.sizes}: a finite convolution has 1, 2 or 3 spatial dimensions"
            )
        lanes = "DHW"[-dims:]
        out = jax.lax.conv_general_dilated(
            spread(x, self.window, [(1 + d,) for d in range(dims)]),
            params["w"],
            (1,) * dims,
            "VALID",
            dimension_numbers=(f"N{lanes}C", f"{lanes}IO", f"N{lanes}C"),
        )
        fan_in = prod(self.window.sizes) * x.shape[-1]
        return self.sigma_w / fan_in**0.5 * out + self.sigma_b * params["b"]

    def output_shape(self, input_shape: Shape) -> Shape:
        """Spatial sizes after the windows, and `width` channels."""
        return (input_shape[0], *spread_shape(input_shape[1:-1], self.window), self.width)

    def propagate(self, state: State) -> State:
        """The covariances after the transposed convolution."""
        return affine(over_spread_windows(state, self.window), self.sigma_w, self.sigma_b)


def conv_transpose(
    width: int,
    window: int | tuple[int, ...],
    *,
    strides: int | tuple[int, ...] = 1,
    padding: str = "VALID",
    sigma_w: Any = 1.0,
    sigma_b: Any = 0.0,
) -> Layer:
    """Transposed convolution, by which decoders and generators grow their images.

    Its divisor is √(k² n) as for `conv`, whatever the strides: of the k² taps of an output only
    some meet an input that is no zero.

    Args:
        width: channels of the finite network; irrelevant to the kernel.
        window: 3 means 3 x 3; a tuple gives any number of dimensions.
        strides: by how much the field grows: one number for all dimensions, or a tuple.
        padding: "VALID", "SAME" (n times stride positions), or "CIRCULAR" (the adjoint of the
            circular `conv` of the same strides).
        sigma_w: `W_std` of neural-tangents, a number or a traced scalar.
        sigma_b: `b_std` of neural-tangents, a number or a traced scalar.

    Returns:
        A `Layer`.

    Raises:
        InputError: a width, window or stride below 1, or an unknown padding.
    """
    checks.count("width", width)
    checks.finite("sigma_w", sigma_w, ndim=0)
    checks.finite("sigma_b", sigma_b, ndim=0)
    return ConvTranspose(width, check_window(window, strides, padding), sigma_w, sigma_b)


__all__ = ["ConvTranspose", "conv_transpose", "over_spread_windows", "spread_shape"]
