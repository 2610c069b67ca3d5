"""Base models: networks that learnt to execute operators, the same for every room that tunes them.

`base` is the computation of a room's cell: JSON in, named arrays out. Rooms that declare it as an
experiment "base" of the home `HOME`, with the same parameters, share one trained network.

Source: Jain et al. 2024, section 3 and the trainer of the release; the mini world is ours.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int

from theorylab import checks
from theorylab.nets import fit, functional
from theorylab.nets.gpt import GPT, greedy_decoder
from theorylab.safety.layout import LENGTH, VOCABULARY
from theorylab.safety.mini import MiniWorld, mini_world
from theorylab.safety.objectives import sft_loss
from theorylab.safety.paper_prompts import PAPER_VOCABULARY, pretraining_mixture
from theorylab.safety.prompt_sets import PaperWorld, PromptSet, paper_world
from theorylab.safety.training_data import pretraining_data

HOME = "safety_base"
# what the seed of a cell is folded with, for each of its uses
WORLD, START, SAMPLES, TRAINING, TUNING, TESTS = range(6)


@dataclass(frozen=True)
class Network:
    """A transformer of a world, as functions.

    Attributes:
        model: the module; its own parameters are not used.
        f: `f(params, tokens)`.
        vector: parameters to one vector, as cells hold them.
        params: such a vector to parameters.
    """

    model: GPT
    f: Callable[..., Any]
    vector: Callable[[Any], Float[np.ndarray, " p"]]
    params: Callable[[Any], Any]


def stream(seed: int, use: int) -> Array:
    """The key of one use of a cell's seed.

    Args:
        seed: of the cell.
        use: one of this module's constants.

    Returns:
        A typed key.
    """
    return jax.random.fold_in(jax.random.key(seed), use)


def world_of(world: Mapping[str, Any], seed: int) -> MiniWorld | PaperWorld:
    """The world that a cell names.

    Args:
        world: {"scale": "mini"}, or {"scale": "paper"} with the arguments of `paper_world`.
        seed: of the cell; it draws a mini world.

    Returns:
        A world.

    Raises:
        InputError: another scale.
    """
    options = dict(world)
    scale = checks.choice("world['scale']", options.pop("scale", None), ("mini", "paper"))
    if scale == "mini":
        return mini_world(stream(seed, WORLD))
    return paper_world(**{**options, "grammars": tuple(options.get("grammars", range(4)))})


def network_of(world: Mapping[str, Any], model: Mapping[str, Any]) -> Network:
    """The network that a cell names, made once for equal names.

    Args:
        world: as for `world_of`.
        model: options of `GPT`, such as width, depth and heads.

    Returns:
        A `Network`.
    """
    return _network(json.dumps(world, sort_keys=True), json.dumps(model, sort_keys=True))


def decoder_of(
    world: Mapping[str, Any], model: Mapping[str, Any], steps: int
) -> Callable[..., Any]:
    """The greedy decoder of a network, compiled once for equal names.

    Args:
        world: as for `world_of`.
        model: as for `network_of`.
        steps: tokens to write.

    Returns:
        As `greedy_decoder` gives.
    """
    return _decoder(json.dumps(world, sort_keys=True), json.dumps(model, sort_keys=True), steps)


def written(
    world: Mapping[str, Any], model: Mapping[str, Any], params: Any, prompts: PromptSet
) -> Int[Array, "n s"]:
    """What a network writes to every prompt of a set, from the set's first answer place on.

    Args:
        world: as for `world_of`.
        model: as for `network_of`.
        params: parameters.
        prompts: a `PromptSet`.

    Returns:
        (n, last - first) tokens, as `judge` takes them.
    """
    decode = decoder_of(world, model, prompts.last - prompts.first)
    return decode(params, prompts.executed[:, : prompts.first], prompts.forced())


def optimizer(lr: float, steps: int, schedule: Mapping[str, float]) -> optax.GradientTransformation:
    """AdamW with a linear warm-up and a cosine, gradients clipped to norm 1.

    Args:
        lr: the largest learning rate.
        steps: of the whole training.
        schedule: "warmup" and "decay", shares of the steps at which the rate is largest and least,
            and "floor", the least rate as a share of the largest.

    Returns:
        An optax transformation; weight decay 1e-4 acts on matrices only.
    """
    warm, end = (steps * schedule[name] for name in ("warmup", "decay"))
    least = lr * schedule["floor"]

    def rate(count: Any) -> Any:
        through = jnp.clip((count - warm) / max(end - warm, 1.0), 0.0, 1.0)
        down = least + 0.5 * (1 + jnp.cos(jnp.pi * through)) * (lr - least)
        return jnp.where(count < warm, lr * count / max(warm, 1.0), down)

    def matrices(params: Any) -> Any:
        return jax.tree.map(lambda a: a.ndim > 1, params)

    adam = optax.adamw(rate, b1=0.9, b2=0.95, weight_decay=1e-4, mask=matrices)
    return optax.chain(optax.clip_by_global_norm(1.0), adam)


def base(
    world: Mapping[str, Any], model: Mapping[str, Any], training: Mapping[str, Any], seed: int
) -> Mapping[str, Any]:
    """Train a base model.

    Args:
        world: as for `world_of`.
        model: as for `network_of`.
        training: "samples", "steps", "batch_size", "lr", "schedule" as for `optimizer`, and
            "stages": with more than one, each draws samples of its own, with the mixture of its
            middle, and starts Adam's averages from zero.
        seed: draws the world, the start, the samples and the batches.

    Returns:
        "parameters" (p,) and "loss" (steps,).
    """
    net, drawn = network_of(world, model), world_of(world, seed)
    module = _module(world, model, stream(seed, START))
    params, losses = functional(module)[1], []
    stages, steps = training["stages"], training["steps"]
    length = steps // stages
    for stage in range(stages):
        key = jax.random.fold_in(stream(seed, SAMPLES), stage)
        warmup = round(steps * training["schedule"]["warmup"])
        shares = pretraining_mixture(round((stage + 0.5) * length), warmup=warmup, steps=steps)
        x, y = pretraining_data(key, drawn, training["samples"], mixture=shares)
        run = fit(
            net.f,
            (x, y),
            params=params,
            key=jax.random.fold_in(stream(seed, TRAINING), stage),
            optimizer=_from(optimizer_options(training), stage * length),
            batch_size=training["batch_size"],
            steps=length,
            loss=sft_loss,
            progress=False,
        )
        params = run.params
        losses.append(run.loss)
    return {"parameters": net.vector(params), "loss": np.concatenate(losses)}


def optimizer_options(training: Mapping[str, Any]) -> tuple[float, int, Mapping[str, float]]:
    """The arguments of `optimizer` among those of a training.

    Args:
        training: with "lr", "steps" and "schedule".

    Returns:
        The three.
    """
    return training["lr"], training["steps"], training["schedule"]


# -------------------------------------------------------------------------------- inside


def _from(
    options: tuple[float, int, Mapping[str, float]], first: int
) -> optax.GradientTransformation:
    """The optimizer as if `first` steps had been made already."""
    made = optimizer(*options)
    if not first:
        return made

    def init(params: Any) -> Any:
        # the only counters that the learning rate reads are those of its schedule
        def moved(state: Any) -> Any:
            if isinstance(state, optax.ScaleByScheduleState):
                return state._replace(count=state.count + first)
            return state

        return jax.tree.map(
            moved, made.init(params), is_leaf=lambda s: isinstance(s, optax.ScaleByScheduleState)
        )

    return optax.GradientTransformation(init, made.update)


def _module(world: Mapping[str, Any], model: Mapping[str, Any], key: Array) -> GPT:
    scale = world["scale"]
    if scale == "mini":
        vocabulary, context = VOCABULARY, LENGTH
    else:
        made = world_of(world, 0)
        assert isinstance(made, PaperWorld)
        vocabulary, context = PAPER_VOCABULARY, made.length
    return GPT(vocabulary, context, rngs=nnx.Rngs(key), **model)


@lru_cache(maxsize=8)
def _network(world: str, model: str) -> Network:
    module = _module(json.loads(world), json.loads(model), jax.random.key(0))
    f, start = functional(module)
    unravel = ravel_pytree(start)[1]

    def vector(params: Any) -> np.ndarray:
        return np.asarray(ravel_pytree(params)[0], np.float32)

    def params(values: Any) -> Any:
        return unravel(jnp.asarray(values, jnp.float32))

    return Network(module, f, vector, params)


@lru_cache(maxsize=16)
def _decoder(world: str, model: str, steps: int) -> Callable[..., Any]:
    return greedy_decoder(_network(world, model).model, steps=steps)
