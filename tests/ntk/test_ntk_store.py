"""A kernel on disk survives interruption, damage and confusion with another kernel."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from theorylab.errors import InputError
from theorylab.ntk import empirical, empirical_ntk
from theorylab.ntk.fill import _Fill

X = np.random.default_rng(0).standard_normal((24, 4)).astype(np.float32)
W = np.random.default_rng(1).standard_normal((4, 3)).astype(np.float32)
SMALL = 4e-6  # GB: several tiles


def net(w: np.ndarray, x: np.ndarray) -> np.ndarray:
    return (x @ w) ** 2


@pytest.mark.long
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


def test_another_function_with_the_same_parameters_is_refused(tmp_path: Path) -> None:
    empirical_ntk(net, W, X, out=tmp_path)
    with pytest.raises(
        InputError, match=r"holds another kernel \(differs in f\); choose another folder or delete"
    ):
        empirical_ntk(lambda w, x: (x @ w) ** 3, W, X, out=tmp_path)
    same = empirical_ntk(lambda weights, data: (data @ weights) ** 2, W, X, out=tmp_path)
    np.testing.assert_array_equal(same, empirical_ntk(net, W, X))


def test_function_whose_constants_have_changed_is_another_one(tmp_path: Path) -> None:
    scale = np.ones(3, np.float32)

    def scaled(w: np.ndarray, x: np.ndarray) -> np.ndarray:
        return (x @ w) * scale

    once = np.array(empirical_ntk(scaled, W, X, out=tmp_path / "once"))
    scale[:] = 2
    with pytest.raises(InputError, match="differs in f"):
        empirical_ntk(scaled, W, X, out=tmp_path / "once")
    np.testing.assert_allclose(
        empirical_ntk(scaled, W, X, out=tmp_path / "twice"), 4 * once, rtol=1e-6
    )


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"reduce": "sum_logits"}, "reduce was 'trace', is 'sum_logits'"),
        ({"method": "jacobian"}, "method was 'structured', is 'jacobian'"),
        ({"precision": "default"}, "precision was 'highest', is 'default'"),
        ({"dtype": "float64"}, "dtype was 'float32', is 'float64'"),
        ({"x2": X}, "x2"),
        ({"x1": X[:9]}, r"shape was \[24, 24\], is \[9, 9\]"),
        ({"memory_gb": SMALL}, "tile was .*give memory_gb as in the first call"),
    ],
)
def test_other_settings_are_refused_by_name(tmp_path: Path, changes: dict, told: str) -> None:
    empirical_ntk(net, W, X, out=tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(InputError, match=told):
        empirical_ntk(**{"f": net, "params": W, "x1": X, "out": tmp_path, **changes})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_kernel_is_resumed_in_the_memory_it_was_begun_in_whatever_is_free_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(empirical, "default_budget", lambda: SMALL * 1e9)
    begun = np.array(empirical_ntk(net, W, X, out=tmp_path))
    journal = (tmp_path / "journal.txt").read_bytes()
    assert len(journal.splitlines()) > 3
    monkeypatch.setattr(empirical, "default_budget", lambda: 1e9)
    np.testing.assert_array_equal(empirical_ntk(net, W, X, out=tmp_path), begun)
    assert (tmp_path / "journal.txt").read_bytes() == journal


def test_numbers_are_not_turned_round_by_a_bit_of_the_header(tmp_path: Path) -> None:
    whole = np.array(empirical_ntk(net, W, X, memory_gb=SMALL, out=tmp_path))
    journal = (tmp_path / "journal.txt").read_bytes()
    data = (tmp_path / "kernel.npy").read_bytes()
    (tmp_path / "kernel.npy").write_bytes(data.replace(b"'<f4'", b"'>f4'", 1))
    np.testing.assert_array_equal(empirical_ntk(net, W, X, memory_gb=SMALL, out=tmp_path), whole)
    assert (tmp_path / "journal.txt").read_bytes() == journal  # no tile was computed again
    assert (tmp_path / "kernel.npy").read_bytes() == data


def test_setup_that_is_lost_is_vouched_for_by_the_journal_or_refused(tmp_path: Path) -> None:
    whole = np.array(empirical_ntk(net, W, X, memory_gb=SMALL, out=tmp_path))
    setup = (tmp_path / "setup.txt").read_bytes()
    (tmp_path / "setup.txt").write_bytes(setup[:-5])
    np.testing.assert_array_equal(empirical_ntk(net, W, X, memory_gb=SMALL, out=tmp_path), whole)
    assert (tmp_path / "setup.txt").read_bytes() == setup
    (tmp_path / "setup.txt").unlink()
    with pytest.raises(InputError, match=r"setup\.txt is missing.*delete this one"):
        empirical_ntk(net, 2 * W, X, memory_gb=SMALL, out=tmp_path)
    np.testing.assert_array_equal(np.load(tmp_path / "kernel.npy"), whole)


def test_what_is_no_folder_is_refused_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    (tmp_path / "out" / "kernel.npy").mkdir(parents=True)
    for out in (file, file / "sub", tmp_path / "out"):
        with pytest.raises(InputError, match=f"^out='{out}'.*another folder") as caught:
            empirical_ntk(net, W, X, out=out)
        assert "\n" not in str(caught.value)
    assert file.read_text() == "mine"
    for out in (3, True, [tmp_path]):
        with pytest.raises(InputError, match=r"^out = .*the path of a folder, or None"):
            empirical_ntk(net, W, X, out=out)


def test_second_caller_waits_and_finds_what_the_first_has_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel, computed = empirical_ntk(net, W, X, memory_gb=SMALL), []
    write = _Fill._write

    def slow(work: Any, key: Any, *rest: Any) -> None:
        computed.append(key)
        time.sleep(0.02)
        write(work, key, *rest)

    monkeypatch.setattr(_Fill, "_write", slow)
    with ThreadPoolExecutor(2) as threads:
        calls = [
            threads.submit(empirical_ntk, net, W, X, memory_gb=SMALL, out=tmp_path)
            for _ in range(2)
        ]
        for call in calls:
            np.testing.assert_array_equal(call.result(), kernel)
    assert len(computed) == len((tmp_path / "journal.txt").read_text().splitlines())


@pytest.mark.long
def test_killed_computation_resumes_to_the_same_kernel(tmp_path: Path) -> None:
    script = f"""
import numpy as np
from theorylab.ntk import empirical_ntk
from theorylab.ntk.fill import _Fill
slow = _Fill._write
def write(*args):
    slow(*args)
    print("tile", flush=True)
    import time; time.sleep(0.2)
_Fill._write = write
X = np.random.default_rng(0).standard_normal((24, 4)).astype(np.float32)
W = np.random.default_rng(1).standard_normal((4, 3)).astype(np.float32)
empirical_ntk(lambda w, x: (x @ w) ** 2, W, X, memory_gb={SMALL}, out={str(tmp_path)!r})
"""
    env = {**os.environ, "JAX_PLATFORMS": "cpu"}
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, env=env
    ) as process:
        assert process.stdout.readline() == b"tile\n"
        assert process.stdout.readline() == b"tile\n"
        process.send_signal(signal.SIGKILL)
        process.wait()
    before = (tmp_path / "journal.txt").read_text().splitlines()
    resumed = empirical_ntk(net, W, X, memory_gb=SMALL, out=tmp_path)
    after = (tmp_path / "journal.txt").read_text().splitlines()
    # nothing finished was done again
    assert 2 <= len(before) < len(after) and after[: len(before)] == before
    np.testing.assert_array_equal(resumed, empirical_ntk(net, W, X, memory_gb=SMALL))


BIG = """
import numpy as np
from theorylab.ntk import empirical_ntk
rng = np.random.default_rng(0)
x = rng.standard_normal((1000, 8, 8, 3)).astype(np.float32)
shapes = (3, 3, 3, 16), (3, 3, 16, 16), (16, 4)
w = [rng.standard_normal(shape).astype(np.float32) / 5 for shape in shapes]

def f(w, x):
    import jax
    layout = "NHWC", "HWIO", "NHWC"
    for v in w[:-1]:
        x = jax.lax.conv_general_dilated(x, v, (1, 1), "SAME", dimension_numbers=layout)
        x = jax.nn.relu(x)
    return x.mean((1, 2)) @ w[-1]
"""


@pytest.mark.slow
def test_computation_of_a_thousand_samples_killed_midway_resumes_with_the_missing_tiles_only(
    tmp_path: Path,
) -> None:
    script = BIG + f"empirical_ntk(f, w, x, memory_gb=0.02, out={str(tmp_path)!r})"
    journal = tmp_path / "journal.txt"
    with subprocess.Popen(
        [sys.executable, "-c", script], env={**os.environ, "JAX_PLATFORMS": "cpu"}
    ) as process:
        while not journal.exists() or len(journal.read_text().splitlines()) < 20:
            assert process.poll() is None, "the computation ended before it could be killed"
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
    before = journal.read_text().splitlines()
    names: dict = {}
    exec(BIG, names)
    f, w, x = (names[name] for name in "fwx")
    computed: list[tuple] = []
    write = _Fill._write
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            _Fill,
            "_write",
            lambda work, key, *rest: (computed.append(key), write(work, key, *rest)),
        )
        resumed = np.array(empirical_ntk(f, w, x, memory_gb=0.02, out=tmp_path))
    after = journal.read_text().splitlines()
    done = {tuple(map(int, line.split()[:4])) for line in before if line.endswith(" end")}
    assert len(done) >= 20 and done.isdisjoint(computed) and len(computed) == len(set(computed))
    # Together they are every tile of the upper triangle.
    starts = sorted({key[0] for key in (*done, *computed)})
    assert len(done) + len(computed) == len(starts) * (len(starts) + 1) // 2
    assert after[: len(before)] == before
    np.testing.assert_array_equal(resumed, empirical_ntk(f, w, x, memory_gb=0.02))
