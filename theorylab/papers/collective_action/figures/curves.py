"""Success and effective size against the size of the collective, in four worlds."""

from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure as MplFigure

from theorylab.lab import Figure, Preset, Table
from theorylab.papers.collective_action.figures.shared import BANDS, rule_lines, sizes_axis
from theorylab.papers.collective_action.tables import RULE_NAMES, at_the_end, spread
from theorylab.papers.types import AllResults
from theorylab.plotting import diagonal, panels, shared_legend

CURVES = ("gaussian", "digits", "images", "backgrounds")

WORLD_NAMES = {
    "gaussian": "Gaussian classes",
    "optdigits": "digits (optdigits)",
    "fashion_mnist": "Fashion-MNIST",
    "cifar10": "CIFAR-10, pixel trigger",
    "backgrounds": "textures (Waterbirds stand-in)",
    "backgrounds-fashion": "Fashion-MNIST on textures",
}


def _curve_table(quantities: Sequence[str]) -> Callable[[AllResults, Preset], Table]:
    def table(results: AllResults, preset: Preset) -> Table:
        out = Table("world", "rule", "quantity", "alpha", "mean", "low", "high", "seeds")
        for row in (r for name in CURVES for r in results[name]):
            for quantity in quantities:
                for i, alpha in enumerate(row.cell["alphas"]):
                    values = at_the_end(row, quantity)[i]
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


def _grid(table: Table) -> tuple[MplFigure, list[tuple[Axes, str, Table]]]:
    worlds = table.groups("world")
    figure, axes = panels(2, (len(worlds) + 1) // 2, height=2.6)
    for spare in axes.ravel()[len(worlds) :]:
        spare.set_visible(False)
    return figure, [
        (a, str(name), part) for a, ((name,), part) in zip(axes.ravel(), worlds, strict=False)
    ]


def _draw_success(table: Table) -> MplFigure:
    figure, shown = _grid(table)
    rules = list(RULE_NAMES.values())
    for axis, name, part in shown:
        rows = part.where(quantity="success")
        rule_lines(axis, rows, "alpha", "rule", rules)
        chance = part.where(quantity="baseline")
        axis.axhline(float(chance["mean"][0]), color="grey", lw=0.8, ls=":")
        axis.set(title=name, ylim=(0, 1.03))
        sizes_axis(axis, rows["alpha"])
    for axis, *_ in shown[-2:]:
        axis.set_xlabel("size of the collective α")
    for axis, *_ in shown[::2]:
        axis.set_ylabel("success S")
    shared_legend(figure, [axis for axis, *_ in shown], 6, loc="outside upper center")
    return figure


def _draw_effective_size(table: Table) -> MplFigure:
    figure, shown = _grid(table)
    rules = list(RULE_NAMES.values())
    for axis, name, part in shown:
        rule_lines(axis, part, "alpha", "rule", rules)
        diagonal(axis, float(part["alpha"].min()), float(part["alpha"].max()))
        axis.set(title=name, yscale="log")
        sizes_axis(axis, part["alpha"])
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


FIGURES = (
    Figure(
        "ca_fig1",
        "Success against the size of the collective",
        "content",
        CURVES,
        _curve_table(("success", "baseline", "accuracy")),
        _draw_success,
        "Re-weighting learners (JTT, LfF, CVaR, χ²) give small collectives more success than ERM, "
        "and some give large ones less. Dotted: how often the target label is predicted without "
        "the signal. " + BANDS,
        "Networks, signals and hyperparameters of the paper are not published: the settings are "
        "our own. Waterbirds is not available: birds and horses of CIFAR-10 on two textures stand "
        "in.",
    ),
    Figure(
        "ca_fig2",
        "Effective size of the collective",
        "content",
        CURVES,
        _curve_table(("alpha_eff",)),
        _draw_effective_size,
        "The share of all weights of a run that the collective has. Above the diagonal (dotted) "
        "re-weighting amplifies the collective, below the diagonal it damps the collective. "
        + BANDS,
        "As for the first figure.",
    ),
)
