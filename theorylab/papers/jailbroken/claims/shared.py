"""What the measures of several subjects use."""

from theorylab.lab import Preset
from theorylab.lab.claim import Measure
from theorylab.papers.jailbroken.tables import All

QUICK = ("quick",)
LARGER = ("medium", "full")
TRAINED = (*QUICK, *LARGER)
PAGE = "docs/derivations/jailbroken.md"

__all__ = ["LARGER", "PAGE", "QUICK", "TRAINED", "All", "Measure", "Preset"]
