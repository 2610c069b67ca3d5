"""The pages about everything: the index with its verdicts, and the environment."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from html import escape
from typing import Any

from theorylab.lab import provenance
from theorylab.lab.outcomes import FAILING
from theorylab.report.markup import badge, facts, link, prose, rich, table
from theorylab.report.room import Room

_SHOWN = ("theorylab", "python", "jax", "numpy", "scipy")


def index_page(
    head: str, titles: Mapping[str, str], rooms: Mapping[str, Room], command: str
) -> str:
    """`head` is the start page of the documentation; the verdicts come first under it."""
    legend = (
        "A claim is a sentence of a paper with a number in it. It holds when the measurement lies "
        "within its bound and every control, a deliberately wrong variant, is rejected; it is "
        "undecided where an interval reaches over a bound. Where a paper was replicated over "
        "several base seeds, the verdict is that of all of them."
    )
    cards = [_card(slug, titles[slug], rooms[slug]) for slug in titles if slug in rooms]
    planned = {slug: title for slug, title in titles.items() if slug not in rooms}
    if planned:
        listed = "".join(
            f"<li>{link(f'papers/{slug}.html', title).html}</li>" for slug, title in planned.items()
        )
        cards.append(
            f'<li class="tl-planned"><strong>Planned: {len(planned)} more</strong>'
            f"<ul>{listed}</ul></li>"
        )
    shown = "\n".join(cards)
    parts = [
        f"---\nhide:\n  - toc\n---\n\n{head}\n\n## The papers\n",
        summary(titles, rooms),
        f'<ul class="tl-papers">\n{shown}\n</ul>\n',
        prose(legend, "tl-note-text"),
        prose(f"This site was made by: `{command}`", "tl-note-text"),
    ]
    return "\n".join(parts)


def _card(slug: str, title: str, room: Room) -> str:
    """A paper on the index: its first figure, its title and what became of its claims."""
    page = f"papers/{slug}.html"
    drawn = next((d for d in room.drawings if d.there), None)
    picture = ""
    if drawn is not None:
        width, height = drawn.size
        base = f"papers/{slug}/{drawn.figure.name}"
        picture = "".join(
            f'<img class="tl-{mode}" src="{base}{suffix}" alt="" width="{width}" '
            f'height="{height}" loading="lazy">'
            for mode, suffix in (("light", ".webp"), ("dark", ".dark.webp"))
        )
    figures = sum(d.there for d in room.drawings)
    holds = [
        f"{figures} figure{'s' * (figures != 1)}",
        f"{len(room.claims)} claim{'s' * (len(room.claims) != 1)}",
    ]
    marks = " ".join(badge(s, words).html for s, words in room.counts if s != "skipped")
    if room.stale:
        marks += " " + badge("stale", "partly of older code").html
    if room.faults:
        marks += " " + badge("fails", "damaged files").html
    told = [escape(room.paper.venue), ", ".join(holds), escape(room.replicated)]
    venue = f'<span class="tl-small">{" · ".join(t for t in told if t)}</span>'
    return (
        f'<li class="tl-paper"><div class="tl-thumb">{picture}</div>'
        f'<div class="tl-about"><a href="{page}">{rich(title)}</a>{venue}'
        f'<span class="tl-marks">{marks}</span></div></li>'
    )


def summary(titles: Mapping[str, str], rooms: Mapping[str, Room]) -> str:
    """The verdict of everything in one line."""
    failing = sorted(slug for slug, room in rooms.items() if room.failing)
    totals: Counter[str] = sum((room.tally for room in rooms.values()), start=Counter())
    said = (
        f"{len(rooms)} of {len(titles)} papers implemented. Claims: {totals['holds']} hold with "
        "controls rejected"
    )
    said += (
        f", {totals['finding']} do not reproduce and are told as findings"
        if totals["finding"]
        else ""
    )
    said += f", {totals['undecided']} undecided" if totals["undecided"] else ""
    said += f", {sum(totals[s] for s in FAILING)} fail"
    said += f", {totals['missing']} not computed" if totals["missing"] else ""
    mark = badge("holds", "no claim fails") if rooms else badge("missing")
    if totals["missing"]:
        mark = badge("missing", f"incomplete: {totals['missing']} claims not computed")
    if failing:
        mark = badge("fails", f"failing: {', '.join(failing)}")
    return f'<p class="tl-verdict">{mark.html}</p>\n' + prose(said + ".")


def environment_page(rooms: Mapping[str, Room]) -> str:
    """Which machine and versions made the report, and which made the results."""
    made = provenance.record()
    parts = ["# Environment\n", "## This report\n"]
    parts.append(
        facts(
            {
                "commit": made["commit"] or "not a checkout",
                "device": made["device"],
                **made["versions"],
            }
        )
    )
    parts.append("## The results\n")
    groups: dict[tuple[str, str, str, str], list[float]] = defaultdict(list)
    for slug, room in rooms.items():
        for row in (r for found in room.stock.results.values() for r in found):
            key = _machine(row.meta.get("device", "unknown"), row.meta.get("versions", {}))
            groups[slug, "yours", *key].append(float(row.meta.get("seconds", 0.0)))
        kept = [d.numbers.record for d in room.drawings if d.numbers.origin == "gallery"]
        cells = {name: count for record in kept for name, count in record["cells"].items()}
        if kept:
            key = _machine(", ".join(kept[0]["cell_devices"]), kept[0]["versions"])
            groups[slug, "gallery", *key].extend([0.0] * sum(cells.values()))
    rows: list[tuple[Any, ...]] = [
        (slug, origin, device, used, len(seconds), round(sum(seconds), 1) if any(seconds) else None)
        for (slug, origin, device, used), seconds in groups.items()
    ]
    columns = ("paper", "results", "device", "versions", "cells", "seconds")
    shown = len(columns) if any(row[-1] is not None for row in rows) else len(columns) - 1
    rows = [row[:shown] for row in rows]
    parts.append(
        table("Results by paper and machine", columns[:shown], rows, kind="tl-cards", heard=True)
    )
    return "\n".join(parts)


def _machine(device: Any, versions: Mapping[str, str]) -> tuple[str, str]:
    used = ", ".join(f"{k} {v}" for k, v in versions.items() if k in _SHOWN)
    return str(device), used
