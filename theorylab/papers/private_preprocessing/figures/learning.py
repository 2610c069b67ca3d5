"""Private learning: four pipelines, missing values, duplicates, images."""

import numpy as np
from matplotlib.figure import Figure as Picture

from theorylab.lab import Figure, Preset, Table
from theorylab.papers.private_preprocessing import published
from theorylab.papers.private_preprocessing.real import IMAGE_WAYS, WAYS
from theorylab.papers.private_preprocessing.synthetic import WAYS as PIPELINES
from theorylab.papers.private_preprocessing.tables import excess, only
from theorylab.papers.types import AllResults
from theorylab.plotting import COLOURS, DASHES, MARKERS, band, panels, shared_legend

_NAMES = {
    "full": "in full",
    "naive": "naive, not valid",
    "group": "group privacy",
    "zeros": "gaps are zeros",
}
_REMOVALS = ("dropping, near", "dropping, exact", "keeping one", "group privacy")


def _pipelines_table(results: AllResults, preset: Preset) -> Table:
    table = Table("series", "epsilon", "excess", "spread", "reference")
    rows = results["pipelines"]
    for way, series in enumerate(PIPELINES):
        known = published.PIPELINES.get(series, (float("nan"),) * 5)
        for i, epsilon in enumerate(only(rows).cell["epsilons"]):
            values = excess(rows, way, i)
            table.add(
                series=series,
                epsilon=epsilon,
                excess=float(values.mean()),
                spread=float(values.std(ddof=1)),
                reference=known[i],
            )
    return table


def _draw_pipelines(table: Table) -> Picture:
    figure, axes = panels(2, height=3.2)
    left, right = axes[0]
    for i, series in enumerate(PIPELINES):
        rows = table.where(series=series)
        label = series + (", not valid" if "naive" in series else "")
        for axis in (left, right) if series != "PCA, group" else (left,):
            axis.plot(
                rows["epsilon"],
                rows["excess"],
                color=COLOURS[i],
                ls=DASHES[i],
                marker=MARKERS[i],
                label=label,
            )
        band(
            left,
            rows["epsilon"],
            np.maximum(rows["excess"] - rows["spread"], 1e-3),
            rows["excess"] + rows["spread"],
            COLOURS[i],
        )
        if series != "PCA, group":
            right.plot(
                rows["epsilon"],
                rows["reference"],
                color=COLOURS[i],
                ls="none",
                marker="D",
                mfc="none",
                ms=7,
            )
    right.plot([], [], color="grey", ls="none", marker="D", mfc="none", label="other data")
    for axis in (left, right):
        axis.set(xscale="log", yscale="log", xlabel="ε", ylim=(0.02, 1))
        axis.set_xticks([0.5, 1, 2, 4, 8], ["0.5", "1", "2", "4", "8"])
        axis.minorticks_off()
    left.set(ylabel="excess logistic loss", title="with spread over seeds")
    right.set_title("beside another program")
    shared_legend(figure, axes[0], 3)
    return figure


def _missing_table(results: AllResults, preset: Preset) -> Table:
    table = Table("data", "series", "epsilon", "excess", "factor", "release")
    for name in results["missing"].unique("name"):
        rows = results["missing"].where(name=name)
        every = rows.stack("excess").mean((0, -1))
        one = only(rows)
        for way, values in enumerate(every):
            for i, y in enumerate(values):
                table.add(
                    data=name,
                    series=_NAMES[WAYS[way]],
                    epsilon=one.cell["epsilons"][i],
                    excess=float(y),
                    factor=float(one["factors"][way]),
                    release=float(rows.stack("release")[:, i].mean()),
                )
    return table


def _draw_missing(table: Table) -> Picture:
    names = list(dict.fromkeys(table["data"].tolist()))
    figure, axes = panels(len(names), height=3.0)
    for axis, name in zip(axes[0], names, strict=True):
        here = table.where(data=name)
        for i, series in enumerate(_NAMES.values()):
            rows = here.where(series=series)
            axis.plot(
                rows["epsilon"],
                rows["excess"],
                color=COLOURS[i],
                ls=DASHES[i],
                marker=MARKERS[i],
                label=series,
            )
        axis.set(xscale="log", xlabel="ε", title=str(name), ylim=(0, None))
        axis.set_xticks([0.5, 1, 2, 4], ["0.5", "1", "2", "4"])
        axis.minorticks_off()
    axes[0, 0].set_ylabel("excess logistic loss")
    shared_legend(figure, axes[0], 4)
    return figure


def _copies_table(results: AllResults, preset: Preset) -> Table:
    table = Table("data", "series", "factor", "most", "distinct")
    for row in results["copies"]:
        for series, y in zip(_REMOVALS, row["factors"], strict=True):
            table.add(
                data=row.cell["name"],
                series=series,
                factor=float(y),
                most=int(row["most"]),
                distinct=int(row["distinct"]),
            )
    return table


def _draw_copies(table: Table) -> Picture:
    figure, axes = panels(1, height=2.9)
    axis = axes[0, 0]
    names = list(dict.fromkeys(table["data"].tolist()))
    for i, series in enumerate(_REMOVALS):
        rows = table.where(series=series)
        axis.plot(
            [names.index(x) for x in rows["data"]],
            rows["factor"],
            color=COLOURS[i],
            ls="none",
            marker=MARKERS[i],
            label=series,
        )
    axis.set_xticks(range(len(names)), [str(n) for n in names])
    axis.set(yscale="log", ylabel="cost factor of a mean", xlim=(-0.5, max(len(names), 1) - 0.5))
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2, fontsize=7)
    return figure


def _images_table(results: AllResults, preset: Preset) -> Table:
    table = Table("source", "series", "rank", "epsilon", "excess", "gap", "factor")
    for source in results["images"].unique("source"):
        rows = results["images"].where(source=source)
        every = rows.stack("excess").mean((0, -1))
        one = only(rows)
        for way, series in enumerate(IMAGE_WAYS):
            for i, rank in enumerate(one.cell["ranks"]):
                for j, epsilon in enumerate(one.cell["epsilons"]):
                    table.add(
                        source=source,
                        series=series,
                        rank=rank,
                        epsilon=epsilon,
                        excess=float(every[way, i, j]),
                        gap=float(one["gaps"][i]),
                        factor=float(one["factors"][i]),
                    )
    return table


def _draw_images(table: Table) -> Picture:
    sources = list(dict.fromkeys(table["source"].tolist()))
    figure, axes = panels(2, len(sources), height=3.0)
    for row, source in zip(axes, sources, strict=True):
        here = table.where(source=source)
        levels = sorted(set(here["epsilon"].tolist()))
        for axis, epsilon in zip(row, (levels[1], levels[-1]), strict=True):
            for i, series in enumerate(IMAGE_WAYS):
                rows = here.where(series=series, epsilon=epsilon)
                axis.plot(
                    rows["rank"],
                    rows["excess"],
                    color=COLOURS[i],
                    ls=DASHES[i],
                    marker=MARKERS[i],
                    label=series + (", not valid" if "naive" in series else ""),
                )
            axis.set(yscale="log", xlabel="directions", title=f"{source}, ε = {epsilon:g}")
            axis.set_xticks(sorted(set(here["rank"].tolist())))
        row[0].set_ylabel("excess logistic loss")
    shared_legend(figure, axes.ravel(), 4)
    return figure


FIGURES = (
    Figure(
        "pp_pipelines",
        "Four pipelines on data of nearly rank 3",
        "content",
        ("pipelines",),
        _pipelines_table,
        _draw_pipelines,
        "Excess logistic loss of the mean iterate of 30 noisy steps, at δ = 1e-5. PCA pays for "
        "the movement of its directions, private PCA half of the budget for the directions "
        "themselves. Bands: one standard deviation over seeds. Open diamonds: another program on "
        "other data of the same law.",
        "The paper's figure could not be read; data, axes and sizes are ours.",
    ),
    Figure(
        "pp_tables",
        "Missing values of Adult and FARS",
        "ours",
        ("missing",),
        _missing_table,
        _draw_missing,
        "Excess logistic loss of private descent after every attribute was imputed with the mean "
        "of the others. A tenth of ε pays for a test of what was promised about missing values; "
        "filling gaps with zeros couples no records, and needs no such promise.",
    ),
    Figure(
        "pp_copies",
        "Duplicates of Adult and FARS",
        "ours",
        ("copies",),
        _copies_table,
        _draw_copies,
        "Cost factors of a noisy mean behind the removal of duplicates, if their largest number "
        "were promised: dropping all that have another nearby, dropping exact copies, keeping one "
        "of each family, and group privacy.",
    ),
    Figure(
        "pp_images",
        "Principal directions of images",
        "ours",
        ("images",),
        _images_table,
        _draw_images,
        "Excess logistic loss of private descent on image features, all of them or reduced to "
        "their first principal directions; a promise of half of the eigengap, with a tenth of ε "
        "for its test.",
    ),
)
