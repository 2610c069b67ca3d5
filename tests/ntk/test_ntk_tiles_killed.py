"""A kernel in tiles whose caller, workers or scheduler are killed, and one of several processes."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
import zarr
from tiles_toy import NETWORK, files, journal

from theorylab import cluster
from theorylab.errors import OperationError
from theorylab.ntk import empirical_ntk, tiled_ntk
from theorylab.ntk.large import store


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The symmetric kernel of 3 x 3 tiles, of which the last ones hold three samples."""
    folder = tmp_path_factory.mktemp("kernel") / "finished"
    tiled_ntk(**NETWORK, out=folder)
    return folder


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The tiles that are finished from here on."""
    found: list[tuple[int, int]] = []
    finish = store.TileArray.finish

    def count(self: Any, tile: tuple[int, int], block: np.ndarray) -> None:
        finish(self, tile, block)
        found.append(tile)

    monkeypatch.setattr(store.TileArray, "finish", count)
    return found


PROGRAM = """
import sys, time
from tiles_toy import NETWORK
from theorylab.ntk import tiled_ntk
from theorylab.ntk.large import store
finish = store.TileArray.finish
def slow(self, tile, block):
    finish(self, tile, block)
    print(*tile, flush=True)
    time.sleep(float(sys.argv[3]))
store.TileArray.finish = slow
tiled_ntk(**NETWORK, out=sys.argv[1], executor=sys.argv[2])
"""


def environment(path: str = "") -> dict[str, str]:
    """With this code, and that of `path` before it."""
    here = [str(Path(__file__).parents[2]), str(Path(__file__).parent)]
    paths = [path, *here, os.environ.get("PYTHONPATH", "")]
    joined = os.pathsep.join(filter(None, paths))
    return {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": joined}


def program(out: Path, executor: str, pause: float) -> subprocess.Popen:
    command = [sys.executable, "-c", PROGRAM, str(out), executor, str(pause)]
    return subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True)


@pytest.mark.long
def test_a_killed_caller_is_resumed_with_the_missing_tiles_only(
    tmp_path: Path, finished: Path, counted: list[tuple[int, int]]
) -> None:
    with program(tmp_path / "out", "local", 30) as process:
        assert process.stdout is not None and process.stdout.readline() == "0 0\n"
        process.send_signal(signal.SIGKILL)
    before = journal(tmp_path / "out")
    tiled_ntk(**NETWORK, out=tmp_path / "out")
    assert counted == [(0, 1), (0, 2), (1, 1), (1, 2), (2, 2)]
    assert journal(tmp_path / "out")[: len(before)] == before and len(before) == 1
    assert files(tmp_path / "out") == files(finished)


class Cluster:
    """A scheduler and workers in processes of their own."""

    def __init__(self, folder: Path):
        self.file, self.running, self.address = folder / "scheduler.json", [], ""
        self.folder = folder

    def start(self, *words: str, path: str = "") -> subprocess.Popen:
        command = [sys.executable, "-m", "distributed.cli.dask_" + words[0], *words[1:]]
        process = subprocess.Popen(
            command,
            env=environment(path),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self.folder,
        )
        self.running.append(process)
        return process

    def scheduler(self, port: str = "0") -> subprocess.Popen:
        self.file.unlink(missing_ok=True)
        process = self.start(
            "scheduler", "--port", port, "--no-dashboard", "--scheduler-file", str(self.file)
        )
        end = time.monotonic() + 60
        while not self.file.exists() or not self.file.read_text().endswith("}"):
            assert time.monotonic() < end
            time.sleep(0.05)
        self.address = json.loads(self.file.read_text())["address"]
        return process

    def worker(self, path: str = "") -> subprocess.Popen:
        return self.start(
            "worker", self.address, "--no-nanny", "--nthreads", "1", "--no-dashboard", path=path
        )

    def wait(self, workers: int) -> None:
        from distributed import Client

        with Client(self.address) as client:
            client.wait_for_workers(workers, timeout=60)


@pytest.fixture
def dask(tmp_path: Path) -> Any:
    pytest.importorskip("distributed")
    (tmp_path / "cluster").mkdir()
    started = Cluster(tmp_path / "cluster")
    started.scheduler()
    yield started
    for process in started.running:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_a_cluster_whose_workers_are_killed_gives_the_bytes_of_this_process(
    tmp_path: Path, finished: Path, dask: Cluster
) -> None:
    first = dask.worker()
    dask.wait(1)
    with program(tmp_path / "out", f"dask://{dask.address}", 0.5) as process:
        assert process.stdout is not None and process.stdout.readline()
        first.kill()  # with the samples that it held, and what it was computing
        dask.worker()
        dask.worker()
        assert process.wait(timeout=120) == 0
    assert files(tmp_path / "out") == files(finished)


@pytest.mark.slow
@pytest.mark.parametrize("killed", ["caller", "scheduler"])
def test_what_is_killed_is_resumed_on_a_cluster(
    tmp_path: Path,
    finished: Path,
    dask: Cluster,
    counted: list[tuple[int, int]],
    killed: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dask.worker()
    dask.wait(1)
    monkeypatch.setattr("theorylab.ntk.large.cluster.PATIENCE", 3.0)
    if killed == "caller":
        with program(tmp_path / "out", f"dask://{dask.address}", 30) as process:
            assert process.stdout is not None and process.stdout.readline()
            process.send_signal(signal.SIGKILL)
    else:
        finish = store.TileArray.finish

        def kill(self: Any, tile: tuple[int, int], block: np.ndarray) -> None:
            finish(self, tile, block)
            dask.running[0].kill()

        with monkeypatch.context() as patch:
            patch.setattr(store.TileArray, "finish", kill)
            with pytest.raises(OperationError, match=r"of these 6 tiles are finished and kept"):
                tiled_ntk(**NETWORK, out=tmp_path / "out", executor=f"dask://{dask.address}")
        dask.scheduler()
        dask.worker()
        dask.wait(1)
    kept = len(journal(tmp_path / "out"))
    counted.clear()
    tiled_ntk(**NETWORK, out=tmp_path / "out", executor=f"dask://{dask.address}")
    assert kept >= 1 and len(counted) == 6 - kept
    assert files(tmp_path / "out") == files(finished)


@pytest.mark.slow
def test_a_worker_with_other_code_is_refused_by_name(tmp_path: Path, dask: Cluster) -> None:
    other = tmp_path / "other"
    shutil.copytree(Path(cluster.__file__).parent, other / "theorylab")
    with open(other / "theorylab" / "ntk" / "contract.py", "a") as module:
        module.write("\nCHANGED = True\n")
    dask.worker(path=str(other))
    dask.wait(1)
    with pytest.raises(
        OperationError, match=r"Dask worker tcp://\S+ is refused: it has another code of theorylab"
    ):
        tiled_ntk(**NETWORK, out=tmp_path / "out", executor=f"dask://{dask.address}")
    assert not (tmp_path / "out").exists()


POD = """
import sys
import jax, numpy as np
jax.config.update("jax_cpu_collectives_implementation", "gloo")
number, processes, port, out = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
if processes > 1:
    jax.distributed.initialize(f"127.0.0.1:{port}", processes, number)
assert jax.process_count() == processes and len(jax.devices()) == 4
from theorylab.ntk import tiled_ntk
rng = np.random.default_rng(0)
x, y = (rng.standard_normal((n, 6, 6, 1)).astype(np.float32) for n in (21, 10))
w = [rng.standard_normal(s).astype(np.float32) / 2 for s in ((3, 3, 1, 4), (144, 3))]
def f(w, x):
    form = "NHWC", "HWIO", "NHWC"
    x = jax.lax.conv_general_dilated(x, w[0], (1, 1), "SAME", dimension_numbers=form)
    return jax.nn.relu(x).reshape(len(x), -1) @ w[1]
mesh = jax.make_mesh((4,), ("samples",))
for name, x2, reduce in (("square", None, "trace"), ("oblong", y, "full")):
    kernel = tiled_ntk(
        f, w, x, x2, reduce=reduce, out=f"{out}/{name}", tile=9, executor=mesh, progress=False
    )
    assert (kernel is None) == (number > 0)
try:
    tiled_ntk(f, w, x + 1, out=f"{out}/square", tile=9, executor=mesh, progress=False)
except (ValueError, RuntimeError) as error:
    print(type(error).__name__, "differs in x1" in str(error))
"""


@pytest.mark.slow
def test_two_processes_of_a_mesh_give_the_bytes_of_one(tmp_path: Path) -> None:
    def run(processes: int, out: Path) -> list[str]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        flags = f"--xla_force_host_platform_device_count={4 // processes}"
        running = [
            subprocess.Popen(
                [sys.executable, "-c", POD, str(k), str(processes), str(port), str(out)],
                env={**environment(), "XLA_FLAGS": flags},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for k in range(processes)
        ]
        found = [process.communicate(timeout=300) for process in running]
        assert [process.returncode for process in running] == [0] * processes, found
        return [said.splitlines()[-1] for said, _ in found]  # gloo talks before

    assert run(2, tmp_path / "two") == ["InputError True", "OperationError True"]
    assert run(1, tmp_path / "one") == ["InputError True"]
    for name in ("square", "oblong"):
        assert files(tmp_path / "two" / name) == files(tmp_path / "one" / name)
    names: dict[str, Any] = {"jax": jax, "np": np}
    exec(POD[POD.index("rng =") : POD.index("mesh =")], names)
    f, w, x, y = (names[name] for name in "fwxy")
    for name, x2, reduce in (("square", None, "trace"), ("oblong", y, "full")):
        alone = empirical_ntk(f, w, x, x2, reduce=reduce)
        np.testing.assert_allclose(
            zarr.open_array(tmp_path / "two" / name, mode="r")[:],
            alone,
            rtol=1e-5,
            atol=1e-5 * abs(alone).max(),
        )
