"""Where what a page shows comes from: results of the user's own, or the gallery that is committed.

Results of today's code in the store come first, then the gallery where it is of today's code, then
older results of the store, then an older gallery. What is damaged is told by name and never shown.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from theorylab.errors import InputError
from theorylab.lab.claim import Claim
from theorylab.lab.experiment import Preset
from theorylab.lab.gallery_files import Kept, kept_claims, kept_figure
from theorylab.lab.paper import Figure, Paper
from theorylab.lab.replication_file import committed, with_replication
from theorylab.lab.reproduce import figure_record
from theorylab.report.stock import State, Stock
from theorylab.report.verdicts import Record, record_of

Origin = Literal["store", "gallery", "none"]


@dataclass(frozen=True)
class Numbers:
    """The numbers of one figure, and where they come from.

    text: the CSV. stale: why they are not what today's code gives. fault: what is damaged, or why
    results of older code could not be read.
    """

    origin: Origin
    text: str = ""
    record: Mapping[str, Any] = field(default_factory=dict)
    stale: str = ""
    fault: str = ""


def numbers_of(stock: Stock, figure: Figure, gallery: Path) -> Numbers:
    """The numbers of a figure from the store or from the gallery.

    Their origin is "none" where neither has them.
    """
    state, fault = stock.state(figure.needs), ""
    if state == "fresh":
        return _from_store(stock, figure)
    try:
        kept = kept_figure(stock.paper, figure, stock.preset, gallery)
    except InputError as error:
        kept, fault = None, str(error)
    if kept is not None and _gallery_first(state, kept):
        return Numbers("gallery", kept.numbers, kept.record, kept.stale)
    if state == "missing":
        return Numbers("none", fault=fault)
    try:
        return _from_store(stock, figure, stale="older code", fault=fault)
    # results of older code may not suit today's figure: say so on the page, go on with the others
    except Exception as error:
        said = f"Older results do not suit today's figure: {type(error).__name__}: {error}"
        return Numbers("none", stale="older code", fault=f"{said}. {fault}".strip(". ") + ".")


def _from_store(stock: Stock, figure: Figure, stale: str = "", fault: str = "") -> Numbers:
    used = {n: stock.results[n] for n in figure.needs}
    record = figure_record(stock.paper, figure, stock.preset, used)
    return Numbers("store", figure.table(used, stock.preset).to_csv(), record, stale, fault)


def _gallery_first(state: State, kept: Kept) -> bool:
    return state == "missing" or (state == "stale" and not kept.stale)


@dataclass(frozen=True)
class Judged:
    """The verdicts of a paper as a record.

    Beside it: what the gallery says of how it was made (empty where it has none), and what of the
    gallery is damaged.
    """

    record: Record
    kept: Record
    faults: tuple[str, ...]


def judge(paper: Paper, preset: Preset, stock: Stock, gallery: Path) -> Judged:
    """Every claim of a paper with its verdict, from the store or from the gallery.

    A claim says its "origin" and, under "stale", why today's code might say another thing.
    """
    faults = []
    kept = None
    try:
        kept = kept_claims(paper, preset, gallery)
    except InputError as error:
        faults.append(str(error))
    said = {c["id"]: c for c in kept.record["claims"]} if kept else {}
    found = [_claim(claim, preset, stock, kept, said.get(claim.id)) for claim in paper.claims]
    ours = record_of(paper, preset, [(c, v) for c, v, _ in found], stock.results)
    claims = [
        {**(theirs or entry), **_told(claim, stock, kept, theirs, entry)}
        for (claim, _, theirs), entry in zip(found, ours["claims"], strict=True)
    ]
    try:
        claims = committed(claims, paper, preset, gallery)
    except InputError as error:
        faults.append(str(error))
        claims = with_replication(claims, None, "")
    return Judged({**ours, "claims": claims}, kept.record if kept else {}, tuple(faults))


def _claim(
    claim: Claim, preset: Preset, stock: Stock, kept: Kept | None, theirs: Record | None
) -> tuple[Claim, Any, Record | None]:
    """A claim with its verdict from the store, or with what the gallery says, or with neither."""
    if not claim.needs and theirs is not None:  # no result of the store speaks for it
        return claim, None, theirs
    state = stock.state(claim.needs)
    if preset.name not in claim.presets or state == "fresh":
        return claim, claim.evaluate(stock.results, preset), None
    if kept is not None and theirs is not None and _gallery_first(state, kept):
        return claim, None, theirs
    if state == "stale":
        # results of older code may lack what today's claim reads: the page says "not computed"
        try:
            return claim, claim.evaluate(stock.results, preset), None
        except Exception:
            return claim, None, theirs
    return claim, None, None


def _told(
    claim: Claim, stock: Stock, kept: Kept | None, theirs: Record | None, entry: Record
) -> dict[str, Any]:
    if theirs is not None and kept is not None:
        return {"origin": "gallery", "stale": kept.stale, "seconds": None}
    if entry["status"] == "missing":
        return {"origin": "none", "stale": "", "seconds": None}
    # a claim that this preset does not judge needs no results
    stale = stock.state(claim.needs) == "stale" and entry["status"] != "skipped"
    return {"origin": "store", "stale": "older code" if stale else ""}
