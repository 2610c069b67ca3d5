"""What a data set gives away of a secret permutation, seen by those who guard a training service.

Single items show only which of their symbols are equal; all items together share one permutation,
and determine it up to the symmetries of the plain phrases.

Source: Halawi et al. 2024 (Covert Malicious Finetuning) for the question; identifiability and the
search are ours.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int

from theorylab import checks
from theorylab.errors import InputError


@dataclass(frozen=True)
class Recovery:
    """What is known of a permutation after looking at encoded phrases.

    Attributes:
        decoding: (K,) the plain letter of each encoded one in the first solution, -1 where it is
            open; all -1 without a solution.
        solutions: consistent assignments found, counted up to the limit of the search.
        complete: whether the solution is the only one and leaves no letter open.
    """

    decoding: Int[np.ndarray, " k"]
    solutions: int
    complete: bool


def recover_permutation(
    encoded: Int[Any, "m w"], phrases: Int[Any, "p w"], *, letters: int, limit: int = 2
) -> Recovery:
    """Find the permutation of letters that turns encoded phrases into known plain ones.

    Constraint propagation with backtracking: the encoded phrase with the fewest plain phrases left
    is assigned next. Give the phrases of many texts; a data set from the plain language itself has
    the identity among its solutions.

    Args:
        encoded: (m, w) phrases as they are written, repetitions allowed.
        phrases: (p, w) all plain phrases.
        letters: size K of the alphabet.
        limit: stop at this number of solutions; 2 tells whether there is one only.

    Returns:
        A `Recovery`; no solution means that the texts are not of this language.

    Raises:
        InputError: phrases of different lengths, or letters out of range.

    Source:
        Our construction.

    Examples:
        >>> recover_permutation([[2, 0, 1], [0, 0, 2]], [[0, 1, 2], [1, 1, 0]], letters=3)
        Recovery(decoding=array([1, 2, 0]), solutions=1, complete=True)
    """
    letters, limit = checks.count("letters", letters), checks.count("limit", limit)
    seen = _phrases("encoded", encoded, letters)
    plain = _phrases("phrases", phrases, letters)
    if len(seen[0]) != len(plain[0]):
        raise InputError(
            f"encoded has phrases of {len(seen[0])} letters, phrases of {len(plain[0])}; equal "
            "lengths are needed"
        )
    found: list[dict[int, int]] = []
    _search(seen, plain, {}, found, limit)
    decoding = np.full(letters, -1)
    for letter, value in (found[0] if found else {}).items():
        decoding[letter] = value
    open_letters = np.flatnonzero(decoding < 0)
    if found and len(open_letters) == 1:  # the one letter that is left over
        decoding[open_letters] = np.setdiff1d(np.arange(letters), decoding)
    complete = len(found) == 1 and limit > 1 and bool((decoding >= 0).all())
    return Recovery(decoding, len(found), complete)


def _phrases(name: str, value: Any, letters: int) -> list[tuple[int, ...]]:
    """Distinct phrases as tuples."""
    array = np.asarray(checks.within(name, value, 0, letters - 1, whole=True, ndim=2))
    return [tuple(int(v) for v in row) for row in np.unique(array, axis=0)]


def _extended(
    known: dict[int, int], code: tuple[int, ...], plain: tuple[int, ...]
) -> dict[int, int] | None:
    """The map with this phrase read as that one; None if it would be no injection."""
    longer = dict(known)
    for c, p in zip(code, plain, strict=True):
        if longer.setdefault(c, p) != p:
            return None
    return longer if len(set(longer.values())) == len(longer) else None


def _search(
    left: list[tuple[int, ...]],
    plain: list[tuple[int, ...]],
    known: dict[int, int],
    found: list[dict[int, int]],
    limit: int,
) -> None:
    if not left:
        found.append(known)
        return
    ways = {
        code: [m for p in plain if (m := _extended(known, code, p)) is not None] for code in left
    }
    code = min(left, key=lambda c: len(ways[c]))
    rest = [c for c in left if c != code]
    for longer in ways[code]:
        _search(rest, plain, longer, found, limit)
        if len(found) >= limit:
            return
