"""`theorylab redraw`: the pictures of the gallery, from its numbers."""

from pathlib import Path
from typing import Annotated

import typer

from theorylab.cli.layout import tell


def redraw(
    paper: Annotated[
        str, typer.Argument(help="Short name of a paper (see theorylab list), or all.")
    ] = "all",
    figure: Annotated[
        list[str] | None, typer.Option("--figure", help="Only this figure (repeatable).")
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder of the gallery.")] = Path("figures"),
) -> None:
    """Draw the figures of the gallery again from their CSV files.

    Nothing is computed. A PNG, a dark PNG and a PDF are written for every figure whose numbers are
    there; git keeps only the first of the three.
    """
    from theorylab import papers
    from theorylab.errors import InputError
    from theorylab.files import require_writable
    from theorylab.lab.gallery import write_gallery
    from theorylab.lab.gallery_files import redraw as draw_again

    rooms = list(papers.rooms().values()) if paper == "all" else [papers.get(paper)]
    if figure and len(rooms) > 1:
        raise InputError("--figure needs one paper, not all: theorylab redraw PAPER --figure NAME")
    if not out.is_dir():
        raise InputError(f"--out {out}: no such folder; give the folder of a gallery")
    require_writable(out, "--out")
    drawn = 0
    for room in rooms:
        files = draw_again(room, out, figure)
        drawn += sum(path.suffix == ".pdf" for path in files)
    gallery = write_gallery(papers.rooms().values(), out)
    figures = f"{drawn} figure{'s' * (drawn != 1)}"
    tell(f"{figures} drawn as PNG, dark PNG and PDF; captions and claims in {gallery}")
