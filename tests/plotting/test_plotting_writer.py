import hashlib
import io
import json

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from theorylab.files import intact_record
from theorylab.lab import Table
from theorylab.plotting import (
    COLOURS,
    MARKERS,
    band,
    diagonal,
    house_style,
    legend_below,
    panels,
    ramp,
    sample_axis,
    shared_legend,
    whole_ticks,
    write_figure,
)


@pytest.fixture
def table():
    out = Table("n", "risk")
    for n in (125, 250, 2000):
        out.add(n=n, risk=1 / n)
    return out


def draw(table):
    figure, axes = panels(2, sharey=True)
    axes[0, 0].plot(table["n"], table["risk"])
    diagonal(axes[0, 1], 0, 1)
    band(axes[0, 1], table["n"], table["risk"] * 0.9, table["risk"] * 1.1, COLOURS[0])
    sample_axis(axes[0, 0], table["n"])
    return figure


def test_a_figure_is_five_files_and_the_csv_holds_the_plotted_numbers(tmp_path, table):
    paths = write_figure(tmp_path / "toy", "fig", table, draw, {"seed": 3})
    assert sorted(p.name for p in paths) == [
        "fig.csv",
        "fig.dark.png",
        "fig.json",
        "fig.pdf",
        "fig.png",
    ]
    assert sorted(p.name for p in (tmp_path / "toy").iterdir()) == sorted(p.name for p in paths)
    assert (tmp_path / "toy/fig.csv").read_text() == "n,risk\n125,0.008\n250,0.004\n2000,0.0005\n"
    record = json.loads((tmp_path / "toy/fig.json").read_text())
    content = (tmp_path / "toy/fig.csv").read_bytes()
    assert record["seed"] == 3 and intact_record(record)
    assert record["csv_sha256"] == hashlib.sha256(content).hexdigest()
    assert (tmp_path / "toy/fig.pdf").read_bytes().startswith(b"%PDF")


def test_light_and_dark_pictures_have_the_paper_of_their_mode_and_the_same_size(tmp_path, table):
    write_figure(tmp_path, "fig", table, draw, {})
    light, dark = (Image.open(tmp_path / f"fig{mode}.png").convert("RGB") for mode in ("", ".dark"))
    assert light.size == dark.size
    inches = [Image.open(tmp_path / f"fig{mode}.png").info["dpi"][0] for mode in ("", ".dark")]
    assert inches == pytest.approx([144, 144], abs=0.1)  # pages show them by the inch
    assert light.getpixel((1, 1)) == (255, 255, 255) and sum(dark.getpixel((1, 1))) < 120


@pytest.mark.long
def test_the_same_table_gives_the_same_bytes(tmp_path, table):
    first, second = (
        {p.name: p.read_bytes() for p in write_figure(tmp_path / d, "fig", table, draw, {})}
        for d in "ab"
    )
    assert first == second


def test_the_style_does_not_leak_into_other_figures():
    before = dict(mpl.rcParams)
    with house_style("dark"):
        assert mpl.rcParams["axes.facecolor"] != before["axes.facecolor"]
    assert dict(mpl.rcParams) == before


def test_sizes_are_the_ticks_of_a_sample_axis(table):
    figure = draw(table)
    figure.savefig(io.BytesIO())
    labels = [t.get_text() for t in figure.axes[0].get_xticklabels()]
    assert sorted(labels, key=float) == ["125", "250", "2000"]


def test_neighbouring_colours_differ_in_grey_and_every_series_has_its_own_marker():
    grey = np.array([mpl.colors.to_rgb(c) for c in COLOURS]) @ [0.299, 0.587, 0.114]
    assert np.abs(np.diff(grey)).min() > 0.1 and len(set(MARKERS)) == len(COLOURS)
    assert len(set(ramp(5))) == 5


def test_a_palette_of_256_colours_changes_no_picture_to_the_eye(tmp_path, table):
    write_figure(tmp_path, "fig", table, draw, {})
    out = io.BytesIO()
    with house_style():
        draw(table).savefig(out, format="png", dpi=144)
    written, full = (
        np.asarray(Image.open(f).convert("RGB"), int) for f in (tmp_path / "fig.png", out)
    )
    # a page shows seven inches on 700 pixels
    assert written.shape == full.shape and written.shape[1] == 1008
    assert (np.abs(written - full).max(-1) > 24).mean() < 2e-3
    assert (tmp_path / "fig.png").stat().st_size < 0.6 * len(out.getvalue())


def test_an_axis_that_counts_has_whole_ticks():
    _, axes = panels(1)
    axes[0, 0].plot(range(4), [0.1, 0.2, 0.3, 0.4])
    assert (axes[0, 0].get_xticks() % 1).any()
    whole_ticks(axes[0, 0].xaxis)
    assert not (axes[0, 0].get_xticks() % 1).any()


@pytest.mark.parametrize("spare", [False, True])
def test_a_shared_legend_has_what_any_panel_draws_and_each_label_once(spare):
    figure, axes = panels(3)
    for axis, labels in zip(axes[0], (("a", "b"), ("b", "c"), ()), strict=True):
        for label in labels:
            axis.plot([0, 1], [0, 1], label=label)
    shared_legend(figure, axes[0, :2], 3, spare=axes[0, 2:] if spare else ())
    legend = axes[0, 2].get_legend() if spare else figure.legends[0]
    assert [t.get_text() for t in legend.get_texts()] == ["a", "b", "c"]
    assert axes[0, 2].axison != spare


def test_a_legend_below_covers_no_data():
    with house_style():
        figure, axes = panels(1)
        axes[0, 0].plot([0, 1], [0, 1], label="a")
        legend_below(axes[0, 0], 1)
        figure.draw_without_rendering()
    assert axes[0, 0].get_legend().get_window_extent().ymax < axes[0, 0].bbox.ymin
