"""What the change of weights is like, and how the slope of the outputs changes with it."""

import numpy as np
from matplotlib.figure import Figure as MplFigure
from matplotlib.ticker import NullFormatter

from theorylab.lab import Figure, Table
from theorylab.papers.safety_finetuning.figures.shared import KIND, MINI, style
from theorylab.papers.safety_finetuning.figures.tables import (
    action_table,
    lipschitz_table,
    null_table,
    spectra_table,
)
from theorylab.papers.safety_finetuning.tables import NAMES
from theorylab.plotting import DASHES, panels, ramp, shared_legend, whole_ticks


def _null(table: Table) -> MplFigure:
    protocols = [str(p) for (p,), _ in table.groups("protocol")]
    figure, axes = panels(len(protocols), 2, height=2.4, sharex=True, sharey="row")
    layers = sorted(set(table["layer"].tolist()))
    for r, matrix in enumerate(("first", "second")):
        for axis, protocol in zip(axes[r], protocols, strict=True):
            rows = table.where(matrix=matrix, protocol=protocol)
            for layer, colour in zip(layers, ramp(len(layers)), strict=True):
                line = rows.where(layer=layer)
                axis.plot(line["place"], line["projection"], color=colour, label=f"layer {layer:g}")
                axis.plot(
                    line["place"],
                    line["baseline"],
                    color=colour,
                    marker="",
                    ls=":",
                    label="a random direction" if layer == layers[0] else None,
                )
            axis.set(title=f"{NAMES[protocol]}, {matrix}", ylim=(0, 1.02))
            whole_ticks(axis.xaxis)
        axes[r, 0].set(ylabel="norm of projection")
    for axis in axes[1]:
        axis.set(xlabel="direction, sorted")
    shared_legend(figure, axes.ravel(), 4)
    return figure


def _action(table: Table) -> MplFigure:
    layers = sorted(set(table["layer"].tolist()))
    columns = min(3, len(layers))
    figure, axes = panels(columns, -(-len(layers) // columns), height=2.8, sharey=True)
    dashes = dict(zip(("unlearning", "dpo", "supervised"), DASHES, strict=False))
    for axis, layer in zip(axes.ravel(), layers, strict=False):
        for (protocol, kind), line in table.where(layer=layer).groups("protocol", "kind"):
            axis.plot(
                line["place"],
                line["profile"],
                color=KIND[str(kind)],
                ls=dashes[str(protocol)],
                marker="",
                label=f"{NAMES[str(protocol)]}, {kind}",
            )
        axis.set(title=f"layer {layer:g}", xlabel="singular direction of the change")
        whole_ticks(axis.xaxis)
    # once all layers are drawn: the axis is shared, and a limit set earlier would cut later ones
    axes[0, 0].set(ylabel="|σ ⟨a, v⟩| / ‖a‖", ylim=(0, None))
    shared_legend(figure, axes.ravel(), 3)
    return figure


def _lipschitz(table: Table) -> MplFigure:
    names = [str(n) for (n,), _ in table.groups("panel")]
    figure, axes = panels(len(names), 2, height=2.4, sharey=True)
    titles = {"logit": "largest logit", "prob": "its probability"}
    for r, output in enumerate(titles):
        for axis, name in zip(axes[r], names, strict=True):
            for kind, colour in KIND.items():
                line = table.where(output=output, panel=name, kind=kind)
                axis.plot(
                    np.maximum(line["value"], 1e-6),
                    line["quantile"],
                    color=colour,
                    marker="",
                    label=f"{kind} prompts",
                )
            axis.set(xscale="log", title=name if r == 0 else "", xlabel=titles[output])
            axis.xaxis.set_minor_formatter(NullFormatter())
        axes[r, 0].set(ylabel="share below")
    shared_legend(figure, axes.ravel(), 2)
    return figure


def _spectra(table: Table) -> MplFigure:
    figure, axes = panels(2, 2, height=2.4)
    titles = {
        "change": ("change of the first MLP matrix, last layer", "singular value", "share"),
        "size": ("size of that change by layer", "layer", "relative norm"),
        "safe": ("cluster of safe prompts", "layer", "leading share"),
        "unsafe": ("cluster of unsafe prompts", "layer", "leading share"),
    }
    for axis, (quantity, (title, x, y)) in zip(axes.ravel(), titles.items(), strict=True):
        for (series, protocol), line in table.where(quantity=quantity).groups("series", "protocol"):
            look = style(str(protocol)) | ({"marker": ""} if quantity == "change" else {})
            axis.plot(line["x"], line["value"], label=str(series), **look)
        axis.set(title=title, xlabel=x, ylabel=y, ylim=(0, None))
        whole_ticks(axis.xaxis)
    shared_legend(figure, axes.ravel(), 4)
    return figure


FIGURES = (
    Figure(
        "sf_fig4",
        "Where the leading directions of the change lie, beside random directions",
        "scaled",
        ("measured",),
        null_table,
        _null,
        "Norm of the projection of the leading left singular vectors of the change of weights on "
        "the left null space of the base model's weights (outside of the directions that hold 90 % "
        "of the energy), sorted. Above: the first matrix of the MLP, below the second. "
        "Dotted: what a random direction has there.",
        f"{MINI} The baseline, and the second matrix, are ours.",
    ),
    Figure(
        "sf_fig5",
        "The change of weights acts on safe and on unsafe prompts",
        "scaled",
        ("measured",),
        action_table,
        _action,
        "How strongly the change of the first MLP matrix acts on the inputs of its layer through "
        "each of its singular directions, mean over prompts.",
        MINI,
    ),
    Figure(
        "sf_fig6",
        "Local Lipschitz constants of the first answer token",
        "scaled",
        ("measured",),
        lipschitz_table,
        _lipschitz,
        "Distribution over prompts of the gradient's norm in the prompt's embeddings: of the "
        "largest logit (above; what the release differentiates) and of its probability (below).",
        f"{MINI} Distribution functions from the 5th to the 95th percentile in place of "
        "histograms; values below 1e-6 are drawn there.",
    ),
    Figure(
        "sf_spectra",
        "Spectra of the change of weights, and of the clusters of activations",
        "scaled",
        ("measured",),
        spectra_table,
        _spectra,
        "Above: singular values of the change over their sum, and the norm of the change over that "
        "of the weights. Below: leading singular value over the sum, of the activations of each "
        "class about their mean.",
        MINI,
    ),
)
