"""Which signals work: the validation set, parities and dominoes."""

from collections.abc import Sequence

import numpy as np

from theorylab.lab import Claim, Evidence, Preset, over_seeds
from theorylab.lab.claim import Measure
from theorylab.papers.collective_action.claims.shared import BIG, PAPER
from theorylab.papers.types import AllResults


def validation(stop: str, sizes: Sequence[float], low: float, high: float = np.inf) -> Measure:
    """Success of the step that the validation set `stop` selects, minus that of a clean one, in
    [low, high]."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        return [
            over_seeds(
                f"S({stop}) - S(clean), a={row.cell['size']:g}, α={a:g}",
                (row[stop] - row["clean"])[row.cell["alphas"].index(a)],
                low,
                high,
            )
            for row in results["validation"]
            if row.cell["size"] == 0.05
            for a in sizes
        ]

    return measure


def parity(quantity: str) -> Measure:
    """At 1000 steps, alpha in {.3, .4}: S of one bit minus S of three is at least .12, two minus
    three .02."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        evidence = []
        for a in (0.3, 0.4):
            value = {}
            for row in results["parity"]:
                step = list(row["checkpoints"]).index(1000)
                value[int(row.cell["world"]["name"][-1])] = row[quantity][
                    row.cell["alphas"].index(a), :, step
                ]
            evidence.append(
                over_seeds(f"S(1 bit) - S(3 bits) at α={a:g}", value[1] - value[3], low=0.12)
            )
            evidence.append(
                over_seeds(f"S(2 bits) - S(3 bits) at α={a:g}", value[2] - value[3], low=0.02)
            )
        return evidence

    return measure


def reliance(first: str, second: str) -> Measure:
    """AUC at the end: below .6 with the simple half permuted, above .95 with the complex one
    permuted."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        row = next(iter(results["reliance"]))
        return [
            over_seeds("AUC, simple half permuted", row[first][:, -1], high=0.6),
            over_seeds("AUC, complex half permuted", row[second][:, -1], low=0.95),
        ]

    return measure


def halves(
    first: str, second: str, pattern: str, alpha: float, high: float = 0.9, low: float = 0.6
) -> Measure:
    """S after 2000 steps: at least .9 with the trigger in the simple half, at most .6 in the
    complex one."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        def final(half: str) -> np.ndarray:
            row = next(iter(results["dominoes"].where(half=half, pattern=pattern)))
            return row["success"][
                row.cell["alphas"].index(alpha), :, list(row["checkpoints"]).index(2000)
            ]

        return [
            over_seeds(f"S in the simple half, α={alpha:g}", final(first), low=high),
            over_seeds(f"S in the complex half, α={alpha:g}", final(second), high=low),
        ]

    return measure


CLAIMS = (
    Claim(
        "validation",
        "With the collective in the validation set, a step at which the collective succeeds more "
        "is selected",
        f"{PAPER}, iterative re-weighting and the validation set",
        ("validation",),
        validation("contaminated", (0.01,), 0.002),
        {"the signal with the true labels": validation("signal_only", (0.01,), 0.002)},
        presets=BIG,
    ),
    Claim(
        "parity",
        "The simpler the parity signal, the more success after 1000 steps",
        (
            "our derivation, docs/derivations/collective_success.md, statement 7, of "
            "signals that a Bayes classifier tells apart equally well"
        ),
        ("parity",),
        parity("success"),
        {"success without planting the signal": parity("baseline")},
        presets=BIG,
    ),
    Claim(
        "dominoes_reliance",
        "The network ignores the complex half",
        "Shah et al. 2020, MNIST-CIFAR dominoes",
        ("reliance",),
        reliance("simple_permuted", "complex_permuted"),
        {"halves swapped": reliance("complex_permuted", "simple_permuted")},
        presets=BIG,
    ),
    Claim(
        "dominoes",
        "A trigger works in the half that the network looks at",
        f"{PAPER}, simplicity bias",
        ("dominoes",),
        halves("simple", "complex", "white", 0.02),
        {"halves swapped": halves("complex", "simple", "white", 0.02)},
        presets=BIG,
    ),
)
