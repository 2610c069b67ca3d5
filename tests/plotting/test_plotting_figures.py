from pathlib import Path

import pytest
from figure_checker import Finding, findings

from theorylab import papers
from theorylab.lab import Table
from theorylab.plotting import house_style, panels

GALLERY = Path(__file__).parents[2] / "figures"
DRAWN = [
    pytest.param(slug, figure, csv, id=f"{csv.relative_to(GALLERY).with_suffix('')}")
    for slug, paper in papers.rooms().items()
    for figure in paper.figures
    for csv in (
        GALLERY / slug / f"{figure.name}.csv",
        GALLERY / slug / "medium" / f"{figure.name}.csv",
    )
    if csv.is_file()
]
# What a figure may do all the same, and why: (figure, kind). An entry that nothing needs any more
# fails the test.
ALLOWED: dict[tuple[str, str], str] = {}


@pytest.mark.long
@pytest.mark.parametrize(("slug", "figure", "csv"), DRAWN)
def test_a_reader_finds_nothing_wrong_with_a_figure(slug, figure, csv):
    with house_style():
        found = findings(
            figure.draw(Table.from_csv(csv.read_text())), f"{figure.caption} {figure.differs}"
        )
    allowed = {kind for name, kind in ALLOWED if name == figure.name}
    assert [f for f in found if f.kind not in allowed] == []


def test_every_exception_is_needed():
    needed = set()
    for _, figure, csv in (p.values for p in DRAWN):
        if figure.name in {name for name, _ in ALLOWED}:
            with house_style():
                found = findings(
                    figure.draw(Table.from_csv(csv.read_text())),
                    f"{figure.caption} {figure.differs}",
                )
            needed |= {(figure.name, f.kind) for f in found}
    assert set(ALLOWED) <= needed


def kinds(figure, caption=""):
    return {f.kind for f in findings(figure, caption)}


@pytest.fixture
def plain():
    with house_style():
        figure, axes = panels(2)
        for axis in axes[0]:
            axis.plot([0, 1, 2], [0.1, 0.5, 0.2], label="one")
            axis.set(xlabel="size", xticks=[0, 1, 2])
        yield figure, axes[0]


def test_a_plain_figure_has_no_findings(plain):
    assert findings(plain[0], "") == []


def spoil_overlap(figure, axes):
    axes[0].text(0.5, 0.5, "first words", transform=axes[0].transAxes)
    axes[0].text(0.55, 0.5, "second words", transform=axes[0].transAxes)


def spoil_titles(figure, axes):
    axes[0].set_title("a title that is much too long for its panel and runs on")
    axes[1].set_title("its neighbour")


def spoil_cut(figure, axes):
    figure.text(0.99, 0.5, "over the edge")


def spoil_small(figure, axes):
    axes[0].text(1, 0.3, "tiny", fontsize=6.9)


def spoil_repeated(figure, axes):
    axes[0].plot([0, 1, 2], [0.2, 0.3, 0.1], label="one")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center")


def spoil_alike(figure, axes):
    axes[0].plot([0, 1, 2], [0.2, 0.3, 0.1], color="C0", marker="o", ls="--", label="two")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center")


def spoil_missing(figure, axes):
    axes[0].plot([0, 1, 2], [0.2, 0.3, 0.1], color="#E69F00")


def spoil_covered(figure, axes):
    axes[0].legend(loc="upper center")


def spoil_dotted(figure, axes):
    axes[0].axhline(0.3, color="grey", ls=":")


def spoil_open(figure, axes):
    axes[0].plot([1], [0.2], ls="none", color="#0072B2", marker="o", mfc="none")
    axes[0].plot([1], [0.3], ls="none", color="#0072B2", marker="s")


def spoil_band(figure, axes):
    axes[0].fill_between([0, 1], 0.1, 0.2, alpha=0.2)


def spoil_bars(figure, axes):
    axes[0].errorbar([0, 1], [0.2, 0.3], yerr=0.1, color="C0", marker="o")


def spoil_ticks(figure, axes):
    axes[0].set_xticks([0, 0.5, 1.5])


def spoil_blank(figure, axes):
    axes[1].set_visible(False)


@pytest.mark.long
@pytest.mark.parametrize(
    ("spoil", "kind"),
    [
        (spoil_overlap, "overlap"),
        (spoil_titles, "overlap"),
        (spoil_cut, "cut"),
        (spoil_small, "small"),
        (spoil_repeated, "legend"),
        (spoil_alike, "legend"),
        (spoil_missing, "legend"),
        (spoil_covered, "covered"),
        (spoil_dotted, "style"),
        (spoil_open, "style"),
        (spoil_band, "style"),
        (spoil_bars, "style"),
        (spoil_ticks, "ticks"),
        (spoil_blank, "blank"),
    ],
)
def test_each_fault_is_found(plain, spoil, kind):
    spoil(*plain)
    assert kind in kinds(plain[0])


def test_a_caption_explains_a_style_and_a_legend_names_a_series(plain):
    figure, axes = plain
    spoil_dotted(figure, axes)
    axes[0].plot([0, 1, 2], [0.2, 0.3, 0.1], color="#E69F00", label="two")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center")
    assert kinds(figure) == {"style"} and kinds(figure, "Dotted: chance.") == set()


def test_turned_labels_side_by_side_do_not_overlap(plain):
    figure, axes = plain
    axes[0].set_xticks([0, 1, 2], [f"a long label {i}" for i in range(3)], rotation=40, ha="right")
    upright = [f for f in findings(figure, "") if f.kind == "overlap"]
    axes[0].set_xticks(
        [0, 1, 2], [f"a very much longer label {i}" for i in range(3)], rotation=0, ha="center"
    )
    assert upright == [] and any(
        isinstance(f, Finding) and f.kind == "overlap" for f in findings(figure, "")
    )
