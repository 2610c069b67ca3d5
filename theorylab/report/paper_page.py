"""The page of one paper.

What it says, its figures, its claims with their controls, and what is left out.
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from theorylab.lab.evidence import FAMILY_LEVEL
from theorylab.lab.paper import STATUS_MEANING
from theorylab.lab.replication_file import alone_text, held_text, standing
from theorylab.papers.planned import PLANNED
from theorylab.report.drawing import Drawing, place, source
from theorylab.report.markup import (
    Raw,
    badge,
    facts,
    fence,
    folded,
    link,
    pre,
    prose,
    rich,
    small,
    table,
    whole,
)
from theorylab.report.origin import Origin
from theorylab.report.room import Room
from theorylab.report.verdicts import bound_text, margin, tightest, value_text

ORIGIN: Mapping[Origin, str] = {
    "store": "your results",
    "gallery": "the committed gallery",
    "none": "nowhere",
}


def paper_page(room: Room) -> str:
    """The Markdown of a paper that has a room."""
    paper = room.paper
    arxiv = (
        link(f"https://arxiv.org/abs/{paper.arxiv}", f"arXiv {paper.arxiv}").html
        if paper.arxiv
        else ""
    )
    told = ", ".join(x for x in (escape(paper.authors), escape(paper.venue), arxiv) if x)
    parts = [
        f'# {paper.title}\n\n<p class="tl-by">{told}</p>\n',
        f'<p class="tl-verdict">{verdict_badges(room)}</p>\n',
        prose(paper.summary or paper.title, "tl-lead"),
        _shown(room),
    ]
    if room.drawings:
        parts += ["## Figures\n", *(_figure(room, d) for d in room.drawings)]
    if room.claims:
        parts += ["## Claims\n", _claims(room)]
    parts += ["## How it was computed\n", _behind(room)]
    return "\n".join(parts)


def missing_page(slug: str, title: str) -> str:
    """The Markdown of a paper that has no room yet."""
    said = PLANNED[slug].summary if slug in PLANNED else title
    nothing = "Planned: theorylab has no figure, no number and no verified claim of this paper yet."
    return (
        f'# {title}\n\n<p class="tl-verdict">{badge("missing", "not implemented yet").html}</p>\n\n'
        f"{prose(said, 'tl-lead')}\n{prose(nothing)}"
    )


def verdict_badges(room: Room) -> str:
    """The tally of a paper, a badge a verdict, and over how many base seeds it stands."""
    badges = " ".join(badge(status, words).html for status, words in room.counts)
    return f"{badges} {small(room.replicated)}".strip()


def _shown(room: Room) -> str:
    """The preset, where the numbers come from, and what of that is damaged or old."""
    parts = [
        f"The {room.preset.name} preset. Left out against the paper: "
        f"{room.preset.omits or 'nothing said'}"
    ]
    text = " ".join(prose(p, "tl-note-text") for p in parts)
    text += f'<p class="tl-source">{escape(_origins(room))} {_stale(room)}</p>\n'
    for fault in room.faults:
        text += f'<p class="tl-fault">{badge("fails", "damaged").html} {rich(fault)}</p>\n'
    return text


def _origins(room: Room) -> str:
    """Which figures and claims come from where, in a sentence."""
    counts = {**room.origins}
    none = counts.pop("none", None)
    made = room.judged.kept
    where = dict(ORIGIN)
    if made:
        devices = ", ".join(made["cell_devices"]) or made["device"]
        where["gallery"] += f": commit {made['commit'] or 'unknown'}, {devices}"
    if len(counts) == 1 and none is None:
        (origin,) = counts
        said = f"Figures and verdicts are those of {where[origin]}."
    else:
        said = " ".join(
            f"{figures} figures and {claims} claims are those of {where[origin]}."
            for origin, (figures, claims) in counts.items()
        )
    if none:
        said += f" {none[0]} figures and {none[1]} claims are neither there nor in your results."
    return said.strip()


def _stale(room: Room) -> str:
    total = len(room.drawings) + len(room.claims)
    said = f"{room.stale} of {total} figures and claims are of older code or other values"
    return badge("stale", said).html if room.stale else ""


def _figure(room: Room, drawing: Drawing) -> str:
    figure, numbers = drawing.figure, drawing.numbers
    marks = badge("plain", figure.status).html
    if numbers.stale:
        marks += " " + badge("stale", f"of {numbers.stale}").html
    if len({d.numbers.origin for d in room.drawings}) > 1:
        marks += " " + small(f"from {ORIGIN[numbers.origin]}")
    marks += " " + small(STATUS_MEANING[figure.status])
    parts = [f"### {figure.title}\n", f'<p class="tl-marks">{marks}</p>\n']
    command = f"`theorylab reproduce {room.paper.slug} --figure {figure.name}`"
    if not drawing.there:
        why = f"It cannot be shown. {drawing.error}" if drawing.error else "It was not computed."
        return "\n".join([*parts, prose(f"{why} Make it: {command}")])
    base = f"{room.paper.slug}/{figure.name}"
    alt = escape(f"{figure.title}. {figure.caption}", quote=True)
    width, height = drawing.size
    pictures = "".join(
        f'<img class="tl-{mode}" src="{base}{suffix}" alt="{alt}" width="{width}" '
        f'height="{height}" loading="lazy">'
        for mode, suffix in (("light", ".webp"), ("dark", ".dark.webp"))
    )
    notes = " ".join(x for x in (figure.caption, figure.differs, numbers.record["omits"]) if x)
    parts += [
        f'<figure class="tl-figure" id="{figure.name}">{pictures}'
        f"<figcaption>{rich(notes)}</figcaption></figure>\n"
    ]
    if drawing.panels:
        parts.append(
            f'<details class="tl-charts" data-name="{figure.name}" data-src="{base}.js"><summary>'
            "Read the values: hover or tap</summary><div></div></details>\n"
        )
    parts.append(
        f'<p class="tl-note-text"><a href="{base}.csv" download>Numbers (CSV, {drawing.rows:,} '
        "rows)</a></p>\n"
    )
    return "\n".join(parts) + _made(room, drawing)


def _made(room: Room, drawing: Drawing) -> str:
    figure, record = drawing.figure, drawing.numbers.record
    runs = {place(room.paper.experiment(n).run): None for n in figure.needs}
    told = {
        "numbers": place(figure.table),
        "drawing": place(figure.draw),
        "computation": "; ".join(runs),
        "results": ORIGIN[drawing.numbers.origin],
        "code fingerprint": record["code"],
        "commit": record["commit"] or "not a checkout",
        "computed on": ", ".join(record["cell_devices"]),
        "seconds of computing": record["cell_seconds"],
    }
    codes = {id(f): source(f) for f in (figure.table, figure.draw)}
    code = "\n\n".join(c for c in codes.values() if c)
    return folded(
        "How it was made", fence(record["command"], "bash") + "\n" + facts(told) + "\n" + pre(code)
    )


def _claims(room: Room) -> str:
    columns = ("verdict", "claim", "measured", "bound", "controls")
    intro = (
        "The measurement of each claim that lies nearest to its bound; all of them, and those of "
        "the controls, are below the table. A control is a deliberately wrong variant held to the "
        "same bounds, and must be rejected."
    )
    rules = (
        "A claim whose control is accepted counts as failed. Undecided: an interval reaches over "
        "a bound, so that other seeds might decide otherwise. The intervals of a claim hold at "
        f"{1 - FAMILY_LEVEL:.0%} all together. Held k of R: at k of R base seeds that no "
        "bound was chosen at, the measured numbers lay within their bounds; the verdict is then "
        "that of all base seeds."
    )
    rows = [_row(room, c) for c in room.claims]
    return (
        prose(intro)
        + folded("How a claim is judged", prose(rules))
        + table(_caption(room), columns, rows, kind="tl-cards tl-claims", heard=True)
        + "\n### Every measurement\n\n"
        + "\n".join(map(_claim, room.claims))
    )


def _caption(room: Room) -> str:
    return f"Claims of {room.paper.title}"


def _row(room: Room, c: Mapping[str, Any]) -> tuple[Raw, ...]:
    """The row of a claim: verdict, statement, the measurement that decides, its bound, controls."""
    status, tight = standing(c), tightest(c)
    marks = badge(status).html
    marks += small("; ".join(x for x in (held_text(c), alone_text(c)) if x))
    if c["stale"]:
        marks += " " + badge("stale", f"of {c['stale']}").html
    if len(room.origins) > 1 and c["origin"] != "none":
        marks += small(f"from {ORIGIN[c['origin']]}")
    name = f'<a href="#claim-{escape(c["id"], quote=True)}">{escape(c["id"])}</a>'
    remark = small(c["note"]) if status == "finding" else ""
    statement = f'{rich(c["statement"])}<span class="tl-small">{name}, {rich(c["source"])}</span>'
    measured = bound = "&mdash;"
    if tight:
        value, _, spread = value_text(tight).partition(" ")
        seeds = f"{tight['seeds']} seeds" if tight["seeds"] > 1 else ""
        told = small(", ".join(x for x in (spread, seeds) if x)) + small(tight["label"])
        measured = f"<strong>{whole(value).html}</strong>{told}"
        bound = f"<span>{whole(bound_text(tight)).html}</span>"
    refused = [n for n, x in c["controls"].items() if x["rejected"]]
    controls = (
        f"{len(refused)} of {len(c['controls'])} rejected" if c["controls"] else "none needed"
    )
    if status in ("missing", "skipped") and not c["controls"]:
        controls = "&mdash;"
    return (
        Raw(marks, badge(status).key),
        Raw(statement + remark, c["statement"]),
        Raw(measured, None if tight is None else str(tight["measured"])),
        Raw(bound),
        Raw(controls + small("; ".join(c["controls"]))),
    )


def _claim(c: Mapping[str, Any]) -> str:
    rows = [_evidence("the claim", standing(c) == "finding", e) for e in c["evidence"]]
    for name, control in c["controls"].items():
        rows += [_evidence(f"control: {name}", True, e) for e in control["evidence"]]
    said = "" if standing(c) != "finding" else "Not reproduced at this scale. "
    replicated = "; ".join(x for x in (held_text(c), alone_text(c)) if x)
    body = prose(f"{said}{c['statement']} ({c['source']}) {c['note']}")
    if c.get("replication"):
        body += prose(
            f"Replicated over the base seeds {_seeds(c['replication']['seeds'])}: {replicated}."
        )
    if rows:
        body += table(
            f"Evidence for {c['id']}",
            ("of", "what", "measured", "bound", "margin", "within the bound"),
            rows,
            kind="tl-pairs",
            searched=False,  # rows of numbers, a third of the index
        )
    opened = (
        f'<details class="tl-claim" id="claim-{escape(c["id"], quote=True)}"><summary>'
        f"{badge(standing(c)).html} {escape(c['id'])}</summary>"
    )
    return f"{opened}\n{body}</details>\n"


def _seeds(seeds: Sequence[int]) -> str:
    return f"{seeds[0]} to {seeds[-1]}"


def _evidence(of: str, wrong: bool, e: Mapping[str, Any]) -> tuple[Any, ...]:
    holds = e["outcome"] == "holds"
    within = badge("holds" if holds != wrong else "stale", "yes" if holds else "no")
    if e["outcome"] == "undecided":
        within = badge("undecided", "its interval reaches over")
    seeds = f" ({e['seeds']} seeds)" if e["seeds"] > 1 else ""
    value = whole(value_text(e), str(e["measured"]))
    return (
        of,
        e["label"],
        Raw(value.html + seeds, value.key),
        whole(bound_text(e)),
        margin(e),
        within,
    )


def _behind(room: Room) -> str:
    """The commands, and the cells behind the page: which function, how many, how long, on what."""
    slug, preset = room.paper.slug, room.preset.name
    command = (
        f"theorylab reproduce {slug} --preset {preset}\ntheorylab verify {slug} --preset {preset}"
    )
    columns = ("experiment", "results", "cells", "seconds", "computed on", "code")
    rows = [_experiment(room, name) for name in room.stock.states]
    shown = folded(
        "The computations behind this page", table("Experiments", columns, rows, kind="tl-pairs")
    )
    return f"{fence(command, 'bash')}\n{shown}"


def _experiment(room: Room, name: str) -> tuple[Any, ...]:
    """One experiment as the store has it, or as the gallery says of it."""
    where = place(room.paper.experiment(name).run)
    state, found = room.stock.states[name], room.stock.results.get(name, ())
    kept = [
        d.numbers for d in room.drawings if d.numbers.origin == "gallery" and name in d.figure.needs
    ]
    if state == "fresh" or (found and not kept):
        spent = round(sum(float(r.meta.get("seconds", 0.0)) for r in found), 1)
        devices = ", ".join(sorted({str(r.meta.get("device", "unknown")) for r in found}))
        words = "of today's code" if state == "fresh" else "of older code"
        return name, badge(state, words), len(found), spent, devices, where
    if not kept:
        words = "in the gallery" if room.judged.kept else "not computed"
        mark = badge("plain" if room.judged.kept else "missing", words)
        return name, mark, None, None, ", ".join(room.judged.kept.get("cell_devices", ())), where
    first = kept[0]
    # a record tells the seconds of all its experiments together
    alone = [n.record["cell_seconds"] for n in kept if set(n.record["cells"]) == {name}]
    mark = badge("stale" if first.stale else "plain", "in the gallery")
    devices = ", ".join(first.record["cell_devices"])
    seconds = alone[0] if alone else None
    return name, mark, first.record["cells"][name], seconds, devices, where
