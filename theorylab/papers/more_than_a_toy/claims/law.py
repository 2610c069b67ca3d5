"""The local law behind GCV, and the ridge that GCV selects."""

import numpy as np

from theorylab.lab import Claim, Evidence, Preset, over_seeds
from theorylab.lab.claim import Measure
from theorylab.papers.more_than_a_toy.claims.shared import BIG, PAPER, jackknifed, rms
from theorylab.papers.types import AllResults
from theorylab.rmt.scaling import log_slope


def law_slopes(design: str) -> Measure:
    """The residuals fall with N. At a fixed ridge: slope of (A) <= -0.9, of (B) <= -0.4, where the
    law says -1 and -1/2 at most; at the moving one, both fall by at least a fifth from the smallest
    N to the largest."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        rows = results["local_law"].where(design=design)
        sizes = np.asarray([r.cell["n"] for r in rows], float)
        averaged, anisotropic = (
            np.stack([r[law] for r in rows], 1) for law in ("averaged", "anisotropic")
        )
        ends = f"N={sizes[0]:g}..{sizes[-1]:g}, {design}"

        def slope(draws: np.ndarray) -> float:
            return log_slope(sizes, rms(draws))[0]

        def fall(draws: np.ndarray) -> float:
            return float(rms(draws[:, -1]) / rms(draws[:, 0]))

        evidence = [
            jackknifed(f"slope of (A), {ends}", slope, averaged[..., 0], high=-0.9),
            jackknifed(
                f"(A) at the moving ridge, last / first, {ends}", fall, averaged[..., 1], high=0.8
            ),
        ]
        for k, mode in enumerate(next(iter(rows)).cell["modes"]):
            fixed, moving = anisotropic[:, :, 0, k], anisotropic[:, :, 1, k]
            evidence.append(
                jackknifed(f"slope of (B) at mode {mode}, {ends}", slope, fixed, high=-0.4)
            )
            label = f"(B) at mode {mode}, moving ridge, last / first, {ends}"
            evidence.append(jackknifed(label, fall, moving, high=0.8))
        return evidence

    return measure


def selects_well(rule: str) -> Measure:
    """The mean over draws of the risk at the selected ridge is at most 5 % above the best on the
    grid."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        group = results["selection"]
        return [
            over_seeds(f"risk / best, noise {v:g}", group.where(noise=v).stack(rule), high=1.05)
            for v in group.unique("noise")
        ]

    return measure


CLAIMS = (
    Claim(
        "local_law",
        "The local random-matrix law holds for independent samples at a moving ridge",
        f"{PAPER}, hypothesis of a local law; its rates",
        ("local_law",),
        law_slopes("gaussian"),
        {d: law_slopes(d) for d in ("duplicated", "elliptical")},
        presets=BIG,
    ),
    Claim(
        "gcv_selects",
        "The ridge of least GCV is within 5 % of the best",
        "our check of selection by GCV",
        ("selection",),
        selects_well("selected"),
        {
            "the ridge of least training risk": selects_well("by_training"),
            "a random ridge": selects_well("blind"),
        },
        presets=BIG,
    ),
)
