"""The working memory stays near the budget: a process of its own for every setting, its peak read as it runs."""

import subprocess
import sys

import pytest

SCRIPT = """
import sys, threading, time
import jax, jax.numpy as jnp
from theorylab.ntk import empirical
samples, width, outputs, budget = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])

def f(w, x):
    for v in w[:-1]:
        x = jax.nn.relu(jax.lax.conv_general_dilated(x, v, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")))
    return x.mean((1, 2)) @ w[-1]

keys = jax.random.split(jax.random.key(0), 4)
w = [0.1 * jax.random.normal(k, s) for k, s in zip(keys, ((3, 3, 1, width), (3, 3, width, width), (width, outputs)))]
x = jax.random.normal(keys[3], (samples, 16, 16, 1))
engine = empirical._engine(f, "trace", True, None, "highest")
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


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize(
    ("samples", "width", "outputs", "budget"),
    [(64, 32, 10, 0.3), (64, 32, 10, 0.6), (128, 32, 1, 0.3), (200, 16, 4, 0.4), (32, 64, 10, 0.5), (96, 64, 2, 0.5)],
)
def test_peak_memory_is_at_most_a_fifth_above_the_budget(samples: int, width: int, outputs: int, budget: float) -> None:
    arguments = [sys.executable, "-c", SCRIPT, *map(str, (samples, width, outputs, budget))]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert float(done.stdout) < 1.2 * budget
