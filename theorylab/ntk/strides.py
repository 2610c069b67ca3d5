"""Operations that a CPU takes faster in another way: `apply`.

Convolutions in groups and pools are those of `taps`; the others are here.

The derivative with respect to the data of a convolution of stride k is a convolution of the
cotangent with k - 1 zeros between its entries: XLA multiplies by them, k^2 times the work. Entries
of the data whose distance is a multiple of k (a phase) only meet every k-th entry of the kernel: so
each phase is a small convolution of its own. And a convolution of few positions and many channels
runs at half of the rate of one matrix product whose results are shifted and added.
"""

import itertools
import math
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from theorylab.ntk import taps
from theorylab.ntk.graph import Op

# positions at most, and channels in times channels out at least, for a matrix product
_FEW, _MANY = 32, 1 << 14


def apply(op: Op, *inputs: Any) -> list[Any]:
    """`op(*inputs)`, with the faster of its forms, for data and for derivative.

    Derivatives are those of reverse mode only.
    """
    if _simple(op):
        return [_convolve(op.eqn.params)(*inputs)]
    if taps.in_groups(op):
        return [taps.grouped(op, _convolve)(*inputs)]
    return [taps.pool(op)(*inputs)] if taps.is_pool(op) else op(*inputs)


def _simple(op: Op) -> bool:
    if op.name != "conv_general_dilated":
        return False
    p = op.eqn.params
    plain = p["feature_group_count"] == p["batch_group_count"] == 1
    return plain and {*p["lhs_dilation"], *p["rhs_dilation"]} == {1}


def _convolve(params: dict[str, Any]) -> Any:
    """The convolution of these parameters, without groups."""

    def by_xla(x: Array, w: Array) -> Array:
        return lax.conv_general_dilated(x, w, **params)

    if {*params["lhs_dilation"], *params["rhs_dilation"]} != {1}:
        return by_xla

    def plain(x: Array, w: Array) -> Array:
        if max(params["window_strides"]) > 1:
            return by_xla(x, w)
        x, w = _canonical(params, x, w)
        out = _unstrided(x, w, list(params["padding"]), params)
        spec = params["dimension_numbers"].out_spec
        return jnp.moveaxis(out, range(out.ndim), (spec[0], *spec[2:], spec[1]))

    @jax.custom_vjp
    def convolve(x: Array, w: Array) -> Array:
        return plain(x, w)

    def forward(x: Array, w: Array) -> tuple[Array, tuple[Array, Array]]:
        return plain(x, w), (x, w)

    def backward(saved: tuple[Array, Array], ct: Array) -> tuple[Array, Array]:
        x, w = saved
        (of_kernel,) = jax.linear_transpose(lambda v: by_xla(x, v), w)(ct)
        return _by_phases(params, x.shape, w, ct), of_kernel

    convolve.defvjp(forward, backward)
    return convolve


def _canonical(params: dict[str, Any], x: Array, w: Array) -> tuple[Array, Array]:
    """Data as (n, space, c) and kernel as (space, c, o)."""
    numbers = params["dimension_numbers"]
    x = jnp.transpose(x, (numbers.lhs_spec[0], *numbers.lhs_spec[2:], numbers.lhs_spec[1]))
    return x, jnp.transpose(w, (*numbers.rhs_spec[2:], numbers.rhs_spec[1], numbers.rhs_spec[0]))


def _unstrided(x: Array, w: Array, padding: list[tuple[int, int]], params: dict[str, Any]) -> Array:
    """The convolution of (n, space, c) with (space, c, o), of stride 1, as (n, space, o)."""
    options = {key: params[key] for key in ("precision", "preferred_element_type")}
    kernel, (c, o) = w.shape[:-2], w.shape[-2:]
    sizes = [n + sum(p) - k + 1 for n, p, k in zip(x.shape[1:-1], padding, kernel, strict=True)]
    last, d = x.ndim - 1, len(kernel)
    if math.prod(sizes) > _FEW or c * o < _MANY:
        layout = lax.ConvDimensionNumbers(
            (0, last, *range(1, last)), (d + 1, d, *range(d)), (0, last, *range(1, last))
        )
        return lax.conv_general_dilated(
            x, w, (1,) * d, padding, dimension_numbers=layout, **options
        )
    everywhere = lax.dot_general(x, jnp.moveaxis(w, d, 0), (((last,), (0,)), ((), ())), **options)
    out = jnp.zeros((x.shape[0], *sizes, o), everywhere.dtype)
    for offset in itertools.product(*map(range, kernel)):
        new = everywhere[(slice(None),) * last + offset]
        starts = [low - i for (low, _), i in zip(padding, offset, strict=True)]
        moves = [
            (a, size - n - a, 0) for a, size, n in zip(starts, sizes, x.shape[1:-1], strict=True)
        ]
        out = out + lax.pad(new, jnp.zeros((), new.dtype), [(0, 0, 0), *moves, (0, 0, 0)])
    return out


def _by_phases(params: dict[str, Any], shape: tuple[int, ...], w: Array, ct: Array) -> Array:
    """The cotangent of the data."""
    numbers, strides = params["dimension_numbers"], params["window_strides"]
    # n, space, o
    ct = jnp.transpose(ct, (numbers.out_spec[0], *numbers.out_spec[2:], numbers.out_spec[1]))
    # space, o, c
    w = jnp.transpose(w, (*numbers.rhs_spec[2:], numbers.rhs_spec[0], numbers.rhs_spec[1]))
    space = [shape[i] for i in numbers.lhs_spec[2:]]
    # Entry low + j of the padded data, of phase (low + j) % s, is number (low + j) // s of its
    # phase.
    lows = [low for low, _ in params["padding"]]
    firsts = [low // s for low, s in zip(lows, strides, strict=True)]
    lengths = [
        -(-(low + n) // s) - t for low, n, s, t in zip(lows, space, strides, firsts, strict=True)
    ]
    d, phases = len(strides), []
    # phase i meets the kernel's entries i, i + s, ...
    for phase in itertools.product(*map(range, strides)):
        taps = w[tuple(slice(i, None, s) for i, s in zip(phase, strides, strict=True))]
        if 0 in taps.shape:
            phases.append(jnp.zeros((ct.shape[0], *lengths, w.shape[-1]), ct.dtype))
            continue
        sizes = zip(taps.shape[:d], firsts, lengths, ct.shape[1:-1], strict=True)
        padding = [(k - 1 - t, n - o + t) for k, t, n, o in sizes]
        phases.append(_unstrided(ct, jnp.flip(taps, range(d)), padding, params))
    whole = jnp.stack(phases, -2).reshape(*phases[0].shape[:-1], *strides, -1)  # n, space, phase, c
    order = itertools.chain.from_iterable((1 + i, 1 + d + i) for i in range(d))
    whole = whole.transpose(0, *order, 1 + 2 * d)
    whole = whole.reshape(ct.shape[0], *(n * s for n, s in zip(lengths, strides, strict=True)), -1)
    starts = [low - t * s for low, t, s in zip(lows, firsts, strides, strict=True)]
    cropped = [
        (-a, n + a - m * s, 0) for a, n, m, s in zip(starts, space, lengths, strides, strict=True)
    ]
    whole = lax.pad(whole, jnp.zeros((), whole.dtype), [(0, 0, 0), *cropped, (0, 0, 0)])
    return jnp.moveaxis(
        whole, range(whole.ndim), (numbers.lhs_spec[0], *numbers.lhs_spec[2:], numbers.lhs_spec[1])
    )
