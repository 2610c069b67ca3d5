"""Texts of a grammar, drawn on the device: whole yields, and windows of them.

Source: the data generator that Jain et al. 2024 released, for what is drawn; how is ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Key

from theorylab import checks
from theorylab.errors import InputError
from theorylab.pytrees import register
from theorylab.safety.grammar import Grammar, checked, in_order

PADDING = -1  # what stands behind the end of a text


@register()
@dataclass(frozen=True)
class Texts:
    """Rows of letters of different lengths.

    Attributes:
        tokens: (n, longest) letters, -1 behind the end.
        lengths: (n,) numbers of letters.
    """

    tokens: Int[Array, "n l"]
    lengths: Int[Array, " n"]


def texts(tokens: Sequence[Sequence[int]]) -> Texts:
    """Rows of letters, padded to one width.

    Args:
        tokens: rows of letters, each of at least one.

    Returns:
        `Texts`.

    Raises:
        InputError: no rows, empty rows, or what is no letter.
    """
    try:
        rows = [[int(checks.count("tokens", t, 0)) for t in row] for row in tokens]
    except TypeError:
        raise InputError(f"tokens = {checks.shown(tokens)}; rows of letters are needed") from None
    if not rows or not all(rows):
        raise InputError(f"tokens = {checks.shown(tokens)}; rows of at least one letter are needed")
    longest = max(map(len, rows))
    padded = [row + [PADDING] * (longest - len(row)) for row in rows]
    return Texts(jnp.asarray(padded), jnp.asarray([len(row) for row in rows]))


def sample_yields(key: Key[Array, ""], grammar: Grammar, n: int) -> Texts:
    """Draw yields on the device, all at once.

    Every round replaces all symbols by one of their alternatives, for all texts in one compiled
    program. For windows of yields use `sample_windows`.

    Args:
        key: typed key.
        grammar: a `Grammar`.
        n: texts.

    Returns:
        `Texts`, as wide as the longest possible yield.

    Raises:
        InputError: what is no key, grammar or count.
    """
    checks.key("key", key)
    return Texts(*_yields(key, checked(grammar), checks.count("n", n)))


def sample_windows(
    key: Key[Array, ""], grammar: Grammar, n: int, *, shortest: int = 25, longest: int = 35
) -> Texts:
    """Draw windows of yields: a length uniform in a range, then a uniform place.

    Args:
        key: typed key.
        grammar: a `Grammar`.
        n: texts.
        shortest: least length.
        longest: greatest length; no yield of the grammar may be shorter.

    Returns:
        `Texts` (n, longest).

    Raises:
        InputError: what is no key, grammar or count, or windows longer than some yield.
    """
    checks.key("key", key)
    least = min(_spans(checked(grammar))[0])
    longest = checks.count("longest", longest, at_most=least)
    shortest = checks.count("shortest", shortest, at_most=longest)
    return Texts(*_windows(key, grammar, checks.count("n", n), shortest, longest))


# -------------------------------------------------------------------------------- inside


@lru_cache(maxsize=256)
def _spans(grammar: Grammar) -> tuple[tuple[int, int], tuple[int, ...]]:
    """Shortest and longest yield, and the longest row after each round of replacement."""
    rules = dict(grammar.rules)
    short: dict[str | int, int] = dict.fromkeys(range(grammar.letters), 1)
    deep: dict[str | int, tuple[int, ...]] = dict.fromkeys(range(grammar.letters), (1,))

    def at(symbol: str | int, r: int) -> int:
        return deep[symbol][min(r, len(deep[symbol]) - 1)]

    for name in in_order(rules):
        short[name] = min(sum(short[s] for s in row) for row in rules[name])
        rounds = max(len(deep[s]) for row in rules[name] for s in row)
        after = (max(sum(at(s, r) for s in row) for row in rules[name]) for r in range(rounds))
        deep[name] = (1, *after)
    longest = deep[grammar.root]
    return (short[grammar.root], longest[-1]), longest[1:]


@lru_cache(maxsize=256)
def _tables(grammar: Grammar) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Children, their number and the number of alternatives of each symbol; the root.

    Letters have themselves as their one child; the last symbol is padding and has none.
    """
    K, S = grammar.letters, grammar.letters + len(grammar.rules)
    index = {name: K + i for i, (name, _) in enumerate(grammar.rules)}
    most = max(len(rows) for _, rows in grammar.rules)
    width = max(len(row) for _, rows in grammar.rules for row in rows)
    children = np.full((S + 1, most, width), S, np.int32)
    sizes, ways = np.zeros((S + 1, most), np.int32), np.ones(S + 1, np.int32)
    children[:K, 0, 0], sizes[:K, 0] = np.arange(K), 1
    for name, rows in grammar.rules:
        ways[index[name]] = len(rows)
        for i, row in enumerate(rows):
            children[index[name], i, : len(row)] = [index.get(s, s) for s in row]
            sizes[index[name], i] = len(row)
    return children, sizes, ways, index[grammar.root]


def _yield(key: Array, grammar: Grammar) -> tuple[Array, Array]:
    children, sizes, ways, root = (jnp.asarray(a) for a in _tables(grammar))
    padding, place = ways.shape[0] - 1, jnp.arange(children.shape[2])
    row = root[None]
    for k, longest in zip(
        jax.random.split(key, len(_spans(grammar)[1])), _spans(grammar)[1], strict=True
    ):
        way = (jax.random.uniform(k, row.shape) * ways[row]).astype(jnp.int32)
        size = sizes[row, way]
        target = jnp.cumsum(size)[:, None] - size[:, None] + place
        target = jnp.where(place < size[:, None], target, longest)  # out of range: dropped
        row = jnp.full(longest, padding).at[target].set(children[row, way], mode="drop")
    letters = row < padding
    return jnp.where(letters, row, PADDING), letters.sum()


@partial(jax.jit, static_argnames=("grammar", "n"))
def _yields(key: Array, grammar: Grammar, n: int) -> tuple[Array, Array]:
    return jax.vmap(lambda k: _yield(k, grammar))(jax.random.split(key, n))


@partial(jax.jit, static_argnames=("grammar", "n", "shortest", "longest"))
def _windows(
    key: Array, grammar: Grammar, n: int, shortest: int, longest: int
) -> tuple[Array, Array]:
    def window(key: Array) -> tuple[Array, Array]:
        for_text, for_length, for_start = jax.random.split(key, 3)
        text, total = _yield(for_text, grammar)
        length = jax.random.randint(for_length, (), shortest, longest + 1)
        start = jax.random.randint(for_start, (), 0, total - length + 1)
        # padded, because a slice that would reach beyond the array is moved back
        text = jnp.pad(text, (0, longest), constant_values=PADDING)
        cut = jax.lax.dynamic_slice(text, (start,), (longest,))
        return jnp.where(jnp.arange(longest) < length, cut, PADDING), length

    return jax.vmap(window)(jax.random.split(key, n))
