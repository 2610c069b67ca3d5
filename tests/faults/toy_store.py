"""The toy paper on a store of its own, with nothing shown, for the campaigns on disk and on a
cluster."""

import os
from pathlib import Path

import tally  # noqa: F401, puts the toy paper on the path
import toy
from rich.console import Console

from theorylab.lab import Runner, Store

ROOT = Path(__file__).parents[2]
PRESET = toy.PAPER.preset("quick")


def quiet(store, **options):
    return Runner(Store(store), console=Console(file=open(os.devnull, "w"), width=200), **options)
