"""Seeded faults on the folder of a kernel end in the right kernel or in a refusal of one line."""

import collections
import os
import pickle
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from seeded_faults import damage, full_after, outcome, report

from theorylab.ntk import empirical, empirical_ntk
from theorylab.ntk import store as stores

X = np.random.default_rng(0).standard_normal((18, 4)).astype(np.float32)
W = np.random.default_rng(1).standard_normal((4, 3)).astype(np.float32)
SMALL = 1e-6  # GB: several tiles, and several passes over the outputs
FILES = ("kernel.npy", "setup.txt", "journal.txt", ".lock", ".holder")
CALLS = (
    "fsync",
    "replace",
    "open",
    "ftruncate",
    "posix_fallocate",
    "pwrite",
    "pread",
    "close",
    "chmod",
)

pytestmark = pytest.mark.slow


def net(w: np.ndarray, x: np.ndarray) -> np.ndarray:
    return (x @ w) ** 2


def other(w: np.ndarray, x: np.ndarray) -> np.ndarray:
    return (x @ w) ** 3


def kernel(out: Path | None, f: Callable = net) -> np.ndarray:
    return np.array(empirical_ntk(f, W, X, memory_gb=SMALL, out=out))


def ask(out: Path, right: np.ndarray, f: Callable = net) -> str:
    return outcome(lambda: kernel(out, f), right, out)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of a whole kernel, of one interrupted midway and of another function's kernel.

    Beside them is the recording of what wrote the first."""
    folders = {
        name: tmp_path_factory.mktemp("kernels") / name for name in ("whole", "half", "other")
    }
    script: list[tuple] = []

    def recorded(folder: Path, *arguments: Any) -> Any:
        script.append((folder, *arguments))
        return stores.open_folder(folder, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        write, finish = stores.KernelFolder.write, stores.KernelFolder.finish
        patch.setattr(empirical, "open_folder", recorded)
        patch.setattr(
            stores.KernelFolder,
            "write",
            lambda self, *a: (script.append(("write", *a)), write(self, *a))[1],
        )
        kernel(folders["whole"])
        tiles = len(script) - 1

        def dies(self: Any, key: Any) -> None:
            if len(script) > 1 + tiles // 2:
                raise KeyboardInterrupt
            finish(self, key)

        recording, script = script, []
        patch.setattr(stores.KernelFolder, "finish", dies)
        with pytest.raises(KeyboardInterrupt):
            kernel(folders["half"])
    kernel(folders["other"], other)
    assert tiles > 8 and 2 < len((folders["half"] / "journal.txt").read_text().splitlines()) < tiles
    folders["recording"] = folders["whole"].parent / "recording.pickle"
    folders["recording"].write_bytes(pickle.dumps(recording))
    return folders


def test_damaged_files(
    prepared: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    right, counts = kernel(None), collections.Counter()
    for seed in range(300):
        draw = random.Random(seed)
        folder = tmp_path / str(seed)
        shutil.copytree(prepared[draw.choice(("whole", "whole", "half"))], folder)
        names = [
            draw.choice(FILES[:3] if draw.random() < 0.9 else FILES)
            for _ in range(draw.choice((1, 1, 1, 2, 3)))
        ]
        kinds = [
            f"{damage(folder / name, prepared['other'] / name, draw)} {name}" for name in names
        ]
        found = ask(folder, right)
        counts[kinds[0] if len(kinds) == 1 else "several", found] += 1
        if found == "right":
            assert ask(folder, right) == "right"  # what was mended stays mended
            assert ask(folder, kernel(None, other), other) == "refused in one line"
    report(counts, capsys)


def test_full_disks(
    prepared: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    right, counts = kernel(None), collections.Counter()
    for seed in range(60):
        draw = random.Random(seed)
        folder = tmp_path / str(seed)
        if draw.random() < 0.5:
            shutil.copytree(prepared["half"], folder)
        with full_after(draw.randrange(25), draw, journal=stores):
            counts["full disk", ask(folder, right)] += 1
        counts["after a full disk", found := ask(folder, right)] += 1
        assert found == "right"
    report(counts, capsys)


REPLAY = """
import os, pickle, random, sys, time
from pathlib import Path
from theorylab.ntk import store as stores

(_, *arguments), *script = pickle.loads(Path(sys.argv[1]).read_bytes())

def replay(folder, pause):
    with stores.open_folder(Path(folder), *arguments) as store:
        done = dict(store.done)
        for _, key, *rest in script:
            if done.get(key, 0):
                done[key] -= 1
                continue
            time.sleep(pause)
            store.write(key, *rest)
            store.finish(key)

def mortal(function, left):
    def call(*arguments, **options):
        if next(left, None) is None:
            os.kill(os.getpid(), 9)
        return function(*arguments, **options)
    return call

for job in sys.argv[2:]:
    folder, calls, writers, seed = job.split(":")
    children = []
    for number in range(int(writers)):
        child = os.fork()
        if child == 0:
            if int(calls):
                left = iter(range(int(calls)))
                for name in CALLS:
                    setattr(os, name, mortal(getattr(os, name), left))
                stores.KernelFolder._put = mortal(stores.KernelFolder._put, left)
            replay(folder, random.Random(f"{seed} {number}").random() * 0.003)
            os._exit(0)
        children.append(child)
    print(*(os.waitpid(child, 0)[1] for child in children), flush=True)
"""
"""Forks writers of the recorded kernel.

They die at a given call of the system, or write side by side."""


def replayed(prepared: dict[str, Path], jobs: list[str]) -> list[str]:
    script = REPLAY.replace("CALLS", repr(CALLS))
    command = [sys.executable, "-c", script, str(prepared["recording"]), *jobs]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "JAX_PLATFORMS": "cpu"}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_writers_killed_between_any_two_calls(
    prepared: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    right, counts = kernel(None), collections.Counter()
    folders = [tmp_path / str(calls) for calls in range(1, 121)]
    ends = replayed(prepared, [f"{folder}:{folder.name}:1:0" for folder in folders])
    assert ends.count("9") > 60
    for folder, end in zip(folders, ends, strict=True):
        counts["killed" if end == "9" else "not killed", ask(folder, right)] += 1
        assert not list(folder.glob(".*.tmp"))
    report(counts, capsys)


def test_writers_side_by_side(
    prepared: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    right, counts = kernel(None), collections.Counter()
    folders = [tmp_path / str(seed) for seed in range(20)]
    ends = replayed(
        prepared, [f"{folder}:0:{2 + seed % 2}:{seed}" for seed, folder in enumerate(folders)]
    )
    assert set(" ".join(ends).split()) == {"0"}
    tiles = len((prepared["whole"] / "journal.txt").read_text().splitlines())
    for folder in folders:
        assert (
            len((folder / "journal.txt").read_text().splitlines()) == tiles
        )  # nothing was computed twice
        counts["side by side", ask(folder, right)] += 1
    report(counts, capsys)


COMPUTE = f"""
import sys
import numpy as np
from theorylab.ntk import empirical_ntk
X = np.random.default_rng(0).standard_normal((18, 4)).astype(np.float32)
W = np.random.default_rng(1).standard_normal((4, 3)).astype(np.float32)
kernel = empirical_ntk(lambda w, x: (x @ w) ** 2, W, X, memory_gb={SMALL}, out=sys.argv[1])
np.save(sys.argv[2], kernel)
"""


@pytest.mark.parametrize("seed", range(4))
def test_whole_processes_side_by_side_one_of_them_killed(seed: int, tmp_path: Path) -> None:
    env = {**os.environ, "JAX_PLATFORMS": "cpu"}
    out = tmp_path / "out"
    both = [
        subprocess.Popen([sys.executable, "-c", COMPUTE, str(out), str(tmp_path / name)], env=env)
        for name in "ab"
    ]
    journal = out / "journal.txt"
    while both[0].poll() is None and not journal.exists():
        time.sleep(0.001)
    time.sleep(random.Random(seed).random() * 0.05)
    both[0].kill()
    both[0].wait()
    assert both[1].wait(60) == 0
    np.testing.assert_array_equal(np.load(tmp_path / "b.npy"), kernel(None))
    assert ask(out, kernel(None)) == "right"
