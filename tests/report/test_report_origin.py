"""A site from the gallery alone is whole, results of one's own come first, damage is told."""

import json
import re
import shutil
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest

from theorylab import papers
from theorylab.lab import Claim, Evidence, Runner, Store
from theorylab.lab.replication import replicate
from theorylab.lab.replication_file import record_of_replication, write_replication
from theorylab.report import Sources
from theorylab.report.origin import judge
from theorylab.report.overview import index_page
from theorylab.report.paper_page import paper_page
from theorylab.report.room import furnish
from theorylab.report.stock import take_stock
from theorylab.report.verdicts import bound_text, measured_text, value_text

GALLERY = Path(__file__).parents[2] / "figures"


@pytest.fixture
def gallery(toy_run, tmp_path):
    """The gallery of the toy paper, with nothing else."""
    shutil.copytree(toy_run / "figures", tmp_path / "figures")
    return tmp_path / "figures"


def shown(paper, gallery, target, store="none"):
    return furnish(paper, "quick", 0, Sources(Path(store), gallery), target / "pages")


def text_of(page):
    page = re.sub(r'<span class="tl-whole">([^<]*)</span>', r"\1", page)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


def test_a_site_without_results_has_all_that_the_one_with_results_has(
    gallery, toy_paper, toy_run, tmp_path
):
    kept = shown(toy_paper, gallery, tmp_path)
    own = shown(toy_paper, gallery, tmp_path / "own", toy_run / "results")
    assert kept.counts == own.counts == [("holds", "2 hold")] and not kept.faults
    assert kept.origins == {"gallery": (1, 2)} and own.origins == {"store": (1, 2)}
    for name in ("toy_fig1.csv", "toy_fig1.js", "toy_fig1.webp", "toy_fig1.dark.webp"):
        same = [(f / "pages" / name).read_bytes() for f in (tmp_path, tmp_path / "own")]
        assert same[0] == same[1], name
    assert [c["evidence"] for c in kept.claims] == [c["evidence"] for c in own.claims]
    assert [c["controls"] for c in kept.claims] == [c["controls"] for c in own.claims]
    page = paper_page(kept)
    assert "not computed" not in page and "those of the committed gallery: commit" in page
    assert "theorylab reproduce toy --preset quick --figure toy_fig1" in page


@pytest.mark.long
@pytest.mark.parametrize("slug", list(papers.rooms()))
def test_the_committed_gallery_shows_every_verdict_number_bound_and_control(slug, tmp_path):
    paper = papers.get(slug)
    preset = paper.preset("quick")
    stock = take_stock(paper, preset, Store(tmp_path))
    found = judge(paper, preset, stock, GALLERY)
    assert found.faults == () and [c["id"] for c in found.record["claims"]] == [
        c.id for c in paper.claims
    ]
    drawn = replace(paper, figures=())  # drawing is the other test's
    page = text_of(paper_page(shown(drawn, GALLERY, tmp_path)))
    assert "not computed" not in page
    for claim in found.record["claims"]:
        assert claim["id"] in page
        declared = next(c for c in paper.claims if c.id == claim["id"])
        if preset.name not in declared.presets:
            assert claim["status"] == "skipped"
            continue
        assert claim["origin"] == "gallery" and claim["evidence"], claim["id"]
        assert set(claim["controls"]) == set(declared.controls)
        for e in claim["evidence"]:
            assert value_text(e) in page and " ".join(bound_text(e).split()) in page, e
        for name in claim["controls"]:
            assert " ".join(name.split()) in page, name


@pytest.mark.long
def test_every_figure_of_the_committed_gallery_is_drawn_with_its_charts(tmp_path):
    for paper in papers.rooms().values():
        room = shown(paper, GALLERY, tmp_path / paper.slug)
        assert not room.faults and all(d.there and d.rows for d in room.drawings), paper.slug
        assert "none" not in room.origins and not room.stale, paper.slug
        assert any(d.panels for d in room.drawings), paper.slug


def test_older_results_stand_behind_the_gallery_and_before_an_older_one(
    gallery, toy_paper, toy_run, tmp_path, monkeypatch
):
    monkeypatch.setattr("theorylab.lab.runner.fingerprint", lambda module: "other code")
    room = shown(toy_paper, gallery, tmp_path, toy_run / "results")
    assert room.origins == {"gallery": (1, 2)} and not room.stale
    monkeypatch.setattr("theorylab.lab.reproduce.fingerprint", lambda function: "other code")
    room = shown(toy_paper, gallery, tmp_path, toy_run / "results")
    assert room.origins == {"store": (1, 2)} and room.stale == 3
    room = shown(toy_paper, gallery, tmp_path)
    assert room.origins == {"gallery": (1, 2)} and room.stale == 3
    assert ">of older code<" in paper_page(room)


def test_what_comes_from_where_is_told_when_both_have_a_part(gallery, toy_paper, toy_run, tmp_path):
    shutil.copytree(toy_run / "results" / "toy" / "squares", tmp_path / "store" / "toy" / "squares")
    room = shown(toy_paper, gallery, tmp_path, tmp_path / "store")
    assert room.origins == {"store": (1, 1), "gallery": (0, 1)}
    page = text_of(paper_page(room))
    assert "1 figures and 1 claims are those of your results." in page
    assert "0 figures and 1 claims are those of the committed gallery: commit" in page
    assert "from the committed gallery" in page and "from your results" in page


def test_damaged_files_of_the_gallery_are_named_and_never_believed(
    gallery, toy_paper, toy_run, tmp_path
):
    folder = gallery / "toy"
    numbers, claims = folder / "toy_fig1.csv", folder / "claims.json"
    numbers.write_text(numbers.read_text().replace("9", "7"))
    claims.write_text(claims.read_text().replace('"rejected"', '"accepted"'))
    room = shown(toy_paper, gallery, tmp_path)
    page, index = paper_page(room), index_page("# x", {"toy": "A toy"}, {"toy": room}, "made")
    assert room.counts == [("missing", "2 not computed")] and len(room.faults) == 2
    for name in ("toy_fig1.csv", "claims.json"):
        assert f"{name} is missing, damaged or was changed by hand" in page
    assert 'tl-bad">damaged' in page and 'tl-bad">damaged files' in index
    assert "no claim fails" not in index and not (tmp_path / "pages" / "toy_fig1.csv").exists()
    own = shown(toy_paper, gallery, tmp_path, toy_run / "results")
    assert own.counts == [("holds", "2 hold")] and own.drawings[0].there


def test_a_damaged_replication_is_named_and_the_verdict_of_the_run_stands(
    gallery, toy_paper, toy_run, tmp_path
):
    found = replicate(
        toy_paper, toy_paper.preset("quick"), Runner(Store(toy_run / "results")), (101, 102)
    )
    path = write_replication(record_of_replication(found), gallery / "toy")
    assert shown(toy_paper, gallery, tmp_path).replicated == "replicated over 2 base seeds"
    path.write_text(path.read_text().replace('"held": 2', '"held": 1'))
    room = shown(toy_paper, gallery, tmp_path)
    assert len(room.faults) == 1 and "replication.json is damaged" in room.faults[0]
    assert room.counts == [("holds", "2 hold")] and room.replicated == ""


def test_a_claim_that_the_gallery_does_not_know_is_not_computed(gallery, toy_paper, tmp_path):
    one = lambda value: lambda *_: [Evidence("x", value, 0.0, 1.0)]  # noqa: E731
    new = Claim("new", "x is at most 1", "here", ("squares",), one(0.5), {"two": one(2.0)})
    paper = replace(toy_paper, claims=(*toy_paper.claims, new))
    room = shown(paper, gallery, tmp_path)
    assert room.tally == {"holds": 2, "missing": 1} and room.claims[-1]["origin"] == "none"
    index = index_page("# x", {"toy": "A toy"}, {"toy": room}, "made")
    assert "incomplete: 1 claims not computed" in index and "no claim fails" not in index


def test_a_failing_claim_of_the_gallery_is_red(toy_run, broken_paper, tmp_path):
    from theorylab.lab.reproduce import reproduce

    runner = Runner(Store(toy_run / "results"))
    reproduce(broken_paper, broken_paper.preset("quick"), runner, tmp_path / "red")
    room = shown(broken_paper, tmp_path / "red", tmp_path)
    assert room.failing and room.origins == {"gallery": (1, 3)}
    assert "failing: toy" in index_page("# x", {"toy": "A toy"}, {"toy": room}, "made")


def test_a_picture_of_the_gallery_is_never_read(gallery, toy_paper, tmp_path):
    for path in gallery.rglob("*.png"):
        path.write_bytes(b"junk")
    room = shown(toy_paper, gallery, tmp_path)
    assert not room.faults and room.drawings[0].there


def test_the_record_of_another_preset_is_not_shown(gallery, toy_paper, tmp_path):
    path = gallery / "toy" / "claims.json"
    assert json.loads(path.read_text())["preset"] == "quick"
    room = furnish(toy_paper, "full", 0, Sources(Path("none"), gallery), tmp_path)
    assert room.origins == {"none": (1, 2)}
    assert "not computed" in paper_page(room) and measured_text(
        json.loads(path.read_text())["claims"][0]["evidence"][0]
    ) not in text_of(paper_page(room))
