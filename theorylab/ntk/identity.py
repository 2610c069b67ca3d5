"""The digest of a network: what a kernel on disk belongs to, the same in every process."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from theorylab.digests import program_digest
from theorylab.ntk.analysis import split


def function_digest(f: Callable, params: PyTree, x: PyTree) -> str:
    """SHA-256 of the operations of `f(params, x)` for one sample, and of those of its derivative.

    Constants count too. The derivative is part of it, since two functions may differ in a custom
    one alone.
    """
    weights, fixed, join = split(params)
    leaves, structure = jax.tree.flatten(x)

    def derivative(weights: list[Array], sample: list[Array], fixed: list[Array]) -> Any:
        def outputs(weights: list[Array]) -> Array:
            found = f(join(weights, fixed), jax.tree.unflatten(structure, sample))
            return jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(found)])

        values, pullback = jax.vjp(outputs, weights)
        return values, pullback(jnp.ones_like(values))

    sample = [jax.ShapeDtypeStruct((1, *leaf.shape[1:]), leaf.dtype) for leaf in leaves]
    return program_digest(derivative, weights, sample, fixed)
