"""An exact comparison of a learner's whole firing law on two streams.

Is the learner as private as it says?
Source: definition of (epsilon, delta)-privacy, Dmitriev, Szabó & Sanyal 2024, definition 1; where
an audit looks is ours.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from theorylab import checks
from theorylab.errors import InputError
from theorylab.privacy.online.firing import FiringLaw
from theorylab.privacy.online.streams import RunLengthStream, positions

SMALLEST = 1e-18  # events less likely than this are not resolved by the quadrature
WRITTEN_OUT = 512  # rounds up to which the audit looks at every round by itself


@dataclass(frozen=True)
class Audit:
    """How far apart two firing laws are.

    Attributes:
        log_ratio: the largest |log P / P'| over the events, and over unions of them.
        delta: the smallest delta for which (epsilon, delta)-privacy holds between the two, both
            ways (the hockey stick).
        log_ratios: (events,) of every event that is not too rare to be resolved.
        position: the example that was changed.
        exact: whether every round was an event by itself; otherwise rounds are taken together, and
            all figures are lower bounds on the true ones.
    """

    log_ratio: float
    delta: float
    log_ratios: Float[np.ndarray, " events"]
    position: int
    exact: bool


def firing_time_audit(
    law: FiringLaw,
    stream: RunLengthStream,
    position: int,
    *,
    epsilon: float,
    cuts: Sequence[int] | None = None,
) -> Audit:
    """Compare the firing laws on a stream and on its neighbour with another example at `position`.

    Audit the law of the whole sequence: a learner may look private in every single round and not be
    so over many (`StationaryHazard`). Neighbours need not be realisable. Events of probability
    below 1e-18 under both are left out.

    Args:
        law: the learner.
        stream: the stream.
        position: of the example that is changed, in 1..T.
        epsilon: the level at which `delta` is computed, above 0.
        cuts: ends of the groups of rounds that are events, increasing; None takes every round up to
            T = 512, and beyond those of `audit_cuts`.

    Returns:
        An `Audit`.

    Raises:
        InputError: an argument out of range, or of another kind.
    """
    checks.instance("stream", stream, RunLengthStream, "a RunLengthStream")
    checks.count("position", position, 1, stream.rounds)
    ends = audit_cuts(stream, position) if cuts is None else cuts
    return next(neighbour_audits(law, stream, epsilon=epsilon, changes=[position], cuts=ends))


def neighbour_audits(
    law: FiringLaw,
    stream: RunLengthStream,
    *,
    epsilon: float,
    changes: Sequence[int] | None = None,
    cuts: Sequence[int] | None = None,
) -> Iterator[Audit]:
    """The audits of a stream against its neighbours, one for every position that is changed.

    Args:
        law: the learner.
        stream: the stream.
        epsilon: the level at which `delta` is computed, above 0.
        changes: positions to change, increasing; None takes all up to T = 512, and beyond those of
            `audit_cuts`.
        cuts: ends of the groups of rounds that are events, as in `firing_time_audit`.

    Returns:
        An iterator over one `Audit` for each change, in their order; arguments are looked at when
        the first is asked for.

    Raises:
        InputError: an argument out of range or of another kind, or no changes or cuts.
    """
    level = float(checks.number("epsilon", epsilon, 0.0, open_low=True))
    checks.instance("law", law, FiringLaw, "a learner with a firing law")
    checks.instance("stream", stream, RunLengthStream, "a RunLengthStream")
    every = audit_cuts(stream)
    tried = every if changes is None else positions("changes", changes, stream.rounds)
    ends = every if cuts is None else positions("cuts", cuts, stream.rounds)
    for name, given in (("changes", tried), ("cuts", ends)):
        if not given:
            raise InputError(f"{name} is empty; at least one round is needed")
    one = law.masses(stream, ends)
    for at in tried:
        two = law.masses(stream.flipped(at), ends)
        yield _compared(one, two, level, at, len(ends) == stream.rounds)


def worst_neighbour(
    law: FiringLaw,
    stream: RunLengthStream,
    *,
    epsilon: float,
    changes: Sequence[int] | None = None,
    cuts: Sequence[int] | None = None,
) -> Audit:
    """The audit of the neighbour with the largest log ratio, over one-example changes.

    Args:
        law: the learner.
        stream: the stream.
        epsilon: the level at which `delta` is computed, above 0.
        changes: positions to change, as in `neighbour_audits`.
        cuts: ends of the groups of rounds that are events, as in `firing_time_audit`.

    Returns:
        An `Audit`.

    Raises:
        InputError: an argument out of range or of another kind, or no changes or cuts.

    Examples:
        >>> from theorylab.privacy.online import StationaryHazard, front_loaded
        >>> trap = StationaryHazard(12.0, 0.5)  # private in every round, and not over all of them
        >>> worst = worst_neighbour(trap, front_loaded(256, 8), epsilon=0.5, changes=[8, 9])
        >>> trap.step_log_ratio(8) <= 0.5 < worst.log_ratio
        True
    """
    found = neighbour_audits(law, stream, epsilon=epsilon, changes=changes, cuts=cuts)
    return max(found, key=lambda audit: audit.log_ratio)


def _compared(
    one: Float[np.ndarray, " n"], two: Float[np.ndarray, " n"], level: float, at: int, exact: bool
) -> Audit:
    seen = np.maximum(one, two) > SMALLEST
    with np.errstate(divide="ignore"):
        ratios = np.log(one[seen]) - np.log(two[seen])
    sticks = [
        float(np.maximum(a - np.exp(level) * b, 0).sum()) for a, b in ((one, two), (two, one))
    ]
    return Audit(float(np.abs(ratios).max()), max(sticks), ratios, at, exact)


def audit_cuts(stream: RunLengthStream, *more: int, near: int = 2) -> tuple[int, ...]:
    """Rounds at which an audit looks.

    All up to T = 512; beyond, those within `near` of the ends, of the examples and of `more`, and
    of geometric steps from both ends.

    Args:
        stream: the stream.
        *more: further rounds to look at.
        near: how many rounds around each are taken too, at least 0.

    Returns:
        Increasing rounds in 1..T.

    Raises:
        InputError: no stream, or a negative `near`.
    """
    last = checks.instance("stream", stream, RunLengthStream, "a RunLengthStream").rounds
    if last <= WRITTEN_OUT:
        return tuple(range(1, last + 1))
    checks.count("near", near, 0)
    powers = [2**j for j in range(math.floor(math.log2(last)) + 1)]
    marks = {1, last, *stream.ones, *more, *powers, *(last + 1 - p for p in powers)}
    found = {m + shift for m in marks for shift in range(-near, near + 1)}
    return tuple(sorted(t for t in found if 1 <= t <= last))
