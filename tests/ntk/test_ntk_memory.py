"""The working memory stays near the budget: a process of its own for every setting, its peak read
as it runs."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from theorylab.ntk.layout import Account, Task, fit
from theorylab.ntk.plan import Plan

ROOT = Path(__file__).resolve().parents[2]

SCRIPT = """
import sys, threading, time
import jax
from theorylab.ntk import empirical
from panel import PANEL
network, size, outputs, samples, budget = sys.argv[1], *map(int, sys.argv[2:5]), float(sys.argv[5])
init, f, sample = PANEL[network](outputs, size)
w, x = init(jax.random.key(0)), sample(jax.random.key(1), samples)
engine = empirical._engine(f, "trace", "auto", None, "highest")
with jax.default_matmul_precision("highest"):
    engine.layout(w, x, None, budget)  # the compiler's own memory is not the computation's
    jax.block_until_ready(engine.probe(w, x[:3]))

resident = lambda: int(open("/proc/self/statm").read().split()[1]) * 4096 / 1e9
before, peak, stop = resident(), [0.0], threading.Event()

def watch():
    while not stop.is_set():
        peak[0] = max(peak[0], resident())
        time.sleep(0.001)

thread = threading.Thread(target=watch)
thread.start()
empirical.empirical_ntk(f, w, x, memory_gb=budget)
stop.set()
thread.join()
print(peak[0] - before)
"""


@pytest.mark.parametrize("devices", [1, 8])
@pytest.mark.parametrize("samples", [7, 100, 1000])
@pytest.mark.parametrize("columns", [None, 40])
def test_tiles_are_whole_rounds_of_the_devices_and_fit_the_budget(
    devices: int, samples: int, columns: Any
) -> None:
    """Where a sample of a tile takes a byte for each output, and all else ten."""
    task = Task("full", 3, 4, samples, columns or samples, columns is None, devices)
    for budget in (11, 25, 58, 59, 60, 100, 300, 5000):
        layout = fit(
            task,
            budget,
            256,
            lambda work, tile: Plan((False,), merged=False),
            lambda layout: Account(layout.tile * layout.chunk, 10),
        )
        assert layout.tile % devices == 0
        one = 1 if columns is None and layout.tile >= samples else 2
        needed = 10 + one * layout.tile * layout.chunk
        assert needed <= budget or (
            layout.tile == devices and layout.chunk == 1 and layout.bytes == needed
        )


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize(
    ("network", "size", "outputs", "samples", "budget"),
    [
        ("cnn", 16, 10, 64, 0.15),
        ("cnn", 16, 10, 64, 0.6),
        ("cnn", 32, 1, 128, 0.2),
        ("cnn", 32, 4, 96, 0.5),
        ("mlp", 512, 10, 200, 0.1),
        ("mlp", 1024, 1, 1000, 0.3),
        ("gpt", 64, 10, 32, 0.2),
        ("gpt", 64, 1, 100, 0.3),
        ("resnet18", 16, 1, 48, 0.2),
        ("resnet18", 16, 10, 16, 0.5),
    ],
)
def test_peak_memory_is_at_most_a_fifth_above_the_budget(
    network: str, size: int, outputs: int, samples: int, budget: float
) -> None:
    arguments = [sys.executable, "-c", SCRIPT, network, *map(str, (size, outputs, samples, budget))]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "benchmarks")])}
    done = subprocess.run(arguments, capture_output=True, text=True, check=True, env=env)
    print(
        f"{network} {size}, {outputs} outputs, {samples} samples: {float(done.stdout):.3f} of "
        f"{budget} GB"
    )
    assert float(done.stdout) < 1.2 * budget
