"""Which signals work: the validation set, dominoes and parities."""

from matplotlib.figure import Figure as MplFigure

from theorylab.lab import Figure, Preset, Table
from theorylab.papers.collective_action.figures.shared import BANDS, rule_lines, sizes_axis
from theorylab.papers.collective_action.tables import spread
from theorylab.papers.types import AllResults
from theorylab.plotting import COLOURS, DASHES, MARKERS, band, legend_below, panels, shared_legend

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


def _draw_validation(table: Table) -> MplFigure:
    tails = table.groups("tail")
    figure, axes = panels(len(tails), height=2.8 if len(tails) > 1 else 3.1, sharey=True)
    for axis, ((tail,), part) in zip(axes[0], tails, strict=True):
        rule_lines(axis, part, "alpha", "stop", list(STOPS.values()))
        axis.set(
            title=f"CVaR over the worst {float(tail):.0%}",
            xlabel="size of the collective α",
            ylim=(0, 1.03),
        )
        sizes_axis(axis, part["alpha"])
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
                    steps=(c + 1) * row.cell["training"]["every"],
                    seeds=len(row[name]),
                    **spread(row[name][:, c]),
                )
    return out


def _draw_dominoes(table: Table) -> MplFigure:
    titles = {
        "auc": "test AUC",
        "white": "success, white corner",
        "checker": "success, checkered corner",
    }
    figure, axes = panels(3, height=3.3)
    for axis, (panel, title) in zip(axes[0], titles.items(), strict=True):
        rows = table.where(panel=panel)
        rule_lines(
            axis, rows, "steps", "series", list(dict.fromkeys(str(s) for s in rows["series"]))
        )
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


def _draw_parity(table: Table) -> MplFigure:
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


FIGURES = (
    Figure(
        "ca_fig4",
        "The validation set",
        "content",
        ("validation",),
        _validation_table,
        _draw_validation,
        "Success of CVaR learners stopped where their own risk on a validation set is least. With "
        "the collective in that set a later step is chosen, at which the collective succeeds "
        "more. " + BANDS,
        "The paper's stopping rules are not published; every step is a candidate here.",
    ),
    Figure(
        "ca_fig5",
        "Simplicity bias: dominoes",
        "content",
        ("dominoes", "reliance"),
        _dominoes_table,
        _draw_dominoes,
        "Pairs of pictures whose halves agree on the label, digits (simple) next to automobiles "
        "or trucks (complex). Left: permuting the simple half destroys the network's predictions, "
        "permuting the complex one changes nothing. Middle, right: the same 2 x 2 corner works "
        "sooner in the half that the network looks at; a checkered corner occurs in neither half "
        "by itself. " + BANDS,
        "A multi-layer perceptron on 14 x 14 and 16 x 16 means in place of ResNets on 64 x 32 x 3.",
    ),
    Figure(
        "ca_fig6",
        "Simplicity bias: parity signals",
        "ours",
        ("parity",),
        _parity_table,
        _draw_parity,
        "Signals of one, two and three bits are equally rare and have the same critical mass for "
        "a Bayes classifier (1/3), but gradient descent learns the simplest first. Dotted: "
        "chance. " + BANDS,
    ),
)
