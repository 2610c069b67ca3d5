"""The little HTML that the pages are made of. Text is escaped here and nowhere else."""

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
    return Raw(f'<a href="{escape(target, quote=True)}">{escape(text)}</a>', text)


def cell(value: Any) -> str:
    """One cell of a table. A number is shown short and sorted by its value."""
    if isinstance(value, Raw):
        key = "" if value.key is None else f' data-sort="{escape(str(value.key), quote=True)}"'
        return f"<td{_long(value.key)}{key}>{value.html}</td>"
    if isinstance(value, float):
        return f'<td class="tl-number" data-sort="{value!r}">{value:.4g}</td>'
    if isinstance(value, int) and not isinstance(value, bool):
        return f'<td class="tl-number" data-sort="{value}">{value:,}</td>'
    return f"<td{_long(value)}>{'' if value is None else escape(str(value))}</td>"


def _long(text: Any) -> str:
    """Sentences get a column that is wide enough to read."""
    return ' class="tl-long"' if isinstance(text, str) and len(text) > 45 else ""


def table(caption: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table that sorts by a click or the Enter key on a column's head; it scrolls sideways on a
    narrow screen."""
    head = "".join(f'<th scope="col">{escape(c)}</th>' for c in columns)
    body = "\n".join(f"<tr>{''.join(cell(v) for v in row)}</tr>" for row in rows)
    name = escape(caption, quote=True)
    return (
        f'<div class="tl-scroll" tabindex="0" role="region" aria-label="{name}">\n'
        f'<table class="sortable asc" data-md-skip><caption>{escape(caption)}</caption>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>\n"
    )


def facts(pairs: Mapping[str, Any]) -> str:
    """A list of names and values."""
    items = "".join(f"<dt>{escape(k)}</dt><dd>{escape(str(v))}</dd>" for k, v in pairs.items())
    return f'<dl class="tl-facts">{items}</dl>\n'


def folded(summary: str, inner: str) -> str:
    """Something that opens by a click. `inner` is Markdown or HTML."""
    return f'<details markdown="1"><summary>{escape(summary)}</summary>\n\n{inner}\n\n</details>\n'


def fence(text: str, language: str = "") -> str:
    """A block of code."""
    return f"~~~{language}\n{text.strip()}\n~~~\n"


def pre(text: str) -> str:
    """Code as it is, without colours: a page of them must stay small."""
    return f'<pre class="tl-code" tabindex="0"><code>{escape(text.strip())}</code></pre>\n'


def prose(text: str) -> str:
    """Plain text as a paragraph in which nothing is markup."""
    return f"<p>{escape(' '.join(text.split()))}</p>\n"
