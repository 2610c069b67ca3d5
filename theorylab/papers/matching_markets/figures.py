"""Figures: the paper's one market, drawn, and one figure per theorem that is checked."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as MplFigure
from matplotlib.ticker import NullFormatter, ScalarFormatter

from theorylab.lab import Figure, Preset, Results, Table
from theorylab.papers.types import AllResults
from theorylab.plotting import COLOURS, DASHES, MARKERS, band, diagonal, panels, ramp

QUANTITIES = {
    "regret": "instability",
    "difference": "utility difference",
    "excess": "optimism excess",
}


def one(results: Results, **parameters: Any) -> Any:
    """The only row with these parameters."""
    return next(iter(results.where(**parameters)))


def spread(values: np.ndarray) -> tuple[Any, Any]:
    """Mean and its standard error over the first axis."""
    return values.mean(0), values.std(0, ddof=1) / np.sqrt(len(values))


def _line(axis: Axes, rows: Table, colour: Any, **style: Any) -> None:
    x, mean, se = rows["x"], rows["mean"], rows["se"]
    axis.plot(x, mean, color=colour, **style)
    band(axis, x.tolist(), (mean - se).tolist(), (mean + se).tolist(), colour)


# Figure 1
def _example_table(results: AllResults, preset: Preset) -> Table:
    row = one(results["example"], cost=5.0)
    table = Table("item", "x", "y")
    for j, name in enumerate("PQ"):
        table.add(item=f"u_C({name})", x=j, y=row["U"][0, j])
        table.add(item=f"u_{name}(C)", x=j, y=row["V"][0, j])
        table.add(item=f"UCB u_C({name})", x=j, y=row["high_U"][0, j])
        table.add(item=f"UCB u_{name}(C)", x=j, y=row["high_V"][0, j])
    table.add(item="instability", x=0, y=row["instability"])
    table.add(item="utility difference", x=0, y=row["difference"])
    table.add(item="stable from", x=0, y=row["interval"][0])
    table.add(item="stable to", x=0, y=row["interval"][1])
    table.add(item="optimistic match", x=0, y=row["optimistic_match"][0])
    table.add(item="optimistic payment", x=0, y=-row["optimistic_tau"][0])
    for t, y in zip(row["payments"], row["curve"], strict=True):
        table.add(item="curve", x=t, y=y)
    return table


def _graph(
    axis: Axes,
    title: str,
    match: str,
    payment: str,
    labels: Mapping[str, tuple[str, str]],
    foot: str,
) -> None:
    """One customer, two providers; the matched edge thick, utilities at both ends of an edge."""
    places = {"C": (0.0, 0.5), "P": (1.0, 0.88), "Q": (1.0, 0.12)}
    for provider, (of_customer, of_provider) in labels.items():
        (x0, y0), (x1, y1) = places["C"], places[provider]
        chosen = provider == match
        axis.plot(
            [x0, x1],
            [y0, y1],
            color=COLOURS[0] if chosen else "grey",
            lw=2.6 if chosen else 0.9,
            marker="",
            ls="-" if chosen else ":",
            zorder=1,
        )
        for share, text in ((0.3, of_customer), (0.72, of_provider)):
            shift = 0.09 if provider == "P" else -0.09
            axis.text(
                x0 + share * (x1 - x0),
                y0 + share * (y1 - y0) + shift,
                text,
                ha="center",
                va="center",
                fontsize=7,
            )
    for name, (x, y) in places.items():
        colour = COLOURS[1] if name == "C" else COLOURS[2]
        axis.plot([x], [y], marker="o", ms=17, color=colour, zorder=2)
        axis.text(x, y, name, ha="center", va="center", color="#1A1A1A", fontsize=10, zorder=3)
    axis.text(0.5, -0.12, payment + "\n" + foot, ha="center", va="top", fontsize=7.5)
    axis.set(xlim=(-0.2, 1.2), ylim=(-0.42, 1.08), title=title)
    axis.axis("off")


def _fig1(table: Table) -> MplFigure:
    value = {str(r["item"]): float(r["y"]) for r in table.rows() if r["item"] != "curve"}
    figure, axes = panels(2, 2, height=2.55)
    true = {x: (f"{value[f'u_C({x})']:g}", f"{value[f'u_{x}(C)']:g}") for x in "PQ"}
    low, high = value["stable from"], value["stable to"]
    middle = (low + high) / 2
    _graph(
        axes[0, 0],
        "Stable: C-P",
        "P",
        f"C pays P {middle:g}",
        true,
        f"stable for any payment in [{low:g}, {high:g}]",
    )
    _graph(
        axes[0, 1],
        "Not stable: C-Q",
        "Q",
        "C pays Q 11",
        true,
        (
            f"instability {value['instability']:g} (coalition C, P), utility difference "
            f"{value['utility difference']:g}"
        ),
    )
    optimistic = {
        x: (
            f"[{value[f'u_C({x})'] * 2 - value[f'UCB u_C({x})']:g}, {value[f'UCB u_C({x})']:g}]",
            f"[{value[f'u_{x}(C)'] * 2 - value[f'UCB u_{x}(C)']:g}, {value[f'UCB u_{x}(C)']:g}]",
        )
        for x in "PQ"
    }
    match = "PQ"[int(value["optimistic match"])]
    _graph(
        axes[1, 0],
        "Illustrative intervals: at the upper ends, C-Q",
        match,
        f"C pays {match} {value['optimistic payment']:.3g}",
        optimistic,
        "stable at the upper ends, not at the truth",
    )
    curve = table.where(item="curve")
    axes[1, 1].axvspan(low, high, color=COLOURS[2], alpha=0.2, lw=0)
    axes[1, 1].plot(curve["x"], curve["y"], marker="")
    axes[1, 1].text((low + high) / 2, 2.2, f"stable\n[{low:g}, {high:g}]", ha="center", fontsize=8)
    axes[1, 1].set(
        xlabel="payment from C to P when matched",
        ylabel="Subset Instability",
        title="Transfers matter",
    )
    return figure


# V1: growth of all four sums
def _growth_table(results: AllResults, preset: Preset) -> Table:
    table = Table("agents", "quantity", "x", "mean", "se")
    for row in results["regret"]:
        if row.cell["horizon"] == preset["horizons"][-1]:
            for quantity, label in QUANTITIES.items():
                for x, mean, se in zip(row["rounds"], *spread(row[quantity]), strict=True):
                    table.add(agents=2 * row.cell["k"], quantity=label, x=x, mean=mean, se=se)
            for x, y in zip(row["rounds"], row["bound"], strict=True):
                table.add(agents=2 * row.cell["k"], quantity="bound", x=x, mean=y, se=0.0)
    return table


def _growth(table: Table) -> MplFigure:
    groups = table.groups("agents")
    figure, axes = panels(len(groups), height=3.0, sharey=True)
    for axis, ((agents,), part) in zip(axes[0], groups, strict=True):
        for i, ((quantity,), rows) in enumerate(part.groups("quantity")):
            _line(axis, rows, COLOURS[i], marker="", ls=DASHES[i], label=str(quantity))
        axis.set(xscale="log", yscale="log", xlabel="round t", title=f"N = {agents:g} agents")
    axes[0, 0].set_ylabel("sum over rounds 1..t")
    axes[0, 0].legend(loc="upper left")
    return figure


# V2: minimax scaling
def _minimax_table(results: AllResults, preset: Preset) -> Table:
    table = Table("k", "kappa", "gap", "x", "mean", "se")
    for row in results["hidden"]:
        mean, se = spread(row["ratio"])
        tuned = "shrinks with T" if row.cell["tuned"] == row.cell["horizon"] else "fixed"
        table.add(
            k=row.cell["k"],
            kappa=row.cell["kappa"],
            gap=tuned,
            x=row.cell["horizon"],
            mean=mean,
            se=se,
        )
    return table


def _minimax(table: Table) -> MplFigure:
    sizes = sorted(set(table["k"]))
    figure, axes = panels(len(sizes), height=2.9, sharey=True)
    tuned = table.where(gap="shrinks with T")
    kappas = sorted(set(tuned["kappa"]))
    for axis, k in zip(axes[0], sizes, strict=True):
        for i, (colour, kappa) in enumerate(zip(ramp(len(kappas)), kappas, strict=True)):
            rows = tuned.where(k=k, kappa=kappa)
            axis.errorbar(
                rows["x"],
                rows["mean"],
                yerr=2 * rows["se"],
                color=colour,
                marker=MARKERS[i],
                label=f"κ = {kappa:g}",
            )
        fixed = table.where(k=k, gap="fixed")
        start = tuned.where(k=k, kappa=float(fixed["kappa"][0])) if len(fixed) else fixed
        if len(fixed) and len(start) > 1:
            axis.plot(
                [start["x"][0], fixed["x"][0]],
                [start["mean"][0], fixed["mean"][0]],
                color="grey",
                ls=":",
                marker="x",
                label="κ = 3, gap kept (control)",
            )
        axis.set(xscale="log", xlabel="horizon T", title=f"N = {2 * k:g} agents")
        axis.set_ylim(0, 1.35 * table["mean"].max())
        axis.set_xticks(sorted(set(table["x"])))
        axis.xaxis.set_major_formatter(ScalarFormatter())
        axis.xaxis.set_minor_formatter(NullFormatter())
    axes[0, 0].set_ylabel("welfare regret / (σ N^1.5 √T)")
    axes[0, 0].legend(ncols=2, loc="upper left")
    return figure


# V3: structure
def _structure_table(results: AllResults, preset: Preset) -> Table:
    table = Table("model", "x", "mean", "se")
    for model in results["structured"].unique("model"):
        for row in results["structured"].where(model=model):
            mean, se = spread(row["regret"][:, -1])
            table.add(model=model, x=2 * row.cell["k"], mean=mean, se=se)
    return table


def _structure(table: Table) -> MplFigure:
    figure, axes = panels(1, height=3.1)
    names = {
        "unstructured": "unstructured (MatchUCB)",
        "typed": "typed (MatchTypedUCB)",
        "linear": "linear (MatchLinUCB)",
        "mistyped": "typed, with wrong types (control)",
    }
    for i, ((model,), rows) in enumerate(table.groups("model")):
        axes[0, 0].errorbar(
            rows["x"],
            rows["mean"],
            yerr=2 * rows["se"],
            color=COLOURS[i],
            marker=MARKERS[i],
            ls=DASHES[i],
            label=names[str(model)],
        )
    axes[0, 0].set(yscale="log", xlabel="agents N", ylabel="cumulative instability R_T")
    axes[0, 0].set_xticks(sorted(set(table["x"])))
    low, high = axes[0, 0].get_ylim()
    axes[0, 0].set_ylim(low, high * 3)
    axes[0, 0].legend(loc="upper left")
    return figure


# V4: price rules
def _rules_table(results: AllResults, preset: Preset) -> Table:
    table = Table("rule", "quantity", "x", "mean", "se")
    for row in results["rules"]:
        for quantity in ("regret", "difference"):
            for x, mean, se in zip(row["rounds"], *spread(row[quantity]), strict=True):
                table.add(
                    rule=row.cell["rule"], quantity=QUANTITIES[quantity], x=x, mean=mean, se=se
                )
    return table


def _rules(table: Table) -> MplFigure:
    figure, axes = panels(2, height=3.0)
    names = {
        "midpoint": "midpoint",
        "row": "customer-optimal",
        "col": "provider-optimal",
        "max_slack": "max slack",
    }
    for axis, scale in zip(axes[0], ("linear", "log"), strict=True):
        for i, ((rule,), rows) in enumerate(table.where(quantity="instability").groups("rule")):
            # the lines of midpoint and max slack coincide on this market
            wide = 4 if rule == "midpoint" else 1.4
            _line(axis, rows, COLOURS[i], marker="", ls=DASHES[i], lw=wide, label=names[str(rule)])
        axis.set(xscale="log", yscale=scale, xlabel="round t")
    axes[0, 0].set(ylabel="cumulative instability", title="a straight line is log t")
    axes[0, 1].set(title="log-log: slope 1/2 is √t", ylim=(1, None))
    axes[0, 0].legend(loc="upper left")
    return figure


# V5: instability against utility difference
def _scatter_table(results: AllResults, preset: Preset) -> Table:
    table = Table("transfers", "difference", "instability")
    for row in results["properties"]:
        for d, i, loose in zip(row["difference"], row["assignment"], row["loose"], strict=True):
            table.add(transfers="cancel within pairs", difference=d, instability=i)
            table.add(transfers="paid from outside", difference=d, instability=loose)
    return table


def _scatter(table: Table) -> MplFigure:
    figure, axes = panels(2, height=3.0, sharex=True, sharey=True)
    top = float(table["instability"].max())
    for i, (axis, ((kind,), rows)) in enumerate(
        zip(axes[0], table.groups("transfers"), strict=True)
    ):
        axis.plot(
            rows["difference"],
            rows["instability"],
            ls="none",
            marker=MARKERS[i],
            color=COLOURS[i],
            alpha=0.35,
            ms=3,
            mew=0,
        )
        diagonal(axis, 0, max(float(table["difference"].max()), 1.0))
        axis.set(
            xlabel="utility difference", title=f"transfers {kind}", ylim=(-0.03 * top, 1.05 * top)
        )
    axes[0, 0].set_ylabel("Subset Instability")
    return figure


# V6: profit
def _profit_table(results: AllResults, preset: Preset) -> Table:
    table = Table("friction", "x", "mean", "se", "earned")
    row = one(
        results["regret"],
        k=preset["sizes"][min(1, len(preset["sizes"]) - 1)],
        horizon=preset["horizons"][-1],
    )
    for f, friction in enumerate(row.cell["frictions"]):
        earned = row["earned"][:, f].mean()
        for x, mean, se in zip(row["rounds"], *spread(row["profit"][..., f]), strict=True):
            table.add(friction=friction, x=x, mean=mean, se=se, earned=earned)
    return table


def _profit(table: Table) -> MplFigure:
    figure, axes = panels(2, height=3.0)
    last = float(table["x"].max())
    for axis in axes[0]:
        for i, ((friction,), rows) in enumerate(table.groups("friction")):
            paid = float(rows["earned"][0])
            label = (
                f"ε = {friction:g}: even at {paid:.0f}"
                if paid <= last
                else f"ε = {friction:g}: not yet even"
            )
            _line(axis, rows, COLOURS[i], marker="", ls=DASHES[i], label=label)
        axis.axhline(0, color="grey", lw=0.8)
        axis.set(xlabel="round t")
    axes[0, 0].set(ylabel="cumulative profit", title="the whole run")
    early = table["x"] <= last / 10
    low = float((table["mean"] - table["se"])[early].min())
    axes[0, 1].set(xlim=(0, last / 10), ylim=(1.1 * low, -1.2 * low), title="the first tenth")
    axes[0, 0].legend(loc="upper left")
    return figure


# V7: without transfers
def _ntu_table(results: AllResults, preset: Preset) -> Table:
    table = Table("quantity", "x", "mean", "se")
    row = one(results["ntu"])
    curves = {
        "MatchNTUCB": row["instability"],
        "its optimism excess": row["excess"],
        "random matchings": row["random"][:, None] * row["rounds"],
        "heaviest matching": row["heaviest"][:, None] * row["rounds"],
    }
    for name, values in curves.items():
        for x, mean, se in zip(row["rounds"], *spread(values), strict=True):
            table.add(quantity=name, x=x, mean=mean, se=se)
    return table


def _ntu(table: Table) -> MplFigure:
    figure, axes = panels(1, height=3.1)
    for i, ((quantity,), rows) in enumerate(table.groups("quantity")):
        _line(axes[0, 0], rows, COLOURS[i], marker="", ls=DASHES[i], label=str(quantity))
    axes[0, 0].set(
        xscale="log", yscale="log", xlabel="round t", ylabel="cumulative NTU instability"
    )
    axes[0, 0].legend(loc="upper left")
    return figure


# V8: arrivals
def _arrival_table(results: AllResults, preset: Preset) -> Table:
    table = Table("quantity", "present", "x", "mean", "se")
    for row in results["arrivals"]:
        n, horizon = 2 * row.cell["present"], row.cell["horizon"]
        scale = (
            2
            * row.cell["k"]
            * np.sqrt(n * horizon * np.log(2 * row.cell["k"] * horizon))
            * row.cell["noise"]
        )
        for name in QUANTITIES:
            mean, se = spread(row[name][:, -1] / scale)
            table.add(quantity=QUANTITIES[name], present="last", x=n, mean=mean, se=se)
            for x, mean, se in zip(row["rounds"], *spread(row[name]), strict=True):
                table.add(quantity=QUANTITIES[name], present=f"{n} present", x=x, mean=mean, se=se)
    return table


def _arrivals(table: Table) -> MplFigure:
    figure, axes = panels(2, height=3.0)
    traces = [
        (p, rows)
        for (p,), rows in table.where(quantity="instability").groups("present")
        if p != "last"
    ]
    for i, (colour, (present, rows)) in enumerate(zip(ramp(len(traces)), traces, strict=True)):
        _line(axes[0, 0], rows, colour, marker="", ls=DASHES[i % 6], label=str(present))
    axes[0, 0].set(xscale="log", yscale="log", xlabel="round t", ylabel="cumulative instability")
    axes[0, 0].legend(loc="upper left")
    for i, ((quantity,), rows) in enumerate(table.where(present="last").groups("quantity")):
        axes[0, 1].errorbar(
            rows["x"],
            rows["mean"],
            yerr=2 * rows["se"],
            color=COLOURS[i],
            marker=MARKERS[i],
            ls=DASHES[i],
            label=str(quantity),
        )
    axes[0, 1].set(
        xlabel="agents present, n",
        title="over σ N √(n T log NT)",
        ylim=(0, 1.6 * float(table.where(present="last")["mean"].max())),
    )
    axes[0, 1].set_xticks(sorted(set(table.where(present="last")["x"])))
    axes[0, 1].legend(loc="upper left")
    return figure


_SEEDS = "Mean over markets and noise; the band is one standard error."
FIGURES = (
    Figure(
        "mm_fig1",
        "One customer, two providers",
        "content",
        ("example",),
        _example_table,
        _fig1,
        "Utilities stand at the two ends of an edge. The stable interval is found by bisection on "
        "the payment; instability and utility difference are computed.",
        "The interval end points of the paper's right panel could not be read: the intervals are "
        "illustrative, and u_C(P) = 9 is recalled; every number printed below the graphs does not "
        "depend on it.",
    ),
    Figure(
        "mm_v1",
        "Regret, optimism excess and the explicit bound",
        "ours",
        ("regret",),
        _growth_table,
        _growth,
        "Random markets, MatchUCB with calibrated intervals (2σ) and midpoint prices, beside the "
        f"explicit bound 4P + 8c√(L P M t). {_SEEDS}",
    ),
    Figure(
        "mm_v2",
        "Minimax scaling on hidden matchings",
        "ours",
        ("hidden",),
        _minimax_table,
        _minimax,
        "Welfare regret on the hard instance, gap κσ√(K/T), over σN^1.5√T; bars are two standard "
        "errors. Flat in T: the rate is attained. With the gap of the smaller horizon kept it is "
        "not (dotted).",
    ),
    Figure(
        "mm_v3",
        "Structure pays",
        "ours",
        ("structured",),
        _structure_table,
        _structure,
        (
            "Cumulative instability on markets that are typed (3 types) and linear at once; bars "
            "are two standard errors."
        ),
    ),
    Figure(
        "mm_v4",
        "Which core prices: log T or √T",
        "ours",
        ("rules",),
        _rules_table,
        _rules,
        "One fixed 2 x 2 market. Prices on the edge of the core keep breaking stability long "
        "after the matching is learnt; the welfare lost is the same under all rules, and equals "
        f"the midpoint's curve here. {_SEEDS}",
    ),
    Figure(
        "mm_v5",
        "Instability is at least the welfare lost",
        "ours",
        ("properties",),
        _scatter_table,
        _scatter,
        "Random markets, matchings and transfers, on or above the diagonal (dotted) when "
        "transfers cancel within pairs; with money from outside they need not be.",
    ),
    Figure(
        "mm_v6",
        "Profit under search frictions",
        "ours",
        ("regret",),
        _profit_table,
        _profit,
        (
            "The platform pays by lower bounds and charges ε per matched agent; no round was "
            f"unstable. {_SEEDS}"
        ),
    ),
    Figure(
        "mm_v7",
        "Without transfers",
        "ours",
        ("ntu",),
        _ntu_table,
        _ntu,
        "Subsidies that would stabilise the matchings, exact, on random 4 x 4 markets: deferred "
        f"acceptance at upper bounds, and matchings that do not learn. {_SEEDS}",
    ),
    Figure(
        "mm_v8",
        "Agents who come and go",
        "ours",
        ("arrivals",),
        _arrival_table,
        _arrivals,
        "n agents, half on each side, are drawn anew in every round; only pairs that are present "
        "can meet or leave. Right: sums at the horizon over the rate of the theorem; bars are two "
        f"standard errors. {_SEEDS}",
    ),
)
