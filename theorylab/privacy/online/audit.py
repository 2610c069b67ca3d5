"""Is the learner as private as it says? Exact comparison of its whole firing law on two streams."""

import math
from collections.abc import Sequence
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

    log_ratio: the largest |log P / P'| over the events, and over unions of them. delta: the
    smallest delta for which (epsilon, delta)-privacy holds between the two, both ways (the hockey
    stick). log_ratios: of every event, (events,); position: the example that was changed.
    exact: whether every round was an event by itself; otherwise rounds are taken together, and all
    figures are lower bounds on the true ones.
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

    Audit the law of the whole sequence: a learner may look private in every single round and not
    be so over many (`StationaryHazard`). Neighbours need not be realisable.

    law: the learner. epsilon: the level at which `delta` is computed, above 0.
    cuts: ends of the groups of rounds that are events; None takes every round up to T = 512, and
      beyond those of `audit_cuts`.
    Events of probability below 1e-18 under both are left out. Raises InputError for bad arguments.
    Source: definition of (epsilon, delta)-privacy (Dmitriev et al. 2024, definition 1).
    """
    level = float(checks.number("epsilon", epsilon, 0.0, open_low=True))
    checks.instance("law", law, FiringLaw, "a learner with a firing law")
    checks.instance("stream", stream, RunLengthStream, "a RunLengthStream")
    other = stream.flipped(position)
    ends = audit_cuts(stream, position) if cuts is None else positions("cuts", cuts, stream.rounds)
    if not ends:
        raise InputError("cuts is empty; at least one round is needed")
    one, two = law.masses(stream, ends), law.masses(other, ends)
    seen = np.maximum(one, two) > SMALLEST
    with np.errstate(divide="ignore"):
        ratios = np.log(one[seen]) - np.log(two[seen])
    sticks = [
        float(np.maximum(a - np.exp(level) * b, 0).sum()) for a, b in ((one, two), (two, one))
    ]
    written_out = len(ends) == stream.rounds
    return Audit(float(np.abs(ratios).max()), max(sticks), ratios, int(position), written_out)


def worst_neighbour(
    law: FiringLaw,
    stream: RunLengthStream,
    *,
    epsilon: float,
    changes: Sequence[int] | None = None,
    cuts: Sequence[int] | None = None,
) -> Audit:
    """The audit of the neighbour with the largest log ratio, over one-example changes.

    changes: positions to change; None takes all up to T = 512, and beyond those of `audit_cuts`.
    The other arguments are those of `firing_time_audit`.
    """
    checks.instance("stream", stream, RunLengthStream, "a RunLengthStream")
    tried = audit_cuts(stream) if changes is None else positions("changes", changes, stream.rounds)
    if not tried:
        raise InputError("changes is empty; at least one position is needed")
    audits = (firing_time_audit(law, stream, at, epsilon=epsilon, cuts=cuts) for at in tried)
    return max(audits, key=lambda audit: audit.log_ratio)


def audit_cuts(stream: RunLengthStream, *more: int, near: int = 2) -> tuple[int, ...]:
    """Rounds at which an audit looks: all up to T = 512; beyond, those within `near` of the ends,
    of the examples and of `more`, and geometric steps from both ends.
    """
    last = checks.instance("stream", stream, RunLengthStream, "a RunLengthStream").rounds
    if last <= WRITTEN_OUT:
        return tuple(range(1, last + 1))
    checks.count("near", near, 0)
    powers = [2**j for j in range(math.floor(math.log2(last)) + 1)]
    marks = {1, last, *stream.ones, *more, *powers, *(last + 1 - p for p in powers)}
    found = {m + shift for m in marks for shift in range(-near, near + 1)}
    return tuple(sorted(t for t in found if 1 <= t <= last))
