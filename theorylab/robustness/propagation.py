"""Carries bounds through a program for one sample.

Intervals go forward (IBP), linear bounds backward (CROWN, COAP).

Backward, rows A and constants c with A . v + c <= rows . target for a value v move from the target
to the input: a linear step replaces A by A W, a rectifier by A+ * (lower slope) + A- * (upper
slope) with the intercept of the upper line, where A+ and A- are the positive and negative parts.
Everything is differentiable, through the pre-activation bounds too.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from theorylab.robustness.lines import Lines
from theorylab.robustness.packing import Field, Packing, packed, receptive_fields, summed
from theorylab.robustness.program import Program
from theorylab.robustness.steps import Mode, Step
from theorylab.robustness.threats import LineUnion, LpBall, Threat

Interval = tuple[Array, Array]


class Affine(NamedTuple):
    """A lower and an upper bound of a target's rows, linear in values v.

    rows[v] . v summed over values v, plus `low`, is below the target's rows; plus `high`, above.
    """

    rows: dict[int, Float[Array, "r ..."]]
    low: Float[Array, " r"]
    high: Float[Array, " r"]


@dataclass(frozen=True)
class Flow:
    """A program at given parameters; `heads` are those of its values that are known already."""

    program: Program
    value: Callable[[Any], Any]
    heads: Mapping[int, Affine] = field(default_factory=dict)

    def interval(self, x: Array, threat: Threat) -> dict[int, Interval]:
        """IBP: an interval for every value, the ones before the first activation exact."""
        found: dict[int, Interval] = {self.program.start: threat.box(x)}
        exact: set[int] = set()
        for step in self.program.steps:
            inputs = [found[i] for i in step.inputs]
            if step.kind == "linear":
                found[step.output] = self._linear_interval(step, inputs)
                continue
            v = step.inputs[0]
            if v not in exact and self.is_affine(v):
                found[v] = self.exact_interval(v, x, threat, found[v])
                exact.add(v)
            low, high = found[v]
            if step.kind == "rectifier":
                found[step.output] = _leaky(low, step.slope), _leaky(high, step.slope)
            else:
                found[step.output] = _largest(step, low), _largest(step, high)
        return found

    def _linear_interval(self, step: Step, inputs: list[Interval]) -> Interval:
        assert step.apply is not None
        centre = step.apply("full", [(l + u) / 2 for l, u in inputs], self.value)
        reach = step.apply("absolute", [(u - l) / 2 for l, u in inputs], self.value)
        return centre - reach, centre + reach

    def is_affine(self, target: int) -> bool:
        """Whether the value is an affine function of the input."""
        return all(step.kind == "linear" for step in self.program.ancestors(target))

    def forward(self, target: int, x: Array, mode: Any = "full") -> Array:
        """The value at an input, of an affine value."""
        found = {self.program.start: x}
        for step in self.program.ancestors(target):
            assert step.apply is not None
            found[step.output] = step.apply(mode, [found[i] for i in step.inputs], self.value)
        return found[target]

    def _single_mixing(self, target: int) -> bool:
        """Whether every entry of an affine value depends on each entry of the input by one path."""
        paths = {self.program.start: 0}
        for step in self.program.ancestors(target):
            paths[step.output] = (
                max(paths[i] for i in step.inputs) + step.mixes + 2 * (len(step.inputs) > 1)
            )
        return paths[target] <= 1

    def exact_interval(
        self, target: int, x: Array, threat: Threat, by_ibp: Interval | None = None
    ) -> Interval:
        """The exact interval of an affine value, without its matrix where that can be."""
        if isinstance(threat, LineUnion):
            centre = self.forward(target, x)
            along = jnp.asarray(threat.directions, x.dtype).reshape(-1, *x.shape)
            images = jax.vmap(lambda s: self.forward(target, s, "linear"))(along)
            reach = threat.eps * jnp.abs(images).max(0)
            return centre - reach, centre + reach
        if self._single_mixing(target) and threat.p != 1:
            box = by_ibp if by_ibp is not None else self._box_interval(target, x, threat)
            if threat.p == np.inf:
                return box
            centre = self.forward(target, x)
            square = self.forward(target, jnp.ones_like(x), "square")
            some = square > 0
            reach = threat.eps * jnp.where(some, jnp.sqrt(jnp.where(some, square, 1.0)), 0.0)
            if threat.clip is None:
                return centre - reach, centre + reach
            return jnp.maximum(centre - reach, box[0]), jnp.minimum(centre + reach, box[1])
        return self.linear_interval(target, x, threat, {}, shared=True)

    def _box_interval(self, target: int, x: Array, threat: Threat) -> Interval:
        low, high = threat.box(x)
        centre = self.forward(target, (low + high) / 2)
        reach = self.forward(target, (high - low) / 2, "absolute")
        return centre - reach, centre + reach

    def linear_interval(
        self,
        target: int,
        x: Array,
        threat: Threat,
        lines: Mapping[int, Lines],
        *,
        shared: bool,
        block: int | None = None,
    ) -> Interval:
        """The interval of a value by backward linear bounds, `block` of its entries at a time.

        shared: upper and lower lines have the same slopes, so that one set of rows serves both.
        """
        shape = self.program.shapes[target].shape
        packing = self.packing(target) if threat.adds_up else None

        def both(head: Affine) -> Interval:
            return self._both_sides(head, x, threat, lines, shared, packing)

        if target in self.heads:
            low, high = both(self.heads[target])
        elif packing is not None:
            low, high = both(self.head(target, x.dtype, packing))
        else:
            size = int(np.prod(shape, dtype=int))
            low, high = in_blocks(lambda at: both(self.head(target, x.dtype, at=at)), size, block)
        return low.reshape(shape), high.reshape(shape)

    def head(
        self, target: int, dtype: Any, packing: Packing | None = None, at: Array | None = None
    ) -> Affine:
        """The entries of a value, those at `at` or all, by the activations before it.

        The same rows for both sides, and for every sample.
        """
        shape = self.program.shapes[target].shape
        if packing is not None:
            unit = jnp.asarray(packing.start, dtype)
        else:
            size = int(np.prod(shape, dtype=int))
            at = jnp.arange(size) if at is None else at
            unit = jax.nn.one_hot(at, size, dtype=dtype).reshape(-1, *shape)
        stop = frozenset(step.output for step in self.program.activations)
        return self.backward({target: unit}, {}, stop, packing)

    def _both_sides(
        self,
        head: Affine,
        x: Array,
        threat: Threat,
        lines: Mapping[int, Lines],
        shared: bool,
        packing: Packing | None = None,
    ) -> Interval:
        """Lower and upper bounds of functions of the activations' values."""
        if shared:
            found = self.backward(head.rows, lines, packing=packing)
            found = found._replace(low=found.low + head.low, high=found.high + head.high)
            return self.concrete_both(found, x, threat, packing)

        def side(sign: Array) -> Array:
            rows = {v: sign * r for v, r in head.rows.items()}
            found = self.backward(rows, lines, packing=packing)
            return self.concrete(found, x, threat, packing) + sign * head.low

        # a loop of two turns holds the rows of one side at a time, and the lines as arrays, which
        # XLA would otherwise compute again for every row that passes them
        low, high = jax.lax.map(side, jnp.asarray([1, -1], x.dtype))
        return low, -high

    def packing(self, target: int) -> Packing | None:
        """How the entries of a value share rows, if that saves anything."""
        known = self.program.packings
        if target not in known:
            fields = receptive_fields(self, target)
            shape = self.program.shapes[target].shape
            known[target] = None if fields is None else packed(fields, shape)
        return known[target]

    def with_values(self, value: Callable[[Any], Any]) -> "Flow":
        """The same program at other parameters."""
        return Flow(self.program, value)

    def concrete(
        self, found: Affine, x: Array, threat: Threat, packing: Packing | None = None
    ) -> Float[Array, " r"]:
        """The smallest value of the linear lower bound over the set of perturbations."""
        rows = found.rows[self.program.start]
        if packing is None:
            return threat.lowest(rows, x) + found.low
        assert isinstance(threat, LpBall)
        total = packing.fields[self.program.start].total
        return threat.lowest_sum(rows, x, total) + found.low

    def concrete_both(
        self, found: Affine, x: Array, threat: Threat, packing: Packing | None = None
    ) -> Interval:
        """Smallest and largest value of linear bounds with shared rows."""
        minus = found._replace(
            rows={self.program.start: -found.rows[self.program.start]}, low=-found.high
        )
        low, high = (self.concrete(each, x, threat, packing) for each in (found, minus))
        return low, -high

    def backward(
        self,
        start: Mapping[int, Float[Array, "r ..."]],
        lines: Mapping[int, Lines],
        stop: frozenset[int] = frozenset(),
        packing: Packing | None = None,
    ) -> Affine:
        """Linear bounds of the sum over values v of start[v] . v.

        On the input and the values in `stop`, those of them that are reached. With a packing the
        rows are those that its neurons share.
        """
        held = dict(start)
        (first, *_) = held.values()
        account = _Account(packing)
        for step in self.steps_to(tuple(held)):
            if step.output in stop or step.output not in held:
                continue
            rows = held.pop(step.output)
            if step.kind == "linear":
                parts = self.transposed(step, rows)
                if step.affine:
                    constant = rows * self._constant(step)
                    account.add(step.output, constant, constant)
            else:
                parts = _through(step, rows, lines[step.output], self.program)
                intercept = lines[step.output].intercept
                below, above = jnp.minimum(rows, 0), jnp.maximum(rows, 0)
                account.add(step.output, below * intercept, above * intercept)
            for value, part in zip(step.inputs, parts, strict=True):
                held[value] = held[value] + part if value in held else part
        if not held:
            shape = self.program.shapes[self.program.start].shape
            held[self.program.start] = jnp.zeros((len(first), *shape), first.dtype)
        return Affine(held, *account.totals(first))

    def steps_to(self, values: tuple[int, ...]) -> list[Step]:
        """The steps that these values depend on, the last ones first."""
        wanted = {s.output for v in values for s in self.program.ancestors(v)}
        return [s for s in reversed(self.program.steps) if s.output in wanted]

    def transposed(self, step: Step, rows: Array, mode: Mode = "linear") -> list[Array]:
        """A W for each data input of a linear step."""
        if step.back is not None and mode == "linear":
            return [step.back(rows, self.value)]
        apply = step.wide or step.apply
        assert apply is not None

        def linear(*data: Array) -> Array:
            return apply(mode, data, self.value)

        shapes = self._shapes(step, rows.dtype)
        return list(jax.vmap(jax.linear_transpose(linear, *shapes))(rows))

    def reach(self, step: Step, rows: Array) -> list[Array]:
        """Rows of reached entries, moved to the inputs of any step."""
        if step.kind == "linear":
            return self.transposed(step, rows, "absolute")
        if step.kind == "rectifier":
            return [rows]
        return [
            _spread(step, jnp.repeat(rows[:, None], _entries(step, self.program), 1), self.program)
        ]

    def _shapes(self, step: Step, dtype: Any) -> list[jax.ShapeDtypeStruct]:
        return [jax.ShapeDtypeStruct(self.program.shapes[i].shape, dtype) for i in step.inputs]

    def _constant(self, step: Step) -> Array:
        """What an affine step adds."""
        assert step.apply is not None
        shapes = [self.program.shapes[i] for i in step.inputs]
        return step.apply("full", [jnp.zeros(s.shape, s.dtype) for s in shapes], self.value)


class _Account:
    """What constants and intercepts add to the bounds, below and above, for each neuron."""

    def __init__(self, packing: Packing | None):
        self.packing = packing
        self.low: list[Array] = []
        self.high: list[Array] = []
        self.held: dict[int, tuple[Field, Array, Array]] = {}

    def add(self, value: int, below: Array, above: Array) -> None:
        """Terms (c, *shape of the value)."""
        if self.packing is None:
            self.low.append(summed(below))
            self.high.append(summed(below) if above is below else summed(above))
            return
        field = self.packing.fields[value]
        if id(field) in self.held:  # the constant before an activation: summed with its intercept
            _, low, high = self.held[id(field)]
            low, high = low.reshape(below.shape), high.reshape(above.shape)
            below, above = below + low, above + high
        self.held[id(field)] = field, below, above

    def totals(self, like: Array) -> tuple[Array, Array]:
        """The sums of all terms."""
        low, high = list(self.low), list(self.high)
        for fields, below, above in self.held.values():
            low.append(fields.total(below))
            high.append(fields.total(above))
        none = jnp.zeros(len(like) if self.packing is None else (), like.dtype)
        return sum(low, none), sum(high, none)


def _through(step: Step, rows: Array, lines: Lines, program: Program) -> list[Array]:
    """Rows on the input of an activation."""
    positive, negative = jnp.maximum(rows, 0), jnp.minimum(rows, 0)
    if step.kind == "rectifier":
        return [positive * lines.lower + negative * lines.upper]
    chosen = positive[:, None] * lines.lower + negative[:, None] * lines.upper
    return [_spread(step, chosen, program)]


def _spread(step: Step, chosen: Array, program: Program) -> Array:
    """(r, entries, *out) weights of the entries of a maximum's windows, put where they lie."""
    apply, shape = step.apply, program.shapes[step.inputs[0]].shape
    assert apply is not None
    spread = jax.linear_transpose(
        lambda x: apply("linear", [x], 0.0),  # type: ignore[arg-type]
        jax.ShapeDtypeStruct(shape, chosen.dtype),
    )
    (part,) = jax.vmap(spread)(chosen)
    return part


def _entries(step: Step, program: Program) -> int:
    """How many entries a maximum's windows have."""
    apply = step.apply
    assert apply is not None
    found = jax.eval_shape(
        lambda x: apply("linear", [x], 0.0),  # type: ignore[arg-type]
        program.shapes[step.inputs[0]],
    )
    return found.shape[0]


def _leaky(z: Array, slope: float) -> Array:
    return jnp.maximum(z, slope * z) if slope else jnp.maximum(z, 0)


def _largest(step: Step, z: Array) -> Array:
    assert step.apply is not None
    return step.apply("full", [z], -jnp.inf).max(0)  # type: ignore[arg-type]


def in_blocks(function: Callable[[Array], Any], size: int, block: int | None) -> Any:
    """`function` of indices 0 .. size - 1, at most `block` at a time, results put together."""
    if block is None or block >= size:
        return function(jnp.arange(size))
    count = -(-size // block)
    # the last block repeats indices rather than being shorter: one compiled body
    at = jnp.minimum(jnp.arange(count * block), size - 1).reshape(count, block)
    found = jax.lax.map(function, at)
    return jax.tree.map(lambda a: a.reshape(count * block, *a.shape[2:])[:size], found)
