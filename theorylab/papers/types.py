"""What the declarations of every room speak of: the cells of a preset, and the results of a run."""

from collections.abc import Mapping
from typing import Any

from theorylab.lab import Results

Cell = dict[str, Any]
"""The parameters of one computation, in JSON."""

Cells = list[Cell]

AllResults = Mapping[str, Results]
"""The results of every experiment of a room, by its name."""
