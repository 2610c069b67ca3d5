"""Where a parameter meets data: what an operation contributes to its parameter's gradient.

Every supported operation is brought to one canonical form. With the weight as (b, c, f), the data
as (b, s, c) and the cotangent of the operation's output as (b, s, f), the gradient of the weight is
sum over s of data x cotangent:

    dense       b: shared batch axes,  s: positions,          c: contracted axes,      f: free axes
    of the weight
    convolution b: feature groups,     s: output positions,   c: window x channels,    f: output
    channels of the group
    embedding   b: 1,                  s: looked-up tokens,   c: vocabulary (one-hot), f: features
"""

import itertools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

from theorylab.ntk import taps
from theorylab.ntk.graph import Op

Shaped = jax.ShapeDtypeStruct


class Windows(NamedTuple):
    """The data of a convolution before its windows are laid out.

    The columns of each offset are a slice of it.
    """

    whole: Callable[..., Array]  # the operation's other inputs -> (batch, *padded space, channels)
    # one an offset, in the order of the columns; each gives (batch, *space, channels)
    slices: list[tuple[slice, ...]]


class Rule(NamedTuple):
    """The canonical form of one operation.

    It holds the sizes, functions that rearrange the operation's data, cotangent and weight, and
    what sets this kind of operation apart. Who uses a rule asks for these fields, never for the
    name.
    """

    kind: str  # a name, for tables
    data: Callable[..., Array]  # the operation's other inputs -> (b, s, c), or (b, s) of a look-up
    cotangent: Callable[[Array], Array]  # -> (b, s, f)
    weight: Callable[[Any], Any]  # -> (b, c, f)
    sizes: tuple[int, int, int, int]  # b, s, c, f
    # ungrouped convolutions: a form of `data` that takes less memory
    windows: Windows | None = None
    # data are numbers of rows, -1 for none: whole numbers that stand for one-hot vectors of c
    lookup: bool = False
    # of small groups: the gradient (c b f), of data and cotangent as the operation has them
    direct: Callable[[Array, Array], Array] | None = None

    @property
    def takes_bias(self) -> bool:
        """Whether what is added to the result can be one more entry of c, of data 1."""
        return self.sizes[0] == 1 and not self.lookup


def rule_for(op: Op, position: int, shapes: list[Shaped]) -> Rule | None:
    """The rule of `op` with its weight at input `position`, or None where there is none."""
    build = _RULES.get(op.name)
    return build(op.eqn.params, position, shapes, op.eqn.outvars[0].aval) if build else None


def _dense(params: dict[str, Any], position: int, shapes: list[Shaped], out: Any) -> Rule:
    contract, batch = params["dimension_numbers"]
    weight, data = shapes[position], shapes[1 - position]
    wc, xc, wb, xb = (
        contract[position],
        contract[1 - position],
        batch[position],
        batch[1 - position],
    )
    wf = [i for i in range(weight.ndim) if i not in (*wc, *wb)]
    xs = [i for i in range(data.ndim) if i not in (*xc, *xb)]
    b, c, f = (math.prod(weight.shape[i] for i in axes) for axes in (wb, wc, wf))
    s = math.prod(data.shape[i] for i in xs)

    def cotangent(ct: Array) -> Array:
        return ct.reshape(b, s, f) if position == 1 else ct.reshape(b, f, s).swapaxes(1, 2)

    return Rule(
        "dense",
        lambda x: x.transpose(*xb, *xs, *xc).reshape(b, s, c),
        cotangent,
        lambda w: w.transpose(*wb, *wc, *wf).reshape(b, c, f),
        (b, s, c, f),
    )


def _conv(params: dict[str, Any], position: int, shapes: list[Shaped], out: Any) -> Rule | None:
    if position != 1 or params["batch_group_count"] != 1:
        return None
    lhs, rhs, result = params["dimension_numbers"]
    groups, kernel = params["feature_group_count"], [shapes[1].shape[i] for i in rhs[2:]]
    channels, features = shapes[1].shape[rhs[1]], shapes[1].shape[rhs[0]]
    window, positions = math.prod(kernel), [out.shape[i] for i in (result[0], *result[2:])]
    s = math.prod(positions)

    slices = []
    for offset in itertools.product(*map(range, kernel)):
        start = [o * d for o, d in zip(offset, params["rhs_dilation"], strict=True)]
        steps = list(zip(start, positions[1:], params["window_strides"], strict=True))
        slices.append(
            (slice(None), *(slice(a, a + (p - 1) * k + 1, k) for a, p, k in steps), slice(None))
        )

    def whole(x: Array) -> Array:
        x = x.transpose(lhs[0], *lhs[2:], lhs[1])
        inner = [
            (*p, d - 1) for p, d in zip(params["padding"], params["lhs_dilation"], strict=True)
        ]
        return lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *inner, (0, 0, 0)])

    def data(x: Array) -> Array:
        x = whole(x)
        patches = [x[where] for where in slices]
        if groups == 1:
            return jnp.concatenate(patches, -1).reshape(1, s, window * channels)
        stacked = jnp.stack(patches, -2).reshape(s, window, groups, channels)
        return stacked.transpose(2, 0, 1, 3).reshape(groups, s, window * channels)

    def cotangent(ct: Array) -> Array:
        ct = ct.transpose(result[0], *result[2:], result[1])
        return ct.reshape(s, groups, features // groups).swapaxes(0, 1)

    def weight(w: Array) -> Array:
        w = w.transpose(*rhs[2:], rhs[1], rhs[0]).reshape(
            window, channels, groups, features // groups
        )
        return w.transpose(2, 0, 1, 3).reshape(groups, window * channels, features // groups)

    def direct(x: Array, ct: Array) -> Array:
        return jnp.stack(taps.tap_products(params, x, ct, tuple(kernel)))

    sizes = groups, s, window * channels, features // groups
    whole_windows = Windows(whole, slices) if groups == 1 else None
    small = groups > 1 and window * channels <= taps.TERMS and set(params["lhs_dilation"]) == {1}
    return Rule(
        "conv", data, cotangent, weight, sizes, whole_windows, direct=direct if small else None
    )


def _embedding(
    params: dict[str, Any], position: int, shapes: list[Shaped], out: Any
) -> Rule | None:
    """`table[ids]`: whole rows of a matrix, looked up along its first axis."""
    numbers, table = params["dimension_numbers"], shapes[0]
    rows_only = (
        position == 0
        and table.ndim == 2
        and tuple(params["slice_sizes"]) == (1, table.shape[1])
        and tuple(numbers.collapsed_slice_dims) == (0,)
        and tuple(numbers.start_index_map) == (0,)
        and not numbers.operand_batching_dims
        and tuple(numbers.offset_dims) == (len(out.shape) - 1,)
    )
    if not rows_only:
        return None
    vocabulary, f = table.shape
    s = math.prod(out.shape[:-1])

    def data(ids: Array) -> Array:
        ids = ids.reshape(1, s).astype(jnp.int32)
        if params["mode"] == lax.GatherScatterMode.CLIP:
            return jnp.clip(ids, 0, vocabulary - 1)
        return jnp.where((ids >= 0) & (ids < vocabulary), ids, -1)

    return Rule(
        "embedding",
        data,
        lambda ct: ct.reshape(1, s, f),
        lambda w: w[None],
        (1, s, vocabulary, f),
        lookup=True,
    )


def are_rows(data: Array) -> bool:
    """Whether the data of a block are those of look-ups, which alone are whole numbers."""
    return data.dtype.kind == "i"


_RULES = {"dot_general": _dense, "conv_general_dilated": _conv, "gather": _embedding}

# Operations that only rearrange, relabel or drop entries of their first input: a weight seen
# through them is still the leaf itself, entry by entry.
REARRANGING = {"reshape", "transpose", "squeeze", "expand_dims", "rev", "slice", "copy", "copy_p"}


def rearranges(op: Op) -> bool:
    """Whether `op` keeps every entry of its input at most once and adds nothing."""
    if op.name == "broadcast_in_dim":
        before, after = op.eqn.invars[0].aval, op.eqn.outvars[0].aval
        return math.prod(after.shape) == math.prod(before.shape)  # type: ignore[attr-defined]
    if op.name == "convert_element_type":
        # not to complex numbers: their products keep no real gradient
        return jnp.issubdtype(op.eqn.params["new_dtype"], jnp.floating)
    return op.name in REARRANGING


def entries(ops: tuple[Op, ...], shape: tuple[int, ...]) -> np.ndarray:
    """The flat number of every entry of a leaf that is seen through rearranging operations."""
    return rearranged(ops, np.arange(math.prod(shape), dtype=np.int32).reshape(shape))


def rearranged(ops: tuple[Op, ...], numbers: np.ndarray) -> np.ndarray:
    """Numbers of entries after rearranging operations."""
    with jax.ensure_compile_time_eval():
        found = jnp.asarray(numbers)
        for op in ops:
            if op.name not in ("copy", "copy_p", "convert_element_type"):
                (found,) = op(found)
        return np.asarray(found)
