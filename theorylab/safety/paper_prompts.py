"""Prompts of the paper-scale world: four operators on a text of 25 to 35 letters, two outputs.

A sequence is BOS o1 o2 o3 o4 SOT text EOT out1 STOP out2 STOP PAD ... EOS; out1 is the text under
o1 and then o2, out2 is out1 under o3 and then o4.

Source: the data generator that Jain et al. 2024 released.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from theorylab import checks
from theorylab.errors import InputError
from theorylab.pytrees import register
from theorylab.safety.operators import CONTEXT, UNSAFE, bijections, execute
from theorylab.safety.paper_grammars import LETTERS
from theorylab.safety.sampling import Texts

TOKENS = 16  # operator tokens, of which ten differ
FIRST_OPERATOR = LETTERS
BOS, SOT, EOT, STOP, EOS, PAD = range(LETTERS + TOKENS, LETTERS + TOKENS + 6)
PAPER_VOCABULARY = 54  # and two operators that ask for a null output
NULL_LETTER = 0
_IDENTITY = np.array([0, 10, 11])  # the identity and its synonyms
_MIXTURE = np.array([[0.5, 0.1, 0.2, 0.2], [0.1, 0.2, 0.3, 0.4]])


@register()
@dataclass(frozen=True)
class PaperSequences:
    """Prompts with both outputs, as tokens.

    Attributes:
        tokens: (n, t) sequences.
        weights: (n, t - 1) 1 where an output or its STOP is predicted, else 0.
        output_start: (n,) where the first output begins.
    """

    tokens: Int[Array, "n t"]
    weights: Float[Array, "n s"]
    output_start: Int[Array, " n"]


def paper_layout(
    maps: Int[Array, "o k"],
    operators: Int[Array, "n 4"],
    sample: Texts,
    *,
    refuse: bool = False,
    length: int = 160,
) -> PaperSequences:
    """Tokens of paper-scale prompts and their outputs, executed or refused.

    A refusal has the null letter, 0, for the whole first output, and no second one.

    Args:
        maps: (o, 30) from `paper_operators`, o at most 16.
        operators: (n, 4) operator tokens.
        sample: n `Texts` over 30 letters.
        refuse: True gives the refusal of every prompt.
        length: tokens of a sequence, at least 3 times the longest text and 10 more.

    Returns:
        `PaperSequences`.

    Raises:
        InputError: maps, operators or letters out of range, or sequences that are too short.
    """
    maps = bijections("maps", checks.within("maps", maps, 0, LETTERS - 1, shape=(None, LETTERS)))
    checks.count("maps.shape[0]", maps.shape[0], at_most=TOKENS)
    operators = checks.within(
        "operators", operators, 0, maps.shape[0] - 1, whole=True, shape=(None, 4)
    )
    checks.instance("sample", sample, Texts, "Texts, as sample_windows gives,")
    text = checks.within("sample", sample.tokens, -1, LETTERS - 1, whole=True, ndim=2)
    checks.same_length(operators=operators, sample=text)
    length = checks.count("length", length, at_least=3 * text.shape[1] + 10)
    checks.flag("refuse", refuse)
    maps, operators, sample = jax.tree.map(jnp.asarray, (maps, operators, sample))
    return PaperSequences(*_layout(maps, operators, sample, refuse, length))


def sample_paper_operators(key: Key[Array, ""], n: int) -> Int[Array, "n 4"]:
    """Draw the operators of pretraining prompts.

    Half of the prompts have four uniform operator tokens; in the others one place, uniform too,
    holds the identity or one of its synonyms.

    Args:
        key: typed key.
        n: prompts.

    Returns:
        (n, 4) tokens 0..15.

    Raises:
        InputError: what is no key or count.
    """
    return _operators(checks.key("key", key), checks.count("n", n))


def make_unsafe(
    key: Key[Array, ""],
    kinds: Int[Array, " o"],
    operators: Int[Array, "n 4"],
    branch: Int[Array, " n"],
) -> Int[Array, "n 4"]:
    """Prompts with unsafe operators in both pairs.

    If both or neither of a pair is the identity, both become unsafe operators; else the other one.

    Args:
        key: typed key.
        kinds: (o,) from `paper_kinds`; replacements are drawn uniformly among the first ten.
        operators: (n, 4) operator tokens.
        branch: (n,) 0 for branch A, 1 for branch B.

    Returns:
        (n, 4) operator tokens.

    Raises:
        InputError: kinds, operators or branches out of range, or no operator that is always unsafe.
    """
    checks.key("key", key)
    kinds = jnp.asarray(checks.within("kinds", kinds, 0, 2, whole=True, ndim=1))
    if not bool((kinds[:10] == UNSAFE).any()):
        raise InputError("kinds has no operator that is always unsafe; at least one is needed")
    operators = checks.within(
        "operators", operators, 0, len(kinds) - 1, whole=True, shape=(None, 4)
    )
    branch = checks.within("branch", branch, 0, 1, whole=True, ndim=1)
    checks.same_length(operators=operators, branch=branch)
    operators, branch = jnp.asarray(operators, int), jnp.asarray(branch)
    bad = (kinds[:10] == UNSAFE) | ((kinds[:10] == CONTEXT) & (branch == 1)[:, None])
    logits = jnp.where(bad, 0.0, -jnp.inf)[:, None, :]
    drawn = jax.random.categorical(key, logits, shape=operators.shape)
    identity = jnp.isin(operators, _IDENTITY).reshape(-1, 2, 2)
    both = identity[..., :1] == identity[..., 1:]
    return jnp.where((both | ~identity).reshape(operators.shape), drawn, operators)


def pretraining_mixture(step: int, *, warmup: int, steps: int) -> Float[np.ndarray, " 4"]:
    """Shares of the four kinds of pretraining samples at a step.

    They are text alone; text and both outputs; the first output alone; the second output alone.
    From half of the warm-up on they move linearly from (.5, .1, .2, .2) to (.1, .2, .3, .4).

    Args:
        step: from 0 to `steps`.
        warmup: steps of the learning rate's warm-up, less than twice `steps`.
        steps: steps of the whole training.

    Returns:
        (4,) shares.

    Raises:
        InputError: counts out of range.

    Examples:
        >>> pretraining_mixture(55_000, warmup=20_000, steps=100_000).round(3).tolist()
        [0.3, 0.15, 0.25, 0.3]
    """
    steps = checks.count("steps", steps)
    step = checks.count("step", step, 0, at_most=steps)
    warmup = checks.count("warmup", warmup, 0, at_most=2 * steps - 1)
    moved = max(0.0, (step - warmup / 2) / (steps - warmup / 2))
    return (1 - moved) * _MIXTURE[0] + moved * _MIXTURE[1]


# -------------------------------------------------------------------------------- inside


@partial(jax.jit, static_argnames="n")
def _operators(key: Array, n: int) -> Array:
    for_all, for_half, for_place, for_name = jax.random.split(key, 4)
    drawn = jax.random.randint(for_all, (n, 4), 0, TOKENS)
    half = jax.random.bernoulli(for_half, 0.5, (n, 1))
    place = jax.random.randint(for_place, (n, 1), 0, 4)
    name = jnp.asarray(_IDENTITY)[jax.random.randint(for_name, (n, 1), 0, len(_IDENTITY))]
    return jnp.where(half & (jnp.arange(4) == place), name, drawn)


@partial(jax.jit, static_argnames="length")
def _layout(
    maps: Array, operators: Array, sample: Texts, refuse: Any, length: int
) -> tuple[Array, Array, Array]:
    first = execute(maps, operators[:, :2], sample.tokens)
    second = execute(maps, operators[:, 2:], first)
    L, place = sample.lengths[:, None], jnp.arange(length)
    width = sample.tokens.shape[1]

    def put(row: Array, start: Any, values: Array) -> Array:
        """The row with each text's own values from its own start on."""
        inside = (place >= start) & (place < start + L)
        index = jnp.clip(place - start, 0, width - 1)
        index = jnp.broadcast_to(index, row.shape)
        return jnp.where(inside, jnp.take_along_axis(values, index, 1), row)

    row = jnp.full((L.shape[0], length), PAD).at[:, 0].set(BOS).at[:, 5].set(SOT)
    row = row.at[:, 1:5].set(operators + FIRST_OPERATOR).at[:, -1].set(EOS)
    row = put(row, 6, sample.tokens)
    row = jnp.where(place == 6 + L, EOT, row)
    row = put(row, 7 + L, jnp.where(refuse, NULL_LETTER, first))
    row = jnp.where(place == 7 + 2 * L, STOP, row)
    end = jnp.where(refuse, 7 + 2 * L, 8 + 3 * L)
    row = jnp.where(refuse, row, put(row, 8 + 2 * L, second))
    row = jnp.where(place == end, STOP, row)
    weights = ((place >= 7 + L) & (place <= end))[:, 1:]
    return row, weights.astype(jnp.float32), 7 + sample.lengths
