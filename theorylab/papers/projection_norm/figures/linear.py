"""The linear theory: what the Projection Norm sees and what it bounds."""

from matplotlib.figure import Figure as MplFigure

from theorylab.lab import Figure, Preset, Table
from theorylab.papers.types import AllResults
from theorylab.plotting import COLOURS, DASHES, MARKERS, band, diagonal, panels


def _linear_example_table(results: AllResults, preset: Preset) -> Table:
    table = Table("quantity", "s", "mean", "low", "high")
    rows = results["hidden"]
    scales = next(iter(rows)).cell["scales"]
    for quantity in ("pn", "loss", "output"):
        values = rows.stack(quantity) / rows.stack(quantity)[:, :1]
        for i, s in enumerate(scales):
            table.add(
                quantity=quantity,
                s=s,
                mean=values[:, i].mean(),
                low=values[:, i].min(),
                high=values[:, i].max(),
            )
    return table


def _linear_example(table: Table) -> MplFigure:
    figure, axes = panels(1, height=2.8)
    labels = {
        "pn": "Projection Norm",
        "loss": "test loss",
        "output": "mean |output|: all that confidence sees",
    }
    for i, ((quantity,), rows) in enumerate(table.groups("quantity")):
        axes[0, 0].plot(
            rows["s"],
            rows["mean"],
            color=COLOURS[i],
            marker=MARKERS[i],
            label=labels[str(quantity)],
        )
        band(axes[0, 0], rows["s"], rows["low"], rows["high"], COLOURS[i])
    axes[0, 0].set(
        yscale="log",
        xlabel="scale s of the new directions",
        ylabel="relative to s = 0",
        title="A shift orthogonal to the training data",
    )
    axes[0, 0].legend(loc="upper left")
    return figure


def _linear_bound_table(results: AllResults, preset: Preset) -> Table:
    table = Table("signal", "pn2", "loss", "bound")
    for row in results["bounds"].where(n=20, m=20):
        scale = float(row["upper"][0] / row["missed"][0] ** 2)
        for i in range(min(150, len(row["pn"]))):
            table.add(
                signal="isotropic", pn2=row["pn"][i] ** 2 * scale, loss=row["loss"][i], bound=scale
            )
        # the loss is quadratic: any length of the signal shows the same
        size = 1 / row["hidden"][1]
        table.add(signal="hidden", pn2=1e-3, loss=row["hidden"][1] * size, bound=scale)
    return table


def _linear_bound(table: Table) -> MplFigure:
    figure, axes = panels(1, height=2.9)
    labels = {
        "isotropic": "isotropic signals",
        "hidden": "signals that training cannot see (PN = 0)",
    }
    for i, ((signal,), rows) in enumerate(table.groups("signal")):
        axes[0, 0].plot(
            rows["pn2"],
            rows["loss"],
            ls="none",
            marker=MARKERS[i],
            color=COLOURS[(0, 4)[i]],
            alpha=0.5,
            ms=(3, 6)[i],
            label=labels[str(signal)],
        )
    diagonal(axes[0, 0], 1e-3, float(table["pn2"].max()) * 1.2)
    axes[0, 0].set(
        xscale="log",
        yscale="log",
        xlabel=r"bound $s_{max}^2\,PN^2 / m$",
        ylabel="test loss",
        title="Below the dotted line the bound holds",
    )
    axes[0, 0].legend(loc="lower left")
    return figure


def _early_table(results: AllResults, preset: Preset) -> Table:
    table = Table("quantity", "t", "mean", "low", "high")
    curves = results["early"].stack("fine")
    for quantity, index in (("to the reference", 1), ("to theta_hat", 2)):
        for i, t in enumerate(curves[0, 0]):
            values = curves[:, index, i]
            table.add(
                quantity=quantity, t=t, mean=values.mean(), low=values.min(), high=values.max()
            )
    return table


def _early(table: Table) -> MplFigure:
    figure, axes = panels(1, height=2.8)
    for i, ((quantity,), rows) in enumerate(table.groups("quantity")):
        axes[0, 0].plot(
            rows["t"], rows["mean"], color=COLOURS[i], ls=DASHES[i], marker="", label=str(quantity)
        )
        band(axes[0, 0], rows["t"], rows["low"], rows["high"], COLOURS[i])
    axes[0, 0].set(
        xscale="log",
        xlabel="training time t",
        ylabel="Projection Norm",
        ylim=(0, None),
        title="Early stopping: why a reference model",
    )
    axes[0, 0].legend(loc="lower right")
    return figure


FIGURES = (
    Figure(
        "pn_linear_example",
        "What confidence cannot see",
        "content",
        ("hidden",),
        _linear_example_table,
        _linear_example,
        "Linear model, training inputs (z, 0), test inputs (z, s z'). The outputs do not depend "
        "on s; the Projection Norm rises and saturates, while the loss goes on growing as s^2. "
        "Bands span the seeds.",
    ),
    Figure(
        "pn_linear_bound",
        "The bound of the linear theory, and where it fails",
        "content",
        ("bounds",),
        _linear_bound_table,
        _linear_bound,
        "n = m = 20, d = 60. The loss of most isotropic signals, and its mean, lie below the "
        "bound; a signal in the null space of the training inputs has norm 0 (drawn at the left "
        "edge) and any loss.",
    ),
    Figure(
        "pn_early_stop",
        "Stopped training",
        "content",
        ("early",),
        _early_table,
        _early,
        "Gradient flow on a linear model: the distance to theta_hat is large at small t without "
        "any shift, while the distance to a reference stopped at the same t starts from 0. Both "
        "tend to the same limit. Bands span the seeds.",
    ),
)
