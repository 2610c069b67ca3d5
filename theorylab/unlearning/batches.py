"""Which samples every step sees: index arrays of fixed shape, whatever is left out.

A removed sample is one that no index names; a batch that cannot be filled has slots of weight 0. So
the shapes depend on the number of steps and the batch size alone, and one compiled program serves
all deletion sets.
Source: passes as in the code of Goel et al. 2024 (arXiv 2402.14015); the form is ours.
"""

import math
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from theorylab.pytrees import register


@register()
@dataclass(frozen=True)
class Batches:
    """The samples of every step.

    Attributes:
        index: (steps, batch) sample numbers.
        weight: (steps, batch) 1, or 0 for an empty slot.
        ascend: (steps,) whether the step is taken uphill.
    """

    index: Int[Array, "steps batch"]
    weight: Float[Array, "steps batch"]
    ascend: Bool[Array, " steps"]


def stream(
    kept: Bool[Array, " n"], steps: int, batch_size: int, key: Key[Array, ""]
) -> Int[Array, "steps batch"]:
    """Passes over the kept samples, each in a new order, cut into batches.

    Where a pass ends is no matter to the cuts: every kept sample is seen equally often up to one.
    With fewer than half of the samples kept, the orders repeat after as many passes as half of them
    would have needed.
    """
    n, total = kept.shape[0], steps * batch_size
    passes = math.ceil(total / max(1, n // 2))
    count = jnp.maximum(kept.sum(), 1)

    def order(key: Key[Array, ""]) -> Int[Array, " n"]:
        return jnp.argsort(jnp.where(kept, jax.random.uniform(key, (n,)), 2.0)).astype(jnp.int32)

    orders = jax.vmap(order)(jax.random.split(key, passes))
    place = jnp.arange(total)
    picked = orders[place // count % passes, place % count]
    return picked.reshape(steps, batch_size)


@partial(jax.jit, static_argnames=("steps", "batch_size"))
def descending(
    kept: Bool[Array, " n"], steps: int, batch_size: int, key: Key[Array, ""]
) -> Batches:
    """Full batches of the kept samples, all steps downhill."""
    index = stream(kept, steps, batch_size, key)
    return Batches(index, jnp.ones(index.shape), jnp.zeros(steps, bool))


@partial(jax.jit, static_argnames=("steps", "batch_size"))
def alternating(
    forget: Bool[Array, " n"],
    steps: int,
    batch_size: int,
    ascent_steps: Int[Array, ""],
    key: Key[Array, ""],
) -> Batches:
    """A pass uphill over `forget`, then one downhill over the rest, and so on, then only downhill.

    Turns go on as long as a round starts before step `ascent_steps`. The last batch of a pass
    uphill has what is left of it. A pass over r kept samples has ceil(r / batch_size) steps, as a
    loader has that keeps its last batch; here that batch is full, as the stream over the kept
    samples simply goes on.
    """
    order_key, stream_key = jax.random.split(key)
    f = forget.sum()
    up = -(-f // batch_size)
    down = -(-(forget.shape[0] - f) // batch_size)
    t = jnp.arange(steps)
    within = t % jnp.maximum(up + down, 1)
    ascend = (within < up) & (t - within < ascent_steps)

    draws = jnp.where(forget, jax.random.uniform(order_key, forget.shape), 2.0)
    order = jnp.argsort(draws).astype(jnp.int32)
    slot = within[:, None] * batch_size + jnp.arange(batch_size)
    uphill = order[jnp.minimum(slot, forget.shape[0] - 1)]
    downhill = stream(~forget, steps, batch_size, stream_key)
    index = jnp.where(ascend[:, None], uphill, downhill)
    weight = jnp.where(ascend[:, None], slot < f, True).astype(jnp.float32)
    return Batches(index, weight, ascend)


@partial(jax.jit, static_argnames=("most", "batch_size"))
def consecutive(kept: Bool[Array, " n"], most: int, batch_size: int) -> Batches:
    """The kept samples once, in data order, `most` of them at most.

    Batches past the last kept sample are empty, the last one may be partly so.
    """
    steps = math.ceil(most / batch_size)
    order = jnp.argsort(~kept, stable=True).astype(jnp.int32)
    slot = jnp.arange(steps * batch_size)
    index = order[jnp.minimum(slot, kept.shape[0] - 1)]
    weight = (slot < jnp.minimum(kept.sum(), most)).astype(jnp.float32)
    shape = steps, batch_size
    return Batches(index.reshape(shape), weight.reshape(shape), jnp.zeros(steps, bool))
