"""What claims on movement measure: bounds, attacks, collections, private tests."""

import numpy as np

from theorylab.lab import Evidence, Preset
from theorylab.lab.claim import Measure
from theorylab.papers.private_preprocessing import published
from theorylab.papers.private_preprocessing.tables import ATTAINED, REFUTED, only
from theorylab.papers.types import AllResults
from theorylab.privacy.propose_test_release import MarginTest

ROUNDING = 1e-9


def bounds(scale: float = 1.0) -> Measure:
    """No pair moves farther than its bound, of which `scale` is left."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        found = [
            Evidence(
                f"{row.cell['study']}: largest movement / bound",
                float(row["ratio"]) / scale,
                high=1 + ROUNDING,
            )
            for row in results["search"]
        ]
        inside = min(float(row["inside"]) / row.cell["pairs"] for row in results["search"])
        outside = sum(int(row["violations"]) for row in results["search"])
        return [
            *found,
            Evidence("pairs above their bound", float(outside), high=0.0),
            Evidence("least share of pairs inside a collection", inside, low=0.5),
        ]

    return measure


def attained(scale: float = 1.0) -> Measure:
    """The worst pair moves at least 0.98 of its bound, times `scale`."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        return [
            Evidence(
                f"{study}: largest movement / bound",
                float(only(results["search"], study=study)["ratio"]) / scale,
                low=0.98,
            )
            for study in ATTAINED
        ]

    return measure


def refuted(against: str) -> Measure:
    """Exact divergences found by search are at least 5 % above the claim: the naive one."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        found = []
        for study in REFUTED:
            row = only(results["search"], study=study)
            claimed = 1.0 if against == "naive" else float(row["full"])
            found.append(
                Evidence(
                    f"{study}: exact divergence / claim", float(row["attack"]) / claimed, low=1.05
                )
            )
        return found

    return measure


def sound(claimed: str) -> Measure:
    """The full accounting covers every attack that was found."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        rows = [*results["search"], *results["attack"]]
        least = min(
            (float(row["full"]) if claimed == "full" else 1.0)
            / float(row["attack" if "attack" in row.arrays else "factor"])
            for row in rows
        )
        return [Evidence("least claim / exact divergence", least, low=1 - ROUNDING)]

    return measure


def attacks(*kinds: str) -> Measure:
    """Two neighbours are at a divergence at least 5 % above the naive claim, and at the claimed
    epsilon = 1 at twice the claimed delta at least; projections where directions nearly tie."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        found = []
        for row in results["attack"]:
            c = row.cell
            tied = c["kind"] != "projection" or c["m"] < 0.6 * c["n"]
            if c["kind"] in kinds and tied:
                at = f"{c['kind']}, n = {c['n']}, {c['m']}"
                found += [
                    Evidence(f"divergence / claim, {at}", float(row["factor"]), low=1.05),
                    Evidence(f"δ / claimed, {at}", float(row["delta"]) / c["delta"], low=2.0),
                ]
        return found

    return measure


def outside(chains: str, rule: str) -> Measure:
    """Outside of its collection a pre-processing moves at least three times its bound."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        rows = {
            "chains": only(results[chains]),
            "signs": only(results["signs"], rule=rule),
            "medians": only(results["medians"]),
        }
        return [
            Evidence(
                f"{name}: movement / bound", float(row["movement"][-1] / row["promised"][-1]), low=3
            )
            for name, row in rows.items()
        ]

    return measure


def rotated(rule: str) -> Measure:
    """Coordinates move within their bound."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        row = only(results["signs"], rule=rule)
        most = float((row["movement"] / row["promised"]).max())
        return [Evidence("largest movement / bound", most, high=1.0)]

    return measure


def given(scale: float = 1.0) -> Measure:
    """The worst neighbour found of data of a given eigengap moves them within the bound, of which
    `scale` is left, and by a tenth of it at least."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        row = only(results["turned"])
        ratio = row["movement"] / row["promised"] / scale
        return [
            Evidence("largest movement / bound", float(ratio.max()), high=1.0),
            Evidence("least movement / bound", float(ratio.min()), low=0.1),
        ]

    return measure


def probabilities(delta: float | None = None) -> Measure:
    """Threshold and P[release] at margins 0, 10, 20 are the known ones; delta: of another test."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        row = only(results["probabilities"])
        threshold, release = float(row["threshold"]), row["release"]
        if delta is not None:
            test = MarginTest(row.cell["epsilon"], delta)
            threshold = test.threshold
            release = np.array([test.release_probability(m) for m in row.cell["margins"]])
        known, probable = published.RELEASE
        found = [Evidence("threshold", threshold, known - 5e-4, known + 5e-4)]
        for margin, ours, value in zip(row.cell["margins"], release, probable, strict=True):
            off = abs(float(ours) / value - 1)
            found.append(Evidence(f"departure of P[release] at {margin:g}", off, high=2.5e-4))
        return found

    return measure


def private(outside: str) -> Measure:
    """Margins that differ by one are told apart by a factor e^ε at most, and data beside those that
    are not nice pass with probability e^ε δ at most."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        row = only(results["probabilities"])
        return [
            Evidence(
                "largest log ratio / ε", float(row["loss"]) / row.cell["epsilon"], high=1 + ROUNDING
            ),
            Evidence("P[release] at margin 1 / (e^ε δ)", float(row[outside]), high=1 + ROUNDING),
        ]

    return measure


def margins(scale: float = 1.0) -> Measure:
    """One replacement changes no margin by more than 1; scale: of the margin."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        return [
            Evidence(
                f"{row.cell['kind']}: largest change",
                scale * float(row["change"]),
                high=1 + ROUNDING,
            )
            for row in results["margins"]
        ]

    return measure
