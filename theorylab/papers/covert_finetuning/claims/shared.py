"""What the measures of several subjects use."""

from theorylab.lab import Preset, Results
from theorylab.lab.claim import Measure
from theorylab.papers.covert_finetuning.tables import All

TRAINED = ("quick", "medium", "full")
PAGE = "our derivation, docs/derivations/covert_finetuning.md"

__all__ = ["PAGE", "TRAINED", "All", "Measure", "Preset", "Results"]
