"""A gradient step as a pure function, and the two ways to run many of them."""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key, PyTree

from theorylab.nets.descent import descend
from theorylab.nets.functional import Params, State
from theorylab.nets.training_inputs import Loss

# the array is the permutation of the current epoch
Carry = tuple[Params, optax.OptState, State, Array]
Augment = Callable[[Key[Array, ""], Any], Any]
Advance = Callable[[Carry, int, int, Array, PyTree], tuple[Carry, Array]]

# What the run's key is folded with for each of its uses; far from the small counters of nnx.Rngs,
# so that one key may serve both the initialisation and the training.
_ORDER, _AUGMENT, _STREAMS = 0x0D0E0001, 0x0D0E0002, 0x0D0E0003


@dataclasses.dataclass(frozen=True)
class Training:
    """One gradient step and what it needs; `init` makes the carry of a run, `step` advances it."""

    apply: Callable[[Params, State, Any], tuple[Any, State]]
    loss: Loss
    optimizer: optax.GradientTransformation
    augment: Augment | None
    n: int
    batch_size: int

    def init(self, params: Params, state: State, key: Key[Array, ""]) -> Carry:
        """The carry of a run before its first step."""
        # the carry is donated: no two of its arrays, nor one of the caller's, may be one buffer
        params, opt_state, state = jax.tree.map(
            lambda a: jnp.array(a, copy=True),
            (params, self.optimizer.init(params), _reseed(state, key)),
        )
        return params, opt_state, state, jnp.arange(self.n)

    def step(
        self, carry: Carry, t: Array, key: Key[Array, ""], data: PyTree
    ) -> tuple[Carry, Float[Array, ""]]:
        """One gradient step: the new carry and the loss before it."""
        params, opt_state, state, order = carry
        if self.batch_size < self.n:
            per_epoch = self.n // self.batch_size
            epoch_key = jax.random.fold_in(jax.random.fold_in(key, _ORDER), t // per_epoch)
            order = jax.lax.cond(
                t % per_epoch == 0,
                lambda: jax.random.permutation(epoch_key, self.n).astype(order.dtype),
                lambda: order,
            )
            picked = jax.lax.dynamic_slice_in_dim(
                order, (t % per_epoch) * self.batch_size, self.batch_size
            )
            data = jax.tree.map(lambda a: a[picked], data)
        x, y, weights = data
        if self.augment is not None:
            x = self.augment(jax.random.fold_in(jax.random.fold_in(key, _AUGMENT), t), x)

        def objective(params: Params) -> tuple[Float[Array, ""], State]:
            output, new_state = self.apply(params, state, x)
            value = self.loss(output, y)
            value = value.reshape(value.shape[0], -1).mean(1)
            return (value if weights is None else value * weights).mean(), new_state

        (value, new_state), gradient = jax.value_and_grad(objective, has_aux=True)(params)
        params, opt_state = descend(
            self.optimizer,
            gradient,
            opt_state,
            params,
            value=value,
            value_fn=lambda params: objective(params)[0],
        )
        # batch norm may promote its statistics; a loop needs the same types in and out
        state = jax.tree.map(lambda new, old: new.astype(old.dtype), new_state, state)
        return (params, opt_state, state, order), value


def _reseed(state: State, key: Key[Array, ""]) -> State:
    """Replace the keys of the dropout streams by ones drawn from `key`.

    So `key` alone fixes the training.
    """
    leaves, layout = jax.tree.flatten(state)
    for i, leaf in enumerate(leaves):
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            leaves[i] = jax.random.split(
                jax.random.fold_in(jax.random.fold_in(key, _STREAMS), i), leaf.shape
            )
    return jax.tree.unflatten(layout, leaves)


def best_loop(
    training: Training, carry: Carry, key: Key[Array, ""], data: PyTree
) -> Literal["device", "host"]:
    """How a chunk of steps runs fastest: as one compiled loop, or step by step from the host."""
    if jax.default_backend() != "cpu":
        return "device"
    program = str(jax.make_jaxpr(training.step)(carry, 0, key, data))
    return "host" if "conv_general_dilated" in program else "device"


def advance_in_chunks(training: Training, chunk: int, loop: str, *, batched: bool) -> Advance:
    """The compiled function that advances a run by a chunk of steps.

    It is (carry, t0, t1, key, data) -> (carry, losses of steps t0 .. t1 - 1), the carry donated.
    """
    step = jax.vmap(training.step, in_axes=(0, None, 0, None)) if batched else training.step

    def on_device(
        carry: Carry, t0: Array, t1: Array, key: Array, data: PyTree
    ) -> tuple[Carry, Array]:
        # a loop with a dynamic end rather than a scan of fixed length: a shorter last chunk costs
        # no second compilation
        def body(t: Array, carried: tuple[Carry, Array]) -> tuple[Carry, Array]:
            carry, losses = carried
            carry, value = step(carry, t, key, data)
            return carry, losses.at[..., t - t0].set(value)

        value = jax.eval_shape(step, carry, t0, key, data)[1]
        return jax.lax.fori_loop(
            t0, t1, body, (carry, jnp.zeros((*value.shape, chunk), value.dtype))
        )

    if loop == "device":
        compiled = jax.jit(on_device, donate_argnums=0)

        def device(carry: Carry, t0: int, t1: int, key: Array, data: PyTree) -> tuple[Carry, Array]:
            carry, losses = compiled(carry, t0, t1, key, data)
            return carry, losses[..., : t1 - t0]

        return device
    one = jax.jit(step, donate_argnums=0)

    def host(carry: Carry, t0: int, t1: int, key: Array, data: PyTree) -> tuple[Carry, Array]:
        losses = []
        for t in range(t0, t1):
            carry, value = one(carry, t, key, data)
            losses.append(value)
        return carry, jnp.stack(losses, axis=-1)

    return host
