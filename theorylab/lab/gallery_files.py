"""Reads the gallery back, for readers who have no results of their own.

It gives figures as numbers with their provenance, and verdicts.

A record carries the digest of itself, and that of a figure also the digest of its numbers (CSV).
What is not what `reproduce` wrote is refused by name. Pictures are not read: they follow from the
numbers, and `redraw` makes them again.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from theorylab.errors import InputError
from theorylab.files import digest, intact_record, seal_record
from theorylab.lab.experiment import MEDIUM, Preset
from theorylab.lab.paper import Figure, Paper
from theorylab.lab.replication_file import REPLICATION_FILE
from theorylab.lab.reproduce import CLAIMS_FILE, claim_needs, code_of
from theorylab.plotting.writer import CSV_DIGEST, pictures, write_files
from theorylab.records import record_text

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Kept:
    """What the gallery keeps of a figure or of the verdicts of a paper.

    numbers: the text of the figure's CSV; empty for verdicts.
    stale: why it is not what today's code and preset would give; empty when it is.
    """

    record: Record
    numbers: str
    stale: str


def kept_figure(paper: Paper, figure: Figure, preset: Preset, out: Path) -> Kept | None:
    """A figure of a preset in the gallery `out`, None when it has none of that preset and seed.

    Raises `InputError`, naming the file, for a damaged record or numbers that are not its own.
    """
    path = paper.folder(out, preset.name) / f"{figure.name}.json"
    record = _read_record(path, paper, figure=figure.name)
    if record is None or not _of(record, preset):
        return None
    text = _read_numbers(path.with_suffix(".csv"), paper, record.get(CSV_DIGEST))
    return Kept(record, text, _stale(record, preset, code_of(paper, figure.needs)))


def kept_claims(paper: Paper, preset: Preset, out: Path) -> Kept | None:
    """The verdicts of a preset in the gallery `out`, None when it has none of that preset and seed.

    Raises `InputError`, naming the file, for one that is damaged or that an older version wrote.
    """
    path = paper.folder(out, preset.name) / CLAIMS_FILE
    record = _read_record(path, paper)
    if record is None or not _of(record, preset):
        return None
    if not all("outcome" in e for c in record["claims"] for e in c["evidence"]):
        raise InputError(
            f"{path} was written by an older version; make it again: {record['command']}"
        )
    return Kept(record, "", _stale(record, preset, code_of(paper, claim_needs(paper))))


def redraw(paper: Paper, out: Path, figures: Sequence[str] | None = None) -> list[Path]:
    """Draw the pictures of a paper's gallery again from its numbers, computing nothing.

    Returns the paths written.

    The records are written in today's form, their content as it is; one that an older version
    wrote without a digest, of itself or of its numbers, is given it. Raises `InputError` for a
    damaged record or for numbers that are not its own.
    """
    chosen = paper.select_figures(figures)
    folders = [paper.folder(out, name) for name in ("quick", MEDIUM)]
    written: list[Path] = []
    for folder in folders:
        for figure in chosen:
            path = folder / f"{figure.name}.json"
            record = _read_record(path, paper, sealed=False, figure=figure.name)
            if record is not None:
                written += _redraw(paper, figure, record, folder)
        for name in (CLAIMS_FILE, REPLICATION_FILE):
            _seal_again(folder / name, paper)
    return written


def _redraw(paper: Paper, figure: Figure, record: Record, folder: Path) -> list[Path]:
    path = folder / f"{figure.name}.csv"
    known = record.get(CSV_DIGEST) or digest(_bytes(path, paper))
    text = _read_numbers(path, paper, known)
    sealed = record_text(seal_record({**record, CSV_DIGEST: known})).encode()
    files = {**pictures(figure.name, text, figure.draw), f"{figure.name}.json": sealed}
    return write_files(folder, files)


def _seal_again(path: Path, paper: Paper) -> None:
    """The same record in today's form, where there is one."""
    if path.exists():
        record = _parse(path, paper)
        if not intact_record(record, sealed=False):
            raise _damaged(path, paper)
        write_files(path.parent, {path.name: record_text(seal_record(record)).encode()})


def _read_record(path: Path, paper: Paper, *, sealed: bool = True, **names: str) -> Record | None:
    if not path.exists():
        return None
    record = _parse(path, paper)
    wanted = {"paper": paper.slug, **names}
    if not intact_record(record, sealed=sealed) or any(
        record.get(k) != v for k, v in wanted.items()
    ):
        raise _damaged(path, paper)
    return record


def _parse(path: Path, paper: Paper) -> Any:
    try:
        return json.loads(_bytes(path, paper))
    except (ValueError, RecursionError):
        raise _damaged(path, paper) from None


def _bytes(path: Path, paper: Paper) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        raise _damaged(path, paper) from None


def _read_numbers(path: Path, paper: Paper, known: str | None) -> str:
    content = _bytes(path, paper)
    if known is None:
        raise InputError(
            f"{path.with_suffix('.json')} does not say which numbers are its own, as an older "
            f"version wrote it; look at {path.name} and run: theorylab redraw {paper.slug}"
        )
    if digest(content) != known:
        raise _damaged(path, paper)
    return content.decode()


def _damaged(path: Path, paper: Paper) -> InputError:
    return InputError(
        f"{path} is missing, damaged or was changed by hand; restore it, or make it again: "
        f"theorylab reproduce {paper.slug}"
    )


def _of(record: Record, preset: Preset) -> bool:
    return bool(record["preset"] == preset.name and record["seed"] == preset.seed)


def _stale(record: Record, preset: Preset, code: str) -> str:
    if record["values"] != json.loads(json.dumps(dict(preset.values))):
        return "other values of the preset"
    return "" if record["code"] == code else "older code"
