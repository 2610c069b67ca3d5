"""The predecessor's experiments with noisy predictions."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from theorylab.lab import Claim, Evidence, Preset, Results, over_seeds
from theorylab.lab.claim import Measure
from theorylab.papers.learning_augmented.claims.shared import BEFORE, BIG
from theorylab.papers.learning_augmented.scheduling import JOB_POLICIES
from theorylab.papers.learning_augmented.ski import RULES
from theorylab.papers.types import AllResults

# Averages over 10,000 seasons by sigma, and over 40 instances of 50 jobs by sigma: the reference
# values.
SKI_TABLE = {
    "D": {0: 1.3675, 50: 1.3971, 100: 1.4431, 200: 1.5468, 300: 1.6271},
    "R": {0: 1.1791, 50: 1.2260, 100: 1.3111, 200: 1.4449, 300: 1.5310},
    "trust": {0: 1.0, 50: 1.0716, 100: 1.2829, 200: 1.6034, 300: 1.7035},
}

JOB_TABLE = {
    "round robin": {0: 1.867},
    "shortest predicted first": {0: 1.0, 10_000: 3.14},
    "PRR(0.5)": {0: 1.289, 10_000: 2.19},
    "two-stage(0.1)": {0: 1.1, 10_000: 1.867},
}


def averages_agree(
    experiment: str,
    averages: Mapping[str, Mapping[int, float]],
    names: Sequence[str],
    swap: Mapping[str, str],
) -> Measure:
    """(average - reference) is within 4 of their joint standard errors, rounding of the reference
    included.

    One normal deviation is beyond 4 with a chance of 6e-5, one of the 15 or 7 of a table with less
    than 1e-3.
    """

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        rows = results[experiment]
        sigmas = next(iter(rows)).cell["sigmas"]
        evidence = []
        for name, by_noise in averages.items():
            place = list(names).index(swap.get(name, name))
            for sigma, reference in by_noise.items():
                mean, *errors = _moments(rows, place, sigmas.index(sigma), reference)
                z = (mean - reference) / np.sqrt(sum(e**2 for e in errors))
                evidence.append(
                    Evidence(f"{name} at σ={sigma}: {mean:.4f} against {reference}", z, -4.0, 4.0)
                )
        return evidence

    return measure


class _Moments(NamedTuple):
    """An average, its standard error, that of the reference (from its own sample size), and how far
    the reference was rounded."""

    mean: float
    error: float
    reference_error: float
    rounding: float


def _moments(rows: Results, place: int, column: int, reference: float) -> _Moments:
    if "mean" in next(iter(rows)).arrays:  # seasons
        mean, error = rows.stack("mean")[:, place, column], rows.stack("error")[:, place, column]
        trials = next(iter(rows)).cell["trials"]
        of_reference = error.mean() * np.sqrt(trials / 10_000)
        own = error.mean() / np.sqrt(len(mean))
        return _Moments(float(mean.mean()), float(own), float(of_reference), 5e-5)
    ratios = rows.stack("ratio")[:, place, column].ravel()
    sd = ratios.std(ddof=1)
    rounding = 5e-3 if reference > 2 else 5e-4
    own, of_reference = float(sd / np.sqrt(ratios.size)), float(sd / np.sqrt(40))
    return _Moments(float(ratios.mean()), own, of_reference, rounding)


def beats_baselines(names: Sequence[str], noise: int) -> Measure:
    """At sigma = noise * b the average ratio is below the break-even rule's and the classical
    randomised rule's."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        rows = results["psk_ski"]
        cell = next(iter(rows)).cell
        column = cell["sigmas"].index(noise * cell["b"])
        mean = rows.stack("mean")[:, :, column]
        evidence = []
        for name in names:
            for other in ("break-even", "classical"):
                lead = mean[:, RULES.index(name)] - mean[:, RULES.index(other)]
                evidence.append(over_seeds(f"{name} - {other} at σ={noise}b", lead, high=0.0))
        return evidence

    return measure


CLAIMS = (
    Claim(
        "psk_ski_table",
        "The averages of PSK's ski-rental experiment, by the noise of the prediction, are "
        "reproduced",
        f"{BEFORE}, experiments; reference averages of a computation of ours",
        ("psk_ski",),
        averages_agree("psk_ski", SKI_TABLE, RULES, {}),
        {
            "the classical rule for R": averages_agree(
                "psk_ski", SKI_TABLE, RULES, {"R": "classical"}
            ),
            "R for D": averages_agree("psk_ski", SKI_TABLE, RULES, {"D": "R"}),
        },
    ),
    Claim(
        "predictions_help",
        "At noise σ = 2b the rules D and R still beat the rules without predictions",
        BEFORE,
        ("psk_ski",),
        beats_baselines(["D", "R"], 2),
        {"D at σ = 3b": beats_baselines(["D"], 3)},
        presets=BIG,
        note="Trusting the prediction blindly does so too: its exact average at σ = 2b is 1.540.",
    ),
    Claim(
        "psk_job_table",
        "The averages of PSK's scheduling experiment, with right and with useless predictions, "
        "are reproduced",
        f"{BEFORE}, experiments; reference averages of a computation of ours",
        ("psk_jobs",),
        averages_agree("psk_jobs", JOB_TABLE, list(JOB_POLICIES), {}),
        {
            "round robin for PRR": averages_agree(
                "psk_jobs", JOB_TABLE, list(JOB_POLICIES), {"PRR(0.5)": "round robin"}
            )
        },
    ),
)
