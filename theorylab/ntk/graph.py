"""A function as a flat list of operations, each marked by what it depends on.

That is parameters, data, both or neither.

`jax.make_jaxpr` gives a tree of jaxprs; calls that do not change derivatives (`jit`, `remat`) are
opened here, so that a matrix product inside a jitted layer is seen. `custom_jvp` and `custom_vjp`
calls, `scan`, `while` and `cond` stay closed: opening them would change their derivative or their
cost.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.extend.core as jc
import numpy as np

_OPEN = {"jit", "pjit", "closed_call", "core_call", "remat", "remat2", "checkpoint"}


class Ref(NamedTuple):
    """A value of the graph, by its number."""

    id: int


class Const(NamedTuple):
    """A value known when the graph was traced."""

    value: Any


class Op(NamedTuple):
    """One equation of a jaxpr with its inputs and outputs renamed."""

    eqn: jc.JaxprEqn
    debug: Any
    inputs: tuple[Ref | Const, ...]
    outputs: tuple[Ref, ...]

    @property
    def name(self) -> str:
        """Name of the primitive."""
        return self.eqn.primitive.name

    def __call__(self, *values: Any) -> list[Any]:
        """The outputs at the given inputs.

        Equations that hold jaxprs are bound through a jaxpr of one equation.
        """
        if not any(
            isinstance(p, jc.Jaxpr | jc.ClosedJaxpr) or callable(p) for p in _flat(self.eqn.params)
        ):
            out = self.eqn.primitive.bind(*values, **self.eqn.params)
            return list(out) if self.eqn.primitive.multiple_results else [out]
        pairs = {
            v: a
            for v, a in zip(self.eqn.invars, values, strict=True)
            if not isinstance(v, jc.Literal)
        }
        alone = jc.Jaxpr(
            (), list(pairs), self.eqn.outvars, [self.eqn], self.eqn.effects, self.debug
        )
        return list(jc.jaxpr_as_fun(jc.ClosedJaxpr(alone, ()))(*pairs.values()))


def _flat(params: Mapping[str, Any]) -> Iterator[Any]:
    for value in params.values():
        yield from value if isinstance(value, tuple | list) else (value,)


@dataclass
class Graph:
    """`inputs` and `outputs` number the values; `shapes` holds the abstract value of each one."""

    inputs: list[Ref] = field(default_factory=list)
    ops: list[Op] = field(default_factory=list)
    outputs: list[Ref | Const] = field(default_factory=list)
    shapes: list[jax.ShapeDtypeStruct] = field(default_factory=list)

    def new(self, var: Any) -> Ref:
        """A new value with the shape and type of `var`."""
        self.shapes.append(jax.ShapeDtypeStruct(var.aval.shape, var.aval.dtype))
        return Ref(len(self.shapes) - 1)

    def shape(self, atom: Ref | Const) -> jax.ShapeDtypeStruct:
        """Shape and type of a value."""
        if isinstance(atom, Ref):
            return self.shapes[atom.id]
        return jax.ShapeDtypeStruct(np.shape(atom.value), jax.numpy.result_type(atom.value))


def trace(f: Callable, *args: Any) -> Graph:
    """The graph of `f(*args)`, whose arguments and results are flat lists of arrays."""
    closed = jax.make_jaxpr(f)(*args)
    graph = Graph()
    graph.inputs = [graph.new(v) for v in closed.jaxpr.invars]
    graph.outputs = _open(graph, closed, list(graph.inputs))
    return graph


def _open(graph: Graph, closed: Any, args: list[Ref | Const]) -> list[Ref | Const]:
    """Append the equations of `closed` applied to `args`."""
    # a jaxpr and its constants: one object in new JAX, two in old
    jaxpr = getattr(closed, "jaxpr", closed)
    env: dict[Any, Ref | Const] = dict(zip(jaxpr.invars, args, strict=True))
    env.update(zip(jaxpr.constvars, (Const(c) for c in getattr(closed, "consts", ())), strict=True))

    def read(atom: Any) -> Ref | Const:
        return Const(atom.val) if isinstance(atom, jc.Literal) else env[atom]

    for eqn in jaxpr.eqns:
        inputs = [read(v) for v in eqn.invars]
        if eqn.primitive.name in _OPEN and "jaxpr" in eqn.params:
            results = _open(graph, eqn.params["jaxpr"], inputs)
        else:
            new = tuple(graph.new(v) for v in eqn.outvars)
            graph.ops.append(Op(eqn, jaxpr.debug_info, tuple(inputs), new))
            results = list(new)
        env.update(zip(eqn.outvars, results, strict=True))
    return [read(v) for v in jaxpr.outvars]


def read(env: Mapping[int, Any], atom: Ref | Const) -> Any:
    """The value of an atom: looked up in `env`, or known already."""
    return env[atom.id] if isinstance(atom, Ref) else atom.value
