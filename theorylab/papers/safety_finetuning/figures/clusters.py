"""Where safe and unsafe prompts lie: tau by layer, by site and beside the published values."""

import numpy as np
from matplotlib.figure import Figure as MplFigure

from theorylab.lab import Figure, Table
from theorylab.papers.safety_finetuning.figures.shared import KIND, MINI, style
from theorylab.papers.safety_finetuning.figures.tables import (
    grammar_table,
    order_table,
    sites_table,
    tau_table,
)
from theorylab.papers.safety_finetuning.published import SOURCE
from theorylab.plotting import COLOURS, band, legend_below, panels, shared_legend, whole_ticks

_SITES = {
    "mlp_act": "behind the GELU",
    "mlp_pre": "before the GELU",
    "mlp_out": "output of the MLP",
    "resid": "residual stream",
}


def _tau(table: Table) -> MplFigure:
    figure, axes = panels(3, 2, height=2.4, sharex=True)
    for axis, ((panel,), rows) in zip(axes.ravel(), table.groups("panel"), strict=True):
        for kind, colour in KIND.items():
            line = rows.where(kind=kind)
            x, y, sd = line["layer"], line["tau"], line["sd"]
            axis.plot(x, y, color=colour, marker="o", label=f"{kind} prompts")
            band(axis, x, y - sd, y + sd, colour)
        axis.axhline(0, color="grey", lw=0.8, ls=":")
        axis.set(title=str(panel))
        whole_ticks(axis.xaxis)
    for axis in axes[-1]:
        axis.set(xlabel="layer")
    for axis in axes[:, 0]:
        axis.set(ylabel="τ")
    shared_legend(figure, axes.ravel(), 2)
    return figure


def _order(table: Table) -> MplFigure:
    figure, axes = panels(1, height=3.2)
    axis, names = axes[0, 0], table["panel"].tolist()
    place = np.arange(len(names))
    axis.barh(place - 0.2, table["published"], 0.38, color="grey", label="published, 6 layers")
    axis.barh(place + 0.2, table["ours"], 0.38, color=COLOURS[0], label="here")
    axis.set_yticks(place, names)
    axis.invert_yaxis()
    axis.set(xscale="log", xlabel="gap of mean τ, last layer")
    axis.grid(axis="y", visible=False)
    legend_below(axis, columns=2)
    return figure


def _sites(table: Table) -> MplFigure:
    figure, axes = panels(2, 2, height=2.4, sharex=True)
    for axis, ((site,), rows) in zip(axes.ravel(), table.groups("site"), strict=True):
        for (panel, protocol), line in rows.groups("panel", "protocol"):
            look = style(str(protocol))
            small = "e-05" in str(panel)
            look |= {"alpha": 0.6, "ls": ":", "mfc": "none"} if small else {}
            axis.plot(line["layer"], line["gap"], label=str(panel), **look)
        axis.set(title=_SITES[str(site)])
        axis.set_yscale("symlog", linthresh=1)
        whole_ticks(axis.xaxis)
    for axis in axes[-1]:
        axis.set(xlabel="layer")
    for axis in axes[:, 0]:
        axis.set(ylabel="gap of mean τ")
    shared_legend(figure, axes.ravel(), 3)
    return figure


def _grammar(table: Table) -> MplFigure:
    figure, axes = panels(3, height=2.9)
    for axis, name in zip(axes[0], ("full", "safe"), strict=False):
        rows = table.where(quantity="length", series=name)
        width = 0.8 * np.diff(np.sort(rows["x"])).min()
        axis.bar(rows["x"], rows["value"], width, color="lightgrey", label="exact")
        axis.plot(
            rows["x"], rows["sampled"], color=COLOURS[0], marker="o", ls="", ms=3.5, label="sampled"
        )
        axis.set(title=f"{name} grammar", xlabel="letters of a yield", ylabel="probability")
        legend_below(axis, columns=2)
    rows = table.where(quantity="locality")
    axis, place = axes[0, 2], np.arange(len(rows))
    axis.barh(place, rows["sampled"], 0.6, color=COLOURS[1])
    axis.set_yticks(place, rows["series"].tolist(), fontsize=7)
    axis.invert_yaxis()
    axis.axvline(0.5, color="grey", lw=0.8, ls=":")
    axis.set(xlim=(0, 1), xlabel="windows told apart", title="locality")
    axis.grid(axis="y", visible=False)
    return figure


FIGURES = (
    Figure(
        "sf_fig3",
        "Safe and unsafe prompts part layer by layer, by protocol and learning rate",
        "scaled",
        ("measured",),
        tau_table,
        _tau,
        "τ of safe and of unsafe prompts by layer: mean, and as a band one standard deviation over "
        "prompts; dotted: 0. "
        "Means of the classes come from other prompts than those that are judged. Titles name the "
        "learning rate.",
        f"{MINI} Activations are the outputs of the MLP at the last place of the prompt; the axes "
        "of the panels differ.",
    ),
    Figure(
        "sf_order",
        "The gap between safe and unsafe prompts, published and here",
        "scaled",
        ("measured",),
        order_table,
        _order,
        f"Gap of mean τ in the last layer. Published: {SOURCE}, read off the picture. What should "
        "agree is the order, not the size: τ scales with the width and the training.",
        MINI,
    ),
    Figure(
        "sf_sites",
        "The gap of τ at four sites of every layer",
        "ours",
        ("measured",),
        sites_table,
        _sites,
        "Gap of mean τ between safe and unsafe prompts. The order of the protocols hardly depends "
        "on where in a layer one looks. Runs at the small learning rate are dotted.",
    ),
    Figure(
        "sf_grammar",
        "The grammars: lengths of yields, and how well short contexts tell branches apart",
        "ours",
        ("laws", "locality", "letters"),
        grammar_table,
        _grammar,
        "Left, middle: the exact law of the length of a yield (bars) and a sample (dots). Right: "
        "naive Bayes on letters, or on pairs of letters, between windows of 25 to 35 letters of "
        "two branches; dotted: chance.",
    ),
)
