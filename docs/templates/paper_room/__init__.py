"""The standard error of a mean (a room to copy): what the paper is, and where its parts are.

The registry finds `PAPER` by itself. The slug is the name of the folder; the summary says in two or
three plain sentences what the paper says, for a reader who has not seen it.
"""

from theorylab.lab import Paper

from .claims import CLAIMS
from .experiments import EXPERIMENTS
from .figures import FIGURES
from .presets import PRESETS

PAPER = Paper(
    slug="paper_room",
    title="The Standard Error of a Mean",
    authors="Student",
    venue="Biometrika 1908",
    arxiv="",  # the number, as in "2207.06343"
    summary=(
        "The mean of n independent numbers scatters around the truth like one over the square "
        "root of n. Whoever wants half the error needs four times the data."
    ),
    presets=PRESETS,
    experiments=EXPERIMENTS,
    figures=FIGURES,
    claims=CLAIMS,
)
