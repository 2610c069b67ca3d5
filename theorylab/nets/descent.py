"""One update by any optax optimizer, shared by every training loop that takes one.

`nets.fit` and `collective.fit` do, and step by `descend`. Two loops take none and step by
themselves: a federated client, whose plain steps carry the algorithm's proximal term and control
variates (`federated.local`), and the fine-tuning behind Projection Norm, whose rates are an array
so that one compiled program serves every schedule (`shift.training_loops`).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PyTree


def descend(
    optimizer: optax.GradientTransformation,
    gradient: PyTree,
    opt_state: optax.OptState,
    params: PyTree,
    *,
    value: Float[Array, ""],
    value_fn: Callable[[PyTree], Float[Array, ""]],
    rate: float | None = None,
) -> tuple[PyTree, optax.OptState]:
    """Parameters and optimizer state after one update.

    An optimizer that asks for the loss gets it: `optax.polyak_sgd` its value,
    `optax.contrib.reduce_on_plateau` the same, the line search of `optax.lbfgs` the function too.

    Args:
        optimizer: any optax transformation.
        gradient: of the loss at `params`, laid out as they are.
        opt_state: the optimizer's state.
        params: parameters to update.
        value: loss at `params`.
        value_fn: parameters -> loss of this step's batch.
        rate: the update is multiplied by it; None leaves it as it is.

    Returns:
        The new parameters and the new state, of the dtypes given.
    """
    updates, new_state = optax.with_extra_args_support(optimizer).update(
        gradient, opt_state, params, value=value, grad=gradient, value_fn=value_fn
    )
    if rate is not None:
        updates = jax.tree.map(lambda u: rate * u, updates)
    # a line search promotes what it remembers; a loop needs the same types in and out
    new_state = jax.tree.map(_of_type, new_state, opt_state)
    return optax.apply_updates(params, updates), new_state


def _of_type(new: Any, old: Any) -> Array:
    new = jnp.asarray(new)
    return new if new.dtype == jnp.asarray(old).dtype else new.astype(jnp.asarray(old).dtype)
