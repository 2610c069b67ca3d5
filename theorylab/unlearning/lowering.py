"""A network in the forms that a CPU takes faster: those that `theorylab.ntk` has for its passes.

XLA's CPU backend takes the derivative of a maximum over windows one number at a time (a tenth of
the time of a small ResNet-9's batch means), multiplies by the zeros between a cotangent's entries
where a convolution has a stride, and is 15 times slower than a product of matrices where an image
of few positions is convolved back. On other devices nothing is changed.
"""

from collections.abc import Callable
from typing import Any

import jax

from theorylab.ntk import strides
from theorylab.ntk.convolutions import convolutions_as_products
from theorylab.ntk.graph import read, trace

_FEW = 1 << 12  # numbers in the patches of one sample up to which a product of them is faster


def on_cpu() -> bool:
    """Whether programs are compiled for a CPU."""
    return jax.default_backend() == "cpu"


def products_of_few(f: Callable[..., Any], samples: int) -> Callable[..., Any]:
    """The function with convolutions of few positions as products of patches, on a CPU.

    `samples` are those of its batch.
    """
    return convolutions_as_products(f, largest=_FEW * samples) if on_cpu() else f


def for_reverse_mode(f: Callable[..., Any], samples: int) -> Callable[..., Any]:
    """The function in the forms whose gradient is faster on a CPU, where it has reverse mode alone.

    It is traced at every call, so use it inside of `jax.jit`; `samples` are those of its batch.
    """
    if not on_cpu():
        return f
    few = products_of_few(f, samples)

    def replayed(*args: Any) -> Any:
        leaves, layout = jax.tree.flatten(args)
        structure: list[Any] = []

        def flat(*leaves: Any) -> list[Any]:
            out, tree = jax.tree.flatten(few(*jax.tree.unflatten(layout, leaves)))
            structure.append(tree)
            return out

        graph = trace(flat, *leaves)
        values = dict(zip((ref.id for ref in graph.inputs), leaves, strict=True))
        for op in graph.ops:
            out = strides.apply(op, *(read(values, atom) for atom in op.inputs))
            values.update(zip((ref.id for ref in op.outputs), out, strict=True))
        return jax.tree.unflatten(structure[0], [read(values, atom) for atom in graph.outputs])

    return replayed
