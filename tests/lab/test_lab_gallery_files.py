"""The gallery read back: what was written counts, and nothing else."""

import json
import shutil
from dataclasses import replace

import pytest
import toy

from theorylab.errors import InputError
from theorylab.files import intact_record, seal_record
from theorylab.lab import Claim, Evidence, Runner, Store
from theorylab.lab.gallery_files import kept_claims, kept_figure, redraw
from theorylab.lab.reproduce import reproduce

FIGURE = toy.PAPER.figures[0]
PRESET = toy.PAPER.preset("quick")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("written")
    reproduce(toy.PAPER, PRESET, Runner(Store(folder / "results")), folder / "figures")
    return folder / "figures"


@pytest.fixture
def gallery(written, tmp_path):
    shutil.copytree(written, tmp_path / "figures")
    return tmp_path / "figures"


def test_figures_and_verdicts_are_read_back_as_they_were_written(gallery):
    figure = kept_figure(toy.PAPER, FIGURE, PRESET, gallery)
    claims = kept_claims(toy.PAPER, PRESET, gallery)
    assert figure.numbers == (gallery / "toy" / "toy_fig1.csv").read_text()
    assert [c["status"] for c in claims.record["claims"]] == ["holds", "holds"]
    assert figure.stale == claims.stale == ""


def test_another_preset_or_seed_is_not_there(gallery, tmp_path):
    for preset in (toy.PAPER.preset("full"), toy.PAPER.preset("quick", 7)):
        assert kept_figure(toy.PAPER, FIGURE, preset, gallery) is None
        assert kept_claims(toy.PAPER, preset, gallery) is None
    assert kept_figure(toy.PAPER, FIGURE, PRESET, tmp_path / "none") is None


def test_other_values_and_older_code_are_said(gallery, monkeypatch):
    changed = toy.PAPER.preset("quick", 0, {"repeats": 3})
    assert kept_figure(toy.PAPER, FIGURE, changed, gallery).stale == "other values of the preset"
    monkeypatch.setattr("theorylab.lab.reproduce.fingerprint", lambda function: "other code")
    assert kept_claims(toy.PAPER, PRESET, gallery).stale == "older code"


@pytest.mark.parametrize("name", ["toy_fig1.json", "toy_fig1.csv", "claims.json"])
@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "folder", "not JSON", "of another"])
def test_what_is_damaged_is_refused_by_name(gallery, name, damage):
    path = gallery / "toy" / name
    content = path.read_bytes()
    path.unlink()
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "flipped":
        at = content.index(b"9") if b"9" in content else len(content) // 2
        path.write_bytes(content[:at] + b"8" + content[at + 1 :])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "folder":
        path.mkdir()
    elif damage == "not JSON":
        path.write_bytes(b"\xff\xfe[1]")
    else:  # whole, but of another paper or another figure
        other = seal_record({"paper": "two", "figure": "toy_fig1"})
        path.write_text(json.dumps(other) if name.endswith("json") else "x,mean\n1,1\n")
    with pytest.raises(InputError, match=f"{name} is missing, damaged or was changed by hand"):
        kept_figure(toy.PAPER, FIGURE, PRESET, gallery)
        kept_claims(toy.PAPER, PRESET, gallery)


def test_numbers_that_are_gone_are_told_and_so_is_a_record_that_names_none(gallery):
    path = gallery / "toy" / "toy_fig1.json"
    record = json.loads(path.read_text())
    (gallery / "toy" / "toy_fig1.csv").rename(gallery / "aside")
    with pytest.raises(InputError, match=r"toy_fig1.csv is missing"):
        kept_figure(toy.PAPER, FIGURE, PRESET, gallery)
    (gallery / "aside").rename(gallery / "toy" / "toy_fig1.csv")
    del record["csv_sha256"]
    path.write_text(json.dumps(seal_record(record)))
    with pytest.raises(InputError, match="run: theorylab redraw toy"):
        kept_figure(toy.PAPER, FIGURE, PRESET, gallery)


def test_verdicts_of_an_older_version_are_refused_with_the_command_that_makes_them(gallery):
    path = gallery / "toy" / "claims.json"
    record = json.loads(path.read_text())
    for claim in record["claims"]:
        claim["evidence"] = [
            {k: v for k, v in e.items() if k != "outcome"} for e in claim["evidence"]
        ]
    path.write_text(json.dumps(seal_record(record)))
    with pytest.raises(InputError, match="make it again: theorylab reproduce toy --preset quick"):
        kept_claims(toy.PAPER, PRESET, gallery)


def test_redraw_gives_a_record_of_an_older_version_its_digests_and_keeps_its_content(gallery):
    path, claims = gallery / "toy" / "toy_fig1.json", gallery / "toy" / "claims.json"
    before = {p: json.loads(p.read_text()) for p in (path, claims)}
    for file, record in before.items():
        older = {k: v for k, v in record.items() if k not in ("sha256", "csv_sha256")}
        file.write_text(json.dumps(older, indent=1))
    drawn = redraw(toy.PAPER, gallery)
    assert {p.name for p in drawn} == {f"toy_fig1.{e}" for e in ("png", "dark.png", "pdf", "json")}
    for file, record in before.items():
        now = json.loads(file.read_text())
        assert now == record and intact_record(now)
    assert kept_figure(toy.PAPER, FIGURE, PRESET, gallery).stale == ""


def test_redraw_refuses_damaged_records_and_unknown_figures(gallery):
    with pytest.raises(InputError, match="no figure 'other'"):
        redraw(toy.PAPER, gallery, ["other"])
    path = gallery / "toy" / "claims.json"
    path.write_text(path.read_text().replace("holds", "fails"))
    with pytest.raises(InputError, match=r"claims.json is missing, damaged"):
        redraw(toy.PAPER, gallery)


def test_redraw_draws_with_todays_code(gallery):
    marks = []

    def draw(table):
        marks.append(len(table))
        return FIGURE.draw(table)

    paper = replace(toy.PAPER, figures=(replace(FIGURE, draw=draw),))
    redraw(paper, gallery)
    assert marks == [3, 3]  # once light, once dark


def test_a_claim_that_the_preset_does_not_judge_is_kept_as_such(tmp_path):
    one = lambda *_: [Evidence("x", 0.5, 0.0, 1.0)]  # noqa: E731
    two = lambda *_: [Evidence("x", 2.0, 0.0, 1.0)]  # noqa: E731
    claim = Claim("c", "x", "here", ("totals",), one, {"two": two}, presets=("full",))
    paper = replace(toy.PAPER, claims=(claim,))
    reproduce(paper, PRESET, Runner(Store(tmp_path / "results")), tmp_path / "figures")
    (kept,) = kept_claims(paper, PRESET, tmp_path / "figures").record["claims"]
    assert kept["status"] == "skipped" and kept["evidence"] == []
