"""The Littlestone dimension of a finite class, exactly, and the learner that attains it.

A class is a Boolean array (hypotheses, points). Sets of hypotheses are Python integers whose bits
say who is in, so that a version space is one number.
Source: Littlestone 1988; the recursion as in Dmitriev, Szabó & Sanyal 2024, definition 2.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
from jaxtyping import Bool

from theorylab import checks
from theorylab.errors import InputError

LARGEST = 2**16  # hypotheses


def littlestone_dimension(hypotheses: Bool[np.ndarray, "h x"]) -> int:
    """The largest depth of a complete binary tree of mistakes that the class shatters.

    Without privacy it is the number of mistakes that the best deterministic learner makes. Exact;
    the time may grow exponentially with the class, but goes fast where log2 of its size is reached.

    Args:
        hypotheses: Boolean (hypotheses, points), equal rows count once, at most 65,536 rows.

    Returns:
        An integer, 0 for a single hypothesis.

    Raises:
        InputError: another array, or too many rows.

    Examples:
        >>> littlestone_dimension(threshold_class(7))
        3
    """
    return HypothesisClass.of(hypotheses).dimension()


@dataclass(frozen=True)
class HypothesisClass:
    """A finite class with its labels, and a memory of the dimensions of its parts.

    Attributes:
        size: number of distinct hypotheses.
        ones: for every point the set of those that say 1, an integer.
    """

    size: int
    ones: tuple[int, ...]

    @classmethod
    def of(cls, hypotheses: Bool[np.ndarray, "h x"]) -> "HypothesisClass":
        """From a Boolean array (hypotheses, points); equal rows count once."""
        rows = np.unique(_boolean("hypotheses", hypotheses), axis=0)
        weights = [1 << i for i in range(len(rows))]
        ones = [sum(w for w, v in zip(weights, column, strict=True) if v) for column in rows.T]
        return cls(len(rows), tuple(ones))

    @property
    def everything(self) -> int:
        """The version space before any example."""
        return (1 << self.size) - 1

    def restrict(self, space: int, point: int, label: bool) -> int:
        """The hypotheses of a version space that give this label to this point."""
        ones = self.ones[point]
        return space & ones if label else space & ~ones

    def dimension(self, space: int | None = None) -> int:
        """The Littlestone dimension of a version space (of all by default); -1 when it is empty."""
        inside = self.everything if space is None else space
        if inside == 0:
            return -1
        depth = 0
        while self._at_least(inside, depth + 1):
            depth += 1
        return depth

    def _at_least(self, space: int, depth: int) -> bool:
        """Whether a tree of this depth is shattered: some point leaves depth - 1 on both sides."""
        if depth <= 0:
            return space != 0
        size = space.bit_count()
        if size < 1 << depth:  # a tree of that depth has as many leaves, each another hypothesis
            return False
        known = self._known.get((space, depth))
        if known is None:
            splits = {(space & ones, space & ~ones) for ones in self.ones}
            balanced = sorted(splits, key=lambda s: abs(s[0].bit_count() - s[1].bit_count()))
            known = any(
                self._at_least(a, depth - 1) and self._at_least(b, depth - 1)
                for a, b in balanced
                if min(a.bit_count(), b.bit_count()) >= 1 << (depth - 1)
            )
            self._known[space, depth] = known
        return known

    @cached_property
    def _known(self) -> dict[tuple[int, int], bool]:
        return {}


@dataclass(frozen=True)
class StandardOptimalAlgorithm:
    """The learner that makes at most Ldim mistakes, as its label leaves the larger dimension.

    Its state is the version space, an integer; `init`, `predict` and `update` are pure functions of
    it. On a stream that no hypothesis explains the version space is empty, and it predicts 0. Ties
    are 0.

    Args:
        hypotheses: the class, `HypothesisClass.of(array)`.
    """

    hypotheses: HypothesisClass

    def init(self) -> int:
        """The state before any example."""
        return self.hypotheses.everything

    def predict(self, state: int, point: int) -> bool:
        """The label of a point, given the examples so far."""
        known = self.hypotheses
        sides = [known.dimension(known.restrict(state, point, label)) for label in (False, True)]
        return sides[1] > sides[0]

    def update(self, state: int, point: int, label: bool) -> int:
        """The state after an example."""
        return self.hypotheses.restrict(state, point, label)

    def mistakes(self, points: Sequence[int], labels: Sequence[bool]) -> int:
        """How many mistakes it makes on a stream of points and their labels."""
        state, wrong = self.init(), 0
        for point, label in examples(self.hypotheses, points, labels):
            wrong += self.predict(state, point) != label
            state = self.update(state, point, label)
        return wrong


def standard_optimal_algorithm(hypotheses: Bool[np.ndarray, "h x"]) -> StandardOptimalAlgorithm:
    """The standard optimal algorithm of a class that is given as an array.

    Args:
        hypotheses: Boolean (hypotheses, points), equal rows count once, at most 65,536 rows.

    Returns:
        A `StandardOptimalAlgorithm`.

    Raises:
        InputError: another array, or too many rows.
    """
    return StandardOptimalAlgorithm(HypothesisClass.of(hypotheses))


def name_and_shame_mistakes(
    hypotheses: Bool[np.ndarray, "h x"],
    points: Sequence[int],
    labels: Sequence[bool],
    *,
    delta: float,
) -> float:
    """E[M] of Name & Shame on any class and stream, exact: SOA on a random subset of the examples.

    Each example is kept with probability delta; the law of the version space is followed exactly,
    so the time grows with the number of version spaces that can occur.

    Args:
        hypotheses: Boolean (hypotheses, points).
        points: of the stream, one index per round.
        labels: of the stream, 0 or 1, one per round.
        delta: above 0 and below 1.

    Returns:
        E[M], at most Ldim / delta on a realisable stream.

    Raises:
        InputError: an argument out of range, or points and labels of different lengths.

    Source:
        Dmitriev, Szabó & Sanyal 2024, section 4.
    """
    share = float(checks.number("delta", delta, 0.0, 1.0, open_low=True, open_high=True))
    learner = standard_optimal_algorithm(hypotheses)
    law, expected = {learner.init(): 1.0}, 0.0
    for point, label in examples(learner.hypotheses, points, labels):
        following: dict[int, float] = {}
        for state, probability in law.items():
            expected += probability * (learner.predict(state, point) != label)
            kept = learner.update(state, point, label)
            following[state] = following.get(state, 0.0) + (1 - share) * probability
            following[kept] = following.get(kept, 0.0) + share * probability
        law = following
    return expected


def point_class(points: int) -> Bool[np.ndarray, "n n"]:
    """The indicator of each of n points: Littlestone dimension 1 from n = 2 on.

    Args:
        points: n, from 1 to 65,536.

    Returns:
        (n, n) Booleans, the identity.

    Raises:
        InputError: n out of range.
    """
    return np.eye(checks.count("points", points, 1, LARGEST), dtype=bool)


def threshold_class(points: int) -> Bool[np.ndarray, "n+1 n"]:
    """The n + 1 thresholds 1{x >= t} on n points: Littlestone dimension floor(log2(n + 1)).

    Args:
        points: n, from 1 to 65,535.

    Returns:
        (n + 1, n) Booleans, row t for the threshold t.

    Raises:
        InputError: n out of range.
    """
    n = checks.count("points", points, 1, LARGEST - 1)
    return np.arange(n)[None, :] >= np.arange(n + 1)[:, None]


def k_point_class(points: int, most: int) -> Bool[np.ndarray, "h n"]:
    """All functions on n points with at most K ones: Littlestone dimension min(K, n).

    Args:
        points: n, from 1 to 64.
        most: K, at least 0.

    Returns:
        (hypotheses, n) Booleans, those with fewer ones first.

    Raises:
        InputError: an argument out of range, or more than 65,536 hypotheses.
    """
    n, k = checks.count("points", points, 1, 64), checks.count("most", most, 0)
    rows = []
    for size in range(min(k, n) + 1):
        for chosen in combinations(range(n), size):
            rows.append([i in chosen for i in range(n)])
            if len(rows) > LARGEST:
                raise InputError(
                    f"points = {n} and most = {k} make more than {LARGEST} hypotheses; give fewer"
                )
    return np.array(rows)


def examples(
    hypotheses: HypothesisClass, points: Sequence[int], labels: Sequence[bool]
) -> Iterable[tuple[int, bool]]:
    """The examples of a stream, looked at: points of the class, labels that are 0 or 1.

    Args:
        hypotheses: the class.
        points: one index per round.
        labels: 0 or 1, one per round.

    Returns:
        Pairs of a point and its label, Python numbers.

    Raises:
        InputError: a point that the class does not have, another label, or different lengths.
    """
    at = checks.labels("points", points, classes=len(hypotheses.ones))
    said = checks.within("labels", labels, 0, 1, whole=True, shape=(None,))
    checks.same_length(points=at, labels=said)
    return [(int(x), bool(y)) for x, y in zip(np.asarray(at), np.asarray(said), strict=True)]


def _boolean(name: str, value: Any) -> Bool[np.ndarray, "h x"]:
    array = np.asarray(checks.within(name, value, 0, 1, whole=True, ndim=2))
    if len(array) > LARGEST:
        raise InputError(f"{name} has {len(array)} rows; at most {LARGEST} hypotheses are needed")
    return array.astype(bool)
