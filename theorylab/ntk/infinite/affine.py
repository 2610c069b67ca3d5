"""Layers with weights: `dense` and `conv`.

They make the field Gaussian and centred, and they add to the NTK. With W, b ~ N(0, 1) entrywise and
fan-in n:  Σ <- σ_w² mean(Σ) + σ_b²,  Θ <- Σ_new + σ_w² mean(Θ), the mean being over filter offsets
for convolutions.

Source: Jacot et al. 2018; Novak et al. 2019; Arora et al. 2019.
"""

from dataclasses import replace
from math import prod
from typing import Any

import jax
from jaxtyping import Array, Float, PRNGKeyArray

from theorylab import checks
from theorylab.errors import InputError
from theorylab.ntk.infinite.layer import Layer, Shape, check_drawing, layer
from theorylab.ntk.infinite.state import State
from theorylab.ntk.infinite.windows import Window, check_window


def affine(
    state: State, sigma_w: Any, sigma_b: Any, *, rate_w: Any = None, rate_b: Any = None
) -> State:
    """Covariances after the random affine map, `state` being averaged over the window already.

    Args:
        state: the average.
        sigma_w: standard deviation of the weights, times the root of the fan-in.
        sigma_b: standard deviation of the biases.
        rate_w: what the weights' gradients add to Θ, in units of the average; None for σ_w², the
            NTK parametrisation.
        rate_b: what the biases' gradients add to Θ; None for σ_b².

    Returns:
        The state after the map.

    Source:
        Jacot et al. 2018; for other rates Sohl-Dickstein et al. 2020 (arXiv 2001.07301).
    """
    nngp, cov1, cov2 = (sigma_w**2 * c + sigma_b**2 for c in (state.nngp, state.cov1, state.cov2))
    if rate_w is None and rate_b is None:
        fresh = nngp
    else:
        fresh = (sigma_w**2 if rate_w is None else rate_w) * state.nngp
        fresh = fresh + (sigma_b**2 if rate_b is None else rate_b)
    ntk = fresh + sigma_w**2 * state.ntk
    return replace(
        state, nngp=nngp, ntk=ntk, cov1=cov1, cov2=cov2, gaussian=True, fresh=state.depth
    )


def _draw(key: PRNGKeyArray, shape: Shape) -> dict[str, Array]:
    key_w, key_b = jax.random.split(key)
    return {"w": jax.random.normal(key_w, shape), "b": jax.random.normal(key_b, shape[-1:])}


@layer("width")
class Dense(Layer):
    """The layer that `dense` makes."""

    width: int
    sigma_w: Any
    sigma_b: Any

    def init(self, key: PRNGKeyArray, input_shape: Shape) -> dict[str, Array]:
        """Weights and biases, standard normal."""
        check_drawing(key, input_shape)
        return _draw(key, (input_shape[-1], self.width))

    def apply(
        self, params: dict[str, Array], x: Float[Array, "n ..."], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "n ..."]:
        """The affine map of the last axis."""
        return self.sigma_w / x.shape[-1] ** 0.5 * (x @ params["w"]) + self.sigma_b * params["b"]

    def output_shape(self, input_shape: Shape) -> Shape:
        """The last axis becomes `width`."""
        return (*input_shape[:-1], self.width)

    def propagate(self, state: State) -> State:
        """The covariances after the affine map."""
        return affine(state, self.sigma_w, self.sigma_b)


def over_windows(state: State, window: Window) -> State:
    """Averages over filter offsets: one filter slides over both samples."""
    spatial = window.output(state.spatial)
    dims = len(spatial)

    def average(cov: Array, lead: int) -> Array:
        # the two positions of a pair move together
        axes = [(lead + d, lead + dims + d) if state.full else (lead + d,) for d in range(dims)]
        return window.sums(cov, axes) / prod(window.sizes)

    return state.linear(average, spatial=spatial)


@layer("width", "window")
class Conv(Layer):
    """The layer that `conv` makes."""

    width: int
    window: Window
    sigma_w: Any
    sigma_b: Any

    def init(self, key: PRNGKeyArray, input_shape: Shape) -> dict[str, Array]:
        """Weights and biases, standard normal."""
        check_drawing(key, input_shape)
        self.window.output(input_shape[1:-1])
        return _draw(key, (*self.window.sizes, input_shape[-1], self.width))

    def apply(
        self, params: dict[str, Array], x: Float[Array, "n ..."], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "n ..."]:
        """The convolution of the spatial axes."""
        lanes = "DHW"[-len(self.window.sizes) :] if len(self.window.sizes) <= 3 else ""
        if not lanes:
            raise InputError(
                f"window={self.window.sizes}: a finite convolution has 1, 2 or 3 spatial dimensions"
            )
        x = self.window.pad(x, [(1 + d,) for d in range(len(lanes))])
        out = jax.lax.conv_general_dilated(
            x,
            params["w"],
            self.window.strides,
            "VALID",
            dimension_numbers=(f"N{lanes}C", f"{lanes}IO", f"N{lanes}C"),
        )
        fan_in = prod(self.window.sizes) * x.shape[-1]
        return self.sigma_w / fan_in**0.5 * out + self.sigma_b * params["b"]

    def output_shape(self, input_shape: Shape) -> Shape:
        """Spatial sizes after the windows, and `width` channels."""
        return (input_shape[0], *self.window.output(input_shape[1:-1]), self.width)

    def propagate(self, state: State) -> State:
        """The covariances after the convolution: averages over filter offsets."""
        return affine(over_windows(state, self.window), self.sigma_w, self.sigma_b)


def dense(width: int = 512, *, sigma_w: Any = 1.0, sigma_b: Any = 0.0) -> Layer:
    """Fully connected layer x -> σ_w x W/√n + σ_b b over the channel axis.

    On fields it acts position by position. The first layer divides by the input dimension.

    Args:
        width: outputs of the finite network; irrelevant to the kernel.
        sigma_w: `W_std` of neural-tangents, a number or a traced scalar.
        sigma_b: `b_std` of neural-tangents, a number or a traced scalar.

    Returns:
        A `Layer`.

    Raises:
        InputError: a width below 1, or a standard deviation that is not one finite number.
    """
    _check(width, sigma_w, sigma_b)
    return Dense(width, sigma_w, sigma_b)


def conv(
    width: int,
    window: int | tuple[int, ...],
    *,
    strides: int | tuple[int, ...] = 1,
    padding: str = "VALID",
    sigma_w: Any = 1.0,
    sigma_b: Any = 0.0,
) -> Layer:
    """Convolution x -> σ_w (x * W)/√(k² n) + σ_b b.

    The divisor and the placement of padding under strides are those of neural-tangents (and of
    XLA). Its finite form has 1, 2 or 3 spatial axes, its kernel any number.

    Args:
        width: channels of the finite network; irrelevant to the kernel.
        window: 3 means 3 x 3; a tuple gives any number of dimensions.
        strides: one number for all dimensions, or a tuple.
        padding: "VALID"; "SAME", where missing pixels count as zeros but the divisor stays k² n;
            "CIRCULAR".
        sigma_w: `W_std` of neural-tangents, a number or a traced scalar.
        sigma_b: `b_std` of neural-tangents, a number or a traced scalar.

    Returns:
        A `Layer`.

    Raises:
        InputError: a width, window or stride below 1, or an unknown padding.
    """
    _check(width, sigma_w, sigma_b)
    return Conv(width, check_window(window, strides, padding), sigma_w, sigma_b)


def _check(width: Any, sigma_w: Any, sigma_b: Any) -> None:
    checks.count("width", width)
    checks.finite("sigma_w", sigma_w, ndim=0)
    checks.finite("sigma_b", sigma_b, ndim=0)


__all__ = ["Conv", "Dense", "affine", "conv", "dense", "over_windows"]
