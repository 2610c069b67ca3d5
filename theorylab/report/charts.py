"""The curves of a figure as Vega-Lite charts whose values can be read by hovering or tapping.

Each panel becomes one chart. The numbers are taken from the drawn artists, and these were drawn
from the CSV beside the picture, so picture, chart and CSV cannot disagree. What has no numbers
(text, contours) stays with the picture.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection, PolyCollection, QuadMesh
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedFormatter, FuncFormatter

Spec = dict[str, Any]
INK = "ink"  # the page's text colour; the page's script puts in the colour of its mode
_DASH = {"--": [6, 4], "-.": [8, 3, 2, 3], ":": [2, 3], "-": [1, 0]}
_SHAPE = {
    "o": "circle",
    "s": "square",
    "^": "triangle-up",
    "v": "triangle-down",
    "D": "diamond",
    "P": "cross",
    "x": "cross",
    "+": "cross",
    "*": "diamond",
}
# wide: easy to tap
_POINT = {"type": "point", "size": 36, "filled": True, "stroke": "transparent", "strokeWidth": 10}
_PLOTTED = 4000  # above, a panel is left to the picture: a page must stay light


def charts(figure: Figure) -> list[Spec]:
    """Every panel that shows curves, points, bars or a heat map, as a short Vega-Lite chart.

    The page's script (`assets/report.js`) completes it: it unfolds `columns` to Vega-Lite's
    `datasets`, gives each layer the panel's `x` and `y` and a tooltip, and writes the legend
    (`series`) in HTML so that it wraps on a phone.
    """
    names = _names(figure)
    panels = [
        _panel(axes, names)
        for axes in figure.axes
        if axes.get_visible() and not hasattr(axes, "_colorbar")
    ]
    return [p for p in panels if p]


def _look(line: Line2D) -> tuple[str, str, str]:
    return _colour(line.get_color()), str(line.get_marker()), str(line.get_linestyle())


def _names(figure: Figure) -> Mapping[tuple[str, str, str], str]:
    """What a legend calls each look of a line.

    A panel without a legend uses the names of its neighbour.
    """
    found: dict[tuple[str, str, str], str] = {}
    for axes in figure.axes:
        for line in axes.get_lines():
            if not str(line.get_label()).startswith("_"):
                found.setdefault(_look(line), str(line.get_label()))
    return found


def _panel(axes: Axes, names: Mapping[tuple[str, str, str], str]) -> Spec | None:
    drawn = [
        *_meshes(axes),
        *_bars(axes),
        *_bands(axes),
        *_segments(axes),
        *_points(axes),
        *_curves(axes, names),
    ]
    drawn = [layer for layer in drawn if layer[2]]
    if not drawn or sum(len(values) for _, _, values in drawn) > _PLOTTED:
        return None
    title = axes.get_title(loc="left") or axes.get_title()
    columns: dict[str, Spec] = {}
    layers = [
        {"mark": mark, "data": _shelve(columns, values), "encoding": extra}
        for mark, extra, values in drawn
    ]
    titles = {
        "x": " ".join(axes.get_xlabel().split()) or "x",
        "y": " ".join((axes.get_ylabel() or title).split()) or "y",
    }
    return {
        "title": title.split("\n"),
        "x": _axis(axes, "x"),
        "y": _axis(axes, "y"),
        "tip": titles,
        "columns": columns,
        "series": _legend(drawn),
        "layer": layers,
    }


def _shelve(columns: dict[str, Spec], values: Sequence[Mapping[str, Any]]) -> str:
    """Keep records as columns, and return their name.

    A constant column is kept as its value; equal records share one name.
    """
    packed: Spec = {k: [v[k] for v in values] for k in values[0]}
    packed = {
        k: v[0] if k in ("series", "colour") and len(set(v)) == 1 else v for k, v in packed.items()
    }
    for name, known in columns.items():
        if known == packed:
            return name
    columns[f"d{len(columns)}"] = packed
    return f"d{len(columns) - 1}"


def _legend(drawn: Sequence[tuple[Spec, Spec, list[Spec]]]) -> list[Spec]:
    """Names and looks of the series, for the legend that the page writes in HTML."""
    found: dict[str, Spec] = {}
    for mark, _, values in drawn:
        name = values[0]["series"] if values else ""
        if name and mark["type"] in ("line", "point") and name not in found:
            found[name] = {"name": name, "colour": mark["color"]}
    return list(found.values())


def _axis(axes: Axes, which: str) -> Spec:
    axis = axes.xaxis if which == "x" else axes.yaxis
    low, high = sorted(axes.get_xlim() if which == "x" else axes.get_ylim())
    scale = {"log": "log", "symlog": "symlog"}.get(axis.get_scale(), "linear")
    mapping = {
        "type": scale,
        "domain": [low, high],
        "nice": False,
        "reverse": bool(axis.get_inverted()),
    }
    if scale == "linear":
        mapping["zero"] = False
    spec: Spec = {"type": "quantitative", "title": axis.get_label_text() or None, "scale": mapping}
    formatter = axis.get_major_formatter()
    if isinstance(formatter, FixedFormatter | FuncFormatter):
        ticks = [t for t in axis.get_majorticklocs() if low <= t <= high]
        named = {
            f"{t:.12g}": n for t, n in zip(ticks, formatter.format_ticks(ticks), strict=True) if n
        }
        spec["axis"] = {
            "values": [float(t) for t in named],
            "labelExpr": f"{json.dumps(named, ensure_ascii=False)}[format(datum.value, '.12~g')]",
        }
    elif scale == "log":
        spec["axis"] = {"format": "~g", "tickCount": 5}
    return spec


def _colour(colour: Any) -> str:
    """Hexadecimal colour; blacks and greys of the house style become the ink of the page."""
    try:
        text = to_hex(colour)
    except ValueError:
        return INK
    red, green, blue = (int(text[i : i + 2], 16) for i in (1, 3, 5))
    return INK if max(red, green, blue) - min(red, green, blue) < 12 else text


def _in_data(artist: Artist, axes: Axes) -> tuple[bool, bool]:
    """Whether the coordinates of an artist are data, for x and for y.

    A line across the whole panel has one that is.
    """
    in_x, in_y = artist.get_transform().contains_branch_seperately(axes.transData)
    return bool(in_x), bool(in_y)


def _rows(name: str, **columns: Any) -> list[Spec]:
    arrays: list[np.ndarray] = [
        np.ma.filled(np.ma.asarray(c, dtype=float), np.nan) for c in columns.values()
    ]
    kept = zip(*arrays, strict=True)
    return [
        {"series": name, **dict(zip(columns, map(_short, r), strict=True))}
        for r in kept
        if np.isfinite(r).all()
    ]


def _short(x: float) -> float:
    return float(f"{x:.8g}")


def _curves(
    axes: Axes, names: Mapping[tuple[str, str, str], str]
) -> Iterator[tuple[Spec, Spec, list[Spec]]]:
    for line in axes.get_lines():
        label, look = str(line.get_label()), _look(line)
        name = names.get(look, "") if label.startswith("_") else label
        x, y = (np.asarray(v, dtype=float) for v in line.get_data(orig=False))
        in_x, in_y = _in_data(line, axes)
        if not (in_x and in_y):  # a reference line through the whole panel, at one x or at one y
            at, other, where = ("y", "x", y) if in_y else ("x", "y", x)
            values = (
                [{"series": name, at: _short(float(where[0]))}]
                if (in_x or in_y) and len(where)
                else []
            )
            yield {"type": "rule", "color": look[0], "opacity": 0.5}, {other: None}, values
            continue
        values = _rows(name, x=x, y=y)
        joined = look[2] not in ("None", "", " ")
        if joined and len(values) > 1:
            dash = {"strokeDash": _DASH[look[2]]} if look[2] in _DASH else {}
            order = {"order": {"field": "index", "type": "quantitative"}}
            yield {"type": "line", "color": look[0], "strokeWidth": 1.6, **dash}, order, values
        if values and not (name == "" and look[0] == INK):  # the diagonal and its like are no data
            seen = look[1] not in ("None", "", " ")
            shape = _SHAPE.get(look[1], "circle")
            yield (
                {**_POINT, "shape": shape, "color": look[0], "opacity": 1.0 if seen else 0.0},
                {},
                values,
            )


def _points(axes: Axes) -> Iterator[tuple[Spec, Spec, list[Spec]]]:
    for cloud in axes.collections:
        if isinstance(cloud, PathCollection) and np.size(cloud.get_offsets()):
            at = np.ma.getdata(cloud.get_offsets())
            label = str(cloud.get_label())
            cloud.update_scalarmappable()
            faces = cloud.get_facecolor() if len(cloud.get_facecolor()) else cloud.get_edgecolor()
            colours = [_colour(c) for c in faces] or [INK]
            values = _rows("" if label.startswith("_") else label, x=at[:, 0], y=at[:, 1])
            extra: Spec = {}
            if len(colours) == len(values) > 1:
                values = [{**v, "colour": c} for v, c in zip(values, colours, strict=True)]
                extra = {"color": {"field": "colour", "type": "nominal", "scale": None}}
            yield {**_POINT, "color": colours[0]}, extra, values


def _bands(axes: Axes) -> Iterator[tuple[Spec, Spec, list[Spec]]]:
    for area in axes.collections:
        if (
            not isinstance(area, PolyCollection)
            or isinstance(area, QuadMesh)
            or not all(_in_data(area, axes))
        ):
            continue
        for path in area.get_paths():
            corners = np.asarray(path.vertices)
            # `fill_between`: start, one side, end, the other side back, start
            half = (len(corners) - 3) // 2
            forth, back = corners[1 : half + 1], corners[half + 2 : 2 * half + 2][::-1]
            if half > 1 and len(forth) == len(back) and np.allclose(forth[:, 0], back[:, 0]):
                values = _rows("", x=forth[:, 0], y=forth[:, 1], y2=back[:, 1])
                face = area.get_facecolor()
                mark = {
                    "type": "area",
                    "color": _colour(face[0]) if len(face) else INK,
                    "opacity": 0.18,
                }
                yield mark, {"y2": {"field": "y2"}}, values


def _segments(axes: Axes) -> Iterator[tuple[Spec, Spec, list[Spec]]]:
    for group in axes.collections:
        if isinstance(group, LineCollection) and all(_in_data(group, axes)):
            ends = [np.asarray(s) for s in group.get_segments() if len(s) == 2]
            if ends:
                both = np.stack(ends)
                values = _rows(
                    "", x=both[:, 0, 0], y=both[:, 0, 1], x2=both[:, 1, 0], y2=both[:, 1, 1]
                )
                mark = {"type": "rule", "color": _colour(group.get_color()[0])}
                yield mark, {"x2": {"field": "x2"}, "y2": {"field": "y2"}}, values


def _bars(axes: Axes) -> Iterator[tuple[Spec, Spec, list[Spec]]]:
    names = {
        id(bar): str(group.get_label())
        for group in axes.containers
        for bar in group
        if isinstance(bar, Rectangle)
    }
    for bar in axes.patches:
        if (
            isinstance(bar, Rectangle)
            and all(_in_data(bar, axes))
            and bar.get_width()
            and bar.get_height()
        ):
            (left, low), (right, high) = (
                bar.get_xy(),
                (bar.get_x() + bar.get_width(), bar.get_y() + bar.get_height()),
            )
            name = names.get(id(bar), str(bar.get_label()))
            values = _rows(
                "" if name.startswith("_") else name, x=[left], y=[high], x2=[right], y2=[low]
            )
            yield (
                {"type": "rect", "color": _colour(bar.get_facecolor())},
                {"x2": {"field": "x2"}, "y2": {"field": "y2"}},
                values,
            )


def _meshes(axes: Axes) -> Iterator[tuple[Spec, Spec, list[Spec]]]:
    for mesh in axes.collections:
        if isinstance(mesh, QuadMesh) and mesh.get_array() is not None:
            corners = np.asarray(mesh.get_coordinates())
            level: np.ndarray = np.ma.filled(
                np.ma.asarray(mesh.get_array(), float), np.nan
            ).reshape(np.subtract(corners.shape[:2], 1))
            low, high = corners[:-1, :-1], corners[1:, 1:]
            mesh.update_scalarmappable()
            faces: Any = mesh.get_facecolor()
            colours = [to_hex(c) for c in faces]
            rows = zip(
                low.reshape(-1, 2), high.reshape(-1, 2), level.ravel(), colours, strict=False
            )
            values = [
                {
                    "series": f"{v:.4g}",
                    "x": _short(a[0]),
                    "y": _short(a[1]),
                    "x2": _short(b[0]),
                    "y2": _short(b[1]),
                    "colour": c,
                }
                for a, b, v, c in rows
                if np.isfinite(v)
            ]
            colour = {"color": {"field": "colour", "type": "nominal", "scale": None}}
            yield {"type": "rect"}, {"x2": {"field": "x2"}, "y2": {"field": "y2"}, **colour}, values
