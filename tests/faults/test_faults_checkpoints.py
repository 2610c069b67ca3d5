"""Seeded faults on a folder of checkpoints: each ends in the undisturbed run's result or in a
refusal of one line."""

import collections
import os
import random
import shutil
import subprocess
import sys
import time
import warnings
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from seeded_faults import damage, full_after, outcome, report

from theorylab.nets.checkpoint import Checkpoints

pytestmark = pytest.mark.slow

SETTING = """
import jax, jax.numpy as jnp, numpy as np, optax
from theorylab.nets import fit, mse
X = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)

def train(folder, lr=0.1):
    run = fit(lambda w, x: x @ w, (X, X[:, 0]), params=jnp.zeros((3, 1)), loss=mse,
              optimizer=optax.adam(lr), steps=12, batch_size=4, key=jax.random.key(0),
              checkpoint=folder, chunk=3)
    return np.concatenate([np.ravel(run.params), run.loss])
"""
names: dict = {}
exec(SETTING, names)
train = names["train"]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of the whole run, of one interrupted after 9 of 12 steps and of another learning
    rate."""
    folders = {name: tmp_path_factory.mktemp("runs") / name for name in ("whole", "half", "other")}
    train(folders["whole"])
    train(folders["other"], lr=0.2)
    save = Checkpoints.save

    def dies(self: Checkpoints, step: int, *rest: object) -> None:
        save(self, step, *rest)
        if step == 9:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Checkpoints, "save", dies)
        train(folders["half"])
    assert {path.name for path in folders["half"].glob("*.*t")} >= {"6.checkpoint", "9.checkpoint"}
    return folders


def ask(folder: Path, right: np.ndarray, lr: float = 0.1) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return outcome(lambda: train(folder, lr), right, folder)


def test_damaged_files(
    prepared: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    right, counts = train(None), collections.Counter()
    for seed in range(120):
        draw = random.Random(seed)
        folder, which = tmp_path / str(seed), draw.choice(("whole", "half", "half"))
        shutil.copytree(prepared[which], folder)
        files = [
            "9.checkpoint",
            "12.checkpoint" if which == "whole" else "6.checkpoint",
            ".lock",
            ".holder",
        ]
        newest = sorted(files[:2], key=len)[-1] if which == "whole" else "9.checkpoint"
        number = draw.choice((1, 1, 1, 2, 3))
        kinds = []
        for name in [newest if draw.random() < 0.5 else draw.choice(files) for _ in range(number)]:
            kinds.append(f"{damage(folder / name, prepared['other'] / name, draw)} {name}")
        one = (
            kinds[0].replace(newest, "newest").replace(files[0], "older").replace(files[1], "older")
        )
        found = ask(folder, right)
        counts[one if number == 1 else "several", found] += 1
        if found == "right" and seed % 6 == 0:
            assert ask(folder, right) == "right"
            assert ask(folder, right, lr=0.2) == "refused in one line"
    report(counts, capsys)


def test_full_disks(
    prepared: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    right, counts = train(None), collections.Counter()
    for seed in range(16):
        draw = random.Random(seed)
        folder = tmp_path / str(seed)
        if seed % 2:
            shutil.copytree(prepared["half"], folder)
        with full_after(draw.randrange(8), draw):
            counts["full disk", ask(folder, right)] += 1
        counts["after a full disk", found := ask(folder, right)] += 1
        assert found == "right"
    report(counts, capsys)


SAVES = """
import os, sys
import numpy as np
from pathlib import Path
from theorylab.nets.checkpoint import Checkpoints

def mortal(function, left):
    def call(*arguments, **options):
        if next(left, None) is None:
            os.kill(os.getpid(), 9)
        return function(*arguments, **options)
    return call

for job in sys.argv[1:]:
    folder, calls, writers = job.split(":")
    children = []
    for _ in range(int(writers)):
        child = os.fork()
        if child == 0:
            left = iter(range(int(calls) or 10**9))
            for name in ("fsync", "replace", "open", "close", "chmod", "mkdir", "unlink", "fdopen"):
                setattr(os, name, mortal(getattr(os, name), left))
            with Checkpoints(folder, {"run": 1}) as store:
                for step in range(1, 6):
                    logs = {"loss": np.arange(step), "none": np.zeros(0)}
                    store.save(step, [np.full(50, step, np.int32)], logs)
            os._exit(0)
        children.append(child)
    print(*(os.waitpid(child, 0)[1] for child in children), flush=True)
"""
"""Forks writers of five states, which die at a given call of the system, or write side by side."""


def saved(jobs: list[str]) -> list[str]:
    env = {**os.environ, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", SAVES, *jobs], capture_output=True, text=True, env=env
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def restored(folder: Path) -> np.ndarray:
    with Checkpoints(folder, {"run": 1}) as store:
        assert not list(folder.glob(".*.tmp"))
        found = store.restore([jnp.zeros(50, int)])
        if found is None:
            return np.zeros(1)
        step, [values], history = found
        assert history["none"].shape == (0,) and np.array_equal(history["loss"], np.arange(step))
        assert np.array_equal(values, np.full(50, step))
        return np.full(1, step)


def test_writers_killed_between_any_two_calls(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    counts: collections.Counter = collections.Counter()
    folders = [tmp_path / str(calls) for calls in range(1, 61)]
    steps = []
    for folder, end in zip(
        folders, saved([f"{folder}:{folder.name}:1" for folder in folders]), strict=True
    ):
        steps.append(int(restored(folder)[0]))
        counts["killed" if end == "9" else "not killed", "right"] += 1
    # who dies later has finished no less
    assert steps == sorted(steps) and steps[0] == 0 and steps[-1] == 5
    assert counts["killed", "right"] > 30
    report(counts, capsys)


def test_writers_side_by_side(tmp_path: Path) -> None:
    folders = [tmp_path / str(seed) for seed in range(10)]
    assert set(" ".join(saved([f"{folder}:0:3" for folder in folders])).split()) == {"0"}
    for folder in folders:
        assert restored(folder) == 5


@pytest.mark.parametrize("seed", range(3))
def test_whole_processes_side_by_side_one_of_them_killed(seed: int, tmp_path: Path) -> None:
    script = SETTING + "import sys; np.save(sys.argv[2], train(sys.argv[1]))"
    env = {**os.environ, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", script, str(tmp_path / "run")]
    both = [subprocess.Popen([*command, str(tmp_path / name)], env=env) for name in "ab"]
    while both[0].poll() is None and not list(tmp_path.glob("run/*.checkpoint")):
        time.sleep(0.001)
    time.sleep(random.Random(seed).random() * 0.02)
    both[0].kill()
    both[0].wait()
    assert both[1].wait(60) == 0
    np.testing.assert_array_equal(np.load(tmp_path / "b.npy"), train(None))
