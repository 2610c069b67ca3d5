"""`theorylab report`: the static site."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from theorylab.cli.layout import tell


def report(
    out: Annotated[Path, typer.Option("--out", help="Folder that the site is written to.")] = Path(
        "site"
    ),
    store: Annotated[
        Path,
        typer.Option("--store", envvar="THEORYLAB_STORE", help="Folder that results are kept in."),
    ] = Path("results"),
    preset: Annotated[
        str, typer.Option("--preset", help="Whose results are shown: smoke, quick or full.")
    ] = "quick",
    seed: Annotated[int, typer.Option("--seed", help="Base seed of the results shown.")] = 0,
    figures: Annotated[
        Path | None,
        typer.Option(
            "--figures", help="Folder of drawn figures, to take pictures of the same numbers from."
        ),
    ] = None,
    reference: Annotated[
        bool, typer.Option(help="Include the reference of the Python packages.")
    ] = True,
) -> None:
    """Build a static site of every paper, figure and claim.

    The numbers and the documentation are on it too. It computes nothing. Exit code 1 when a claim
    on it fails.
    """
    from dataclasses import replace

    from theorylab import papers
    from theorylab.errors import InputError
    from theorylab.files import require_writable
    from theorylab.lab import PRESETS
    from theorylab.lab.experiment import require_seed
    from theorylab.report import Sources, build, require_tools

    if preset not in PRESETS:
        raise InputError(f"unknown preset '{preset}'; choose one of: {', '.join(PRESETS)}")
    require_seed(seed)
    if not store.is_dir():
        raise InputError(
            f"--store {store}: no such folder; run `theorylab reproduce all` first, or name "
            f"another store"
        )
    require_tools()
    require_writable(out, "--out")
    sources = Sources(store)
    local = figures or Path("figures")
    if figures is not None or local.is_dir():
        sources = replace(sources, gallery=local)
    words = [
        "theorylab",
        "report",
        "--out",
        str(out),
        "--preset",
        preset,
        *(["--seed", str(seed)] if seed else []),
    ]
    site = build(
        out,
        papers.titles(),
        papers.rooms(),
        sources,
        preset=preset,
        seed=seed,
        reference=reference,
        command=shlex.join(words),
    )
    stale = [slug for slug, room in site.rooms.items() if room.stock.counts()["stale"]]
    failing = [slug for slug, room in site.rooms.items() if room.failing]
    if stale:
        tell(
            f"from results of older code: {', '.join(stale)}; `theorylab reproduce` makes them anew"
        )
    if failing:
        tell(f"failing: {', '.join(failing)}", mark="failing:", style="red")
    tell(f"{site.pages} pages, {site.bytes / 1e6:.1f} MB: open {site.index}")
    raise typer.Exit(1 if failing else 0)
