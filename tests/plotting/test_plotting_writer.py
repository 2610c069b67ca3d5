import io
import json

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from theorylab.lab import Table
from theorylab.plotting import COLOURS, MARKERS, band, diagonal, house_style, panels, ramp, sample_axis, write_figure


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
    assert sorted(p.name for p in paths) == ["fig.csv", "fig.dark.png", "fig.json", "fig.pdf", "fig.png"]
    assert sorted(p.name for p in (tmp_path / "toy").iterdir()) == sorted(p.name for p in paths)
    assert (tmp_path / "toy/fig.csv").read_text() == "n,risk\n125,0.008\n250,0.004\n2000,0.0005\n"
    assert json.loads((tmp_path / "toy/fig.json").read_text()) == {"seed": 3}
    assert (tmp_path / "toy/fig.pdf").read_bytes().startswith(b"%PDF")


def test_light_and_dark_pictures_have_the_paper_of_their_mode_and_the_same_size(tmp_path, table):
    write_figure(tmp_path, "fig", table, draw, {})
    light, dark = (Image.open(tmp_path / f"fig{mode}.png").convert("RGB") for mode in ("", ".dark"))
    assert light.size == dark.size
    assert light.getpixel((1, 1)) == (255, 255, 255) and sum(dark.getpixel((1, 1))) < 120


def test_the_same_table_gives_the_same_bytes(tmp_path, table):
    first, second = ({p.name: p.read_bytes() for p in write_figure(tmp_path / d, "fig", table, draw, {})} for d in "ab")
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
