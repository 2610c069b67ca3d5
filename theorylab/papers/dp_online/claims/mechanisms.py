"""What claims on mechanisms measure: privacy, noise, concentration."""

from collections.abc import Mapping

import numpy as np

from theorylab.lab import Evidence, Preset, bootstrap, over_seeds
from theorylab.papers.dp_online.claims.shared import TINY, All, Measure, rates
from theorylab.papers.dp_online.published import (
    COUNTER_QUANTILES,
)


def audited(learner: str) -> Measure:
    """The largest log ratio of the firing law over ε: at most 1 (+ 1e-6 / ε), and not wasteful over
    all streams together."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        rows = list(results["audit"].where(learner=learner))
        found = []
        for epsilon in sorted({r.cell["epsilon"] for r in rows}):
            mine = [r for r in rows if r.cell["epsilon"] == epsilon]
            worst = max(float(r["log_ratio"]) for r in mine)
            spent = max(float(r["delta"]) for r in mine)
            found += [
                Evidence(f"largest log ratio - ε at ε = {epsilon:g}", worst - epsilon, high=1e-6),
                Evidence(f"largest log ratio / ε at ε = {epsilon:g}", worst / epsilon, low=0.95),
                Evidence(f"δ spent at ε = {epsilon:g}", spent, high=1e-9),
            ]
        return found

    return measure


def only_locally_private(law: str) -> Measure:
    """A stationary hazard keeps ε in every round and spends more than 2 ε over all."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        row = next(iter(results["horizon"]))
        epsilon = row.cell["epsilon"]
        return [
            Evidence(
                "largest log ratio of a round / ε",
                float(row["step"].max()) / epsilon,
                high=1 + TINY,
            ),
            Evidence("largest log ratio of all rounds / ε", float(row[law][-1]) / epsilon, low=2.0),
        ]

    return measure


def standardised(experiment: str, exact: str, where: Mapping[str, object] | None = None) -> Measure:
    """(simulated mean - exact) / standard error, within 4."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        found = []
        for row in results[experiment].where(**(where or {})):
            if float(row["se"]) > 0:
                z = float((row["mean"] - row[exact]) / row["se"])
                label = ", ".join(
                    f"{n} {row.cell[n]}" for n in ("stream", "by", "feedback", "k") if n in row.cell
                )
                found.append(Evidence(f"standard errors from exact: {label}", z, -4, 4))
        return found

    return measure


def uniform_bound(exact: str, factor: float = 1.0) -> Measure:
    """E[M] of uniform firing is at least k (1 - 3β) / 2, and p_i at least 1 - 3β; factor: on the
    bound."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        found = []
        for row in results["uniform"]:
            at = f"T = 2^{row.cell['k']}, {row.cell['feedback']}"
            room = float((row["survival"] - (1 - 3 * row.cell["beta"])).min())
            found += [
                Evidence(
                    f"E[M] / bound, {at}", float(row[exact] / (factor * row["bound"])), low=1.0
                ),
                Evidence(f"least p_i - (1 - 3β), {at}", room, low=-TINY),
            ]
        return found

    return measure


def _quantile(values: np.ndarray) -> float:
    return float(np.quantile(values, 0.9))


def counter_quantiles(array: str) -> Measure:
    """0.9-quantiles of the largest error against the reference, within its 8 %."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        return [
            bootstrap(
                f"quantile / {known:g}, T = 2^{row.cell['doublings']}",
                lambda values, known=known: _quantile(values) / known,
                (row[array],),
                0.92,
                1.08,
            )
            for row in results["counters"].where(noise="laplace")
            if (known := COUNTER_QUANTILES.get(row.cell["doublings"])) is not None
        ]

    return measure


def counter_growth(array: str) -> Measure:
    """The exponent of log2 T in the quantile's growth lies between 1.5 and 2."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        rows = list(results["counters"].where(noise="laplace"))
        x = np.log([r.cell["doublings"] for r in rows])

        def exponent(*values: np.ndarray) -> float:
            return float(np.polyfit(x, np.log([_quantile(v) for v in values]), 1)[0])

        return [bootstrap("exponent of log2 T", exponent, tuple(r[array] for r in rows), 1.5, 2.0)]

    return measure


def proposition_three(mistakes: str, share: float = 1.0) -> Measure:
    """E[M] - (2 α + 0.1 #ones) of the learner made of counters is at most 0; share: of α."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        return [
            over_seeds(
                f"E[M] - (2α + 0.1 T), T = 2^{row.cell['doublings']}",
                row[mistakes] - (2 * share * float(row["alpha"]) + 0.1 * float(row["ones"])),
                high=0.0,
            )
            for row in results["learner"]
        ]

    return measure


def quiet(large: bool) -> Measure:
    """The union bound at the quiet point is at most β, and a round has at most K ⌈T/β⌉ loud points;
    large: on domains as large as lemma 1 asks for, or on those that are not."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        found = []
        for row in results["lemma"]:
            c = row.cell
            if (c["points"] >= float(row["needed"])) != large:
                continue
            most = c["most_ones"] * np.ceil(c["rounds"] / c["beta"])
            found += [
                Evidence(
                    "largest union bound / β", float(row["union"].max() / c["beta"]), high=1.0
                ),
                Evidence("most loud points / K ⌈T/β⌉", float(row["loud"].max() / most), high=1.0),
                Evidence(
                    "most expected ones / K",
                    float(row["ones"].max() / c["most_ones"]),
                    high=1 + TINY,
                ),
            ]
        return found

    return measure


def tight(noise: float) -> Measure:
    """E[M] ε / ln T of ones alone for T of 2^18 and more: between the bound and twice the rate."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        found = []
        for row in results["heat"].where(noise=noise):
            at = [i for i, k in enumerate(row.cell["doublings"]) if k >= 18]
            if at:
                ratios = rates(row)[at]
                label = f"E[M] ε / ln T at ε = {row.cell['epsilon']:g}"
                found += [
                    Evidence(f"least {label}", float(ratios.min()), low=0.8),
                    Evidence(f"largest {label}", float(ratios.max()), high=1.5),
                ]
        return found

    return measure
