"""Cheap probes of a network before its kernel is computed."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from theorylab.errors import InputError

_MEND = "switch it to evaluation mode, e.g. model.eval() or use_running_average=True."


def probe(f: Callable, params: PyTree, x: PyTree) -> tuple[Array, Array, Array]:
    """The outputs of a few samples: twice in one batch, and one by one."""

    def flat(out: PyTree) -> Array:
        return jnp.concatenate([leaf.reshape(leaf.shape[0], -1) for leaf in jax.tree.leaves(out)], 1)

    def alone(sample: PyTree) -> Array:
        return flat(f(params, jax.tree.map(lambda leaf: leaf[None], sample)))[0]

    return flat(f(params, x)), flat(f(params, x)), jax.vmap(alone)(x)


def run_probe(probe: Callable, params: PyTree, x: PyTree) -> tuple[Array, Array, Array]:
    """`probe(params, x)`, with the error of a Flax model that updates statistics or keys as it is called explained."""
    try:
        return probe(params, x)
    except Exception as error:
        if type(error).__name__ != "TraceContextError":
            raise
        raise InputError(f"f changes its own state when called; {_MEND}") from error


def refuse_coupling(together: Array, again: Array, alone: Array) -> None:
    """Raise `InputError` where the probe shows that a sample's output depends on its neighbours or on chance."""
    first, second, single = (np.asarray(a, np.float64) for a in (together, again, alone))
    if not np.isfinite(first).all():
        raise InputError("f: the outputs have non-finite entries; check params and x for NaN, infinities or overflow.")
    # The same arithmetic in another order: rounding alone stays far below a thousandth of the outputs' size.
    limit = 1e-3 * max(np.abs(first).max(initial=0.0), 1e-30)
    if np.abs(first - second).max(initial=0.0) > limit:
        raise InputError(f"f: two calls on the same data differ (dropout without a fixed key?); {_MEND}")
    if not np.abs(first - single).max(initial=0.0) <= limit:  # also where a sample alone gives NaN
        raise InputError(
            "f couples the samples of a batch (batch norm in training mode, dropout, attention across samples?), so "
            f"its kernel is not defined pair by pair; {_MEND}"
        )
