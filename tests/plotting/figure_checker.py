"""Looks at a drawn figure as a reader would and lists what is wrong with it: kind, and where."""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from matplotlib import colors
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import Collection, LineCollection, PathCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text

SMALLEST = 7.0  # points
# pixels that two boxes may share: the boxes of letters are a little larger than their ink
SLACK = 0.75
GAP = 0.75  # points kept free at both ends of a text
TITLE_GAP = 4.0  # of a title, as neighbours read as one line otherwise
STYLES = {
    ":": ("dotted",),
    "--": ("dashed",),
    "-.": ("dash-dot",),
    "open": ("open", "ringed", "rings"),
}


class Finding(NamedTuple):
    kind: str
    where: str


def findings(figure: Figure, caption: str) -> list[Finding]:
    """Everything wrong with the figure. `caption` is what the reader finds below it: it may explain
    a style.

    overlap: texts on each other; cut: text over the edge; small: text below 7 points; covered: a
    legend on data;
    legend: a label twice in a legend, or a series that nothing names; style: a dash, open marker,
    band or bar that neither legend nor caption explains; ticks: fractions on an axis of whole
    numbers; blank: a panel without content.
    """
    FigureCanvasAgg(figure).draw()
    checks = (_overlaps, _cuts, _small, _covered, _repeated, _ticks, _blank)
    return [found for check in checks for found in check(figure)] + list(
        _unnamed(figure, caption.lower())
    )


# Texts
def texts(figure: Figure) -> list[Text]:
    """The texts that are drawn: `findobj` also knows ticks outside the view and axes that are
    switched off."""
    hidden: set[int] = set()
    for axes in figure.axes:
        off = not axes.get_visible()
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            room = 1e-9 * (high - low)
            if off or not axes.axison:
                hidden.update(map(id, axis.findobj(Text)))
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                if not low - room <= tick.get_loc() <= high + room:
                    hidden.update((id(tick.label1), id(tick.label2)))
        if off:
            hidden.update(map(id, axes.findobj(Text)))
    found = {
        id(t): t
        for t in figure.findobj(Text)
        if id(t) not in hidden and t.get_visible() and t.get_text().strip()
    }
    return list(found.values())


def _box(text: Text, gap: float = 0.0) -> np.ndarray:
    """(4, 2) corners of the text in pixels, turned as the text is, `gap` points longer at both
    ends."""
    box, angle = text.get_window_extent(), text.get_rotation()
    if angle % 90:
        text.set_rotation(0)
        width, height = text.get_window_extent().size
        text.set_rotation(angle)
    else:
        (width, height), angle = box.size, 0.0
    room = gap * text.get_figure(root=True).dpi / 72
    half = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * (
        np.array([width / 2 + room, height / 2]) - SLACK
    )
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    return half @ np.array([[cos, sin], [-sin, cos]]) + (box.min + box.max) / 2


def _apart(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two rectangles are disjoint: some side of one separates them."""
    for corners in (a, b):
        for side in (corners[1] - corners[0], corners[2] - corners[1]):
            x, y = a @ side, b @ side
            if x.max() <= y.min() or y.max() <= x.min():
                return True
    return False


def _name(text: Text) -> str:
    return repr(text.get_text().replace("\n", " ")[:40])


def _overlaps(figure: Figure) -> Iterator[Finding]:
    titles = [t for a in figure.axes for t in (a.title, a._left_title, a._right_title)]
    boxes = [(t, _box(t, TITLE_GAP if t in titles else GAP)) for t in texts(figure)]
    for i, (a, first) in enumerate(boxes):
        for b, second in boxes[i + 1 :]:
            if not _apart(first, second):
                yield Finding("overlap", f"{_name(a)} and {_name(b)}")


def _cuts(figure: Figure) -> Iterator[Finding]:
    for text in texts(figure):
        corners = _box(text)
        if (corners < figure.bbox.min).any() or (corners > figure.bbox.max).any():
            yield Finding("cut", _name(text))


def _small(figure: Figure) -> Iterator[Finding]:
    for size in sorted({t.get_fontsize() for t in texts(figure)}):
        if size < SMALLEST:
            sizes = [_name(t) for t in texts(figure) if t.get_fontsize() == size]
            yield Finding("small", f"{size:g} pt: {sizes[0]} and {len(sizes) - 1} more")


# Legends
def _legends(figure: Figure) -> list[Legend]:
    return [x for x in figure.findobj(Legend) if x.get_visible()]


def _points(axes: Axes, line: Line2D) -> np.ndarray:
    """(points, 2) pixels along a line that lie inside the axes; of a line without a stroke its
    markers."""
    xy = line.get_transform().transform(
        np.column_stack([line.get_xdata(orig=False), line.get_ydata(orig=False)])
    )
    if line.get_linestyle() not in ("None", "none", "", " ") and len(xy) > 1:
        xy = np.concatenate([np.linspace(a, b, 40) for a, b in pairwise(xy)])
    xy = xy[np.isfinite(xy).all(1)]
    return xy[((xy >= axes.bbox.min) & (xy <= axes.bbox.max)).all(1)]


def _covered(figure: Figure) -> Iterator[Finding]:
    for axes in figure.axes:
        legend = axes.get_legend()
        if legend is None:
            continue
        box = legend.get_window_extent()
        for line in axes.lines:
            points = _points(axes, line) if not _reference(line) else np.empty((0, 2))
            if ((points > box.min) & (points < box.max)).all(1).any():
                yield Finding(
                    "covered", f"the legend in {_place(axes)} lies on {str(line.get_label())!r}"
                )


# Series
Look = tuple[str, str, str, bool]  # colour, marker, dash, whether the marker is open


def _colour(value: object) -> str:
    return colors.to_hex(colors.to_rgb(value))


def _reference(line: Line2D) -> bool:
    """Whether the line is drawn in grey or ink: a limit or a diagonal, no series."""
    r, g, b = colors.to_rgb(line.get_color())
    return max(r, g, b) - min(r, g, b) < 0.02


def _look(line: Line2D) -> Look:
    """What tells a line from others; dashes given as numbers count as dashed."""
    marker, dash = (
        "" if v in ("None", "none", " ") else str(v)
        for v in (line.get_marker(), line.get_linestyle())
    )
    return (
        _colour(line.get_color()),
        marker,
        dash,
        bool(marker) and colors.to_rgba(line.get_markerfacecolor())[3] == 0,
    )


def _place(axes: Axes) -> str:
    return repr(
        axes.get_title() or axes.get_title(loc="left") or axes.get_ylabel() or "a panel"
    ).replace("\\n", " ")


def _handles(legend: Legend) -> Iterator[Artist]:
    """All that is drawn in a legend but its frame: the handle of an error bar is several
    artists."""
    return (a for a in legend.findobj() if a is not legend.get_frame())


def _repeated(figure: Figure) -> Iterator[Finding]:
    for legend in _legends(figure):
        labels = [t.get_text() for t in legend.get_texts()]
        for label in dict.fromkeys(labels):
            if labels.count(label) > 1:
                yield Finding("legend", f"{label!r} {labels.count(label)} times")
        seen: dict[tuple[str, ...], str] = {}
        for handle, label in zip(legend.legend_handles, labels, strict=True):
            if isinstance(handle, Line2D):
                colour, marker, dash, hollow = _look(handle)
                # a marker in the middle of a short stroke hides its dashes
                seen_as = (colour, marker, str(hollow)) if marker else (colour, dash)
                if seen.setdefault(seen_as, label) != label:
                    yield Finding("legend", f"{seen[seen_as]!r} and {label!r} look alike")


class _Named(NamedTuple):
    """What legends and coloured texts name: colours, and looks of lines by their colour."""

    looks: set[tuple[str, str]]  # (colour, marker, dash or "open"), each by itself
    colours: set[str]


def _named(figure: Figure) -> _Named:
    looks: set[tuple[str, str]] = set()
    colours = {_colour(t.get_color()) for t in texts(figure)}
    for handle in (h for legend in _legends(figure) for h in _handles(legend)):
        if isinstance(handle, Line2D):
            colour, marker, dash, hollow = _look(handle)
            colours.add(colour)
            looks |= {(colour, marker), (colour, dash), *([(colour, "open")] if hollow else [])}
        elif isinstance(handle, Collection):
            colours.update(_colour(c) for c in (*handle.get_facecolor(), *handle.get_edgecolor()))
        elif isinstance(handle, Patch):
            colours.add(_colour(handle.get_facecolor()))
    return _Named(looks, colours)


def _unnamed(figure: Figure, caption: str) -> Iterator[Finding]:
    named = _named(figure)
    caption += " ".join(a.get_title(loc="left").lower() for a in figure.axes)
    shown = [
        a for a in figure.axes if a.get_visible() and a.axison and a.get_label() != "<colorbar>"
    ]
    found = [
        finding
        for axes in shown
        for finding in (
            *_unnamed_lines(axes, named, caption),
            *_unnamed_areas(axes, caption),
            *_unnamed_dots(axes, named),
        )
    ]
    yield from dict.fromkeys(found)


def _drawn_lines(axes: Axes) -> list[Line2D]:
    """The lines and markers that are seen, without the caps of error bars."""
    lines = [
        x
        for x in axes.lines
        if x.get_visible() and len(x.get_xdata()) and set(_look(x)[1:3]) != {""}
    ]
    return [x for x in lines if _look(x)[1] not in ("_", "|") or _look(x)[2]]


def _unnamed_lines(axes: Axes, named: _Named, caption: str) -> Iterator[Finding]:
    lines = _drawn_lines(axes)
    series = {_look(x) for x in lines if not _reference(x)}
    for line in lines:
        colour, marker, dash, hollow = _look(line)
        alone = not _reference(line) and len(series) == 1
        told = [(colour, x) in named.looks for x in (marker, dash, "open" if hollow else "") if x]
        if alone or all(told):
            continue
        several = len({look[0] for look in series}) > 1
        if not _reference(line) and colour not in named.colours and several:
            yield Finding("legend", f"nothing names a series of colour {colour} in {_place(axes)}")
        else:
            yield from _unexplained_style(line, named, caption, _place(axes))


def _unexplained_style(line: Line2D, named: _Named, caption: str, place: str) -> Iterator[Finding]:
    colour, _, dash, hollow = _look(line)
    if hollow and (colour, "open") not in named.looks and not _says(caption, *STYLES["open"]):
        yield Finding("style", f"open markers in {place}")
    elif dash not in ("", "-"):
        if (colour, dash) not in named.looks and not _says(caption, *STYLES[dash]):
            yield Finding("style", f"{STYLES[dash][0]} in {place}")
    elif _grey_reference(line, dash) and not _says(caption, "grey", "line"):
        yield Finding("style", f"a grey line in {place}")


def _grey_reference(line: Line2D, dash: str) -> bool:
    """Whether it is a full reference line that is not at 0 or 1, which need no explanation."""
    return _reference(line) and dash == "-" and _constant(line) not in (0.0, 1.0)


def _unnamed_areas(axes: Axes, caption: str) -> Iterator[Finding]:
    polygons = [c for c in axes.collections if isinstance(c, PolyCollection)]
    bands = any((c.get_alpha() or 1) < 0.5 for c in polygons)
    if bands and not _says(caption, "band", "grey", "shade"):
        yield Finding("style", f"a band in {_place(axes)}")
    bars = any(isinstance(c, LineCollection) for c in axes.collections)
    if bars and not _says(caption, "bar", "standard error", "interval"):
        yield Finding("style", f"error bars in {_place(axes)}")


def _unnamed_dots(axes: Axes, named: _Named) -> Iterator[Finding]:
    dots = {
        _colour(c)
        for d in axes.collections
        if isinstance(d, PathCollection)
        for c in d.get_facecolor()
    }
    for colour in sorted(dots - named.colours) if len(dots) > 1 else ():
        yield Finding("legend", f"nothing names points of colour {colour} in {_place(axes)}")


def _says(caption: str, *words: str) -> bool:
    return any(word in caption for word in words)


def _constant(line: Line2D) -> float:
    """The height or place of a straight line along an axis, otherwise NaN."""
    for values in (np.asarray(line.get_ydata(), float), np.asarray(line.get_xdata(), float)):
        if len(values) == 2 and values[0] == values[1]:
            return float(values[0])
    return float("nan")


# Panels
def _ticks(figure: Figure) -> Iterator[Finding]:
    for axes in (a for a in figure.axes if a.get_visible() and a.axison):
        for which, axis in (("x", axes.xaxis), ("y", axes.yaxis)):
            data = [
                np.asarray(getattr(line, f"get_{which}data")(orig=False), float)
                for line in axes.lines
                if not _reference(line)
            ]
            values = np.concatenate([*data, []])
            values = np.unique(values[np.isfinite(values)])
            if len(values) < 3 or (values % 1).any():
                continue
            shown = [t.get_text() for t in texts(figure) if t in axis.get_ticklabels(which="both")]
            bad = [s for s in shown if re.fullmatch(r"[−-]?\d*\.\d*[1-9]\d*", s)]
            if bad:
                yield Finding("ticks", f"whole numbers of {_place(axes)} labelled {', '.join(bad)}")


def _blank(figure: Figure) -> Iterator[Finding]:
    grids = {}
    for axes in figure.axes:
        spec = axes.get_subplotspec()
        if spec is not None:
            filled = _filled(axes)
            grid = spec.get_gridspec()
            grids.setdefault(grid, set()).update(
                (r, c) for r in spec.rowspan for c in spec.colspan if filled
            )
    for grid, cells in grids.items():
        for cell in sorted({(r, c) for r in range(grid.nrows) for c in range(grid.ncols)} - cells):
            yield Finding("blank", f"no content in row {cell[0] + 1}, column {cell[1] + 1}")


def _filled(axes: Axes) -> bool:
    drawn = any(len(line.get_xdata()) for line in axes.lines) or bool(
        axes.collections or axes.patches or axes.images
    )
    return axes.get_visible() and (drawn or bool(axes.texts) or axes.get_legend() is not None)
