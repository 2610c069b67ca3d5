"""The steps that bounds are carried through, and the operations of a jaxpr that they come from."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

from jaxtyping import Array

from theorylab.ntk.graph import Const, Op, Ref

Kind = Literal["linear", "rectifier", "maximum"]
# "full": the map itself; "linear": without its constant; "absolute", "square": with the absolute
# values, or the squares, of its weights.
Mode = Literal["full", "linear", "absolute", "square"]


class Step(NamedTuple):
    """One operation on data.

    inputs, output: numbers of values. apply: (mode, data values, constants) -> value, of a linear
    step; of a maximum (mode, [x], what fills the padding) -> the entries among which each output is
    the largest, on a new first axis. slope: of a rectifier max(z, slope z), 0 for ReLU. mixes:
    whether an output entry depends on several entries of an input, or an entry is copied. wide: the
    same map in the form that is to be transposed, if that is not `apply`. back: (rows
    of the output, constants) -> rows of the input, in place of the transpose that JAX makes.
    """

    kind: Kind
    name: str
    inputs: tuple[int, ...]
    output: int
    apply: Callable[[Mode, Sequence[Any], Callable[[Any], Any]], Array] | None = None
    slope: float = 0.0
    mixes: bool = False
    wide: Callable[[Mode, Sequence[Any], Callable[[Any], Any]], Array] | None = None
    affine: bool = False  # whether it has a constant
    back: Callable[[Array, Callable[[Any], Any]], Array] | None = None


class Line(NamedTuple):
    """One operation of the opened graph, its inputs and outputs renumbered."""

    op: Op
    inputs: tuple[Ref | Const, ...]
    outputs: tuple[Ref, ...]
