import re
from dataclasses import replace
from pathlib import Path

import pytest

from theorylab import papers
from theorylab.errors import InputError
from theorylab.lab import PRESETS, Experiment, Figure, Paper, Preset
from theorylab.lab.runner import check_data, make_task

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
        for suffix in ("csv", "png", "dark.png", "pdf", "json"):
            assert (GALLERY / paper.slug / f"{figure.name}.{suffix}").is_file(), (
                f"{figure.name}.{suffix}"
            )
        for suffix in ("csv", "png", "dark.png"):
            assert (GALLERY / paper.slug / f"{figure.name}.{suffix}").stat().st_size < 150_000
    assert (GALLERY / paper.slug / "claims.json").is_file()


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
    words = (
        r"\b(19|20)\d\d\b|Theorem|Lemma|Proposition|Corollary|Eq\.|Fig|Table|Section|abstract"
        r"|[oO]ur |Algorithm"
    )
    assert re.search(words, claim.source), claim.source
    assert not re.search(r"dossier|issue|prototype|TODO", claim.source, re.IGNORECASE), claim.source
