"""Layers with weights: `Dense`, `Conv`, `ConvTranspose`, `ConvLocal`."""

import enum
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import jax
import jax.numpy as jnp

from theorylab.errors import InputError
from theorylab.neural_tangents.kernel import Kernel
from theorylab.neural_tangents.masks import masking
from theorylab.neural_tangents.requirements import Bool, Diagonal, Layer, finished
from theorylab.neural_tangents.states import permuted
from theorylab.neural_tangents.stax.common import (
    draw,
    engine_shape,
    from_engine,
    kernel_of,
    outer_shape,
    require_parameterization,
    to_engine,
)
from theorylab.neural_tangents.stax.windows import mask_windows, spread_mask_windows
from theorylab.neural_tangents.trees import typed
from theorylab.ntk.infinite.affine import Conv as EngineConv
from theorylab.ntk.infinite.affine import Dense as EngineDense
from theorylab.ntk.infinite.affine import affine, over_windows
from theorylab.ntk.infinite.local import ConvLocal as EngineLocal
from theorylab.ntk.infinite.local import at_equal_positions_only
from theorylab.ntk.infinite.state import State
from theorylab.ntk.infinite.transposed import ConvTranspose as EngineTranspose
from theorylab.ntk.infinite.transposed import over_spread_windows
from theorylab.ntk.infinite.windows import Window

Specs = tuple[str, str, str]


class Padding(enum.Enum):
    """Types of padding."""

    CIRCULAR = "CIRCULAR"
    SAME = "SAME"
    VALID = "VALID"


class _Weights:
    """Scales of weights and biases in one of the two parametrisations."""

    def __init__(self, W_std: float, b_std: float | None, parameterization: str, s: Any) -> None:
        self.W_std, self.b_std, self.s = W_std, b_std, s
        self.standard = require_parameterization(parameterization) == "standard"

    def width(self, width: int) -> int:
        """Channels that there really are."""
        return width * self.s[1] if self.standard else width

    def at_init(self, W: Any, b: Any, fan_in: int) -> tuple[Any, Any]:
        """Parameters from standard normal numbers."""
        if self.b_std is None:
            b = None
        if not self.standard:
            return W, b
        return W * (self.W_std / (fan_in / self.s[0]) ** 0.5), None if b is None else b * self.b_std

    def scales(self, fan_in: int) -> tuple[Any, Any]:
        """(σ_w, σ_b) with which the engine's `apply`, which divides by √fan_in, gives ours."""
        if self.standard:
            return (fan_in / self.s[0]) ** 0.5, 1.0
        return self.W_std, self.b_std or 0.0

    def affine(self, state: State, fan_in: int) -> State:
        """Covariances after the random affine map."""
        sigma_b = 0.0 if self.b_std is None else self.b_std
        if not self.standard:
            return affine(state, self.W_std, sigma_b)
        rate_b = 0.0 if self.b_std is None else 1.0
        return affine(state, self.W_std, sigma_b, rate_w=fan_in / self.s[0], rate_b=rate_b)


def Dense(
    out_dim: int,
    W_std: float = 1.0,
    b_std: float | None = None,
    batch_axis: int = 0,
    channel_axis: int = -1,
    parameterization: str = "ntk",
    s: tuple[int, int] = (1, 1),
) -> Layer:
    """Fully connected layer over the channel axis."""
    weights = _Weights(W_std, b_std, parameterization, s)
    width = weights.width(out_dim)

    def init_fn(rng: Any, input_shape: Any) -> tuple[Any, Any]:
        shape = list(input_shape)
        fan_in, shape[channel_axis] = shape[channel_axis], width
        key_w, key_b = jax.random.split(typed(rng))
        bias = [1] * len(shape)
        bias[channel_axis] = width
        W, b = draw(key_w, (fan_in, width)), draw(key_b, tuple(bias))
        return tuple(shape), weights.at_init(W, b, fan_in)

    def apply_fn(params: Any, inputs: Any, **kwargs: Any) -> Any:
        W, b = params
        x = to_engine(inputs, batch_axis, channel_axis)
        bias = jnp.zeros(W.shape[-1], W.dtype) if b is None else jnp.ravel(b)
        layer = EngineDense(W.shape[-1], *weights.scales(x.shape[-1]))
        return from_engine(layer.apply({"w": W, "b": bias}, x), batch_axis, channel_axis)

    kernel_fn = kernel_of(
        lambda state, k: weights.affine(state, k.shape1[k.channel_axis]),
        diagonal_spatial=Diagonal(),
        batch_axis=batch_axis,
        channel_axis=channel_axis,
    )

    def mask_fn(mask: Any, input_shape: Any) -> Any:
        return jnp.all(mask, axis=channel_axis, keepdims=True)

    return finished("Dense", *masking(init_fn, apply_fn, kernel_fn, mask_fn, remask_kernel=True))


def Conv(  # noqa: PLR0913
    out_chan: int,
    filter_shape: Sequence[int],
    strides: Sequence[int] | None = None,
    padding: str = Padding.VALID.name,
    W_std: float = 1.0,
    b_std: float | None = None,
    dimension_numbers: Specs | None = None,
    parameterization: str = "ntk",
    s: tuple[int, int] = (1, 1),
) -> Layer:
    """Convolution."""
    weights = _Weights(W_std, b_std, parameterization, s)
    return _conv("Conv", weights, out_chan, filter_shape, strides, padding, dimension_numbers)


def ConvTranspose(  # noqa: PLR0913
    out_chan: int,
    filter_shape: Sequence[int],
    strides: Sequence[int] | None = None,
    padding: str = Padding.VALID.name,
    W_std: float = 1.0,
    b_std: float | None = None,
    dimension_numbers: Specs | None = None,
    parameterization: str = "ntk",
    s: tuple[int, int] = (1, 1),
) -> Layer:
    """Transposed convolution."""
    weights = _Weights(W_std, b_std, parameterization, s)
    name = "ConvTranspose"
    return _conv(name, weights, out_chan, filter_shape, strides, padding, dimension_numbers)


def ConvLocal(  # noqa: PLR0913
    out_chan: int,
    filter_shape: Sequence[int],
    strides: Sequence[int] | None = None,
    padding: str = Padding.VALID.name,
    W_std: float = 1.0,
    b_std: float | None = None,
    dimension_numbers: Specs | None = None,
    parameterization: str = "ntk",
    s: tuple[int, int] = (1, 1),
) -> Layer:
    """Convolution with a filter of its own at every position."""
    weights = _Weights(W_std, b_std, parameterization, s)
    return _conv("ConvLocal", weights, out_chan, filter_shape, strides, padding, dimension_numbers)


class _Layout:
    """The order of axes: `dimension_numbers` of inputs, filters and outputs."""

    def __init__(self, dimension_numbers: Specs | None, dims: int) -> None:
        if dimension_numbers is None:
            lanes = "".join(c for c in "HWDEFGJKLM")[:dims]
            dimension_numbers = (f"N{lanes}C", f"{lanes}IO", f"N{lanes}C")
        self.inputs, self.filters, self.outputs = dimension_numbers
        self.lanes = [c for c in self.inputs if c not in "NC"]
        self.filter_lanes = [c for c in self.filters if c not in "IO"]
        self.output_lanes = [c for c in self.outputs if c not in "NC"]
        if not sorted(self.lanes) == sorted(self.filter_lanes) == sorted(self.output_lanes):
            raise InputError(
                f"dimension_numbers = {dimension_numbers}: the letters of the spatial axes differ"
            )
        self.moved = tuple(self.lanes.index(c) for c in self.output_lanes)

    def in_order(self, per_filter_axis: Sequence[int]) -> tuple[int, ...]:
        """Numbers given in the filter's order, in that of the inputs."""
        return tuple(per_filter_axis[self.filter_lanes.index(c)] for c in self.lanes)

    def ends(self, spec: str) -> tuple[int, int]:
        """(batch axis, channel axis)."""
        return spec.index("N"), spec.index("C")


def _conv(
    name: str,
    weights: _Weights,
    out_chan: int,
    filter_shape: Sequence[int],
    strides: Sequence[int] | None,
    padding: str,
    dimension_numbers: Specs | None,
) -> Layer:
    layout = _Layout(dimension_numbers, len(filter_shape))
    padding = Padding(padding).value
    sizes = layout.in_order(tuple(filter_shape))
    window = Window(sizes, layout.in_order(tuple(strides or (1,) * len(sizes))), padding)
    width = weights.width(out_chan) if name != "ConvLocal" else out_chan
    transpose, local = name == "ConvTranspose", name == "ConvLocal"
    engine: Any = EngineTranspose if transpose else EngineLocal if local else EngineConv
    (batch, channel), ends_out = layout.ends(layout.inputs), layout.ends(layout.outputs)

    def to_filters(W: Any) -> Any:
        order = [layout.filters.index(c) for c in [*layout.lanes, "I", "O"]]
        return jnp.transpose(W, order)

    def outside(found: Any, samples: int) -> tuple[int, ...]:
        moved = (found[0], *(found[1 + d] for d in layout.moved), found[-1])
        return outer_shape(moved, samples, *ends_out)

    def init_fn(rng: Any, input_shape: Any) -> tuple[Any, Any]:
        inner = engine_shape(tuple(input_shape), batch, channel)
        shape = (
            engine(width, window, 1.0, 1.0).output_shape(inner) if sizes else (*inner[:-1], width)
        )
        key_w, key_b = jax.random.split(typed(rng))
        taps = dict(zip(layout.filter_lanes, filter_shape, strict=True))
        after = outside(shape, input_shape[batch])
        bias = [width if c == "C" else 1 for c in layout.outputs]
        if local:
            taps = dict(zip(layout.lanes, shape[1:-1], strict=True))
            bias = [1 if c == "N" else n for c, n in zip(layout.outputs, after, strict=True)]
        rows = inner[-1] * (prod(sizes) if local else 1)
        W = draw(key_w, tuple({**taps, "I": rows, "O": width}[c] for c in layout.filters))
        fan_in = prod(sizes) * inner[-1]
        return after, weights.at_init(W, draw(key_b, tuple(bias)), fan_in)

    def apply_fn(params: Any, inputs: Any, **kwargs: Any) -> Any:
        W, b = params
        x = to_engine(inputs, batch, channel)
        scales = weights.scales(prod(sizes) * x.shape[-1])
        zero = {"w": to_filters(W), "b": jnp.zeros((), W.dtype)}
        layer = engine(width, window, scales[0], 0.0) if sizes else EngineDense(width, *scales)
        out = layer.apply(zero, x)
        out = out.transpose(0, *(1 + d for d in layout.moved), out.ndim - 1)
        out = from_engine(out, *ends_out)
        return out if b is None else out + scales[1] * b

    def op(state: State, k: Kernel) -> State:
        fan_in = prod(sizes) * k.shape1[k.channel_axis]
        if local:
            found = weights.affine(over_windows(state.at_equal_positions(), window), fan_in)
            found = at_equal_positions_only(found)
        else:
            average: Callable[..., State] = over_spread_windows if transpose else over_windows
            found = weights.affine(average(state, window), fan_in)
        return permuted(found, layout.moved)

    kernel_fn = kernel_of(
        op,
        diagonal_spatial=Diagonal(output=Bool.MAYBE if local else Bool.NO),
        batch_axis=batch,
        channel_axis=channel,
        changes=lambda k: {"batch_axis": ends_out[0], "channel_axis": ends_out[1]},
    )

    def mask_fn(mask: Any, input_shape: Any) -> Any:
        inner = to_engine(jnp.all(mask, axis=channel, keepdims=True), batch, channel)
        spatial = engine_shape(tuple(input_shape), batch, channel)[1:-1]
        inner = jnp.broadcast_to(inner, (inner.shape[0], *spatial, 1))
        found = (spread_mask_windows if transpose else mask_windows)(inner, window)
        found = found.transpose(0, *(1 + d for d in layout.moved), found.ndim - 1)
        return from_engine(found, *ends_out)

    return finished(name, *masking(init_fn, apply_fn, kernel_fn, mask_fn, remask_kernel=True))
