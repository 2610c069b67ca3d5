"""What `verify` and `reproduce` print of claims.

A block for each paper, a line for each claim, and in words what does not hold.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table as RichTable

from theorylab.cli import layout
from theorylab.cli.layout import tell, whole

if TYPE_CHECKING:
    from theorylab.report.verdicts import Line

_COLOURS = {"holds": "green", "finding": "yellow", "undecided": "blue"}
_LEAST = 70  # columns that a table must leave for its sentences
_VERDICT, _ID = 11, 24  # columns that most verdicts and ids of claims fit in
_APART = ("skipped", "missing")  # nothing was measured: they are named together


def print_verdicts(records: Sequence[Mapping[str, Any]]) -> None:
    """A block for each of these papers."""
    from theorylab.lab import FAMILY_LEVEL
    from theorylab.report.verdicts import WORDS, lines

    for record in records:
        found = lines(record)
        if not found:
            continue
        _head(record)
        shown = [line for line in found if line.status not in _APART]
        table = _table(shown)
        if table is not None:
            layout.console.print(table)
        width = min(_ID, max((len(line.claim) for line in shown), default=0))
        for line in shown:
            if table is None:
                _line(line, width)
            if line.why:
                first = f"  {line.claim}: " if table is not None else ""
                tell(
                    line.why,
                    first=first or " " * (2 + _VERDICT),
                    rest=" " * (4 if first else 2 + _VERDICT),
                )
        for status in _APART:
            names = [line.claim for line in found if line.status == status]
            if names:
                tell(", ".join(names), first=f"  {WORDS[status]}: ", rest="    ")
    if any(e["interval"] for record in records for c in record["claims"] for e in c["evidence"]):
        tell(
            f"intervals hold at {1 - FAMILY_LEVEL:.0%} for all measurements of a claim together "
            "(Bonferroni)"
        )


def tell_total(
    claims: Sequence[Mapping[str, Any]], failing: Sequence[str], where: str = ""
) -> None:
    """Print the last line: the counts over all papers, and the papers in which a claim fails.

    It ends with where that is written.
    """
    from theorylab.lab.gallery import verdicts_in_words

    verdict = f"failing: {', '.join(failing)}" if failing else "no claim fails"
    parts = (verdicts_in_words(claims), verdict, where)
    tell("; ".join(part for part in parts if part), mark=verdict if failing else "", style="red")


def _head(record: Mapping[str, Any]) -> None:
    from theorylab.lab.gallery import verdicts_in_words

    seeds = record.get("seeds") or [record["seed"]]
    of = f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {', '.join(map(str, seeds))}"
    tell(
        f"{record['paper']} ({record['preset']}, {of}): {verdicts_in_words(record['claims'])}",
        rest="    ",
    )


def _line(line: "Line", width: int) -> None:
    measured = f"{whole(line.value)} {whole(line.bound)}".strip()
    said = "; ".join(x for x in (measured, whole(line.replicated)) if x)
    verdict = f"{line.status:<{_VERDICT - 1}} "
    tell(
        f"{whole(line.claim.ljust(width))} {said}",
        first=f"  {verdict}",
        rest=" " * (2 + _VERDICT),
        mark=line.status,
        style=_colour(line.status),
    )


def _table(found: Sequence["Line"]) -> RichTable | None:
    """The claims as a table; None where the console is too narrow for one."""
    columns = {
        "claim": [line.claim for line in found],
        "verdict": [line.status for line in found],
        "measured": [line.measured for line in found],
        "bound": [line.bound for line in found],
        "margin": [line.margin for line in found],
        "controls rejected": [line.controls for line in found],
        "replicated": [line.replicated for line in found],
        "source": [line.source for line in found],
        "seconds": ["" if line.seconds is None else f"{line.seconds:.1f}" for line in found],
    }
    columns = {name: cells for name, cells in columns.items() if any(cells)}
    sentences = ("measured", "source")
    rigid = sum(
        2 + max(map(len, [n, *cells])) for n, cells in columns.items() if n not in sentences
    )
    if rigid + _LEAST > layout.console.width:
        return None
    table = RichTable(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="")
    for name in columns:
        table.add_column(name, no_wrap=name not in sentences, overflow="fold")
    for line, cells in zip(found, zip(*columns.values(), strict=True), strict=True):
        told = {name: escape(cell) for name, cell in zip(columns, cells, strict=True)}
        told["verdict"] = f"[{_colour(line.status)}]{line.status}[/]"
        table.add_row(*told.values())
    return table


def _colour(status: str) -> str:
    return _COLOURS.get(status, "red")
