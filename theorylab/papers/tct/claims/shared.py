"""What claims of several subjects share."""

from theorylab.lab.claim import Measure

BIG = ("quick", "medium", "full")

FIXED, NETS = ("fixed_points",), ("train", "convex")


def all_of(*measures: Measure) -> Measure:
    return lambda results, preset: [e for measure in measures for e in measure(results, preset)]
