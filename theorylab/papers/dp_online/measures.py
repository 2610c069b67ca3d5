"""What each claim measures. A measure takes the results and the preset and gives evidence; wrong
variants are the same measures with another argument."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from theorylab.lab import Evidence, Preset, Results, Row, bootstrap, over_seeds
from theorylab.papers.dp_online.published import (
    COLUMNS,
    COUNTER_QUANTILES,
    FRONT,
    FRONT_DOUBLINGS,
    PARTS,
    ROWS,
    SHAME,
    SMALL_Q,
    TOLERANCE,
)

All = Mapping[str, Results]
Measure = Callable[[All, Preset], Sequence[Evidence]]
TINY = 1e-9


def of_row(row: Row, mistakes: str = "mistakes") -> dict[str, float]:
    """The columns of the reference table from a cell; the row before the last insertion."""
    return {
        "theta": float(row["theta"]),
        "mistakes": float(row[mistakes]),
        "p": float(row["survival"][-2]),
        "q": float(row["mass"][-2]),
        "front": float(row["front"]),
    }


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


def rates(row: Row) -> np.ndarray:
    """E[M] ε / ln T of a cell of ones alone."""
    return np.asarray(
        row["mistakes"] * row.cell["epsilon"] / (np.log(2) * np.array(row.cell["doublings"]))
    )
