"""Other predictions of the risk: the norm, the spectrum alone, the plug-in."""

import numpy as np

from theorylab.lab import Claim, Evidence, Preset, over_seeds
from theorylab.lab.claim import Measure
from theorylab.papers.more_than_a_toy.claims.shared import BIG, PAPER, ridgeless
from theorylab.papers.types import AllResults


def norm_is_flat(quantity: str) -> Measure:
    """Claim 5a: over all N the bound varies by less than 15 % of its mean while the test risk falls
    by over 30 %."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        sizes, bound, test = ridgeless(results, quantity)
        label = f"N={sizes[0]}..{sizes[-1]}"
        return [
            over_seeds(
                f"range of {quantity} / mean, {label}",
                np.ptp(bound, axis=1) / bound.mean(1),
                high=0.15,
            ),
            over_seeds(f"fall of the test risk, {label}", 1 - test[:, -1] / test[:, 0], 0.3),
        ]

    return measure


def too_optimistic(quantity: str) -> Measure:
    """Claim 5b: the estimate is below 0.7 times the test risk at every N."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        sizes, estimate, test = ridgeless(results, quantity)
        return [
            over_seeds(f"{quantity} / test at N={n}", (estimate / test)[:, i], high=0.7)
            for i, n in enumerate(sizes)
        ]

    return measure


def collapses(quantity: str) -> Measure:
    """Claim 5c: at N = 2/3 of the samples that it was made from, the estimate is below half the
    test risk."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        sizes, estimate, test = ridgeless(results, quantity)
        return [
            over_seeds(f"{quantity} / test at N={sizes[-1]}", (estimate / test)[:, -1], high=0.5)
        ]

    return measure


CLAIMS = (
    Claim(
        "norm_bound_is_vacuous",
        "A bound by the norm is flat in N while the risk falls",
        f"{PAPER}, comparison of theories; the form of the bound is ours",
        ("analytic",),
        norm_is_flat("norm_bound"),
        {"GCV in its place": norm_is_flat("gcv")},
        presets=("quick", "full"),
    ),
    Claim(
        "spectrum_is_not_enough",
        "A prediction from the spectrum without the target is too optimistic",
        f"{PAPER}, abstract",
        ("analytic",),
        too_optimistic("spectrum_only"),
        {"GCV in its place": too_optimistic("gcv")},
        presets=BIG,
    ),
    Claim(
        "plugin_collapses",
        "A prediction from the spectrum of a sample collapses as N nears the size of the sample",
        "our check: the omniscient estimate without omniscience",
        ("analytic",),
        collapses("plugin"),
        {"GCV in its place": collapses("gcv")},
        presets=BIG,
    ),
)
