"""The command line: `theorylab list | reproduce | verify | data | doctor`."""

from theorylab.cli.app import main

__all__ = ["main"]
