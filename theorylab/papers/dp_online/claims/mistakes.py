"""What claims on numbers of mistakes measure.

A measure takes the results and the preset and gives evidence; wrong variants are the same measures
with another argument.
"""

import numpy as np

from theorylab.lab import Evidence, Preset
from theorylab.papers.dp_online.claims.shared import TINY, All, Measure, of_row
from theorylab.papers.dp_online.published import (
    COLUMNS,
    FRONT,
    FRONT_DOUBLINGS,
    PARTS,
    ROWS,
    SHAME,
    SMALL_Q,
    TOLERANCE,
)


def reference_rows(scale: str = "private", mistakes: str = "mistakes") -> Measure:
    """Every number of the table, relative to the reference, within its tolerance; the largest
    departure a column."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        off: dict[str, float] = dict.fromkeys(COLUMNS, 0.0)
        for row in results["game"].where(learner=scale):
            k = row.cell["k"]
            got = of_row(row, mistakes)
            for name, known in zip(COLUMNS, ROWS[k], strict=True):
                room = SMALL_Q.get(k, TOLERANCE[name]) if name == "q" else TOLERANCE[name]
                off[name] = max(off[name], abs(got[name] / known - 1) / room)
        return [
            Evidence(f"largest departure of {name} / tolerance", value, high=1.0)
            for name, value in off.items()
        ]

    return measure


def front_rows(factor: float = 1.0) -> Measure:
    """E[M] of ones alone against the reference, relative, for every epsilon that was run."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        found = []
        for row in results["front"].where(noise=2.0):
            epsilon, at = row.cell["epsilon"], row.cell["doublings"]
            known = [FRONT[epsilon][FRONT_DOUBLINGS.index(k)] for k in at]
            off = np.abs(factor * row["mistakes"] / np.array(known) - 1).max()
            found.append(Evidence(f"largest departure at ε = {epsilon:g}", float(off), high=1e-3))
        return found

    return measure


def slope(per: float) -> Measure:
    """The last slope of E[M] a doubling over b2 ln 2, within a thousandth; per: what is taken for
    ln 2."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        found = []
        for row in results["front"]:
            c = row.cell
            grown = np.diff(row["mistakes"][-2:])[0] / np.diff(c["doublings"][-2:])[0]
            wanted = c["noise"] / c["epsilon"] * per
            label = f"slope / ({c['noise']:g} ln 2 / ε) at ε = {c['epsilon']:g}"
            found.append(Evidence(label, float(grown / wanted), 0.999, 1.001))
        return found

    return measure


def invariants(learner: str, mass_bound: str = "mass_bound") -> Measure:
    """The least room of p_i and q_i in every row of every trace, and of E[M] above k (1 - 3 β)."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        rows = list(results["game"].where(learner=learner))
        over = min(float((r["survival"] - r["survival_bound"]).min()) for r in rows)
        under = min(float((r[mass_bound] - r["mass"]).min()) for r in rows)
        forced = min(float(r["mistakes"] - r["plain_bound"]) for r in rows)
        return [
            Evidence("least p_i - (1 - 3β)", over, low=-TINY),
            Evidence("least β (3/4)^i - q_i", under, low=-TINY),
            Evidence("least E[M] - k (1 - 3β)", forced, low=-TINY),
        ]

    return measure


def printed_claim(learner: str) -> Measure:
    """As the proof states it: p_i >= 1/2 and, in the end, p_k >= 1/4, hence E[M] >= log(T) / 8."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        rows = list(results["game"].where(learner=learner))
        return [
            Evidence("least p_i", min(float(r["survival"].min()) for r in rows), low=0.5),
            Evidence(
                "least E[M] / (log(T) / 8)",
                min(float(r["mistakes"] / r["printed_bound"]) for r in rows),
                low=1.0,
            ),
        ]

    return measure


def shame_claim(share: float = 1.0) -> Measure:
    """Name & Shame obeys p_i >= 1/2 - 4 i δ, and is (0, δ)-private at its own δ times `share`."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        found = []
        for row in results["shame"]:
            delta, i = row.cell["delta"], np.arange(len(row["survival"]))
            room = float((row["survival"] - (0.5 - 4 * i * delta)).min())
            found += [
                Evidence(f"least p_i - (1/2 - 4iδ) at δ = {delta:g}", room, low=-TINY),
                Evidence(
                    f"δ spent / δ at δ = {delta:g}",
                    float(row["delta"]) / (share * delta),
                    high=1 + 1e-6,
                ),
            ]
        return found

    return measure


def printed_step(results: All, preset: Preset) -> list[Evidence]:
    """The printed step of the proof: p_{i+1} - (p_i - 2 q_i) >= 0 in every row."""
    return [
        Evidence(
            f"least p_(i+1) - (p_i - 2 q_i), Name & Shame at δ = {row.cell['delta']:g}",
            float((np.diff(row["survival"]) + 2 * row["mass"][:-1]).min()),
            low=-TINY,
        )
        for row in results["shame"]
    ]


def shame_mistakes(which: str) -> Measure:
    """E[M] of Name & Shame: played on a class of points, by its law, and the numbers known."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        found = []
        for row in results["shame"]:
            wrong = 0.5 if which == "half" else 1.0
            formula = wrong * row["formula"]
            off = max(float(np.abs(row[n] / formula - 1).max()) for n in ("played", "law"))
            found.append(
                Evidence(f"largest departure at δ = {row.cell['delta']:g}", off, high=1e-10)
            )
            for n, known in SHAME.items() if row.cell["delta"] == 0.01 else ():
                at = row.cell["ones"].index(n)
                ratio = float(formula[at]) / known
                found.append(Evidence(f"E[M] after {n} ones / {known:g}", ratio, 0.99999, 1.00001))
        return found

    return measure


def regimes(rule: str) -> Measure:
    """At every epsilon: the promised p_i over the certain steps, and E[M] above its bound."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        found = []
        for row in results["regime"].where(rule=rule):
            at = f"ε = {row.cell['epsilon']:g}, T = 2^{row.cell['k']}"
            room = float(row["least"] - row["promised"])
            found += [
                Evidence(f"least p_i - promised, {at}", room, low=-TINY),
                Evidence(f"E[M] / bound, {at}", float(row["mistakes"] / row["bound"]), low=1.0),
            ]
        return found

    return measure


def parts_rows(rule: str) -> Measure:
    """Parts, insertions, E[M] and the least p of the smallest-mass rule, within 1 %."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        found = []
        for row in results["regime"].where(rule=rule):
            known = PARTS.get((row.cell["epsilon"], row.cell["k"]))
            if known is not None:
                names = ("parts", "steps", "mistakes", "least_of_all")
                off = max(abs(float(row[n]) / v - 1) for n, v in zip(names, known, strict=True))
                found.append(
                    Evidence(f"largest departure at ε = {row.cell['epsilon']:g}", off, high=0.01)
                )
        return found

    return measure


def growth_curves(lower: str, svt: str = "svt") -> Measure:
    """The curves of Figure 1: the lower bound is below both learners, AboveThreshold crosses
    Name & Shame's 1/δ near ln T = ε/δ, and the bound with parts saturates at (1-2β)²/(16δ)."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        row = next(iter(results["figure_one"]))
        x, c = np.array(row.cell["log_rounds"]), row.cell
        above = np.maximum(row[lower] / row[svt], row[lower] / row["shame"])
        crossing = float(np.interp(1 / c["delta"], row[svt], x)) * c["delta"] / c["epsilon"]
        end = float(row[lower if lower != "lower" else "parts_lower"][-1] / row["saturation"])
        return [
            Evidence("largest lower bound / learner", float(above.max()), high=1.0),
            Evidence("ln T where E[M] = 1/δ, over ε/δ", crossing, 0.9, 1.1),
            Evidence("the bound with parts at the end / (1-2β)²/(16δ)", end, 0.95, 1.0 + TINY),
        ]

    return measure


def ones_alone(mistakes: str) -> Measure:
    """E[M] of ones alone is at least case I of the bound, for every β."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        row = next(iter(results["concentrated"]))
        return [
            Evidence(
                "least E[M] / Σ max(0, 1 - e^{iε} β)",
                float((row[mistakes] / row["bound"]).min()),
                low=1.0,
            ),
            Evidence(
                "least E[M] / (log(1/β) / (16 log(3/2)))",
                float((row[mistakes] / row["printed"]).min()),
                low=1.0,
            ),
        ]

    return measure


def dimensions(closed: str) -> Measure:
    """Littlestone dimensions that differ from their closed form."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        row = next(iter(results["dimensions"]))
        return [Evidence("classes that differ", float((row["found"] != row[closed]).sum()), high=0)]

    return measure


def soa(learner: str) -> Measure:
    """The most mistakes over all streams are the dimension."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        row = next(iter(results["soa"]))
        return [
            Evidence(
                "most mistakes - dimension", float((row[learner] - row["dimension"]).max()), 0, 0
            )
        ]

    return measure
