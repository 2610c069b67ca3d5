"""Regret: how it grows, with structure, and under other price rules."""

from matplotlib.figure import Figure as MplFigure
from matplotlib.ticker import NullFormatter, ScalarFormatter

from theorylab.lab import Figure, Preset, Table
from theorylab.papers.matching_markets.figures.shared import SEEDS, seed_line
from theorylab.papers.matching_markets.tables import QUANTITIES, spread
from theorylab.papers.types import AllResults
from theorylab.plotting import COLOURS, DASHES, MARKERS, diagonal, panels, ramp


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
            seed_line(axis, rows, COLOURS[i], marker="", ls=DASHES[i], label=str(quantity))
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
            seed_line(
                axis, rows, COLOURS[i], marker="", ls=DASHES[i], lw=wide, label=names[str(rule)]
            )
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


FIGURES = (
    Figure(
        "mm_v1",
        "Regret, optimism excess and the explicit bound",
        "ours",
        ("regret",),
        _growth_table,
        _growth,
        "Random markets, MatchUCB with calibrated intervals (2σ) and midpoint prices, beside the "
        f"explicit bound 4P + 8c√(L P M t). {SEEDS}",
    ),
    Figure(
        "mm_v2",
        "Minimax scaling on hidden matchings",
        "ours",
        ("hidden",),
        _minimax_table,
        _minimax,
        "Welfare regret on the hard instance, gap κσ√(K/T), over σN^1.5√T; bars are two standard "
        "errors. Flat in T: the rate is attained. With the gap of the smaller horizon kept, it is "
        "not attained (dotted).",
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
        "Which prices in the core: log T or √T",
        "ours",
        ("rules",),
        _rules_table,
        _rules,
        "One fixed 2 x 2 market. Prices on the edge of the core keep breaking stability long "
        "after the matching is learnt; the welfare lost is the same under all rules, and equals "
        f"the midpoint's curve here. {SEEDS}",
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
)
