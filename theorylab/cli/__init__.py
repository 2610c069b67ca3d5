"""The command line: `theorylab list | reproduce | redraw | verify | report | data | doctor`."""

from theorylab.cli.app import main

__all__ = ["main"]
