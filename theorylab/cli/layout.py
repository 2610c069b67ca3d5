"""Prints text for terminals, pipes and files alike.

Text is wrapped between words to the console's width, and never cut.

What has no blank in it, as a path or a command's word, stays whole even where it is longer than a
line.
"""

import textwrap
from collections.abc import Iterable

import typer
from rich.console import Console
from rich.text import Text

console = Console(highlight=False)
_WHOLE = "\xa0"  # stands for the blanks at which no line may break


def whole(text: str) -> str:
    """`text` as one word: no line is broken inside of it."""
    return text.replace(" ", _WHOLE)


def tell(text: str, *, first: str = "", rest: str = "", mark: str = "", style: str = "") -> None:
    """Print a paragraph.

    `first` begins its first line, `rest` every other; the first `mark` in it has the `style`.
    """
    lines = textwrap.wrap(
        text,
        max(console.width, len(rest) + 20),
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
    shown = Text("\n".join(line.replace(_WHOLE, " ").rstrip() for line in lines or [first]))
    at = shown.plain.find(mark) if mark else -1
    if at >= 0:
        shown.stylize(style, at, at + len(mark))
    console.print(shown, soft_wrap=True)


def tell_pairs(pairs: Iterable[tuple[str, str]]) -> None:
    """Print names and what belongs to them, in two columns."""
    found = list(pairs)
    width = max((len(name) for name, _ in found), default=0) + 2
    for name, value in found:
        tell(value, first=name.ljust(width), rest=" " * width)


def help_when_bare(context: typer.Context) -> None:
    """The callback of a group of commands: without a command it prints its help.

    That is no error.
    """
    if context.invoked_subcommand is None:
        print(context.get_help())
