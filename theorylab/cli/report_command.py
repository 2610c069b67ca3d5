"""`theorylab report`: the static site."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from theorylab.cli.layout import tell

if TYPE_CHECKING:
    from theorylab.report import Room


def report(
    out: Annotated[Path, typer.Option("--out", help="Folder for the site.")] = Path("site"),
    store: Annotated[
        Path | None,
        typer.Option(
            "--store",
            envvar="THEORYLAB_STORE",
            help="Folder of your results (default: results, where it exists).",
        ),
    ] = None,
    preset: Annotated[
        str,
        typer.Option(
            "--preset",
            help="Preset whose results are shown: smoke, quick, medium (quick where a paper has "
            "none) or full.",
        ),
    ] = "quick",
    seed: Annotated[int, typer.Option("--seed", help="Base seed of the results shown.")] = 0,
    figures: Annotated[
        Path | None,
        typer.Option(
            "--figures",
            help="Folder of the gallery, which is shown where you have no newer results.",
        ),
    ] = None,
    reference: Annotated[
        bool, typer.Option(help="Include the reference of the Python packages.")
    ] = True,
) -> None:
    """Build a static site of every paper, figure and claim.

    The numbers and the documentation are on it too. Nothing is computed: the site shows your own
    results, and the committed gallery where there are none. The exit code is 1 when a claim on it
    fails or a file of the gallery is damaged.
    """
    from dataclasses import replace

    from theorylab import papers
    from theorylab.errors import InputError
    from theorylab.files import require_writable
    from theorylab.lab import MEDIUM, PRESETS
    from theorylab.lab.experiment import require_seed
    from theorylab.report import Sources, build, require_tools

    known = (*PRESETS, MEDIUM)
    if preset not in known:
        raise InputError(f"unknown preset '{preset}'; choose one of: {', '.join(known)}")
    require_seed(seed)
    if store is not None and not store.is_dir():
        raise InputError(
            f"--store {store}: no such folder; name another store, or none to see the gallery"
        )
    if figures is not None and not figures.is_dir():
        raise InputError(f"--figures {figures}: no such folder; give the folder of a gallery")
    require_tools()
    require_writable(out, "--out")
    sources = Sources(store or Path("results"))
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
    _tell(site.rooms)
    tell(f"{site.pages} pages, {site.bytes / 1e6:.1f} MB: open {site.index}")
    bad = any(room.failing or room.faults for room in site.rooms.values())
    raise typer.Exit(1 if bad else 0)


def _tell(rooms: "Mapping[str, Room]") -> None:
    """What a reader of the site must know before opening it."""
    shown = [slug for slug, room in rooms.items() if "gallery" in room.origins]
    stale = [slug for slug, room in rooms.items() if room.stale]
    absent = [slug for slug, room in rooms.items() if "none" in room.origins]
    failing = [slug for slug, room in rooms.items() if room.failing]
    if shown:
        tell(f"from the gallery: {', '.join(shown)}")
    if stale:
        tell(
            f"of older code or other values: {', '.join(stale)}; `theorylab reproduce` makes them "
            "again"
        )
    if absent:
        tell(f"incomplete: {', '.join(absent)}; `theorylab reproduce` computes what is missing")
    for fault in dict.fromkeys(f for room in rooms.values() for f in room.faults):
        tell(f"damaged: {fault}", mark="damaged:", style="red")
    if failing:
        tell(f"failing: {', '.join(failing)}", mark="failing:", style="red")
