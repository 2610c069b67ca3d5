"""What commands print fits 80 columns, is never cut, and carries no colour where none is wanted."""

import os
import subprocess
import sys
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
import toy
from rich.console import Console

from theorylab import data, papers
from theorylab.cli import layout
from theorylab.cli.app import run
from theorylab.cli.data_commands import where
from theorylab.cli.layout import tell, tell_pairs, whole
from theorylab.lab import Claim, Evidence, over_seeds

BOX = "│┃─━┏┓┗┛└┘├┤┡┩╇┼"
LONG = "a_claim_whose_name_is_longer_than_any_of_the_claims_of_the_papers_until_today"


def evidence(
    *values, label="the largest of a hundred measured ratios, over all sizes and both learners"
):
    return lambda results, preset: [over_seeds(label, values, -0.123456, 1.0)]


def claims():
    """A claim of every verdict that a run may give, one of them with a name as long as a line."""
    outside = {"a wrong constant": evidence(7.0, 7.1, 7.2)}
    why = "The reference is a mean of two seeds on another part of the same digits. " * 3
    said = [
        (LONG, evidence(0.5, 0.51, 0.52), outside, "claim"),
        ("fails_here", evidence(7.0, 7.1, 7.2), outside, "claim"),
        ("is_undecided", evidence(0.9, 1.0, 1.1), outside, "claim"),
        (
            "is_vacuous",
            evidence(0.5, 0.51, 0.52),
            {"a wrong constant": evidence(0.5, 0.51, 0.52)},
            "claim",
        ),
        ("does_not_reproduce", evidence(7.0, 7.1, 7.2), {}, "finding"),
        ("does_reproduce", evidence(0.5, 0.51, 0.52), {}, "finding"),
    ]
    made = [
        Claim(
            name, "x in [-0.12, 1]", "eq. (1)", ("squares",), measure, controls, kind=kind, note=why
        )
        for name, measure, controls, kind in said
    ]
    late = replace(made[0], id="needs_the_full_preset", presets=("full",))
    return (*made, late)


VERDICTS = ("holds", "fails", "undecided", "vacuous", "finding", "unsupported")


@pytest.fixture
def narrow(desk, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(papers, "rooms", lambda: {"toy": replace(toy.PAPER, claims=claims())})
    return desk


def require_readable(text, width=80):
    assert text and "…" not in text and "\x1b" not in text and not set(BOX) & set(text)
    for line in text.splitlines():
        assert line == line.rstrip(), line
        if len(line) > width:  # only what cannot be broken: a single word, after its name
            assert len(line.split()) <= 2, line


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["list"], 0),
        (["verify", "toy"], 1),
        (["verify", "toy", "--replicate", "2"], 1),
        (["reproduce", "toy"], 1),
        (["data", "list"], 0),
        (["doctor"], 0),
        ([], 0),
        (["data"], 0),
    ],
)
def test_what_is_piped_fits_80_columns_and_is_not_cut(narrow, capsys, monkeypatch, words, code):
    monkeypatch.setattr("theorylab.cli.doctor.matmul_rate", lambda: 123.0)
    assert run(words) == code
    require_readable(capsys.readouterr().out)


@pytest.mark.parametrize("words", [["list"], ["verify", "toy"], ["data", "list"]])
def test_no_color_leaves_no_escape_even_on_a_terminal(narrow, monkeypatch, words):
    monkeypatch.setenv("NO_COLOR", "1")
    text = StringIO()
    monkeypatch.setattr(
        layout, "console", Console(file=text, force_terminal=True, width=80, highlight=False)
    )
    run(words)
    require_readable(text.getvalue())


@pytest.mark.parametrize("width", [30, 80, 120, 160, 250])
def test_at_any_width_every_claim_verdict_and_number_is_whole(narrow, capsys, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    assert run(["verify", "toy"]) == 1
    shown = capsys.readouterr().out
    words = [word.strip(",;:") for word in shown.split()]
    assert {c.id for c in claims()} | {*VERDICTS, "0.51", "7.1", "toy"} <= set(words)
    assert "in [-0.1235, 1]" in shown and "…" not in shown and not set(BOX) & set(shown)
    assert "not judged at this preset" in " ".join(shown.split())


def test_a_claim_is_a_line_and_where_all_hold_there_is_no_more(desk, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    assert run(["verify", "toy", "--replicate", "2"]) == 0
    capsys.readouterr()
    assert run(["verify", "toy"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "toy (quick, seed 0): 2 hold; replicated over 2 base seeds",
        "  holds      squares 0.0003553 [-0.001474, 0.002184] in [-0.01, 0.01]; held 2 of 2",
        "  holds      sum     5 in [4.9, 5.1]; held 2 of 2",
        "intervals hold at 95% for all measurements of a claim together (Bonferroni)",
        "2 hold; replicated over 2 base seeds; no claim fails; verdicts in results/verdicts.json",
    ]


def test_the_reason_names_the_measurement_and_the_control_that_decide(narrow, capsys):
    assert run(["verify", "toy"]) == 1
    shown = " ".join(capsys.readouterr().out.split())
    label = "the largest of a hundred measured ratios, over all sizes and both learners"
    assert (
        f"{label}: 7.1 [6.852, 7.348] (3 seeds) is not in [-0.1235, 1]; claimed: x in [-0.12, 1]"
        in shown
    )
    assert f"{label}: 1 [0.7516, 1.248] (3 seeds) reaches over its bound, in [-0.1235, 1]" in shown
    assert (
        "control 'a wrong constant': accepted" in shown and "the statement does hold here" in shown
    )
    assert f"{label}; not reproduced at this scale: The reference is a mean" in shown
    assert "not judged at this preset: needs_the_full_preset" in shown


def test_more_measurements_than_a_reader_wants_are_counted(desk, capsys, monkeypatch):
    nine = lambda results, preset: [Evidence(f"x{i}", 2.0, 0, 1) for i in range(9)]  # noqa: E731
    many = Claim("c", "s", "here", ("squares",), nine, {"the same": nine})
    monkeypatch.setattr(papers, "rooms", lambda: {"toy": replace(toy.PAPER, claims=(many,))})
    assert run(["verify", "toy"]) == 1
    assert "x2: 2 is not in [0, 1]; and 6 more measurements; claimed: s" in " ".join(
        capsys.readouterr().out.split()
    )


def test_lines_break_between_words_alone(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "24")
    path = "/a/folder/with-a-name/longer/than/a/line.json"
    tell(f"it is in {path} {whole('[1, 2, 3]')} now", first="a: ", rest="  ")
    tell("")
    assert capsys.readouterr().out.splitlines() == [
        "a: it is in",
        f"  {path}",
        "  [1, 2, 3] now",
        "",
    ]
    tell_pairs([("a", "one two three four five six"), ("long", "x")])
    assert capsys.readouterr().out.splitlines() == [
        "a     one two three four",
        "      five six",
        "long  x",
    ]
    tell("[red]as it is[/] :smile:")
    assert capsys.readouterr().out.split() == ["[red]as", "it", "is[/]", ":smile:"]


@pytest.mark.parametrize("words", [[], ["data"]])
def test_a_bare_command_prints_its_help_and_that_is_no_error(desk, capsys, words):
    assert run(words) == 0
    shown = capsys.readouterr()
    assert shown.err == "" and shown.out.startswith("Usage: theorylab") and "Commands:" in shown.out
    assert len(shown.out.splitlines()) > 8 and "..." not in shown.out.split("Commands:")[1]
    assert run([*words, "--help"]) == 0
    assert capsys.readouterr().out == shown.out


def test_of_a_set_that_is_not_fetched_the_embedded_sample_is_told(desk, capsys, monkeypatch):
    monkeypatch.setattr("theorylab.cli.doctor.matmul_rate", lambda: 123.0)
    monkeypatch.setenv("THEORYLAB_DATA", str(desk / "data"))
    sample = "embedded sample; the whole set is not fetched"
    assert run(["doctor"]) == 0
    doctor = [
        line.split(maxsplit=2)[1:]
        for line in capsys.readouterr().out.splitlines()
        if line.startswith("data: ")
    ]
    assert run(["data", "list"]) == 0
    listed = [
        line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines() if line[0] != " "
    ][:-1]
    for said in (doctor, listed):
        assert {name for name, where in said if where == sample} == {"fashion_mnist"}
        assert {where for name, where in said if name != "fashion_mnist"} == {"not fetched"}
    cached = data.Status("fashion_mnist", True, desk / "data", 1, "a local archive")
    monkeypatch.setattr(data, "status", lambda name: cached)
    assert where("fashion_mnist") == "here (a local archive)"


@pytest.mark.long
def test_the_console_command_piped_is_readable_without_any_setting(desk):
    root = str(Path(toy.__file__).parents[2])
    code = f"import sys; sys.path.insert(0, {root!r}); from theorylab.cli import main; main()"
    plain = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "NO_COLOR", "FORCE_COLOR")}
    for words in ([], ["list"], ["data", "list"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *words],
            capture_output=True,
            text=True,
            cwd=desk,
            env=plain,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0 and done.stderr == ""
        require_readable(done.stdout)
        assert words != ["list"] or "learning_augmented: NeurIPS 2020" in done.stdout
