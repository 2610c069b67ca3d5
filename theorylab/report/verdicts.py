"""Verdicts of claims as records: what `verify` prints and writes, and what the pages show.

A record is plain JSON: `{"paper", "preset", "seed", "code", "commit", "claims": [...]}`; each claim
is what `Verdict.as_json` gives, with the seconds that its results took to compute.
"""

import contextlib
import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from filelock import FileLock

from theorylab.errors import InputError
from theorylab.files import intact_record, read_text, seal_record, write_atomically
from theorylab.lab import provenance
from theorylab.lab.claim import Claim, Verdict
from theorylab.lab.experiment import Preset, Results
from theorylab.lab.fingerprint import fingerprint
from theorylab.lab.outcomes import FAILING
from theorylab.lab.paper import Paper
from theorylab.lab.replication_file import alone_text, held_text, standing
from theorylab.lab.runner import Runner, check_data, total_seconds

Record = Mapping[str, Any]
FORMAT = "theorylab-verdicts-2"
WORDS = {
    "holds": "holds",
    "fails": "FAILS",
    "undecided": "undecided",
    "vacuous": "VACUOUS",
    "finding": "not reproduced (finding)",
    "unsupported": "UNSUPPORTED finding",
    "skipped": "not judged at this preset",
    "missing": "not computed",
}
# which of several measurements a line shows: the first that there is
_DECIDES = ("fails", "undecided", "holds")


@dataclass(frozen=True)
class Line:
    """One claim in a table: text for every column, and numbers to sort by.

    status: the verdict that counts, of the replication where there is one; `alone`: what this run
    says, if another.
    replicated: at how many base seeds the claim held, in words.
    value: what was measured without what it is called, which `measured` begins with.
    why: what decided, in words, of a claim that does not simply hold; else empty.
    """

    paper: str
    claim: str
    statement: str
    source: str
    status: str
    measured: str
    bound: str
    margin: str
    controls: str
    seconds: float | None
    remark: str = ""
    replicated: str = ""
    alone: str = ""
    value: str = ""
    why: str = ""

    @property
    def failed(self) -> bool:
        """Whether the claim must be mended."""
        return self.status in FAILING


def code_of_room(paper: Paper, preset: Preset) -> str:
    """A digest of all that a verdict follows from.

    That is the code of the whole room and what it reaches, the preset and the seed.
    """
    code = fingerprint(f"theorylab.papers.{paper.slug}")
    # a paper of the user's own: the code of its parts
    if find_spec(f"theorylab.papers.{paper.slug}") is None:
        code = " ".join([code, *(fingerprint(part) for part in _parts(paper))])
    text = json.dumps(
        [paper.slug, code, preset.name, preset.seed, dict(preset.values)], sort_keys=True
    )
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _parts(paper: Paper) -> list[Callable[..., Any]]:
    """Every function that a verdict of this paper follows from."""
    experiments = [f for e in paper.experiments for f in (e.run, e.cells, e.needs)]
    return experiments + [f for c in paper.claims for f in (c.measure, *c.controls.values())]


def verify(paper: Paper, preset: Preset, runner: Runner) -> Record:
    """Compute what the claims of this preset need, judge them, and return the record."""
    needed = list(
        dict.fromkeys(n for c in paper.claims if preset.name in c.presets for n in c.needs)
    )
    check_data(paper, preset, needed)
    results = runner.run(paper, preset, needed)
    return record_of(
        paper, preset, [(c, c.evaluate(results, preset)) for c in paper.claims], results
    )


def record_of(
    paper: Paper,
    preset: Preset,
    judged: Sequence[tuple[Claim, Verdict | None]],
    results: Mapping[str, Results],
) -> Record:
    """The record of these claims; a claim without a verdict is written down as "missing"."""
    claims = []
    for claim, verdict in judged:
        entry = (verdict or Verdict(claim, "skipped")).as_json()
        if verdict is None:
            entry["status"] = "missing"
        used = {n: results[n] for n in claim.needs if n in results}
        claims.append({**entry, "seconds": round(total_seconds(used), 2)})
    return {
        "paper": paper.slug,
        "preset": preset.name,
        "seed": preset.seed,
        "code": code_of_room(paper, preset),
        "commit": provenance.commit(),
        "device": provenance.device(),
        "claims": claims,
    }


def write_records(path: Path, records: Mapping[str, Record], *, keep: bool = False) -> None:
    """Write the records of papers to a file, atomically.

    With `keep`, papers that the file has beside these stay in it.

    A file that is damaged, or of an older version, gives nothing to keep. Two processes may write
    to the same file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f".{path.name}.lock")) if keep else contextlib.nullcontext():
        kept: Mapping[str, Record] = {}
        if keep and path.is_file():
            with contextlib.suppress(InputError):
                kept = read_records(path)
        content = seal_record({"format": FORMAT, "papers": {**kept, **records}})
        write_atomically(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())


def read_records(path: Path) -> Mapping[str, Record]:
    """The record of every paper in a file of verdicts.

    Raises `InputError` when the file is not what `verify` wrote, to the last bit.
    """
    text = read_text(path, "the JSON that an earlier `theorylab verify` wrote")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict) or not str(content.get("format")).startswith(
        "theorylab-verdicts-"
    ):
        raise InputError(
            f"{path} is not a file of verdicts, or damaged; give the JSON that `theorylab verify` "
            "wrote"
        )
    if content["format"] != FORMAT:
        raise InputError(
            f"{path} was written by another version; give the JSON that this `theorylab verify` "
            "wrote"
        )
    if not intact_record(content):
        raise InputError(f"{path} is damaged: its checksum is wrong; judge again without it")
    return content["papers"]


def failed(record: Record) -> bool:
    """Whether any claim of the record failed."""
    return any(standing(c) in FAILING for c in record["claims"])


def lines(record: Record) -> list[Line]:
    """The rows of the table, one per claim, in the order of the paper."""
    return [_line(record["paper"], c) for c in record["claims"]]


def tightest(claim: Record) -> Record | None:
    """The measurement that decides over a claim, nearest to its bound; None where there is none."""
    return min(
        claim["evidence"],
        key=lambda e: (_DECIDES.index(e["outcome"]), relative_margin(e)),
        default=None,
    )


def _line(paper: str, c: Mapping[str, Any]) -> Line:
    tight = tightest(c)
    controls = c["controls"].values()
    rejected = f"{sum(x['rejected'] for x in controls)} of {len(controls)}" if controls else ""
    remark = c["note"]
    if standing(c) == "finding":
        remark = f"not reproduced at this scale: {c['note'] or c['statement']}"
    return Line(
        paper,
        c["id"],
        c["statement"],
        c["source"],
        standing(c),
        measured_text(tight) if tight else "",
        bound_text(tight) if tight else "",
        f"{margin(tight):+.3g}" if tight else "",
        rejected,
        c.get("seconds"),
        remark,
        held_text(c),
        alone_text(c),
        value_text(tight) if tight else "",
        _why(c, tight, remark),
    )


_TOLD = 3  # measurements that are told of one claim


def _why(c: Mapping[str, Any], tight: Mapping[str, Any] | None, remark: str) -> str:
    """What decided over a claim that does not simply hold.

    Also what this run alone says, where that is another.
    """
    parts, status = [alone_text(c)], standing(c)
    if status == "finding":
        parts += [tight["label"] if tight else "", remark]
    elif status == "undecided" or status in FAILING:
        short = [e for e in c["evidence"] if e["outcome"] != "holds"]
        parts += [f"{measured_text(e)} {_against(e)}" for e in short[:_TOLD]]
        parts += [f"and {len(short) - _TOLD} more measurements"] if len(short) > _TOLD else []
        parts += [
            f"control '{n}': {x['outcome']}" for n, x in c["controls"].items() if not x["rejected"]
        ]
        parts += ["the statement does hold here"] if status == "unsupported" else []
        parts += [f"claimed: {c['statement']}", c["note"]]
    return "; ".join(part for part in parts if part)


def _against(e: Mapping[str, Any]) -> str:
    if e["outcome"] == "undecided":
        return f"reaches over its bound, {bound_text(e)}"
    return f"is not {bound_text(e)}"


def _number(x: Any, otherwise: float) -> float:
    return otherwise if x is None else float(x)


def margin(e: Mapping[str, Any]) -> float:
    """Distance of the measurement to the nearer bound, negative outside; NaN for a NaN."""
    x = float(e["measured"]) if e["measured"] is not None else math.inf
    sides = (x - _number(e["low"], -math.inf), _number(e["high"], math.inf) - x)
    return math.nan if math.isnan(x) else min(sides)


def relative_margin(e: Mapping[str, Any]) -> float:
    """The margin in units of the bounds, to compare evidence of different sizes.

    What is violated comes first.
    """
    low, high, gap = _number(e["low"], -math.inf), _number(e["high"], math.inf), margin(e)
    width = high - low
    finite = [abs(b) for b in (low, high) if math.isfinite(b)]
    scale = (
        width if math.isfinite(width) and width > 0 else max(finite[0] if finite else 1.0, 1e-300)
    )
    return -math.inf if math.isnan(gap) else gap / scale


def measured_text(e: Mapping[str, Any]) -> str:
    """The measurement with its interval over seeds."""
    seeds = f" ({e['seeds']} seeds)" if e["seeds"] > 1 else ""
    return f"{e['label']}: {value_text(e)}{seeds}"


def value_text(e: Mapping[str, Any]) -> str:
    """The measured number with its interval."""
    value = "infinite" if e["measured"] is None else f"{float(e['measured']):.4g}"
    spread = (
        " [{:.4g}, {:.4g}]".format(*(_number(v, math.inf) for v in e["interval"]))
        if e["interval"]
        else ""
    )
    return value + spread


def bound_text(e: Mapping[str, Any]) -> str:
    """The interval in which the claim says that the measurement lies."""
    low, high = e["low"], e["high"]
    if low is not None and high is not None:
        return f"in [{low:.4g}, {high:.4g}]" if low != high else f"= {low:.4g}"
    return (
        f"≥ {low:.4g}" if low is not None else f"≤ {high:.4g}" if high is not None else "any number"
    )
