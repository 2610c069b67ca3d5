"""A sentence of a paper with a number in it, the measurement beside it, and a wrong variant that
must be rejected.

A measurement that was sampled is judged by its confidence interval: inside the bounds it *holds*,
outside it *fails*, across a bound it is *undecided*. All intervals of one claim hold together at
`FAMILY_LEVEL`, and so do those of each of its controls. A check that cannot fail proves nothing: a
claim whose control is accepted is *vacuous*, and counts as failed. The rules in full:
docs/guides/claims.md.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import numpy as np

from theorylab.errors import InputError
from theorylab.lab.experiment import MEDIUM, PRESETS, Preset, Results
from theorylab.lab.sample import Correlation, Draws, Interval, Mean, Sample, Share
from theorylab.table import html_table

Kind = Literal["claim", "identity", "finding"]
Status = Literal["holds", "fails", "undecided", "vacuous", "finding", "unsupported", "skipped"]
Outcome = Literal["holds", "fails", "undecided"]
FAILING: frozenset[Status] = frozenset({"fails", "vacuous", "unsupported"})
# How often at most one of the intervals of a claim may miss, when all are asked together
# (Bonferroni).
FAMILY_LEVEL = 0.05
REDRAWS = 1000  # bootstrap draws of the seeds


@dataclass(frozen=True)
class Evidence:
    """One measured number and the closed interval `[low, high]` in which the claim says it lies.

    Attributes:
        label: what was measured.
        measured: the number.
        low, high: the bounds, of the statement and never of the run.
        sample: what the number was sampled from; None for an exact number. `over_seeds`, `share`,
            `correlation`, `bootstrap` and `resampled` make evidence with one.
        seeds: over how many seeds it was measured, for the reader.
        error: how often the confidence interval may miss; `jointly` divides `FAMILY_LEVEL` among
            the evidence of a claim.
    """

    label: str
    measured: float
    low: float = -math.inf
    high: float = math.inf
    sample: Sample | None = None
    seeds: int = 1
    error: float = FAMILY_LEVEL

    @property
    def holds(self) -> bool:
        """Whether the measured number itself is inside the bounds, whatever its interval."""
        return bool(self.finite and self.low <= self.measured <= self.high)

    @property
    def finite(self) -> bool:
        """Whether the measured number is finite."""
        return math.isfinite(self.measured)

    @property
    def interval(self) -> Interval | None:
        """The confidence interval; None when exact, or sampled too little for one."""
        return self.sample.interval(1 - self.error) if self.sample and self.finite else None

    @property
    def outcome(self) -> Outcome:
        """By the interval: inside the bounds, outside of them, or across one.

        Without an interval, by the number.
        """
        interval = self.interval
        if interval is None:
            return "holds" if self.holds else "fails"
        if self.low <= interval[0] and interval[1] <= self.high:
            return "holds"
        return "fails" if interval[1] < self.low or self.high < interval[0] else "undecided"

    @property
    def margin(self) -> float:
        """Distance to the nearer bound; negative outside."""
        return min(self.measured - self.low, self.high - self.measured)


def over_seeds(label: str, values: Any, low: float = -math.inf, high: float = math.inf) -> Evidence:
    """Make evidence from one value per seed: their mean, with the Student interval of the mean.

    Args:
        label: what was measured.
        values: one finite number per seed.
        low, high: the bounds of the statement.

    Returns:
        `Evidence`.

    Raises:
        InputError: no values, or some that are not finite.

    Examples:
        >>> found = over_seeds("accuracy", [0.91, 0.93, 0.92], low=0.9)
        >>> round(found.measured, 4), found.outcome
        (0.92, 'undecided')
    """
    sample = Mean(tuple(np.asarray(values, dtype=np.float64).ravel().tolist()))
    return Evidence(label, sample.estimate, low, high, sample, sample.size)


def share(
    label: str,
    successes: int,
    trials: int,
    low: float = -math.inf,
    high: float = math.inf,
    seeds: int = 1,
) -> Evidence:
    """Make evidence from independent trials: the share of successes.

    With the interval of Clopper and Pearson.

    Args:
        label: what was measured.
        successes, trials: whole numbers, 0 <= successes <= trials.
        low, high: the bounds of the statement.
        seeds: over how many seeds, for the reader.

    Returns:
        `Evidence`.

    Raises:
        InputError: no trial, or more successes than trials.
    """
    if not (trials >= 1 and 0 <= successes <= trials):
        raise InputError(
            f"share {label!r}: {successes} successes in {trials} trials; give 0 <= successes <= "
            f"trials, "
            "and at least one trial"
        )
    sample = Share(int(successes), int(trials))
    return Evidence(label, sample.estimate, low, high, sample, seeds)


def correlation(
    label: str, value: float, pairs: int, low: float = -1.0, high: float = 1.0, seeds: int = 1
) -> Evidence:
    """Make evidence from a correlation over independent pairs.

    With Fisher's interval, from four pairs on.

    Args:
        label: what was measured.
        value: the correlation.
        pairs: how many.
        low, high: the bounds of the statement.
        seeds: over how many seeds, for the reader.

    Returns:
        `Evidence`.

    Raises:
        InputError: a value outside [-1, 1], a count below 1.
    """
    return Evidence(label, float(value), low, high, Correlation(float(value), int(pairs)), seeds)


def resampled(
    label: str,
    measured: float,
    draws: Any,
    low: float = -math.inf,
    high: float = math.inf,
    seeds: int = 1,
) -> Evidence:
    """Make evidence from a statistic that is no mean and its bootstrap draws.

    With their percentile interval. The interval of m measurements needs quantiles at .025 / m, so
    give at least 100 m draws. Over seeds, `bootstrap` draws by itself.

    Args:
        label: what was measured.
        measured: the statistic of the sample itself.
        draws: its values on bootstrap draws.
        low, high: the bounds of the statement.
        seeds: over how many seeds, for the reader.

    Returns:
        `Evidence`.

    Raises:
        InputError: draws that are not finite.
    """
    sample = Draws(float(measured), tuple(np.asarray(draws, dtype=np.float64).ravel().tolist()))
    if not np.isfinite(sample.draws).all():
        raise InputError(
            f"resampled {label!r}: a draw is not finite; draw again where the statistic is not "
            f"defined"
        )
    return Evidence(label, sample.measured, low, high, sample, seeds)


def bootstrap(
    label: str,
    statistic: Callable[..., float],
    arrays: Sequence[np.ndarray],
    low: float = -math.inf,
    high: float = math.inf,
) -> Evidence:
    """Make evidence from a statistic of arrays, with a bootstrap over the seeds.

    The same draws in all arrays. Draws on which the statistic is not defined (not finite) are left
    out.

    Args:
        label: what was measured.
        statistic: of the arrays.
        arrays: (seeds, ...) each.
        low, high: the bounds of the statement.

    Returns:
        `Evidence`.

    Raises:
        InputError: arrays of different numbers of seeds.
    """
    count = len(arrays[0])
    drawn = np.sort(np.random.default_rng(0).integers(count, size=(REDRAWS, count)), axis=1)
    # few seeds have few different draws: each is computed once
    distinct, which = np.unique(drawn, axis=0, return_inverse=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = np.array([float(statistic(*(a[at] for a in arrays))) for at in distinct])[
            which.ravel()
        ]
    return resampled(
        label, float(statistic(*arrays)), values[np.isfinite(values)], low, high, count
    )


def jointly(evidence: Sequence[Evidence]) -> tuple[Evidence, ...]:
    """The same evidence with intervals that hold all together at `FAMILY_LEVEL`: each at its share
    of the error."""
    sampled = sum(e.interval is not None for e in evidence)
    return tuple(replace(e, error=FAMILY_LEVEL / max(sampled, 1)) for e in evidence)


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
        ValueError: a claim without controls, an unknown kind or preset.
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
        """Measure the claim and its controls. Raises `ValueError` when a measurement gives no
        evidence."""
        if preset.name not in self.presets:
            return Verdict(self, "skipped")
        evidence = jointly(self.measure(results, preset))
        controls = {
            name: jointly(control(results, preset)) for name, control in self.controls.items()
        }
        if not evidence or not all(controls.values()):
            raise ValueError(f"claim {self.id!r}: a measurement gave no evidence")
        return Verdict(self, status_of(self.kind, evidence, controls), evidence, controls)


class Judged(Protocol):
    """What the status of a claim follows from: evidence of one run, or of several pooled."""

    @property
    def finite(self) -> bool: ...

    @property
    def outcome(self) -> Outcome: ...


def together(evidence: Sequence[Judged]) -> Literal["holds", "fails", "undecided", "broken"]:
    """What became of several measurements under the same statement: they hold if all hold, fail if
    one fails.

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
        """What a notebook shows: the verdict, and every measurement of the claim and of its
        controls."""
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
                "evidence": [_evidence_json(e) for e in ev],
            }
            for name, ev in self.controls.items()
        }
        return {
            **described(self.claim),
            "status": self.status,
            "evidence": [_evidence_json(e) for e in self.evidence],
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


def number_json(x: float) -> float | str | None:
    """A number as the records hold it: six significant digits, None for an infinity."""
    return None if math.isinf(x) else "nan" if math.isnan(x) else float(f"{x:.6g}")


def _evidence_json(e: Evidence) -> dict[str, Any]:
    interval = [number_json(x) for x in e.interval] if e.interval else None
    return {
        "label": e.label,
        "measured": number_json(e.measured),
        "low": number_json(e.low),
        "high": number_json(e.high),
        "interval": interval,
        "seeds": e.seeds,
        "holds": e.holds,
        "outcome": e.outcome,
    }
