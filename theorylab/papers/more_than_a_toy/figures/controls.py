"""Where GCV must fail."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as MplFigure

from theorylab.lab import Figure, Preset, Results, Table
from theorylab.papers.types import AllResults
from theorylab.plotting import COLOURS, MARKERS, panels, sample_axis


def _control_table(results: AllResults, preset: Preset) -> Table:
    table = Table("panel", "design", "x", "mean", "se")
    for (design,), rows in _groups(results["gcv_controls"], "design"):
        ratio = rows.stack("gcv") / rows.stack("risk")
        ratio = ratio.reshape(-1, ratio.shape[-1])
        for j, r in enumerate(next(iter(rows)).cell["ridges"]):
            table.add(
                panel="GCV / risk",
                design=design,
                x=r,
                mean=ratio[:, j].mean(),
                se=ratio[:, j].std() / np.sqrt(len(ratio)),
            )
    for (design,), rows in _groups(results["local_law"], "design"):
        for row in rows:
            for law in ("averaged", "anisotropic"):
                squares = row[law][:, 1] ** 2  # at the moving ridge
                table.add(
                    panel=law,
                    design=design,
                    x=row.cell["n"],
                    mean=float(np.sqrt(squares.mean())),
                    se=float(squares.std() / np.sqrt(squares.size) / 2 / np.sqrt(squares.mean())),
                )
    return table


def _groups(results: Results, *names: str) -> list[tuple[tuple[str, ...], Results]]:
    values = [v if isinstance(v, tuple) else (v,) for v in results.unique(*names)]
    return [(v, results.where(**dict(zip(names, v, strict=True)))) for v in values]


def _draw_controls(table: Table) -> MplFigure:
    figure, axes = panels(3, height=2.8)
    for axis, ((panel,), part) in zip(axes[0], table.groups("panel"), strict=True):
        _designs(axis, part)
        axis.set(
            xscale="log",
            yscale="log",
            title=str(panel),
            xlabel="ridge" if "GCV" in str(panel) else "N",
        )
        if "GCV" not in str(panel):
            sample_axis(axis, part["x"])
    axes[0, 0].axhline(1.0, color="grey", lw=0.8, ls=":")
    axes[0, 1].set_title("(A) averaged law")
    axes[0, 2].set_title("(B) anisotropic law")
    axes[0, 0].legend()
    return figure


def _designs(axis: Axes, part: Table) -> None:
    order = ("gaussian", "rademacher", "duplicated", "augmented", "elliptical", "steep")
    for (design,), rows in part.groups("design"):
        i = order.index(str(design))
        axis.errorbar(
            rows["x"],
            rows["mean"],
            yerr=rows["se"],
            color=COLOURS[i],
            marker=MARKERS[i],
            label=design,
        )


FIGURES = (
    Figure(
        "mtt_fig6",
        "Where GCV must fail",
        "ours",
        ("gcv_controls", "local_law"),
        _control_table,
        _draw_controls,
        "GCV over true risk on random features with eigenvalues i^-1.5, and the residuals of the "
        "two random-matrix laws at the ridge 0.3 κ(0, N): they fall with N for independent "
        "samples and stall for the others. Bars: one standard error; dotted: GCV is right.",
    ),
)
