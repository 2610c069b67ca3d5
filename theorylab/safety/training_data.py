"""What networks are trained on: pretraining samples, and the answers that safety fine-tuning shows.

Source: Jain et al. 2024, section 3, and the trainers that they released; the mini world is ours.
"""

from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from theorylab import checks
from theorylab.errors import InputError
from theorylab.safety import paper_prompts
from theorylab.safety.layout import layout, loss_weights
from theorylab.safety.mini import MiniWorld, sample_prompts
from theorylab.safety.objectives import PairTargets, Targets, next_tokens
from theorylab.safety.paper_grammars import paper_grammar
from theorylab.safety.paper_prompts import EOT, FIRST_OPERATOR, PAD, SOT
from theorylab.safety.prompt_sets import PaperWorld, PromptSet, draw_set
from theorylab.safety.sampling import sample_windows

Protocol = Literal["supervised", "unlearning", "dpo"]
PROTOCOLS = ("supervised", "unlearning", "dpo")
MIXTURE = (0.5, 0.1, 0.2, 0.2)
NULL_SHARE = 0.01  # of paper-scale pretraining samples that ask for a null output
TEXT_WEIGHT = 0.3  # of the text's letters in the mini world
UNSAFE_SHARE = {"supervised": 0.2, "unlearning": 0.5, "dpo": 0.5}


def pretraining_data(
    key: Key[Array, ""],
    world: MiniWorld | PaperWorld,
    n: int,
    *,
    mixture: Float[Any, " 4"] = MIXTURE,
) -> tuple[Int[Array, "n t"], Targets]:
    """Samples from which a network learns to execute operators.

    Args:
        key: typed key.
        world: of either scale.
        n: samples; of a paper-scale world rounded down to as many of each grammar.
        mixture: (4,) shares of samples with the text alone, both outputs, the first output alone
            and the second alone, as `pretraining_mixture` gives; of the paper-scale world only.

    Returns:
        `(x, y)` for `theorylab.nets.fit` with `sft_loss`.

    Raises:
        InputError: what is no key, world or count, or shares that are no probabilities.
    """
    checks.key("key", key)
    n = checks.count("n", n)
    if isinstance(world, MiniWorld):
        tokens = layout(world, sample_prompts(key, world, n)).tokens
        return next_tokens(tokens, loss_weights(text=TEXT_WEIGHT))  # type: ignore[arg-type]
    checks.instance("world", world, PaperWorld, "a MiniWorld or a PaperWorld")
    shares = jnp.asarray(checks.probabilities("mixture", mixture, ndim=1))
    if shares.shape != (4,):
        raise InputError(f"mixture has shape {shares.shape}; four shares are needed")
    each = checks.count("n", n // len(world.grammars))
    parts = [
        _paper_samples(jax.random.fold_in(key, g), world, g, each, shares) for g in world.grammars
    ]
    tokens, weights = (jnp.concatenate(part) for part in zip(*parts, strict=True))
    return next_tokens(tokens, weights)


def tuning_data(
    key: Key[Array, ""], world: MiniWorld | PaperWorld, n: int, *, protocol: Protocol
) -> tuple[Int[Array, "..."], Targets | PairTargets]:
    """What a protocol of safety fine-tuning is shown: safe prompts executed, unsafe ones refused.

    Args:
        key: typed key.
        world: of either scale.
        n: prompts.
        protocol: "supervised": one answer each, a fifth of the prompts unsafe. "unlearning" and
            "dpo": half of them unsafe, with the other answer as the dispreferred one.

    Returns:
        `(x, y)` for `fit`; of pairs x is (n, 2, t) and the references are 0 until `with_reference`
        fills them in.

    Raises:
        InputError: what is no key, world or count, or another protocol.

    Source:
        Jain et al. 2024, section 3.2; in their release a supervised batch is wholly safe or wholly
        unsafe, here the two are mixed in every batch.
    """
    checks.choice("protocol", protocol, PROTOCOLS)
    for_safe, for_unsafe, for_order = jax.random.split(checks.key("key", key), 3)
    unsafe = max(1, round(checks.count("n", n, at_least=2) * UNSAFE_SHARE[protocol]))
    safe_set = draw_set(for_safe, world, n - unsafe, name="safe")
    unsafe_set = draw_set(for_unsafe, world, unsafe, name="unsafe")
    good = [
        jnp.concatenate(pair)
        for pair in zip(_answer(safe_set, True), _answer(unsafe_set, False), strict=True)
    ]
    bad = [
        jnp.concatenate(pair)
        for pair in zip(_answer(safe_set, False), _answer(unsafe_set, True), strict=True)
    ]
    order = jax.random.permutation(for_order, len(good[0]))
    sides = [next_tokens(tokens[order], weights[order]) for tokens, weights in (good, bad)]
    if protocol == "supervised":
        return sides[0]
    x = jnp.stack([side[0] for side in sides], 1)
    tokens = jnp.stack([side[1].tokens for side in sides], 1)
    weights = jnp.stack([side[1].weights for side in sides], 1)
    return x, PairTargets(tokens, weights, jnp.zeros(x.shape[:2]))


# -------------------------------------------------------------------------------- inside


def _answer(prompts: PromptSet, executed: bool) -> tuple[Array, Array]:
    if executed:
        return prompts.executed, prompts.executed_weights
    return prompts.refused, prompts.refused_weights


def _paper_samples(
    key: Array, world: PaperWorld, grammar: int, n: int, shares: Array
) -> tuple[Array, Array]:
    """Sequences (n, t) and the weights (n, t - 1) of what is predicted in them."""
    text_key, operator_key, kind_key, null_key = jax.random.split(key, 4)
    sample = sample_windows(
        text_key, paper_grammar(grammar), n, shortest=world.shortest, longest=world.longest
    )
    operators = paper_prompts.sample_paper_operators(operator_key, n)
    drawn = paper_prompts.paper_layout(world.maps[grammar], operators, sample, length=world.length)
    kind = jax.random.choice(kind_key, 4, (n, 1), p=shares)
    return _masked(drawn.tokens, sample.lengths[:, None], kind, null_key)


def _masked(row: Array, L: Array, kind: Array, key: Array) -> tuple[Array, Array]:
    """Leave out what a kind of sample does not show; ask for null outputs now and then.

    Kinds: 0 the text alone, 1 both outputs, 2 the first one, 3 the second one given the first.
    """
    place, n = jnp.arange(row.shape[1]), row.shape[0]
    coin, slot_key, which_key = jax.random.split(key, 3)
    asks = jax.random.bernoulli(coin, NULL_SHARE, (n, 1))
    slot = jax.random.randint(slot_key, (n, 1), 0, 4)
    which = jax.random.randint(which_key, (n, 1), 0, 2)
    text = (place >= 6) & (place < 6 + L)
    first = (place >= 7 + L) & (place < 7 + 2 * L)
    second = (place >= 8 + 2 * L) & (place < 8 + 3 * L)
    behind = (place == 7 + 2 * L) | second | (place == 8 + 3 * L)
    operator = (place >= 1) & (place < 5)
    early = asks & (slot < 2)
    # a null operator empties its own output, and nothing comes behind
    row = jnp.where(asks & (place == 1 + slot), FIRST_OPERATOR + 22 + which, row)
    row = jnp.where(early & first, which, jnp.where(asks & ~early & second, which, row))
    row = jnp.where(early & (second | (place == 8 + 3 * L)), PAD, row)
    row = jnp.where((kind == 0) & (operator | first | behind), PAD, row)
    row = jnp.where((kind == 2) & (second | (place == 8 + 3 * L)), PAD, row)
    row = jnp.where((kind == 3) & text, PAD, row)
    told = text | first | behind
    told = jnp.where(kind == 3, second | (place == 8 + 3 * L), told)
    weights = told & (row != PAD) & (row != SOT) & (row != EOT)
    return row, weights[:, 1:].astype(jnp.float32)
