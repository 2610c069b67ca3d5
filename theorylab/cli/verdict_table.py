"""The table that `verify` and `reproduce` print."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

_COLOURS = {"holds": "green", "finding": "yellow", "undecided": "blue", "skipped": "dim", "missing": "dim"}
_WIDE = 150  # columns of a terminal from which the whole table fits


def print_verdicts(console: Console, records: Sequence[Mapping[str, Any]]) -> None:
    """One table for these papers, and under it in words what does not reproduce and what fails."""
    from theorylab.lab import FAMILY_LEVEL
    from theorylab.report.verdicts import lines

    found = [line for record in records for line in lines(record)]
    if not found:
        return
    wide = console.width >= _WIDE
    columns = ["paper", "claim", "verdict", "measured", "bound", "margin", "controls"]
    if wide:
        columns = [*columns[:2], "source", *columns[2:-1], "controls rejected", "seconds"]
    table = RichTable(*columns, show_lines=not wide)
    for line in found:
        verdict = "\n".join(escape(x) for x in (line.replicated, line.alone) if x)
        cells = [escape(line.paper), escape(line.claim), f"{_coloured(line.status)}\n{verdict}".strip(),
                 escape(line.measured), escape(line.bound), line.margin, line.controls]  # fmt: skip
        seconds = "" if line.seconds is None else f"{line.seconds:.1f}"
        table.add_row(*([*cells[:2], escape(line.source), *cells[2:], seconds] if wide else cells))
    console.print(table)
    if any(e["interval"] for record in records for c in record["claims"] for e in c["evidence"]):
        console.print(f"intervals hold at {1 - FAMILY_LEVEL:.0%} for all measurements of a claim together (Bonferroni)")
    for line in found:
        if line.status == "finding" or line.failed:
            colour = _COLOURS.get(line.status, "red")
            said = line.remark if line.status == "finding" else f"{line.status}: {line.statement} {line.remark}".strip()
            console.print(f"[{colour}]{escape(line.paper)}/{escape(line.claim)}[/] {escape(said)}", soft_wrap=True)


def _coloured(status: str) -> str:
    return f"[{_COLOURS.get(status, 'red')}]{status}[/]"
