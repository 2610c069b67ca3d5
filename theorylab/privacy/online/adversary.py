"""The oblivious adversary of the lower bound, which knows the learner's law and never its coins.

It places examples where the learner is least likely to have noticed. It keeps an interval of
rounds. It puts an informative example (or `repeats` of them) at the left end, cuts the rest in
parts, and goes on in the part in which the learner is unlikely to fire. Every such example is then
a mistake with a constant probability, and there are about log T of them. What it guarantees for any
private learner, with explicit constants: `mistake_lower_bound` and docs/derivations/dp_online.md.
Source: Dmitriev, Szabó & Sanyal 2024, proof of theorem 1 and appendix C; the weighted rule and all
constants are our derivation, docs/derivations/dp_online.md, statements 4 to 6.
"""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from theorylab import checks
from theorylab.errors import InputError
from theorylab.privacy.online.firing import FiringLaw
from theorylab.privacy.online.streams import RunLengthStream

REFERENCE_EPSILON = math.log(1.5)  # the privacy at which two parts suffice
MOST = 10**7  # examples in a step, or terms of a sum


@dataclass(frozen=True)
class Attack:
    """What the adversary did, step by step.

    Row i is the state before the i-th insertion, counted from 0, and the last row the state after
    all.

    Attributes:
        stream: the stream it ends with.
        survival: (steps + 1,) p_i, the probability of no firing before the interval.
        mass: (steps + 1,) q_i, the probability that the first firing is in the interval.
        lower: first rounds of the intervals, steps + 1 Python integers.
        upper: last rounds of the intervals; the last interval may be empty.
        mistakes: E[M] of the learner on the stream, exact.
        repeats: examples that a step inserts.
    """

    stream: RunLengthStream
    survival: Float[np.ndarray, " k+1"]
    mass: Float[np.ndarray, " k+1"]
    lower: tuple[int, ...]
    upper: tuple[int, ...]
    mistakes: float
    repeats: int

    @property
    def steps(self) -> int:
        """How many times examples were inserted."""
        return len(self.lower) - 1


@dataclass(frozen=True)
class BisectionAdversary:
    """The adversary for learners that are (epsilon, delta)-private.

    `adversary_for` chooses its options; call it with a learner's law and T to run it.

    Args:
        epsilon: of the learner, above 0.
        repeats: informative examples that a step inserts side by side, d; d * epsilon takes the
            place of epsilon in every inequality.
        parts: into how many parts the rest of an interval is cut, s, at least 2.
        first_cut: into how many parts all rounds are cut before the first step, to start in the one
            of the smallest firing mass; 1 starts with all rounds.
        weight: kappa, at least 1. None goes on in the part of the smallest firing mass, as the
            paper does with two parts. A number takes the part j that minimises sum_{i<j} Q_i +
            kappa Q_j, which also counts what is lost on the way there.
        skip_middle: of the parts only the first and the last are taken: with three, the variant for
            learners that answer at random before they fire, which show in the middle part whether
            they have.

    Raises:
        InputError: an argument out of range.
    """

    epsilon: float
    repeats: int = 1
    parts: int = 2
    first_cut: int = 1
    weight: float | None = None
    skip_middle: bool = False

    def __post_init__(self) -> None:
        checks.number("epsilon", self.epsilon, 0.0, open_low=True)
        least = {"repeats": 1, "parts": 2, "first_cut": 1}
        for name, low in least.items():  # an integer of JAX's becomes one of Python's
            object.__setattr__(self, name, checks.count(name, getattr(self, name), low))
        checks.flag("skip_middle", self.skip_middle)
        if self.weight is not None:
            checks.number("weight", self.weight, 1.0)

    def steps(self, rounds: int) -> int:
        """How many steps are certain within T rounds, whatever the learner does."""
        left = checks.count("rounds", rounds) // self.first_cut
        return len(_lengths(left, self.repeats, self.parts))

    def group_delta(self, delta: float) -> float:
        """The delta of `repeats` changes at once: delta times the sum of e^{j epsilon}, j < d."""
        slack = float(checks.number("delta", delta, 0.0, 1.0, open_high=True))
        level, many = float(self.epsilon), self.repeats
        with np.errstate(over="ignore"):
            most = np.exp(level * (many - 1))
        return slack * float(most * np.expm1(-level * many) / np.expm1(-level))

    def bounds(
        self, beta: float, delta: float, steps: int
    ) -> tuple[Float[np.ndarray, " k+1"], Float[np.ndarray, " k+1"]]:
        """What p_i is at least and q_i at most, against every concentrated private learner.

        They hold as long as no part is empty, which is for every i < `self.steps(T)`. By the
        potential p - 3 q (or p - kappa q), which falls by at most 2 delta in a step (or by
        (s - 1 + kappa) / s times delta, which is below 4 delta for the smallest kappa; 4 delta is
        what is given then).

        Args:
            beta: the learner fires with at most this probability without ones, in [0, 1].
            delta: of the learner, at least 0 and below 1.
            steps: number of insertions, at least 0.

        Returns:
            (steps + 1,) lower bounds on p_i and (steps + 1,) upper bounds on q_i.

        Raises:
            InputError: an argument out of range, or an epsilon that is too large for the rule.
        """
        share = float(checks.number("beta", beta, 0.0, 1.0))
        slack = self.group_delta(delta)
        growth = math.exp(float(self.epsilon) * self.repeats)
        i = np.arange(checks.count("steps", steps, 0) + 1)
        self.require_guarantee()
        if self.weight is None:
            return 1 - 3 * share - 2 * i * slack, share * 0.75**i + 2 * slack
        mean = (self.parts - 1 + self.weight) / self.parts
        mass = [share / self.first_cut]
        for _ in range(steps):
            mass.append(mean / self.weight * (growth * mass[-1] + slack))
        return 1 - 2 * share - max(4.0, mean) * i * slack, np.array(mass)

    def require_guarantee(self) -> None:
        """Raise InputError if the rule guarantees nothing at this epsilon."""
        growth = math.exp(float(self.epsilon) * self.repeats)
        if self.weight is None:
            checks.number("epsilon * repeats", math.log(growth), 0, REFERENCE_EPSILON + 1e-9)
            return
        checks.number("parts", self.parts, growth * (4 / 3) * (1 - 1e-12))
        checks.number("weight", self.weight, max(3.0, 4 * growth - 3) * (1 - 1e-12))
        checks.count("first_cut", self.first_cut, math.ceil(self.weight))

    def __call__(self, law: FiringLaw, rounds: int) -> Attack:
        """Run against a learner whose law is known, over T rounds."""
        checks.instance("law", law, FiringLaw, "a learner with a firing law")
        horizon = checks.count("rounds", rounds)
        if MOST < self.repeats <= horizon:
            raise InputError(
                f"repeats = {self.repeats}: at most {MOST:.0e} examples in a step can be held "
                "(a larger epsilon needs fewer; `bounds` needs none)"
            )
        stream = RunLengthStream(horizon)
        state = self._first(law, stream)
        rows = [state]
        while state.upper - state.lower + 1 >= self.repeats:
            after = state.lower + self.repeats
            stream = stream.with_ones(range(state.lower, after))
            state = self._next(law, stream, after, state.upper)
            rows.append(state)
        return Attack(
            stream,
            np.array([row.survival for row in rows]),
            np.array([row.mass for row in rows]),
            tuple(row.lower for row in rows),
            tuple(row.upper for row in rows),
            law.expected_mistakes(stream),
            self.repeats,
        )

    def _first(self, law: FiringLaw, stream: RunLengthStream) -> "_State":
        parts = _parts(law, stream, 1, stream.rounds, min(self.first_cut, stream.rounds))
        return min(parts, key=lambda part: part.mass)

    def _next(self, law: FiringLaw, stream: RunLengthStream, low: int, high: int) -> "_State":
        """The part of [low, high] in which to go on."""
        parts = _parts(law, stream, low, high, self.parts)
        if self.skip_middle:
            parts = [parts[0], parts[-1]]
        # an empty part has no mass and would always be the one; it is taken when all are
        parts = [part for part in parts if part.upper >= part.lower] or parts[-1:]
        masses = np.array([part.mass for part in parts])
        before = np.concatenate([[0.0], np.cumsum(masses)[:-1]])
        cost = masses if self.weight is None else before + self.weight * masses
        return parts[int(np.argmin(cost))]


def adversary_for(epsilon: float) -> BisectionAdversary:
    """The adversary whose guarantee fits learners of privacy epsilon, in any regime.

    Up to log(3/2): two parts and as many examples in a step as keep d * epsilon below it. Above:
    that of `weighted_adversary`.

    Args:
        epsilon: of the learner, above 0 and at most 20.

    Returns:
        A `BisectionAdversary`.

    Raises:
        InputError: epsilon out of range, or so small that float64 does not count a step's examples.
    """
    level = float(checks.number("epsilon", epsilon, 0.0, 20.0, open_low=True))
    if level <= REFERENCE_EPSILON * (1 + 1e-12):
        repeats = max(1, math.floor(min(REFERENCE_EPSILON / level * (1 + 1e-12), 2.0**54)))
        if repeats > 2**53:
            raise InputError(
                f"epsilon = {level:g}: its steps insert more than 2^53 examples each; "
                f"epsilon of at least {REFERENCE_EPSILON / 2**53:.2g} is needed"
            )
        return BisectionAdversary(level, repeats=repeats)
    return weighted_adversary(level)


def weighted_adversary(epsilon: float) -> BisectionAdversary:
    """The adversary with one example in each step and as many parts as epsilon asks for.

    Its guarantee holds at any epsilon; at a small one that of `adversary_for` inserts more examples
    in a step.

    Args:
        epsilon: of the learner, above 0 and at most 20.

    Returns:
        A `BisectionAdversary` with ceil(4 e^epsilon / 3) parts and the weight max(3, 4 e^epsilon -
        3).

    Raises:
        InputError: epsilon out of range.
    """
    level = float(checks.number("epsilon", epsilon, 0.0, 20.0, open_low=True))
    growth = math.exp(level)
    parts = math.ceil(4 / 3 * growth - 1e-12)
    weight = max(3.0, 4 * growth - 3)
    return BisectionAdversary(level, parts=parts, first_cut=math.ceil(weight), weight=weight)


class _State(NamedTuple):
    """An interval, P[no firing before it] and P[the first firing in it]."""

    lower: int
    upper: int
    survival: float
    mass: float


def _parts(
    law: FiringLaw, stream: RunLengthStream, low: int, high: int, parts: int
) -> list[_State]:
    """[low, high] in parts as equal as can be, with their probabilities; some may be empty."""
    edges = [low - 1 + (high - low + 1) * j // parts for j in range(parts + 1)]
    distinct = sorted(set(edges))
    found = law.law_at(stream, distinct)
    silent = dict(zip(distinct, found.silent, strict=True))
    fire = dict(zip(distinct, found.fire, strict=True))
    return [
        _State(a + 1, b, float(silent[a]), float(fire[b]) if b > a else 0.0)
        for a, b in pairwise(edges)
    ]


def _lengths(length: int, repeats: int, parts: int) -> list[int]:
    found = []
    while length >= repeats:
        found.append(length)
        length = (length - repeats) // parts
    return found
