"""Certified bounds side by side with auto_LiRPA: `python benchmarks/robustness.py`.

The same weights and samples for both: an MLP, a small CNN and a small ResNet. Bounds per second and
peak memory of IBP, CROWN and alpha-CROWN, training steps per second of IBP and CROWN-IBP, and the
largest difference of the bounds. auto_LiRPA (BSD) runs in an interpreter of its own, given as
`--peer PYTHON` with `--peer-path FOLDER` where its source lies; without one its rows say "not
measured". Each (network, method) is a fresh process. Compile time stands apart; the best of several
repeats counts, by wall clock and by processor time. Memory is what repeated calls hold at their
peak beyond what the process holds before them; that of the first call, with compilers, stands
apart. On a machine that others use, `taskset -c 0` gives both sides one core, on which processor
time does not count threads that wait. Writes benchmarks/results/robustness-<device>.json.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from record import arguments, keep, worker

NETWORKS = {"mlp": (784,), "cnn": (1, 28, 28), "resnet": (3, 16, 16)}
METHODS = ("ibp", "crown", "alpha-crown", "train ibp", "train crown-ibp")
HERE = Path(__file__).parent


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
    for name in options.networks:
        for method in options.methods:
            pair = {}
            for side in ("ours", "auto_LiRPA"):
                pair[side] = _measured(options, name, method, side)
                rows.append({"network": name, "method": method, "side": side, **pair[side]})
                print(rows[-1] | {"bounds": None}, flush=True)
            ours, peer = (pair[side].pop("bounds", None) for side in ("ours", "auto_LiRPA"))
            if ours is not None and peer is not None:
                scale = max(1.0, float(np.abs(peer).max()))
                rows[-1]["difference"] = float(np.abs(np.subtract(ours, peer)).max())
                rows[-1]["difference_relative"] = rows[-1]["difference"] / scale
            for row in rows[-2:]:
                row.pop("bounds", None)
    keep("robustness", vars(options), device="cpu", rows=rows)


def _measured(options: Any, name: str, method: str, side: str) -> dict[str, Any]:
    given = ["--worker", side, "--networks", name, "--methods", method]
    given += ["--count", str(options.count), "--repeats", str(options.repeats)]
    path = os.pathsep.join([options.peer_path or "", os.environ.get("PYTHONPATH", "")])
    python = sys.executable if side == "ours" else options.peer
    return worker(python, "robustness.py", given, path=path)


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
