"""What holds of sets, certificates and ensembles: exact values, and no violation in any sweep."""

import numpy as np

from theorylab.lab import Evidence, Preset, share
from theorylab.lab.claim import Measure
from theorylab.papers.certified_ensembles.networks import REGIMES
from theorylab.papers.certified_ensembles.published import (
    AREAS,
    GAUSSIAN,
    INRADII,
    LENGTHS,
    RUNNER_UPS,
    SIZES,
    WIDTHS,
)
from theorylab.papers.certified_ensembles.tables import COLUMNS, regime, shares
from theorylab.papers.types import AllResults

ROUNDING = 1e-12
DIGITS = 6e-6  # half a unit of the fifth digit, and a little for the other half


def excess(of: str) -> Measure:
    """h(y) - h(x) is above the support function by at most 1e-12, for every rule."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        row = next(iter(results["calculus"]))
        return [
            Evidence(f"largest excess, {rule}", float(value), high=ROUNDING)
            for rule, value in zip(row["rules"], row[of], strict=True)
        ]

    return measure


def tight(of: str) -> Measure:
    """|gap(delta) - (r - D(delta))| of the extremal functions, at most 1e-12."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        row = next(iter(results["calculus"]))
        return [Evidence("gap of the extremal functions, error", float(row[of]), high=ROUNDING)]

    return measure


def polygon(of: str) -> Measure:
    """Widths at 1e-12, lengths and sizes at the digits of the reference."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        row = next(iter(results["polygon"]))
        found = []
        for name, known, slack in (
            ("width", WIDTHS, ROUNDING),
            ("length", LENGTHS, DIGITS),
            ("sizes", SIZES, DIGITS),
        ):
            for i, (value, expected) in enumerate(zip(row[f"{of}_{name}"], known, strict=True)):
                low, high = expected - slack, expected + slack
                found.append(Evidence(f"{name} {i + 1}", float(value), low, high))
        return found

    return measure


def larger(of: str) -> Measure:
    """Area, inradius and outradius over those of the set made two-sided: more than 1."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        row = next(iter(results["polygon"]))
        ratio = row[f"{of}_sizes"] / row["two_sizes"]
        names = ("area", "inradius", "outradius")
        return [
            Evidence(f"{n} / two-sided", float(r), low=1.1)
            for n, r in zip(names, ratio, strict=True)
        ]

    return measure


def none_of(key: str, regimes: tuple[str, ...]) -> Measure:
    """No ensemble of these regimes has the property."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        found = []
        for row in results["sweep"]:
            if key not in row.arrays:  # ellipsoids are no scores that could change
                continue
            count = sum(regime(row, key)[r] for r in regimes)
            many = int(np.isin(row["regime"], [REGIMES.index(r) for r in regimes]).sum())
            kind = "ellipsoids" if row.cell["curved"] else "linear"
            label = f"d = {row.cell['d']}, N = {row.cell['members']}, {kind}, of {many}"
            found.append(Evidence(f"violations, {label}", float(count), high=0.0))
        return found

    return measure


ALL = ("disagree", "agree_A", "agree_AB")
AGREE = ("agree_A", "agree_AB")


def strict(better: tuple[str, ...], worse: tuple[str, ...]) -> Measure:
    """Some ensembles that agree on the top class alone beat every member in all directions, and
    some that disagree are worse than each."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        rows = list(results["sweep"])
        gained = sum(regime(row, "better")[r] for row in rows for r in better)
        lost = sum(regime(row, "worse")[r] for row in rows for r in worse)
        return [
            Evidence("ensembles better in every direction", float(gained), low=1.0),
            Evidence("ensembles worse in every direction", float(lost), low=1.0),
        ]

    return measure


def leads(of: str) -> Measure:
    """Gaps of two members with other runner-ups, and of N probabilities, at 1e-12."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        row = next(iter(results["leads"]))
        found = [
            Evidence(f"gap at M = {m:g}", float(v), k - ROUNDING, k + ROUNDING)
            for m, v, k in zip(row.cell["lows"], row[of], RUNNER_UPS, strict=True)
        ]
        gap = float(np.abs(row["probability"] - row["closed"]).max())
        return [*found, Evidence("gap of N probabilities, error", gap, high=ROUNDING)]

    return measure


def opposed(weight: float) -> Measure:
    """|sum of signed gaps|, 0 at balance; weight: at which balance is looked for."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        row = next(iter(results["leads"]))
        error = float(np.abs(row["opposite"] - row["opposite_closed"]).max())
        at = row.cell["shares"].index(weight)
        return [
            Evidence("signed gaps, error", error, high=ROUNDING),
            Evidence("gap at balance", float(row["opposite"][at]), high=ROUNDING),
        ]

    return measure


def crossed(sets: str) -> Measure:
    """Radii within 1e-3 and areas within 1e-4 of the reference: the ensemble's radius is larger,
    its area smaller."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        row = next(iter(results["ellipses"]))
        at = [row.cell["shares"].index(a) for a in (1.0, 0.0, 0.5)]
        found = []
        for name, known, slack in (("inradius", INRADII, 1e-3), ("area", AREAS, 1e-4)):
            for who, i, k in zip(("first", "second", "ensemble"), at, known, strict=True):
                value = float(row[f"{sets}_{name}"][i])
                found.append(Evidence(f"{name}, {who}", value, k - slack, k + slack))
        return found

    return measure


def equal_shapes(sets: str) -> Measure:
    """The largest radius over all weights is that of one member, at 1e-9."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        row = next(iter(results["ellipses"]))
        radius = row[f"{sets}_inradius"]
        gain = float(radius.max() / max(radius[0], radius[-1]))
        return [Evidence("largest radius / best member's", gain, high=1 + 1e-9)]

    return measure


def best(of: str) -> Measure:
    """Best weights are at least as good as all of a grid, less its 360 directions' 0.1 %, and with
    equal shapes no better than the best member."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        row = next(iter(results["weights"]))
        alike = row["alike"] if of == "best" else row["member"]
        return [
            Evidence("best / best of a grid, least", float((row[of] / row["grid"]).min()), 0.999),
            Evidence(
                "equal shapes: best / best member, off by",
                float(np.abs(alike / row["member"] - 1).max()),
                high=1e-6,
            ),
        ]

    return measure


def gaussian(gain: str) -> Measure:
    """Probabilities within .005 of the reference, and the ratio of gaps within .005."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        found = []
        for row in results["gaussian"]:
            n, shift, trials = (row.cell[k] for k in ("members", "shift", "trials"))
            known = dict(zip(COLUMNS, GAUSSIAN[n, shift], strict=True))
            at = f"N = {n}, shift {shift:g}"
            for name, key in (("agree", "agree"), ("gain", gain), ("loss", "loss")):
                low, high = known[name] - 0.005, known[name] + 0.005
                found.append(share(f"{name}, {at}", int(row[key]), trials, low, high))
            ratio, r = shares(row)[3], known["ratio"]
            found.append(Evidence(f"ratio, {at}", ratio, r - 0.01, r + 0.01))
        return found

    return measure


def bounded(method: str) -> Measure:
    """A bound over the norm, at least 1 (less the 1e-13 to which the norm is known)."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        row = next(iter(results["norms"]))
        return [
            Evidence("least bound / norm", float(row[method].min()), low=1 - 1e-13),
            Evidence("largest bound / norm", float(row[method].max()), high=1.01),
        ]

    return measure


def covered(how: str) -> Measure:
    """All bounds of a point hold together but for at most 5 % of points."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        row = next(iter(results["coverage"]))
        points = row.cell["points"]
        return [share("points with a wrong bound", int(row[how]), points, high=0.05)]

    return measure


def jensen(side: str) -> Measure:
    """The mean of Phi^-1(p) less Phi^-1 of the mean, at least 0 (less 1e-12)."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        row = next(iter(results["coverage"]))
        slope = float(row["slope"] / row["slope_closed"])
        return [
            Evidence("least (ii) less (i)", float(row[side]), low=-ROUNDING),
            Evidence("slope of a smoothed half-space / 1/(σ√2π)", slope, 1 - 1e-6, 1 + 1e-6),
        ]

    return measure
