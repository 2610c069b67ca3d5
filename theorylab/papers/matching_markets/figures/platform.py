"""A platform that charges, matches without transfers, and agents that come and go."""

import numpy as np
from matplotlib.figure import Figure as MplFigure

from theorylab.lab import Figure, Preset, Table
from theorylab.papers.matching_markets.figures.shared import SEEDS, seed_line
from theorylab.papers.matching_markets.tables import QUANTITIES, only_row, spread
from theorylab.papers.types import AllResults
from theorylab.plotting import COLOURS, DASHES, MARKERS, panels, ramp


# V6: profit
def _profit_table(results: AllResults, preset: Preset) -> Table:
    table = Table("friction", "x", "mean", "se", "earned")
    row = only_row(
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
            seed_line(axis, rows, COLOURS[i], marker="", ls=DASHES[i], label=label)
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
    row = only_row(results["ntu"])
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
        seed_line(axes[0, 0], rows, COLOURS[i], marker="", ls=DASHES[i], label=str(quantity))
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
        seed_line(axes[0, 0], rows, colour, marker="", ls=DASHES[i % 6], label=str(present))
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


FIGURES = (
    Figure(
        "mm_v6",
        "Profit under search frictions",
        "ours",
        ("regret",),
        _profit_table,
        _profit,
        (
            "The platform pays by lower bounds and charges ε per matched agent; no round was "
            f"unstable. {SEEDS}"
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
        f"acceptance at upper bounds, and matchings that do not learn. {SEEDS}",
    ),
    Figure(
        "mm_v8",
        "Agents who come and go",
        "ours",
        ("arrivals",),
        _arrival_table,
        _arrivals,
        "n agents, half on each side, are drawn again in every round; only pairs that are present "
        "can meet or leave. Right: sums at the horizon over the rate of the theorem; bars are two "
        f"standard errors. {SEEDS}",
    ),
)
