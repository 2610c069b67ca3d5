import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from theorylab.errors import InputError
from theorylab.lab import Preset, Runner, Store, Table
from theorylab.lab.replication import replicate
from theorylab.lab.replication_file import record_of_replication, write_replication
from theorylab.lab.reproduce import reproduce
from theorylab.papers import Planned
from theorylab.report import Sources, build
from theorylab.report.overview import index_page
from theorylab.report.paper_page import missing_page, paper_page
from theorylab.report.room import furnish
from theorylab.report.site import write_pages

VOID = {"img", "br", "input", "link", "meta", "hr"}


class Balance(HTMLParser):
    """Counts what is opened and not closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.wrong = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


def room(paper, run, target):
    return furnish(paper, "quick", 0, Sources(run / "results", run / "figures"), target)


def test_a_paper_page_shows_figures_numbers_commands_code_claims_and_controls(
    toy_run, toy_paper, tmp_path
):
    shown = room(toy_paper, toy_run, tmp_path)
    page = paper_page(shown)
    for part in (
        "theorylab reproduce toy --preset quick --figure toy_fig1",
        'src="toy/toy_fig1.webp"',
        "off by one",
        'src="toy/toy_fig1.dark.webp"',
        'href="toy/toy_fig1.csv" download',
        "def _table(results, preset)",
        "tl-good",
        "Left out against the paper: nothing",
        "eq. (1)",
        "toy.py, line ",
        "Figures and verdicts are those of your results.",
    ):
        assert part in page, part
    assert shown.counts == [("holds", "2 hold")] and not shown.failing and not shown.faults
    html = re.sub(r"~~~\w*\n.*?~~~", "", page, flags=re.S)
    assert Balance(html).wrong == [] and Balance(html).open == []


def test_the_numbers_of_the_page_are_those_that_reproduce_wrote(toy_run, toy_paper, tmp_path):
    room(toy_paper, toy_run, tmp_path)
    text = (tmp_path / "toy_fig1.csv").read_text()
    assert text == (toy_run / "figures/toy/toy_fig1.csv").read_text()
    script = (tmp_path / "toy_fig1.js").read_text()
    (panel,) = json.loads(script.split(" = ")[1].rstrip(";\n"))
    assert panel["columns"]["d0"]["y"] == list(Table.from_csv(text)["mean"])


def test_a_figure_that_was_not_drawn_before_is_drawn_here(toy_run, toy_paper, tmp_path):
    furnish(toy_paper, "quick", 0, Sources(toy_run / "results", tmp_path / "nothing"), tmp_path)
    for name in ("toy_fig1.webp", "toy_fig1.dark.webp"):
        assert (tmp_path / name).read_bytes()[8:12] == b"WEBP"
    assert (tmp_path / "toy_fig1.webp").read_bytes() != (
        tmp_path / "toy_fig1.dark.webp"
    ).read_bytes()


def test_a_broken_claim_turns_badge_and_index_red(toy_run, broken_paper, tmp_path):
    shown = room(broken_paper, toy_run, tmp_path)
    page, index = paper_page(shown), index_page("# x", {"toy": "A toy"}, {"toy": shown}, "made")
    assert (
        shown.failing
        and '<p class="tl-verdict"><span class="tl-badge tl-bad">1 fail</span> '
        '<span class="tl-badge tl-good">2 hold</span>'
        in page
    )
    assert '<span class="tl-badge tl-bad">failing: toy</span>' in index and "1 fail." in index


def test_a_replication_of_the_gallery_is_shown_and_its_verdict_counts(toy_run, toy_paper, tmp_path):
    found = replicate(
        toy_paper, toy_paper.preset("quick"), Runner(Store(toy_run / "results")), (101, 102)
    )
    record = record_of_replication(found)
    record["claims"][0] |= {"status": "undecided", "held": 1}
    write_replication(record, tmp_path / "gallery" / "toy")
    shown = furnish(
        toy_paper, "quick", 0, Sources(toy_run / "results", tmp_path / "gallery"), tmp_path
    )
    page, index = paper_page(shown), index_page("# x", {"toy": "A toy"}, {"toy": shown}, "made")
    assert (
        '<span class="tl-badge tl-open">undecided</span>'
        '<span class="tl-small">held 1 of 2; this run alone: holds</span>' in page
    )
    assert (
        '<span class="tl-badge tl-good">holds</span><span class="tl-small">held 2 of 2</span>'
        in page
    )
    assert "Replicated over the base seeds 101 to 102: held 2 of 2." in page
    assert shown.counts == [("holds", "1 hold"), ("undecided", "1 undecided")]
    assert shown.replicated == "replicated over 2 base seeds" and shown.replicated in page
    assert "1 hold with controls rejected, 1 undecided, 0 fail." in index and not shown.failing


def test_older_results_are_shown_as_such(toy_run, toy_paper, tmp_path, monkeypatch):
    monkeypatch.setattr("theorylab.lab.runner.fingerprint", lambda module: "other code")
    shown = furnish(toy_paper, "quick", 0, Sources(toy_run / "results", tmp_path), tmp_path)
    page = paper_page(shown)
    assert "3 of 3 figures and claims are of older code" in page and ">of older code<" in page
    assert "partly of older code" in index_page("# x", {"toy": "A toy"}, {"toy": shown}, "made")


def test_older_results_that_todays_code_cannot_read_do_not_stop_the_report(
    toy_run, toy_paper, tmp_path, monkeypatch
):
    def unreadable(*_):
        raise KeyError("new array")

    figure, claim = (
        replace(toy_paper.figures[0], table=unreadable),
        replace(toy_paper.claims[0], measure=unreadable),
    )
    paper = replace(toy_paper, figures=(figure,), claims=(claim,))
    with pytest.raises(KeyError):  # results of today's code must be readable
        room(paper, toy_run, tmp_path)
    monkeypatch.setattr("theorylab.lab.runner.fingerprint", lambda module: "other code")
    shown = furnish(paper, "quick", 0, Sources(toy_run / "results", tmp_path), tmp_path)
    page = paper_page(shown)
    assert "Older results do not suit today&#x27;s figure: KeyError" in page
    assert "1 not computed" in page


def test_papers_without_results_or_without_a_room_say_so(toy_paper, tmp_path, monkeypatch):
    shown = furnish(toy_paper, "quick", 0, Sources(tmp_path / "empty", tmp_path), tmp_path)
    page = paper_page(shown)
    assert shown.counts == [("missing", "2 not computed")] and "2 not computed" in page
    assert "It was not computed" in page and "neither there nor in your results" in page
    planned = {"tct": Planned("TCT", "What it will say.")}
    monkeypatch.setattr("theorylab.report.paper_page.PLANNED", planned)
    coming = missing_page("tct", "TCT")
    assert "not implemented yet" in coming and "What it will say." in coming
    index = index_page("# x", {"toy": "A toy", "tct": "TCT"}, {"toy": shown}, "made")
    assert "1 of 2 papers implemented" in index and "Planned: 1 more" in index
    assert "incomplete: 2 claims not computed" in index and "no claim fails" not in index


def test_the_page_of_a_paper_begins_with_its_summary(toy_paper, tmp_path):
    for summary, shown in (("It says\nthis.", "It says"), ("", "A toy")):
        paper = replace(toy_paper, summary=summary)
        page = paper_page(
            furnish(paper, "quick", 0, Sources(tmp_path / "empty", tmp_path), tmp_path)
        )
        assert f'<p class="tl-lead">{shown}' in page


def test_text_of_a_room_cannot_become_markup_but_code_between_backticks(
    toy_run, toy_paper, tmp_path
):
    claim = replace(toy_paper.claims[0], statement="<script>alert(1)</script> & a < b, of `<f>`")
    page = paper_page(room(replace(toy_paper, claims=(claim,)), toy_run, tmp_path))
    assert "<script>" not in page and "&lt;script&gt;" in page
    assert "<code>&lt;f&gt;</code>" in page and "`" not in re.sub(r'data-sort="[^"]*"', "", page)


def test_all_pages_are_written_with_the_documentation_around_them(toy_run, toy_paper, tmp_path):
    sources = Sources(toy_run / "results", toy_run / "figures", benchmarks=tmp_path / "none")
    write_pages(
        tmp_path, {"toy": "A toy", "tct": "TCT"}, {"toy": toy_paper}, sources, "quick", 0, "made"
    )
    written = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.md")}
    assert {
        "index.md",
        "papers/toy.md",
        "papers/tct.md",
        "benchmarks.md",
        "environment.md",
        "tutorials/1-entk.md",
    } <= written
    assert "jaxlib" in (tmp_path / "environment.md").read_text()
    assert "\n# theorylab\n" in (tmp_path / "index.md").read_text()


def test_a_folder_of_something_else_is_not_overwritten(toy_run, toy_paper, tmp_path, monkeypatch):
    monkeypatch.setattr("theorylab.report.site.require_tools", lambda: None)
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(InputError, match="not an earlier report"):
        build(tmp_path, {}, {}, Sources(toy_run / "results"))
    assert (tmp_path / "precious.txt").read_text() == "mine"


def test_what_is_not_installed_is_named_with_the_command_that_installs_it(monkeypatch):
    from theorylab.report import site

    monkeypatch.setattr(site, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"zensical.*pip install 'theorylab\[docs\]'"):
        site.require_tools()


@pytest.mark.long
def test_medium_is_shown_where_there_is_one_and_quick_elsewhere(toy_run, toy_paper, tmp_path):
    values = dict(toy_paper.presets["quick"].values)
    medium = Preset("medium", values | {"xs": [1, 2, 3, 4]}, omits="no four")
    longer = replace(toy_paper, presets={**toy_paper.presets, "medium": medium})
    reproduce(
        longer, longer.preset("medium"), Runner(Store(tmp_path / "store")), tmp_path / "figures"
    )
    sources = Sources(tmp_path / "none", tmp_path / "figures")
    page = paper_page(furnish(longer, "medium", 0, sources, tmp_path))
    assert "The medium preset" in page and "no four" in page and "not computed" not in page
    plain = furnish(toy_paper, "medium", 0, Sources(toy_run / "results"), tmp_path)
    assert plain.preset.name == "quick" and "The quick preset" in paper_page(plain)
