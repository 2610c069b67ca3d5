"""How a dataclass becomes a PyTree: `register`, the one door for every such type of theorylab.

From JAX 0.10.0 on, structures of two different types registered by
`jax.tree_util.register_dataclass` compare equal when their numbers of data fields and the values of
their static fields do: the comparison of two nodes looks at the type of nodes with flattening
functions of their own, and not at that of dataclasses. Their hashes differ. Where the hashes meet
in the cache of a compiled function, the program of one type runs for the other. Nodes with
functions of their own are compared by type; so these are what is registered here.
`docs/guides/jax_structures.md` tells the rest.
"""

from collections.abc import Callable
from dataclasses import fields
from operator import attrgetter
from typing import Any, TypeVar

from jax.tree_util import GetAttrKey, register_pytree_with_keys

from theorylab.errors import InputError

T = TypeVar("T")


def register(*static: str) -> Callable[[type[T]], type[T]]:
    """Class decorator: a dataclass becomes a PyTree whose children are its fields.

    Use it, and never JAX's own `register_dataclass`, for every type of theorylab
    (docs/guides/jax_structures.md says why). A field is static when it is named here or has
    `metadata={"static": True}`; its value is a part of the structure, must be hashable, and a
    compiled function is compiled once more for each value of it. A subclass is registered by
    itself, and names its static fields once more where they are not marked. As with JAX's own, keys
    are attribute names, children come in the order of the fields, and an object is rebuilt by
    calling its class, so `__post_init__` runs and must bear tracers and placeholders.

        @register("clip")
        @dataclass(frozen=True)
        class Model: ...

    Args:
        *static: names of the fields that are no children.

    Returns:
        A decorator that gives the class back.

    Raises:
        InputError: the class is no dataclass, a name is none of its fields, or a field is not an
            argument of its constructor, without which no copy can be made.
    """

    def decorate(cls: type[T]) -> type[T]:
        # its own: those of a base would leave out what it adds
        if "__dataclass_fields__" not in vars(cls):
            raise InputError(
                f"register: {cls.__name__} is no dataclass; put @register() above @dataclass"
            )
        every = fields(cls)  # type: ignore[arg-type]
        names = [field.name for field in every]
        if unknown := set(static).difference(names):
            raise InputError(
                f"register: {cls.__name__} has no field {sorted(unknown)}; its fields are {names}"
            )
        if hidden := [field.name for field in every if not field.init]:
            raise InputError(
                f"register: {cls.__name__} sets {hidden} itself (init=False), which a copy loses; "
                "make it a property"
            )
        meta = tuple(f.name for f in every if f.name in static or f.metadata.get("static", False))
        data = tuple(name for name in names if name not in meta)
        children, statics = _values(data), _values(meta)
        keys, order = tuple(map(GetAttrKey, data)), meta + data
        register_pytree_with_keys(
            cls,
            lambda tree: (zip(keys, children(tree), strict=True), statics(tree)),
            lambda aux, leaves: cls(**dict(zip(order, (*aux, *leaves), strict=True))),
            lambda tree: (children(tree), statics(tree)),
        )
        return cls

    return decorate


def _values(names: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
    """A function that reads the named attributes as fast as Python can.

    Every call of a compiled function flattens its arguments.
    """
    if not names:
        return lambda tree: ()
    read = attrgetter(*names)
    return read if len(names) > 1 else lambda tree: (read(tree),)
