"""The little HTML that the pages are made of. Text is escaped here and nowhere else."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from theorylab.report.verdicts import WORDS

_COLOURS = {
    "holds": "good",
    "finding": "note",
    "undecided": "open",
    "skipped": "plain",
    "missing": "plain",
    "stale": "note",
    "fails": "bad",
    "vacuous": "bad",
    "unsupported": "bad",
    "fresh": "good",
}
_KEY = 32  # characters of a text by which a table sorts it
_CODE = re.compile(r"`([^`]+)`")


@dataclass(frozen=True)
class Raw:
    """A piece of HTML that is not to be escaped again; `key` is what a table sorts it by."""

    html: str
    key: Any = None


def badge(status: str, text: str = "") -> Raw:
    """A coloured word; the word says all that the colour says."""
    words = text or WORDS.get(status, status)
    return Raw(
        f'<span class="tl-badge tl-{_COLOURS.get(status, "plain")}">{escape(words)}</span>', words
    )


def link(target: str, text: str) -> Raw:
    """A link to a page or a place on one."""
    return Raw(f'<a href="{escape(target, quote=True)}">{escape(text)}</a>', text)


def rich(text: str) -> str:
    """Text of a room as HTML: nothing in it is markup, but code between backticks."""
    return _CODE.sub(r"<code>\1</code>", escape(" ".join(text.split())))


def small(text: str) -> str:
    """A second line in a cell, quieter than the first; nothing for an empty text."""
    return f'<span class="tl-small">{rich(text)}</span>' if text else ""


def whole(text: str, key: str = "") -> Raw:
    """Text in which no line is broken after a hyphen, such as a number with its bounds."""
    parts = (
        f'<span class="tl-whole">{escape(part)}</span>' if "-" in part else escape(part)
        for part in text.split(", ")
    )
    return Raw(", ".join(parts), key or None)


def cell(value: Any) -> str:
    """One cell of a table. A number is shown short and sorted by its value."""
    if isinstance(value, Raw):
        key = (
            "" if value.key is None else f' data-sort="{escape(str(value.key)[:_KEY], quote=True)}"'
        )
        return f"<td{_long(value.key)}{key}>{value.html}</td>"
    if isinstance(value, float | int) and not isinstance(value, bool):
        shown = f"{value:.4g}" if isinstance(value, float) else f"{value:,}"
        return f'<td class="tl-number" data-sort="{value!r}">{shown}</td>'
    shown = "" if value is None else rich(str(value))
    return f"<td{_long(value)}>{shown}</td>"


def _long(text: Any) -> str:
    """Sentences get a column that is wide enough to read."""
    return ' class="tl-long"' if isinstance(text, str) and len(text) > 45 else ""


def table(
    caption: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    kind: str = "",
    heard: bool = False,
    searched: bool = True,
) -> str:
    """A table that sorts by a click or the Enter key on a column's head.

    On a narrow screen it scrolls sideways; of the kinds "tl-cards" and "tl-pairs" every row becomes
    a card there instead, whose values have the names of their columns before them.

    heard: the caption is for screen readers alone, as the heading above says the same. searched:
    the site's search finds what is in it.
    """
    found = [list(row) for row in rows]
    numbers = [
        bool(found) and all(isinstance(row[i], float | int | None) for row in found)
        for i in range(len(columns))
    ]
    head = "".join(
        f'<th role="columnheader" scope="col"{_number(right)}>{escape(c)}</th>'
        for c, right in zip(columns, numbers, strict=True)
    )
    body = "\n".join(f"<tr>{''.join(map(cell, row))}</tr>" for row in found)
    name = escape(caption, quote=True)
    more = "" if searched else " data-search-exclude"
    if {"tl-cards", "tl-pairs"} & set(kind.split()):
        # once for all rows: report.css puts --tl-N before the N-th cell
        names = (f"--tl-{i}:{json.dumps(c, ensure_ascii=False)}" for i, c in enumerate(columns, 1))
        more += f' style="{escape(";".join(names), quote=True)}"'
    return (
        f'<div class="tl-scroll {kind}"{more} tabindex="0" role="region" aria-label="{name}">\n'
        f'<table class="sortable asc" data-md-skip><caption{_heard(heard)}>'
        f"{escape(caption)}</caption>\n<thead><tr>{head}</tr></thead>\n"
        f"<tbody>\n{body}\n</tbody></table></div>\n"
    )


def _heard(only: bool) -> str:
    return ' class="tl-heard"' if only else ""


def _number(right: bool) -> str:
    return ' class="tl-number"' if right else ""


def facts(pairs: Mapping[str, Any]) -> str:
    """A list of names and values."""
    items = "".join(f"<dt>{escape(k)}</dt><dd>{rich(str(v))}</dd>" for k, v in pairs.items())
    return f'<dl class="tl-facts">{items}</dl>\n'


def folded(summary: str, inner: str) -> str:
    """Something that opens by a click. `inner` is Markdown or HTML."""
    return f'<details markdown="1"><summary>{escape(summary)}</summary>\n\n{inner}\n\n</details>\n'


def fence(text: str, language: str = "") -> str:
    """A block of code."""
    return f"~~~{language}\n{text.strip()}\n~~~\n"


def pre(text: str) -> str:
    """Code as it is, without colours: a page of them must stay small."""
    shown = f"<code>{escape(text.strip())}</code>"
    return f'<pre class="tl-code" data-search-exclude tabindex="0">{shown}</pre>\n'


def prose(text: str, kind: str = "") -> str:
    """Plain text as a paragraph in which nothing is markup but code between backticks."""
    said = f' class="{kind}"' if kind else ""
    return f"<p{said}>{rich(text)}</p>\n"
