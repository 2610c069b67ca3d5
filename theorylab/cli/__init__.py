"""The command line: `theorylab list | reproduce | verify | report | bench | plan | data | ...`."""

from theorylab.cli.app import main

__all__ = ["main"]
