"""Strided convolutions whose derivative on CPU does not multiply by zeros.

The derivative with respect to the data of a convolution of stride k is a convolution of the cotangent with k - 1 zeros
between its entries: on CPUs XLA multiplies by them, k^2 times the work. Entries of the data whose distance is a
multiple of k (a phase) only meet every k-th entry of the kernel: so each phase is a small convolution of its own.
"""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from theorylab.ntk.graph import Op


def apply(op: Op, *inputs: Any) -> list[Any]:
    """`op(*inputs)`; a strided convolution with a derivative by phases (reverse mode only)."""
    return [_convolve(op)(*inputs)] if _strided(op) else op(*inputs)


def _strided(op: Op) -> bool:
    if op.name != "conv_general_dilated":
        return False
    p = op.eqn.params
    plain = p["feature_group_count"] == p["batch_group_count"] == 1
    return plain and {*p["lhs_dilation"], *p["rhs_dilation"]} == {1} and max(p["window_strides"]) > 1


def _convolve(op: Op) -> Any:
    @jax.custom_vjp
    def convolve(x: Array, w: Array) -> Array:
        return op(x, w)[0]

    def forward(x: Array, w: Array) -> tuple[Array, tuple[Array, Array]]:
        return op(x, w)[0], (x, w)

    def backward(saved: tuple[Array, Array], ct: Array) -> tuple[Array, Array]:
        x, w = saved
        return _by_phases(op.eqn.params, x.shape, w, ct), jax.linear_transpose(lambda v: op(x, v)[0], w)(ct)[0]

    convolve.defvjp(forward, backward)
    return convolve


def _by_phases(params: dict[str, Any], shape: tuple[int, ...], w: Array, ct: Array) -> Array:
    """The cotangent of the data."""
    numbers, strides = params["dimension_numbers"], params["window_strides"]
    ct = jnp.transpose(ct, (numbers.out_spec[0], *numbers.out_spec[2:], numbers.out_spec[1]))  # n, space, o
    w = jnp.transpose(w, (*numbers.rhs_spec[2:], numbers.rhs_spec[0], numbers.rhs_spec[1]))  # space, o, c
    space = [shape[i] for i in numbers.lhs_spec[2:]]
    # The padded data has `lengths` entries of every phase, and phase i meets the kernel's entries i, i + k, ...
    lengths = [o + -(-k // s) - 1 for o, k, s in zip(ct.shape[1:-1], w.shape[:-2], strides, strict=True)]
    last, d = ct.ndim - 1, len(strides)
    layout = lax.ConvDimensionNumbers((0, last, *range(1, last)), (last, d, *range(d)), (0, last, *range(1, last)))
    phases = []
    for phase in itertools.product(*map(range, strides)):
        taps = w[tuple(slice(i, None, s) for i, s in zip(phase, strides, strict=True))]
        if 0 in taps.shape:
            phases.append(jnp.zeros((ct.shape[0], *lengths, w.shape[-1]), ct.dtype))
            continue
        padding = [(k - 1, n - o) for k, n, o in zip(taps.shape, lengths, ct.shape[1:-1], strict=False)]
        options = {key: params[key] for key in ("precision", "preferred_element_type")}
        flipped = jnp.flip(taps, range(d))
        phases.append(lax.conv_general_dilated(ct, flipped, (1,) * d, padding, dimension_numbers=layout, **options))
    whole = jnp.stack(phases, -2).reshape(*phases[0].shape[:-1], *strides, -1)  # n, space, phase, c
    order = itertools.chain.from_iterable((1 + i, 1 + d + i) for i in range(d))
    whole = whole.transpose(0, *order, 1 + 2 * d)
    whole = whole.reshape(ct.shape[0], *(n * s for n, s in zip(lengths, strides, strict=True)), -1)
    known = zip(params["padding"], space, lengths, strides, strict=True)
    cropped = [(-low, size + low - n * s, 0) for (low, _), size, n, s in known]
    whole = lax.pad(whole, jnp.zeros((), whole.dtype), [(0, 0, 0), *cropped, (0, 0, 0)])
    return jnp.moveaxis(whole, range(whole.ndim), (numbers.lhs_spec[0], *numbers.lhs_spec[2:], numbers.lhs_spec[1]))
