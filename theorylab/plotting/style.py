"""The house style: one look for every figure.

It is safe for colour-blind readers, in print, and on light or dark pages.

Colours are Okabe and Ito's ("Color Universal Design", 2008), ordered so that neighbours also differ
in grey; every series differs in marker or dash as well, so no figure needs colour to be read.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

Mode = Literal["light", "dark"]
Share = bool | Literal["row", "col"]
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#56B4E9", "#D55E00", "#CC79A7")
MARKERS = ("o", "s", "^", "D", "v", "P")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)))
WIDTH = 7.0  # inches: two columns of a paper
_INK = {"light": ("#FFFFFF", "#1A1A1A", "#D0D0D0"), "dark": ("#15181C", "#E8E8E8", "#3C434B")}


@contextmanager
def house_style(mode: Mode = "light") -> Iterator[None]:
    """Apply Matplotlib settings of the house style inside a `with` block.

    Figures made outside keep their own.

    Args:
        mode: "light" or "dark".

    Returns:
        A context manager.
    """
    paper, ink, grid = _INK[mode]
    settings: dict[Any, Any] = {
        "figure.facecolor": paper,
        "axes.facecolor": paper,
        "savefig.facecolor": paper,
        "text.color": ink,
        "axes.labelcolor": ink,
        "axes.edgecolor": ink,
        "xtick.color": ink,
        "ytick.color": ink,
        "axes.titlecolor": ink,
        "grid.color": grid,
        "legend.edgecolor": grid,
        "legend.facecolor": paper,
        "axes.prop_cycle": cycler(color=COLOURS, marker=MARKERS),
        "font.size": 9,
        "axes.titlesize": 9.5,
        "axes.labelsize": 9,
        "legend.fontsize": 7.5,
        "xtick.labelsize": 8,
        "ytick.labelsize": 8,
        "lines.linewidth": 1.4,
        "lines.markersize": 4,
        "axes.grid": True,
        "grid.linewidth": 0.5,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "legend.framealpha": 0.85,
        "figure.dpi": 110,
        "savefig.dpi": 200,
        "pdf.fonttype": 42,
        "svg.hashsalt": "theorylab",
        "figure.constrained_layout.use": True,
        "axes.titlelocation": "left",
        "legend.handlelength": 2.6,
    }
    with mpl.rc_context(settings):
        yield


def panels(
    columns: int,
    rows: int = 1,
    *,
    height: float = 2.9,
    sharex: Share = False,
    sharey: Share = False,
) -> tuple[Figure, np.ndarray]:
    """Make a figure of the house width and its axes, without touching pyplot's global state.

    Args:
        columns, rows: of the grid.
        height: of a panel, in inches.
        sharex, sharey: as in `Figure.subplots`.

    Returns:
        The figure, and its axes (rows, columns).
    """
    figure = Figure(figsize=(WIDTH if columns > 1 else WIDTH * 0.62, height * rows))
    return figure, np.asarray(
        figure.subplots(rows, columns, sharex=sharex, sharey=sharey, squeeze=False)
    )


def ramp(count: int) -> list[tuple[float, float, float, float]]:
    """Colours for an ordered parameter, readable on light and dark: the middle of viridis.

    Args:
        count: how many.

    Returns:
        RGBA colours.
    """
    return [mpl.colormaps["viridis"](x) for x in np.linspace(0.15, 0.85, count)]


def band(axes: Axes, x: ArrayLike, low: ArrayLike, high: ArrayLike, colour: object) -> None:
    """Draw a shaded band, for the spread over seeds.

    Args:
        axes: where to draw.
        x, low, high: its course.
        colour: of the band.
    """
    axes.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0)


def diagonal(axes: Axes, low: float, high: float) -> None:
    """Draw the line y = x between two values, in the colour of the axes.

    Args:
        axes: where to draw.
        low, high: its ends.
    """
    axes.plot(
        [low, high],
        [low, high],
        color=mpl.rcParams["axes.edgecolor"],
        lw=0.8,
        ls=":",
        marker="",
        zorder=0,
    )


def sample_axis(axes: Axes, sizes: Iterable[float]) -> None:
    """Make a logarithmic x axis whose ticks are the sample sizes that were run.

    Above four, every other one is labelled.

    Args:
        axes: whose axis.
        sizes: the sample sizes.
    """
    ticks = sorted({float(n) for n in sizes}, reverse=True)
    shown = set(ticks if len(ticks) <= 4 else ticks[::2])
    axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{n:g}" if n in shown else "" for n in ticks])
    axes.minorticks_off()


def whole_ticks(axis: Axis) -> None:
    """Put ticks at whole numbers only, for an axis that counts.

    Args:
        axis: the axis.
    """
    axis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10]))


def shared_legend(
    figure: Figure,
    axes: Iterable[Axes],
    columns: int,
    *,
    loc: Literal[
        "outside lower center", "outside right center", "outside upper center"
    ] = "outside lower center",
    spare: Iterable[Axes] = (),
) -> None:
    """Draw one legend for several panels: what any of them draws, every label once.

    It stands in the first place of the grid that has no panel (`spare`), and beside all panels
    where there is none.

    Args:
        figure: the figure.
        axes: the panels.
        columns: of the legend.
        loc: where it stands without a spare place.
        spare: places of the grid without a panel.
    """
    entries: dict[str, Any] = {}
    for one in axes:
        for handle, label in zip(*one.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    place = next(iter(spare), None)
    if place is None:
        figure.legend(list(entries.values()), list(entries), loc=loc, ncols=columns)
    else:
        place.set_axis_off()
        place.legend(list(entries.values()), list(entries), loc="center")


def legend_below(axes: Axes, columns: int = 1) -> None:
    """Draw the legend of one panel below it, off the data.

    Args:
        axes: the panel.
        columns: of the legend.
    """
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=columns, fontsize=7)
