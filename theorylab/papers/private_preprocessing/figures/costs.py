"""Costs: factors, hybrids, mechanisms, steps, sampled sums, conversions."""

import numpy as np
from matplotlib.figure import Figure as Picture

from theorylab.lab import Figure, Preset, Table
from theorylab.papers.private_preprocessing.figures.shared import lines
from theorylab.papers.private_preprocessing.tables import only
from theorylab.papers.types import AllResults
from theorylab.plotting import COLOURS, MARKERS, legend_below, panels, shared_legend

_FACTORS = ("naive", "in full", "exact attack", "in full, descent", "group privacy")
_EPSILONS = {"naive": "naive", "full": "in full", "group": "group privacy"}
_CONVERTED = ("exact", "Rényi curve", "zCDP formula")


def _factors_table(results: AllResults, preset: Preset) -> Table:
    table = Table("series", "share", "factor")
    row = only(results["imputation"], n=1000)
    columns = (np.ones(len(row["full"])), row["full"], row["attack"], row["descent"], row["group"])
    for series, values in zip(_FACTORS, columns, strict=True):
        for m, y in zip(row.cell["missing"], values, strict=True):
            table.add(series=series, share=m / 1000, factor=float(y))
    return table


def _draw_factors(table: Table) -> Picture:
    figure, axes = panels(1, height=3.2)
    axis = axes[0, 0]
    lines(axis, table, "share", "factor", _FACTORS)
    axis.set(yscale="log", xlabel="share of records missing, m / n", ylabel="cost factor")
    legend_below(axis, columns=3)
    return figure


def _hybrids_table(results: AllResults, preset: Preset) -> Table:
    table = Table("series", "p", "bound")
    row = only(results["hybrids"])
    names = {
        "smooth_first": "moves first, then replaces",
        "smooth_last": "replaces first, then moves",
    }
    for array, series in names.items():
        for x, y in zip(row["p"], row[array], strict=True):
            table.add(series=series, p=float(x), bound=float(y))
    for x in (row["p"][0], row["p"][-1]):
        table.add(series="closed form, exact", p=float(x), bound=float(row["closed"]))
    return table


def _draw_hybrids(table: Table) -> Picture:
    figure, axes = panels(1, height=3.0)
    axis = axes[0, 0]
    names = list(dict.fromkeys(table["series"].tolist()))
    lines(axis, table, "p", "bound", names, marks=False)
    axis.set(xscale="log", yscale="log", xlabel="p", ylabel="bound on the divergence")
    axis.set_ylim(0.1, 20)
    legend_below(axis, columns=2)
    return figure


def _mechanisms_table(results: AllResults, preset: Preset) -> Table:
    table = Table("series", "share", "epsilon")
    for row in results["mechanisms"]:
        for m, y in zip(row.cell["missing"], row["epsilon"], strict=True):
            table.add(series=row.cell["kind"], share=m / row.cell["n"], epsilon=float(y))
    return table


def _draw_mechanisms(table: Table) -> Picture:
    figure, axes = panels(1, height=3.2)
    axis = axes[0, 0]
    names = list(dict.fromkeys(table["series"].tolist()))
    lines(axis, table, "share", "epsilon", names)
    axis.set(xlabel="share of records missing, m / n", ylabel="overall ε at δ = 1e-5")
    axis.set_ylim(bottom=0.9)
    legend_below(axis, columns=3)
    return figure


def _steps_table(results: AllResults, preset: Preset) -> Table:
    table = Table("series", "steps", "epsilon")
    row = only(results["steps"])
    for array, series in _EPSILONS.items():
        for x, y in zip(row.cell["counts"], row[array], strict=True):
            table.add(series=series, steps=x, epsilon=float(y))
    return table


def _draw_steps(table: Table) -> Picture:
    figure, axes = panels(1, height=3.0)
    axis = axes[0, 0]
    lines(axis, table, "steps", "epsilon", list(_EPSILONS.values()))
    axis.set(xscale="log", yscale="log", xlabel="steps of descent", ylabel="ε at δ = 1e-5")
    legend_below(axis, columns=3)
    return figure


def _sums_table(results: AllResults, preset: Preset) -> Table:
    table = Table("case", "series", "divergence")
    names = {
        "at_zero": "exact, records at 0",
        "worst": "exact, records at the worst place",
        "bound": "coupling bound",
        "unsampled": "without sampling",
    }
    for row in results["sampled_sums"]:
        c = row.cell
        case = f"q = {c['rate']}, σ = {c['noise']}\na = {c['order']}, m = {c['records']}"
        for array, series in names.items():
            table.add(case=case, series=series, divergence=float(row[array]))
    return table


def _draw_sums(table: Table) -> Picture:
    figure, axes = panels(1, height=3.2)
    axis = axes[0, 0]
    cases = list(dict.fromkeys(table["case"].tolist()))
    for i, ((series,), rows) in enumerate(table.groups("series")):
        axis.plot(
            [cases.index(c) for c in rows["case"]],
            rows["divergence"],
            color=COLOURS[i],
            ls="none",
            marker=MARKERS[i],
            label=str(series),
        )
    axis.set_xticks(range(len(cases)), cases, fontsize=7)
    axis.set(yscale="log", ylabel="divergence of a step", xlim=(-0.5, len(cases) - 0.5))
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.25), ncols=2, fontsize=7)
    return figure


def _conversions_table(results: AllResults, preset: Preset) -> Table:
    table = Table("panel", "series", "x", "epsilon")
    row = only(results["gaussian"])
    for series, array in zip(_CONVERTED, ("exact", "curve", "zcdp"), strict=True):
        for x, y in zip(row.cell["shifts"], row[array], strict=True):
            table.add(panel="Gaussian", series=series, x=str(x), epsilon=float(y))
    names = {
        "loss": "loss distributions",
        "epsilon": "Rényi curve",
        "limit": "central limit, not valid",
    }
    for one in results["sampled_accounting"]:
        c = one.cell
        at = f"q = {c['rate']}\nσ = {c['noise']}\nT = {c['steps']}"
        for array, series in names.items():
            table.add(panel="sampled", series=series, x=at, epsilon=float(one[array]))
    return table


def _draw_conversions(table: Table) -> Picture:
    figure, axes = panels(2, height=3.0)
    colours = {
        name: i
        for i, name in enumerate((*_CONVERTED, "loss distributions", "central limit, not valid"))
    }
    for axis, panel in zip(axes[0], ("Gaussian", "sampled"), strict=True):
        here = table.where(panel=panel)
        places = list(dict.fromkeys(here["x"].tolist()))
        for (series,), rows in here.groups("series"):
            i = colours[str(series)]
            axis.plot(
                [places.index(x) for x in rows["x"]],
                rows["epsilon"],
                color=COLOURS[i],
                ls="none",
                marker=MARKERS[i],
                label=str(series),
            )
        unit = " σ" if panel == "Gaussian" else ""
        axis.set_xticks(range(len(places)), [f"{p}{unit}" for p in places])
        axis.set(xlim=(-0.5, len(places) - 0.5), ylim=(0, None), title=f"{panel}")
    axes[0, 0].set(xlabel="shift", ylabel="ε at δ = 1e-5")
    shared_legend(figure, axes[0], 3)
    return figure


FIGURES = (
    Figure(
        "pp_missing",
        "Cost factors behind mean imputation",
        "content",
        ("imputation",),
        _factors_table,
        _draw_factors,
        "How much more zCDP budget 1,000 records cost when some are missing: a noisy mean, and "
        "descent with μ = 2. The exact attack lies on the full accounting of the mean, far below "
        "group privacy.",
        "The paper's figure could not be read; axes and sizes are ours.",
    ),
    Figure(
        "pp_hybrids",
        "Both hybrids over the parameter of the triangle inequality",
        "ours",
        ("hybrids",),
        _hybrids_table,
        _draw_hybrids,
        "ρ = .02, smooth ρ = .001, order 8. Either hybrid reaches the closed form at its best p, "
        "and the exact divergence of Gaussian means that move in one direction is the same "
        "number.",
    ),
    Figure(
        "pp_mechanisms",
        "Five mechanisms behind imputation",
        "ours",
        ("mechanisms",),
        _mechanisms_table,
        _draw_mechanisms,
        "Each mechanism has ε = 1 without missing records, of 200. Descent has 20 steps; sampled "
        "descent 100, at rate .05, by the coupling bound; one pass releases the last iterate "
        "alone.",
    ),
    Figure(
        "pp_epsilon",
        "Epsilon of descent on imputed records",
        "content",
        ("steps",),
        _steps_table,
        _draw_steps,
        "1,000 records, of which 100 are missing, noise .01 on the mean gradient, μ = 1.5; the "
        "naive curve is no guarantee.",
        "The paper's figure could not be read; axes and sizes are ours.",
    ),
    Figure(
        "pp_sampled",
        "What Poisson sampling hides of moved records",
        "ours",
        ("sampled_sums",),
        _sums_table,
        _draw_sums,
        "m records that all move; a is the order. The exact divergence depends on where they lie; "
        "the bound is for the worst place.",
    ),
    Figure(
        "pp_accounting",
        "One guarantee by several accountings",
        "ours",
        ("gaussian", "sampled_accounting"),
        _conversions_table,
        _draw_conversions,
        "Left: a Gaussian shifted by .1, .5 or 1 standard deviations. Right: Poisson-sampled "
        "Gaussians over T steps; the central limit theorem promises too much.",
    ),
)
