import json
from dataclasses import replace

import pytest
import toy

from theorylab import papers
from theorylab.cli.app import run
from theorylab.lab import Claim, Evidence, gallery, over_seeds


def say(value):
    return lambda results, preset: [Evidence("x", value, 0, 1)]


@pytest.mark.long
def test_verify_exits_with_1_when_a_claim_fails_or_is_vacuous(desk, capsys, monkeypatch):
    assert run(["verify", "toy", "--json", "v.json"]) == 0
    written = json.loads((desk / "v.json").read_text())["papers"]["toy"]
    assert [c["status"] for c in written["claims"]] == ["holds", "holds"] and written[
        "preset"
    ] == "quick"
    for measured, control, status in ((2.0, 3.0, "fails"), (0.5, 0.6, "vacuous")):
        claim = Claim(
            "c", "x in [0, 1]", "here", ("squares",), say(measured), {"wrong": say(control)}
        )
        monkeypatch.setattr(
            papers, "rooms", lambda c=claim: {"toy": replace(toy.PAPER, claims=(c,))}
        )
        assert run(["verify", "toy"]) == 1
        shown = capsys.readouterr().out
        assert status in shown and "failing: toy" in shown
        assert run(["reproduce", "toy"]) == 1


@pytest.mark.long
def test_a_failing_claim_is_red_and_a_wide_terminal_shows_every_column(desk, monkeypatch):
    from io import StringIO

    from rich.console import Console

    from theorylab.cli import layout

    claim = Claim("c", "x in [0, 1]", "here", ("squares",), say(2.0), {"wrong": say(3.0)})
    monkeypatch.setattr(papers, "rooms", lambda: {"toy": replace(toy.PAPER, claims=(claim,))})
    columns = (
        "claim",
        "verdict",
        "measured",
        "bound",
        "margin",
        "controls rejected",
        "source",
        "seconds",
    )
    for width in (170, 90):
        text = StringIO()
        monkeypatch.setattr(
            layout, "console", Console(file=text, force_terminal=True, width=width, highlight=False)
        )
        assert run(["verify", "toy"]) == 1
        shown = text.getvalue()
        assert (
            "\x1b[31mfails" in shown
            and "\x1b[31mfailing: toy" in shown
            and "claimed: x in [0, 1]" in shown
        )
        assert all(column in shown for column in columns) == (width == 170)


def test_a_finding_is_told_in_words_and_does_not_fail(desk, capsys, monkeypatch):
    claim = Claim(
        "c", "x in [0, 1]", "here", ("squares",), say(2.0), kind="finding", note="Ours is 2."
    )
    monkeypatch.setattr(papers, "rooms", lambda: {"toy": replace(toy.PAPER, claims=(claim,))})
    assert run(["verify", "toy"]) == 0
    shown = capsys.readouterr().out
    assert "  c: x; not reproduced at this scale: Ours is 2.\n" in shown


def test_since_judges_only_what_changed_and_earlier_verdicts_count(desk, capsys, monkeypatch):
    assert run(["verify", "toy"]) == 0 and (desk / "results" / "verdicts.json").exists()
    assert run(["verify", "toy", "--since", "results/verdicts.json"]) == 0
    assert "unchanged since results/verdicts.json, not judged again: toy" in capsys.readouterr().out
    # another seed: judged again
    assert run(["verify", "toy", "--seed", "1", "--since", "results/verdicts.json"]) == 0
    assert "not judged again" not in capsys.readouterr().out
    bad = replace(
        toy.PAPER, claims=(Claim("c", "s", "here", ("squares",), say(2.0), {"wrong": say(3.0)}),)
    )
    monkeypatch.setattr(papers, "rooms", lambda: {"toy": bad})
    assert run(["verify", "toy", "--force", "--json", "old.json"]) == 1
    assert run(["verify", "toy", "--since", "old.json"]) == 1
    monkeypatch.setattr("theorylab.report.verdicts.fingerprint", lambda module: "new code")
    assert run(["verify", "toy", "--since", "old.json"]) == 1
    assert "not judged again" not in capsys.readouterr().out.splitlines()[-1]


def over(*values):
    return lambda results, preset: [over_seeds("x", values, 0, 1)]


def with_claim(monkeypatch, measure, control=None, **options):
    claim = Claim(
        "c", "x in [0, 1]", "here", ("squares",), measure, {"wrong": control or say(3.0)}, **options
    )
    monkeypatch.setattr(papers, "rooms", lambda: {"toy": replace(toy.PAPER, claims=(claim,))})


def test_an_undecided_claim_is_counted_and_does_not_fail(desk, capsys, monkeypatch):
    for measure, control in ((over(0.9, 1.0, 1.1), None), (say(0.5), over(0.9, 1.0, 1.1))):
        with_claim(monkeypatch, measure, control)
        assert run(["verify", "toy"]) == 0
        shown = capsys.readouterr().out
        assert "\n1 undecided; no claim fails; verdicts in" in shown
    with_claim(monkeypatch, over(0.9, 1.0, 1.1))
    assert run(["verify", "toy"]) == 0
    assert (
        "intervals hold at 95% for all measurements of a claim together (Bonferroni)"
        in capsys.readouterr().out
    )


def test_a_replication_is_written_beside_the_figures_and_shown_by_later_runs(desk, capsys):
    assert run(["reproduce", "toy"]) == 0 and run(["verify", "toy", "--replicate", "3"]) == 0
    shown = capsys.readouterr().out
    assert "of computing, in figures/toy/replication.json" in shown and "held 3 of 3" in shown
    assert shown.endswith("\n2 hold; replicated over 3 base seeds; no claim fails\n")
    assert run(["verify", "toy", "--seed", "1"]) == 0
    shown = capsys.readouterr().out
    assert (
        shown.count("held 3 of 3") == 2
        and "\n2 hold; replicated over 3 base seeds; no claim" in shown
    )
    assert run(["reproduce", "toy"]) == 0
    assert (desk / "figures" / "README.md").read_text().count("holds<br>held 3 of 3") == 2
    (desk / "README.md").write_text(f"{gallery.BEGIN}\n{gallery.END}\n")
    assert run(["list", "--readme", "README.md"]) == 0
    assert "2 hold; replicated over 3 base seeds (quick)" in (desk / "README.md").read_text()


def test_without_figures_a_replication_is_kept_in_the_store_and_its_base_seeds_can_be_chosen(desk):
    assert run(["verify", "toy", "--replicate", "2", "--seed", "7"]) == 0
    record = json.loads((desk / "results/toy/replication.json").read_text())["presets"]["quick"]
    assert record["seeds"] == [7, 8]
    assert record["command"] == "theorylab verify toy --preset quick --replicate 2 --seed 7"
    assert run(["verify", "toy", "--replicate", "2", "--out", "elsewhere", "--set", "xs=[3]"]) == 0
    record = json.loads((desk / "elsewhere/toy/replication.json").read_text())["presets"]["quick"]
    assert record["seeds"] == [101, 102] and record["command"].endswith(
        "--replicate 2 --set 'xs=[3]'"
    )


def test_the_replicated_verdict_counts_in_place_of_that_of_one_run(desk, capsys, monkeypatch):
    def by_seed(results, preset):
        return [Evidence("x", 2.0 if preset.seed in (0, 102) else 0.5, 0, 1)]

    with_claim(monkeypatch, by_seed)
    assert run(["verify", "toy"]) == 1
    assert run(["verify", "toy", "--replicate", "2"]) == 0
    assert "1 undecided; replicated over 2 base seeds" in capsys.readouterr().out
    assert run(["verify", "toy"]) == 0
    shown = capsys.readouterr().out
    assert (
        "undecided" in shown
        and "held 1 of 2" in shown
        and "this run alone: fails" in " ".join(shown.split())
    )
    with_claim(monkeypatch, say(2.0))
    assert run(["verify", "toy", "--replicate", "2"]) == 1 and run(["verify", "toy"]) == 1
    assert "failing: toy" in capsys.readouterr().out


def test_a_damaged_replication_is_one_line_and_nothing_is_computed(desk, capsys, monkeypatch):
    assert run(["verify", "toy", "--replicate", "2"]) == 0
    path = desk / "results/toy/replication.json"
    path.write_text(path.read_text().replace('"held": 2', '"held": 1'))
    monkeypatch.setattr("theorylab.lab.runner.compute", lambda *_: pytest.fail("computed"))
    capsys.readouterr()
    for words in (["verify", "toy", "--force"], ["verify", "toy", "--force", "--replicate", "2"]):
        assert run(words) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and "replication.json is damaged" in error
        assert "remove it and make it again: theorylab verify toy --replicate R" in error
