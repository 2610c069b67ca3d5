"""Where branches meet: `FanInSum`, `FanInProd`, `FanInConcat`."""

import functools
import operator
from typing import Any

import jax.numpy as jnp

from theorylab.errors import InputError
from theorylab.neural_tangents.kernel import Kernel
from theorylab.neural_tangents.masks import masking
from theorylab.neural_tangents.requirements import Layer, finished
from theorylab.neural_tangents.stax.combinators import (
    _require_gaussian,
    _require_one_layout,
    in_all,
    multiply_kernels,
    sum_kernels,
)


def _first(rng: Any, input_shape: Any) -> tuple[Any, tuple[()]]:
    return input_shape[0], ()


def FanInSum() -> Layer:
    """The sum of independent branches."""

    def apply_fn(params: Any, inputs: Any, **kwargs: Any) -> Any:
        return functools.reduce(operator.add, inputs)

    def kernel_fn(ks: Any, **kwargs: Any) -> Kernel:
        return sum_kernels(ks)

    def mask_fn(masks: Any, input_shapes: Any) -> Any:
        return in_all(masks)

    return finished("FanInSum", *masking(_first, apply_fn, kernel_fn, mask_fn, remask_kernel=False))


def FanInProd() -> Layer:
    """The product of independent branches, entry by entry."""

    def apply_fn(params: Any, inputs: Any, **kwargs: Any) -> Any:
        return functools.reduce(operator.mul, inputs)

    def kernel_fn(ks: Any, **kwargs: Any) -> Kernel:
        return multiply_kernels(ks)

    def mask_fn(masks: Any, input_shapes: Any) -> Any:
        return in_all(masks)

    return finished(
        "FanInProd", *masking(_first, apply_fn, kernel_fn, mask_fn, remask_kernel=False)
    )


def FanInConcat(axis: int = -1) -> Layer:
    """Branches one after the other along an axis."""

    def init_fn(rng: Any, input_shape: Any) -> tuple[Any, tuple[()]]:
        shape = list(input_shape[0])
        sizes = [one[axis] for one in input_shape]
        shape[axis] = -1 if min(sizes) < 0 else sum(sizes)
        return tuple(shape), ()

    def apply_fn(params: Any, inputs: Any, **kwargs: Any) -> Any:
        return jnp.concatenate(inputs, axis)

    def kernel_fn(ks: Any, **kwargs: Any) -> Kernel:
        return _concatenated(ks, axis % len(ks[0].shape1))

    def mask_fn(masks: Any, input_shapes: Any) -> Any:
        ndim = len(input_shapes[0])
        sizes = [list(shape) for shape in input_shapes]
        if all(
            m is None or m.shape[a] == 1 for m in masks for a in range(ndim) if a != axis % ndim
        ):
            sizes = [[s if a == axis % ndim else 1 for a, s in enumerate(one)] for one in sizes]
        return jnp.concatenate(
            [
                jnp.broadcast_to(False if m is None else m, _widest(m, size, axis % ndim, masks))
                for m, size in zip(masks, sizes, strict=True)
            ],
            axis,
        )

    return finished(
        "FanInConcat", *masking(init_fn, apply_fn, kernel_fn, mask_fn, remask_kernel=False)
    )


def _widest(mask: Any, size: list[int], axis: int, masks: Any) -> tuple[int, ...]:
    """The shape to which a branch's mask is broadcast: the widest of all along other axes."""
    shapes = [m.shape for m in masks if m is not None]
    return tuple(
        size[a] if a == axis else max(shape[a] for shape in shapes) for a in range(len(size))
    )


def _concatenated(ks: Any, axis: int) -> Kernel:
    _require_one_layout("FanInConcat", ks)
    first = ks[0]
    rest = [tuple(s[:axis] + s[axis + 1 :] for s in (tuple(k.shape1), tuple(k.shape2))) for k in ks]
    if any(shape != rest[0] for shape in rest):
        raise InputError(f"FanInConcat: shapes {rest} besides axis {axis}; equal ones are needed")
    if axis == first.channel_axis:
        widths = [k.shape1[axis] for k in ks]
        total = sum(widths)

        def mean(name: str) -> Any:
            values = [getattr(k, name) for k in ks]
            if values[0] is None:
                return None
            return sum(w / total * v for w, v in zip(widths, values, strict=True))

        names = ("nngp", "ntk", "cov1", "cov2")
        return first.replace(**{name: mean(name) for name in names}, is_gaussian=False)
    _require_gaussian("FanInConcat", ks)
    ends = (first.batch_axis, first.channel_axis)
    spatial = [a for a in range(len(first.shape1)) if a not in ends]
    place = None if axis == first.batch_axis else spatial.index(axis)
    own = 1 if first.diagonal_batch else 2
    changes = {
        name: _blocks([getattr(k, name) for k in ks], place, lead, first.diagonal_spatial)
        for name, lead in (("nngp", 2), ("ntk", 2), ("cov1", own), ("cov2", own))
    }

    def longer(name: str) -> tuple[int, ...]:
        shape = list(getattr(first, name))
        shape[axis] = sum(getattr(k, name)[axis] for k in ks)
        return tuple(shape)

    return first.replace(
        **changes,
        shape1=longer("shape1"),
        shape2=longer("shape2"),
        is_gaussian=all(k.is_gaussian for k in ks),
    )


def _blocks(mats: list[Any], place: int | None, lead: int, diagonal_spatial: bool) -> Any:
    """Covariances of independent parts: blocks on the diagonal of one pair of axes."""
    if any(m is None for m in mats):
        return None
    if place is None:
        axes = (0,) if lead == 1 else (0, 1)
    elif diagonal_spatial:
        axes = (lead + place,)
    else:
        axes = (lead + 2 * place, lead + 2 * place + 1)
    if len(axes) == 1:
        return jnp.concatenate(mats, axes[0])
    total = [sum(m.shape[a] for m in mats) for a in axes]
    rows, start = [], [0, 0]
    for mat in mats:
        pads = [(0, 0)] * mat.ndim
        pads[axes[1]] = (start[1], total[1] - start[1] - mat.shape[axes[1]])
        rows.append(jnp.pad(mat, pads))
        start[1] += mat.shape[axes[1]]
    return jnp.concatenate(rows, axes[0])
