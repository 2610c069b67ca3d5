"""The numbers of every figure, reduced from the results."""

from collections.abc import Mapping

import numpy as np

from theorylab.lab import Preset, Results, Table
from theorylab.papers.dp_online.claims.shared import of_row, rates
from theorylab.papers.dp_online.published import (
    COLUMNS,
    COUNTER_QUANTILES,
    FRONT,
    FRONT_DOUBLINGS,
    ROWS,
)

All = Mapping[str, Results]


def growth(results: All, preset: Preset) -> Table:
    """Curves of the schematic over ln T."""
    row = next(iter(results["figure_one"]))
    table = Table("series", "log_rounds", "mistakes")
    names = {
        "lower": "lower bound, every private learner",
        "svt": "AboveThreshold (log T rate)",
        "shame": "Name & Shame",
    }
    for array, series in names.items():
        for x, y in zip(row.cell["log_rounds"], row[array], strict=True):
            table.add(series=series, log_rounds=float(x), mistakes=float(y))
    for x in (row.cell["log_rounds"][0], row.cell["log_rounds"][-1]):
        table.add(series="not private", log_rounds=float(x), mistakes=1.0)
    return table


def games(results: All, preset: Preset) -> Table:
    """The reference table: ours beside the known numbers, and the guarantees."""
    table = Table("k", "quantity", "ours", "reference")
    for row in results["game"].where(learner="private"):
        k = row.cell["k"]
        got = of_row(row)
        for name, known in zip(COLUMNS, ROWS[k], strict=True):
            table.add(k=k, quantity=name, ours=got[name], reference=known)
        for name in ("plain_bound", "printed_bound", "bound"):
            table.add(k=k, quantity=name, ours=float(row[name]), reference=float("nan"))
    return table


def front(results: All, preset: Preset) -> Table:
    """E[M] of ones alone over log2 T, for every epsilon, at noise 2/epsilon and 1/epsilon."""
    table = Table("epsilon", "noise", "doublings", "mistakes", "reference")
    for row in results["front"]:
        epsilon, noise = row.cell["epsilon"], row.cell["noise"]
        for k, y in zip(row.cell["doublings"], row["mistakes"], strict=True):
            known = FRONT[epsilon][FRONT_DOUBLINGS.index(k)] if noise == 2 else float("nan")
            table.add(epsilon=epsilon, noise=noise, doublings=k, mistakes=float(y), reference=known)
    return table


def counters(results: All, preset: Preset) -> Table:
    """0.9-quantiles of the largest error over log2 T."""
    table = Table("noise", "doublings", "quantile", "reference")
    for row in results["counters"]:
        k, noise = row.cell["doublings"], row.cell["noise"]
        known = COUNTER_QUANTILES.get(k, float("nan")) if noise == "laplace" else float("nan")
        table.add(
            noise=noise,
            doublings=k,
            quantile=float(np.quantile(row["largest"], 0.9)),
            reference=known,
        )
    return table


def traces(results: All, preset: Preset) -> Table:
    """p_i and q_i at the largest T, before every insertion, with their bounds."""
    row = next(iter(results["game"].where(learner="private", k=max(preset["k"]))))
    table = Table("i", "survival", "survival_bound", "mass", "mass_bound")
    for i in range(row.cell["k"]):
        table.add(i=i, **{n: float(row[n][i]) for n in table.columns if n != "i"})
    return table


def positions(results: All, preset: Preset) -> Table:
    """log2 of the rounds that are left after each inserted one."""
    table = Table("k", "i", "log2_left")
    for row in results["game"].where(learner="private"):
        for i, left in enumerate(np.log2(row["to_the_end"])):
            table.add(k=row.cell["k"], i=i + 1, log2_left=float(left))
    return table


def audits(results: All, preset: Preset) -> Table:
    """Histograms of log ratios / epsilon, and how the loss grows with T."""
    table = Table("panel", "series", "x", "y")
    epsilon = max(preset["audit_epsilons"])
    names = {
        "above": "AboveThreshold, noise 1/ε",
        "little noise": "noise 0.8/ε",
        "hazard": "private in every round alone",
    }
    for learner, series in names.items():
        rows = [
            r
            for r in results["audit"].where(learner=learner, epsilon=epsilon)
            if r.cell["k"] == preset["audit_k"]
        ]
        count = np.sum([r["histogram"] for r in rows], axis=0)
        edges = rows[0]["edges"] / epsilon
        for x, y in zip((edges[1:] + edges[:-1]) / 2, count / count.sum(), strict=True):
            table.add(panel="events", series=series, x=float(x), y=float(y))
    row = next(iter(results["horizon"]))
    for name, series in (("above", names["above"]), ("hazard", names["hazard"])):
        for k, y in zip(row.cell["doublings"], row[name], strict=True):
            table.add(panel="rounds", series=series, x=float(k), y=float(y) / row.cell["epsilon"])
    return table


def rate(results: All, preset: Preset) -> Table:
    """E[M] epsilon / ln T over epsilon and T."""
    table = Table("epsilon", "doublings", "rate")
    for row in results["heat"].where(noise=1.0):
        for k, y in zip(row.cell["doublings"], rates(row), strict=True):
            table.add(epsilon=row.cell["epsilon"], doublings=k, rate=float(y))
    return table


def regimes(results: All, preset: Preset) -> Table:
    """The adversary at every epsilon: least p_i and E[M] beside what is promised."""
    table = Table("epsilon", "k", "rule", "least", "promised", "mistakes", "bound")
    for row in results["regime"]:
        c = row.cell
        found = {n: float(row[n]) for n in ("promised", "mistakes", "bound")}
        least = float(row["least"])
        table.add(epsilon=c["epsilon"], k=c["k"], rule=c["rule"], least=least, **found)
    return table


def uniform(results: All, preset: Preset) -> Table:
    """E[M] of uniform firing over log2 T: exact, played, and the bound."""
    table = Table("k", "feedback", "exact", "played", "se", "bound")
    for row in results["uniform"]:
        c, se = row.cell, float(row["se"])
        table.add(
            k=c["k"],
            feedback=c["feedback"],
            exact=float(row["exact"]),
            played=float(row["mean"]) if se > 0 else float("nan"),
            se=se if se > 0 else float("nan"),
            bound=float(row["bound"]),
        )
    return table


def concentration(results: All, preset: Preset) -> Table:
    """Case I over log10(1/beta), and Name & Shame against the printed step."""
    table = Table("panel", "series", "x", "y")
    row = next(iter(results["concentrated"]))
    names = {
        "mistakes": "AboveThreshold",
        "bound": "Σ max(0, 1 - exp(iε) β)",
        "printed": "log(1/β) / (16 log(3/2))",
    }
    for array, series in names.items():
        for b, y in zip(row.cell["betas"], row[array], strict=True):
            table.add(panel="beta", series=series, x=float(-np.log10(b)), y=float(y))
    last = max(results["shame"], key=lambda r: r.cell["delta"])
    p, q, delta = last["survival"], last["mass"], last.cell["delta"]
    printed = p[0] - 2 * np.concatenate([[0.0], np.cumsum(q[:-1])])
    for i in range(len(p)):
        for series, y in (
            ("p_i of Name & Shame", p[i]),
            ("p_0 - 2 Σ q_j, by the printed step", printed[i]),
            ("1/2 - 4iδ", 0.5 - 4 * i * delta),
        ):
            table.add(panel="step", series=series, x=float(i), y=float(y))
    return table
