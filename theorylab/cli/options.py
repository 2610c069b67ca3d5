"""What `reproduce` and `verify` are both asked: paper, preset, seed, folders, executor."""

from pathlib import Path
from typing import Annotated

import typer


def complete_paper(incomplete: str) -> list[str]:
    """Names of papers that begin so, for the shell."""
    from theorylab import papers

    return [s for s in [*papers.rooms(), "all"] if s.startswith(incomplete)]


def complete_preset(incomplete: str) -> list[str]:
    """Names of presets that begin so, for the shell."""
    from theorylab.lab import MEDIUM, PRESETS

    return [p for p in (*PRESETS, MEDIUM) if p.startswith(incomplete)]


PaperArg = Annotated[
    str,
    typer.Argument(
        help="Short name of a paper (see theorylab list), or all.", autocompletion=complete_paper
    ),
]
PresetOpt = Annotated[
    str,
    typer.Option(
        "--preset",
        help="smoke (seconds), quick (minutes), medium (an hour; some papers) or full.",
        autocompletion=complete_preset,
    ),
]
SeedOpt = Annotated[
    int, typer.Option("--seed", help="Base seed, from which all randomness follows.")
]
OutOpt = Annotated[Path, typer.Option("--out", help="Folder for the figures.")]
StoreOpt = Annotated[
    Path, typer.Option("--store", envvar="THEORYLAB_STORE", help="Folder for the results.")
]
ForceOpt = Annotated[
    bool, typer.Option("--force", help="Compute every cell again, even those in the store.")
]
SetOpt = Annotated[
    list[str] | None,
    typer.Option("--set", help="Replace one value of the preset: KEY=JSON (repeatable)."),
]
ExecutorOpt = Annotated[
    str,
    typer.Option(
        "--executor", help="Where cells are computed: here, dask://local or dask://HOST:PORT."
    ),
]
