"""Windows taken offset by offset: grouped convolutions and pools, as a CPU takes them faster.

XLA's CPU backend runs convolutions in groups, and the derivative of a maximum over windows, one
number at a time: 5 to 30 times slower than the same sum over the window's offsets (taps), each a
slice of the padded data, which it fuses into one loop over all channels. Where a group has many
channels, it becomes a convolution of its own.
"""

import functools
import itertools
import math
import operator
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

from theorylab.ntk.graph import Op

TERMS = 128  # terms of a sum at most that one loop takes well
_POOLS = {"reduce_window_max": lax.max, "reduce_window_sum": lax.add}


# Windows of padded data
# ---------------------------------------------------------------------------------------------


def _slices(
    kernel: tuple[int, ...], out: tuple[int, ...], strides: Any, dilation: Any
) -> Iterator[tuple[tuple[int, ...], tuple[slice, ...]]]:
    """Of every offset of a window: its place, and the slice of the padded space that it meets."""
    for offset in itertools.product(*map(range, kernel)):
        sizes = zip(offset, out, strides, dilation, strict=True)
        yield offset, tuple(slice(o * d, o * d + (n - 1) * s + 1, s) for o, n, s, d in sizes)


def _padded(x: Array, value: Any, padding: list[tuple[int, int]], first: int = 0) -> Array:
    """The array with its axes from `first` on padded."""
    rest = x.ndim - first - len(padding)
    widths = [(0, 0)] * first + list(padding) + [(0, 0)] * rest
    return lax.pad(x, jnp.asarray(value, x.dtype), [(low, high, 0) for low, high in widths])


# Convolutions in groups
# ---------------------------------------------------------------------------------------------


def in_groups(op: Op) -> bool:
    """Whether this is a convolution in groups of channels, of data that are not dilated."""
    p = op.eqn.params
    return (
        op.name == "conv_general_dilated"
        and p["feature_group_count"] > 1
        and p["batch_group_count"] == 1
        and set(p["lhs_dilation"]) == {1}
    )


def grouped(op: Op, apart: Callable[[dict[str, Any]], Callable]) -> Callable[[Array, Array], Array]:
    """The convolution: by taps where groups are small, else `apart`, group by group."""
    params = op.eqn.params
    avals: list[Any] = [atom.aval for atom in op.eqn.invars]
    shapes = [aval.shape for aval in avals]
    spec = params["dimension_numbers"].rhs_spec
    window = math.prod(shapes[1][i] for i in spec[2:])
    inputs = shapes[1][spec[1]]
    outputs = shapes[1][spec[0]] // params["feature_group_count"]
    if window * max(inputs, outputs) <= TERMS:
        return _by_taps(params)
    return _group_by_group(params, apart)


def _group_by_group(params: dict[str, Any], apart: Callable) -> Callable[[Array, Array], Array]:
    groups, numbers = params["feature_group_count"], params["dimension_numbers"]
    one = apart({**params, "feature_group_count": 1})

    def convolve(x: Array, w: Array) -> Array:
        parts = zip(
            jnp.split(x, groups, numbers.lhs_spec[1]),
            jnp.split(w, groups, numbers.rhs_spec[0]),
            strict=True,
        )
        return jnp.concatenate([one(*part) for part in parts], numbers.out_spec[1])

    return convolve


def _by_taps(params: dict[str, Any]) -> Callable[[Array, Array], Array]:
    groups, numbers = params["feature_group_count"], params["dimension_numbers"]
    strides, dilation = params["window_strides"], params["rhs_dilation"]
    padding, d = list(params["padding"]), len(params["window_strides"])

    def convolve(x: Array, w: Array) -> Array:
        x, w = canonical_data(numbers, groups, x), _canonical_kernel(numbers, groups, w)
        sizes = zip(x.shape[1 : 1 + d], padding, w.shape, dilation, strides, strict=False)
        out = tuple((n + sum(p) - k_ * (k - 1) - 1) // s + 1 for n, p, k, k_, s in sizes)
        kind = params["preferred_element_type"] or jnp.result_type(x, w)
        y = _sum_of_taps(x, w, padding, out, strides, dilation)
        y = y.reshape(*y.shape[: 1 + d], -1).astype(kind)
        order = numbers.out_spec
        return jnp.moveaxis(y, range(y.ndim), (order[0], *order[2:], order[1]))

    @jax.custom_vjp
    def convolution(x: Array, w: Array) -> Array:
        return convolve(x, w)

    def forward(x: Array, w: Array) -> tuple[Array, tuple[Array, Array]]:
        return convolve(x, w), (x, w)

    def backward(saved: tuple[Array, Array], ct: Array) -> tuple[Array, Array]:
        x, w = saved
        of_data = _data_cotangent(params, x.shape, w, ct).astype(x.dtype)
        g = weight_gradient(params, w.shape)(x, ct)
        return of_data, g.astype(w.dtype)

    convolution.defvjp(forward, backward)
    return convolution


def canonical_data(numbers: Any, groups: int, x: Array) -> Array:
    """Data as (n, space, groups, channels of a group)."""
    x = jnp.transpose(x, (numbers.lhs_spec[0], *numbers.lhs_spec[2:], numbers.lhs_spec[1]))
    return x.reshape(*x.shape[:-1], groups, -1)


def _canonical_result(numbers: Any, groups: int, y: Array) -> Array:
    """What a convolution gives as (n, space, groups, features of a group)."""
    y = jnp.transpose(y, (numbers.out_spec[0], *numbers.out_spec[2:], numbers.out_spec[1]))
    return y.reshape(*y.shape[:-1], groups, -1)


def _canonical_kernel(numbers: Any, groups: int, w: Array) -> Array:
    """The kernel as (space, channels, groups, features of a group)."""
    w = jnp.transpose(w, (*numbers.rhs_spec[2:], numbers.rhs_spec[1], numbers.rhs_spec[0]))
    return w.reshape(*w.shape[:-1], groups, -1)


def _sum_of_taps(
    x: Array, w: Array, padding: Any, out: tuple[int, ...], strides: Any, dilation: Any
) -> Array:
    """(n, space, g, c) with (space, c, g, o) as (n, out, g, o)."""
    d, features = len(out), w.shape[-1]
    x, terms = _padded(x, 0, padding, 1), []
    # an axis of one feature would keep the loops from running over groups
    w = w[..., 0] if features == 1 else w
    for offset, where in _slices(w.shape[:d], out, strides, dilation):
        part = x[(slice(None), *where)]
        for channel in range(x.shape[-1]):
            data = part[..., channel] if features == 1 else part[..., channel, None]
            terms.append(data * w[(*offset, channel)])
    total = functools.reduce(operator.add, terms)
    return total[..., None] if features == 1 else total


def _data_cotangent(params: dict[str, Any], shape: tuple[int, ...], w: Array, ct: Array) -> Array:
    """The cotangent of the data: taps of the cotangent, with zeros between its entries."""
    groups, numbers = params["feature_group_count"], params["dimension_numbers"]
    strides, dilation = params["window_strides"], params["rhs_dilation"]
    d = len(strides)
    ct, w = _canonical_result(numbers, groups, ct), _canonical_kernel(numbers, groups, w)
    zero = jnp.zeros((), ct.dtype)
    if max(strides) > 1:
        between = [(0, 0, s - 1) for s in strides]
        ct = lax.pad(ct, zero, [(0, 0, 0), *between, (0, 0, 0), (0, 0, 0)])
    flipped = jnp.swapaxes(jnp.flip(w, range(d)), d, -1)  # space, o, g, c
    space = tuple(shape[i] for i in numbers.lhs_spec[2:])
    reach = [(k - 1) * k_ for k, k_ in zip(w.shape[:d], dilation, strict=True)]
    lows = [r - low for r, (low, _) in zip(reach, params["padding"], strict=True)]
    sizes = zip(space, lows, reach, ct.shape[1:], strict=False)
    padding = [(low, n + r - m - low) for n, low, r, m in sizes]
    x = _sum_of_taps(ct, flipped, padding, space, (1,) * d, dilation)
    x = x.reshape(*x.shape[: 1 + d], -1)
    order = numbers.lhs_spec
    return jnp.moveaxis(x, range(x.ndim), (order[0], *order[2:], order[1]))


def weight_gradient(params: dict[str, Any], shape: tuple[int, ...]) -> Callable:
    """The gradient of a grouped kernel of this shape, of data and cotangent of the result."""
    numbers = params["dimension_numbers"]
    order = (*numbers.rhs_spec[2:], numbers.rhs_spec[1], numbers.rhs_spec[0])
    sizes = [shape[i] for i in order]

    def gradient(x: Array, ct: Array) -> Array:
        taps = tap_products(params, x, ct, tuple(sizes[:-2]))
        g = jnp.stack(taps).reshape(sizes)
        return jnp.moveaxis(g, range(g.ndim), order)

    return gradient


def tap_products(
    params: dict[str, Any], x: Array, ct: Array, kernel: tuple[int, ...]
) -> list[Array]:
    """The sums over positions of data times cotangent, (groups, features of a group) each.

    They are those of all offsets and channels, channels last.
    """
    groups, numbers = params["feature_group_count"], params["dimension_numbers"]
    x, ct = canonical_data(numbers, groups, x), _canonical_result(numbers, groups, ct)
    x, d = _padded(x, 0, list(params["padding"]), 1), len(kernel)
    axes, strides, alone = tuple(range(1 + d)), params["window_strides"], ct.shape[-1] == 1
    ct = ct[..., 0] if alone else ct
    sums = [
        jnp.sum((part[..., channel] if alone else part[..., channel, None]) * ct, axes)
        for _, where in _slices(kernel, ct.shape[1 : 1 + d], strides, params["rhs_dilation"])
        for part in [x[(slice(None), *where)]]
        for channel in range(x.shape[-1])
    ]
    return [total[..., None] for total in sums] if alone else sums


# Pools
# ---------------------------------------------------------------------------------------------


def is_pool(op: Op) -> bool:
    """Whether this is a sum or a maximum over small windows of numbers."""
    p = op.eqn.params
    if op.name not in _POOLS:
        return False
    aval: Any = op.eqn.invars[0].aval
    return (
        1 < math.prod(p["window_dimensions"]) <= TERMS
        and set(p["base_dilation"]) == {1}
        and min(min(pair) for pair in p["padding"]) >= 0
        and jnp.issubdtype(aval.dtype, jnp.floating)
    )


def pool(op: Op) -> Callable[[Array], Array]:
    """The pool, by the offsets of its windows."""
    params, largest = op.eqn.params, op.name == "reduce_window_max"
    aval: Any = op.eqn.outvars[0].aval
    before: Any = op.eqn.invars[0].aval
    strides = params["window_strides"]
    found = _slices(params["window_dimensions"], aval.shape, strides, params["window_dilation"])
    places = [where for _, where in found]
    padding = list(params["padding"])

    def parts(x: Array) -> list[Array]:
        x = _padded(x, -np.inf if largest else 0, padding)
        return [x[where] for where in places]

    def pooled(x: Array) -> Array:
        total, *rest = parts(x)
        for part in rest:
            total = _POOLS[op.name](total, part)
        return total

    def forward(x: Array) -> tuple[Array, Array | None]:
        if not largest:
            return pooled(x), None
        first, *rest = parts(x)
        most, at = first, jnp.zeros(first.shape, jnp.int32)  # of equal ones the first counts
        for number, part in enumerate(rest, 1):
            at, most = jnp.where(part > most, number, at), lax.max(most, part)
        return most, at

    def backward(at: Array | None, ct: Array) -> tuple[Array]:
        whole = [n + sum(pair) for n, pair in zip(before.shape, padding, strict=True)]
        total, zero = jnp.zeros(whole, ct.dtype), jnp.zeros((), ct.dtype)
        for number, where in enumerate(places):
            part = ct if at is None else jnp.where(at == number, ct, zero)
            edges = [(s.start, n - s.stop, s.step - 1) for s, n in zip(where, whole, strict=True)]
            total = total + lax.pad(part, zero, edges)
        inner = zip(before.shape, padding, strict=True)
        return (total[tuple(slice(low, low + n) for n, (low, _) in inner)],)

    pool_ = jax.custom_vjp(pooled)
    pool_.defvjp(forward, backward)
    return pool_
