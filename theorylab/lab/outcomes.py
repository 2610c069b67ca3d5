"""What follows from measurements: for a group of them, for a control, and for the whole claim.

A check that cannot fail proves nothing: a claim whose control is accepted is *vacuous*, and counts
as failed. The rules in full: docs/guides/claims.md.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from theorylab.lab.evidence import Outcome

Kind = Literal["claim", "identity", "finding"]
Status = Literal["holds", "fails", "undecided", "vacuous", "finding", "unsupported", "skipped"]
FAILING: frozenset[Status] = frozenset({"fails", "vacuous", "unsupported"})


class Judged(Protocol):
    """What the status of a claim follows from: evidence of one run, or of several pooled."""

    @property
    def finite(self) -> bool:
        """Whether the measured number is finite."""
        ...

    @property
    def outcome(self) -> Outcome:
        """What its bounds say of it."""
        ...


def together(evidence: Sequence[Judged]) -> Literal["holds", "fails", "undecided", "broken"]:
    """What became of several measurements under the same statement.

    They hold if all hold, and fail if one fails.

    A number that is not finite refutes nothing: what gave it is broken.
    """
    outcomes = {e.outcome for e in evidence}
    if not all(e.finite for e in evidence):
        return "broken"
    return "fails" if "fails" in outcomes else "undecided" if "undecided" in outcomes else "holds"


def control_said(
    evidence: Sequence[Judged],
) -> Literal["rejected", "accepted", "undecided", "broken"]:
    """Whether a control is refuted by its numbers, as it must be."""
    said = together(evidence)
    return "rejected" if said == "fails" else "accepted" if said == "holds" else said


def status_of(
    kind: Kind, evidence: Sequence[Judged], controls: Mapping[str, Sequence[Judged]]
) -> Status:
    """The status of a claim from its evidence and from that of its controls."""
    said = together(evidence)
    if said == "undecided":
        return "undecided"
    if kind == "finding" and said != "fails":
        return "unsupported"
    if kind != "finding" and said != "holds":
        return "fails"
    tried = {control_said(c) for c in controls.values()}
    if tried & {"accepted", "broken"}:
        return "vacuous"
    return "undecided" if "undecided" in tried else "finding" if kind == "finding" else "holds"
