import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import toy

from theorylab import papers
from theorylab.cli.app import run
from theorylab.lab import Claim, Evidence, gallery


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["reproduce", "nope"], "unknown paper 'nope'; choose one of: toy, all"),
        (["reproduce", "tct"], "paper 'tct' is planned and not implemented yet"),
        (["verify", "nope"], "unknown paper 'nope'"),
        (
            ["reproduce", "toy", "--figure", "fig9"],
            "paper 'toy' has no figure 'fig9'; it has: toy_fig1",
        ),
        (
            ["reproduce", "toy", "--preset", "huge"],
            "unknown preset 'huge'; choose one of: smoke, quick, full",
        ),
        (["reproduce", "toy", "--out", "/proc/none"], "--out /proc/none: cannot write there"),
        (["reproduce", "toy", "--store", "/proc/none"], "--store /proc/none: cannot write there"),
        (["verify", "toy", "--json", "/proc/none/v.json"], "--json /proc/none: cannot write there"),
        (["reproduce", "toy", "--set", "xs"], "--set xs: give KEY=JSON"),
        (["reproduce", "toy", "--set", "xs=[1,"], "--set xs=[1,: give KEY=JSON"),
        (
            ["reproduce", "toy", "--set", "ys=[1]"],
            "preset 'quick' has no value 'ys'; it has: xs, repeats, pause",
        ),
        (["reproduce", "toy", "--set", "xs=5"], "xs=5: give a list; the preset has xs=[1, 2, 3]"),
        (["reproduce", "toy", "--set", "xs=[]"], "xs=[]: give a list that is not empty"),
        (
            ["reproduce", "toy", "--set", "xs=[1,NaN]"],
            "xs=[1, NaN]: element 1: give a finite number",
        ),
        (["reproduce", "toy", "--set", "xs=null"], "xs=null: give a list"),
        (
            ["reproduce", "toy", "--set", "repeats=-3"],
            "repeats=-3: give a number above 0; the preset has repeats=2",
        ),
        (["reproduce", "toy", "--set", "repeats=2.5"], "repeats=2.5: give a whole number"),
        (
            ["reproduce", "toy", "--set", "repeats=1001"],
            "1001 seeds are wanted of base seed 0, which has 1000",
        ),
        (["reproduce", "toy", "--set", "pause=-1"], "pause=-1: give a number that is not negative"),
        (["reproduce", "toy", "--seed", "1" * 23], "seed must be 2147482 or less, not 1111"),
        (["reproduce", "toy", "--out", "x" * 300], "cannot write there (File name too long)"),
        (["verify", "toy", "--since", "/"], "/ is no regular file; give the JSON that"),
        (["verify", "toy", "--since", "/dev/zero"], "/dev/zero is no regular file"),
        (["verify", "toy", "--json", "/"], "--json /: is a folder; give a file in it"),
        (["data", "fetch", "mnist", "--from", "/dev/zero"], "is no regular file and no folder"),
        (["reproduce", "toy", "--seed", "-1"], "seed must be 0 or more, not -1"),
        (["reproduce", "toy", "--seed", "x"], "Invalid value for '--seed'"),
        (["reproduce", "toy", "--executor", "cloud"], "unknown executor 'cloud'"),
        (["reproduce", "--frobnicate"], "No such option: --frobnicate"),
        (["list", "--readme", "missing.md"], "--readme missing.md: needs the two lines"),
        (["frobnicate"], "No such command 'frobnicate'"),
        (["data", "fetch", "no_such_set"], "no_such_set"),
        (
            ["verify", "toy", "--since", "none.json"],
            "none.json: no such file; give the JSON that an earlier",
        ),
        (
            ["verify", "toy", "--replicate", "1"],
            "--replicate 1: a replication needs at least 2 base seeds",
        ),
        (["verify", "toy", "--replicate", "2", "--seed", "-1"], "seed must be 0 or more, not -1"),
        (
            ["verify", "toy", "--replicate", "2", "--json", "v.json"],
            "--json and --since are about single runs",
        ),
        (
            ["verify", "toy", "--replicate", "2", "--out", "/proc/none"],
            "--out /proc/none: cannot write there",
        ),
        (["report", "--preset", "huge"], "unknown preset 'huge'"),
        (["report", "--seed", "-1"], "seed must be 0 or more, not -1"),
        (
            ["report", "--store", "none"],
            "--store none: no such folder; name another store, or none to see the gallery",
        ),
        (["report", "--figures", "none"], "--figures none: no such folder"),
        (["redraw", "toy", "--out", "none"], "--out none: no such folder"),
        (["redraw", "tyo"], "unknown paper 'tyo'"),
    ],
)
def test_a_mistake_is_one_line_with_exit_code_2_and_nothing_is_written(
    desk, capsys, arguments, says
):
    assert run(arguments) == 2
    captured = capsys.readouterr()
    assert (
        captured.err.count("\n") == 1
        and says in captured.err
        and captured.err.startswith("theorylab: ")
    )
    assert "Traceback" not in captured.err + captured.out
    assert list(desk.iterdir()) == []


def test_one_figure_of_all_papers_is_refused(desk, capsys, monkeypatch):
    rooms = {"toy": toy.PAPER, "two": replace(toy.PAPER, slug="two")}
    monkeypatch.setattr(papers, "rooms", lambda: rooms)
    assert run(["reproduce", "all", "--figure", "toy_fig1"]) == 2
    assert run(["reproduce", "all", "--set", "xs=[3]"]) == 2
    assert "--figure needs one paper" in capsys.readouterr().err


@pytest.mark.long
def test_reproduce_writes_figures_claims_and_the_gallery(desk, capsys):
    assert run(["reproduce", "toy"]) == 0
    shown = capsys.readouterr().out
    assert (
        "figures/toy/toy_fig1.png" in shown
        and "7 cells computed, 0 found" in shown
        and "2 of 2" not in shown
    )
    gallery = (desk / "figures" / "README.md").read_text()
    assert (
        'src="toy/toy_fig1.png"' in gallery
        and "cube: rejected" in gallery
        and "theorylab reproduce toy" in gallery
    )
    assert run(["reproduce", "toy", "--figure", "toy_fig1", "--out", "elsewhere"]) == 0
    assert "0 cells computed, 6 found" in capsys.readouterr().out
    assert not (desk / "elsewhere" / "toy" / "claims.json").exists()


def test_redraw_makes_the_pictures_again_from_the_numbers_and_computes_nothing(desk, capsys):
    assert run(["reproduce", "toy"]) == 0
    folder = desk / "figures" / "toy"
    first = {p.name: p.read_bytes() for p in folder.iterdir()}
    for name in ("toy_fig1.png", "toy_fig1.dark.png", "toy_fig1.pdf"):
        (folder / name).unlink()
    shutil.rmtree(desk / "results")
    assert run(["redraw", "toy"]) == 0
    assert "1 figure drawn as PNG, dark PNG and PDF" in capsys.readouterr().out
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == first
    assert not (desk / "results").exists()
    (folder / "toy_fig1.csv").write_text("x,mean\n1,9\n")
    assert run(["redraw", "toy"]) == 2
    assert "toy_fig1.csv is missing, damaged or was changed by hand" in capsys.readouterr().err
    assert (folder / "toy_fig1.png").read_bytes() == first["toy_fig1.png"]
    monkeypatched = {"toy": toy.PAPER, "two": replace(toy.PAPER, slug="two")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(papers, "rooms", lambda: monkeypatched)
        assert run(["redraw", "all", "--figure", "toy_fig1"]) == 2
    assert "--figure needs one paper" in capsys.readouterr().err


def test_a_changed_value_is_part_of_the_command_in_the_provenance(desk):
    assert run(["reproduce", "toy", "--set", "xs=[3, 5]", "--seed", "2"]) == 0
    record = json.loads((desk / "figures/toy/toy_fig1.json").read_text())
    assert (
        record["command"]
        == "theorylab reproduce toy --preset quick --figure toy_fig1 --seed 2 --set 'xs=[3, 5]'"
    )
    assert (
        "Changed by hand: xs=[3, 5]." in record["omits"] and record["versions"]["jax"] != "absent"
    )


def say(value):
    return lambda results, preset: [Evidence("x", value, 0, 1)]


@pytest.mark.long
def test_a_report_of_a_paper_with_a_failing_claim_exits_with_1(desk, capsys, monkeypatch):
    from theorylab.report import Site, site

    assert run(["reproduce", "toy"]) == 0
    monkeypatch.setattr(site, "require_tools", lambda: None)
    monkeypatch.setattr("theorylab.report.require_tools", lambda: None)

    def build(out, titles, rooms, sources, **options):
        shown = site.write_pages(
            desk / "pages", titles, rooms, sources, options["preset"], 0, options["command"]
        )
        return Site(out / "index.html", shown, 1, 1000)

    monkeypatch.setattr("theorylab.report.build", build)
    assert run(["report", "--out", "site"]) == 0
    assert "theorylab report --out site --preset quick" in (desk / "pages" / "index.md").read_text()
    shutil.rmtree(desk / "results")
    capsys.readouterr()
    assert run(["report", "--out", "site"]) == 0
    assert "from the gallery: toy" in capsys.readouterr().out
    numbers = desk / "figures" / "toy" / "toy_fig1.csv"
    numbers.write_text(numbers.read_text().replace("9", "8"))
    assert run(["report", "--out", "site"]) == 1
    told = " ".join(capsys.readouterr().out.split())
    assert "damaged: figures/toy/toy_fig1.csv is missing, damaged or was changed by hand" in told
    assert "incomplete: toy" in told
    assert run(["reproduce", "toy"]) == 0
    claim = Claim("c", "x in [0, 1]", "here", ("squares",), say(2.0), {"wrong": say(3.0)})
    monkeypatch.setattr(papers, "rooms", lambda: {"toy": replace(toy.PAPER, claims=(claim,))})
    assert run(["report", "--out", "site"]) == 1
    assert "failing: toy" in capsys.readouterr().out
    assert "tl-bad" in (desk / "pages" / "papers" / "toy.md").read_text()


def test_the_list_shows_what_is_there_and_what_is_not_yet(desk, capsys):
    assert run(["list"]) == 0
    shown = capsys.readouterr().out
    assert shown.splitlines() == [
        "toy: Nowhere 2020; 1 figure, 2 claims; smoke, quick, full",
        "    A toy",
        "tct: not yet",
        "    Not there yet",
        "1 of 2 papers, each with its venue, figures, claims and presets",
    ]


@pytest.mark.long
def test_the_readme_table_tells_the_state_of_claims_and_marks_stale_ones(desk, monkeypatch):
    readme = desk / "README.md"
    readme.write_text(f"before\n{gallery.BEGIN}\n{gallery.END}\nafter\n")
    assert run(["list", "--readme", "README.md"]) == 0
    assert "2 declared, not computed" in readme.read_text()
    assert run(["reproduce", "toy"]) == 0 and run(["list", "--readme", "README.md"]) == 0
    text = readme.read_text()
    assert "2 hold (quick)" in text and text.startswith("before") and text.endswith("after\n")
    monkeypatch.setattr(gallery, "code_of", lambda paper, names: "new code")
    assert run(["list", "--readme", "README.md"]) == 0
    assert "stale" in readme.read_text()


def test_an_interrupted_run_says_that_it_can_go_on(desk, capsys, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("theorylab.lab.runner.compute", stop)
    assert run(["reproduce", "toy"]) == 130
    assert "the same command goes on from there" in capsys.readouterr().err


def test_doctor_reports_versions_devices_and_speed(desk, capsys, monkeypatch):
    monkeypatch.setattr("theorylab.cli.doctor.matmul_rate", lambda: 123.0)
    assert run(["doctor"]) == 0
    shown = capsys.readouterr().out
    assert "123 GFLOP/s" in shown and "jaxlib" in shown and "data: mnist" in shown


def test_the_measured_matmul_rate_is_a_rate():
    from theorylab.cli.doctor import matmul_rate

    assert 0.1 < matmul_rate(size=256, repeats=2) < 1e6


def test_completion_offers_papers_presets_and_data_sets(desk):
    from theorylab.cli import data_commands, options

    assert options.complete_paper("t") == ["toy"] and options.complete_paper("a") == ["all"]
    assert options.complete_preset("s") == ["smoke"]
    assert "fashion_mnist" in data_commands._complete("fash")


def test_importing_theorylab_starts_neither_jax_nor_matplotlib_and_takes_under_0_3_seconds():
    code = (
        "import time; t = time.perf_counter(); import theorylab; s = time.perf_counter() - t\n"
        "import sys; assert not {'jax', 'matplotlib', 'numpy'} & set(sys.modules); print(s)"
    )
    best = min(
        float(
            subprocess.run(
                [sys.executable, "-c", code], capture_output=True, text=True, check=True
            ).stdout
        )
        for _ in range(3)
    )
    assert best < 0.3


@pytest.mark.long
def test_the_console_command_gives_the_exit_code(desk):
    root = str(Path(toy.__file__).parents[2])
    code = f"import sys; sys.path.insert(0, {root!r}); from theorylab.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "reproduce", "nope"], capture_output=True, text=True, cwd=desk
    )
    assert done.returncode == 2 and "unknown paper 'nope'" in done.stderr
