"""A kernel on disk survives interruption, damage and confusion with another kernel."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from theorylab.ntk import empirical_ntk

X = np.random.default_rng(0).standard_normal((24, 4)).astype(np.float32)
W = np.random.default_rng(1).standard_normal((4, 3)).astype(np.float32)
SMALL = 4e-6  # GB: several tiles


def net(w: np.ndarray, x: np.ndarray) -> np.ndarray:
    return (x @ w) ** 2


@pytest.mark.parametrize("reduce", ["trace", "full"])
def test_kernel_on_disk_equals_kernel_in_memory(tmp_path: Path, reduce: str) -> None:
    kernel = empirical_ntk(net, W, X, reduce=reduce, memory_gb=SMALL, out=tmp_path)
    np.testing.assert_array_equal(kernel, empirical_ntk(net, W, X, reduce=reduce, memory_gb=SMALL))
    assert not kernel.flags.writeable
    assert len((tmp_path / "journal.txt").read_text().splitlines()) > 3


def test_finished_kernel_is_read_and_only_damaged_tiles_are_computed_again(tmp_path: Path) -> None:
    whole = np.array(empirical_ntk(net, W, X, memory_gb=SMALL, out=tmp_path))
    lines = len((tmp_path / "journal.txt").read_text().splitlines())
    kernel = np.load(tmp_path / "kernel.npy", mmap_mode="r+")
    kernel[0, 0] = -1.0
    kernel.flush()
    with open(tmp_path / "journal.txt", "a") as journal:
        journal.write("0 6 0 ")  # a line cut short by a crash
    np.testing.assert_array_equal(empirical_ntk(net, W, X, memory_gb=SMALL, out=tmp_path), whole)
    assert len((tmp_path / "journal.txt").read_text().splitlines()) == lines + 1


def test_folder_of_another_kernel_is_refused(tmp_path: Path) -> None:
    empirical_ntk(net, W, X, out=tmp_path)
    with pytest.raises(ValueError, match="holds another kernel"):
        empirical_ntk(net, 2 * W, X, out=tmp_path)


def test_killed_computation_resumes_to_the_same_kernel(tmp_path: Path) -> None:
    script = f"""
import numpy as np
from theorylab.ntk import empirical_ntk, tiles
slow = tiles._write
def write(*args):
    slow(*args)
    print("tile", flush=True)
    import time; time.sleep(0.2)
tiles._write = write
X = np.random.default_rng(0).standard_normal((24, 4)).astype(np.float32)
W = np.random.default_rng(1).standard_normal((4, 3)).astype(np.float32)
empirical_ntk(lambda w, x: (x @ w) ** 2, W, X, memory_gb={SMALL}, out={str(tmp_path)!r})
"""
    env = {**os.environ, "JAX_PLATFORMS": "cpu"}
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, env=env) as process:
        assert process.stdout.readline() == b"tile\n"
        assert process.stdout.readline() == b"tile\n"
        process.send_signal(signal.SIGKILL)
        process.wait()
    before = (tmp_path / "journal.txt").read_text().splitlines()
    resumed = empirical_ntk(net, W, X, memory_gb=SMALL, out=tmp_path)
    after = (tmp_path / "journal.txt").read_text().splitlines()
    assert 2 <= len(before) < len(after) and after[: len(before)] == before  # nothing finished was done again
    np.testing.assert_array_equal(resumed, empirical_ntk(net, W, X, memory_gb=SMALL))
