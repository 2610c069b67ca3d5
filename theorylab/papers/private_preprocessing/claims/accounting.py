"""What claims on accounting measure: closed forms, factors, mechanisms, conversions."""

import numpy as np

from theorylab.lab import Evidence, Preset, Row
from theorylab.lab.claim import Measure
from theorylab.papers.private_preprocessing import published
from theorylab.papers.private_preprocessing.tables import only
from theorylab.papers.types import AllResults
from theorylab.privacy import meta_theorem, renyi, sensitivity

TINY = 1e-12


def gapped(row: Row, array: str) -> np.ndarray:
    """An array of a cell of imputation where something is missing."""
    return np.asarray(row[array])[np.array(row.cell["missing"]) > 0]


def closed_form(*ways: str) -> Measure:
    """The least bound over p agrees with the closed form within 1e-12, and both with known ones."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        row = only(results["closed_form"])
        found = [
            Evidence(
                f"largest |{'least bound' if way != 'scalar' else 'scalar minimum'} / closed - 1|",
                float(np.abs(row[way] / row["closed"] - 1).max()),
                high=TINY,
            )
            for way in ways
        ]
        known = np.array([published.CLOSED[tuple(case)] for case in row.cell["cases"]])
        off = np.abs(row[ways[0]][: len(known)] / known - 1).max()
        return [*found, Evidence("largest departure from known values", float(off), high=2e-6)]

    return measure


def hybrids(*curves: str) -> Measure:
    """Every bound is at least the exact divergence, and the best of a grid within 0.1 % of it."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        row = only(results["hybrids"])
        found = []
        for name in curves:
            least = float(row[name].min() / row["exact"])
            found += [
                Evidence("least bound over p / exact divergence", least, 1 - 1e-9, 1.001),
            ]
        return found

    return measure


def imputation(full: str) -> Measure:
    """The factor is (n/(n-m))² and the exact attack's, within 1e-12, and known, for m >= 1."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        rows = list(results["imputation"])
        closed, attack = (
            max(float(np.abs(gapped(row, full) / gapped(row, name) - 1).max()) for row in rows)
            for name in ("closed", "attack")
        )
        found = [
            Evidence("largest |factor / (n/(n-m))² - 1|", closed, high=TINY),
            Evidence("largest |factor / exact attack - 1|", attack, high=TINY),
        ]
        for row in rows:
            for m, ours, group in zip(row.cell["missing"], row[full], row["group"], strict=True):
                known = published.FACTORS.get((row.cell["n"], m))
                if known:
                    at = f"n = {row.cell['n']}, m = {m}"
                    found += [
                        Evidence(f"factor, {at}", float(ours), known[0] - 5e-5, known[0] + 5e-5),
                        Evidence(f"by groups, {at}", float(group), known[1], known[1]),
                    ]
        return found

    return measure


def between(full: str) -> Measure:
    """The full accounting is nowhere below the exact attack, nor above group privacy."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        rows = list(results["imputation"])
        least, most, descent = [], [], []
        for row in rows:
            attack, group = gapped(row, "attack"), gapped(row, "group")
            ours = np.ones_like(attack) if full == "naive" else gapped(row, full)
            least.append(float((ours / attack).min()))
            most.append(float((ours / group).max()))
            descent.append(float((gapped(row, "descent") / group).max()))
        return [
            Evidence("least factor / exact attack", min(least), low=1 - TINY),
            Evidence("largest factor / group privacy's", max(most), high=1.0),
            Evidence("largest factor of descent / group privacy's", max(descent), high=1.0),
        ]

    return measure


def behind(imputed: bool) -> Measure:
    """Epsilon behind an imputation is that of the closed form where curves are straight lines, and
    grows with the number that is missing for every mechanism."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        found = []
        orders = np.concatenate([np.arange(1.25, 10, 0.5), np.arange(10, 40, 3.0)])
        for row in results["mechanisms"]:
            kind, n = row.cell["kind"], row.cell["n"]
            found.append(
                Evidence(
                    f"{kind}: least growth of ε with m", float(np.diff(row["epsilon"]).min()), low=0
                )
            )
            if kind not in ("mean", "descent"):
                continue
            steps, slope = (1, 1.0) if kind == "mean" else (20, 1.5)
            rho = steps * 2 / float(row["noise"]) ** 2
            closed = []
            for m in row.cell["missing"]:
                moved = sensitivity.mean_imputation(n, missing=m).total if imputed else 0.0
                curve = renyi.zcdp_curve(rho * meta_theorem.cost_factor(slope * moved))
                closed.append(
                    renyi.to_epsilon(curve, delta=row.cell["delta"], orders=orders).epsilon
                )
            off = float(np.abs(row["epsilon"] / np.array(closed) - 1).max())
            found.append(Evidence(f"{kind}: largest |ε / closed form - 1|", off, high=1e-9))
        return found

    return measure


def coupled(bound: str) -> Measure:
    """The bound by coupling is at least the exact divergence at every place of the records, at most
    that without sampling, and within 1 % of the exact one in one of the cases."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        rows = list(results["sampled_sums"])
        over = [float(row[bound] / row["worst"]) for row in rows]
        found = [
            Evidence("least bound / exact divergence", min(over), 1 - 1e-9, 1.01),
            Evidence(
                "largest bound / without sampling",
                max(float(row[bound] / row["unsampled"]) for row in rows),
                high=1.0,
            ),
        ]
        for row in rows:
            known = published.COUPLED[tuple(row.cell.values())]
            for name, ours, value in (
                ("bound", row[bound], known[0]),
                ("without sampling", row["unsampled"], known[1]),
            ):
                at = f"q = {row.cell['rate']}, m = {row.cell['records']}"
                off = abs(float(ours) / value - 1)
                found.append(Evidence(f"departure of the {name}, {at}", off, high=1e-3))
        return found

    return measure


def spread(cost: str) -> Measure:
    """The spread costs what the convex minorant says, never less than the exact divergence behind
    a step that forgets, and just that for a single shift."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        row = only(results["last_iterate"])
        return [
            Evidence(
                "largest |cost / convex minorant - 1|",
                float(np.abs(row[cost] / row["hull"] - 1).max()),
                high=1e-9,
            ),
            Evidence(
                "least cost / exact divergence",
                float((row[cost] / row["forgets"]).min()),
                low=1 - TINY,
            ),
            Evidence(
                "|cost / exact divergence - 1| of a single shift",
                abs(float(row[cost][0] / row["forgets"][0]) - 1),
                high=TINY,
            ),
        ]

    return measure


def conversions(exact: str) -> Measure:
    """Conversions agree with known values: within 1e-4, 1e-3 where orders are a grid."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        row = only(results["gaussian"])
        found = []
        for name, known in published.GAUSSIAN.items():
            ours = row[exact] if name == "exact" else row[name]
            off = float(np.abs(ours / np.array(known) - 1).max())
            found.append(Evidence(f"Gaussian, {name}", off, high=1e-3 if name == "curve" else 1e-4))
        for one in results["sampled_accounting"]:
            c = one.cell
            curve, epsilon, loss = published.SAMPLED[(c["rate"], c["noise"], c["steps"])]
            found += [
                Evidence(
                    f"curve of a sampled step, q = {c['rate']}",
                    float(np.abs(one["curve"] / np.array(curve) - 1).max()),
                    high=1e-4,
                ),
                Evidence(
                    f"ε by curves, q = {c['rate']}",
                    abs(float(one["epsilon"]) / epsilon - 1),
                    high=1e-3,
                ),
                Evidence(
                    f"ε by loss distributions, q = {c['rate']}",
                    abs(float(one["loss"]) / loss - 1),
                    high=5e-3,
                ),
            ]
        return found

    return measure


def limit(other: str) -> Measure:
    """The central limit theorem promises an epsilon at least 5 % below what loss distributions
    give."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        return [
            Evidence(
                f"ε by loss distributions / by the other, q = {row.cell['rate']}",
                float(row["loss"] / row[other]),
                low=1.05,
            )
            for row in results["sampled_accounting"]
        ]

    return measure
