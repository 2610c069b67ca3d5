"""Convolutions of few channels, in forms that fill a CPU's registers.

As products with wide matrices: along the last axis of an image a convolution is written as a dense
matrix, along the first it stays one. It multiplies by many zeros, and is two to three times as fast
on a CPU where a kernel has few input channels or a stride, whose own loops are short.

In pairs: where a kernel has few output channels, one that is wider makes those of neighbouring
columns at once, as many as a register holds. Of 8 channels, two columns by a 3 x 4 kernel in place
of 3 x 3 are 4/3 of the products at 2.3 times the rate, so 1.7 times as fast.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from theorylab.robustness.steps import Line, Mode

WIDEST = 512  # entries of a row of an image, channels included
FEW = 4  # channels
LANES = 16  # float32 numbers in a register


def weight(mode: Mode, value: Any) -> Any:
    """A weight in this mode."""
    if mode == "absolute":
        return jnp.abs(value)
    return jnp.square(value) if mode == "square" else value


def wide_convolution(
    line: Line, *, transposes: bool = False
) -> Callable[[Mode, Sequence[Any], Callable[[Any], Any]], Array] | None:
    """The same map as the convolution of an image, or None where it would be no faster.

    It is no faster on other devices than a CPU, with many channels, on large images. `transposes`:
    in a form that `jax.linear_transpose` takes, whose gradients by the kernel are slow.
    """
    if not _widens(line):
        return None
    params = line.op.eqn.params
    spec = params["dimension_numbers"]
    wide = line.op.eqn.outvars[0].aval.shape[spec.out_spec[3]]  # type: ignore[attr-defined]

    def apply(mode: Mode, data: Sequence[Any], value: Callable[[Any], Any]) -> Array:
        kernel = jnp.transpose(
            weight(mode, value(line.inputs[1])), _order(spec.rhs_spec, (2, 3, 1, 0))
        )
        matrix = _matrices(kernel, line)
        image = jnp.transpose(data[0], _order(spec.lhs_spec, (0, 2, 3, 1)))
        rows = (rows_of if transposes else by_rows)(
            image.reshape(*image.shape[:2], -1),
            matrix,
            Along(params["window_strides"][0], 1, params["padding"][0], params["precision"]),
        )
        result = rows.reshape(*rows.shape[:2], wide, -1)
        return jnp.transpose(
            result, tuple(np.argsort(_order(spec.out_spec, (0, 2, 3, 1))).tolist())
        )

    return apply


def paired_convolution(
    line: Line,
) -> Callable[[Mode, Sequence[Any], Callable[[Any], Any]], Array] | None:
    """The same map as the convolution of an image, neighbouring columns at once.

    None where that would be no faster: on other devices than a CPU, with many channels, with a
    stride.
    """
    if not _plain(line) or line.op.eqn.params["window_strides"] != (1, 1):
        return None
    params = line.op.eqn.params
    spec = params["dimension_numbers"]
    out = line.op.eqn.outvars[0].aval.shape  # type: ignore[attr-defined]
    if _columns(out[spec.out_spec[1]], out[spec.out_spec[3]]) < 2:
        return None

    def apply(mode: Mode, data: Sequence[Any], value: Callable[[Any], Any]) -> Array:
        kernel = weight(mode, value(line.inputs[1]))
        found = together(
            jnp.transpose(data[0], _order(spec.lhs_spec, (0, 2, 3, 1))),
            jnp.transpose(kernel, _order(spec.rhs_spec, (2, 3, 1, 0))),
            tuple(params["padding"]),
            params["precision"],
        )
        return jnp.transpose(found, np.argsort(_order(spec.out_spec, (0, 2, 3, 1))).tolist())

    return apply


def _columns(channels: int, width: int) -> int:
    """Columns made at once of a result of so many channels: 1 for a convolution as it is."""
    if jax.default_backend() != "cpu":
        return 1
    return max(1, min(LANES // channels, width))


class Along(NamedTuple):
    """How a kernel passes along the rows of an image.

    In steps of so many rows, between whose rows of data there are `dilation` - 1 of zeros.
    """

    stride: int
    dilation: int
    padding: tuple[int, int]
    precision: Any


def rows_of(given: Array, matrix: Array, along: Along) -> Array:
    """The convolution of rows (n, rows, in) with (taps, in, out)."""
    return jax.lax.conv_general_dilated(
        given,
        matrix,
        (along.stride,),
        [along.padding],
        lhs_dilation=(along.dilation,),
        dimension_numbers=("NHC", "HIO", "NHC"),
        precision=along.precision,
    )


@partial(jax.custom_jvp, nondiff_argnums=(2,))
def by_rows(given: Array, matrix: Array, along: Along) -> Array:
    """`rows_of` with a derivative by the matrix that is a product of matrices.

    So is that derivative's transpose. The one that JAX makes has dilated kernels, which XLA takes
    by loops of its own, 20 to 40 times as slow.
    """
    return rows_of(given, matrix, along)


def _by_rows_derivative(along: Along, at: Any, tangents: Any) -> tuple[Array, Any]:
    (given, matrix), (by_given, by_matrix) = at, tangents
    found, parts = rows_of(given, matrix, along), list[Array]()
    if not _vanishes(by_given):
        parts.append(rows_of(by_given, matrix, along))
    if not _vanishes(by_matrix):
        parts.append(_by_taps(given, by_matrix, along, found.shape[1]))
    return found, sum(parts[1:], parts[0]) if parts else jnp.zeros_like(found)


by_rows.defjvp(_by_rows_derivative, symbolic_zeros=True)


def _by_taps(given: Array, matrix: Array, along: Along, made: int) -> Array:
    """`rows_of` with `made` rows, as products.

    `jax.lax.split` is what transposes to one concatenation; other ways to take parts transpose to
    sums of padded arrays.
    """
    taps, rows, (before, _) = len(matrix), given.shape[1], along.padding
    # result y meets data row i by tap t where stride * y + t = dilation * i + padding
    if along.dilation == 1:
        padded = _padded(given, (before, taps + along.stride * made))
        parts = [
            _product(
                jax.lax.slice_in_dim(
                    padded, t, t + (made - 1) * along.stride + 1, along.stride, axis=1
                ),
                tap[0].T,
                along.precision,
            )
            for t, tap in enumerate(jax.lax.split(matrix, (1,) * taps))
        ]
        return sum(parts[1:], parts[0])
    side_by_side = jnp.swapaxes(matrix, 1, 2).reshape(-1, matrix.shape[1])
    wide = _product(given, side_by_side, along.precision)
    parts = []
    for t, part in enumerate(jax.lax.split(wide, (matrix.shape[2],) * taps, 2)):
        end = made - (before - t) - (rows - 1) * along.dilation - 1
        parts.append(_padded(part, (before - t, end), apart=along.dilation))
    return sum(parts[1:], parts[0])


@partial(jax.custom_jvp, nondiff_argnums=(2, 3))
def together(given: Array, kernel: Array, padding: Any, precision: Any) -> Array:
    """The convolution of (n, rows, columns, in) with (h, w, in, out), stride 1.

    Some columns of the result at once; its derivatives transpose to convolutions and products of
    the same kind.
    """
    return _together(given, kernel, padding, precision)


def _together(given: Array, kernel: Array, padding: Any, precision: Any) -> Array:
    (top, bottom), (left, right) = padding
    taps, out = kernel.shape[1], kernel.shape[3]
    made = given.shape[2] + left + right - taps + 1
    many = _columns(out, made)
    blocks = -(-made // many)
    found = jax.lax.conv_general_dilated(
        given,
        _side_by_side(kernel, many),
        (1, many),
        [(top, bottom), (left, right + blocks * many - made)],
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        precision=precision,
    )
    return found.reshape(*found.shape[:2], -1, out)[:, :, :made]


def _side_by_side(kernel: Array, many: int) -> Array:
    """(h, w + many - 1, in, many * out): a kernel that makes `many` neighbouring columns."""
    high, taps, into, out = kernel.shape
    shifted = [jnp.pad(kernel, ((0, 0), (b, many - 1 - b), (0, 0), (0, 0))) for b in range(many)]
    return jnp.stack(shifted, 3).reshape(high, taps + many - 1, into, many * out)


def _together_derivative(
    padding: Any, precision: Any, at: Any, tangents: Any
) -> tuple[Array, Array]:
    (given, kernel), (by_given, by_kernel) = at, tangents
    found, parts = _together(given, kernel, padding, precision), list[Array]()
    if not _vanishes(by_given):
        reverse = tuple(
            (k - 1 - before, k - 1 - after)
            for k, (before, after) in zip(kernel.shape[:2], padding, strict=True)
        )

        def back(cotangent: Array) -> Array:
            return _together(cotangent, _turned(kernel), reverse, precision)

        # the transpose of this transpose is `back` again, columns at once
        parts += jax.linear_transpose(back, found)(by_given)
    if not _vanishes(by_kernel):
        parts.append(_by_windows(given, by_kernel, padding, precision))
    return found, sum(parts[1:], parts[0]) if parts else jnp.zeros_like(found)


together.defjvp(_together_derivative, symbolic_zeros=True)


def _by_windows(given: Array, kernel: Array, padding: Any, precision: Any) -> Array:
    """`together` as one product of windows of neighbouring columns with the kernel's rows.

    The windows lie side by side so that the product is not too narrow.
    """
    (top, bottom), (left, right) = padding
    high, taps, into, out = kernel.shape
    rows = given.shape[1] + top + bottom - high + 1
    made, many = given.shape[2] + left + right - taps + 1, max(1, LANES // out)
    blocks, span = -(-made // many), taps + many - 1
    image = _padded(given, (top, bottom), (left, right + blocks * many - made))
    last = (blocks - 1) * many + 1
    columns = [jax.lax.slice_in_dim(image, c, c + last, many, axis=2) for c in range(span)]
    windows = jnp.concatenate(columns, -1)
    matrix = jnp.moveaxis(_side_by_side(kernel, many), 0, 2).reshape(span * into, -1)
    # under `jax.vmap` each sample has its own copy of this narrow matrix, by a factor of 1 that
    # only looks as if it depended on the data: the transpose is then a product a sample, and their
    # sum; one that sums over samples and positions at once has its factors copied first
    one = jnp.ones((), matrix.dtype)
    own = matrix * jax.lax.select(given[0, 0, 0, 0] > 0, one, one)
    wide = jnp.matmul(windows.reshape(-1, span * into), own, precision=precision)
    wide = wide.reshape(*windows.shape[:-1], -1)
    # each of the kernel's rows moves its part; see `_by_taps` on the split
    parts = [
        jax.lax.slice_in_dim(part, t, t + rows, axis=1)
        for t, part in enumerate(jax.lax.split(wide, (many * out,) * high, 3))
    ]
    found = sum(parts[1:], parts[0])
    return found.reshape(*found.shape[:2], -1, out)[:, :, :made]


def _product(data: Array, matrix: Array, precision: Any) -> Array:
    """Data (..., k) by matrix (m, k).

    The matrix comes first, since the product that JAX makes of it when it transposes by the matrix
    then takes both of its factors as they lie in memory.
    """
    axes = ((1,), (data.ndim - 1,)), ((), ())
    return jnp.moveaxis(jax.lax.dot_general(matrix, data, axes, precision=precision), 0, -1)


def _vanishes(tangent: Any) -> bool:
    return isinstance(tangent, jax.custom_derivatives.SymbolicZero)


def _padded(data: Array, *padding: tuple[int, int], apart: int = 1) -> Array:
    """Zeros around, or entries left out, along the axes after the first.

    With zeros between, so that entries are `apart` along them.
    """
    rest = data.ndim - 1 - len(padding)
    sides = [(0, 0, 0), *((a, b, apart - 1) for a, b in padding), *[(0, 0, 0)] * rest]
    return jax.lax.pad(data, jnp.zeros((), data.dtype), sides)


def _turned(kernel: Array) -> Array:
    """The kernel of the transposed convolution: (..., in, out), its taps in the other order."""
    return jnp.swapaxes(jnp.flip(kernel, tuple(range(kernel.ndim - 2))), -1, -2)


def backward_convolution(line: Line) -> Callable[[Array, Callable[[Any], Any]], Array] | None:
    """Rows of the output of the convolution of an image, moved to its input.

    (r, *shape) and constants -> (r, *shape). None for what is no plain convolution.

    The same as the transpose that JAX makes, with data and kernel in the order of axes that XLA's
    convolutions for a CPU want: inside of a loop XLA leaves another order as it is, and is two to
    five times as slow.
    """
    params = line.op.eqn.params
    x = line.op.eqn.invars[0].aval.shape  # type: ignore[attr-defined]
    out = line.op.eqn.outvars[0].aval.shape  # type: ignore[attr-defined]
    if not _plain(line):
        return None
    spec, strides = params["dimension_numbers"], params["window_strides"]
    image, result = (_order(s, (0, 2, 3, 1)) for s in (spec.lhs_spec, spec.out_spec))
    if image[0] or result[0] or x[0] != 1:
        return None
    size, made, wide = [x[i] for i in image], [out[i] for i in result], _widens(line)

    def move(rows: Array, value: Callable[[Any], Any]) -> Array:
        given = jnp.transpose(rows.reshape(-1, *out[1:]), result)
        kernel = jnp.transpose(value(line.inputs[1]), _order(spec.rhs_spec, (2, 3, 1, 0)))
        if wide:
            kernel = _matrices(kernel, line)
            given = given.reshape(*given.shape[:2], -1)
        padding = tuple(
            (k - 1 - before, n - (m - 1) * s - 1 + before)
            for k, n, m, s, (before, _) in zip(
                kernel.shape[:-2], size[1:], made[1:], strides, params["padding"], strict=False
            )
        )
        turned = _turned(kernel)
        if wide:
            along = Along(1, strides[0], padding[0], params["precision"])
            found = by_rows(given, turned, along)
        elif strides == (1, 1) and _columns(size[-1], size[2]) > 1:
            found = together(given, turned, padding, params["precision"])
        else:
            found = jax.lax.conv_general_dilated(
                given,
                turned,
                (1, 1),
                padding,
                lhs_dilation=strides,
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
                precision=params["precision"],
            )
        found = jnp.transpose(found.reshape(-1, *size[1:]), tuple(np.argsort(image).tolist()))
        return found.reshape(len(rows), *x)

    return move


def _plain(line: Line) -> bool:
    """Whether a convolution is one of an image without dilation or groups."""
    params = line.op.eqn.params
    return (
        len(params["window_strides"]) == 2
        and params["lhs_dilation"] == params["rhs_dilation"] == (1, 1)
        and params["feature_group_count"] == params["batch_group_count"] == 1
    )


def _widens(line: Line) -> bool:
    """Whether the wide form of a convolution is faster for hundreds of rows, on this device."""
    if jax.default_backend() != "cpu" or not _plain(line):
        return False
    params = line.op.eqn.params
    spec = params["dimension_numbers"]
    x = line.op.eqn.invars[0].aval.shape  # type: ignore[attr-defined]
    out = line.op.eqn.outvars[0].aval.shape  # type: ignore[attr-defined]
    largest = max(
        x[spec.lhs_spec[1]] * x[spec.lhs_spec[3]], out[spec.out_spec[1]] * out[spec.out_spec[3]]
    )
    few = few_channels(line) or params["window_strides"][1] > 1
    return few and largest <= WIDEST


def _matrices(kernel: Array, line: Line) -> Array:
    """The kernel (h, w, in, out) with each of its rows as a matrix.

    (rows of the kernel, width * channels of the image, width * channels of the result).
    """
    params = line.op.eqn.params
    spec = params["dimension_numbers"]
    width = line.op.eqn.invars[0].aval.shape[spec.lhs_spec[3]]  # type: ignore[attr-defined]
    wide = line.op.eqn.outvars[0].aval.shape[spec.out_spec[3]]  # type: ignore[attr-defined]
    places = _places(
        kernel.shape[1], width, wide, params["window_strides"][1], params["padding"][1][0]
    )
    matrix = jnp.einsum("hkio,kxy->hxiyo", kernel, places.astype(kernel.dtype))
    return matrix.reshape(len(kernel), width * kernel.shape[2], -1)


def few_channels(line: Line) -> bool:
    """Whether a convolution reads so few channels that its wide form is faster for batches too."""
    x = line.op.eqn.invars[0].aval.shape  # type: ignore[attr-defined]
    return x[line.op.eqn.params["dimension_numbers"].lhs_spec[1]] <= FEW


def _order(spec: Sequence[int], wanted: Sequence[int]) -> tuple[int, ...]:
    """An array's axes in the wanted order; `spec`: where batch, channels, rows, columns are."""
    return tuple(spec[i] for i in wanted)


def _places(taps: int, width: int, wide: int, stride: int, padding: int) -> np.ndarray:
    """(taps, width, wide): whether output column y reads input column x by this tap."""
    tap, x, y = np.ogrid[:taps, :width, :wide]
    return x == y * stride + tap - padding
