import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from theorylab import papers
from theorylab.errors import InputError
from theorylab.lab import PRESETS, Experiment, Figure, Paper, Preset
from theorylab.lab.gallery_files import kept_claims, kept_figure

ROOMS = list(papers.rooms().values())
GALLERY = Path(__file__).parents[2] / "figures"


def test_every_paper_is_either_built_or_planned():
    both = set(papers.rooms()) & set(papers.PLANNED)
    assert not both, f"built: delete the entry in theorylab/papers/planned.py of {sorted(both)}"
    assert len(papers.titles()) >= 17, "a planned paper was dropped without a room"
    assert list(papers.titles()) == [*papers.rooms(), *papers.PLANNED]


@pytest.mark.parametrize(("slug", "paper"), papers.PLANNED.items())
def test_a_planned_paper_has_a_name_a_title_and_a_summary(slug, paper):
    assert slug.isidentifier() and paper.title and paper.summary.endswith(".")


def test_an_unknown_a_planned_and_a_built_paper_are_told_apart(monkeypatch):
    first = next(iter(papers.rooms()))
    coming = {"later": papers.Planned("Later", "It will say."), first: papers.Planned("Old", "Old")}
    monkeypatch.setattr(papers, "PLANNED", coming)
    with pytest.raises(InputError, match="unknown paper 'nope'"):
        papers.get("nope")
    with pytest.raises(InputError, match="planned and not implemented yet"):
        papers.get("later")
    assert papers.get(first) is papers.rooms()[first]
    assert papers.titles()[first] == papers.rooms()[first].title  # a room counts before a plan
    assert papers.titles()["later"] == "Later"


def test_a_room_is_had_without_the_others():
    program = (
        "import sys; from theorylab import papers; papers.get('dp_online');"
        "print([name for name in sys.modules if name.startswith('theorylab.papers.tct')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


@pytest.mark.parametrize("paper", ROOMS, ids=lambda p: p.slug)
def test_the_committed_gallery_is_whole_and_small(paper):
    for figure in paper.figures:
        for suffix in ("csv", "png", "json"):
            path = GALLERY / paper.slug / f"{figure.name}.{suffix}"
            assert path.is_file() and path.stat().st_size < 150_000, path.name
    assert (GALLERY / paper.slug / "claims.json").is_file()


@pytest.mark.parametrize("paper", ROOMS, ids=lambda p: p.slug)
def test_the_committed_gallery_can_be_read_back_and_has_every_figure_and_claim(paper):
    preset = paper.preset("quick")
    for figure in paper.figures:
        kept = kept_figure(paper, figure, preset, GALLERY)
        assert kept is not None and kept.numbers, figure.name
    kept = kept_claims(paper, preset, GALLERY)
    assert kept is not None
    assert {c["id"] for c in kept.record["claims"]} == {c.id for c in paper.claims}


def test_git_keeps_no_picture_that_is_drawn_again_from_the_numbers():
    listed = ["git", "-C", str(GALLERY), "ls-files", "*.pdf", "*.dark.png"]
    found = subprocess.run(listed, capture_output=True, text=True)
    if found.returncode != 0:
        pytest.skip("not a checkout of git")
    assert found.stdout.split() == [], "git rm --cached these; `theorylab redraw` makes them"


def test_seventeen_galleries_of_this_size_are_less_than_fifteen_megabytes():
    drawn_again = (".pdf", ".dark.png")  # not kept in git
    kept = [p for p in GALLERY.rglob("*.*") if p.is_file() and not p.name.endswith(drawn_again)]
    size = sum(p.stat().st_size for p in kept if not p.name.startswith("."))
    assert size / len(ROOMS) < 15e6 / 17


def presets(**values):
    return {name: Preset(name, values) for name in PRESETS}


def blank(**changes):
    return replace(Paper("p", "t", "a", "v", "x", presets(n=1)), **changes)


def test_a_paper_that_does_not_hang_together_cannot_be_declared():
    cells = Experiment("e", print, lambda p: [])
    figure = Figure("f", "t", "ours", ("e",), lambda r, p: None, lambda t: None, "c")
    with pytest.raises(ValueError, match="share a name"):
        blank(experiments=(cells, cells))
    with pytest.raises(ValueError, match="f needs unknown experiments"):
        blank(figures=(figure,))
    with pytest.raises(ValueError, match="presets must be"):
        blank(presets={"quick": Preset("quick", {})})
    with pytest.raises(ValueError, match="do not set the same values"):
        blank(presets={**presets(n=1), "full": Preset("full", {"m": 1})})
