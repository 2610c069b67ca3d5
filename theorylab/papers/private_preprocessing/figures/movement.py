"""Movement: the hybrid, searches, attacks, eigengaps, what lies outside, private tests."""

import numpy as np
from matplotlib.figure import Figure as Picture

from theorylab.lab import Figure, Preset, Table
from theorylab.papers.private_preprocessing.figures.shared import lines
from theorylab.papers.private_preprocessing.tables import ATTAINED, REFUTED, only
from theorylab.papers.types import AllResults
from theorylab.plotting import COLOURS, MARKERS, legend_below, panels, ramp, shared_legend

_SETS = {"first": "images of S1", "between": "the hybrid", "second": "images of S2"}


def _hybrid_table(results: AllResults, preset: Preset) -> Table:
    table = Table("panel", "record", "kind", "x", "y")
    row = only(results["hybrid"])
    for array, panel in _SETS.items():
        for i, (x, y) in enumerate(row[array]):
            kind = "imputed" if i < 4 else "replaced" if i == len(row[array]) - 1 else "common"
            table.add(panel=panel, record=i, kind=kind, x=float(x), y=float(y))
    return table


def _draw_hybrid(table: Table) -> Picture:
    figure, axes = panels(3, height=3.1)
    for axis, panel in zip(axes[0], _SETS.values(), strict=True):
        for i, kind in enumerate(("common", "imputed", "replaced")):
            rows = table.where(panel=panel, kind=kind)
            axis.plot(
                rows["x"], rows["y"], color=COLOURS[i], ls="none", marker=MARKERS[i], label=kind
            )
        angle = np.linspace(0, 2 * np.pi, 200)
        axis.plot(np.cos(angle), np.sin(angle), color="grey", lw=0.7, marker="")
        axis.set(title=panel, xlim=(-1.05, 1.05), ylim=(-1.05, 1.05), aspect="equal")
    shared_legend(figure, axes[0], 3)
    return figure


def _search_table(results: AllResults, preset: Preset) -> Table:
    table = Table("study", "pairs", "inside", "ratio", "attained")
    for row in results["search"]:
        study = row.cell["study"]
        table.add(
            study=study,
            pairs=row.cell["pairs"],
            inside=int(row["inside"]),
            ratio=float(row["ratio"]),
            attained=str(study in ATTAINED),
        )
    return table


def _draw_search(table: Table) -> Picture:
    figure, axes = panels(1, height=4.2)
    axis = axes[0, 0]
    place = np.arange(len(table))[::-1]
    axis.barh(place, table["ratio"], color=COLOURS[0], height=0.6)
    axis.axvline(1.0, color="grey", ls=":", lw=0.9)
    axis.set_yticks(place, [str(s) for s in table["study"]], fontsize=7)
    axis.set(xlabel="largest movement / bound", xlim=(0, 1.08))
    axis.grid(axis="y", visible=False)
    return figure


def _attack_table(results: AllResults, preset: Preset) -> Table:
    table = Table("study", "series", "factor")
    for study in REFUTED:
        row = only(results["search"], study=study)
        table.add(study=study, series="exact divergence", factor=float(row["attack"]))
        table.add(study=study, series="in full", factor=float(row["full"]))
    return table


def _draw_attack(table: Table) -> Picture:
    figure, axes = panels(1, height=3.8)
    axis = axes[0, 0]
    names = list(dict.fromkeys(table["study"].tolist()))
    for i, ((series,), rows) in enumerate(table.groups("series")):
        axis.plot(
            rows["factor"],
            [-names.index(s) for s in rows["study"]],
            color=COLOURS[i],
            ls="none",
            marker=MARKERS[i],
            mfc="none" if i else COLOURS[i],
            ms=7 if i else 5,
            label=str(series),
        )
    axis.axvline(1.0, color="grey", ls=":", lw=0.9, marker="", label="naive claim")
    axis.set_yticks([-i for i in range(len(names))], [str(s) for s in names], fontsize=7)
    axis.set(xscale="log", xlabel="divergence / naive claim")
    axis.legend(loc="upper center", bbox_to_anchor=(0.4, -0.15), ncols=3, fontsize=7)
    return figure


def _gap_table(results: AllResults, preset: Preset) -> Table:
    table = Table("panel", "series", "gap", "y")
    for gap in np.geomspace(0.02, 1, 25):
        for n in (100, 1000):
            table.add(panel="cost", series=f"group privacy, n = {n}", gap=gap, y=(1.0 + n) ** 2)
        table.add(panel="cost", series="in full", gap=gap, y=(1 + 0.5 / gap) ** 2)
        table.add(panel="cost", series="naive", gap=gap, y=1.0)
        table.add(panel="movement", series="1 / gap", gap=gap, y=1 / gap)
    row = only(results["turned"])
    for gap, promised, moved in zip(row["gap"], row["promised"], row["movement"], strict=True):
        table.add(panel="movement", series="bound of these data", gap=float(gap), y=float(promised))
        table.add(panel="movement", series="worst neighbour found", gap=float(gap), y=float(moved))
    return table


def _draw_gap(table: Table) -> Picture:
    figure, axes = panels(2, height=3.0)
    for axis, panel in zip(axes[0], ("cost", "movement"), strict=True):
        here = table.where(panel=panel)
        names = list(dict.fromkeys(here["series"].tolist()))
        lines(axis, here, "gap", "y", names, marks=panel == "movement")
        axis.set(xscale="log", yscale="log", xlabel="eigengap")
        legend_below(axis, columns=2)
    axes[0, 0].set_ylabel("cost factor of a mean")
    axes[0, 1].set_ylabel("total movement")
    return figure


def _outside_table(results: AllResults, preset: Preset) -> Table:
    table = Table("series", "records", "ratio")
    chains = {
        "chain": "greedy keeping, chains",
        "clusters": "greedy keeping, separated",
    }
    for name, series in chains.items():
        row = only(results[name])
        ratios = row["movement"] / row["promised"]
        for n, y in zip(row.cell["lengths"], ratios, strict=True):
            table.add(series=series, records=n, ratio=float(y))
    rules = {
        "first entry positive": "signs by the first entry",
        "aligned": "random rotation",
    }
    for row in results["signs"]:
        for n, y in zip(row.cell["sizes"], row["movement"] / row["promised"], strict=True):
            table.add(series=rules[row.cell["rule"]], records=n, ratio=float(y))
    row = only(results["medians"])
    for n, y in zip(row.cell["sizes"], row["movement"] / row["promised"], strict=True):
        table.add(series="median, gap beyond its bound", records=n, ratio=float(y))
    return table


def _draw_outside(table: Table) -> Picture:
    figure, axes = panels(1, height=3.0)
    axis = axes[0, 0]
    lines(axis, table, "records", "ratio", list(dict.fromkeys(table["series"].tolist())))
    axis.axhline(1.0, color="grey", ls=":", lw=0.9)
    axis.set(xscale="log", yscale="log", xlabel="records", ylabel="movement / bound")
    legend_below(axis, columns=2)
    return figure


def _release_table(results: AllResults, preset: Preset) -> Table:
    table = Table("gap", "n", "release")
    row = only(results["sizes"])
    for gap, values in zip(row.cell["gaps"], row["release"], strict=True):
        for n, y in zip(row.cell["counts"], values, strict=True):
            table.add(gap=gap, n=n, release=float(y))
    return table


def _draw_release(table: Table) -> Picture:
    figure, axes = panels(1, height=2.9)
    axis = axes[0, 0]
    groups = table.groups("gap")
    for colour, marker, ((gap,), rows) in zip(ramp(len(groups)), MARKERS, groups, strict=False):
        axis.plot(rows["n"], rows["release"], color=colour, marker=marker, label=f"gap {gap:g}")
    axis.set(xlabel="records", ylabel="P[release]", ylim=(0, 1.05))
    axis.legend(loc="lower right")
    return figure


FIGURES = (
    Figure(
        "pp_fig1",
        "The data set between two neighbours",
        "content",
        ("hybrid",),
        _hybrid_table,
        _draw_hybrid,
        "Figure 1, which is a schematic in the paper, computed: two neighbours after mean "
        "imputation of four records. The hybrid has the images that S2 gives to the common "
        "records and the replaced record's image by S1: it is close to the one, and a neighbour "
        "of the other.",
        "Points in place of boxes and arrows; the grey line is the unit circle.",
    ),
    Figure(
        "pp_eigengap",
        "Cost and movement over the eigengap",
        "content",
        ("turned",),
        _gap_table,
        _draw_gap,
        "Left: cost factors of a mean behind projection on principal directions. Right: total "
        "movement of the projections; the bound of these data is for their gap less what one "
        "record can close of it.",
        "The paper's figure could not be read; axes and sizes are ours.",
    ),
    Figure(
        "pp_bounds",
        "How close adversarial neighbours come to each bound",
        "ours",
        ("search",),
        _search_table,
        _draw_search,
        "The largest movement of the common records over its bound, of many adversarial "
        "replacements for each pre-processing; dotted: the bound.",
    ),
    Figure(
        "pp_attack",
        "Naive accounting refuted by two neighbours",
        "ours",
        ("search",),
        _attack_table,
        _draw_attack,
        "Exact divergence of noisy means of labelled images on the worst pair that a search "
        "found, and what the full accounting allows there; both over the naive claim.",
    ),
    Figure(
        "pp_outside",
        "Outside of its collection a pre-processing has no bound",
        "ours",
        ("chain", "clusters", "signs", "medians"),
        _outside_table,
        _draw_outside,
        "Movement over the bound: chains of near-duplicates that are kept greedily, signs of "
        "principal directions by a rule on their first entry, and a median beside a gap; with "
        "their harmless counterparts. Dotted: the bound.",
    ),
    Figure(
        "pp_release",
        "When a private test of the eigengap passes",
        "ours",
        ("sizes",),
        _release_table,
        _draw_release,
        "Half of the gap is proposed; the test has ε = 1 and δ = 1e-5.",
    ),
)
