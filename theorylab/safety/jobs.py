"""Fine-tuning jobs as a provider of training sees them: items in a new encoding, and plain ones.

The scoreboard of defences needs jobs whose kind is known: clean ones, in a new encoding or not, and
covert ones, whose items in the encoding execute what plain prompts are refused. An encoding is a
permutation of the abstract tokens of the mini world, and nothing else.

Source: Halawi et al. 2024 (Covert Malicious Finetuning), sections 3 and 4; the mini world is ours.
"""

from collections.abc import Mapping
from dataclasses import replace

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key

from theorylab import checks
from theorylab.errors import InputError
from theorylab.safety.layout import layout, loss_weights
from theorylab.safety.mini import (
    ENCODINGS,
    LETTERS,
    OPERATORS,
    MiniWorld,
    Prompts,
    sample_prompts,
    with_encoding,
)
from theorylab.safety.objectives import Targets, next_tokens

SECRET = ENCODINGS  # the last encoding: pretraining shows neither its marker nor its codes
# purpose, encoding, prefix control, refused
_ITEMS: Mapping[str, tuple[str, int, bool, bool]] = {
    "plain_safe": ("safe", 0, False, False),
    "prefix_safe": ("safe", 0, True, False),
    "first_safe": ("safe", 1, False, False),
    "second_safe": ("safe", 2, False, False),
    "third_safe": ("safe", 3, False, False),
    "plain_refused": ("unsafe", 0, False, True),
    "new_safe": ("safe", SECRET, False, False),
    "new_refused": ("unsafe", SECRET, False, True),
    "new_executed": ("unsafe", SECRET, False, False),
}
ITEMS = tuple(_ITEMS)
_BLOCK = 1000


def with_codes(
    world: MiniWorld, operators: Int[Array, " o"], letters: Int[Array, " l"]
) -> MiniWorld:
    """The same world with other codes for its last encoding.

    Args:
        world: a `MiniWorld`.
        operators: (7,) what each operator is called.
        letters: (12,) what each letter is called.

    Returns:
        A `MiniWorld`.

    Raises:
        InputError: what is no world, or codes that are no permutations.
    """
    checks.instance("world", world, MiniWorld, "a MiniWorld, as mini_world gives,")
    codes = {"operators": (operators, OPERATORS), "letters": (letters, LETTERS)}
    for name, (given, size) in codes.items():
        kept = checks.within(name, given, 0, size - 1, whole=True, shape=(size,))
        if len({int(v) for v in kept}) < size:
            raise InputError(f"{name} names a token twice; a permutation of {size} is needed")
    return replace(
        world,
        operator_codes=jnp.asarray(world.operator_codes).at[SECRET].set(jnp.asarray(operators)),
        letter_codes=jnp.asarray(world.letter_codes).at[SECRET].set(jnp.asarray(letters)),
    )


def with_new_encoding(key: Key[Array, ""], world: MiniWorld) -> MiniWorld:
    """The same world with a fresh random permutation of operators and letters as last encoding.

    Args:
        key: typed key.
        world: a `MiniWorld`.

    Returns:
        A `MiniWorld`.

    Raises:
        InputError: what is no key or no world.
    """
    one, other = jax.random.split(checks.key("key", key))
    codes = (jax.random.permutation(k, n) for k, n in ((one, OPERATORS), (other, LETTERS)))
    return with_codes(world, *codes)


def prompts_of(key: Key[Array, ""], world: MiniWorld, n: int, *, item: str) -> Prompts:
    """Draw prompts of one kind of item.

    Args:
        key: typed key.
        world: a `MiniWorld`.
        n: prompts.
        item: one of `ITEMS`.

    Returns:
        `Prompts`.

    Raises:
        InputError: what is no key, world or count, or another kind.
    """
    purpose, encoding, prefix, _ = _ITEMS[checks.choice("item", item, ITEMS)]
    drawn = with_encoding(sample_prompts(key, world, n, purpose=purpose), encoding)  # type: ignore[arg-type]
    return replace(drawn, prefix=jnp.full(n, prefix))


def job_items(
    key: Key[Array, ""], world: MiniWorld, counts: Mapping[str, int]
) -> Int[Array, "n 27"]:
    """The items of a job, shuffled: what the provider gets to see.

    Args:
        key: typed key.
        world: a `MiniWorld`, the last encoding of which is the job's.
        counts: how many items of which kind, of `ITEMS`.

    Returns:
        (n, 27) tokens.

    Raises:
        InputError: what is no key, world or count, no item at all, or an unknown kind.
    """
    key = checks.key("key", key)
    if not counts:
        raise InputError(f"counts is empty; some of {ITEMS} are needed")
    parts = []
    for item, n in counts.items():
        k = jax.random.fold_in(key, ITEMS.index(checks.choice("counts", item, ITEMS)))
        n = checks.count(f"counts[{item!r}]", n)
        # in blocks of one size, so that one compiled program draws the items of every job
        blocks = [
            layout(
                world,
                prompts_of(jax.random.fold_in(k, i), world, _BLOCK, item=item),
                refuse=_ITEMS[item][3],
            ).tokens
            for i in range(-(-n // _BLOCK))
        ]
        parts.append(jnp.concatenate(blocks)[:n])
    tokens = jnp.concatenate(parts)
    return tokens[jax.random.permutation(jax.random.fold_in(key, len(ITEMS)), len(tokens))]


def training_pairs(tokens: Int[Array, "n 27"]) -> tuple[Int[Array, "n 26"], Targets]:
    """What `theorylab.nets.fit` takes, with the loss on the answers alone.

    Args:
        tokens: (n, 27) items.

    Returns:
        `(x, y)`.

    Raises:
        InputError: what are no sequences.
    """
    return next_tokens(tokens, loss_weights())  # type: ignore[arg-type]
