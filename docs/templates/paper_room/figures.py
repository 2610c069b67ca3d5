"""The figures: tables of numbers, how they are drawn, and their captions.

`table` reduces results to the plotted numbers, which become the CSV beside the picture; `draw`
draws that table and computes nothing. The status says how a figure relates to the paper's:
reproduced, scaled, content or ours; `differs` says in words what is not the same.
"""

from matplotlib.figure import Figure as Picture

from theorylab.lab import Figure, Preset, Table
from theorylab.papers.types import AllResults
from theorylab.plotting import legend_below, panels, sample_axis

from .tables import errors

_ESTIMATORS = ("mean", "median")


def _errors_table(results: AllResults, preset: Preset) -> Table:
    table = Table("estimator", "n", "error", "predicted")
    for estimator in _ESTIMATORS:
        for n in preset["sizes"]:
            error = float(errors(results["spread"], n, estimator).mean())
            table.add(estimator=estimator, n=n, error=error, predicted=n**-0.5)
    return table


def _draw_errors(table: Table) -> Picture:
    figure, axes = panels(1)
    axis = axes[0, 0]
    for estimator in _ESTIMATORS:
        rows = table.where(estimator=estimator)
        axis.plot(rows["n"], rows["error"], label=estimator)
    rows = table.where(estimator="mean")
    axis.plot(rows["n"], rows["predicted"], color="grey", ls=":", marker="", label="1 / √n")
    axis.set(xlabel="numbers in a sample, n", ylabel="standard error", ylim=(0, None))
    sample_axis(axis, rows["n"])  # the sizes themselves as ticks, and no others
    legend_below(axis, columns=3)
    return figure


FIGURES = (
    Figure(
        "room_fig1",
        "Standard error over sample size",
        "ours",
        ("spread",),
        _errors_table,
        _draw_errors,
        "Standard error of the mean and of the median of n normal numbers; dotted: 1 / √n.",
    ),
)
