"""What the measures of several subjects use."""

from theorylab.lab import Preset, Results
from theorylab.lab.claim import Measure
from theorylab.papers.safety_finetuning.tables import All, of

MINI = ("quick", "medium")
TRAINED = (*MINI, "full")

__all__ = ["MINI", "TRAINED", "All", "Measure", "Preset", "Results", "main"]


def main(results: All, p: Preset, protocol: str, experiment: str = "measured") -> Results:
    """The cells of a protocol at the medium learning rate; "none" is the base model."""
    return of(results[experiment], protocol, None if protocol == "none" else p["lr"])
