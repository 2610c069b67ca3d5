"""The paper's two trade-off curves with measured points on them."""

import numpy as np
from matplotlib.figure import Figure as MplFigure

from theorylab.lab import Figure, Preset, Table
from theorylab.online import (
    prr_consistency,
    prr_guarantees,
    randomized_guarantees,
    scheduling_lower_bound,
    smallest_robustness,
    tradeoff_deterministic,
    tradeoff_randomized,
)
from theorylab.papers.types import AllResults
from theorylab.plotting import COLOURS, DASHES, MARKERS, panels, ramp


def _ski_table(results: AllResults, preset: Preset) -> Table:
    table = Table("series", "b", "consistency", "robustness")
    lowest = float(smallest_robustness())
    for g in np.geomspace(lowest, 6.0, 60):
        table.add(
            series="randomised, limit", b=0, consistency=float(tradeoff_randomized(g)), robustness=g
        )
    for g in np.geomspace(2.0, 6.0, 60):
        table.add(
            series="deterministic, limit",
            b=0,
            consistency=float(tradeoff_deterministic(g)),
            robustness=g,
        )
    for row in results["optimum"]:
        if row.cell["lp"]:
            for g, c in zip(row.cell["gammas"], row["lp"], strict=True):
                table.add(series="LP optimum", b=row.cell["b"], consistency=c, robustness=g)
    for row in results["algorithms"]:
        b, lams = row.cell["b"], np.asarray(row.cell["lams"])
        for name in ("D", "R"):
            for c, r in row[name]:
                table.add(series=f"{name}, measured", b=b, consistency=c, robustness=r)
        for lam in lams[lams > 2 / b]:
            r, c = (float(v) for v in randomized_guarantees(b, lam))
            table.add(series="R, published", b=b, consistency=c, robustness=r)
    return table


def _ski_draw(table: Table) -> MplFigure:
    figure, axes = panels(2, height=3.3, sharey=True)
    largest = max(table.where(series="D, measured")["b"])
    for axis, title in zip(
        axes[0], ("What is possible", f"Algorithms, measured at b = {largest:g}"), strict=True
    ):
        for i, name in enumerate(("deterministic", "randomised")):
            rows = table.where(series=f"{name}, limit")
            axis.plot(
                rows["consistency"],
                rows["robustness"],
                color=COLOURS[i],
                ls=DASHES[i],
                marker="",
                label=f"{name}, b → ∞",
            )
        axis.set(xlabel="consistency β", title=title, xlim=(0.98, 2.05), ylim=(1.3, 6.1))
    prices = table.where(series="LP optimum").groups("b")
    for colour, marker, ((b,), rows) in zip(ramp(len(prices)), MARKERS, prices, strict=False):
        axes[0, 0].plot(
            rows["consistency"],
            rows["robustness"],
            color=colour,
            marker=marker,
            ls="none",
            mfc="none",
            label=f"LP optimum, b = {b:g}",
        )
    for i, series in enumerate(("D, measured", "R, measured", "R, published")):
        rows = table.where(series=series, b=largest)
        axes[0, 1].plot(
            rows["consistency"],
            rows["robustness"],
            color=COLOURS[(0, 1, 5)[i]],
            marker=MARKERS[i],
            ls="none",
            mfc="none",
            label=series,
        )
    axes[0, 0].set_ylabel("robustness γ")
    for axis in axes[0]:
        axis.legend(loc="upper right")
    return figure


def _jobs_table(results: AllResults, preset: Preset) -> Table:
    table = Table("series", "parameter", "consistency", "robustness")
    for lam in np.linspace(0, 1 / 3, 50):
        bound = float(scheduling_lower_bound(2, lam))
        table.add(series="optimal curve", parameter=lam, consistency=1 + lam, robustness=bound)
    for a in np.linspace(0.02, 0.98, 60):
        robust, plain, refined = (float(v) for v in prr_guarantees(a))
        table.add(series="PRR, published: 1/a", parameter=a, consistency=plain, robustness=robust)
        table.add(
            series="PRR, published: (1+a)/(2a)", parameter=a, consistency=refined, robustness=robust
        )
    pairs = {
        (r.cell["policy"], r.cell["parameter"], r.cell["perfect"]): float(r["ratio"])
        for r in results["search"]
        if r.cell["n"] == 2
    }
    names = {
        "two_stage": "two-stage, searched",
        "prr": "PRR, searched",
        "two_stage_blind": "no overrun detection",
    }
    for (policy, parameter, perfect), ratio in pairs.items():
        if policy in names and not perfect:
            exact = float(prr_consistency(2, parameter)) if policy == "prr" else 1 + parameter
            consistency = pairs.get((policy, parameter, True), exact)
            table.add(
                series=names[policy], parameter=parameter, consistency=consistency, robustness=ratio
            )
    return table


def _jobs_draw(table: Table) -> MplFigure:
    figure, axes = panels(2, height=3.3)
    for axis in axes[0]:
        for i, ((series,), rows) in enumerate(table.groups("series")):
            line = "published" in str(series) or series == "optimal curve"
            size = 9 if "two-stage" in str(series) else 5
            style = (
                {"ls": DASHES[i], "marker": ""}
                if line
                else {"ls": "none", "marker": MARKERS[i % 6], "mfc": "none", "ms": size}
            )
            axis.plot(
                rows["consistency"], rows["robustness"], color=COLOURS[i % 6], label=series, **style
            )
    axes[0, 0].set(xlim=(0.99, 1.36), ylim=(1.25, 2.08), title="Two jobs: optimum and measured")
    axes[0, 1].set(
        xlim=(0.95, 6),
        ylim=(1, 12),
        yscale="log",
        xscale="log",
        title="The same, with published guarantees",
    )
    axes[0, 1].set_xticks([1, 1.5, 2, 3, 5], ["1", "1.5", "2", "3", "5"])
    axes[0, 1].set_yticks([1, 2, 4, 8], ["1", "2", "4", "8"])
    axes[0, 1].minorticks_off()
    for axis in axes[0]:
        axis.set(xlabel="consistency 1 + λ")
    axes[0, 0].set_ylabel("robustness")
    axes[0, 1].legend(loc="upper right")
    return figure


FIGURES = (
    Figure(
        "la_fig1",
        "Ski rental: robustness against consistency",
        "content",
        ("optimum", "algorithms"),
        _ski_table,
        _ski_draw,
        "Curves: the optimal trade-offs as the price b grows. Left: LP optima at finite b, which "
        "lie below the limit curve and approach it. Right: exact worst ratios of the "
        "deterministic rule D and the randomised rule R over all predictions and seasons, and R's "
        "published guarantee.",
        "The axis ranges of the paper's figure are not known; points are ours.",
    ),
    Figure(
        "la_fig2",
        "Scheduling two jobs: robustness against consistency",
        "content",
        ("search",),
        _jobs_table,
        _jobs_draw,
        "The optimal curve 1 + 1/(1+6λ) and worst ratios found by search for the two-stage "
        "schedule and for PRR(a), both on it. A two-stage schedule that notices overruns only at "
        "completion is far above. Right: PRR's published guarantees, which are not tight and "
        "useless at n = 2.",
        "The axis ranges of the paper's figure are not known; points are ours.",
    ),
)
