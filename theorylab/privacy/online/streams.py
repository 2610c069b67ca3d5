"""Streams of examples in run-length form, so that 2^60 rounds cost as much as 64.

In every game here the learner sees, round by round, either an uninformative example or a *one*: the
point on which two functions differ, with the label 1. A stream is then its length and the sorted
positions of its ones, both exact Python integers: positions beyond 2^53 have no float of their own.
Source: the game is that of Dmitriev, Szabó & Sanyal 2024; the form is ours.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from theorylab import checks
from theorylab.errors import InputError


@dataclass(frozen=True)
class RunLengthStream:
    """A stream of examples, by its length and the positions of the informative ones.

    Args:
        rounds: T, a whole number from 1 to 2^1000; examples are numbered from 1.
        ones: strictly increasing positions in 1..T; any sequence of whole numbers, kept as a tuple
            of Python integers.

    Raises:
        InputError: other positions.
    """

    rounds: int
    ones: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "rounds", horizon("rounds", self.rounds))
        object.__setattr__(self, "ones", positions("ones", self.ones, self.rounds))

    @property
    def bits(self) -> np.ndarray:
        """The stream as an array of 0 and 1, (rounds,); for streams that fit in memory."""
        if self.rounds > 2**28:
            raise InputError(
                f"rounds = {self.rounds}; at most 2^28 rounds are written out, use the positions"
            )
        bits = np.zeros(self.rounds, np.int32)
        bits[np.asarray(self.ones, np.int64) - 1] = 1
        return bits

    def count(self, round_: int) -> int:
        """How many ones are among the first `round_` examples."""
        return bisect_right(self.ones, round_)

    def with_ones(self, more: Iterable[int]) -> "RunLengthStream":
        """The stream with further ones, at positions that had none."""
        return RunLengthStream(self.rounds, tuple(sorted((*self.ones, *more))))

    def flipped(self, position: int) -> "RunLengthStream":
        """The neighbouring stream in which the example at `position` is of the other kind."""
        at = checks.count("position", position, 1, self.rounds)
        if at in self.ones:
            return RunLengthStream(self.rounds, tuple(o for o in self.ones if o != at))
        return self.with_ones([at])


def front_loaded(rounds: int, ones: int) -> RunLengthStream:
    """The stream whose first examples are ones: the hardest for a learner that counts.

    Args:
        rounds: T, from 1 to 2^1000.
        ones: how many, between 0 and T.

    Returns:
        A `RunLengthStream`.

    Raises:
        InputError: an argument out of range.
    """
    rounds = checks.count("rounds", rounds)
    return RunLengthStream(rounds, tuple(range(1, checks.count("ones", ones, 0, rounds) + 1)))


@dataclass(frozen=True)
class Pieces:
    """Consecutive stretches of rounds after each of which the number of ones seen is the same.

    Attributes:
        counts: ones seen after any round of the stretch, one number for each.
        lengths: rounds in it.
        ends: its last round.
    """

    counts: tuple[int, ...]
    lengths: tuple[int, ...]
    ends: tuple[int, ...]


def pieces(stream: RunLengthStream, cuts: Sequence[int]) -> Pieces:
    """The stretches of equal counts in rounds 1..max(cuts), cut also at the given rounds.

    The round of a one belongs to the stretch that starts with it: a learner looks at its count
    after every example.

    Args:
        stream: the stream.
        cuts: rounds in 0..T, one at least; they are not looked at.

    Returns:
        The `Pieces`; none if the last cut is 0.
    """
    top = max(cuts)
    bounds = sorted({0, *cuts, *(o - 1 for o in stream.ones if o - 1 < top)})
    starts = bounds[:-1]
    return Pieces(
        tuple(stream.count(a + 1) for a in starts),
        tuple(b - a for a, b in pairwise(bounds)),
        tuple(bounds[1:]),
    )


def horizon(name: str, value: Any) -> int:
    """A number of rounds whose stretches are numbers in float64.

    Args:
        name: of the argument, for messages.
        value: a whole number from 1 to 2^1000.

    Returns:
        The number, a Python integer.

    Raises:
        InputError: another number.
    """
    rounds = checks.count(name, value)
    if rounds > 2**1000:
        raise InputError(f"{name} is beyond 2^{rounds.bit_length() - 1}; at most 2^1000 is needed")
    return rounds


def positions(name: str, value: Any, at_most: int, at_least: int = 1) -> tuple[int, ...]:
    """Strictly increasing whole numbers in a range, as Python integers.

    Args:
        name: of the argument, for messages.
        value: any sequence of whole numbers.
        at_most: the largest that is allowed.
        at_least: the smallest that is allowed.

    Returns:
        A tuple of them.

    Raises:
        InputError: no sequence, a number out of range, or numbers that do not increase.
    """
    if isinstance(value, (str, bytes, dict)) or not hasattr(value, "__iter__"):
        raise InputError(
            f"{name} = {checks.shown(value)}; a sequence of rounds, whole numbers, is needed"
        )
    found = tuple(checks.count(name, v, at_least, at_most) for v in value)
    if any(b <= a for a, b in pairwise(found)):
        raise InputError(f"{name} does not increase; strictly increasing rounds are needed")
    return found
