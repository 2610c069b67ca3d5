"""Forward-mode derivatives, also of layers that have a backward pass alone."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PyTree


def pushforward(function: Callable, at: PyTree) -> Callable[[PyTree], tuple[PyTree, PyTree]]:
    """Value and directional derivative at a point, of a tangent; also of layers with `custom_vjp`.

    These have no forward mode; the transpose of their backward pass, which is linear, takes its
    place.
    """
    if not _backward_only(jax.make_jaxpr(function)(at)):
        return lambda tangent: jax.jvp(function, (at,), (tangent,))

    def twice_back(tangent: PyTree) -> tuple[PyTree, PyTree]:
        value, pullback = jax.vjp(function, at)
        zeros = jax.tree.map(jnp.zeros_like, value)
        _, transposed = jax.vjp(lambda cotangent: pullback(cotangent)[0], zeros)
        return value, transposed(tangent)[0]

    return twice_back


def _backward_only(program: Any) -> bool:
    """Whether a program calls a function with its own backward pass."""
    for eqn in getattr(program, "jaxpr", program).eqns:
        if "custom_vjp" in eqn.primitive.name:
            return True
        for leaf in jax.tree.leaves(list(eqn.params.values()), is_leaf=_is_program):
            if _is_program(leaf) and _backward_only(leaf):
                return True
    return False


def _is_program(value: Any) -> bool:
    return hasattr(value, "eqns") or hasattr(value, "jaxpr")
