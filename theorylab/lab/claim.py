"""A sentence of a paper with a number in it, the measurement beside it, and a wrong variant that must be rejected.

A check that cannot fail proves nothing: a claim whose control passes is *vacuous*, and counts as failed.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from theorylab.lab.experiment import MEDIUM, PRESETS, Preset, Results
from theorylab.lab.table import html_table

Kind = Literal["claim", "identity", "finding"]
Status = Literal["holds", "fails", "vacuous", "finding", "unsupported", "skipped"]
FAILING: frozenset[Status] = frozenset({"fails", "vacuous", "unsupported"})


@dataclass(frozen=True)
class Evidence:
    """One measured number and the closed interval `[low, high]` in which the claim says it lies.

    interval: a confidence interval of the measurement over seeds, when it was sampled; `seeds` says over how many.
    """

    label: str
    measured: float
    low: float = -math.inf
    high: float = math.inf
    interval: tuple[float, float] | None = None
    seeds: int = 1

    @property
    def holds(self) -> bool:
        return bool(math.isfinite(self.measured) and self.low <= self.measured <= self.high)

    @property
    def margin(self) -> float:
        """Distance to the nearer bound; negative outside."""
        return min(self.measured - self.low, self.high - self.measured)

    @property
    def marginal(self) -> bool:
        """Whether the confidence interval reaches over a bound: another set of seeds might decide otherwise."""
        return self.interval is not None and not (self.low <= self.interval[0] and self.interval[1] <= self.high)


def over_seeds(label: str, values: Any, low: float = -math.inf, high: float = math.inf) -> Evidence:
    """Evidence from one value per seed: their mean, with the 95 % Student interval of the mean."""
    from scipy import stats

    x = np.asarray(values, dtype=np.float64).ravel()
    mean = float(x.mean())
    if x.size < 2:
        return Evidence(label, mean, low, high, None, x.size)
    half = float(stats.t.ppf(0.975, x.size - 1) * x.std(ddof=1) / math.sqrt(x.size))
    return Evidence(label, mean, low, high, (mean - half, mean + half), x.size)


Measure = Callable[[Mapping[str, Results], Preset], Sequence[Evidence]]


@dataclass(frozen=True)
class Claim:
    """A statement, where it comes from, how it is measured, and the controls that must be rejected.

    kind: "claim"; "identity" (both sides exact, tolerance at rounding); "finding" (a statement of the paper that does
      not reproduce here or is false as printed: `measure` gives the statement's own bounds, and the finding stands
      while at least one of them is violated).
    needs: names of the experiments whose results `measure` and the controls read.
    controls: name to measure; each applies the same bounds to a deliberately wrong variant. Required but for findings.
    presets: the presets large enough for the claim to be visible; at others it is reported as skipped.
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
            raise ValueError(f"claim {self.id!r} has no control: add a wrong variant that must be rejected")

    def evaluate(self, results: Mapping[str, Results], preset: Preset) -> "Verdict":
        """Measure the claim and its controls. Raises `ValueError` when a measurement gives no evidence."""
        if preset.name not in self.presets:
            return Verdict(self, "skipped")
        evidence = tuple(self.measure(results, preset))
        controls = {name: tuple(control(results, preset)) for name, control in self.controls.items()}
        if not evidence or not all(controls.values()):
            raise ValueError(f"claim {self.id!r}: a measurement gave no evidence")
        return Verdict(self, _status(self.kind, evidence, controls), evidence, controls)


def rejected(evidence: Sequence[Evidence]) -> bool:
    """Whether a control is refuted by a number. A NaN refutes nothing: the control itself is then broken."""
    return all(math.isfinite(e.measured) for e in evidence) and not all(e.holds for e in evidence)


def _status(kind: Kind, evidence: Sequence[Evidence], controls: Mapping[str, Sequence[Evidence]]) -> Status:
    if kind == "finding":
        status: Status = "finding" if rejected(evidence) else "unsupported"
    else:
        status = "holds" if all(e.holds for e in evidence) else "fails"
    vacuous = status in ("holds", "finding") and not all(rejected(c) for c in controls.values())
    return "vacuous" if vacuous else status


@dataclass(frozen=True)
class Verdict:
    """What became of a claim: its status and all evidence, for it and for its controls."""

    claim: Claim
    status: Status
    evidence: tuple[Evidence, ...] = ()
    controls: Mapping[str, tuple[Evidence, ...]] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        return self.status in FAILING

    def tightest(self) -> Evidence | None:
        """The evidence that decides: the violated one, else the one with the least margin relative to its bounds."""
        return min(self.evidence, key=_relative_margin, default=None)

    def _repr_html_(self) -> str:
        """What a notebook shows: the verdict, and every measurement of the claim and of its controls."""
        groups = {"claim": self.evidence, **{f"control: {name}": ev for name, ev in self.controls.items()}}
        rows = [
            (of, e.label, float(e.measured), str(e.interval or ""), float(e.low), float(e.high), e.holds)
            for of, evidence in groups.items() for e in evidence
        ]  # fmt: skip
        caption = f"{self.claim.id}: {self.status}. {self.claim.statement} ({self.claim.source})"
        return html_table(caption, ("of", "what", "measured", "interval", "low", "high", "within"), rows)

    def as_json(self) -> dict[str, Any]:
        c = self.claim
        return {
            "id": c.id, "kind": c.kind, "statement": c.statement, "source": c.source, "note": c.note,
            "status": self.status,
            "evidence": [_evidence_json(e) for e in self.evidence],
            "controls": {
                name: {"rejected": rejected(ev), "evidence": [_evidence_json(e) for e in ev]}
                for name, ev in self.controls.items()
            },
        }  # fmt: skip


def _relative_margin(e: Evidence) -> float:
    width = e.high - e.low
    scale = width if math.isfinite(width) and width > 0 else max(abs(e.low if math.isfinite(e.low) else e.high), 1e-300)
    return e.margin / scale


def _evidence_json(e: Evidence) -> dict[str, Any]:
    def number(x: float) -> float | str | None:
        return None if math.isinf(x) else "nan" if math.isnan(x) else float(f"{x:.6g}")

    interval = [number(x) for x in e.interval] if e.interval else None
    return {"label": e.label, "measured": number(e.measured), "low": number(e.low), "high": number(e.high),
            "interval": interval, "seeds": e.seeds, "holds": e.holds, "marginal": e.marginal}  # fmt: skip
