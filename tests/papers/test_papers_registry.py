import re
from dataclasses import replace
from pathlib import Path

import pytest

from theorylab import papers
from theorylab.errors import InputError
from theorylab.lab import PRESETS, Experiment, Figure, Paper, Preset
from theorylab.lab.gallery_files import kept_claims, kept_figure
from theorylab.lab.runner import check_data, make_task

ROOMS = list(papers.rooms().values())
GALLERY = Path(__file__).parents[2] / "figures"


def test_the_seventeen_papers_have_titles_and_every_room_is_one_of_them():
    assert len(papers.TITLES) == 17 and set(papers.rooms()) <= set(papers.TITLES)
    assert all(
        slug == room.slug and room.title == papers.TITLES[slug]
        for slug, room in papers.rooms().items()
    )


def test_an_unknown_and_a_planned_paper_are_told_apart():
    with pytest.raises(InputError, match="unknown paper 'nope'"):
        papers.get("nope")
    planned = next(slug for slug in papers.TITLES if slug not in papers.rooms())
    with pytest.raises(InputError, match="planned and not implemented yet"):
        papers.get(planned)


@pytest.mark.parametrize(
    ("paper", "preset"),
    [pytest.param(p, name, id=f"{p.slug}-{name}") for p in ROOMS for name in p.presets],
)
def test_every_cell_of_every_preset_has_a_key_of_its_own(paper, preset):
    chosen = paper.preset(preset)
    for experiment in paper.experiments:
        keys = [make_task(paper, experiment.name, cell).key for cell in experiment.cells(chosen)]
        assert keys and len(set(keys)) == len(keys), experiment.name


@pytest.mark.parametrize("paper", ROOMS, ids=lambda p: p.slug)
def test_smoke_needs_no_download(paper, monkeypatch, tmp_path):
    monkeypatch.setenv("THEORYLAB_DATA", str(tmp_path))
    check_data(paper, paper.preset("smoke"), [e.name for e in paper.experiments])


@pytest.mark.parametrize("paper", ROOMS, ids=lambda p: p.slug)
def test_a_missing_data_set_is_one_error_with_the_fetch_command(paper, monkeypatch, tmp_path):
    monkeypatch.setenv("THEORYLAB_DATA", str(tmp_path))
    needs_data = [e.name for e in paper.experiments if e.data(paper.preset("full"))]
    if needs_data:
        with pytest.raises(InputError, match=r"fetch it: theorylab data fetch \w+"):
            check_data(paper, paper.preset("full"), needs_data)


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


@pytest.mark.parametrize(
    "claim", [pytest.param(c, id=f"{p.slug}-{c.id}") for p in ROOMS for c in p.claims]
)
def test_the_source_of_a_claim_can_be_found(claim):
    """A paper (its year or its figure, theorem, table, section, abstract), or a derivation or check
    of ours."""
    words = r"\b(19|20)\d\d\b|Theorem|Lemma|Proposition|Corollary|Eq\.|Fig|Table|Section|abstract|[oO]ur |Algorithm"
    assert re.search(words, claim.source), claim.source
    assert not re.search(r"dossier|issue|prototype|TODO", claim.source, re.IGNORECASE), claim.source
