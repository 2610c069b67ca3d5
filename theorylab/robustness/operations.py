"""What each operation of a jaxpr is to a bound.

A linear map of the data, a rectifier, a maximum, or refused by name.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from theorylab.errors import InputError
from theorylab.ntk.graph import Const, Ref
from theorylab.robustness.convolutions import (
    backward_convolution,
    few_channels,
    paired_convolution,
    weight,
    wide_convolution,
)
from theorylab.robustness.steps import Line, Mode, Step

# Linear in one data input; the others, if any, hold positions.
_STRUCTURAL = {
    "reshape",
    "transpose",
    "squeeze",
    "expand_dims",
    "broadcast_in_dim",
    "slice",
    "rev",
    "copy",
    "copy_p",
    "convert_element_type",
    "dynamic_slice",
    "gather",
    "split",
}
_SUMS = {"reduce_sum", "reduce_window_sum", "cumsum"}
_SCALES = {"mul", "div"}  # entry by entry, a weight on the other side
_PRODUCTS = {"dot_general", "conv_general_dilated"}
_ADDITIVE = {"add", "add_any", "sub", "concatenate", "pad"}  # a constant there is an offset
_COMPARISONS = {"ge", "gt", "le", "lt"}


class _Comparison(NamedTuple):
    """x >= 0 or the like, which only a `select_n` between x and a multiple of it may read."""

    name: str
    value: int


class Translator:
    """Steps of a program, one operation after the other."""

    def __init__(self, reader: Any):
        self.reader, self.steps = reader, []  # type: ignore[var-annotated]
        self.comparisons: dict[int, _Comparison] = {}
        self.scaled: dict[int, tuple[int, float]] = {}  # value -> (of which, known factor)
        self.refused: dict[int, str] = {}  # value -> name of the operation that has no rule

    def add(self, line: Line, data: set[int]) -> None:
        """The step of one operation is appended, or it is noted that the operation has no rule."""
        name = line.op.name
        places = [i for i, a in enumerate(line.inputs) if isinstance(a, Ref) and a.id in data]
        build = getattr(self, f"_{name}", None)
        if name in _COMPARISONS:
            self._compare(line, places)
        elif build is not None:
            build(line, places)
        elif self._has_linear_rule(name, places) and _stays_real(line):
            self._linear(line, places)
        else:
            self._refuse(line)

    def require(self, used: Sequence[Step], end: int) -> None:
        """Refuse what the output depends on and has no rule."""
        wanted = {end, *(i for step in used for i in step.inputs)}
        for value, name in self.refused.items():
            if value in wanted:
                raise InputError(
                    f"f: bound propagation has no rule for '{name}' on data; known are dense and "
                    f"convolution, ReLU and leaky ReLU, maxima, pooling, sums, batch norm in eval "
                    f"mode and rearrangements"
                )

    def _refuse(self, line: Line) -> None:
        known = [self.refused.get(a.id) for a in line.inputs if isinstance(a, Ref)]
        first = next((name for name in known if name), line.op.name)
        for ref in line.outputs:
            self.refused[ref.id] = first

    def _has_linear_rule(self, name: str, places: list[int]) -> bool:
        if name in _STRUCTURAL | _SUMS:
            return places == [0]
        if name == "mul" or name in _PRODUCTS:
            return len(places) == 1 and (name != "conv_general_dilated" or places == [0])
        if name == "div":
            return places == [0]
        return name in _ADDITIVE or name == "neg"

    def _linear(self, line: Line, places: list[int]) -> None:
        name = line.op.name
        if name in ("mul", "div"):
            self._note_scale(line, places[0])
        for which, ref in enumerate(line.outputs):
            apply = _linear_map(line, tuple(places), which)
            convolves = name == "conv_general_dilated"
            wide = wide_convolution(line, transposes=True) if convolves else None
            if wide is not None and few_channels(line):
                apply = wide_convolution(line) or apply
            elif convolves and (paired := paired_convolution(line)) is not None:
                wide, apply = wide or apply, paired
            self.steps.append(
                Step(
                    "linear",
                    name,
                    tuple(line.inputs[i].id for i in places),  # type: ignore[union-attr]
                    ref.id,
                    apply,
                    mixes=name in _SUMS | _PRODUCTS or _repeats(line),
                    affine=name in _ADDITIVE and len(places) < len(line.inputs),
                    wide=wide,
                    back=backward_convolution(line) if convolves else None,
                )
            )

    def _note_scale(self, line: Line, place: int) -> None:
        """Remember a multiple by one known number: half of a leaky ReLU."""
        other = line.inputs[1 - place]
        if line.op.name == "mul" and isinstance(other, Const) and np.size(other.value) == 1:
            base = line.inputs[place].id  # type: ignore[union-attr]
            self.scaled[line.outputs[0].id] = (base, float(np.asarray(other.value).ravel()[0]))

    def _compare(self, line: Line, places: list[int]) -> None:
        zero = places == [0] and _known(line.inputs[1], 0.0)
        if zero:
            x = line.inputs[0].id  # type: ignore[union-attr]
            self.comparisons[line.outputs[0].id] = _Comparison(line.op.name, x)
        self._refuse(line)

    def _select_n(self, line: Line, places: list[int]) -> None:
        """Fixed choices are linear; `where(x >= 0, x, s x)` is a leaky ReLU."""
        if 0 not in places:
            out = line.outputs[0].id
            apply = _linear_map(line, tuple(places), 0)
            inputs = tuple(line.inputs[i].id for i in places)  # type: ignore[union-attr]
            mixed = len(places) < len(line.inputs) - 1
            self.steps.append(Step("linear", "select_n", inputs, out, apply, affine=mixed))
            return
        predicate = self.comparisons.get(line.inputs[0].id)  # type: ignore[union-attr]
        if predicate is None or len(line.inputs) != 3:
            self._refuse(line)
            return
        below, above = line.inputs[1], line.inputs[2]
        if predicate.name in ("le", "lt"):
            below, above = above, below
        slope = self._factor(below, predicate.value)
        if slope is None or not 0 <= slope <= 1 or self._factor(above, predicate.value) != 1.0:
            self._refuse(line)
            return
        self.steps.append(
            Step("rectifier", "leaky_relu", (predicate.value,), line.outputs[0].id, slope=slope)
        )

    def _factor(self, atom: Ref | Const, x: int) -> float | None:
        """The number by which this value is a multiple of value x, where that is known."""
        if isinstance(atom, Const):
            return 0.0 if _known(atom, 0.0) else None
        if atom.id == x:
            return 1.0
        base, factor = self.scaled.get(atom.id, (None, None))
        return factor if base == x else None

    def _max(self, line: Line, places: list[int]) -> None:
        """max(x, c) = c + relu(x - c), and for two data values max(a, b) = b + relu(a - b)."""
        out = line.outputs[0].id
        a, b = line.inputs[places[0]], line.inputs[1 - places[0]]
        if len(places) == 1 and _known(b, 0.0):
            self.steps.append(Step("rectifier", "relu", (a.id,), out))  # type: ignore[union-attr]
            return
        self._through_relu("max", a, b, len(places) == 2, out, sign=1.0)

    def _min(self, line: Line, places: list[int]) -> None:
        """min(x, c) = c - relu(c - x), and for two data values min(a, b) = b - relu(b - a)."""
        a, b = line.inputs[places[0]], line.inputs[1 - places[0]]
        self._through_relu("min", a, b, len(places) == 2, line.outputs[0].id, sign=-1.0)

    def _through_relu(
        self, name: str, a: Any, b: Any, both: bool, out: int, *, sign: float
    ) -> None:
        shape = self.reader.shapes[out]
        gap, cut = self.reader.new(shape).id, self.reader.new(shape).id
        extra = (b.id,) if both else ()

        def difference(mode: Mode, data: Sequence[Any], value: Callable[[Any], Any]) -> Array:
            other = data[1] if both else _offset(mode, value(b))
            minus = other if mode in ("absolute", "square") else -sign * other
            x = data[0] if mode in ("absolute", "square") else sign * data[0]
            return jnp.broadcast_to(x + minus, shape.shape)

        def total(mode: Mode, data: Sequence[Any], value: Callable[[Any], Any]) -> Array:
            other = data[1] if both else _offset(mode, value(b))
            add = data[0] if mode in ("absolute", "square") else sign * data[0]
            return jnp.broadcast_to(add + other, shape.shape)

        self.steps += [
            Step("linear", name, (a.id, *extra), gap, difference, affine=not both),
            Step("rectifier", name, (gap,), cut),
            Step("linear", name, (cut, *extra), out, total, affine=not both),
        ]

    def _reduce_window_max(self, line: Line, places: list[int]) -> None:
        params, shape = line.op.eqn.params, line.outputs[0].id
        plain = all(d == 1 for d in (*params["base_dilation"], *params["window_dilation"]))
        if not plain:
            self._refuse(line)
            return
        window = [params[k] for k in ("window_dimensions", "window_strides", "padding")]
        out = self.reader.shapes[shape].shape

        def entries(mode: Mode, data: Sequence[Any], empty: Any) -> Array:
            return _windows(data[0], out, *window, empty=empty)

        inputs = (line.inputs[0].id,)  # type: ignore[union-attr]
        self.steps.append(Step("maximum", line.op.name, inputs, shape, entries))

    def _reduce_max(self, line: Line, places: list[int]) -> None:
        axes = tuple(line.op.eqn.params["axes"])

        def entries(mode: Mode, data: Sequence[Any], empty: Any) -> Array:
            x = jnp.moveaxis(data[0], axes, range(len(axes)))
            return x.reshape(-1, *x.shape[len(axes) :])

        inputs = (line.inputs[0].id,)  # type: ignore[union-attr]
        self.steps.append(Step("maximum", line.op.name, inputs, line.outputs[0].id, entries))


def _stays_real(line: Line) -> bool:
    """Whether all results are real numbers: a conversion to integers is not linear."""
    return all(jnp.issubdtype(v.aval.dtype, jnp.floating) for v in line.op.eqn.outvars)  # type: ignore[attr-defined]


def _repeats(line: Line) -> bool:
    """Whether an entry may be copied to several places, from where it can meet itself again."""
    if line.op.name == "broadcast_in_dim":
        return line.op.eqn.outvars[0].aval.size > line.op.eqn.invars[0].aval.size  # type: ignore[attr-defined]
    return line.op.name == "gather"


def _known(atom: Any, number: float) -> bool:
    return isinstance(atom, Const) and bool(np.all(np.asarray(atom.value) == number))


def _offset(mode: Mode, value: Any) -> Any:
    """What an additive constant is in this mode."""
    return value if mode == "full" else jnp.zeros_like(value)


def _linear_map(
    line: Line, places: tuple[int, ...], which: int
) -> Callable[[Mode, Sequence[Any], Callable[[Any], Any]], Array]:
    name = line.op.name

    def apply(mode: Mode, data: Sequence[Any], value: Callable[[Any], Any]) -> Array:
        if mode in ("absolute", "square"):
            if name == "neg":
                return data[0]
            if name == "sub":
                zero = 0.0 if len(places) == 1 else data[1]
                return jnp.broadcast_to(data[0] + zero, line.op.eqn.outvars[0].aval.shape)  # type: ignore[attr-defined]
        values, given = [], dict(zip(places, data, strict=True))
        for i, atom in enumerate(line.inputs):
            if i in given:
                values.append(given[i])
                continue
            constant = value(atom)
            if name in _ADDITIVE or (name == "select_n" and i > 0):
                constant = _offset(mode, constant)
            elif name in _SCALES | _PRODUCTS:
                constant = weight(mode, constant)
            values.append(constant)
        return line.op(*values)[which]

    return apply


def _windows(
    x: Array,
    out: tuple[int, ...],
    size: tuple[int, ...],
    strides: tuple[int, ...],
    padding: tuple[tuple[int, int], ...],
    *,
    empty: Any,
) -> Array:
    """The entries of each window, (entries of a window, *out); `empty` fills the padding."""
    x = jnp.pad(x, padding, constant_values=empty)
    slices = []
    for offset in np.ndindex(*size):
        stop = [o + (n - 1) * s + 1 for o, n, s in zip(offset, out, strides, strict=True)]
        slices.append(jax.lax.slice(x, offset, stop, strides))
    return jnp.stack(slices)
