"""A network as a list of steps that bounds can be carried through, read from its jaxpr.

Steps are affine maps, rectifiers and maxima. Any function `f(params, x)` whose dependence on x is
made of these is read, whatever library wrote it. What depends on parameters alone (batch norm in
eval mode, weight normalisation) may be any operation: it is computed, not bounded. An operation on
x that has no rule is refused by name.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import jax
import jax.extend.core as jc
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from theorylab.errors import InputError
from theorylab.nets.training_inputs import explained
from theorylab.ntk.graph import Const, Graph, Op, Ref, trace
from theorylab.robustness.operations import Translator
from theorylab.robustness.packing import Packing
from theorylab.robustness.steps import Line, Step


@dataclass(eq=False)
class Program:
    """Steps from the input (value `start`) to the output (value `end`); hashed by identity.

    shapes: of every value. constants: operations that do not see x, in order. params: numbers of
    the values that hold the leaves of the parameters. packings: by value, how its entries share
    rows of backward bounds, filled as bounds ask for them.
    """

    params: list[int]
    start: int
    end: int
    steps: list[Step]
    shapes: list[jax.ShapeDtypeStruct]
    constants: list[Line]
    producer: dict[int, Step] = field(default_factory=dict)
    packings: dict[int, Packing | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.producer = {step.output: step for step in self.steps}

    @property
    def activations(self) -> list[Step]:
        """Rectifiers and maxima, in order."""
        return [step for step in self.steps if step.kind != "linear"]

    def constants_at(self, params: PyTree) -> Callable[[Any], Any]:
        """A function that gives the value of any constant of the steps at these parameters."""
        env: dict[int, Any] = dict(zip(self.params, jax.tree.leaves(params), strict=True))

        def value(atom: Ref | Const) -> Any:
            return env[atom.id] if isinstance(atom, Ref) else atom.value

        for line in self.constants:
            results = line.op(*[value(a) for a in line.inputs])
            env.update(zip((o.id for o in line.outputs), results, strict=True))
        return value

    def ancestors(self, value: int) -> list[Step]:
        """The steps that the value depends on, in order."""
        wanted, kept = {value}, []
        for step in reversed(self.steps):
            if step.output in wanted:
                kept.append(step)
                wanted.update(step.inputs)
        return kept[::-1]


def read(f: Callable[[PyTree, Array], Array], params: PyTree, shape: tuple[int, ...]) -> Program:
    """The program of `f(params, x)` on one sample of this shape; `f` takes a batch of samples.

    Raises InputError for an operation on x that has no rule, with its name.
    """
    leaves, layout = jax.tree.flatten(params)
    kinds = tuple(_kind(a) for a in leaves)
    return _read(f, layout, kinds, tuple(shape), bool(jax.config.jax_enable_x64))  # type: ignore[attr-defined]


def _kind(leaf: Any) -> tuple[tuple[int, ...], np.dtype]:
    if isinstance(leaf, jax.Array) and not leaf.weak_type:  # the quick way, taken at every call
        return leaf.shape, leaf.dtype
    return np.shape(leaf), np.dtype(jnp.result_type(leaf))


@lru_cache(maxsize=64)
def _read(f: Any, layout: Any, kinds: Any, shape: tuple[int, ...], _: bool) -> Program:
    floats = [dtype for _, dtype in kinds if jnp.issubdtype(dtype, jnp.floating)]
    dtype = jnp.result_type(*floats) if floats else jnp.result_type(float)

    def flat(*args: Array) -> list[Array]:
        out = f(jax.tree.unflatten(layout, args[:-1]), jax.lax.expand_dims(args[-1], (0,)))
        if getattr(out, "ndim", 0) != 2 or out.shape[0] != 1:
            raise InputError(
                f"f gives {' '.join(str(out).split())[:80]} for one sample; outputs (n, k) of a "
                f"batch are needed"
            )
        return [jax.lax.squeeze(out, (0,))]

    args = [jax.ShapeDtypeStruct(*kind) for kind in kinds]
    with explained("f, params, x", jax.ShapeDtypeStruct(shape, dtype)):
        graph = trace(flat, *args, jax.ShapeDtypeStruct(shape, dtype))
    return _Reader(graph).program()


def _inner(op: Op) -> Any:
    """The program inside a call that changes derivatives alone, or None."""
    if op.name in ("custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr"):
        return op.eqn.params.get("call_jaxpr", op.eqn.params.get("fun_jaxpr"))
    return None


class _Reader:
    """Opens the calls, separates what depends on x from what does not, and gives each its step."""

    def __init__(self, graph: Graph):
        self.shapes: list[jax.ShapeDtypeStruct] = []
        self.lines: list[Line] = []
        inputs = [self.new(graph.shape(ref)) for ref in graph.inputs]
        (self.end,) = self._open(graph, list(inputs))
        self.params, self.start = [ref.id for ref in inputs[:-1]], inputs[-1].id

    def new(self, shape: jax.ShapeDtypeStruct) -> Ref:
        self.shapes.append(shape)
        return Ref(len(self.shapes) - 1)

    def _open(self, graph: Graph, args: list[Ref | Const]) -> list[Ref | Const]:
        env = {ref.id: arg for ref, arg in zip(graph.inputs, args, strict=True)}
        for op in graph.ops:
            inputs = [env[a.id] if isinstance(a, Ref) else a for a in op.inputs]
            inner = _inner(op)
            if inner is None:
                outputs: list[Any] = [self.new(graph.shape(ref)) for ref in op.outputs]
                self.lines.append(Line(op, tuple(inputs), tuple(outputs)))
            else:
                kinds = [graph.shape(a) for a in op.inputs]
                outputs = self._open(trace(jc.jaxpr_as_fun(inner), *kinds), inputs)
            env.update(zip((ref.id for ref in op.outputs), outputs, strict=True))
        return [env[a.id] if isinstance(a, Ref) else a for a in graph.outputs]

    def program(self) -> Program:
        end = self.end
        if not isinstance(end, Ref):
            raise InputError("f does not depend on x; a network of x is needed")
        data, constants, translator = {self.start}, [], Translator(self)
        for line in self.lines:
            if any(isinstance(a, Ref) and a.id in data for a in line.inputs):
                translator.add(line, data)
                data.update(ref.id for ref in line.outputs)
            else:
                constants.append(line)
        if end.id not in data:
            raise InputError("f does not depend on x; a network of x is needed")
        program = Program(self.params, self.start, end.id, translator.steps, self.shapes, constants)
        used = program.ancestors(end.id)
        translator.require(used, end.id)
        return Program(self.params, self.start, end.id, used, self.shapes, constants)
