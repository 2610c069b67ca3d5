"""Between a `Kernel` and the engine's `State`: layouts of axes, masks, both of the own covariances.

The engine holds positions as (*S, *S), samples first; neural-tangents interleaves them.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from theorylab.errors import InputError
from theorylab.neural_tangents.kernel import Kernel
from theorylab.ntk.infinite.state import State

Op = Callable[[State], State]


def spatial_of(k: Kernel) -> tuple[int, ...]:
    """Sizes of the spatial axes."""
    ends = (k.batch_axis, k.channel_axis)
    return tuple(size for axis, size in enumerate(k.shape1) if axis not in ends)


def together(cov: Array, lead: int) -> Array:
    """(*batch, h, h, w, w, ...) to (*batch, h, w, ..., h, w, ...)."""
    rest = range(lead, cov.ndim)
    return cov.transpose(*range(lead), *rest[::2], *rest[1::2])


def interleaved(cov: Array, lead: int) -> Array:
    """The inverse of `together`."""
    half = (cov.ndim - lead) // 2
    order = [lead + side * half + d for d in range(half) for side in (0, 1)]
    return cov.transpose(*range(lead), *order)


def mask_of(mask: Any, shape: tuple[int, ...], batch_axis: int, channel_axis: int) -> Any:
    """A mask that broadcasts to `shape`, as (n, *S): positions all of whose channels are masked."""
    if mask is None:
        return None
    mask = jnp.moveaxis(mask, (batch_axis, channel_axis), (0, -1)).all(-1)
    spatial = tuple(s for a, s in enumerate(shape) if a not in (batch_axis, channel_axis))
    return jnp.broadcast_to(mask, (shape[batch_axis], *spatial))


def through(k: Kernel, op: Op, **changes: Any) -> Kernel:
    """The kernel after `op` of the engine's state, with fields changed besides."""
    own1 = own2 = k.cov1
    if k.cov2 is not None:
        own2 = k.cov2
    if not k.diagonal_batch:
        own1, own2 = _batch_diagonal(own1), _batch_diagonal(own2)
    n1, n2 = k.nngp.shape[:2]
    identical = jnp.eye(n1, n2, dtype=bool) if k.cov2 is None else None
    met = None
    if n1 == n2 and k.cov2 is not None and k.x1_is_x2 is not False:
        met = jnp.eye(n1, dtype=bool) & jnp.asarray(k.x1_is_x2)
    masks = [
        mask_of(m, s, k.batch_axis, k.channel_axis)
        for m, s in ((k.mask1, k.shape1), (k.mask2, k.shape2))
    ]
    if k.cov2 is None:
        masks[1] = masks[0]
    out = op(_state(k, k.nngp, k.ntk, own1, own2, masks, identical, met))
    cov2: Array | None
    if k.diagonal_batch:
        cov1, cov2 = _back(out.cov1, out, 1), _back(out.cov2, out, 1)
    else:
        cov1, cov2 = _all_pairs(k, op, own1, own2, masks)
    batch = changes.get("batch_axis", k.batch_axis)
    channel = changes.get("channel_axis", k.channel_axis)
    shapes = [
        _shape(n, out.spatial, shape[k.channel_axis], batch, channel)
        for n, shape in zip(out.nngp.shape[:2], (k.shape1, k.shape2), strict=True)
    ]
    return k.replace(
        **{
            "shape1": shapes[0],
            "shape2": shapes[1],
            "nngp": _back(out.nngp, out, 2),
            "ntk": None if k.ntk is None else _back(out.ntk, out, 2),
            "cov1": cov1,
            "cov2": None if k.cov2 is None else cov2,
            "is_gaussian": out.gaussian,
            "diagonal_spatial": not out.full if out.spatial else k.diagonal_spatial,
            "is_input": False,
            **changes,
        }
    )


def _shape(
    n: int, spatial: tuple[int, ...], channels: int, batch_axis: int, channel_axis: int
) -> tuple[int, ...]:
    rest = iter(spatial)
    sizes = {batch_axis: n, channel_axis: channels}
    return tuple(sizes[axis] if axis in sizes else next(rest) for axis in range(len(spatial) + 2))


def _all_pairs(
    k: Kernel, op: Op, own1: Array, own2: Array, masks: list[Any]
) -> tuple[Array, Array | None]:
    """Covariances of all pairs within either batch: kernels of the batch with itself."""
    found: list[Any] = []
    for side, cov, own, mask in ((1, k.cov1, own1, masks[0]), (2, k.cov2, own2, masks[1])):
        if cov is None:
            found.append(None)
            continue
        eye = jnp.eye(cov.shape[0], dtype=bool)
        out = op(_state(k, cov, None, own, own, [mask, mask], eye, None, (side, side)))
        found.append(_back(out.nngp, out, 2))
    return found[0], found[1]


def _state(  # noqa: PLR0913
    k: Kernel,
    nngp: Array,
    ntk: Any,
    own1: Array,
    own2: Array,
    masks: list[Any],
    same: Any,
    met: Any,
    sides: tuple[int, int] = (1, 2),
) -> State:
    spatial = spatial_of(k)
    full = not k.diagonal_spatial and spatial != ()

    def lay(cov: Array, lead: int) -> Array:
        if full and cov.ndim != lead + 2 * len(spatial):
            raise InputError(
                f"Kernel: covariance of shape {cov.shape}, but signals of shape {k.shape1} with "
                "diagonal_spatial=False have two axes per spatial one"
            )
        return together(cov, lead) if full else cov

    nngp = lay(nngp, 2)
    held = ntk is not None and jnp.ndim(ntk) > 0
    ntk = lay(ntk, 2) if held else jnp.zeros_like(nngp)
    return State(
        nngp=nngp,
        ntk=ntk,
        cov1=lay(own1, 1),
        cov2=lay(own2, 1),
        same=same,
        spatial=spatial,
        full=full,
        wanted=not k.diagonal_spatial,
        gaussian=k.is_gaussian,
        mask1=masks[0],
        mask2=masks[1],
        met=met,
        sides=sides,
    )


def _back(cov: Array, state: State, lead: int) -> Array:
    return interleaved(cov, lead) if state.full else cov


def _batch_diagonal(cov: Array) -> Array:
    return jnp.moveaxis(jnp.diagonal(cov, axis1=0, axis2=1), -1, 0)


def remasked(k: Kernel, mask1: Any, mask2: Any, *, zero: bool) -> Kernel:
    """The kernel with these masks, and zeros where a covariance is of what is masked."""
    k = k.replace(mask1=mask1, mask2=mask2)
    if not zero or (mask1 is None and mask2 is None):
        return k
    for mask in (mask1, mask2):
        if mask is not None and mask.shape[k.channel_axis] != 1:
            raise NotImplementedError(
                "masks that differ from channel to channel have no limit at infinite width; mask "
                "whole positions, or put a Dense or Conv first"
            )
    gaussian, is_input = k.is_gaussian, k.is_input
    return through(k, State.masked, is_gaussian=gaussian, is_input=is_input)


def permuted(state: State, order: tuple[int, ...]) -> State:
    """The spatial axes in another order."""
    dims = len(order)
    if order == tuple(range(dims)):
        return state

    def move(cov: Array, lead: int) -> Array:
        axes = [lead + axis for axis in order]
        if state.full:
            axes += [lead + dims + axis for axis in order]
        return cov.transpose(*range(lead), *axes)

    def move_mask(mask: Any) -> Any:
        return None if mask is None else mask.transpose(0, *(1 + axis for axis in order))

    return replace(
        state.linear(move, spatial=tuple(state.spatial[axis] for axis in order)),
        mask1=move_mask(state.mask1),
        mask2=move_mask(state.mask2),
    )


def on_positions(state: State, one_side: Callable[[Array, int], Array]) -> State:
    """A linear map of the spatial axes, `one_side(array, first spatial axis)`, on both positions.

    Where equal positions alone are held it has to select among them.
    """
    dims = len(state.spatial)

    def both(cov: Array, lead: int) -> Array:
        if not state.full:
            return one_side(cov, lead)
        cov = one_side(cov, lead + dims)
        moved = jnp.moveaxis(cov, range(lead, lead + dims), range(cov.ndim - dims, cov.ndim))
        moved = one_side(moved, moved.ndim - dims)
        after = moved.ndim - cov.ndim + dims
        return jnp.moveaxis(moved, range(moved.ndim - after, moved.ndim), range(lead, lead + after))

    trial = np.empty((1, *state.spatial), bool)
    shape = one_side(jnp.asarray(trial, float), 1).shape[1:]
    full = state.full and shape != ()
    return state.linear(both, spatial=shape, full=full)
