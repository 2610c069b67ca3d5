"""What is exact: the collapse of JTT on the population, and bounds on success in finite worlds."""

import numpy as np
from matplotlib.figure import Figure as MplFigure

from theorylab.lab import Figure, Preset, Table
from theorylab.papers.types import AllResults
from theorylab.plotting import COLOURS, DASHES, MARKERS, diagonal, panels, shared_legend


def _exact_table(results: AllResults, preset: Preset) -> Table:
    out = Table("panel", "series", "x", "y")
    row = next(iter(results["population"]))
    label = f"JTT, λ={row.cell['lam']:g}"
    for panel, series, name in (
        ("success", "ERM", "erm"),
        ("success", label, "jtt"),
        ("effective size", label, "alpha_eff"),
    ):
        for x, y in zip(row.cell["alphas"], row[name], strict=True):
            out.add(panel=panel, series=series, x=x, y=float(y))
    row = max(results["worlds"], key=lambda r: r.cell["points"])
    kept = np.flatnonzero(row["naive_bound"] > -0.5)[:400]
    broken = np.flatnonzero(row["weighted"] < row["naive_bound"] - 1e-9)[:60]
    for i in np.union1d(kept, broken):
        for series, bound in (
            ("corrected", "corrected_bound"),
            ("α replaced by α_eff", "naive_bound"),
        ):
            if row[bound][i] > -0.5:
                out.add(
                    panel="worlds",
                    series=series,
                    x=float(row[bound][i]),
                    y=float(row["weighted"][i]),
                )
    return out


def _draw_theory(table: Table) -> MplFigure:
    figure, axes = panels(3, height=2.7)
    for axis, panel in zip(axes[0, :2], ("success", "effective size"), strict=True):
        for i, ((series,), rows) in enumerate(table.where(panel=panel).groups("series")):
            colour = COLOURS[i if panel == "success" else 1]
            axis.plot(
                rows["x"],
                rows["y"],
                color=colour,
                ls=DASHES[0 if series == "ERM" else 1],
                marker="",
                label=series,
            )
        axis.set(xlabel="size of the collective α", title=panel)
    diagonal(axes[0, 1], 0, float(table.where(panel="effective size")["x"].max()))
    axis = axes[0, 2]
    for i, ((series,), rows) in enumerate(table.where(panel="worlds").groups("series")):
        axis.plot(
            rows["x"],
            rows["y"],
            ls="none",
            marker=MARKERS[i],
            color=COLOURS[(2, 4)[i]],
            ms=(2.5, 4)[i],
            mfc=(None, "none")[i],
            mew=0.6,
            label=f"bound, {series}",
        )
    diagonal(axis, -0.5, 1.0)
    axis.set(
        xlabel="bound on success",
        ylabel="exact success",
        title="random worlds, JTT",
        ylim=(-0.35, 1.05),
    )
    shared_legend(figure, axes[0], 4)
    return figure


FIGURES = (
    Figure(
        "ca_fig3",
        "Exact theory",
        "ours",
        ("population", "worlds"),
        _exact_table,
        _draw_theory,
        "Left and middle: a population of two points, at the second of which everybody signals. "
        "JTT's success is not monotone in the size: it falls to 0 when the first stage learns the "
        "signal, because the effective size jumps down. Right: exact success of JTT in random "
        "finite worlds against two bounds. Points below the dotted diagonal violate theirs: "
        "putting α_eff for α in the bound of ERM is no theorem; the corrected bound holds.",
    ),
)
