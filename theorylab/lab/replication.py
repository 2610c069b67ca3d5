"""The claims of a paper at several base seeds, and one verdict over all of them.

A single run says what one draw says. A replication computes everything again at base seeds that no
bound was chosen at (from `FIRST_HELD_OUT` on), pools the samples, and judges the pooled evidence by
the rules of a single run. What has no sample and differs between base seeds holds if it does at
every one, fails if it fails at every one, and is undecided otherwise. The rules in full:
docs/guides/claims.md.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from theorylab.errors import InputError
from theorylab.lab.claim import Claim, Verdict
from theorylab.lab.evidence import Evidence, Outcome, jointly, over_seeds
from theorylab.lab.experiment import Preset, Results, Row, canonical
from theorylab.lab.outcomes import Kind, Status, status_of
from theorylab.lab.paper import Paper
from theorylab.lab.runner import Runner, check_data, devices, total_seconds
from theorylab.lab.sample import Interval, pooled

FIRST_HELD_OUT = 101  # bounds are chosen at base seeds below 100 only
_NUMBER = re.compile(
    r"[-+]?(?:\d+(?:,\d{3})*(?:\.\d+)?(?:e[-+]?\d+)?|\b(?:nan|inf)\b)", re.IGNORECASE
)


@dataclass(frozen=True)
class Pooled:
    """One measurement of a claim at every base seed.

    kind: "exact" (no sample, the same at every base seed), "sampled" (`joint` is the evidence of
      the pooled sample), or "varies" (no sample, and another number at another base seed; `joint`
      is the mean over the base seeds, and each run is judged by its own number).
    """

    kind: Literal["exact", "varies", "sampled"]
    runs: tuple[Evidence, ...]
    joint: Evidence

    @property
    def label(self) -> str:
        """The label, with "…" for what differs between base seeds.

        Labels may hold measured numbers.
        """
        return _common([e.label for e in self.runs])

    @property
    def finite(self) -> bool:
        """Whether the measured number of every base seed is finite."""
        return all(e.finite for e in self.runs)

    @property
    def interval(self) -> Interval | None:
        """The confidence interval of the pooled sample; None without one."""
        return self.joint.interval

    @property
    def outcome(self) -> Outcome:
        """By the pooled interval; what varies without a sample is judged run by run."""
        if self.kind != "varies":
            return self.joint.outcome
        inside = [e.holds for e in self.runs]
        return "holds" if all(inside) else "undecided" if any(inside) else "fails"

    @property
    def same_bounds(self) -> bool:
        """Whether the bounds are the same at every base seed.

        A bound may be computed from the run itself.
        """
        return len({(e.low, e.high) for e in self.runs}) == 1


@dataclass(frozen=True)
class Unmatched:
    """Measurements that cannot be matched between base seeds: they decide nothing."""

    finite: bool = True
    outcome: Outcome = "undecided"


Group = tuple[Pooled, ...]


@dataclass(frozen=True)
class ReplicatedClaim:
    """A claim at every base seed.

    status: from the pooled evidence, by the rules of a single run.
    held: at how many base seeds the measured numbers alone, whatever their intervals, give "holds"
    (or "finding").
    remark: why measurements could not be pooled; empty when they were.
    """

    claim: Claim
    status: Status
    verdicts: tuple[Verdict, ...]
    held: int = 0
    evidence: Group = ()
    controls: Mapping[str, Group] = field(default_factory=dict)
    remark: str = ""

    @property
    def of(self) -> int:
        """Over how many base seeds; 0 for a claim that was skipped."""
        return 0 if self.status == "skipped" else len(self.verdicts)


@dataclass(frozen=True)
class Replication:
    """What `replicate` found: every claim over the base seeds, the seconds and the devices."""

    paper: Paper
    preset: Preset
    seeds: tuple[int, ...]
    claims: tuple[ReplicatedClaim, ...]
    seconds: float
    devices: tuple[str, ...]


def held_out(count: int, first: int = FIRST_HELD_OUT) -> range:
    """`count` base seeds from `first` on.

    Raises `InputError` for fewer than two: one run replicates nothing.
    """
    if count < 2:
        raise InputError(f"--replicate {count}: a replication needs at least 2 base seeds")
    if first < 0:
        raise InputError(f"seed must be 0 or more, not {first}")
    return range(first, first + count)


def replicate(paper: Paper, preset: Preset, runner: Runner, seeds: Sequence[int]) -> Replication:
    """Compute what the claims need at every base seed, and pool the verdicts.

    Cells are found and kept as in any run: one that was stopped goes on where it was, and cells
    that do not depend on the seed are computed once. Raises `DataError` for an absent data set,
    `CellError` when a computation fails.
    """
    needed = list(
        dict.fromkeys(n for c in paper.claims if preset.name in c.presets for n in c.needs)
    )
    check_data(paper, preset, needed)
    verdicts: list[list[Verdict]] = []
    made: dict[tuple[str, str], Row] = {}
    for seed in seeds:
        at_seed = replace(preset, seed=seed)
        results = runner.run(paper, at_seed, needed)
        verdicts.append([c.evaluate(results, at_seed) for c in paper.claims])
        made |= {
            (name, canonical(r.cell)): replace(r, arrays={})
            for name, found in results.items()
            for r in found
        }
    claims = tuple(pool(of_claim) for of_claim in zip(*verdicts, strict=True))
    cells = {"all": Results(tuple(made.values()))}
    return Replication(
        paper, preset, tuple(seeds), claims, total_seconds(cells), tuple(devices(cells))
    )


def pool(verdicts: Sequence[Verdict]) -> ReplicatedClaim:
    """One verdict from those on the same claim at several base seeds."""
    claim = verdicts[0].claim
    if all(v.status == "skipped" for v in verdicts):
        return ReplicatedClaim(claim, "skipped", tuple(verdicts))
    held = sum(point_status(claim.kind, v) in ("holds", "finding") for v in verdicts)
    evidence = _pool([v.evidence for v in verdicts])
    controls = {name: _pool([v.controls[name] for v in verdicts]) for name in claim.controls}
    status = status_of(
        claim.kind,
        evidence or (Unmatched(),),
        {n: c or (Unmatched(),) for n, c in controls.items()},
    )
    unmatched = [name for name, group in {"the claim": evidence, **controls}.items() if not group]
    remark = (
        f"other measurements at other base seeds, not pooled: {', '.join(unmatched)}"
        if unmatched
        else ""
    )
    return ReplicatedClaim(claim, status, tuple(verdicts), held, evidence, controls, remark)


def point_status(kind: Kind, verdict: Verdict) -> Status:
    """The status by the measured numbers alone, as if each were exact."""
    points = [
        tuple(replace(e, sample=None) for e in group)
        for group in (verdict.evidence, *verdict.controls.values())
    ]
    return status_of(kind, points[0], dict(zip(verdict.controls, points[1:], strict=True)))


def _pool(groups: Sequence[Sequence[Evidence]]) -> Group:
    """Pool measurement by measurement, matched by position.

    Empty when the base seeds measured different things.
    """
    if len({tuple(masked(e.label) for e in group) for group in groups}) > 1:
        return ()
    found = [_pool_one(runs) for runs in zip(*groups, strict=True)]
    joint = iter(jointly([p.joint for p in found if p.kind == "sampled"]))
    return tuple(replace(p, joint=next(joint)) if p.kind == "sampled" else p for p in found)


def _pool_one(runs: tuple[Evidence, ...]) -> Pooled:
    first = runs[0]
    same_bounds = len({(e.low, e.high) for e in runs}) == 1
    samples = [e.sample for e in runs if e.sample is not None]
    sample = pooled(samples) if len(samples) == len(runs) else None
    if sample is not None and same_bounds:
        joint = Evidence(
            first.label, sample.estimate, first.low, first.high, sample, sum(e.seeds for e in runs)
        )
        return Pooled("sampled", runs, joint)
    values = [e.measured for e in runs]
    if same_bounds and not samples and len(set(values)) == 1:
        return Pooled("exact", runs, first)
    finite = [v for v in values if math.isfinite(v)]
    mean = over_seeds(
        first.label, finite if len(finite) == len(values) else [math.nan], first.low, first.high
    )
    return Pooled("varies", runs, mean)


def masked(label: str) -> str:
    """A label without its numbers, which may have been measured.

    This is what base seeds and later runs have in common.
    """
    return _NUMBER.sub("…", label)


def _common(labels: Sequence[str]) -> str:
    """A label of which the numbers that differ are left out."""
    words, numbers = _NUMBER.split(labels[0]), [_NUMBER.findall(x) for x in labels]
    kept = [n[0] if len(set(n)) == 1 else "…" for n in zip(*numbers, strict=True)]
    return "".join(a + b for a, b in zip(words, [*kept, ""], strict=True))
