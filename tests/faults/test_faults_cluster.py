"""Workers and schedulers that are lost, differ or fail."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from toy_store import PRESET, ROOT, quiet

import toy  # isort: skip, `toy_store` puts it on the path
from theorylab.errors import OperationError
from theorylab.lab import CellError, Experiment

pytestmark = pytest.mark.slow
dask = pytest.importorskip("distributed")


def start(*words, path=""):
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([path or str(Path(toy.__file__).parent), str(ROOT)]),
    }
    command = [sys.executable, "-m", "distributed.cli.dask_" + words[0], *words[1:]]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """A scheduler, and a function that adds a worker; all are ended."""
    monkeypatch.setattr("theorylab.lab.cluster.PATIENCE", 3.0)
    file, running = tmp_path / "scheduler.json", []

    def begin(*words, **options):
        running.append(start(*words, **options))
        return running[-1]

    scheduler = begin("scheduler", "--port", "0", "--no-dashboard", "--scheduler-file", str(file))
    end = time.monotonic() + 60
    while not file.exists() or not file.read_text().endswith("}"):
        assert time.monotonic() < end
        time.sleep(0.05)
    address = json.loads(file.read_text())["address"]

    def worker(path=""):
        process = begin(
            "worker", address, "--no-nanny", "--nthreads", "1", "--no-dashboard", path=path
        )
        with dask.Client(address) as client:
            client.wait_for_workers(1, timeout=60)
        return process

    yield address, scheduler, worker
    for process in running:
        process.kill()
        process.wait()


def long_run():
    return toy.PAPER.preset("quick", changes={"pause": 0.4, "xs": list(range(1, 9))})


@pytest.mark.parametrize("lost", ["worker", "scheduler"])
def test_a_lost_part_of_a_cluster_is_one_line_and_finished_cells_are_kept(tmp_path, cluster, lost):
    address, scheduler, worker = cluster
    victim = {"worker": worker(), "scheduler": scheduler}[lost]
    told, store = [], tmp_path / "store"
    runner = quiet(store, executor=f"dask://{address}")
    runner._say = told.append
    keep = runner._keep

    def kill_later(task, row):
        kept = keep(task, row)
        if runner.computed == 3:
            victim.kill()
        return kept

    runner._keep = kill_later
    begun = time.monotonic()
    with pytest.raises(OperationError, match=r"finished and kept; mend the cluster") as caught:
        runner.run(toy.PAPER, long_run(), ["squares"])
    assert "\n" not in str(caught.value) and time.monotonic() - begun < 60
    kept = len(list(store.rglob("*.result")))
    assert kept >= 3
    here = quiet(store)
    here.run(toy.PAPER, long_run(), ["squares"])
    assert here.found == kept


def test_a_worker_with_other_code_is_refused_by_name(tmp_path, cluster):
    address, _, worker = cluster
    (tmp_path / "other").mkdir()
    text = Path(toy.__file__).read_text().replace("* 1e-3", "* 2e-3")
    (tmp_path / "other" / "toy.py").write_text(text)
    worker(path=str(tmp_path / "other"))
    with pytest.raises(
        OperationError, match=r"Dask worker tcp://\S+ is refused: its toy differs from ours"
    ):
        quiet(tmp_path / "store", executor=f"dask://{address}").run(toy.PAPER, PRESET, ["squares"])
    assert not list((tmp_path / "store").rglob("*.result"))


def test_a_cell_that_fails_on_a_cluster_does_not_stop_the_others(tmp_path, cluster):
    address, _, worker = cluster
    worker()
    paper = replace(
        toy.PAPER,
        experiments=(toy.SQUARES, Experiment("failing", toy.failing, lambda p: [{"x": 7}])),
        figures=(),
        claims=(),
    )
    runner = quiet(tmp_path, executor=f"dask://{address}")
    with pytest.raises(
        CellError, match=r'toy/failing \{"x":7\}: no inverse of 0 \(ZeroDivisionError\)'
    ):
        runner.run(paper, PRESET, ["failing", "squares"])
    assert runner.computed == 6
