"""What a reader asks of a paper: draw its figures and judge its claims.

The runner brings the results.
"""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from theorylab.files import seal_record, write_atomically
from theorylab.lab import provenance
from theorylab.lab.claim import Claim, Verdict
from theorylab.lab.experiment import Preset, Results
from theorylab.lab.fingerprint import fingerprint
from theorylab.lab.paper import Figure, Paper
from theorylab.lab.runner import Runner, check_data, devices, total_seconds
from theorylab.plotting.writer import write_figure
from theorylab.records import record_text

CLAIMS_FILE = "claims.json"


@dataclass(frozen=True)
class Reproduction:
    """What `reproduce` wrote and found."""

    paper: Paper
    preset: Preset
    files: list[Path] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    results: Mapping[str, Results] = field(default_factory=dict)


def reproduce(
    paper: Paper, preset: Preset, runner: Runner, out: Path, figures: Sequence[str] | None = None
) -> Reproduction:
    """Compute what the figures need, draw them, and judge every claim that the results cover.

    out: the gallery; the files go to `paper.folder(out, preset.name)`.
    figures: names; None means all, and then `claims.json` is written too. Raises `InputError` for
    an unknown figure, `DataError` for an absent data set, `CellError` when a computation fails.
    """
    chosen = paper.select_figures(figures)
    claims = [] if figures else list(paper.claims)
    items: list[Figure | Claim] = [*chosen, *claims]
    needed = list(dict.fromkeys(n for item in items for n in item.needs))
    check_data(paper, preset, needed)
    results = runner.run(paper, preset, needed)
    files = []
    for figure in chosen:
        used = {n: results[n] for n in figure.needs}
        record = figure_record(paper, figure, preset, used)
        files += write_figure(
            paper.folder(out, preset.name),
            figure.name,
            figure.table(used, preset),
            figure.draw,
            record,
        )
    verdicts = [claim.evaluate(results, preset) for claim in claims]
    if not figures:
        files.append(write_claims(paper, preset, verdicts, results, out))
    return Reproduction(paper, preset, files, verdicts, results)


def code_of(paper: Paper, experiments: Sequence[str]) -> str:
    """One fingerprint of the code that these experiments run.

    A gallery that was made by other code is stale.
    """
    return "-".join(sorted({fingerprint(paper.experiment(n).run) for n in experiments}))


def claim_needs(paper: Paper) -> list[str]:
    """The experiments that the claims of a paper need."""
    return sorted({n for c in paper.claims for n in c.needs})


def figure_record(
    paper: Paper, figure: Figure, preset: Preset, results: Mapping[str, Results]
) -> dict[str, Any]:
    """The provenance of one figure: what it shows and how it was made.

    It ends with the command that makes the figure again.
    """
    return {
        "paper": paper.slug,
        "figure": figure.name,
        "title": figure.title,
        "status": figure.status,
        "caption": figure.caption,
        "differs": figure.differs,
        "omits": preset.omits,
        "command": command(_words(paper, preset, figure.name), paper, preset),
        "preset": preset.name,
        "seed": preset.seed,
        "values": dict(preset.values),
        "cells": {name: len(group) for name, group in results.items()},
        "cell_seconds": round(total_seconds(results), 1),
        "cell_devices": devices(results),
        "code": code_of(paper, figure.needs),
        **provenance.record(),
    }


def write_claims(
    paper: Paper,
    preset: Preset,
    verdicts: Sequence[Verdict],
    results: Mapping[str, Results],
    out: Path,
) -> Path:
    """Write the verdicts of a paper to `claims.json` in their folder; the path."""
    needs = claim_needs(paper)
    record = {
        "paper": paper.slug,
        "preset": preset.name,
        "seed": preset.seed,
        "values": dict(preset.values),
        "command": command(_words(paper, preset, None), paper, preset),
        "code": code_of(paper, needs),
        "cell_devices": devices(results),
        **provenance.record(),
        "claims": [v.as_json() for v in verdicts],
    }
    path = paper.folder(out, preset.name) / CLAIMS_FILE
    write_atomically(path, record_text(seal_record(record)).encode())
    return path


def _words(paper: Paper, preset: Preset, figure: str | None) -> list[str]:
    words = ["reproduce", paper.slug, "--preset", preset.name]
    words += ["--figure", figure] if figure else []
    return words + (["--seed", str(preset.seed)] if preset.seed else [])


def command(words: Sequence[str], paper: Paper, preset: Preset) -> str:
    """The command line of these words, with the values that were changed by hand."""
    base = paper.presets[preset.name].values
    changed = {key: value for key, value in preset.values.items() if value != base[key]}
    options = [
        word for key, value in changed.items() for word in ("--set", f"{key}={json.dumps(value)}")
    ]
    return shlex.join(["theorylab", *words, *options])
