"""The first kernel: covariances of the data themselves."""

from typing import Any

import jax
import jax.numpy as jnp

from theorylab.errors import InputError
from theorylab.neural_tangents.kernel import Kernel
from theorylab.neural_tangents.masks import masked_array
from theorylab.neural_tangents.states import interleaved
from theorylab.neural_tangents.trees import is_array, same_inputs

HIGHEST = jax.lax.Precision.HIGHEST


def input_kernel(
    x1: Any,
    x2: Any,
    *,
    with_ntk: bool,
    diagonal_batch: bool,
    diagonal_spatial: bool,
    batch_axis: int,
    channel_axis: int | None,
    mask_constant: Any,
) -> Kernel:
    """Covariances of the data: inner products over channels, divided by their number."""
    for name, x in (("x1", x1), ("x2", x2)):
        if x is not None and not is_array(x):
            raise InputError(f"{name}: an array is needed, got a {type(x).__name__}")
        if x is not None and x.ndim < 2:
            raise InputError(
                f"{name} has shape {x.shape}; an axis of samples and one of channels are needed"
            )
    batch_axis %= x1.ndim
    if channel_axis is None:  # the first layer flattens
        x1, x2 = (
            None if x is None else jnp.moveaxis(x, batch_axis, 0).reshape(x.shape[batch_axis], -1)
            for x in (x1, x2)
        )
        batch_axis, channel_axis = 0, 1
    channel_axis %= x1.ndim
    dtype = jnp.zeros((), float).dtype
    spatial = tuple(s for a, s in enumerate(x1.shape) if a not in (batch_axis, channel_axis))
    full = not diagonal_spatial and spatial != ()

    def read(x: Any) -> tuple[Any, Any]:
        if x is None:
            return None, None
        found = masked_array(x, mask_constant)
        rows = jnp.moveaxis(found.masked_value, (batch_axis, channel_axis), (0, -1))
        return rows.reshape(rows.shape[0], -1, rows.shape[-1]).astype(dtype), found.mask

    def gram(a: Any, b: Any, how: str, lead: int) -> Any:
        if a is None:
            return None
        g = jnp.einsum(how, a, b, precision=HIGHEST) / a.shape[-1]
        g = g.reshape(*g.shape[:lead], *spatial, *(spatial if full else ()))
        return interleaved(g, lead) if full else g

    (a, mask1), (b, mask2) = read(x1), read(x2)
    pairs = "ipc,jqc->ijpq" if full else "ipc,jpc->ijp"
    own, lead = ("ipc,iqc->ipq" if full else "ipc,ipc->ip", 1) if diagonal_batch else (pairs, 2)
    nngp = gram(a, a if b is None else b, pairs, 2)
    return Kernel(
        nngp=nngp,
        ntk=jnp.zeros((), nngp.dtype) if with_ntk else None,
        cov1=gram(a, a, own, lead),
        cov2=gram(b, b, own, lead),
        x1_is_x2=same_inputs(x1, x2),
        is_gaussian=False,
        is_reversed=False,
        is_input=False,
        diagonal_batch=diagonal_batch,
        diagonal_spatial=diagonal_spatial,
        shape1=tuple(x1.shape),
        shape2=tuple(x1.shape if x2 is None else x2.shape),
        batch_axis=batch_axis,
        channel_axis=channel_axis,
        mask1=mask1,
        mask2=mask2,
    )
