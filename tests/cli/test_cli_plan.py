"""`theorylab plan`: what it prints, what it refuses, and one plan from end to end."""

import json

import pytest

from theorylab.cli import plan_command
from theorylab.cli.app import run

ROW = {
    "experiment": "an_experiment_with_a_long_name",
    "cells": 1200,
    "kinds": 3,
    "rehearsed": 3,
    "stopped": "",
    "flops": 3.35e15,
    "operations": 1e6,
    "bounded": True,
    "program": "train_at_once",
    "busiest": "train_at_once_and_together",
    "calls": 7,
    "memory": 4_248_921_702,
    "compiled": "h100",
    "failure": "",
}


@pytest.fixture
def printed(monkeypatch, capfd):
    monkeypatch.setattr(plan_command, "_check_data", lambda *_: None)

    def of(*rows, given=()):
        monkeypatch.setattr(plan_command, "_rehearsed", lambda *_: iter([dict(r) for r in rows]))
        assert run(["plan", "projection_norm", *given]) == 0
        return capfd.readouterr().out

    return of


def test_a_plan_fits_in_80_columns_and_says_what_it_takes_of_the_device(printed):
    shown = printed(ROW, ROW | {"experiment": "other", "memory": 0, "flops": 0.0, "busiest": ""})
    assert max(map(len, shown.splitlines())) <= 80
    said = " ".join(shown.split())
    # half of 67 TFLOP/s: 100 s; 3 % of it, and a million operations of 20 microseconds: 1687 s
    assert "4.2 GB 5% 3.4e+15 100 s to 28 min" in said
    assert "in all 2,400 cells" in said and "4.2 GB of 85.0 GB: it fits" in said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"memory": 10**11}, "100.0 GB of 85.0 GB: it does NOT fit"),
        ({"stopped": "time", "rehearsed": 2}, "its time was up in cell 2 of 3 kinds"),
        ({"rehearsed": 2}, "the largest 2 of 3 kinds of cells were rehearsed"),
        ({"stopped": "ValueError: no"}, "stopped by made-up numbers, counts are lower bounds"),
        ({"bounded": False}, "loops whose length depends on data count once"),
        ({"memory": 0, "stopped": "time"}, "no program was seen, so that nothing is known"),
        ({"failure": "f: too large"}, "does not compile: f: too large"),
        ({"compiled": "cpu"}, "programs compiled for this processor"),
    ],
)
def test_what_a_plan_leaves_open_is_said(printed, change, said):
    shown = printed(ROW | change)
    assert said in " ".join(shown.split()) and max(map(len, shown.splitlines())) <= 80


def test_plans_are_kept_in_one_file_each_once(printed, tmp_path):
    out = tmp_path / "plans.json"
    for device in ("h100", "v5e", "h100"):
        printed(ROW, given=["--device", device, "--json", str(out)])
    kept = json.loads(out.read_text())
    assert [(p["paper"], p["device"]) for p in kept] == [
        ("projection_norm", "h100"),
        ("projection_norm", "v5e"),
    ]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["nothing"], "nothing"),
        (["tct", "--device", "abacus"], "unknown device 'abacus'; choose one of: h100, v5e"),
        (["tct", "--preset", "huge"], "unknown preset 'huge'"),
        (["tct", "--experiment", "no"], "has no experiment 'no'; choose among: equivalence"),
        (["tct", "--seconds", "0"], "--seconds 0.0: give a number above 0"),
    ],
)
def test_a_wrong_request_is_answered_by_one_line(capfd, given, said):
    assert run(["plan", *given]) == 2
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 1 and said in lines[0]


def test_a_file_that_holds_no_plans_is_not_overwritten(monkeypatch, capfd, tmp_path):
    out = tmp_path / "plans.json"
    out.write_text("{")
    monkeypatch.setattr(plan_command, "_check_data", lambda *_: None)
    monkeypatch.setattr(plan_command, "_rehearsed", lambda *_: iter([dict(ROW)]))
    assert run(["plan", "tct", "--json", str(out)]) == 2 and out.read_text() == "{"
    assert "is no file of plans" in capfd.readouterr().err


@pytest.mark.long
def test_a_paper_is_rehearsed_in_a_process_of_its_own(capfd):
    given = ["--preset", "smoke", "--experiment", "gcv_rate", "--seconds", "20"]
    assert run(["plan", "more_than_a_toy", *given]) == 0
    shown = capfd.readouterr().out
    assert "gcv_rate" in shown and "it fits" in shown
