"""Certified bounds side by side with auto_LiRPA: `python benchmarks/robustness.py`.

The same weights and samples for both: an MLP, a small CNN and a small ResNet. Bounds per second and
peak memory of IBP, CROWN and alpha-CROWN, training steps per second of IBP and CROWN-IBP, and the
largest difference of the bounds. auto_LiRPA (BSD) runs in an interpreter of its own, given as
`--peer PYTHON` with `--peer-path FOLDER` where its source lies; without one its rows say "not
measured". Each (network, method) is a fresh process on either side, and the two take turns, call by
call, so that load hits both; a turn of short calls is as many as fill a fifth of a second, and one
that takes more than ten seconds has one turn. Compile time stands apart; the best call counts, by
wall clock and by processor time, which rates are per second of. Memory is what a call holds at its
peak beyond what the process holds before it, freed blocks given back at once; "memory_pooled_mb" is
that of repeated calls with blocks kept for reuse, a pool a thread, as the C library does it; that
of the first call, with compilers, stands apart. alpha-CROWN takes 20 steps of Adam at a rate of .1
on both sides, without decay. "gap" is ours less the peer's lower bounds. On a machine that others
use, `taskset -c 0` gives both sides one core, on which processor time does not count threads that
wait. "crown_needs" are operations and bytes by the shapes alone. Writes
benchmarks/results/robustness-<device>.json.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from record import arguments, keep

NETWORKS = {"mlp": (784,), "cnn": (1, 28, 28), "resnet": (3, 16, 16)}
METHODS = ("ibp", "crown", "train ibp", "train crown-ibp", "alpha-crown")
BELOW_PEER = [
    "train crown-ibp: of the ResNet, 288 rows pass back through four convolutions, 0.28 GFLOP, and "
    "0.8 with their gradients, on either side; that is 4 ms at the rate of a product, and the rest "
    "are passes over rows of 2.4 MB, and gradients by kernels, made sample by sample: 32 products "
    "of 32 by 48 entries over 1,296 positions a convolution",
]
HERE = Path(__file__).parent
READY = "ready for another call"


def weights(name: str) -> dict[str, np.ndarray]:
    """Weights in PyTorch's layout: dense (out, in), convolutions (out, in, h, w)."""
    rng = np.random.default_rng(0)

    def layer(*shape: int) -> np.ndarray:
        return (rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))).astype(np.float32)

    shapes = {
        "mlp": [(256, 784), (256, 256), (256, 256), (10, 256)],
        "cnn": [(8, 1, 4, 4), (16, 8, 4, 4), (100, 16 * 7 * 7), (10, 100)],
        "resnet": [(8, 3, 3, 3), (8, 8, 3, 3), (8, 8, 3, 3), (16, 8, 4, 4), (10, 16 * 8 * 8)],
    }[name]
    found = {}
    for i, shape in enumerate(shapes):
        found[f"w{i}"] = layer(*shape)
        found[f"b{i}"] = 0.1 * rng.standard_normal(shape[0]).astype(np.float32)
    return found


def needed(name: str, count: int) -> dict[str, float]:
    """GFLOP and GB that CROWN asks for: each neuron's two rows (an output's one) over its receptive
    field alone, two operations a product, every entry of a row written and read once in float32."""
    if name == "mlp":
        # (neurons, sides, [(entries of a row there, products an entry)])
        targets = [(256, 2, [(256, 784)]), (256, 2, [(256, 256), (256, 784)])]
        targets += [(9, 1, [(10, 256), (256, 256), (256, 256), (256, 784)])]
    elif name == "cnn":
        back = [(16 * 49, 8 * 16), (8 * 196, 16)]  # the second convolution, the first
        targets = [(784, 2, [(8 * 16, 16)]), (100, 2, back), (9, 1, [(10, 100), (100, 784), *back])]
    else:
        first, inner, last = 27, 72, 8 * 16  # products an entry of each convolution's result
        whole = [(1024, last), (2048, inner), (2048, inner), (2048, first)]
        targets = [(2048, 2, [(8 * 9, first)]), (2048, 2, [(8 * 9, inner), (8 * 25, first)])]
        targets += [(1024, 2, [(8 * 16, inner), (8 * 36, inner), (8 * 64, first)])]
        targets += [(9, 1, [(10, 1024), *whole])]
    rows = [(n * sides, size, each) for n, sides, path in targets for size, each in path]
    products = sum(n * size * each for n, size, each in rows)
    entries = sum(n * size for n, size, _ in rows)
    return {"gflop": 2e-9 * products * count, "gbyte": 8e-9 * entries * count}


def samples(name: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    x = rng.uniform(size=(count, *NETWORKS[name])).astype(np.float32)
    return x, rng.integers(0, 10, count)


def main() -> None:
    options = arguments(
        _parser(), smoke={"networks": ["mlp"], "methods": ["ibp"], "count": 4, "repeats": 1}
    )
    if options.worker:
        from robustness_workers import work

        work(options)
        return
    rows = []
    sizes = {name: needed(name, options.count) for name in options.networks}
    for method in options.methods:
        for name in options.networks:
            rows += _rows(options, name, method)
        # after each method, since those to come take longer
        reasons = {"crown_needs": sizes, "rows": rows, "below_peer": BELOW_PEER}
        keep("robustness", vars(options), device="cpu", **reasons)


def _rows(options: Any, name: str, method: str) -> list[dict[str, Any]]:
    """A row a side; the peer's has the ratios and by how much the bounds differ."""
    rows = []
    load = os.getloadavg()[0]
    pair = _measured(options, name, method)
    for side, found in pair.items():
        head = {"network": name, "method": method, "side": side, "load": load}
        rows.append({**head, **found})
        print(rows[-1] | {"bounds": None}, flush=True)
    ours, peer = (found.get("bounds") for found in pair.values())
    if "cpu_s" in pair["ours"] and "cpu_s" in pair["auto_LiRPA"]:
        for ratio, clock in (("ratio", "wall_s"), ("cpu_ratio", "cpu_s")):
            rows[-1][ratio] = pair["auto_LiRPA"][clock] / pair["ours"][clock]
    if ours is not None and peer is not None:
        scale = max(1.0, float(np.abs(peer).max()))
        gap = np.subtract(ours, peer)
        ends = {"least": float(gap.min()), "mean": float(gap.mean()), "most": float(gap.max())}
        rows[-1]["gap"] = ends
        rows[-1]["difference"] = float(np.abs(gap).max())
        rows[-1]["difference_relative"] = rows[-1]["difference"] / scale
    for row in rows:
        row.pop("bounds", None)
    return rows


def _measured(options: Any, name: str, method: str) -> dict[str, dict[str, Any]]:
    """What each side finds, the two taking turns."""
    given = ["--networks", name, "--methods", method, "--count", str(options.count)]
    pythons = {"ours": sys.executable, "auto_LiRPA": options.peer}
    path = os.pathsep.join([str(HERE), options.peer_path or "", os.environ.get("PYTHONPATH", "")])
    with tempfile.TemporaryDirectory() as folder:
        running = {}
        for side, python in pythons.items():
            if python is None:
                continue
            to = ["--worker", side, "--to", f"{folder}/{side}.json"]
            running[side] = subprocess.Popen(
                [python, str(HERE / "robustness.py"), *given, *to],
                env=os.environ | {"PYTHONPATH": path},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            _wait(running[side])
        for _ in range(options.repeats):
            for process in running.values():
                if process.poll() is None:
                    process.stdin.write("again\n")
                    process.stdin.flush()
                    _wait(process)
        for process in running.values():
            process.communicate()
        files = {side: Path(folder) / f"{side}.json" for side in pythons}
        return {
            side: json.loads(file.read_text()) if file.exists() else {"note": "not measured"}
            for side, file in files.items()
        }


def _wait(process: Any) -> None:
    """Until the worker is ready for another call, or gone."""
    for line in process.stdout:
        if line.strip() == READY:
            return


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="*", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--methods", nargs="*", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--count", type=int, default=32, help="samples bounded at once")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--peer-python",
        "--peer",
        dest="peer",
        help="a Python that has PyTorch and what auto_LiRPA needs",
    )
    parser.add_argument("--peer-path", help="folder with auto_LiRPA's source")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--to", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    main()
