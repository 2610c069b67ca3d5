"""Pictures of certificates, and of what ensembles make of them."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure as MplFigure

from theorylab.lab import Figure, Table
from theorylab.papers.certified_ensembles import tables
from theorylab.papers.certified_ensembles.experiments import LOWS, SHARES
from theorylab.papers.certified_ensembles.shapes import SCORES, SETS
from theorylab.plotting import COLOURS, DASHES, MARKERS, panels, ramp, shared_legend, whole_ticks


def _closed(axis: Axes, table: Table, part: str, label: str, **style: Any) -> None:
    """A closed curve, filled where a colour is given to fill it with."""
    rows = table.where(part=part)
    x, y = [*rows["x"], rows["x"][0]], [*rows["y"], rows["y"][0]]
    fill = style.pop("fill", 0.0)
    axis.plot(x, y, label=label, marker="", **style)
    if fill:
        axis.fill(x, y, color=style["color"], alpha=fill, linewidth=0)


def _square(axis: Axes, size: float) -> None:
    axis.set(xlim=(-size, size), ylim=(-size, size), aspect="equal")


def _gallery(table: Table) -> MplFigure:
    figure, axes = panels(len(SETS), 2, height=1.75)
    for i, name in enumerate(SETS):
        over, below = axes[0, i], axes[1, i]
        _closed(
            over, table, f"{name}: difference", "S ⊕ (−S)", color=COLOURS[1], ls="--", fill=0.12
        )
        _closed(over, table, f"{name}: set", "S", color=COLOURS[0], fill=0.3)
        _closed(below, table, f"{name}: certificate", "certificate Q", color=COLOURS[2], fill=0.3)
        _square(over, 3.4)
        over.set(xticks=[-2, 0, 2], yticks=[-2, 0, 2])
        _square(below, 0.75)
        over.set_title(name)
        for axis in (over, below):
            axis.plot(0, 0, marker="+", color="grey", ls="")
            if i:
                axis.tick_params(labelleft=False)
    shared_legend(figure, axes.ravel(), 3)
    return figure


def _sandwich(table: Table) -> MplFigure:
    figure, axes = panels(2, height=3.2)
    for axis, name in zip(axes[0], SCORES, strict=True):
        _closed(axis, table, f"{name}: ensemble", "ensemble", color=COLOURS[2], lw=2, fill=0.25)
        _closed(axis, table, f"{name}: first", "member 1", color=COLOURS[0], ls="--")
        _closed(axis, table, f"{name}: second", "member 2", color=COLOURS[4], ls="-.")
        axis.plot(0, 0, marker="+", color="grey", ls="")
        _square(axis, 0.82)
        axis.set(title=name, xlabel="δ₁")
    axes[0, 0].set_ylabel("δ₂")
    shared_legend(figure, axes.ravel(), 3)
    return figure


def _family(axis: Axes, table: Table, names: dict[str, str]) -> None:
    for colour, dash, (part, label) in zip(ramp(len(names)), DASHES, names.items(), strict=False):
        _closed(axis, table, part, label, color=colour, ls=dash, fill=0.08)
    _closed(axis, table, "first", "member 1", color=COLOURS[4], ls="--", lw=2)
    _closed(axis, table, "second", "member 2", color=COLOURS[1], ls="-.", lw=2)
    axis.plot(0, 0, marker="+", color="grey", ls="")
    axis.set_xlabel("δ₁")


def _gain(table: Table) -> MplFigure:
    figure, axes = panels(2, height=3.1)
    for axis, size, title in zip(axes[0], (0.85, 2.3), ("near", "from afar"), strict=True):
        _family(axis, table, {f"ensemble {m:g}": f"ensemble, M = {m:g}" for m in LOWS})
        _square(axis, size)
        axis.set_title(title)
    axes[0, 0].set_ylabel("δ₂")
    shared_legend(figure, axes.ravel(), 5)
    return figure


def _loss(table: Table) -> MplFigure:
    figure, axes = panels(1, height=3.4)
    axis = axes[0, 0]
    _family(axis, table, {f"ensemble {a:g}": f"ensemble, w₁ = {a:g}" for a in SHARES if a != 0.5})
    axis.plot(0, 0, marker="o", ms=5, ls="", color=COLOURS[0], label="w₁ = 0.5: empty")
    _square(axis, 0.62)
    axis.set_ylabel("δ₂")
    shared_legend(figure, [axis], 1, loc="outside right center")
    return figure


def _ellipses(table: Table) -> MplFigure:
    figure, axes = panels(2, height=2.8)
    labels = {"crossed": "crossed ellipses", "equal": "balls, of radii 1/2 and 1/6"}
    for axis, column in zip(axes[0], ("inradius", "area"), strict=True):
        for i, (name, label) in enumerate(labels.items()):
            rows = table.where(sets=name)
            axis.plot(
                rows["weight"], rows[column], color=COLOURS[i], ls=DASHES[i], marker="", label=label
            )
            axis.plot(
                [0, 1],
                [rows[column][0], rows[column][-1]],
                color=COLOURS[i],
                ls="",
                marker=MARKERS[i],
            )
        axis.set(xlabel="weight of member 1", ylabel=f"{column} of the certificate", ylim=(0, None))
    shared_legend(figure, axes.ravel(), 2)
    return figure


def _probabilities(table: Table) -> MplFigure:
    figure, axes = panels(3, height=2.9, sharey=True)
    titles = {
        "agree": "all agree on top",
        "gain": "gap above all",
        "loss": "gap below all",
    }
    shifts = list(dict.fromkeys(table.where(kind="curve")["shift"].tolist()))
    known = table.where(kind="reference")
    for axis, (column, title) in zip(axes[0], titles.items(), strict=True):
        for i, shift in enumerate(shifts):
            rows = table.where(kind="curve", shift=shift)
            axis.plot(
                rows["members"],
                rows[column],
                color=COLOURS[i],
                ls=DASHES[i],
                marker=MARKERS[i],
                label=f"lead μ = {shift:g}",
            )
        axis.plot(
            known["members"],
            known[column],
            ls="",
            marker="x",
            ms=7,
            color="grey",
            label="reference",
            zorder=5,
        )
        axis.set_xscale("log", base=2)
        axis.set(title=title, xlabel="members N")
    axes[0, 0].set_ylabel("probability")
    shared_legend(figure, axes.ravel(), 4)
    return figure


def _norms(table: Table) -> MplFigure:
    figure, axes = panels(1, height=2.9)
    axis = axes[0, 0]
    names = {
        "gram": "powers of the Gram matrix",
        "svd": "decomposition with its residual",
        "power": "power iteration, 10 steps",
    }
    for i, (method, label) in enumerate(names.items()):
        rows = table.where(method=method)
        axis.plot(
            rows["matrix"], rows["excess"], color=COLOURS[i], marker=MARKERS[i], ls="", label=label
        )
    axis.axhline(0, color="grey", lw=0.8, marker="")
    axis.set_yscale("symlog", linthresh=1e-15)
    axis.set_yticks([-1e-2, -1e-6, -1e-10, 0, 1e-10, 1e-6, 1e-2])
    axis.set(xlabel="matrix, sorted", ylabel="bound / norm − 1", ylim=(-1, 1))
    whole_ticks(axis.xaxis)
    shared_legend(figure, [axis], 1)
    return figure


THEORY = (
    Figure(
        "ce_gallery",
        "Sets of slopes and the certificates that they make",
        "content",
        ("gallery",),
        tables.gallery,
        _gallery,
        "Above: five sets S of slopes and their differences S ⊕ (−S). Below: the certificate of a "
        "gap of 1, which is the polar of the difference, and symmetric even where S is not.",
    ),
    Figure(
        "ce_sandwich",
        "Members that agree: where their ensemble certifies",
        "content",
        ("sandwich",),
        tables.curves_of("sandwich"),
        _sandwich,
        "Two members that agree on the top class. Left: with a common runner-up the ensemble lies "
        "between them in every direction. Right: with other runner-ups it certifies more.",
    ),
    Figure(
        "ce_gain",
        "Runner-ups that differ: the ensemble beats both members",
        "content",
        ("gain",),
        tables.curves_of("gain"),
        _gain,
        "Each member leads by .2 over a class of its own; the other member has that class at −M. "
        "The gap of the ensemble is (1.2 + M)/2, and its certificate grows with M.",
    ),
    Figure(
        "ce_loss",
        "Top classes that differ: the ensemble certifies less",
        "content",
        ("loss",),
        tables.curves_of("loss"),
        _loss,
        "Two members with gaps of .6 for opposite classes. As the weights balance the gap "
        "|.6 (2 w₁ − 1)| vanishes, and at w₁ = .5 the certificate is empty, a point in the middle.",
    ),
    Figure(
        "ce_ellipses",
        "Radius and area over the weight of a member",
        "content",
        ("ellipses",),
        tables.ellipses,
        _ellipses,
        "Two members with a common runner-up and equal gaps; markers: the members by themselves. "
        "Crossed ellipses: the radius is largest in the middle, .2236 against .1667, the area "
        "least there. Sets of equal shape: both are largest at the better member.",
    ),
    Figure(
        "ce_probabilities",
        "How often an ensemble gains and loses, by members and lead",
        "content",
        ("curves", "gaussian"),
        tables.probabilities,
        _probabilities,
        "Independent Gaussian scores of ten classes, class 0 ahead by μ, equal weights. Crosses: "
        "an independent program, at (N, μ) = (2, 0), (2, 4), (5, 2), (10, 4).",
    ),
    Figure(
        "ce_norms",
        "Bounds of spectral norms, and an estimate that is none",
        "ours",
        ("norms",),
        tables.norms,
        _norms,
        "Matrices with known, close singular values. Both bounds are never below the norm; the "
        "estimate by power iteration always is, and certificates made of it do not hold.",
    ),
)
