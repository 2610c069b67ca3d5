"""Pooling and read-outs: `AvgPool`, `SumPool`, `GlobalAvgPool`, `GlobalSumPool`, `Flatten`."""

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any

import jax.numpy as jnp

from theorylab.errors import InputError
from theorylab.neural_tangents.kernel import Kernel
from theorylab.neural_tangents.masks import masking
from theorylab.neural_tangents.requirements import Bool, Diagonal, Layer, finished
from theorylab.neural_tangents.states import spatial_of
from theorylab.neural_tangents.stax.affine import Padding
from theorylab.neural_tangents.stax.common import (
    engine_shape,
    from_engine,
    kernel_of,
    outer_shape,
    to_engine,
)
from theorylab.neural_tangents.stax.windows import mask_windows
from theorylab.ntk import infinite
from theorylab.ntk.infinite.local import at_equal_positions_only
from theorylab.ntk.infinite.pooling import AvgPool as EnginePool
from theorylab.ntk.infinite.state import State, positions
from theorylab.ntk.infinite.windows import Window


def AvgPool(
    window_shape: Sequence[int],
    strides: Sequence[int] | None = None,
    padding: str = Padding.VALID.name,
    normalize_edges: bool = False,
    batch_axis: int = 0,
    channel_axis: int = -1,
) -> Layer:
    """Means over windows."""
    ends = (batch_axis, channel_axis)
    return _pool("AvgPool", window_shape, strides, padding, ends, normalize_edges=normalize_edges)


def SumPool(
    window_shape: Sequence[int],
    strides: Sequence[int] | None = None,
    padding: str = Padding.VALID.name,
    batch_axis: int = 0,
    channel_axis: int = -1,
) -> Layer:
    """Sums over windows."""
    return _pool("SumPool", window_shape, strides, padding, (batch_axis, channel_axis))


def _pool(
    name: str,
    window_shape: Sequence[int],
    strides: Sequence[int] | None,
    padding: str,
    ends: tuple[int, int],
    *,
    normalize_edges: bool = False,
) -> Layer:
    padding = Padding(padding).value
    sizes = tuple(window_shape)
    window = Window(sizes, tuple(strides or (1,) * len(sizes)), padding)
    layer = EnginePool(window, normalize_edges and padding == "SAME")
    factor = prod(sizes) if name == "SumPool" else 1

    def init_fn(rng: Any, input_shape: Any) -> tuple[Any, tuple[()]]:
        found = layer.output_shape(engine_shape(tuple(input_shape), *ends))
        return outer_shape(found, input_shape[ends[0]], *ends), ()

    def apply_fn(params: Any, inputs: Any, **kwargs: Any) -> Any:
        return from_engine(factor * layer.apply((), to_engine(inputs, *ends)), *ends)

    def op(state: State, k: Kernel) -> State:
        found = layer.propagate(_zero_elsewhere(state))
        if not state.full:
            found = found.at_equal_positions()
        return found if factor == 1 else found.linear(lambda c, lead: factor**2 * c)

    kernel_fn = kernel_of(
        op,
        diagonal_spatial=Diagonal(input=Bool.MAYBE),
        batch_axis=ends[0],
        channel_axis=ends[1],
    )

    kernel_fn = _of_known_origin(name, kernel_fn)

    def mask_fn(mask: Any, input_shape: Any) -> Any:
        require_positions(mask, ends[1])
        inner = to_engine(mask, *ends)
        spatial = engine_shape(tuple(input_shape), *ends)[1:-1]
        inner = jnp.broadcast_to(inner, (inner.shape[0], *spatial, inner.shape[-1]))
        return from_engine(mask_windows(inner, window), *ends)

    return finished(name, *masking(init_fn, apply_fn, kernel_fn, mask_fn, remask_kernel=True))


def _zero_elsewhere(state: State) -> State:
    """Covariances of all pairs of positions: where equal ones alone are held, others are zero."""
    return at_equal_positions_only(replace(state, wanted=True))


def _of_known_origin(name: str, kernel_fn: Any) -> Any:
    """The kernel function, for positions that are known not to covary where equal ones are held.

    They do not after `ConvLocal`, or where `diagonal_spatial=True` says so of the data. Of a kernel
    that comes from outside nothing is known.
    """

    def checked(k: Kernel, from_data: bool = False, **kwargs: Any) -> Kernel:
        if k.diagonal_spatial and spatial_of(k) and not from_data:
            raise InputError(
                f"{name}: needs covariances of all pairs of positions; compute the kernel before "
                "it with diagonal_spatial=False"
            )
        return kernel_fn(k, **kwargs)

    checked.requirements = kernel_fn.requirements  # type: ignore[attr-defined]
    return checked


def require_positions(mask: Any, channel_axis: int) -> None:
    """Refuse masks that differ from channel to channel."""
    if mask.shape[channel_axis] != 1:
        raise NotImplementedError(
            "masks that differ from channel to channel are not pooled; mask whole positions, or "
            "put a Dense or Conv first"
        )


def GlobalAvgPool(batch_axis: int = 0, channel_axis: int = -1) -> Layer:
    """The mean over all positions that are not masked."""
    return _global_pool("GlobalAvgPool", batch_axis, channel_axis)


def GlobalSumPool(batch_axis: int = 0, channel_axis: int = -1) -> Layer:
    """The sum over all positions."""
    return _global_pool("GlobalSumPool", batch_axis, channel_axis)


def _global_pool(name: str, batch_axis: int, channel_axis: int) -> Layer:
    layer, mean = infinite.global_avg_pool(), name == "GlobalAvgPool"

    def split(ndim: int) -> tuple[tuple[int, ...], tuple[int, int]]:
        batch, channel = batch_axis % ndim, channel_axis % ndim
        spatial = tuple(a for a in range(ndim) if a not in (batch, channel))
        return spatial, (0, 1) if batch < channel else (1, 0)

    def init_fn(rng: Any, input_shape: Any) -> tuple[Any, tuple[()]]:
        spatial, _ = split(len(input_shape))
        return tuple(s for a, s in enumerate(input_shape) if a not in spatial), ()

    def apply_fn(params: Any, inputs: Any, mask: Any = None, **kwargs: Any) -> Any:
        spatial, _ = split(inputs.ndim)
        if not mean:
            return inputs.sum(spatial)
        if mask is None:
            return inputs.mean(spatial)
        seen = ~jnp.broadcast_to(mask, inputs.shape)
        return inputs.sum(spatial) / jnp.maximum(seen.sum(spatial), 1)

    def op(state: State, k: Kernel) -> State:
        state = _zero_elsewhere(state)
        if mean:
            return layer.propagate(state)
        size = positions(state.spatial)
        return layer.propagate(_unmasked(state)).linear(lambda c, lead: size**2 * c)

    kernel_fn = kernel_of(
        op,
        diagonal_spatial=Diagonal(input=Bool.MAYBE, output=Bool.YES),
        batch_axis=batch_axis,
        channel_axis=channel_axis,
        changes=lambda k: dict(
            zip(("batch_axis", "channel_axis"), split(len(k.shape1))[1], strict=True)
        ),
    )

    kernel_fn = _of_known_origin(name, kernel_fn)

    def mask_fn(mask: Any, input_shape: Any) -> Any:
        require_positions(mask, channel_axis)
        return jnp.all(mask, split(mask.ndim)[0])

    return finished(name, *masking(init_fn, apply_fn, kernel_fn, mask_fn, remask_kernel=False))


def _unmasked(state: State) -> State:
    return replace(state.masked(), mask1=None, mask2=None)


def Flatten(batch_axis: int = 0, batch_axis_out: int = 0) -> Layer:
    """All entries of a sample in a row."""
    if batch_axis_out not in (0, 1, -1, -2):
        raise InputError(f"batch_axis_out = {batch_axis_out}; 0 or 1 is needed")
    out = batch_axis_out % 2
    layer = infinite.flatten()

    def shape_of(shape: Any) -> tuple[int, int]:
        batch = batch_axis % len(shape)
        channels = prod(s for a, s in enumerate(shape) if a != batch)
        return (channels, shape[batch]) if out else (shape[batch], channels)

    def init_fn(rng: Any, input_shape: Any) -> tuple[Any, tuple[()]]:
        return shape_of(input_shape), ()

    def apply_fn(params: Any, inputs: Any, **kwargs: Any) -> Any:
        return _rows(inputs)

    def _rows(x: Any) -> Any:
        rows = jnp.moveaxis(x, batch_axis, 0).reshape(x.shape[batch_axis], -1)
        return rows.T if out else rows

    kernel_fn = kernel_of(
        layer,
        diagonal_spatial=Diagonal(output=Bool.YES),
        batch_axis=batch_axis,
        channel_axis=None,
        changes=lambda k: {
            "is_gaussian": False,
            "batch_axis": out,
            "channel_axis": 1 - out,
            "diagonal_spatial": False,
        },
    )

    def mask_fn(mask: Any, input_shape: Any) -> Any:
        return _rows(jnp.broadcast_to(mask, input_shape))

    return finished("Flatten", *masking(init_fn, apply_fn, kernel_fn, mask_fn, remask_kernel=False))
