"""The page of one paper: what it says, its figures, its claims with their controls, what is left
out."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from theorylab.lab.claim import FAMILY_LEVEL
from theorylab.lab.paper import STATUS_MEANING, Paper
from theorylab.lab.replication_file import alone_text, counts_text, held_text, standing
from theorylab.papers.planned import PLANNED
from theorylab.report.drawing import Drawing, place, source
from theorylab.report.markup import Raw, badge, facts, fence, folded, link, pre, prose, table
from theorylab.report.stock import State, Stock
from theorylab.report.verdicts import FAILING, Record, bound_text, lines, margin, measured_text


@dataclass(frozen=True)
class Room:
    """A paper as the site shows it: what the store has of it, its verdicts and its drawings."""

    paper: Paper
    stock: Stock
    record: Record
    drawings: Sequence[Drawing]

    @property
    def tally(self) -> Counter[str]:
        return Counter(standing(c) for c in self.record["claims"])

    @property
    def status(self) -> str:
        """The word on the paper's badge: the worst that became of a claim."""
        found = set(self.tally)
        worst = [s for s in ("fails", "vacuous", "unsupported") if s in found]
        judged = found & {"holds", "finding", "undecided"}
        return (
            worst[0]
            if worst
            else "missing"
            if not judged
            else "undecided"
            if judged == {"undecided"}
            else "holds"
        )

    @property
    def words(self) -> str:
        """The tally in words, e.g. "14 hold, 3 not reproduced"."""
        return counts_text(self.record["claims"], {"finding": "not reproduced"})

    @property
    def failing(self) -> bool:
        return any(s in FAILING for s in self.tally)


def paper_page(room: Room) -> str:
    """The Markdown of a paper that has a room."""
    paper, preset = room.paper, room.stock.preset
    arxiv = (
        link(f"https://arxiv.org/abs/{paper.arxiv}", f"arXiv {paper.arxiv}").html
        if paper.arxiv
        else ""
    )
    head = f"# {paper.title}\n\n<p>{escape(paper.authors)}, {escape(paper.venue)}, {arxiv}</p>\n"
    parts = [
        head,
        (
            f'<p class="tl-verdict">{badge(room.status, room.words).html} '
            f"{_freshness(room.stock)}</p>\n"
        ),
    ]
    parts += ["## What it says\n", prose(paper.summary or paper.title)]
    command = (
        f"theorylab reproduce {paper.slug} --preset {preset.name}\ntheorylab verify "
        f"{paper.slug} --preset {preset.name}"
    )
    parts += [
        "## What this page shows\n",
        prose(
            f"The {preset.name} preset. Left out against the paper: "
            f"{preset.omits or 'nothing said'}"
        ),
    ]
    parts += [fence(command, "bash"), _behind(room.stock)]
    if room.drawings:
        parts += [
            "## Figures\n",
            prose("; ".join(f"{k}: {v}" for k, v in STATUS_MEANING.items()) + "."),
        ]
        parts += [_figure(paper, d) for d in room.drawings]
    if room.record["claims"]:
        parts += ["## Claims\n", _claims(room)]
    return "\n".join(parts)


def missing_page(slug: str, title: str) -> str:
    """The Markdown of a paper that has no room yet."""
    said = PLANNED[slug].summary if slug in PLANNED else title
    nothing = "Nothing yet: theorylab has no figure, no number and no verified claim of this paper."
    return (
        f"# {title}\n\n<p "
        f'class="tl-verdict">{badge("missing", "not implemented yet").html}</p>\n\n## What it '
        f"says\n\n"
        f"{prose(said)}\n## What there is\n\n"
        f"{prose(nothing)}"
    )


def _freshness(stock: Stock) -> str:
    counts = stock.counts()
    if not counts["stale"] and not counts["missing"]:
        return ""
    texts: dict[State, str] = {"stale": "made by older code", "missing": "not computed"}
    said = [
        badge(s, f"{counts[s]} of {len(stock.states)} experiments {t}").html
        for s, t in texts.items()
        if counts[s]
    ]
    return " ".join(said)


def _behind(stock: Stock) -> str:
    """The cells behind the figures: which function, how many, how long, on what."""
    rows = []
    for name, state in stock.states.items():
        experiment = stock.paper.experiment(name)
        found = stock.results.get(name, ())
        seconds = sum(float(r.meta.get("seconds", 0.0)) for r in found)
        devices = ", ".join(sorted({str(r.meta.get("device", "unknown")) for r in found}))
        words = {"fresh": "of today's code", "stale": "of older code", "missing": "not computed"}[
            state
        ]
        rows.append(
            (
                name,
                badge(state, words),
                len(found),
                round(seconds, 1),
                devices,
                place(experiment.run),
            )
        )
    columns = ("experiment", "results", "cells", "seconds", "computed on", "code")
    return folded("The computations behind this page", table("Experiments", columns, rows))


def _figure(paper: Paper, drawing: Drawing) -> str:
    figure, record = drawing.figure, drawing.record
    parts = [
        f"### {figure.title}\n",
        f"<p>{badge('plain', figure.status).html} {_state(drawing)}</p>\n",
    ]
    if not drawing.there:
        why = (
            f"It could not be drawn from older results: {drawing.error}"
            if drawing.error
            else "Its results are not in the store."
        )
        return "\n".join(
            [*parts, prose(f"{why} theorylab reproduce {paper.slug} --figure {figure.name}")]
        )
    base = f"{paper.slug}/{figure.name}"
    alt = escape(f"{figure.title}. {figure.caption}", quote=True)
    pictures = "".join(
        f'<img class="tl-{mode}" src="{base}{suffix}" alt="{alt}" loading="lazy">'
        for mode, suffix in (("light", ".webp"), ("dark", ".dark.webp"))
    )
    notes = " ".join(x for x in (figure.caption, figure.differs, record["omits"]) if x)
    parts += [
        (
            f'<figure class="tl-figure" '
            f'id="{figure.name}">{pictures}<figcaption>{escape(notes)}</figcaption></figure>\n'
        )
    ]
    if drawing.panels:
        parts.append(
            f'<details class="tl-charts" data-name="{figure.name}" data-src="{base}.js"><summary>'
            "Read the values: hover or tap</summary><div></div></details>\n"
        )
    parts.append(f'<p><a href="{base}.csv" download>Numbers (CSV, {drawing.rows:,} rows)</a></p>\n')
    return "\n".join(parts) + _made(paper, drawing)


def _state(drawing: Drawing) -> str:
    return badge("stale", "from results of older code").html if drawing.state == "stale" else ""


def _made(paper: Paper, drawing: Drawing) -> str:
    figure, record = drawing.figure, drawing.record
    runs = {place(paper.experiment(n).run): None for n in figure.needs}
    told = {
        "numbers": place(figure.table),
        "drawing": place(figure.draw),
        "computation": "; ".join(runs),
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
    rows = []
    for line in lines(room.record):
        name = Raw(f'<a href="#claim-{line.claim}">{escape(line.claim)}</a>', line.claim)
        statement = f"{line.statement} {line.remark}".strip()
        margin_shown = Raw(escape(line.margin), line.margin.replace("+", ""))
        told = (line.source, line.measured, line.bound, margin_shown, line.controls, line.seconds)
        told_of = "; ".join(x for x in (line.replicated, line.alone) if x)
        verdict = Raw(f"{badge(line.status).html} {escape(told_of)}", badge(line.status).key)
        rows.append((verdict, name, statement, *told))
    columns = (
        "verdict",
        "claim",
        "statement",
        "source",
        "measured",
        "bound",
        "margin",
        "controls rejected",
        "seconds",
    )
    intro = (
        "The tightest measurement of each claim; below, all of them and the controls. A control "
        "is a deliberately "
        "wrong variant held to the same bounds: it must be rejected, otherwise the claim counts "
        "as failed. Undecided: "
        "an interval reaches over a bound, so that other seeds might decide otherwise. The "
        "intervals of a claim hold "
        f"at {1 - FAMILY_LEVEL:.0%} all together. Held k of R: at so many of R base seeds that no "
        f"bound was chosen "
        "at, the measured numbers lay within their bounds; the verdict is then that of all base "
        "seeds."
    )
    return (
        prose(intro)
        + table(f"Claims of {room.paper.slug}", columns, rows)
        + "\n".join(map(_claim, room.record["claims"]))
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
            ("of", "measured", "bound", "margin", "within the bound"),
            rows,
        )
    opened = (
        f'<details id="claim-{c["id"]}"><summary>{badge(standing(c)).html} '
        f"{escape(c['id'])}</summary>"
    )
    return f"{opened}\n{body}</details>\n"


def _seeds(seeds: Sequence[int]) -> str:
    return f"{seeds[0]} to {seeds[-1]}"


def _evidence(of: str, wrong: bool, e: Mapping[str, Any]) -> tuple[Any, ...]:
    holds = e["outcome"] == "holds"
    within = badge("holds" if holds != wrong else "stale", "yes" if holds else "no")
    if e["outcome"] == "undecided":
        within = badge("undecided", "its interval reaches over")
    return of, measured_text(e), bound_text(e), margin(e), within
