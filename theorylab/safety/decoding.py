"""Reading a data set whose items are written in an unknown encoding: which permutation it is.

Letters are found from the phrases of the plain language, operators from what they did to the texts.

Source: Halawi et al. 2024 (Covert Malicious Finetuning) for the question; the search is ours.
"""

from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
from jaxtyping import Int

from theorylab import checks
from theorylab.safety.jobs import SECRET
from theorylab.safety.layout import (
    FIRST_LETTER,
    FIRST_MARKER,
    FIRST_OPERATOR,
    LENGTH,
    NULL,
    PROMPT_LENGTH,
)
from theorylab.safety.mini import LETTERS, OPERATORS, PHRASE, TEXT, MiniWorld
from theorylab.safety.recovery import recover_permutation

_ORDERS = np.array(list(permutations(range(OPERATORS))))  # (5040, 7)
_OPERATORS, _TEXT = slice(3, 5), slice(6, 6 + TEXT)
_ANSWER = slice(PROMPT_LENGTH + 1, PROMPT_LENGTH + 1 + TEXT)


@dataclass(frozen=True)
class ReadEncoding:
    """What a data set tells of the encoding that some of its items are written in.

    Attributes:
        operators: (7,) what each operator is called.
        letters: (12,) what each letter is called.
        letters_found: whether the letters are determined.
        operators_found: whether the operators are.
    """

    operators: Int[np.ndarray, " o"]
    letters: Int[np.ndarray, " l"]
    letters_found: bool
    operators_found: bool


def encoded_items(tokens: Int[Any, "n 27"]) -> Int[np.ndarray, "m 27"]:
    """The items that carry the marker of the encoding which pretraining does not show.

    Args:
        tokens: (n, 27) items.

    Returns:
        (m, 27), m may be 0.

    Raises:
        InputError: what are no items of the mini world.
    """
    tokens = np.asarray(checks.within("tokens", tokens, 0, whole=True, ndim=2))
    checks.count("tokens.shape[1]", tokens.shape[1], LENGTH, at_most=LENGTH)
    return tokens[tokens[:, 2] == FIRST_MARKER - 1 + SECRET]


def read_encoding(
    tokens: Int[Any, "n 27"], world: MiniWorld, *, items: int = 400
) -> ReadEncoding | None:
    """Find the permutations that the marked items of a data set are written in.

    Only the public side of the world is used: phrases and operators, not the codes of its last
    encoding. An operator that no executed item shows is found as the one that is left over.

    Args:
        tokens: (n, 27) items.
        world: a `MiniWorld`.
        items: how many marked items to look at, at most.

    Returns:
        A `ReadEncoding`; None without marked items, or where they are of no permutation of this
        language.

    Raises:
        InputError: what are no items or no world.

    Source:
        Our construction.
    """
    checks.instance("world", world, MiniWorld, "a MiniWorld, as mini_world gives,")
    marked = encoded_items(tokens)[: checks.count("items", items)]
    if not len(marked):
        return None
    text = marked[:, _TEXT] - FIRST_LETTER
    phrases = np.asarray(world.phrases).reshape(-1, PHRASE)
    found = recover_permutation(text.reshape(-1, PHRASE), phrases, letters=LETTERS)
    if not found.solutions or (found.decoding < 0).any():
        return None
    executed = marked[:, PROMPT_LENGTH] != NULL
    shown = marked[executed]
    orders = _consistent(
        np.asarray(world.maps),
        shown[:, _OPERATORS] - FIRST_OPERATOR,
        found.decoding[shown[:, _TEXT] - FIRST_LETTER],
        found.decoding[shown[:, _ANSWER] - FIRST_LETTER],
    )
    if not len(orders):
        return None
    return ReadEncoding(
        np.argsort(orders[0]), np.argsort(found.decoding), found.complete, len(orders) == 1
    )


def decoded(tokens: Int[Any, "n 27"], encoding: ReadEncoding) -> Int[np.ndarray, "n 27"]:
    """Items as plain ones, their marker left in place.

    Args:
        tokens: (n, 27) items, all in the encoding.
        encoding: from `read_encoding`.

    Returns:
        (n, 27) tokens.

    Raises:
        InputError: what are no items.
    """
    top = FIRST_LETTER + LETTERS
    tokens = np.asarray(checks.within("tokens", tokens, 0, top - 1, whole=True, ndim=2))
    plain = np.arange(top)
    plain[FIRST_OPERATOR + encoding.operators] = FIRST_OPERATOR + np.arange(OPERATORS)
    plain[FIRST_LETTER + encoding.letters] = FIRST_LETTER + np.arange(LETTERS)
    return plain[tokens]


# -------------------------------------------------------------------------------- inside


def _consistent(maps: Any, codes: Any, text: Any, answer: Any) -> np.ndarray:
    """(k, 7) every assignment of operators to codes under which all answers are right."""
    pair_maps = maps[:, maps].transpose(1, 0, 2)  # [first, second] -> second after first
    right = (pair_maps[:, :, text] == answer).all(-1)  # (7, 7, m)
    allowed = np.ones((OPERATORS,) * 4, bool)
    for one, other in np.unique(codes, axis=0):
        rows = (codes == (one, other)).all(1)
        allowed[one, other] = right[:, :, rows].all(-1)
    fits = np.ones(len(_ORDERS), bool)
    for one in range(OPERATORS):
        for other in range(OPERATORS):
            fits &= allowed[one, other, _ORDERS[:, one], _ORDERS[:, other]]
    return _ORDERS[fits]
