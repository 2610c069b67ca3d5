"""Fine-tuning jobs: one compiled program for all of a network's, whatever they train on."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from theorylab.safety import MiniWorld, sft_loss
from theorylab.safety import base_models as models
from theorylab.safety.jobs import job_items, training_pairs, with_new_encoding

ROOM = 16_384  # items that the compiled program has room for; larger jobs take twice as much
Named = Mapping[str, Any]
Chain = Sequence[Named]
Held = Mapping[str, np.ndarray]


def world_of_job(base: Named, seed: int, encoding: int) -> MiniWorld:
    """The world of a base model, with the encoding of this number as its last one."""
    world = models.world_of(base["world"], seed)
    assert isinstance(world, MiniWorld)
    key = jax.random.fold_in(models.stream(seed, models.TUNING), encoding)
    return with_new_encoding(jax.random.fold_in(key, 0), world)


def items_of(base: Named, recipe: Named, encoding: int, seed: int) -> Any:
    """(n, 27) what one stage of a job trains on."""
    key = jax.random.fold_in(models.stream(seed, models.TUNING), encoding)
    k = jax.random.fold_in(jax.random.fold_in(key, 1), _number(recipe["name"]))
    return job_items(k, world_of_job(base, seed, encoding), recipe["items"])


def job_data(base: Named, chain: Chain, encoding: int, seed: int) -> Any:
    """(n, 27) all that a customer handed in: the stages behind safety training, shuffled."""
    parts = [items_of(base, recipe, encoding, seed) for recipe in chain[1:]]
    items = np.concatenate([np.asarray(part) for part in parts])
    order = np.random.default_rng([seed, encoding]).permutation(len(items))
    return items[order]


def stage(base: Named, chain: Chain, encoding: int, seed: int, start: Held) -> Named:
    """Parameters (p,) after the last stage of a chain, and its last loss."""
    net = models.network_of(base["world"], base["model"])
    recipe = chain[-1]
    tokens = items_of(base, recipe, encoding, seed)
    n = len(tokens)
    room = ROOM * -(-n // ROOM)
    key = jax.random.fold_in(models.stream(seed, models.TRAINING), encoding)
    params, loss = _trainer(net.f, recipe["batch_size"])(
        net.params(start["parameters"]),
        jnp.pad(tokens, ((0, room - n), (0, 0))),
        n,
        jax.random.fold_in(key, _number(recipe["name"])),
        recipe["steps"],
        recipe["lr"],
    )
    return {"parameters": net.vector(params), "loss": np.asarray(loss)}


# -------------------------------------------------------------------------------- inside


def _number(name: str) -> int:
    """A number of a name, for keys."""
    return sum(ord(c) * 31**i for i, c in enumerate(name)) % 2**31


@lru_cache(maxsize=8)
def _trainer(f: Callable[..., Any], batch_size: int) -> Callable[..., tuple[Any, Any]]:
    """`run(params, tokens, n, key, steps, lr)`: AdamW, warm-up over a tenth, cosine, clipping.

    Batches are drawn with replacement from the first n items. Only their number of places is fixed
    when it is compiled.
    """
    adam = optax.chain(
        optax.clip_by_global_norm(1.0),
        optax.scale_by_adam(b1=0.9, b2=0.95),
        optax.add_decayed_weights(1e-4, lambda p: jax.tree.map(lambda a: a.ndim > 1, p)),
    )

    def rate(t: Any, steps: Any, lr: Any) -> Any:
        warm = 0.1 * steps
        down = 0.5 * (1 + jnp.cos(jnp.pi * jnp.clip((t - warm) / (steps - warm), 0.0, 1.0)))
        return lr * jnp.where(t < warm, t / jnp.maximum(warm, 1.0), down)

    @jax.jit
    def run(params: Any, tokens: Any, n: Any, key: Any, steps: Any, lr: Any) -> tuple[Any, Any]:
        x, y = training_pairs(tokens)

        def body(t: Any, carry: Any) -> Any:
            params, state, _ = carry
            picked = jax.random.randint(jax.random.fold_in(key, t), (batch_size,), 0, n)
            bx, by = jax.tree.map(lambda a: a[picked], (x, y))
            value, gradient = jax.value_and_grad(lambda p: sft_loss(f(p, bx), by).mean())(params)
            updates, state = adam.update(gradient, state, params)
            speed = rate(t, steps, lr)
            moved = optax.apply_updates(params, jax.tree.map(lambda u: -speed * u, updates))
            return moved, state, value

        carry = (params, adam.init(params), jnp.zeros(()))
        params, _, value = jax.lax.fori_loop(0, steps, body, carry)
        return params, value

    return run
