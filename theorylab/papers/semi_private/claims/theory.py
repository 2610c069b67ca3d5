"""What the claims on theory and synthetic data measure; a measure's docstring has its bounds."""

import numpy as np
from scipy.stats import norm

from theorylab.lab import Evidence, Preset, bootstrap, over_seeds
from theorylab.lab.claim import Measure
from theorylab.papers.semi_private import tables
from theorylab.papers.semi_private.published import FULL_SIZES, PILLAR_SIZES

All = tables.All
TINY = 1e-9


def printed_margin(results: All, preset: Preset) -> list[Evidence]:
    """The margin behind the projection is at least the printed one: margin - printed >= 0."""
    return [
        Evidence(
            f"margin - printed margin, γ = {row.cell['gamma']:g}, ξ = {float(row['defect']):.3f}",
            float(row["unscaled"] - row["printed"]),
            low=-TINY,
        )
        for row in results["counterexample"]
    ]


def one_side(promised: str) -> Measure:
    """Where a margin above 0 is promised, some classifier of the direction is right on all of the
    mass of the four points."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        found = []
        for row in results["counterexample"]:
            least = float(row["least_error"]) if float(row[promised]) > 0 else 0.0
            label = f"least error where a margin is promised, γ = {row.cell['gamma']:g}"
            found.append(Evidence(label, least, high=TINY))
        return found

    return measure


def margins(promised: str) -> Measure:
    """Over random distributions and the counter-examples: measured - promised >= 0."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        found = []
        for row in results["margins"]:
            left = row["unscaled"] * (row["kept"] if promised == "safe" else 1.0)
            label = f"least margin - promised, d = {row.cell['d']}, k = {row.cell['rank']}"
            found.append(Evidence(label, float((left - row[promised]).min()), low=-TINY))
        return found

    return measure


def attained(promised: str) -> Measure:
    """On the counter-examples the margin is the promised one, within rounding."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        return [
            Evidence(
                f"|margin - promised|, γ = {row.cell['gamma']:g}",
                abs(float(row["unscaled"] - row[promised])),
                high=TINY,
            )
            for row in results["counterexample"]
        ]

    return measure


def sampled_directions(share: float) -> Measure:
    """The 95 % quantile of the error is at most `share` of lemma 3's bound."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        return [
            bootstrap(
                f"95 % quantile / bound, d = {row.cell['d']}",
                lambda errors, bound=float(row["bound"]): float(
                    np.quantile(errors, 0.95) / (share * bound)
                ),
                (row["errors"],),
                high=1.0,
            )
            for row in results["sampled"]
        ]

    return measure


def shifted(constant: float) -> Measure:
    """Second moments move by at most constant x η, and directions by 2 constant η/Δ; the first is
    measured where it is attained too."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        (row,) = results["shifted"]
        change = max(float(row["change"].max()), float(row["corner"].max())) / constant
        error = float((row["error"] / np.minimum(1.0, constant * row["bound"])).max())
        return [
            Evidence("largest change of the second moments / η", change, high=1 + TINY),
            Evidence("largest error of the directions / (2η/Δ)", error, high=1.0),
        ]

    return measure


def accounted(factor: float = 1.0) -> Measure:
    """The tabulated noise spends the stated epsilon, within 1 %; factor: on the noise."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        return [
            Evidence(
                f"spent / stated, ε = {c['epsilon']:g}, q = 1/{round(1 / c['sampling_rate'])}, "
                f"{c['steps']} steps",
                float(row["epsilon"]) / factor / c["epsilon"],
                0.99,
                1.01,
            )
            for row in results["accounted"]
            for c in [row.cell]
        ]

    return measure


def _sizes(results: All, method: str) -> dict[int, np.ndarray]:
    """Dimension to the records for 90 % of each seed."""
    rows = results["sample_sizes"]
    return {
        d: np.array([tables.needed_in(row, method) for row in rows.where(d=d)])
        for d in rows.unique("d")
    }


def flat(method: str) -> Measure:
    """Records for 90 %, over all dimensions: largest / smallest mean at most 2; where the
    prototype has numbers, each mean is within its range, 80 to 400."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        found = _sizes(results, method)
        low, high = PILLAR_SIZES

        def spread(*values: np.ndarray) -> float:
            means = [float(np.mean(v)) for v in values]
            return max(means) / min(means)

        return [
            bootstrap("largest / smallest n over d", spread, tuple(found.values()), high=2.0),
            *(over_seeds(f"n at d = {d}", found[d], low, high) for d in FULL_SIZES if d in found),
        ]

    return measure


def growing(method: str) -> Measure:
    """Records for 90 % without projection grow with d: by the prototype's numbers within 25 %
    where it has them, and at least 1.3 times for four times the dimension."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        found = _sizes(results, method)
        known = [d for d in found if d in FULL_SIZES]
        pairs = [(d, 4 * d) for d in found if 4 * d in found]
        return [
            *(
                over_seeds(f"n / prototype's, d = {d}", found[d] / FULL_SIZES[d], 0.75, 1.25)
                for d in known
            ),
            *(
                over_seeds(f"n at d = {b} / n at d = {a}", found[b] / found[a], low=1.3)
                for a, b in pairs
            ),
        ]

    return measure


def gap(results: All, preset: Preset) -> list[Evidence]:
    """Records without projection over those with it: at least 10 at d = 256, 20 at d = 1024."""
    return _gap(results, "no projection")


def no_gap(results: All, preset: Preset) -> list[Evidence]:
    """PILLAR against itself, with the bounds of `gap`."""
    return _gap(results, "PILLAR")


def _gap(results: All, method: str) -> list[Evidence]:
    many, little = _sizes(results, method), _sizes(results, "PILLAR")
    return [
        over_seeds(
            f"n {method} / n PILLAR, d = {d}",
            many[d].mean() / little[d],
            low=10 if d < 1024 else 20,
        )
        for d in many
        if d in (256, 1024)
    ]


def slope(against: str) -> Measure:
    """The slope of log n for 90 % over log ε: -1 ± 0.2. against: "n", or "n²" for the control."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        rows = results["epsilon_sizes"]
        epsilons = rows.unique("epsilon")
        every = [
            np.array([tables.needed_in(r, "PILLAR") for r in rows.where(epsilon=e)])
            for e in epsilons
        ]
        power = 2.0 if against == "n²" else 1.0
        slopes = [
            float(np.polyfit(np.log(epsilons), power * np.log(values), 1)[0])
            for values in np.array(every).T
        ]
        halves = float(np.exp(np.mean(np.log(every[0] / every[-1]))))
        doublings = np.log2(epsilons[-1] / epsilons[0])
        return [
            over_seeds(f"slope of log {against} over log ε", slopes, -1.2, -0.8),
            Evidence(
                "log2 of the factor on n per doubling of ε",
                -power * float(np.log2(halves) / doublings),
                -1.2,
                -0.8,
            ),
        ]

    return measure


def free(method: str, privacy: str = "free") -> Measure:
    """Without privacy 400 records reach 0.99 of the best accuracy, Φ(d^(1/4)), whatever d."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        rows = results["sample_sizes"]
        found = []
        for d in rows.unique("d"):
            cell = next(iter(rows.where(d=d))).cell
            start = [n >= 400 for n in cell["sizes"]].index(True)
            values = rows.where(d=d).stack(privacy)[:, cell["methods"].index(method), start]
            label = f"accuracy / the best, n = {cell['sizes'][start]}, d = {d}"
            found.append(over_seeds(label, values / norm.cdf(d**0.25), low=0.99))
        return found

    return measure


def trade_off(epsilon: float) -> Measure:
    """Of a classifier spread over 20 directions: two directions lose at least 5 points against
    20, and all directions lose at least 3 at this ε."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        rows = results["spiked"]
        cell = next(iter(rows)).cell
        values = rows.stack("accuracy")[:, :, cell["epsilons"].index(epsilon)]
        ranks = cell["ranks"]
        best = values[:, ranks.index(20)]
        return [
            over_seeds("k = 20 less k = 2", best - values[:, ranks.index(2)], low=0.05),
            over_seeds("k = 20 less all", best - values[:, -1], low=0.03),
        ]

    return measure
