"""Limits and rates on least squares."""

from matplotlib.figure import Figure as MplFigure

from theorylab.lab import Figure, Table
from theorylab.papers.tct.figures.shared import mean_line
from theorylab.papers.tct.tables import NAMES, theory_table
from theorylab.plotting import COLOURS, DASHES, MARKERS, legend_below, panels

_SERIES = {
    "bias": ("FedAvg's limit from the optimum", COLOURS[0], "o"),
    "to_minimisers": ("FedAvg's limit from the mean of minimisers", COLOURS[3], "D"),
    "scaffold_to_optimum": ("SCAFFOLD from the optimum", COLOURS[1], "^"),
    "radius": ("SCAFFOLD, spectral radius", COLOURS[1], "^"),
    "rate": ("SCAFFOLD, contraction seen", COLOURS[4], "v"),
    "fedavg_radius": ("FedAvg, spectral radius", COLOURS[0], "o"),
}


def _theory(table: Table) -> MplFigure:
    figure, axes = panels(3, height=3.9)
    for axis, panel in zip(axes[0], ("limits", "radii"), strict=False):
        for (series,), rows in table.where(panel=panel).groups("series"):
            label, colour, marker = _SERIES[str(series)]
            mean_line(
                axis,
                rows,
                "x",
                "",
                label=label,
                color=colour,
                marker=marker,
                ls=":" if series == "rate" else "-",
            )
        axis.set(xscale="log", xlabel="local steps M")
    axes[0, 0].set(yscale="log", title="p < n: distance of the limit")
    axes[0, 1].set(title="p < n: contraction per round", ylim=(0, 1.05))
    for i, ((series,), rows) in enumerate(table.where(panel="interpolation").groups("series")):
        algorithm, m = str(series).split()
        mean_line(
            axes[0, 2],
            rows,
            "x",
            algorithm,
            label=f"{NAMES[algorithm]}, M = {m}",
            marker=MARKERS[i % 3],
            ls=DASHES[i % 3],
        )
    axes[0, 2].set(xscale="log", yscale="log", xlabel="rounds", title="p > n: from min-norm")
    for axis in axes[0]:
        legend_below(axis)
    return figure


FIGURES = (
    Figure(
        "tct_theory",
        "Limits and rates on least squares",
        "ours",
        ("fixed_points", "interpolation"),
        theory_table,
        _theory,
        "Left and middle: four dissimilar clients with noise and more examples than features. "
        "FedAvg is biased, SCAFFOLD is not, and too many local steps slow it down. Right: more "
        "features than examples, no bias. Bands span the seeds.",
    ),
)
