"""What attacks and bounds ask of a network: that it takes the samples of a batch one by one."""

from collections.abc import Callable, Hashable
from weakref import WeakKeyDictionary

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from theorylab.ntk.guard import inspect
from theorylab.precision import is_traced

# networks, and the shapes with which they were found to be sound: it is asked once, since it takes
# as long as the bounds of a small network
_SOUND: WeakKeyDictionary[Callable, set[Hashable]] = WeakKeyDictionary()


def refuse_coupled(f: Callable[[PyTree, Array], Array], params: PyTree, x: Array) -> None:
    """Refuse a network whose output for a sample depends on the others, or on chance.

    Bounds are of one sample alone, so of such a network they would be bounds of another function.
    It is called on two or three samples; of one sample, or of traced arguments, nothing is known.
    """
    leaves, structure = jax.tree.flatten(params)
    if len(x) < 2 or not leaves or is_traced(leaves, x):
        return
    shapes = structure, x.shape[1:], x.dtype, *map(jnp.shape, leaves)
    try:
        sound = _SOUND.setdefault(f, set())
    except TypeError:  # what has no weak references or cannot be hashed is asked at every call
        sound = set()
    if shapes not in sound:
        inspect(f, params, x)
        sound.add(shapes)
