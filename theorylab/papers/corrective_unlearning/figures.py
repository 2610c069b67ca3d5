"""The figures: accuracies against the identified share, and what they are summed up by."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as MplFigure

from theorylab.lab import Figure, Table
from theorylab.papers.corrective_unlearning.tables import (
    kind_table,
    lines_table,
    order_table,
    summary_table,
    tradeoff_table,
)
from theorylab.plotting import COLOURS, band, panels, ramp, shared_legend

NAMES = {
    "none": "original model",
    "rewod": "RewoD",
    "cf": "CF",
    "cf_k": "CF-k, best k",
    "eu_k": "EU-k, best k",
    "scrub": "SCRUB",
    "scrub_kl": "SCRUB, KL ascent",
    "badt": "BadT",
    "ssd": "SSD",
    "ssd_deployable": "SSD, deployable choice",
    "ssd_batch": "SSD, batch means",
    "ssd_batch_deployable": "SSD, batch means, deployable",
    "potion": "Potion",
    "newton": "tangent Newton step",
}
STYLES = {
    "rewod": (COLOURS[0], "o", "-"),
    "cf": (COLOURS[1], "s", "-"),
    "scrub": (COLOURS[2], "^", "-"),
    "badt": (COLOURS[3], "D", "-"),
    "ssd": (COLOURS[4], "v", "-"),
    "potion": (COLOURS[5], "P", "-"),
}
OTHERS = {
    "rewod": (COLOURS[0], "o", "-"),
    "ssd": (COLOURS[4], "v", "-"),
    "ssd_deployable": (COLOURS[5], "P", "--"),
    "eu_k": (COLOURS[1], "s", "--"),
    "newton": (COLOURS[2], "^", "--"),
    "scrub_kl": (COLOURS[3], "D", "--"),
}
TITLES = {
    "digits": "digits",
    "mnist": "MNIST",
    "fashion_mnist": "Fashion-MNIST",
    "cifar10": "CIFAR-10",
}
KINDS = {"poison": "poison", "confusion": "confusion"}


def _titled(world: object, size: object) -> str:
    return f"{TITLES[str(world)]}, {int(float(str(size)))}"


def _curves(axis: Axes, rows: Table, styles: dict, value: str) -> None:
    for name, (colour, marker, dash) in styles.items():
        line = rows.where(method=name)
        if len(line):
            x, y, se = line["gamma"], line[value], line[f"{value}_se"]
            axis.plot(x, y, color=colour, marker=marker, ls=dash, label=NAMES[name])
            band(axis, x.tolist(), (y - se).tolist(), (y + se).tolist(), colour)
    for name, dash in (("none", ":"), ("clean", "--")):
        level = rows.where(method=name)
        label = "original model" if name == "none" else "never manipulated"
        axis.plot(level["gamma"], level[value], color="grey", marker="", ls=dash, label=label)


def _grid(table: Table, value: str, styles: dict, label: str) -> MplFigure:
    groups = table.groups("world", "kind", "size")
    columns = 2 if len(groups) > 1 else 1
    figure, axes = panels(columns, -(-len(groups) // columns), height=2.6)
    flat = axes.ravel()
    for axis, ((world, kind, size), rows) in zip(flat, groups, strict=False):
        _curves(axis, rows, styles, value)
        kinds = {k for (_, k, _), _ in groups}
        title = _titled(world, size)
        axis.set_title(f"{title}, {KINDS[str(kind)]}" if len(kinds) > 1 else title)
        axis.set(xlabel="identified share γ", ylabel=label)
    shared_legend(figure, flat[: len(groups)], 4, spare=flat[len(groups) :])
    return figure


def _corrected(table: Table) -> MplFigure:
    return _grid(table, "corrected", STYLES, "Acc_corr")


def _retained(table: Table) -> MplFigure:
    return _grid(table, "retained", STYLES, "Acc_retain")


def _others(table: Table) -> MplFigure:
    return _grid(table, "corrected", OTHERS, "Acc_corr")


# Figure 1
_POINTS = {
    "none": ("grey", "X", "original model"),
    "rewod": (COLOURS[0], "o", "RewoD, half identified"),
    "ssd": (COLOURS[4], "v", "SSD, half identified"),
    "clean": (COLOURS[2], "*", "never manipulated"),
}


def _setting(table: Table) -> MplFigure:
    """The two accuracies of the paper's schematic, measured."""
    groups = table.groups("kind")
    figure, axes = panels(len(groups), height=2.9)
    for axis, ((kind,), rows) in zip(axes[0], groups, strict=True):
        rows = rows.where(world=rows["world"][0])
        for name, (colour, marker, label) in _POINTS.items():
            line = rows.where(method=name)
            i = int(np.argmin(np.abs(line["gamma"] - 0.5)))
            axis.plot(
                line["retained"][i],
                line["corrected"][i],
                color=colour,
                marker=marker,
                ls="",
                ms=9,
                label=label,
            )
        axis.set(
            xlabel="Acc_retain",
            ylabel="Acc_corr",
            xlim=(0, 1.03),
            ylim=(0, 1.03),
            title=f"{TITLES[str(rows['world'][0])]}, {KINDS[str(kind)]}",
        )
    shared_legend(figure, axes[0], 4)
    return figure


# Figure 5
def _tradeoff(table: Table) -> MplFigure:
    groups = table.groups("world", "importance")
    figure, axes = panels(2, -(-len(groups) // 2), height=2.6)
    flat = axes.ravel()
    for axis, ((world, importance), rows) in zip(flat, groups, strict=False):
        factors = sorted(set(rows["factor"].tolist()))
        for factor, colour in zip(factors, ramp(len(factors)), strict=True):
            line = rows.where(factor=factor)
            label = f"Acc_corr, λ = {factor:g} α"
            axis.plot(line["alpha"], line["corrected"], color=colour, marker="o", label=label)
        line = rows.where(factor=1.0)
        axis.plot(
            line["alpha"],
            line["retained"],
            color="grey",
            marker="",
            ls="--",
            label="Acc_retain, λ = α",
        )
        name = str(world).partition(", ")[0]
        axis.set(
            xscale="log",
            xlabel="α",
            ylabel="accuracy",
            title=f"{TITLES[name]}, {importance}",
        )
    shared_legend(figure, flat[: len(groups)], 3, spare=flat[len(groups) :])
    return figure


# Table 1
def _summary(table: Table) -> MplFigure:
    groups = table.groups("world", "kind", "size")
    order = [name for name in NAMES if name in table["method"] and name != "none"]
    figure, axes = panels(2, -(-len(groups) // 2), height=0.22 * len(order) + 1.1, sharey=True)
    flat = axes.ravel()
    for axis, ((world, kind, size), rows) in zip(flat, groups, strict=False):
        _healed_rows(axis, rows, order)
        axis.axvline(0, color="grey", lw=0.8, ls=":")
        axis.axvline(1, color="grey", lw=0.8, ls="--")
        axis.set(
            xlabel="share healed, mean over γ",
            xlim=(-1.0, 1.8),
            title=f"{_titled(world, size)}, {KINDS[str(kind)]}",
        )
    flat[0].set_yticks(range(len(order)), [NAMES[name] for name in order])
    flat[0].set_ylim(len(order) - 0.4, -0.6)
    for axis in flat[len(groups) :]:
        axis.set_axis_off()
    shared_legend(figure, flat[: len(groups)], 3)
    return figure


def _healed_rows(axis: Axes, rows: Table, order: Sequence[str]) -> None:
    for row in rows.rows():
        name = str(row["method"])
        if name not in order:
            continue
        place = order.index(name)
        shown = max(float(row["healed"]), -0.95)
        axis.errorbar(
            shown,
            place,
            xerr=float(row["healed_se"]),
            color=COLOURS[0],
            marker="o",
            ls="",
            label="measured",
        )
        if np.isfinite(float(row["published_healed"])):
            axis.plot(
                float(row["published_healed"]),
                place,
                color=COLOURS[4],
                marker="X",
                ms=7,
                ls="",
                label="published, CIFAR-10 and CIFAR-100",
            )
        need = float(row["requirement"])
        text = f"γ ≥ {need:g}" if np.isfinite(need) else "never"
        axis.text(1.77, place, text, ha="right", va="center", fontsize=7)


def _order(table: Table) -> MplFigure:
    figure, axes = panels(1, height=2.7)
    names = {"augment_first": "after augmentation", "patch_first": "before augmentation"}
    for x, order in enumerate(names):
        rows = table.where(order=order)
        spot = np.full(len(rows), x, float)
        axes[0, 0].plot(
            spot, rows["original"], color=COLOURS[0], marker="o", ls="", label="original model"
        )
        axes[0, 0].plot(
            spot + 0.08,
            rows["clean"],
            color=COLOURS[2],
            marker="*",
            ms=8,
            ls="",
            label="never manipulated",
        )
    axes[0, 0].set_xticks([0, 1], list(names.values()))
    axes[0, 0].set(ylabel="Acc_corr", xlim=(-0.5, 1.5), ylim=(0, 1.02))
    shared_legend(figure, axes[0, :1], 2)
    return figure


_BANDS = "Titles name the world and |S_m|. Bands are one standard error over seeds."
_READ = "The paper's figure could not be read; axes, curves and shapes follow its description."

FIGURES = (
    Figure(
        "fig1",
        "The setting, measured: accuracy on the affected domain and elsewhere",
        "content",
        ("sweep",),
        lines_table,
        _setting,
        "Retraining without the identified half keeps accuracy elsewhere and does not mend the "
        "affected domain; the aim is the upper right corner.",
        "The paper's figure is a schematic of the four cases.",
    ),
    Figure(
        "fig2",
        "Poisoning: accuracy with the trigger, clean labels",
        "content",
        ("sweep",),
        kind_table("poison"),
        _corrected,
        f"{_BANDS} Dotted: the original model; dashed grey line: a model that never saw a "
        "manipulated sample. SSD and SCRUB with the configuration that an oracle chooses.",
        _READ,
    ),
    Figure(
        "fig3",
        "Interclass confusion: accuracy on the two classes, clean labels",
        "content",
        ("sweep",),
        kind_table("confusion"),
        _corrected,
        f"{_BANDS} Dotted: the original model; dashed grey line: a model that never saw a "
        "manipulated sample.",
        _READ,
    ),
    Figure(
        "fig4",
        "Accuracy outside the affected domain",
        "content",
        ("sweep",),
        lines_table,
        _retained,
        f"{_BANDS} Dotted: the original model; dashed grey line: never manipulated.",
        _READ,
    ),
    Figure(
        "fig5",
        "SSD: selection alpha and dampening lambda at the smallest identified share",
        "content",
        ("sweep",),
        tradeoff_table,
        _tradeoff,
        "The useful alpha moves with the batch size of the importances. Dashed: Acc_retain at "
        "lambda = alpha. Run times are in benchmarks/unlearning.py.",
        _READ,
    ),
    Figure(
        "fig6",
        "Choices that can be deployed, frozen layers and a tangent-kernel step",
        "ours",
        ("sweep",),
        lines_table,
        _others,
        f"{_BANDS} Dashed curves: SSD chosen by validation accuracy and agreement on the deletion "
        "set, exact unlearning of the last layers, SCRUB as first published, and one Newton step "
        "of the linearised network; solid ones for comparison. Dotted: the original model.",
    ),
    Figure(
        "table1",
        "Share healed, and the identified share needed for nine tenths of the clean accuracy",
        "scaled",
        ("sweep",),
        summary_table,
        _summary,
        "Titles name the world and |S_m|. Bars are one standard error; values below -0.95 "
        "are drawn there. Dotted: the original model; dashed: never manipulated. At the right: the "
        "smallest gamma at which Acc_corr reaches .9 of the clean reference.",
        "Published shares are averages over ResNet-9 on CIFAR-10 and WRN-28-10 on CIFAR-100, three "
        "sizes of the poison, and identified shares from a single sample to all.",
    ),
    Figure(
        "fig7",
        "The trigger set after the augmentation, as in the benchmark, and before it",
        "ours",
        ("order",),
        order_table,
        _order,
        "Random crops move a trigger that was set before them, and the backdoor is weaker. One "
        "point a seed.",
    ),
)
