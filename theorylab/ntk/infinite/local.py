"""Convolutions with a filter of its own at every position: `conv_local`.

Covariances between different positions vanish, as their weights are independent.

Source: Novak et al. 2019, section 5 (locally connected networks).
"""

from dataclasses import replace
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from theorylab import checks
from theorylab.ntk.infinite.affine import affine, over_windows
from theorylab.ntk.infinite.layer import Layer, Shape, check_drawing, layer
from theorylab.ntk.infinite.state import State
from theorylab.ntk.infinite.windows import Window, check_window


def at_equal_positions_only(state: State) -> State:
    """Zeros between different positions, where what follows needs them at all."""
    if not state.wanted or state.full or state.spatial == ():
        return state
    spread = replace(state, full=True)
    eye = spread.same_position()
    return state.linear(lambda c, lead: jnp.where(eye, _left(c, state), 0.0), full=True)


def _left(cov: Array, state: State) -> Array:
    return cov.reshape(*cov.shape, *[1] * len(state.spatial))


@layer("width", "window")
class ConvLocal(Layer):
    """The layer that `conv_local` makes."""

    width: int
    window: Window
    sigma_w: Any
    sigma_b: Any

    def init(self, key: PRNGKeyArray, input_shape: Shape) -> dict[str, Array]:
        """A filter and a bias for every position, standard normal."""
        check_drawing(key, input_shape)
        spatial = self.window.output(input_shape[1:-1])
        key_w, key_b = jax.random.split(key)
        taps = prod(self.window.sizes) * input_shape[-1]
        return {
            "w": jax.random.normal(key_w, (*spatial, taps, self.width)),
            "b": jax.random.normal(key_b, (*spatial, self.width)),
        }

    def apply(
        self, params: dict[str, Array], x: Float[Array, "n ..."], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "n ..."]:
        """The convolution of the spatial axes."""
        dims = len(self.window.sizes)
        patches = self.window.pad(x, [(1 + d,) for d in range(dims)])
        lanes = "DHW"[-dims:]
        out = jax.lax.conv_general_dilated_local(
            patches,
            params["w"],
            self.window.strides,
            "VALID",
            self.window.sizes,
            dimension_numbers=(f"N{lanes}C", f"{lanes}IO", f"N{lanes}C"),
        )
        fan_in = prod(self.window.sizes) * x.shape[-1]
        return self.sigma_w / fan_in**0.5 * out + self.sigma_b * params["b"]

    def output_shape(self, input_shape: Shape) -> Shape:
        """Spatial sizes after the windows, and `width` channels."""
        return (input_shape[0], *self.window.output(input_shape[1:-1]), self.width)

    def needs_full(self, full: bool) -> bool:
        """Equal positions suffice."""
        return False

    def propagate(self, state: State) -> State:
        """The covariances after the convolution."""
        equal = over_windows(state.at_equal_positions(), self.window)
        return at_equal_positions_only(affine(equal, self.sigma_w, self.sigma_b))


def conv_local(
    width: int,
    window: int | tuple[int, ...],
    *,
    strides: int | tuple[int, ...] = 1,
    padding: str = "VALID",
    sigma_w: Any = 1.0,
    sigma_b: Any = 0.0,
) -> Layer:
    """A locally connected layer: a convolution whose filters are not shared.

    Args:
        width: channels of the finite network; irrelevant to the kernel.
        window: 3 means 3 x 3; a tuple gives any number of dimensions.
        strides: one number for all dimensions, or a tuple.
        padding: "VALID", "SAME" or "CIRCULAR", as for `conv`.
        sigma_w: standard deviation of the weights, a number or a traced scalar.
        sigma_b: standard deviation of the biases, a number or a traced scalar.

    Returns:
        A `Layer`.

    Raises:
        InputError: a width, window or stride below 1, or an unknown padding.
    """
    checks.count("width", width)
    checks.finite("sigma_w", sigma_w, ndim=0)
    checks.finite("sigma_b", sigma_b, ndim=0)
    return ConvLocal(width, check_window(window, strides, padding), sigma_w, sigma_b)


__all__ = ["ConvLocal", "at_equal_positions_only", "conv_local"]
