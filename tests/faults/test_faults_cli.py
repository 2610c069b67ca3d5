"""A campaign of bad operations: each is answered by a line and an exit code, and nothing wrong is
shown as right."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tally import Tally

import toy  # isort: skip, `tally` puts it on the path
from theorylab import papers
from theorylab.errors import InputError
from theorylab.lab import Claim, Evidence, Experiment
from theorylab.lab.gallery import BEGIN, END

pytestmark = pytest.mark.slow
LONG = "x" * 300
SETS = [
    "xs=5",
    *(
        "xs=[]",
        "xs=[NaN]",
        "xs=[Infinity]",
        "xs=null",
        'xs=["a"]',
        "xs=[[1]]",
        "xs={}",
        "xs=true",
        "xs=[1,null]",
    ),
    *(
        "xs=[1e400]",
        "xs=[0]",
        "xs=[-1]",
        "xs=[1.5]",
        'xs="3"',
        "xs=[1,true]",
        "xs",
        "xs=",
        "xs=[1,",
        "=3",
        "ys=[1]",
    ),
    "xs=" + "[" * 5000 + "]" * 5000,
    "xs=" + "[" * 200000,
    "xs=[" + "9" * 30 + "]",
    *(
        f"repeats={v}"
        for v in (
            "-3",
            "0",
            "1.5",
            "true",
            "null",
            '"2"',
            "[2]",
            "{}",
            "1e999",
            "9" * 23,
            "1001",
            "NaN",
        )
    ),
    *(
        f"pause={v}"
        for v in ("-1", "NaN", "Infinity", "-Infinity", "null", '"x"', "[]", "false", "-1e-300")
    ),
]


@pytest.fixture
def desk(tmp_path, monkeypatch):
    rooms = {"toy": toy.PAPER}
    monkeypatch.setattr(papers, "rooms", lambda: rooms)
    monkeypatch.setattr(papers, "PLANNED", {"tct": papers.Planned("Not there yet", "Soon.")})
    for name in ("THEORYLAB_STORE", "THEORYLAB_DATA", "THEORYLAB_DEBUG", "THEORYLAB_WATCHDOG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def strange(folder):
    """Things that are where a file or a folder is expected."""
    folder.mkdir(exist_ok=True)
    found = {
        n: folder / n
        for n in ("folder", "file", "empty", "binary", "deep", "pipe", "dead link", "loop", "list")
    }
    found["folder"].mkdir()
    found["file"].write_text("words")
    found["empty"].touch()
    found["binary"].write_bytes(bytes(range(256)))
    found["deep"].write_text("[" * 100000)
    os.mkfifo(found["pipe"])
    found["dead link"].symlink_to(folder / "nothing")
    found["loop"].symlink_to(found["loop"])
    found["list"].write_text("[1, 2]")
    devices = [Path("/dev/zero"), Path("/dev/null"), Path("/dev/full")]
    return [
        *found.values(),
        *devices,
        folder / LONG,
        folder / "absent",
        found["file"] / "below",
        Path("/proc/none"),
    ]


def test_bad_arguments_are_one_line_and_exit_code_2(desk, capsys):
    tally = Tally()
    for command in ("reproduce", "verify"):
        for change in SETS:
            tally.command("--set", [command, "toy", "--set", change], capsys, code=2)
        for seed in ("1" * 23, "9" * 5000, "2147483", "-1", "1.5", "", "NaN", "0x10", "1e3"):
            tally.command("--seed", [command, "toy", "--seed", seed], capsys, code=2)
        for executor in (
            "",
            "cloud",
            "dask",
            "dask://",
            "dask://nowhere",
            "dask://:::",
            "dask:///x",
        ):
            tally.command("--executor", [command, "toy", "--executor", executor], capsys, code=2)
        for preset in ("", "huge", "medium", "QUICK"):
            tally.command("--preset", [command, "toy", "--preset", preset], capsys, code=2)
    for figure in ("", "fig9", "../x"):
        tally.command("--figure", ["reproduce", "toy", "--figure", figure], capsys, code=2)
    assert not any(p.suffix in (".png", ".result") for p in desk.rglob("*"))
    tally.report("arguments", 120)


def test_strange_files_and_folders_are_one_line(desk, capsys):
    tally, odd = Tally(), strange(desk / "odd")
    for path in odd:
        given = str(path)
        tally.command("--since", ["verify", "toy", "--since", given], capsys, code=2)
        tally.command("--from", ["data", "fetch", "mnist", "--from", given], capsys, code=2)
        tally.command("--out", ["reproduce", "toy", "--out", given], capsys)
        tally.command("--store", ["verify", "toy", "--store", given], capsys)
        tally.command(
            "report --store",
            ["report", "--store", given, "--out", "site"],
            capsys,
            code=None,
        )
        tally.command("--json", ["verify", "toy", "--json", str(desk / "odd" / path.name)], capsys)
        tally.command("--readme", ["list", "--readme", given], capsys, code=2)
        tally.command("--gallery", ["list", "--gallery", given], capsys)
    tally.report("files and folders", 120)


def block(kind, path):
    """Put something in the way of a file or folder that is to be written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    {
        "folder": path.mkdir,
        "file": path.touch,
        "pipe": lambda: os.mkfifo(path),
        "full folder": lambda: (path.mkdir(), (path / "x").touch()),
    }[kind]()


def test_what_stands_in_the_way_of_a_file_is_one_line(desk, capsys):
    tally, n = Tally(), 0
    ways = [
        "figures",
        "figures/toy",
        "figures/README.md",
        "figures/toy/claims.json",
        "figures/toy/toy_fig1.png",
        "figures/toy/toy_fig1.csv",
        "figures/toy/toy_fig1.json",
        "results",
        "results/toy",
        "results/toy/squares",
        "results/.locks",
        "results/verdicts.json",
        "results/failures.log",
        "results/verdicts.json.damaged",
    ]
    for way in ways:
        for kind in ("folder", "full folder", "file", "pipe"):
            n += 1
            place = desk / str(n)
            block(kind, place / way)
            options = ["--store", str(place / "results")]
            right = lambda out: "holds" in out and "FAILS" not in out  # noqa: E731
            tally.command(
                f"{kind} in the way",
                ["reproduce", "toy", "--out", str(place / "figures"), *options],
                capsys,
                right,
            )
            tally.command(f"{kind} in the way", ["verify", "toy", *options], capsys, right)
    tally.report("in the way", 100)


def fault(message="", kind=ValueError):
    def run(**_):
        raise kind(message)

    return run


class Untold(Exception):
    def __str__(self):
        raise RuntimeError("no words")


def leave(**_):
    sys.exit(0)


CELLS = {
    "an error": fault("no inverse"),
    "many lines": fault("one\ntwo\nthree\n" * 50),
    "no message": fault(),
    "memory": fault("", MemoryError),
    "an error that cannot be told": fault("", Untold),
    "an exit": leave,
    "recursion": fault("deep", RecursionError),
    "the system": fault("", OSError),
    "nothing": lambda **_: None,
    "an array": lambda **_: [1.0],
    "NaN": lambda **_: {"a": float("nan")},
    "objects": lambda **_: {"a": object()},
    "ragged": lambda **_: {"a": [[1], [1, 2]]},
    "a wrong argument": lambda y: {},
    "stop": fault("", StopIteration),
    "an assertion": fault("", AssertionError),
}


def test_a_failing_cell_is_named_the_others_are_kept_and_the_traceback_is_written(
    desk, capsys, monkeypatch
):
    tally = Tally()
    for n, (name, run) in enumerate(CELLS.items()):
        bad = Experiment("bad", run, lambda p: [{"x": 1}, {"x": 2}])
        after = Experiment(
            "after", toy.broken, lambda p: [{"x": 1}], needs=lambda c: {"up": ("bad", {"x": 1})}
        )
        claim = Claim(
            "c",
            "s",
            "here",
            ("bad", "after", "squares"),
            lambda r, p: [Evidence("x", 0.5, 0, 1)],
            {"w": lambda r, p: [Evidence("x", 2.0, 0, 1)]},
        )
        paper = replace(
            toy.PAPER, experiments=(bad, after, toy.SQUARES, toy.TOTALS), claims=(claim,)
        )
        monkeypatch.setattr(papers, "rooms", lambda paper=paper: {"toy": paper})
        store = desk / str(n)
        tally.command(f"a cell: {name}", ["verify", "toy", "--store", str(store)], capsys, code=1)
        assert len(list(store.rglob("*.result"))) == 6, name
        assert "toy/bad" in (store / "failures.log").read_text()
    monkeypatch.setattr(
        papers,
        "rooms",
        lambda: {"toy": replace(toy.PAPER, experiments=(bad, toy.SQUARES), claims=(), figures=())},
    )
    tally.report("cells", len(CELLS))


def test_faults_of_a_room_itself_are_one_line(desk, capsys, monkeypatch):
    tally = Tally()
    squares = replace(toy.SQUARES, cells=lambda p: [{"x": {1, 2}}])
    raising = lambda *_: fault("broken", KeyError)()  # noqa: E731
    figure = toy.PAPER.figures[0]
    claim = replace(toy.PAPER.claims[0], measure=raising)
    rooms = {
        "cells": replace(toy.PAPER, experiments=(squares, toy.TOTALS)),
        "cells raise": replace(
            toy.PAPER, experiments=(replace(toy.SQUARES, cells=raising), toy.TOTALS)
        ),
        "a claim raises": replace(toy.PAPER, claims=(claim,)),
        "a figure raises": replace(toy.PAPER, figures=(replace(figure, draw=raising),)),
        "a table raises": replace(toy.PAPER, figures=(replace(figure, table=raising),)),
    }
    for name, room in rooms.items():
        monkeypatch.setattr(papers, "rooms", lambda room=room: {"toy": room})
        tally.command(name, ["reproduce", "toy"], capsys, code=1)
    one = Experiment("bad", fault("give another x", InputError), lambda p: [{"x": 1}, {"x": 2}])
    room = replace(
        toy.PAPER,
        experiments=(one, toy.TOTALS, toy.SQUARES),
        claims=(),
        figures=(replace(figure, needs=("bad",)),),
    )
    monkeypatch.setattr(papers, "rooms", lambda: {"toy": room})
    tally.command("input of a cell", ["reproduce", "toy"], capsys, code=2)
    tally.report("rooms", 6)


def test_damaged_files_that_a_command_reads_are_told_and_mended(desk, capsys):
    tally = Tally()
    right = lambda out: out.count("holds") >= 2  # noqa: E731
    tally.command("first", ["verify", "toy"], capsys, right, code=0)
    tally.command("first", ["reproduce", "toy"], capsys, right, code=0)
    verdicts, claims = desk / "results/verdicts.json", desk / "figures/toy/claims.json"
    for text in (
        "",
        "{",
        "[1]",
        "null",
        '{"format": "theorylab-verdicts-1", "papers": {}}',
        "\0" * 99,
    ):
        verdicts.write_text(text)
        tally.command("--since", ["verify", "toy", "--since", str(verdicts)], capsys, code=2)
        tally.command("verdicts in the store", ["verify", "toy"], capsys, right, code=0)
        assert "toy" in json.loads(verdicts.read_text())["papers"]
        assert (desk / "results/verdicts.json.damaged").read_text() == text
        (desk / "README.md").write_text(f"{BEGIN}\n{END}\n")
        claims.write_text(text)
        tally.command("a damaged gallery", ["list", "--readme", "README.md"], capsys, code=0)
        assert "is damaged" in (desk / "README.md").read_text()
        tally.command("a damaged gallery", ["reproduce", "toy"], capsys, right, code=0)
        tally.command("a mended gallery", ["list", "--readme", "README.md"], capsys, code=0)
        assert "2 hold" in (desk / "README.md").read_text()
    tally.report("damaged files", 30)


def command(words, desk, **environment):
    root = str(Path(toy.__file__).parents[2])
    code = f"import sys; sys.path.insert(0, {root!r}); from theorylab.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=desk,
        env={**os.environ, **environment},
        timeout=120,
        **PIPES,
    )


PIPES = {"capture_output": True, "text": True}


def test_a_platform_that_jax_does_not_know_is_one_line_and_exit_code_2(desk):
    done = command(
        ["verify", "learning_augmented", "--preset", "smoke"], desk, JAX_PLATFORMS="nonsense"
    )
    lines = [line for line in done.stderr.splitlines() if line]
    assert done.returncode == 2 and "JAX_PLATFORMS='nonsense'" in lines[-1] and len(lines) == 1
    assert not (desk / "results").exists()


def test_output_that_nobody_reads_or_that_does_not_fit_is_no_traceback(desk):
    root = str(Path(toy.__file__).parents[2])
    program = (
        f"{sys.executable} -c \"import sys; sys.path.insert(0, '{root}'); from "
        f'theorylab.cli import main; main()" list'
    )
    for sink in ("| true", "> /dev/full", ">&-"):
        done = subprocess.run(["bash", "-c", f"{program} {sink}"], cwd=desk, timeout=120, **PIPES)
        assert "Traceback" not in done.stderr and len(done.stderr.splitlines()) <= 1, (
            sink,
            done.stderr,
        )


def test_a_debugging_run_shows_the_traceback(desk, monkeypatch):
    from theorylab.cli.app import run

    monkeypatch.setenv("THEORYLAB_DEBUG", "1")
    with pytest.raises(InputError, match="unknown paper"):
        run(["verify", "nope"])
