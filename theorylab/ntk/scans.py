"""Weights inside a loop of known length (`lax.scan`, and `fori_loop` with fixed bounds).

The steps of a loop are positions: a weight that every step uses has as its gradient the sum over
steps, and over each step's own positions, of data times cotangents. A weight of which every step
takes its own slice (a scan over stacked layers) has a group for each step. So a rule of an
operation in the body becomes one of the loop, and the loop is run once, with a zero added at each
of these operations in every step, and their data handed out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.extend.core as jc
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

from theorylab.ntk.graph import Const, Graph, Op, Ref, read, trace
from theorylab.ntk.rules import Rule, rearranged

_FEW = 8  # steps that are taken without a loop


class Inner(NamedTuple):
    """One operation of a body where a weight meets data, there in the canonical form of `rule`."""

    op: int
    data: Ref | Const
    rule: Rule


@dataclass(frozen=True, eq=False)
class Loop:
    """A scan: its body as a graph, and how its inputs and outputs are read."""

    body: Graph
    length: int
    consts: int
    carry: int
    options: dict[str, Any]

    def apart(self, position: int) -> bool | None:
        """Whether every step has a slice of its own of this input; None for the first carry."""
        if position < self.consts:
            return False
        return None if position < self.consts + self.carry else True

    def with_leaves(self, positions: list[int]) -> Graph:
        """The body with the inputs at these positions first."""
        rest = [i for i in range(len(self.body.inputs)) if i not in positions]
        inputs = [self.body.inputs[i] for i in (*positions, *rest)]
        return Graph(inputs, self.body.ops, self.body.outputs, self.body.shapes)

    def zeros(self, inner: Inner) -> Array:
        """What is added to the results of an operation in the body: a zero for each step."""
        shape = self.body.shape(self.body.ops[inner.op].outputs[0])
        return jnp.zeros((self.length, *shape.shape), shape.dtype)

    def run(
        self,
        apply: Callable[..., list[Any]],
        inner: list[Inner],
        zeros: dict[int, Array],
        values: list[Any],
    ) -> tuple[list[Any], dict[int, Array]]:
        """The outputs, and of every inner operation the data of all steps in canonical form."""
        consts, first, slices = np.split(
            np.arange(len(values)), (self.consts, self.consts + self.carry)
        )
        held, at = [values[i] for i in consts], {site.op: site for site in inner}

        def step(carry: list[Any], here: tuple[list[Any], dict[int, Array]]) -> Any:
            env: dict[int, Any] = dict(
                zip((r.id for r in self.body.inputs), [*held, *carry, *here[0]], strict=True)
            )
            data = {}
            for number, op in enumerate(self.body.ops):
                out = apply(op, *(read(env, atom) for atom in op.inputs))
                if number in at:
                    out[0] = out[0] + here[1][number]
                    data[number] = at[number].rule.data(read(env, at[number].data))
                env.update(zip((r.id for r in op.outputs), out, strict=True))
            outputs = [read(env, atom) for atom in self.body.outputs]
            return outputs[: self.carry], (outputs[self.carry :], data)

        given = [values[i] for i in slices], zeros
        last, (outputs, data) = lax.scan(
            step, [values[i] for i in first], given, self.length, **self.options
        )
        return [*last, *outputs], data


def loop(op: Op) -> Loop:
    """The loop of an operation `scan`."""
    params = op.eqn.params
    closed = params["jaxpr"]
    shapes = [jax.ShapeDtypeStruct(a.shape, a.dtype) for a in closed.in_avals]
    if "ft_in" in params:  # JAX 0.12 groups the operands where earlier versions counted them
        consts, carry, _ = map(len, params["ft_in"].unpack())
    else:
        consts, carry = params["num_consts"], params["num_carry"]
    return Loop(
        trace(jc.jaxpr_as_fun(closed), *shapes),
        params["length"],
        consts,
        carry,
        # few steps one after the other: no copies into and out of a loop
        {"reverse": params["reverse"], "unroll": params["length"] <= _FEW or params["unroll"]},
    )


def rule_of_loop(steps: int, apart: bool, seen: tuple[Op, ...], rule: Rule) -> Rule:
    """The rule of an operation in the body as one of the loop.

    Its data are those of all steps in canonical form, its cotangents one for each step. `seen` are
    the operations through which the body sees the weight, of which every step has a slice of its
    own where they are `apart`.
    """
    b, s, c, f = rule.sizes

    def canonical(a: Array) -> Array:  # (steps, b, s, ...)
        if apart:
            return a.reshape(steps * b, *a.shape[2:])
        return jnp.moveaxis(a, 0, 1).reshape(b, steps * s, *a.shape[3:])

    def weight(w: Any) -> Any:
        if not apart:
            return rule.weight(rearranged(seen, w))
        return np.concatenate([np.asarray(rule.weight(rearranged(seen, part))) for part in w])

    return Rule(
        f"{rule.kind} in a loop",
        canonical,
        lambda ct: canonical(jax.vmap(rule.cotangent)(ct)),
        weight,
        (steps * b, s, c, f) if apart else (b, steps * s, c, f),
        lookup=rule.lookup,
    )
