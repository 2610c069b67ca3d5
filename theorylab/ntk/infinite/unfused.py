"""Functions whose steps are rounded one by one, however they are compiled."""

from collections.abc import Callable
from typing import Any

import jax

from theorylab.ntk.graph import Ref, trace


def unfused(fn: Callable[..., Any]) -> Callable[..., Any]:
    """The function of arrays to one array, with a barrier after each of its steps.

    A compiler that fuses steps may round a product in one place and not in another. Closed forms
    such as √(s11 s22 - s12²) and its derivatives, which cancel, then explode at correlation 1.
    """

    def steps(*args: Any) -> Any:
        graph = trace(lambda *args: [fn(*args)], *args)
        known: dict[Any, Any] = dict(zip(graph.inputs, args, strict=True))

        def read(atom: Any) -> Any:
            return known[atom] if isinstance(atom, Ref) else atom.value

        for op in graph.ops:
            found = op(*(read(atom) for atom in op.inputs))
            known.update(zip(op.outputs, jax.lax.optimization_barrier(found), strict=True))
        return read(graph.outputs[0])

    return steps
