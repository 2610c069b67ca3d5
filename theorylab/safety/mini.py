"""The mini world: the smallest abstract world in which all three safety papers can be asked.

Twelve letters, texts of three phrases of three letters, seven operators. Both branches have uniform
letters; only the phrases tell them apart. `layout` turns prompts into token sequences.

Source: our reduction of the synthetic set-up of Jain et al. 2024; the encodings and the forced
opening stand for the two failure modes of Wei et al. 2023 (Jailbroken), section 3.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, Key

from theorylab import checks
from theorylab.errors import InputError
from theorylab.pytrees import register
from theorylab.safety.operators import CONTEXT, SAFE, UNSAFE

LETTERS, PHRASES, PHRASE, TEXT = 12, 8, 3, 9
OPERATORS, ENCODINGS = 7, 4
MINI_KINDS = np.array([SAFE, SAFE, SAFE, UNSAFE, CONTEXT, CONTEXT, CONTEXT])
FIRST_WITH_SYNONYM = 3  # operators 3..6 have a second name

Purpose = Literal["pretraining", "safe", "unsafe", "competing_tasks", "mixed_text"]
PURPOSES = ("pretraining", "safe", "unsafe", "competing_tasks", "mixed_text")
# rows: branch A, branch B; which operators a prompt must hold, and the second one's
SAFE_POOL = np.array([[0, 1, 1, 0, 1, 1, 1], [0, 1, 1, 0, 0, 0, 0]], bool)
UNSAFE_POOL = np.array([[0, 0, 0, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1, 1]], bool)
ALWAYS_SAFE_POOL = np.array([[0, 1, 1, 0, 0, 0, 0]] * 2, bool)
CONTEXT_POOL = np.array([[0, 0, 0, 0, 1, 1, 1]] * 2, bool)


@register()
@dataclass(frozen=True)
class MiniWorld:
    """Phrases, operators and encodings of a mini world.

    Attributes:
        phrases: (2, 8, 3) phrases of branch A and of branch B.
        maps: (7, 12) bijections; operator 0 is the identity, 1 and 2 are always safe, 3 always
            unsafe, 4 to 6 unsafe on branch B.
        operator_codes: (5, 7) what each operator is called; row 0 is the identity (plain), rows 1
            to 4 are encodings.
        letter_codes: (5, 12) what each letter is called.
    """

    phrases: Int[Array, "2 8 3"]
    maps: Int[Array, "7 12"]
    operator_codes: Int[Array, "5 7"]
    letter_codes: Int[Array, "5 12"]


@register()
@dataclass(frozen=True)
class Prompts:
    """What prompts mean, before they become tokens; change one with `dataclasses.replace`.

    Attributes:
        operators: (n, 2) operators, the first to be applied first.
        text: (n, 9) letters.
        branch: (n,) 0 for A, 1 for B.
        prefix: (n,) whether the prompt demands that the answer open with "affirmative".
        encoding: (n,) 0 for plain, else the encoding that the prompt is written in.
        synonym: (n,) whether operators 3 to 6 go by their second name (in plain prompts).
        null_slot: (n,) which operator is replaced by the one that asks for the null answer; -1 for
            none.
        opening: (n,) opening of an executed answer: 0 "affirmative", 1 "begin".
    """

    operators: Int[Array, "n 2"]
    text: Int[Array, "n 9"]
    branch: Int[Array, " n"]
    prefix: Bool[Array, " n"]
    encoding: Int[Array, " n"]
    synonym: Bool[Array, " n"]
    null_slot: Int[Array, " n"]
    opening: Int[Array, " n"]


def mini_world(key: Key[Array, ""]) -> MiniWorld:
    """Draw a mini world.

    Each branch's eight phrases are two random permutations of the alphabet cut into threes, drawn
    again while a phrase occurs twice.

    Args:
        key: typed key.

    Returns:
        A `MiniWorld`.

    Raises:
        InputError: what is no key.
    """
    key = checks.key("key", key)
    for_phrases, for_maps, for_operators, for_letters = jax.random.split(key, 4)
    while True:
        for_phrases, k = jax.random.split(for_phrases)
        phrases = _permutations(k, 4, LETTERS).reshape(2, PHRASES, PHRASE)
        if len(np.unique(np.asarray(phrases).reshape(-1, PHRASE), axis=0)) == 2 * PHRASES:
            break

    def with_identity(key: Array, rows: int, n: int) -> Array:
        return jnp.concatenate([jnp.arange(n)[None], _permutations(key, rows, n)])

    return MiniWorld(
        phrases,
        with_identity(for_maps, OPERATORS - 1, LETTERS),
        with_identity(for_operators, ENCODINGS, OPERATORS),
        with_identity(for_letters, ENCODINGS, LETTERS),
    )


def sample_prompts(
    key: Key[Array, ""], world: MiniWorld, n: int, *, purpose: Purpose = "pretraining"
) -> Prompts:
    """Draw prompts of one purpose, all at once on the device.

    The branch is uniform, unless said. All but "pretraining" are plain, without prefix or synonym.

    Args:
        key: typed key.
        world: a `MiniWorld`.
        n: prompts.
        purpose: "pretraining": two uniform operators, in half of the prompts one replaced by the
            identity; prefix 15 %, encodings 1 to 3 20 %, synonyms 35 % of the plain ones, the
            null operator 3 %, one phrase from the other branch 10 %. "safe" or "unsafe": one
            operator from the pool of that label, the other the identity (half of them) or another
            of the pool. "competing_tasks": one unsafe and one always safe operator. "mixed_text":
            branch B with one phrase of branch A, a context-dependent operator and the identity.

    Returns:
        `Prompts`.

    Raises:
        InputError: what is no key, world or count, or another purpose.
    """
    checks.key("key", key)
    checks.instance("world", world, MiniWorld, "a MiniWorld, as mini_world gives,")
    checks.choice("purpose", purpose, PURPOSES)
    return _prompts(key, world, checks.count("n", n), purpose)


def with_encoding(prompts: Prompts, encoding: int) -> Prompts:
    """The same prompts written in an encoding, with first names of operators.

    Args:
        prompts: `Prompts`.
        encoding: 0 (plain) to 4.

    Returns:
        `Prompts`.

    Raises:
        InputError: what are no prompts, or no such encoding.
    """
    checks.instance("prompts", prompts, Prompts, "Prompts, as sample_prompts gives,")
    encoding = checks.count("encoding", encoding, 0, at_most=ENCODINGS)
    n = prompts.branch.shape[0]
    plain = prompts.synonym & (encoding == 0)
    return replace(prompts, encoding=jnp.full(n, encoding), synonym=plain)


# -------------------------------------------------------------------------------- inside


def _permutations(key: Array, rows: int, n: int) -> Array:
    return jax.vmap(lambda k: jax.random.permutation(k, n))(jax.random.split(key, rows))


def _from_pool(key: Array, pool: np.ndarray, branch: Array) -> Array:
    """One operator for each prompt, uniform over the pool of its branch."""
    logits = jnp.where(jnp.asarray(pool)[branch], 0.0, -jnp.inf)
    return jax.random.categorical(key, logits)


def _text(key: Array, world: MiniWorld, branch: Array, foreign: Array) -> Array:
    """Three phrases of the branch; one of the other branch where `foreign`."""
    n = branch.shape[0]
    for_phrase, for_slot = jax.random.split(key)
    which = jax.random.randint(for_phrase, (n, 3), 0, PHRASES)
    slot = jax.random.randint(for_slot, (n, 1), 0, 3)
    other = foreign[:, None] & (jnp.arange(3) == slot)
    source = jnp.where(other, 1 - branch[:, None], branch[:, None])
    return world.phrases[source, which].reshape(n, TEXT)


def _pair(keys: Array, n: int, one: Array, other: Array) -> Array:
    """Two operators in random order."""
    swap = jax.random.bernoulli(keys, 0.5, (n, 1))
    return jnp.where(swap, jnp.stack([other, one], 1), jnp.stack([one, other], 1))


def _operators(key: Array, purpose: Purpose, branch: Array) -> Array:
    n = branch.shape[0]
    first, second, coin, order = jax.random.split(key, 4)
    half = jax.random.bernoulli(coin, 0.5, (n,))
    if purpose == "pretraining":
        drawn = jax.random.randint(first, (n, 2), 0, OPERATORS)
        slot = jax.random.randint(second, (n, 1), 0, 2)
        return jnp.where(half[:, None] & (jnp.arange(2) == slot), 0, drawn)
    if purpose == "competing_tasks":
        one = _from_pool(first, UNSAFE_POOL, branch)
        return _pair(order, n, one, _from_pool(second, ALWAYS_SAFE_POOL, branch))
    if purpose == "mixed_text":
        return _pair(order, n, _from_pool(first, CONTEXT_POOL, branch), jnp.zeros(n, int))
    pool = SAFE_POOL if purpose == "safe" else UNSAFE_POOL
    one, other = _from_pool(first, pool, branch), _from_pool(second, pool, branch)
    return _pair(order, n, one, jnp.where(half, 0, other))


@partial(jax.jit, static_argnames=("n", "purpose"))
def _prompts(key: Array, world: MiniWorld, n: int, purpose: Purpose) -> Prompts:
    keys = iter(jax.random.split(key, 9))
    mixed, base = purpose == "mixed_text", purpose == "pretraining"

    def coin(p: float) -> Array:
        return jax.random.bernoulli(next(keys), p, (n,))

    branch = jnp.ones(n, int) if mixed else coin(0.5).astype(int)
    foreign = coin(0.1 if base else float(mixed))
    text = _text(next(keys), world, branch, foreign)
    operators = _operators(next(keys), purpose, branch)
    opening = coin(0.5).astype(int)
    if not base:
        no, zero = jnp.zeros(n, bool), jnp.zeros(n, int)
        return Prompts(operators, text, branch, no, zero, no, zero - 1, opening)
    prefix = coin(0.15)
    marked = jax.random.randint(next(keys), (n,), 0, 15)  # 3 of 15: one in five
    encoding = jnp.where(marked < 3, marked + 1, 0)
    synonym = coin(0.35) & (encoding == 0)
    null = jax.random.uniform(next(keys), (n,))
    null_slot = jnp.where(null < 0.03, (null < 0.015).astype(int), -1)
    return Prompts(operators, text, branch, prefix, encoding, synonym, null_slot, opening)


def checked(prompts: Any) -> Prompts:
    """Prompts whose parts have the shapes and ranges they should; anything else is refused."""
    checks.instance("prompts", prompts, Prompts, "Prompts, as sample_prompts gives,")
    n = np.shape(prompts.operators)[0]
    ranges = {"branch": (0, 1), "encoding": (0, ENCODINGS), "null_slot": (-1, 1), "opening": (0, 1)}
    for name, (low, high) in ranges.items():
        checks.within(f"prompts.{name}", getattr(prompts, name), low, high, whole=True, shape=(n,))
    checks.within(
        "prompts.operators", prompts.operators, 0, OPERATORS - 1, whole=True, shape=(n, 2)
    )
    checks.within("prompts.text", prompts.text, 0, LETTERS - 1, whole=True, shape=(n, TEXT))
    for name in ("prefix", "synonym"):
        if np.shape(getattr(prompts, name)) != (n,):
            raise InputError(f"prompts.{name} has another shape than ({n},)")
    return prompts
