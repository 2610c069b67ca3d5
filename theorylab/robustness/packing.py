"""Neurons whose receptive fields do not meet share one row of a backward bound.

A row of a linear bound that starts at one neuron of a convolution is zero outside of the neuron's
receptive field, at every value on the way to the input. Rows with disjoint fields can be added:
they pass linear steps, rectifiers and maxima as one row, and each neuron's bound is the sum over
its own field. A layer of 8 x 8 positions with fields 5 positions wide then takes 25 rows a channel
in place of 64. It is the colouring by which sparse Jacobians are compressed (Curtis, Powell and
Reid 1974), and changes no bound but by rounding.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

LEAST, MOST = 64, 32_000_000  # neurons, and neurons times entries, between which packing is tried
EXACT = jax.lax.Precision.HIGHEST  # sums made by products keep all digits on a GPU too
WORTH = 0.7  # rows over neurons above which it is left


class Field(NamedTuple):
    """The receptive fields of all neurons at one value.

    reduce: an array (c, *shape of the value) summed over the axes along which every field is all
    or nothing. gather: the sum of what is left over each neuron's field, in the order of neurons.
    """

    reduce: Callable[[Float[Array, "c ..."]], Array]
    gather: Callable[[Array], Float[Array, " r"]]

    def total(self, rows: Float[Array, "c ..."]) -> Float[Array, " r"]:
        """The sum of an array over the field of each neuron."""
        return self.gather(self.reduce(rows))


@dataclass(frozen=True)
class Packing:
    """How the neurons of one value share rows.

    start: (c, *shape) the rows at the value itself, sums of unit rows. fields: of every value on
    the way; values with the same fields have the same object.
    """

    start: np.ndarray
    fields: Mapping[int, Field]


def summed(rows: Float[Array, "r ..."]) -> Float[Array, " r"]:
    """The sum of each row.

    As a product with ones: XLA's own sums over several axes, the last of length 1, take some 30
    times as long on a CPU, and keep broadcast factors of their summands as arrays.
    """
    flat = rows.reshape(len(rows), -1)
    return jnp.matmul(flat, jnp.ones(flat.shape[1], flat.dtype), precision=EXACT)


def packed(fields: Mapping[int, np.ndarray], shape: tuple[int, ...]) -> Packing | None:
    """The packing of a value of this shape from the receptive fields of its neurons.

    fields: value on the way -> (neurons, *its shape), whether an entry is in the neuron's field.
    None where it saves too little.
    """
    size = int(np.prod(shape, dtype=int))
    # neurons are grouped by their field at the input, the last value, where channels do not count
    last = list(fields.values())[-1].reshape(size, -1)
    _, group = np.unique(np.packbits(last, axis=1), axis=0, return_inverse=True)
    group = group.ravel()
    first = np.unique(group, return_index=True)[1]
    group = np.argsort(np.argsort(first))[group]  # numbered in the order of the neurons
    # each has its own row, so that elsewhere their fields may be taken together
    mine = np.zeros((len(first), size), np.float32)
    mine[group, np.arange(size)] = 1
    shared = {v: mine @ f.reshape(size, -1).astype(np.float32) > 0 for v, f in fields.items()}
    conflict = np.zeros((len(first), len(first)), bool)
    for reached in shared.values():
        sets = reached.astype(np.float32)
        conflict |= sets @ sets.T > 0
    colour = _colours(conflict)
    width = int(np.bincount(group).max())  # neurons of a group, each with its own row
    count = width * (colour.max() + 1)
    if count > WORTH * size:
        return None
    member = np.zeros(size, int)
    for g in range(len(first)):
        at = group == g
        member[at] = np.arange(at.sum())
    start = np.zeros((count, size), np.float32)
    start[colour[group] * width + member, np.arange(size)] = 1
    made: dict[Any, Field] = {}
    found = {}
    for v, reached in shared.items():
        field = reached.reshape(-1, *fields[v].shape[1:])
        key = (field.shape, field.tobytes())
        if key not in made:
            made[key] = _field(field, colour, group, member)
        found[v] = made[key]
    return Packing(start.reshape(count, *shape), found)


def _colours(conflict: np.ndarray) -> np.ndarray:
    """A number for each group, different for groups that meet: the smallest one free, in order."""
    colour = np.zeros(len(conflict), int)
    for i in range(len(conflict)):
        taken = set(colour[:i][conflict[i, :i]].tolist())
        colour[i] = next(c for c in range(i + 1) if c not in taken)
    return colour


def _field(field: np.ndarray, colour: np.ndarray, group: np.ndarray, member: np.ndarray) -> Field:
    """The fields of all neurons at a value, from those of the groups, (groups, *shape).

    And from the groups' colours, and each neuron's group and place in it.
    """
    groups, axes = len(field), range(1, field.ndim)
    whole = tuple(a for a in axes if (field == np.take(field, [0], axis=a)).all())
    narrow = field[(slice(None), *(0 if a in whole else slice(None) for a in axes))]
    narrow = narrow.reshape(groups, -1)
    # (colours, entries, groups of a colour); no JAX array, since fields outlive the trace they meet
    colours = int(colour.max()) + 1
    turn = np.array([int((colour[:g] == colour[g]).sum()) for g in range(groups)])
    owns = np.zeros((colours, narrow.shape[1], int(turn.max()) + 1), bool)
    owns[colour, :, turn] = narrow

    last = field.ndim - 1

    def reduce(rows: Array) -> Array:
        if last not in whole:
            return rows.sum(whole) if whole else rows
        # a product with ones, since XLA would make a sum again for each entry that is gathered
        total = jnp.matmul(rows, jnp.ones(rows.shape[last], rows.dtype), precision=EXACT)
        rest = tuple(a for a in whole if a != last)
        return total.sum(rest) if rest else total

    def gather(reduced: Array) -> Array:
        # the rows of a colour over the fields of its groups, though each neuron needs one of them:
        # products of matrices are many times as fast on a CPU as picking each field's entries
        rows = reduced.reshape(colours, -1, owns.shape[1])
        total = jnp.matmul(rows, jnp.asarray(owns, rows.dtype), precision=EXACT)
        return total[colour[group], member, turn[group]]

    return Field(reduce, gather)


def receptive_fields(flow: Any, target: int) -> Mapping[int, np.ndarray] | None:
    """Which entries a backward bound of a value may reach, at every value on the way to the input.

    Value -> (neurons, *its shape); None where they are too many or cannot be told from the shapes
    alone. Any weight counts as one that is not zero.
    """
    program = flow.program
    shape = program.shapes[target].shape
    size = int(np.prod(shape, dtype=int))
    before = program.ancestors(target)
    values = {program.start, *(s.output for s in before)}
    largest = max(int(np.prod(program.shapes[v].shape, dtype=int)) for v in values)
    local = any(s.name in ("conv_general_dilated", "reduce_window_sum") for s in before)
    if not local or size < LEAST or size * largest > MOST:
        return None
    ones = flow.with_values(_unit_weights(program))
    try:
        with jax.ensure_compile_time_eval():
            parts = [
                _reached(
                    ones,
                    target,
                    np.eye(size, dtype=program.shapes[target].dtype)[at].reshape(-1, *shape),
                )
                for at in np.array_split(np.arange(size), -(-size // 256))
            ]
    except _NotPacked:
        return None
    return {v: np.concatenate([p[v] for p in parts]) for v in parts[0]}


class _NotPacked(Exception):
    """A position or a choice depends on the parameters, or fields are nearly everything."""


def _unit_weights(program: Any) -> Callable[[Any], Any]:
    def value(atom: Any) -> Any:
        known = getattr(atom, "value", None)
        if hasattr(atom, "value"):
            number = jnp.asarray(known)
            return jnp.ones_like(number) if jnp.issubdtype(number.dtype, jnp.inexact) else number
        shape = program.shapes[atom.id]
        if not jnp.issubdtype(shape.dtype, jnp.inexact):
            raise _NotPacked
        return jnp.ones(shape.shape, shape.dtype)

    return value


def _reached(ones: Any, target: int, rows: np.ndarray) -> dict[int, np.ndarray]:
    held: dict[int, Any] = {target: jnp.asarray(rows)}
    found: dict[int, np.ndarray] = {}
    for step in ones.steps_to((target,)):
        if step.output not in held:
            continue
        reached = held.pop(step.output)
        here = (reached > 0).astype(reached.dtype)
        found[step.output] = np.asarray(here > 0)
        if found[step.output].mean() > WORTH:
            raise _NotPacked
        for value, part in zip(step.inputs, ones.reach(step, here), strict=True):
            held[value] = held[value] + part if value in held else part
    start = ones.program.start
    if start not in held:
        given = ones.program.shapes[start]
        held[start] = jnp.zeros((len(rows), *given.shape), given.dtype)
    found[start] = np.asarray(held[start] > 0)
    return found
