"""What the measures of several subjects use."""

import numpy as np

from theorylab.lab import Evidence, Preset, Results, over_seeds
from theorylab.lab.claim import Measure
from theorylab.papers.safety_finetuning.tables import All, of

MINI = ("quick", "medium")
TRAINED = (*MINI, "full")

GAPS = (
    "Measured is (a - b) / (|a| + |b|), of a gap a and the multiple b of another that it is to "
    "reach, between -1 and 1. Gaps are differences, of which one may be 0 or below and a ratio "
    "then says nothing."
)

__all__ = ["GAPS", "MINI", "TRAINED", "All", "Measure", "Preset", "Results", "main", "reaches"]


def main(results: All, p: Preset, protocol: str, experiment: str = "measured") -> Results:
    """The cells of a protocol at the medium learning rate; "none" is the base model."""
    return of(results[experiment], protocol, None if protocol == "none" else p["lr"])


def reaches(label: str, one: np.ndarray, other: np.ndarray) -> Evidence:
    """One gap is at least another: over worlds, the mean of their difference over their sizes.

    Of gaps above 0 it is tanh(log(one / other) / 2), a ratio without the tails of a ratio; unlike
    a logarithm it has the right sign for every pair of gaps.
    """
    sizes = np.abs(one) + np.abs(other)
    return over_seeds(label, (one - other) / np.where(sizes > 0, sizes, 1.0), low=0.0)
