import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import toy
from rich.console import Console

from theorylab.errors import InputError
from theorylab.lab import CellError, Experiment, Preset, Runner, Store
from theorylab.lab.reproduce import reproduce
from theorylab.lab.runner import make_task

HERE = Path(__file__).parent


@pytest.fixture
def marks(tmp_path, monkeypatch):
    """A folder in which every computed cell leaves a file, so that computations can be counted."""
    folder = tmp_path / "marks"
    folder.mkdir()
    monkeypatch.setenv("TOY_MARKS", str(folder))
    return folder


def runner(tmp_path, **options):
    return Runner(Store(tmp_path / "store"), console=Console(stderr=True, width=200), **options)


def paper_with(*experiments):
    return replace(toy.PAPER, experiments=experiments, figures=(), claims=())


def test_what_was_computed_once_is_found_the_second_time(tmp_path, marks):
    first = runner(tmp_path).run(toy.PAPER, toy.PAPER.preset("quick"), ["squares"])
    again = runner(tmp_path)
    second = again.run(toy.PAPER, toy.PAPER.preset("quick"), ["squares"])
    assert (again.computed, again.found, len(list(marks.iterdir()))) == (0, 6, 6)
    np.testing.assert_array_equal(first["squares"].stack("value"), second["squares"].stack("value"))
    assert [r.cell["x"] for r in second["squares"]] == [1, 1, 2, 2, 3, 3]


def test_force_computes_everything_again(tmp_path, marks):
    for _ in range(2):
        runner(tmp_path, force=True).run(toy.PAPER, toy.PAPER.preset("quick"), ["squares"])
    assert len(list(marks.iterdir())) == 12


def test_a_new_seed_or_a_changed_value_computes_new_cells_only(tmp_path, marks):
    runner(tmp_path).run(toy.PAPER, toy.PAPER.preset("quick"), ["squares"])
    wider = runner(tmp_path)
    wider.run(toy.PAPER, toy.PAPER.preset("quick", changes={"xs": [2, 3, 4]}), ["squares"])
    assert (wider.computed, wider.found) == (2, 4)
    other = runner(tmp_path)
    other.run(toy.PAPER, toy.PAPER.preset("quick", seed=1), ["squares"])
    assert (other.computed, other.found) == (6, 0)


def test_papers_share_the_cells_of_a_home_and_no_others(tmp_path, marks):
    shared = replace(toy.PAPER.experiment("squares"), home="common")
    one = replace(paper_with(shared), slug="one")
    two = replace(paper_with(shared), slug="two")
    runner(tmp_path).run(one, one.preset("quick"), ["squares"])
    second = runner(tmp_path)
    second.run(two, two.preset("quick"), ["squares"])
    assert (second.computed, second.found, len(list(marks.iterdir()))) == (0, 6, 6)
    own = replace(paper_with(toy.PAPER.experiment("squares")), slug="two")
    third = runner(tmp_path)
    third.run(own, own.preset("quick"), ["squares"])
    assert (third.computed, third.found) == (6, 0)


def test_cells_that_need_others_get_their_arrays(tmp_path):
    run = runner(tmp_path)
    total = run.run(toy.PAPER, toy.PAPER.preset("quick"), ["totals"])["totals"]
    assert next(iter(total))["total"] == pytest.approx(3 * (1 + 4), abs=0.05)
    assert run.computed == 3


def test_a_cell_is_computed_again_when_what_it_needs_has_changed(tmp_path, monkeypatch):
    from theorylab.lab import runner as module

    plain = module.make_task(toy.PAPER, "totals", {"n": 2}).key
    monkeypatch.setattr(module, "fingerprint", lambda name: "other code")
    assert module.make_task(toy.PAPER, "totals", {"n": 2}).key != plain


def test_non_finite_results_are_refused_unless_declared(tmp_path):
    cells = Experiment("broken", toy.broken, lambda p: [{"x": 1}])
    preset = toy.PAPER.preset("quick")
    with pytest.raises(CellError, match=r"toy/broken .*'value' has NaN"):
        runner(tmp_path).run(paper_with(cells), preset, ["broken"])
    declared = replace(cells, nonfinite=frozenset({"value"}))
    rows = runner(tmp_path).run(paper_with(declared), preset, ["broken"])["broken"]
    assert np.isnan(rows.stack("value")).sum() == 1


def test_a_failing_cell_is_named_and_keeps_its_cause(tmp_path):
    cells = Experiment("failing", toy.failing, lambda p: [{"x": 7}])
    with pytest.raises(CellError, match=r'toy/failing \{"x":7\}: no inverse of 0') as caught:
        runner(tmp_path).run(paper_with(cells), toy.PAPER.preset("quick"), ["failing"])
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize("damage", ["truncate", "flip"])
def test_a_damaged_file_is_reported_and_computed_again(tmp_path, marks, capsys, damage):
    preset = toy.PAPER.preset("quick")
    before = runner(tmp_path).run(toy.PAPER, preset, ["squares"])["squares"].stack("value")
    victim = sorted((tmp_path / "store" / "toy").rglob("*.result"))[2]
    content = bytearray(victim.read_bytes())
    content[200] ^= 1
    victim.write_bytes(content[:-40] if damage == "truncate" else content)
    again = runner(tmp_path)
    after = again.run(toy.PAPER, preset, ["squares"])["squares"].stack("value")
    assert again.computed == 1 and len(list(marks.iterdir())) == 7
    assert f"damaged result, computing it again: {victim}" in capsys.readouterr().err
    np.testing.assert_array_equal(before, after)


def test_a_copy_of_another_cells_result_is_not_believed(tmp_path, capsys):
    preset = toy.PAPER.preset("quick")
    before = runner(tmp_path).run(toy.PAPER, preset, ["squares"])["squares"].stack("value")
    a, b = sorted((tmp_path / "store" / "toy").rglob("*.result"))[:2]
    b.write_bytes(a.read_bytes())
    again = runner(tmp_path)
    np.testing.assert_array_equal(
        again.run(toy.PAPER, preset, ["squares"])["squares"].stack("value"), before
    )
    assert again.computed == 1
    assert f"{b}: it is the result of another cell, toy/squares/{a.stem}" in capsys.readouterr().err


def test_a_failing_cell_stops_those_that_need_it_and_no_others(tmp_path):
    def sometimes(x):
        return {"value": 1 / x}

    cells = Experiment("sometimes", sometimes, lambda p: [{"x": x} for x in (0, 1, 2)])
    after = Experiment(
        "after",
        lambda x, up: up,
        lambda p: [{"x": x} for x in (0, 1)],
        needs=lambda c: {"up": ("sometimes", {"x": c["x"]})},
    )
    run = runner(tmp_path)
    with pytest.raises(CellError) as caught:
        run.run(paper_with(cells, after), toy.PAPER.preset("quick"), ["sometimes", "after"])
    assert str(caught.value).splitlines() == [
        'toy/sometimes {"x":0}: division by zero (ZeroDivisionError)',
        "not computed, because they need those: 1 cells",
    ]
    assert run.computed == 3
    assert "in sometimes" in caught.value.log.read_text()


def test_a_cell_that_another_process_computes_is_waited_for_aloud(tmp_path, capsys):
    store, preset = (
        Store(tmp_path / "store"),
        toy.PAPER.preset("quick", changes={"xs": [1], "repeats": 1}),
    )
    task = make_task(toy.PAPER, "squares", toy.SQUARES.cells(preset)[0])
    held, free = threading.Event(), threading.Event()

    def other():
        with store.lock(*task.place, wait=False) as got:
            assert got
            held.set()
            free.wait(30)

    thread = threading.Thread(target=other)
    thread.start()
    held.wait(30)
    threading.Timer(0.5, free.set).start()
    run = runner(tmp_path)
    run.run(toy.PAPER, preset, ["squares"])
    thread.join()
    told = capsys.readouterr().err
    assert (
        f"waiting for {task}, which process {os.getpid()} on " in told
        and "(since 20" in told
        and run.computed == 1
    )


def test_a_process_with_other_code_objects_to_computing(monkeypatch):
    from theorylab import __version__
    from theorylab.lab.cluster import _objection, objection
    from theorylab.lab.fingerprint import module_digests

    ours = module_digests(toy.square)
    assert "toy" in ours and "theorylab.lab.claim" in ours
    assert objection(__version__, tuple(ours.items())) == ""
    assert "its toy differs from ours" in objection(
        __version__, tuple({**ours, "toy": "0" * 16}.items())
    )
    assert "its gone differs from ours, or it has none" in objection(
        __version__, (("gone", "0" * 16),)
    )
    edited = time.time() + 60
    with monkeypatch.context() as patch:
        patch.setattr(
            "theorylab.lab.cluster.file_of",
            lambda *_: SimpleNamespace(stat=lambda: SimpleNamespace(st_mtime=edited)),
        )
        _objection.cache_clear()
        assert objection(__version__, tuple(ours.items())).endswith("has changed since it started")
    _objection.cache_clear()
    assert (
        objection("0.0.9", tuple(ours.items())) == f"it has theorylab {__version__}, this is 0.0.9"
    )


def test_an_unknown_executor_is_refused(tmp_path):
    with pytest.raises(InputError, match="unknown executor 'slurm'"):
        runner(tmp_path, executor="slurm")


@pytest.mark.long
def test_a_dask_cluster_gives_the_same_results(tmp_path):
    pytest.importorskip("distributed")
    here = runner(tmp_path / "a").run(toy.PAPER, toy.PAPER.preset("smoke"), ["totals", "squares"])
    there = runner(tmp_path / "b", executor="dask://local").run(
        toy.PAPER, toy.PAPER.preset("smoke"), ["totals", "squares"]
    )
    for name in here:
        field = "total" if name == "totals" else "value"
        np.testing.assert_array_equal(here[name].stack(field), there[name].stack(field))


def test_a_dask_scheduler_that_is_not_there_is_one_clear_error(tmp_path):
    pytest.importorskip("distributed")
    with pytest.raises(InputError, match=r"no Dask scheduler at 'nowhere'"):
        runner(tmp_path, executor="dask://nowhere").run(
            toy.PAPER, toy.PAPER.preset("smoke"), ["squares"]
        )


SCRIPT = """
import sys; sys.path.insert(0, {here!r})
from pathlib import Path
import toy
from theorylab.lab import Runner, Store
from theorylab.lab.reproduce import reproduce
from theorylab.lab.runner import make_task
base = Path(sys.argv[1])
preset = toy.PAPER.preset("quick", changes={{"pause": 0.15, "xs": [1, 2, 3, 4]}})
reproduce(toy.PAPER, preset, Runner(Store(base / "store")), base / sys.argv[2])
"""


def start(base, out):
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(here=str(HERE)), str(base), out], cwd=HERE.parents[1]
    )


def finished(base):
    return len(list((base / "store" / "toy" / "squares").glob("*.result")))


def wait_until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


@pytest.mark.long
def test_a_killed_run_resumes_and_ends_with_the_bytes_of_an_undisturbed_one(tmp_path, marks):
    calm, rough = tmp_path / "calm", tmp_path / "rough"
    assert start(calm, "out").wait() == 0
    undisturbed = len(list(marks.iterdir()))
    process = start(rough, "out")
    wait_until(lambda: finished(rough) >= 3)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    kept = finished(rough)
    assert 3 <= kept < 10
    for mark in marks.iterdir():
        mark.unlink()
    assert start(rough, "out").wait() == 0
    assert len(list(marks.iterdir())) == undisturbed - kept
    csv = "out/toy/toy_fig1.csv"
    assert (rough / csv).read_bytes() == (calm / csv).read_bytes()
    assert not list((rough / "store" / "toy").rglob(".*.result.*")), (
        "an unfinished write was left behind as a result"
    )


@pytest.mark.long
def test_two_processes_share_a_store_and_compute_each_cell_once(tmp_path, marks):
    both = [start(tmp_path, out) for out in ("one", "two")]
    assert [p.wait() for p in both] == [0, 0]
    assert finished(tmp_path) == len(list(marks.iterdir())) == 10
    csv = "toy/toy_fig1.csv"
    assert (tmp_path / "one" / csv).read_bytes() == (tmp_path / "two" / csv).read_bytes()


def test_a_preset_object_carries_its_seed_into_the_cells():
    assert [
        c["seed"]
        for c in toy.SQUARES.cells(Preset("q", {"xs": [1], "repeats": 2, "pause": 0}, seed=2))
    ] == [
        2000,
        2001,
    ]


def test_reproduce_writes_every_file_of_a_figure_and_the_verdicts(tmp_path):
    done = reproduce(toy.PAPER, toy.PAPER.preset("quick"), runner(tmp_path), tmp_path / "out")
    names = {p.name for p in (tmp_path / "out" / "toy").iterdir()}
    assert names == {f"toy_fig1.{e}" for e in ("csv", "png", "dark.png", "pdf", "json")} | {
        "claims.json"
    }
    assert [v.status for v in done.verdicts] == ["holds", "holds"]
