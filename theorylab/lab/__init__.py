"""The laboratory: what a paper declares, how it is run, stored and judged."""

from theorylab.lab.claim import Claim, Verdict
from theorylab.lab.evidence import (
    FAMILY_LEVEL,
    Evidence,
    bootstrap,
    correlation,
    over_seeds,
    resampled,
    share,
)
from theorylab.lab.experiment import MEDIUM, PRESETS, Experiment, Preset, Results, Row
from theorylab.lab.paper import STATUS_MEANING, Figure, Paper
from theorylab.lab.runner import CellError, Runner
from theorylab.lab.store import DamagedResult, Store
from theorylab.table import Table

__all__ = [
    "FAMILY_LEVEL",
    "MEDIUM",
    "PRESETS",
    "STATUS_MEANING",
    "CellError",
    "Claim",
    "DamagedResult",
    "Evidence",
    "Experiment",
    "Figure",
    "Paper",
    "Preset",
    "Results",
    "Row",
    "Runner",
    "Store",
    "Table",
    "Verdict",
    "bootstrap",
    "correlation",
    "over_seeds",
    "resampled",
    "share",
]
