"""The claims with their controls; the docstring of a measure states its bounds.

A bound comes from the paper, a theorem or a stated tolerance, never from the run that it judges. A
control is a deliberately wrong variant: it gets the same bounds and must violate them.
"""

from theorylab.lab import Claim, Evidence, Preset, over_seeds
from theorylab.lab.claim import Measure
from theorylab.papers.types import AllResults

from .tables import errors


def standard_error(estimator: str) -> Measure:
    """√n times the standard error is σ = 1, within 5 %, at every n."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        return [
            over_seeds(
                f"√n standard error at n = {n}",
                n**0.5 * errors(results["spread"], n, estimator),
                low=0.95,
                high=1.05,
            )
            for n in preset["sizes"]
        ]

    return measure


CLAIMS = (
    Claim(
        "root_n",
        "The mean of n independent numbers has standard error σ / √n",
        "Student 1908, Section I; within 5 %",
        ("spread",),
        standard_error("mean"),
        {"the median in place of the mean": standard_error("median")},
        presets=("quick", "full"),
        note="The median's is √(π / 2) = 1.25 times as large, for many numbers.",
    ),
)
