"""Replications as they are committed, in `replication.json` beside the verdicts of the gallery.

The file has one record for each preset.

A file carries the digest of its content, and one that is not what was written is refused. A record
stands beside verdicts only while it speaks of the same values; of a claim whose bounds, or whose
code, have changed since, it is shown as stale and decides nothing.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from theorylab.errors import InputError
from theorylab.files import intact_record, seal_record, write_atomically
from theorylab.lab import provenance
from theorylab.lab.claim import described
from theorylab.lab.evidence import FAMILY_LEVEL, number_json
from theorylab.lab.experiment import Preset
from theorylab.lab.outcomes import control_said
from theorylab.lab.paper import Paper
from theorylab.lab.replication import (
    FIRST_HELD_OUT,
    Group,
    Pooled,
    ReplicatedClaim,
    Replication,
    Unmatched,
    masked,
)
from theorylab.lab.reproduce import claim_needs, code_of, command
from theorylab.records import record_text

REPLICATION_FILE = "replication.json"
FORMAT = "theorylab-replication-1"
Record = Mapping[str, Any]
# In the order in which they are told.
_WORDS = {
    "holds": "hold",
    "undecided": "undecided",
    "finding": "finding",
    "fails": "fail",
    "vacuous": "vacuous",
    "unsupported": "unsupported",
    "skipped": "not judged at this preset",
    "missing": "not computed",
}


def record_of_replication(found: Replication) -> dict[str, Any]:
    """A replication as JSON: how it was made, and every claim with all its evidence."""
    paper, preset, seeds = found.paper, found.preset, found.seeds
    words = ["verify", paper.slug, "--preset", preset.name, "--replicate", str(len(seeds))]
    words += ["--seed", str(seeds[0])] if seeds[0] != FIRST_HELD_OUT else []
    return {
        "paper": paper.slug,
        "preset": preset.name,
        "values": dict(preset.values),
        "seeds": list(seeds),
        "command": command(words, paper, preset),
        "code": code_of(paper, claim_needs(paper)),
        **provenance.record(),
        "devices": list(found.devices),
        "seconds": round(found.seconds, 1),
        "family_level": FAMILY_LEVEL,
        "claims": [_claim(c) for c in found.claims],
    }


def _claim(c: ReplicatedClaim) -> dict[str, Any]:
    controls = {
        name: {"outcome": control_said(group or (Unmatched(),)), "evidence": _group(group)}
        for name, group in c.controls.items()
    }
    return {
        "id": c.claim.id,
        "kind": c.claim.kind,
        "status": c.status,
        "held": c.held,
        "of": c.of,
        "statuses": [v.status for v in c.verdicts],
        "remark": c.remark,
        "bounds": bounds_digest(c.claim.kind, _group(c.evidence)),
        "evidence": _group(c.evidence),
        "controls": controls,
    }


def _group(group: Group) -> list[dict[str, Any]]:
    return [_pooled(p) for p in group]


def _pooled(p: Pooled) -> dict[str, Any]:
    first = p.runs[0]
    interval = [number_json(x) for x in p.interval] if p.interval else None
    return {
        "label": p.label,
        "low": number_json(first.low),
        "high": number_json(first.high),
        "same_bounds": p.same_bounds,
        "kind": p.kind,
        "measured": [number_json(e.measured) for e in p.runs],
        "pooled": number_json(p.joint.measured),
        "interval": interval,
        "seeds": p.joint.seeds,
        "outcome": p.outcome,
    }


def bounds_digest(kind: str, evidence: Sequence[Record]) -> str:
    """A digest of what a claim is held to.

    That is its kind, and the labels and bounds of its measurements in their order.

    Left out is what a run may make itself: numbers in labels, and bounds that differ between base
    seeds.
    """
    bounds = [
        [masked(e["label"]), *((e["low"], e["high"]) if e.get("same_bounds", True) else ())]
        for e in evidence
    ]
    return hashlib.sha256(json.dumps([kind, bounds]).encode()).hexdigest()[:16]


def write_replication(record: Record, folder: Path) -> Path:
    """Write a record to `replication.json` in a folder, atomically, and return the path.

    Records of other presets stay.

    Raises `InputError` when the file that is there is damaged.
    """
    path = folder / REPLICATION_FILE
    presets = {**_presets(path, record["paper"]), record["preset"]: record}
    text = record_text(seal_record({"format": FORMAT, "presets": presets}))
    write_atomically(path, text.encode())
    return path


def read_replication(paper: Paper, preset: str, folder: Path) -> Record | None:
    """The record of a preset in a folder, or None when there is none.

    Raises `InputError` for a damaged file.
    """
    return _presets(folder / REPLICATION_FILE, paper.slug).get(preset)


def _presets(path: Path, paper: str) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text())
        if intact_record(content) and content["format"] == FORMAT:
            return content["presets"]
    except (OSError, ValueError, KeyError):
        pass
    raise InputError(
        f"{path} is damaged or was changed by hand; restore it, or remove it and make it again: "
        f"theorylab verify {paper} --replicate R"
    )


def with_replication(
    claims: Iterable[Record], replication: Record | None, code: str
) -> list[dict[str, Any]]:
    """Claims of a record, each with what the replication says of it under "replication".

    Its "stale" says why it no longer counts: empty when it does. `code`: of the experiments, as it
    is today.
    """
    said = {c["id"]: c for c in replication["claims"]} if replication else {}
    return [{**c, "replication": _beside(c, said.get(c["id"]), replication, code)} for c in claims]


def _beside(
    claim: Record, said: Record | None, replication: Record | None, code: str
) -> dict[str, Any] | None:
    if (
        said is None
        or replication is None
        or said["status"] == "skipped"
        or claim["status"] == "skipped"
    ):
        return None
    stale = "the code has changed since" if replication["code"] != code else ""
    if claim["evidence"] and said["evidence"]:
        # A bound that a run makes itself cannot be compared: those are marked in the replication.
        made = [e["same_bounds"] for e in said["evidence"]]
        now = [{**e, "same_bounds": same} for e, same in zip(claim["evidence"], made, strict=False)]
        if (
            len(made) != len(claim["evidence"])
            or bounds_digest(claim["kind"], now) != said["bounds"]
        ):
            stale = "bounds changed since"
    return {
        "status": said["status"],
        "held": said["held"],
        "of": said["of"],
        "stale": stale,
        "commit": replication["commit"],
        "seeds": replication["seeds"],
    }


def committed(
    claims: Iterable[Record], paper: Paper, preset: Preset | Record, out: Path
) -> list[dict[str, Any]]:
    """Claims of a run, with the replications that the gallery in `out` has of them.

    A replication counts that is of the same paper, preset and values.

    preset: the preset, or a record that names it. Raises `InputError` for a damaged file.
    """
    name, values = (
        (preset.name, preset.values)
        if isinstance(preset, Preset)
        else (preset["preset"], preset["values"])
    )
    found = read_replication(paper, name, paper.folder(out, name))
    same = found is not None and found["values"] == json.loads(json.dumps(dict(values)))
    return with_replication(claims, found if same else None, code_of(paper, claim_needs(paper)))


def standing(claim: Record) -> str:
    """The verdict that counts.

    It is the replicated one where there is one that is not stale, and else that of the run.

    What was not computed here stays so.
    """
    found = claim.get("replication")
    return (
        found["status"]
        if found and not found["stale"] and claim["status"] != "missing"
        else claim["status"]
    )


def held_text(claim: Record) -> str:
    """Of a replicated claim, e.g. "held 5 of 5"; empty for one that is not."""
    found = claim.get("replication")
    return (
        f"held {found['held']} of {found['of']}{', ' * bool(found['stale'])}{found['stale']}"
        if found
        else ""
    )


def alone_text(claim: Record) -> str:
    """What this run alone says, where the replicated verdict is another; else empty."""
    return f"this run alone: {claim['status']}" if standing(claim) != claim["status"] else ""


def counts_text(claims: Sequence[Record], words: Mapping[str, str] | None = None) -> str:
    """The verdicts that count, in words.

    For example "18 hold, 2 undecided, 3 finding; replicated over 5 base seeds".
    """
    counts = Counter(standing(c) for c in claims)
    told = {**_WORDS, **(words or {})}
    text = ", ".join(f"{counts[status]} {word}" for status, word in told.items() if counts[status])
    found = [c["replication"] for c in claims if c.get("replication")]
    stale = sum(bool(r["stale"]) for r in found)
    if stale < len(found):
        text += f"; replicated over {max(r['of'] for r in found)} base seeds"
    return text + (f"; {stale} of {len(found)} replications stale" if stale else "")


def shown(record: Record, paper: Paper) -> dict[str, Any]:
    """A replication in the shape of the record of one run, for the tables that show those."""
    of = {c.id: c for c in paper.claims}
    beside = with_replication(record["claims"], record, record["code"])
    claims = [
        {
            **described(of[c["id"]]),
            "status": c["status"],
            "replication": c["replication"],
            "note": f"{of[c['id']].note} {c['remark']}".strip(),
            "evidence": _as_run(c["evidence"]),
            "controls": {
                n: {
                    "outcome": x["outcome"],
                    "rejected": x["outcome"] == "rejected",
                    "evidence": _as_run(x["evidence"]),
                }
                for n, x in c["controls"].items()
            },
        }
        for c in beside
    ]
    return {**record, "claims": claims}


def _as_run(evidence: Sequence[Record]) -> list[dict[str, Any]]:
    return [{**e, "measured": e["pooled"], "holds": e["outcome"] == "holds"} for e in evidence]
