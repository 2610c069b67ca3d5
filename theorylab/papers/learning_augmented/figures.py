"""Figures: the paper's two trade-off curves with measured points on them, and checks of what they
rest on."""

from collections.abc import Mapping
from typing import Any

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
from theorylab.papers.learning_augmented.scheduling import JOB_POLICIES
from theorylab.papers.learning_augmented.ski import RULES
from theorylab.papers.types import AllResults
from theorylab.plotting import COLOURS, DASHES, MARKERS, band, diagonal, panels, ramp


def _numbers(table: Table, column: str) -> list[float]:
    """Distinct numbers of a column, increasing."""
    return sorted({float(v) for v in table[column]})


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


def _identity_table(results: AllResults, preset: Preset) -> Table:
    table = Table("n", "share", "formula", "simulated", "error")
    for row in results["identities"]:
        for j, share in enumerate(row.cell["shares"]):
            shown = slice(0, 40)
            for f, s in zip(row["formula"][j, shown], row["simulated"][j, shown], strict=True):
                table.add(
                    n=row.cell["n"], share=share, formula=f, simulated=s, error=abs(s / f - 1)
                )
    return table


def _identity_draw(table: Table) -> MplFigure:
    figure, axes = panels(2, height=3.0)
    shares = table.groups("share")
    for colour, marker, ((share,), rows) in zip(ramp(len(shares)), MARKERS, shares, strict=False):
        axes[0, 0].plot(
            rows["formula"],
            rows["simulated"],
            color=colour,
            marker=marker,
            ls="none",
            ms=3,
            mfc="none",
            label=f"a = {share:g}",
        )
        sizes = _numbers(rows, "n")
        worst = [max(float(rows.where(n=n)["error"].max()), 1e-17) for n in sizes]
        axes[0, 1].plot(sizes, worst, color=colour, marker=marker)
    low, high = table["formula"].min() * 0.98, table["formula"].max() * 1.02
    diagonal(axes[0, 0], low, high)
    axes[0, 0].set(
        xlabel="(2 OPT - (1-a) Σx) / ((1+a) OPT)",
        ylabel="simulated cost / OPT",
        title="Exact cost of PRR(a)",
    )
    sizes = _numbers(table, "n")
    axes[0, 1].set(
        xscale="log",
        yscale="log",
        ylim=(1e-17, 1e-13),
        xlabel="jobs n",
        title="largest relative error",
    )
    axes[0, 1].set_xticks(sizes, [f"{n:g}" for n in sizes])
    axes[0, 1].minorticks_off()
    axes[0, 0].legend()
    return figure


def _bounds_table(results: AllResults, preset: Preset) -> Table:
    table = Table("n", "series", "lam", "ratio")
    for row in results["hard"]:
        n, end = row.cell["n"], (row.cell["n"] - 1) / (row.cell["n"] + 1)
        for lam in np.linspace(0, end, 60):
            table.add(
                n=n, series="lower bound LB_n", lam=lam, ratio=float(scheduling_lower_bound(n, lam))
            )
        for lam, two_stage, prr in zip(
            row.cell["lams"], row["simulated"], row["prr_simulated"], strict=True
        ):
            table.add(n=n, series="two-stage, hard instance", lam=lam, ratio=two_stage)
            table.add(n=n, series="PRR, hard instance", lam=lam, ratio=prr)
        for lam, ratio in zip(
            row.cell["lams"],
            np.maximum(row["simulated"], row["small_job"]) / row["bound"],
            strict=True,
        ):
            table.add(n=n, series="two-stage / bound", lam=lam, ratio=ratio)
        for lam, ratio in zip(row.cell["lams"], row["small_job"], strict=True):
            if ratio > 0:
                table.add(n=n, series="two-stage, small right job", lam=lam, ratio=ratio)
    shown = set(results["hard"].unique("n"))
    for row in results["search"]:
        n, parameter = row.cell["n"], row.cell["parameter"]
        if n in shown and not row.cell["perfect"] and row.cell["policy"] == "two_stage":
            table.add(n=n, series="two-stage, searched", lam=parameter, ratio=float(row["ratio"]))
        elif n in shown and not row.cell["perfect"] and row.cell["policy"] == "prr":
            lam = float(prr_consistency(n, parameter)) - 1
            table.add(n=n, series="PRR, searched", lam=lam, ratio=float(row["ratio"]))
    return table


def _bounds_draw(table: Table) -> MplFigure:
    sizes = [n for n in _numbers(table, "n") if n in (3, 5, 6, 10, 100, 1000)] or _numbers(
        table, "n"
    )
    figure, axes = panels(2, -(-(len(sizes) + 1) // 2), height=2.7)
    styles: Mapping[str, dict[str, Any]] = {
        "lower bound LB_n": {"color": COLOURS[0], "ls": "-", "marker": ""},
        "two-stage, hard instance": {"color": COLOURS[2], "ls": "--", "marker": "o", "ms": 3},
        "two-stage, small right job": {"color": COLOURS[3], "ls": "none", "marker": "^", "ms": 4},
        "two-stage, searched": {
            "color": COLOURS[4],
            "ls": "none",
            "marker": "D",
            "mfc": "none",
            "ms": 6,
        },
        "PRR, hard instance": {"color": COLOURS[1], "ls": "-.", "marker": "s", "ms": 3},
        "PRR, searched": {"color": COLOURS[5], "ls": "none", "marker": "v", "mfc": "none", "ms": 6},
    }
    *shown, last = axes.ravel()[: len(sizes) + 1]
    for axis in axes.ravel()[len(sizes) + 1 :]:
        axis.set_axis_off()
    handles: dict[str, Any] = {}
    for axis, n in zip(shown, sizes, strict=True):
        for series, style in styles.items():
            rows = table.where(n=n, series=series)
            if len(rows):
                (handles[series],) = axis.plot(rows["lam"], rows["ratio"], **style)
        axis.set(title=f"n = {n:g}", xlabel="consistency - 1, λ")
        if n > 20:
            axis.set_yscale("log")
            ticks = [t for t in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if t <= n]
            axis.set_yticks(ticks, [str(t) for t in ticks])
            axis.minorticks_off()
    for axis in axes[:, 0]:
        axis.set_ylabel("robustness")
    shown[min(1, len(sizes) - 1)].legend(handles.values(), handles.keys())
    for colour, marker, n in zip(ramp(len(sizes)), MARKERS, sizes, strict=False):
        rows = table.where(n=n, series="two-stage / bound")
        last.plot(rows["lam"], rows["ratio"], color=colour, marker=marker, ms=3, label=f"n = {n:g}")
    last.set(
        title="two-stage, worst known / lower bound", xlabel="consistency - 1, λ", yscale="log"
    )
    last.set_yticks([1, 1.1, 1.5, 2, 2.5], ["1", "1.1", "1.5", "2", "2.5"])
    last.minorticks_off()
    last.legend()
    return figure


def _noise_table(results: AllResults, preset: Preset) -> Table:
    table = Table("experiment", "series", "sigma", "ratio", "low", "high", "exact")
    rows = results["psk_ski"]
    cell = next(iter(rows)).cell
    mean, exact = rows.stack("mean"), rows.stack("exact")[0]
    for i, rule in enumerate(RULES):
        for j, sigma in enumerate(cell["sigmas"]):
            value = mean[:, i, j]
            table.add(
                experiment="ski rental",
                series=rule,
                sigma=sigma / cell["b"],
                ratio=value.mean(),
                low=np.min(value),
                high=np.max(value),
                exact=exact[i, j],
            )
    rows = results["psk_jobs"]
    ratio = rows.stack("ratio")  # seeds, policies, sigmas, instances
    for i, policy in enumerate(JOB_POLICIES):
        for j, sigma in enumerate(next(iter(rows)).cell["sigmas"]):
            value = ratio[:, i, j].mean(-1)
            table.add(
                experiment="scheduling",
                series=policy,
                sigma=sigma,
                ratio=value.mean(),
                low=np.min(value),
                high=np.max(value),
                exact=value.mean(),
            )
    return table


def _noise_draw(table: Table) -> MplFigure:
    figure, axes = panels(2, height=3.2)
    labels = {
        "D": "D, λ = 0.5",
        "R": "R, λ = ln 1.5",
        "trust": "trust the prediction",
        "classical": "R without prediction",
    }
    for axis, ((experiment,), part) in zip(axes[0], table.groups("experiment"), strict=True):
        for i, ((series,), rows) in enumerate(part.groups("series")):
            axis.plot(
                rows["sigma"],
                rows["ratio"],
                color=COLOURS[i],
                marker=MARKERS[i],
                ls=DASHES[i],
                label=labels.get(str(series), series),
            )
            band(
                axis,
                rows["sigma"].tolist(),
                rows["low"].tolist(),
                rows["high"].tolist(),
                COLOURS[i],
            )
            if experiment == "ski rental":
                axis.plot(
                    rows["sigma"], rows["exact"], color=COLOURS[i], lw=0.6, marker="", alpha=0.7
                )
        axis.set_title(str(experiment))
    axes[0, 0].set(
        xlabel="noise of the prediction σ / b", ylabel="average cost / OPT", ylim=(0.95, 2.15)
    )
    axes[0, 0].legend(loc="upper left", ncols=2)
    axes[0, 1].set_xscale("symlog", linthresh=1)
    noise = sorted(set(table.where(experiment="scheduling")["sigma"]))
    axes[0, 1].set_xlim(-0.2, max(noise) * 1.3)
    ticks = [0, *(t for t in (1, 10, 100, 1000, 10_000) if t <= max(noise))]
    axes[0, 1].set_xticks(ticks, ["0", *(f"$10^{{{int(np.log10(t))}}}$" for t in ticks[1:])])
    axes[0, 1].minorticks_off()
    axes[0, 1].set(xlabel="noise of the prediction σ", ylabel="average cost / OPT")
    axes[0, 1].legend(loc="upper left")
    return figure


def _certificate_table(results: AllResults, preset: Preset) -> Table:
    table = Table("b", "time", "density", "weight", "hard_cost", "ratio", "floor")
    for row in results["certificate"]:
        b = row.cell["b"]
        for i, day in enumerate(row["day"]):
            table.add(
                b=b,
                time=day / b,
                density=b * row["probability"][i],
                weight=b * b * row["weight"][i],
                hard_cost=row["hard_cost"][i],
                ratio=row["ratio"][i],
                floor=float(row["floor"]),
            )
    return table


def _certificate_draw(table: Table) -> MplFigure:
    figure, axes = panels(2, 2, height=2.5, sharex=True)
    shown = {
        "density": "probability of buying × b",
        "weight": "weight of the season × b²",
        "ratio": "ratio of the optimum, by season",
        "hard_cost": "cost under the weights, by buying day",
    }
    k = np.log(2.0)
    t = np.linspace(0.01, k, 100)
    for axis, (column, title) in zip(axes.ravel(), shown.items(), strict=True):
        for i, b in enumerate(_numbers(table, "b")):
            rows = table.where(b=b)
            style: dict[str, Any] = {"marker": MARKERS[i], "ms": 5} if b <= 20 else {"marker": ""}
            axis.plot(
                rows["time"],
                rows[column],
                color=COLOURS[i],
                ls="-" if b > 20 else ":",
                label=f"b = {b:g}",
                **style,
            )
        axis.set_title(title)
        axis.axvline(k, color="grey", lw=0.7, ls=":")
    for axis, limit in ((axes[0, 0], np.exp(t)), (axes[0, 1], np.exp(k - t))):
        axis.plot(t, limit, color=COLOURS[4], ls="--", marker="", lw=1, label="b → ∞")
    for axis in axes[1]:
        axis.set_xlabel("time / b")
    axes[0, 0].legend()
    return figure


def _surface_table(results: AllResults, preset: Preset) -> Table:
    table = Table("b", "gamma", "prediction", "consistency", "largest")
    closed = {
        (r.cell["b"], g): c
        for r in results["optimum"]
        for g, c in zip(r.cell["gammas"], r["closed"], strict=True)
    }
    for row in results["surface"]:
        b, gamma = row.cell["b"], row.cell["gamma"]
        for y, c in zip(row.cell["predictions"], row["consistency"], strict=True):
            table.add(
                b=b,
                gamma=gamma,
                prediction=y / b,
                consistency=c,
                largest=closed.get((b, gamma), float("nan")),
            )
    return table


def _surface_draw(table: Table) -> MplFigure:
    figure, axes = panels(1, height=3.2)
    axis = axes[0, 0]
    gammas = table.groups("gamma")
    for colour, marker, ((gamma,), rows) in zip(ramp(len(gammas)), MARKERS, gammas, strict=False):
        axis.plot(
            rows["prediction"],
            rows["consistency"],
            color=colour,
            marker=marker,
            label=f"γ = {gamma:g}",
        )
        axis.axhline(rows["largest"][0], color=colour, lw=0.8, ls=":")
    axis.axvline(1.0, color="grey", lw=0.7, ls=":")
    axis.set(xlabel="prediction y / b", ylabel="least consistency at this prediction")
    axis.legend()
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
    Figure(
        "la_v1",
        "Preferential round robin on correct predictions",
        "ours",
        ("identities",),
        _identity_table,
        _identity_draw,
        "Simulated cost of PRR(a) on Pareto sizes against the exact formula, for the share a "
        "given to the predicted-shortest job (a = 0 is round robin), and the largest relative "
        "error by number of jobs. Dotted: both costs are equal.",
    ),
    Figure(
        "la_v2",
        "Lower bound and algorithms by number of jobs",
        "ours",
        ("hard", "search"),
        _bounds_table,
        _bounds_draw,
        "The lower bound for n jobs; simulated worst known instances of the two-stage schedule "
        "and of PRR at the same consistency; worst ratios found by search where it was run. "
        "Two-stage leaves the bound at n = 5, where only instances with a small right job show "
        "it; the last panel divides its worst known ratio by the bound.",
    ),
    Figure(
        "la_v3",
        "Cost against the noise of the prediction",
        "ours",
        ("psk_ski", "psk_jobs"),
        _noise_table,
        _noise_draw,
        "The predecessor's experiments. Left: b = 100, seasons uniform on 1..400; thin lines are "
        "exact expectations. Right: 50 Pareto(1.1) jobs. Bands: smallest and largest average over "
        "seeds. The two-stage schedule jumps to round robin's cost at any noise.",
        "Predictions of job sizes are cut at 0.",
    ),
    Figure(
        "la_v4",
        "Optimal strategy and hard seasons certify each other",
        "ours",
        ("certificate",),
        _certificate_table,
        _certificate_draw,
        "γ = 2. Top: the optimal buying distribution and the weights of the hard seasons, with "
        "the limits e^t/(e^κ-1) and e^(κ-x) (dashed; dotted grey line: κ = ln 2). Bottom: the "
        "distribution's ratio is γ up to κ, and under the weights every buying day up to κ costs "
        "the same, later ones more.",
    ),
    Figure(
        "la_v5",
        "The optimum depends on the prediction",
        "ours",
        ("surface", "optimum"),
        _surface_table,
        _surface_draw,
        "LP optimum of the consistency at each single prediction. It is largest for predictions "
        "from 2b on, where it equals the closed form (dotted lines); just above b rules that fix "
        "one distribution are not optimal.",
    ),
)
