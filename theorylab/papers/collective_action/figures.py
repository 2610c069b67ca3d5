"""Figures of the paper: tables reduced from results, and their drawings."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as MplFigure

from theorylab.lab import Figure, Preset, Table
from theorylab.papers.types import AllResults
from theorylab.plotting import (
    COLOURS,
    DASHES,
    MARKERS,
    band,
    diagonal,
    legend_below,
    panels,
    shared_legend,
)

CURVES = ("gaussian", "digits", "images", "backgrounds")
RULE_NAMES = {
    "erm": "ERM",
    "jtt": "JTT",
    "lff": "LfF",
    "cvar": "CVaR",
    "chi2": "χ²",
    "group": "group DRO",
}
WORLD_NAMES = {
    "gaussian": "Gaussian classes",
    "optdigits": "digits (optdigits)",
    "fashion_mnist": "Fashion-MNIST",
    "cifar10": "CIFAR-10, pixel trigger",
    "backgrounds": "textures (Waterbirds stand-in)",
    "backgrounds-fashion": "Fashion-MNIST on textures",
}
QUANTITIES = ("success", "alpha_eff", "accuracy", "baseline")


def spread(values: np.ndarray) -> dict[str, float]:
    """Mean and 95 % interval of the mean (normal) over the last axis, for a band."""
    half = 1.96 * values.std(ddof=1) / np.sqrt(values.size) if values.size > 1 else 0.0
    return {
        "mean": float(values.mean()),
        "low": float(values.mean() - half),
        "high": float(values.mean() + half),
    }


def last(row: Any, quantity: str) -> np.ndarray:
    """(sizes, seeds) of a quantity at the end of training."""
    values = row[quantity]
    return values[..., -1] if values.ndim == 3 else values


def _curve_table(quantities: Sequence[str]) -> Callable[[AllResults, Preset], Table]:
    def table(results: AllResults, preset: Preset) -> Table:
        out = Table("world", "rule", "quantity", "alpha", "mean", "low", "high", "seeds")
        for row in (r for name in CURVES for r in results[name]):
            for quantity in quantities:
                for i, alpha in enumerate(row.cell["alphas"]):
                    values = last(row, quantity)[i]
                    out.add(
                        world=WORLD_NAMES[row.cell["world"]["name"]],
                        rule=RULE_NAMES[row.cell["rule"]],
                        quantity=quantity,
                        alpha=alpha,
                        seeds=values.size,
                        **spread(values),
                    )
        return out

    return table


def _sizes_axis(axis: Axes, sizes: np.ndarray) -> None:
    axis.set_xscale("log")
    shown = [
        a
        for a in (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4)
        if sizes.min() * 0.99 <= a <= sizes.max() * 1.01
    ]
    axis.set_xticks(shown, [f"{a:g}" for a in shown], fontsize=7)
    axis.minorticks_off()


def _lines(axis: Axes, rows: Table, x: str, by: str, order: Sequence[str]) -> None:
    groups = {str(key): part for (key,), part in rows.groups(by)}
    for i, name in enumerate(order):
        if name in groups:
            part = groups[name]
            axis.plot(
                part[x],
                part["mean"],
                color=COLOURS[i % 6],
                marker=MARKERS[i % 6],
                ls=DASHES[i % 6],
                label=name,
            )
            band(axis, part[x], part["low"], part["high"], COLOURS[i % 6])


def _grid(table: Table) -> tuple[MplFigure, list[tuple[Axes, str, Table]]]:
    worlds = table.groups("world")
    figure, axes = panels(2, (len(worlds) + 1) // 2, height=2.6)
    for spare in axes.ravel()[len(worlds) :]:
        spare.set_visible(False)
    return figure, [
        (a, str(name), part) for a, ((name,), part) in zip(axes.ravel(), worlds, strict=False)
    ]


def _fig1(table: Table) -> MplFigure:
    figure, shown = _grid(table)
    rules = list(RULE_NAMES.values())
    for axis, name, part in shown:
        rows = part.where(quantity="success")
        _lines(axis, rows, "alpha", "rule", rules)
        chance = part.where(quantity="baseline")
        axis.axhline(float(chance["mean"][0]), color="grey", lw=0.8, ls=":")
        axis.set(title=name, ylim=(0, 1.03))
        _sizes_axis(axis, rows["alpha"])
    for axis, *_ in shown[-2:]:
        axis.set_xlabel("size of the collective α")
    for axis, *_ in shown[::2]:
        axis.set_ylabel("success S")
    shared_legend(figure, [axis for axis, *_ in shown], 6, loc="outside upper center")
    return figure


def _fig2(table: Table) -> MplFigure:
    figure, shown = _grid(table)
    rules = list(RULE_NAMES.values())
    for axis, name, part in shown:
        _lines(axis, part, "alpha", "rule", rules)
        diagonal(axis, float(part["alpha"].min()), float(part["alpha"].max()))
        axis.set(title=name, yscale="log")
        _sizes_axis(axis, part["alpha"])
        low = float(part["mean"].min())
        ticks = [t for t in (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5) if t >= low / 1.5]
        axis.set_yticks(ticks, [f"{t:g}" for t in ticks])
        axis.minorticks_off()
    for axis, *_ in shown[-2:]:
        axis.set_xlabel("size of the collective α")
    for axis, *_ in shown[::2]:
        axis.set_ylabel("effective size")
    shared_legend(figure, [axis for axis, *_ in shown], 6, loc="outside upper center")
    return figure


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


def _fig3(table: Table) -> MplFigure:
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


STOPS = {
    "clean": "clean",
    "signal_only": "signal, true labels",
    "contaminated": "with the collective",
    "last": "last step",
}


def _validation_table(results: AllResults, preset: Preset) -> Table:
    out = Table("tail", "stop", "alpha", "mean", "low", "high", "seeds")
    for row in results["validation"]:
        for name, label in STOPS.items():
            for i, alpha in enumerate(row.cell["alphas"]):
                out.add(
                    tail=row.cell["size"],
                    stop=label,
                    alpha=alpha,
                    seeds=row[name][i].size,
                    **spread(row[name][i]),
                )
    return out


def _fig4(table: Table) -> MplFigure:
    tails = table.groups("tail")
    figure, axes = panels(len(tails), height=2.8 if len(tails) > 1 else 3.1, sharey=True)
    for axis, ((tail,), part) in zip(axes[0], tails, strict=True):
        _lines(axis, part, "alpha", "stop", list(STOPS.values()))
        axis.set(
            title=f"CVaR over the worst {float(tail):.0%}",
            xlabel="size of the collective α",
            ylim=(0, 1.03),
        )
        _sizes_axis(axis, part["alpha"])
    axes[0, 0].set_ylabel("success S of the selected step")
    shared_legend(figure, axes[0], 4 if len(tails) > 1 else 2, loc="outside upper center")
    return figure


def _dominoes_table(results: AllResults, preset: Preset) -> Table:
    out = Table("panel", "series", "steps", "mean", "low", "high", "seeds")
    for row in results["dominoes"]:
        for i, alpha in enumerate(row.cell["alphas"]):
            for c, step in enumerate(row["checkpoints"]):
                values = row["success"][i, :, c]
                out.add(
                    panel=row.cell["pattern"],
                    series=f"{row.cell['half']} half, α={alpha:g}",
                    steps=int(step),
                    seeds=values.size,
                    **spread(values),
                )
    for row in results["reliance"]:
        for name in ("aligned", "simple_permuted", "complex_permuted"):
            for c in range(row[name].shape[1]):
                out.add(
                    panel="auc",
                    series=name.replace("_", " half "),
                    steps=(c + 1) * row.cell["every"],
                    seeds=len(row[name]),
                    **spread(row[name][:, c]),
                )
    return out


def _fig5(table: Table) -> MplFigure:
    titles = {
        "auc": "test AUC",
        "white": "success, white corner",
        "checker": "success, checkered corner",
    }
    figure, axes = panels(3, height=3.3)
    for axis, (panel, title) in zip(axes[0], titles.items(), strict=True):
        rows = table.where(panel=panel)
        _lines(axis, rows, "steps", "series", list(dict.fromkeys(str(s) for s in rows["series"])))
        axis.set(title=title, xlabel="gradient steps", ylim=(0.4, 1.03))
    legend_below(axes[0, 0])
    legend_below(axes[0, 1])
    return figure


def _parity_table(results: AllResults, preset: Preset) -> Table:
    out = Table("alpha", "order", "steps", "mean", "low", "high", "seeds")
    for row in results["parity"]:
        for i, alpha in enumerate(row.cell["alphas"]):
            for c, step in enumerate(row["checkpoints"]):
                values = row["success"][i, :, c]
                out.add(
                    alpha=alpha,
                    order=int(row.cell["world"]["name"][-1]),
                    steps=int(step),
                    seeds=values.size,
                    **spread(values),
                )
    return out


def _fig6(table: Table) -> MplFigure:
    groups = table.groups("alpha")
    figure, axes = panels(len(groups), height=2.7, sharey=True)
    for axis, ((alpha,), part) in zip(axes[0], groups, strict=True):
        for i, ((order,), rows) in enumerate(part.groups("order")):
            axis.plot(
                rows["steps"],
                rows["mean"],
                color=COLOURS[i],
                marker=MARKERS[i],
                ls=DASHES[i],
                label=f"product of {float(order):g} bit" + "s" * (float(order) > 1),
            )
            band(axis, rows["steps"], rows["low"], rows["high"], COLOURS[i])
        axis.axhline(0.5, color="grey", lw=0.8, ls=":")
        axis.set(title=f"α = {float(alpha):g}", xlabel="gradient steps", ylim=(0.45, 1.0))
    axes[0, 0].set_ylabel("success S")
    axes[0, -1].legend(loc="lower right")
    return figure


_BANDS = "Bands: 95 % of the mean over seeds. "
FIGURES = (
    Figure(
        "ca_fig1",
        "Success against the size of the collective",
        "content",
        CURVES,
        _curve_table(("success", "baseline", "accuracy")),
        _fig1,
        "Re-weighting learners (JTT, LfF, CVaR, χ²) give small collectives more success than ERM, "
        "and some give large ones less. Dotted: how often the target label is predicted without "
        "the signal. " + _BANDS,
        "Networks, signals and hyperparameters of the paper are not published: settings of our "
        "own. Waterbirds cannot be had: birds and horses of CIFAR-10 on two textures stand in.",
    ),
    Figure(
        "ca_fig2",
        "Effective size of the collective",
        "content",
        CURVES,
        _curve_table(("alpha_eff",)),
        _fig2,
        "Share of the collective in all weights of a run. Above the diagonal (dotted) "
        "re-weighting amplifies the collective, below it damps it. " + _BANDS,
        "As for the first figure.",
    ),
    Figure(
        "ca_fig3",
        "Exact theory",
        "ours",
        ("population", "worlds"),
        _exact_table,
        _fig3,
        "Left and middle: two points, everybody signals at the second. JTT's success is not "
        "monotone in the size: it falls to 0 when the first stage learns the signal, because the "
        "effective size jumps down. Right: exact success of JTT in random finite worlds against "
        "two bounds. Points below the dotted diagonal violate theirs: putting α_eff for α in the "
        "bound of ERM is no theorem, the corrected bound holds.",
    ),
    Figure(
        "ca_fig4",
        "The validation set",
        "content",
        ("validation",),
        _validation_table,
        _fig4,
        "Success of CVaR learners stopped where their own risk on a validation set is the least. "
        "With the collective in that set a later, more successful step is chosen. " + _BANDS,
        "The paper's stopping rules are not published; every step is a candidate here.",
    ),
    Figure(
        "ca_fig5",
        "Simplicity bias: dominoes",
        "content",
        ("dominoes", "reliance"),
        _dominoes_table,
        _fig5,
        "Pairs of pictures whose halves agree on the label, digits (simple) next to automobiles "
        "or trucks (complex). Left: permuting the simple half destroys the network's predictions, "
        "permuting the complex one changes nothing. Middle, right: the same 2 x 2 corner works "
        "sooner in the half that the network looks at; a checkered corner occurs in neither half "
        "by itself. " + _BANDS,
        "A multi-layer perceptron on 14 x 14 and 16 x 16 means in place of ResNets on 64 x 32 x 3.",
    ),
    Figure(
        "ca_fig6",
        "Simplicity bias: parity signals",
        "ours",
        ("parity",),
        _parity_table,
        _fig6,
        "Signals of one, two and three bits are as rare and have the same critical mass for a "
        "Bayes classifier (1/3), but gradient descent learns the simple one first. Dotted: "
        "chance. " + _BANDS,
    ),
)
