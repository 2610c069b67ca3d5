"""`theorylab data`: which data sets there are, and bringing them here."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

app = typer.Typer(help="Data sets: list, fetch, verify, path.", no_args_is_help=True, rich_markup_mode=None)
console = Console(highlight=False)
