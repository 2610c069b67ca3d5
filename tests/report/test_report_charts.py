import json

import numpy as np

from theorylab.plotting import band, panels
from theorylab.report import charts


def points(panel):
    return [
        panel["columns"][layer["data"]]
        for layer in panel["layer"]
        if layer["mark"]["type"] == "point"
    ]


def test_a_curve_keeps_its_values_name_and_colour():
    figure, axes = panels(1)
    axes[0, 0].plot([1.0, 10.0, 100.0], [0.5, 0.25, 0.125], label="ours", color="#0072B2")
    axes[0, 0].set(xscale="log", xlabel="n", ylabel="risk", title="Risk")
    (panel,) = charts(figure)
    (found,) = points(panel)
    assert found == {"series": "ours", "x": [1.0, 10.0, 100.0], "y": [0.5, 0.25, 0.125]}
    assert panel["x"]["scale"]["type"] == "log" and panel["tip"] == {"x": "n", "y": "risk"}
    assert panel["series"] == [{"name": "ours", "colour": "#0072b2"}] and panel["title"] == ["Risk"]


def test_gaps_bands_bars_scatter_and_heat_maps_become_marks():
    figure, axes = panels(3, 2)
    axes[0, 0].plot([1, 2, 3], [1.0, np.nan, 3.0])
    band(axes[0, 1], [1.0, 2.0, 3.0], [0, 1, 2], [1, 2, 3], "#E69F00")
    axes[0, 2].bar([1, 2], [3.0, 4.0], label="bars")
    axes[1, 0].scatter([1, 2], [3, 4], c=[0.1, 0.9])
    axes[1, 1].pcolormesh(np.arange(3.0), np.arange(3.0), [[1.0, 2.0], [3.0, np.nan]])
    axes[1, 2].errorbar([1, 2], [3, 4], yerr=[0.5, 0.5])
    kinds = [[layer["mark"]["type"] for layer in panel["layer"]] for panel in charts(figure)]
    assert kinds == [
        ["line", "point"],
        ["area"],
        ["rect", "rect"],
        ["point"],
        ["rect"],
        ["rule", "line", "point"],
    ]
    gap, area, bars, scatter, mesh, _ = charts(figure)
    assert gap["columns"]["d0"]["x"] == [1.0, 3.0]
    assert area["columns"]["d0"]["y2"] == [1.0, 2.0, 3.0] or area["columns"]["d0"]["y"] == [
        1.0,
        2.0,
        3.0,
    ]
    assert bars["columns"]["d0"] == {
        "series": "bars",
        "x": [0.6],
        "y": [3.0],
        "x2": [1.4],
        "y2": [0.0],
    }
    assert len(set(scatter["columns"]["d0"]["colour"])) == 2
    assert mesh["columns"]["d0"]["series"] == ["1", "2", "3"]  # the missing entry is left out


def test_reference_lines_are_rules_and_black_is_the_ink_of_the_page():
    figure, axes = panels(1)
    axes[0, 0].axhline(0.5, color="black")
    axes[0, 0].axvline(2.0, color="red")
    axes[0, 0].plot([0, 1], [0, 1], color="black", marker="", ls=":")  # the diagonal is no data
    (panel,) = charts(figure)
    kinds = [
        (layer["mark"]["type"], layer["mark"]["color"], layer["encoding"])
        for layer in panel["layer"]
    ]
    assert kinds[:2] == [("rule", "ink", {"x": None}), ("rule", "#ff0000", {"y": None})]
    assert [k[0] for k in kinds[2:]] == ["line"]
    assert panel["columns"]["d0"] == {"series": "", "y": [0.5]}


def test_a_panel_without_a_legend_names_its_curves_as_its_neighbour_does():
    figure, axes = panels(2)
    for axis, label in zip(axes[0], ("GCV", None), strict=True):
        axis.plot([1, 2], [3, 4], color="#009E73", marker="s", label=label)
    assert [points(p)[0]["series"] for p in charts(figure)] == ["GCV", "GCV"]


def test_ticks_with_names_keep_them_and_huge_or_empty_panels_are_left_to_the_picture():
    figure, axes = panels(3)
    axes[0, 0].plot([0, 1], [1, 2])
    axes[0, 0].set_xticks([0, 1], ["before", "after"])
    axes[0, 1].plot(np.arange(3000.0), np.arange(3000.0))
    named = charts(figure)
    assert len(named) == 1 and named[0]["x"]["axis"]["values"] == [0.0, 1.0]
    assert json.loads(named[0]["x"]["axis"]["labelExpr"].split("[format")[0]) == {
        "0": "before",
        "1": "after",
    }


def test_charts_are_plain_json():
    figure, axes = panels(1)
    axes[0, 0].plot(np.float32([1, 2]), np.int64([3, 4]))
    axes[0, 0].invert_yaxis()
    assert (
        json.loads(json.dumps(charts(figure), allow_nan=False))[0]["y"]["scale"]["reverse"] is True
    )
