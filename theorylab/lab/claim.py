"""A sentence of a paper with a number in it, its measurement, and a wrong variant to be rejected.

How evidence is made of measurements: `theorylab.lab.evidence`. What follows from it:
`theorylab.lab.outcomes`. The rules in full: docs/guides/claims.md.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from theorylab.lab.evidence import Evidence, evidence_json, jointly
from theorylab.lab.experiment import MEDIUM, PRESETS, Preset, Results
from theorylab.lab.outcomes import FAILING, Kind, Status, control_said, status_of
from theorylab.table import html_table

Measure = Callable[[Mapping[str, Results], Preset], Sequence[Evidence]]


@dataclass(frozen=True)
class Claim:
    """A statement, where it comes from, how it is measured, and the controls that must be rejected.

    Attributes:
        id: its name in the room.
        statement: one sentence with a number in it.
        source: where it is found: paper and theorem, or page and statement of a derivation.
        needs: names of the experiments whose results `measure` and the controls read.
        measure: (results, preset) -> evidence.
        controls: name to measure; each applies the same bounds to a deliberately wrong variant.
            Required but for findings.
        kind: "claim"; "identity" (both sides exact, tolerance at rounding); "finding" (a statement
            of the paper that does not reproduce here or is false as printed: `measure` gives the
            statement's own bounds, and the finding stands while at least one of them is violated).
        presets: the presets large enough for the claim to be visible; at others it is reported as
            skipped.
        note: what a reader should know beside it.

    Raises:
        ValueError: a claim without controls.

    Examples:
        >>> def measure(power):
        ...     def on(results, preset):
        ...         return [Evidence("y / x^2 at 2", 2.0**power / 4, low=0.99, high=1.01)]
        ...
        ...     return on
        >>> statement = "y is x^2 to within 1 %"
        >>> claim = Claim("squares", statement, "Theorem 1", (), measure(2), {"cubes": measure(3)})
        >>> claim.evaluate({}, Preset("quick", {})).status
        'holds'
    """

    id: str
    statement: str
    source: str
    needs: tuple[str, ...]
    measure: Measure
    controls: Mapping[str, Measure] = field(default_factory=dict)
    kind: Kind = "claim"
    presets: tuple[str, ...] = (*PRESETS, MEDIUM)
    note: str = ""

    def __post_init__(self) -> None:
        if self.kind != "finding" and not self.controls:
            raise ValueError(
                f"claim {self.id!r} has no control: add a wrong variant that must be rejected"
            )

    def evaluate(self, results: Mapping[str, Results], preset: Preset) -> "Verdict":
        """Measure the claim and its controls.

        Raises `ValueError` when a measurement gives no evidence.
        """
        if preset.name not in self.presets:
            return Verdict(self, "skipped")
        evidence = jointly(self.measure(results, preset))
        controls = {
            name: jointly(control(results, preset)) for name, control in self.controls.items()
        }
        if not evidence or not all(controls.values()):
            raise ValueError(f"claim {self.id!r}: a measurement gave no evidence")
        return Verdict(self, status_of(self.kind, evidence, controls), evidence, controls)


@dataclass(frozen=True)
class Verdict:
    """What became of a claim: its status and all evidence, for it and for its controls.

    Attributes:
        claim: the claim.
        status: what became of it.
        evidence: of the claim.
        controls: name to evidence of each control.
    """

    claim: Claim
    status: Status
    evidence: tuple[Evidence, ...] = ()
    controls: Mapping[str, tuple[Evidence, ...]] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        """Whether the claim must be mended."""
        return self.status in FAILING

    def tightest(self) -> Evidence | None:
        """The evidence nearest to a bound, relative to the width of its bounds.

        What is outside comes first.
        """
        return min(self.evidence, key=_relative_margin, default=None)

    def _repr_html_(self) -> str:
        """What a notebook shows: every measurement of the claim and of its controls."""
        groups = {
            "claim": self.evidence,
            **{f"control: {name}": ev for name, ev in self.controls.items()},
        }
        rows = [
            (
                of,
                e.label,
                float(e.measured),
                str(e.interval or ""),
                float(e.low),
                float(e.high),
                e.outcome,
            )
            for of, evidence in groups.items()
            for e in evidence
        ]
        caption = f"{self.claim.id}: {self.status}. {self.claim.statement} ({self.claim.source})"
        return html_table(
            caption, ("of", "what", "measured", "interval", "low", "high", "outcome"), rows
        )

    def as_json(self) -> dict[str, Any]:
        """The record that `claims.json` holds of it."""
        controls = {
            name: {
                "outcome": control_said(ev),
                "rejected": control_said(ev) == "rejected",
                "evidence": [evidence_json(e) for e in ev],
            }
            for name, ev in self.controls.items()
        }
        return {
            **described(self.claim),
            "status": self.status,
            "evidence": [evidence_json(e) for e in self.evidence],
            "controls": controls,
        }


def described(claim: Claim) -> dict[str, Any]:
    """What a record says of a claim before it is judged."""
    return {name: getattr(claim, name) for name in ("id", "kind", "statement", "source", "note")}


def _relative_margin(e: Evidence) -> float:
    width = e.high - e.low
    scale = (
        width
        if math.isfinite(width) and width > 0
        else max(abs(e.low if math.isfinite(e.low) else e.high), 1e-300)
    )
    return e.margin / scale
