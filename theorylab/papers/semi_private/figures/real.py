"""Figures on real data: accuracy over directions, records and methods; defects of features."""

import numpy as np
from matplotlib.figure import Figure as Picture

from theorylab.lab import Figure, Table
from theorylab.papers.semi_private import tables
from theorylab.papers.semi_private.figures.shared import LEVELS, STYLE
from theorylab.plotting import COLOURS, DASHES, MARKERS, band, panels, sample_axis, shared_legend


def _directions(table: Table) -> Picture:
    names = list(dict.fromkeys(table["panel"]))
    rows = -(-len(names) // 2)
    figure, axes = panels(2, rows, height=2.4)
    places = axes.ravel()
    for axis, name in zip(places, names, strict=False):
        for epsilon in LEVELS:
            mine = table.where(panel=name, epsilon=epsilon)
            axis.plot(mine["k"], mine["accuracy"], ls="-", **STYLE[epsilon])
            low, high = (mine["accuracy"] + s * mine["deviation"] for s in (-1, 1))
            band(axis, mine["k"], low, high, STYLE[epsilon]["color"])
        axis.set_title(name)
        sample_axis(axis, mine["k"])
        axis.set(xlabel="directions k; the last is no projection", ylabel="test accuracy")
    for spare in places[len(names) :]:
        spare.set_axis_off()
    shared_legend(figure, places[: len(names)], 3, spare=places[len(names) :])
    return figure


def _pairs(table: Table) -> Picture:
    groups = table.groups("panel")
    figure, axes = panels(len(groups), height=3.9)
    for axis, ((panel,), rows) in zip(axes[0], groups, strict=True):
        places = np.arange(len(rows))
        for k, (column, label) in enumerate((("pillar", "PILLAR"), ("full", "no projection"))):
            axis.barh(
                places + (k - 0.5) * 0.38,
                np.nan_to_num(rows[column]),
                0.36,
                xerr=np.nan_to_num(rows[f"{column}_deviation"]),
                color=COLOURS[k],
                label=label,
            )
        names = [str(name).replace(", ", ",\n") for name in rows["data"]]
        axis.set_yticks(places, [""] * len(names) if panel == "BYOL" else names)
        axis.invert_yaxis()
        title = "here" if panel == tables.HERE else f"the poster,\n{panel} features"
        axis.set(title=title, xlabel="test accuracy", xlim=(0, 1))
        axis.grid(False, axis="y")
    shared_legend(figure, axes[0], 2)
    return figure


def _fractions(table: Table) -> Picture:
    figure, axes = panels(3, height=2.6, sharey=True)
    for axis, epsilon in zip(axes[0], LEVELS, strict=True):
        for j, (k, label) in enumerate(((40, "k = 40"), (0, "no projection"))):
            mine = table.where(epsilon=epsilon, k=k)
            sizes = sorted(set(mine["private"].tolist()))
            means = [float(mine.where(private=n)["accuracy"].mean()) for n in sizes]
            axis.plot(sizes, means, color=COLOURS[j], ls=DASHES[j], marker=MARKERS[j], label=label)
        sample_axis(axis, sizes)
        axis.set(title=LEVELS[epsilon], xlabel="private records")
    axes[0, 0].set_ylabel("test accuracy")
    shared_legend(figure, axes[0], 2)
    return figure


def _methods(table: Table) -> Picture:
    figure, axes = panels(2, height=2.6)
    names = [str(name) for name in table["method"]]
    places = np.arange(len(names))
    axes[0, 0].barh(places, table["accuracy"], xerr=table["deviation"], color=COLOURS[0])
    axes[0, 1].barh(places, np.nan_to_num(table["poster"]), color=COLOURS[1])
    axes[0, 0].set(title="here", xlabel="test accuracy at ε = 0.1", xlim=(0, 1))
    axes[0, 1].set(title="CIFAR-100, the poster", xlabel="test accuracy at ε = 0.1")
    for place, value in zip(places, table["poster"], strict=True):
        if np.isnan(value):
            axes[0, 1].text(0.002, place, "not there", va="center", fontsize=7)
    for axis in axes[0]:
        axis.set_yticks(places, names)
        axis.invert_yaxis()
        axis.grid(False, axis="y")
    axes[0, 1].set_yticks(places, [""] * len(names))
    return figure


def _defects(table: Table) -> Picture:
    figure, axes = panels(1, height=3.0)
    axis = axes[0, 0]
    names = {"efficientnet_lite0": "EfficientNet-Lite0", "pixels": "pixels"}
    for k, name in enumerate(dict.fromkeys(table["features"])):
        mine = table.where(features=name)
        share = mine["k"] / mine["k"].max()
        label = f"{names[str(name)]}, d = {int(mine['k'].max())}"
        axis.plot(share, mine["defect"], color=COLOURS[k], ls=DASHES[k], marker="", label=label)
    axis.set(xlabel="share of the directions, k / d", ylabel="low-rank defect ξ_k", ylim=(-0.02, 1))
    axis.legend(loc="upper right")
    return figure


_NETWORK = "Features of EfficientNet-Lite0 or pixels in the place of a ResNet-50's 2,048 features"
FIGURES = (
    Figure(
        "spl_fig1",
        "PILLAR beside no projection at ε = 0.1",
        "scaled",
        ("curves",),
        tables.both,
        _pairs,
        "Test accuracy with 40 public directions (20 on tables) and with all of them at ε = 0.1, δ"
        " = 1e-5; bars: deviation over splits. Public records are disjoint from the private ones,"
        " or of another set where that is said. Right: the poster's bars, of ResNet-50; shifted:"
        " directions of CIFAR-10v1, which cost next to nothing there.",
        f"{_NETWORK}; other data sets; one network.",
    ),
    Figure(
        "spl_fig2",
        "Accuracy over the number of directions",
        "scaled",
        ("curves",),
        tables.over_directions,
        _directions,
        "Test accuracy of private linear heads on the k leading directions of public records;"
        " bands: one deviation over splits. The first panel is the poster's, measured from its"
        " drawing. The paper chose its hyperparameters for each k without a charge for privacy;"
        " here they are the same for all k.",
        f"{_NETWORK}; full-batch descent with one step size for each ε.",
    ),
    Figure(
        "spl_fig4",
        "Fewer private records",
        "scaled",
        ("curves", "low_data"),
        tables.fractions,
        _fractions,
        "Test accuracy over the number of private records with 40 directions and with all, on the"
        " first set.",
        "The first set of features in place of GTSRB and CIFAR-100.",
    ),
    Figure(
        "spl_fig5",
        "Low-rank defects of features and pixels",
        "scaled",
        ("defects",),
        tables.defects,
        _defects,
        "What the k leading public directions miss of a head for two classes, ξ_k = 1 - ‖A_k^T w‖ /"
        " ‖w‖.",
        "A ridge regression in place of a support vector machine; one network, and pooled pixels.",
    ),
    Figure(
        "spl_methods",
        "Methods at the same epsilon",
        "scaled",
        ("methods",),
        tables.bars,
        _methods,
        "Test accuracy at ε = 0.1, δ = 1e-5, with 5 noisy gradients each; every bar has spent that"
        " ε, DP-PCA half of its budget on the directions. PILLAR, JL and DP-PCA use as many"
        " directions. GEP and AdaDPS get public records with random labels.",
        "The first set here, CIFAR-100 there; DP-PCA is ours.",
    ),
)
