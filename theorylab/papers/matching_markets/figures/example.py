"""The paper's example of a market, and its stable outcomes."""

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure as MplFigure

from theorylab.lab import Figure, Preset, Table
from theorylab.papers.matching_markets.tables import only_row
from theorylab.papers.types import AllResults
from theorylab.plotting import COLOURS, panels


# Figure 1
def _example_table(results: AllResults, preset: Preset) -> Table:
    row = only_row(results["example"], cost=5.0)
    table = Table("item", "x", "y")
    for j, name in enumerate("PQ"):
        table.add(item=f"u_C({name})", x=j, y=row["U"][0, j])
        table.add(item=f"u_{name}(C)", x=j, y=row["V"][0, j])
        table.add(item=f"UCB u_C({name})", x=j, y=row["high_U"][0, j])
        table.add(item=f"UCB u_{name}(C)", x=j, y=row["high_V"][0, j])
    table.add(item="instability", x=0, y=row["instability"])
    table.add(item="utility difference", x=0, y=row["difference"])
    table.add(item="stable from", x=0, y=row["interval"][0])
    table.add(item="stable to", x=0, y=row["interval"][1])
    table.add(item="optimistic match", x=0, y=row["optimistic_match"][0])
    table.add(item="optimistic payment", x=0, y=-row["optimistic_tau"][0])
    for t, y in zip(row["payments"], row["curve"], strict=True):
        table.add(item="curve", x=t, y=y)
    return table


def _graph(
    axis: Axes,
    title: str,
    match: str,
    payment: str,
    labels: Mapping[str, tuple[str, str]],
    foot: str,
) -> None:
    """One customer, two providers; the matched edge thick, utilities at both ends of an edge."""
    places = {"C": (0.0, 0.5), "P": (1.0, 0.88), "Q": (1.0, 0.12)}
    for provider, (of_customer, of_provider) in labels.items():
        (x0, y0), (x1, y1) = places["C"], places[provider]
        chosen = provider == match
        axis.plot(
            [x0, x1],
            [y0, y1],
            color=COLOURS[0] if chosen else "grey",
            lw=2.6 if chosen else 0.9,
            marker="",
            ls="-" if chosen else ":",
            zorder=1,
        )
        for share, text in ((0.3, of_customer), (0.72, of_provider)):
            shift = 0.09 if provider == "P" else -0.09
            axis.text(
                x0 + share * (x1 - x0),
                y0 + share * (y1 - y0) + shift,
                text,
                ha="center",
                va="center",
                fontsize=7,
            )
    for name, (x, y) in places.items():
        colour = COLOURS[1] if name == "C" else COLOURS[2]
        axis.plot([x], [y], marker="o", ms=17, color=colour, zorder=2)
        axis.text(x, y, name, ha="center", va="center", color="#1A1A1A", fontsize=10, zorder=3)
    axis.text(0.5, -0.12, payment + "\n" + foot, ha="center", va="top", fontsize=7.5)
    axis.set(xlim=(-0.2, 1.2), ylim=(-0.42, 1.08), title=title)
    axis.axis("off")


def _draw_example(table: Table) -> MplFigure:
    value = {str(r["item"]): float(r["y"]) for r in table.rows() if r["item"] != "curve"}
    figure, axes = panels(2, 2, height=2.55)
    true = {x: (f"{value[f'u_C({x})']:g}", f"{value[f'u_{x}(C)']:g}") for x in "PQ"}
    low, high = value["stable from"], value["stable to"]
    middle = (low + high) / 2
    _graph(
        axes[0, 0],
        "Stable: C-P",
        "P",
        f"C pays P {middle:g}",
        true,
        f"stable for any payment in [{low:g}, {high:g}]",
    )
    _graph(
        axes[0, 1],
        "Not stable: C-Q",
        "Q",
        "C pays Q 11",
        true,
        (
            f"instability {value['instability']:g} (coalition C, P), utility difference "
            f"{value['utility difference']:g}"
        ),
    )
    optimistic = {
        x: (
            f"[{value[f'u_C({x})'] * 2 - value[f'UCB u_C({x})']:g}, {value[f'UCB u_C({x})']:g}]",
            f"[{value[f'u_{x}(C)'] * 2 - value[f'UCB u_{x}(C)']:g}, {value[f'UCB u_{x}(C)']:g}]",
        )
        for x in "PQ"
    }
    match = "PQ"[int(value["optimistic match"])]
    _graph(
        axes[1, 0],
        "Illustrative intervals: at the upper ends, C-Q",
        match,
        f"C pays {match} {value['optimistic payment']:.3g}",
        optimistic,
        "stable at the upper ends, not at the truth",
    )
    curve = table.where(item="curve")
    axes[1, 1].axvspan(low, high, color=COLOURS[2], alpha=0.2, lw=0)
    axes[1, 1].plot(curve["x"], curve["y"], marker="")
    axes[1, 1].text((low + high) / 2, 2.2, f"stable\n[{low:g}, {high:g}]", ha="center", fontsize=8)
    axes[1, 1].set(
        xlabel="payment from C to P when matched",
        ylabel="Subset Instability",
        title="Transfers matter",
    )
    return figure


FIGURES = (
    Figure(
        "mm_fig1",
        "One customer, two providers",
        "content",
        ("example",),
        _example_table,
        _draw_example,
        "Utilities stand at the two ends of an edge. The stable interval is found by bisection on "
        "the payment; instability and utility difference are computed.",
        "The interval end points of the paper's right panel could not be read: the intervals are "
        "illustrative, and u_C(P) = 9 is recalled; every number printed below the graphs does not "
        "depend on it.",
    ),
)
