"""Private training and its accounting, beside Opacus and jax-privacy:
`python benchmarks/privacy.py`.

DP-SGD steps per second of a linear head and of a small CNN with the same weights, batch, clipping
norm and noise: theorylab, Opacus (hooks and ghost clipping) and jax-privacy, the peers in
an interpreter of their own, `--peer-python PYTHON`, without which their rows say "not measured";
`--jax-peer-python` is that of jax-privacy where it has one of its own, with the same JAX as here.
Every (model, side) is a fresh process, so that peak memory is its own (resident
memory above what it was before the model was built); compile time stands apart; sides take turns,
and the best of all repeats counts, by wall clock and by processor time. Before timing, three steps
without noise show that all sides take the same steps.

Both sides take the same products (`gflop_per_step`), but the linear head is not bound by them. A
step of it on 256 records of 1,280 features is 0.0131 GFLOP, 0.11 ms of the processor at the rate of
a NumPy product in the same process (`matmul_gflop_per_cpu_s`, 122). On one thread of a machine with
a load of 17 a step took 0.47 ms of the processor here, of which 0.33 are noise and update; 2.0 ms
by Opacus' ghost clipping (4.3 times as much) and 4.0 ms by its hooks (8.6 times), which form 256
gradients of 12,810 entries, 13 MB, and read them again for the norms and for the sum. The CNN takes
0.27 GFLOP, 2.2 ms at that rate: 5.8 ms here, 22 and 36 ms there (3.8 and 6.1 times). Wall seconds
of such a machine say how long a process waited. With few cores to share, take `--threads 1`.

Why jax-privacy 2.0 is a peer and the oracle of `tests/privacy/test_privacy_dp_sgd_jax_privacy.py`
(calibrated noise, the clipped sum, its sensitivity), and not what private descents here are made
of: on the same JAX it forms the gradient of every record, 47 ms of the processor for a step of the
linear head and 190 ms for one of the CNN, 99 and 33 times as much as here.

Then what accounting takes: the epsilon of given noise, and the noise for a given epsilon, beside
dp-accounting and Opacus' PRV accountant. The exact firing law beside Monte Carlo is what
`benchmarks/privacy_online.py` measures; its first rows are repeated here. Writes
benchmarks/results/privacy-<device>.json.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from record import arguments, keep, worker

HERE = Path(__file__).parent
MODELS = ("linear", "cnn")
SIDES = ("theorylab", "opacus hooks", "opacus ghost", "jax-privacy")
CHANNELS, HIDDEN, CLASSES, FEATURES = (8, 16, 32), 64, 10, 1280
CLIP, NOISE, STEP = 1.0, 1.0, 0.1
PLANS = [  # sampling rate, noise multiplier, steps
    (1 / 44, 21.82, 968),
    (1 / 352, 3.02, 39776),
    (0.01, 1.0, 1000),
]
BELOW_PEER = [
    "dp-accounting: the same library on both sides; an epsilon of ours takes privacy losses in "
    "steps of a thirtieth of that of one sum, 3.5e-5 and 3.2e-5 in the first two plans where its "
    "default is 1e-4, so three times as many points, for an epsilon that is smaller by 0.0001 and "
    "0.0006",
    "opacus prv: its default answers to within 0.01, which shows: 1.838 where others find 1.828",
]


def weights(model: str) -> list[np.ndarray]:
    """Kernels (height, width, in, out) or (in, out) and biases, layer by layer."""
    rng = np.random.default_rng(0)
    if model == "linear":
        shapes: list[tuple[int, ...]] = [(FEATURES, CLASSES)]
    else:
        ins = (1, *CHANNELS[:-1])
        shapes = [(3, 3, i, o) for i, o in zip(ins, CHANNELS, strict=True)]
        shapes += [(4 * 4 * CHANNELS[-1], HIDDEN), (HIDDEN, CLASSES)]
    found = []
    for shape in shapes:
        scale = np.sqrt(2 / np.prod(shape[:-1]))
        found += [rng.standard_normal(shape) * scale, 0.1 * rng.standard_normal(shape[-1])]
    return [w.astype(np.float32) for w in found]


def batch(model: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    shape = (FEATURES,) if model == "linear" else (28, 28, 1)
    x = rng.standard_normal((count, *shape)).astype(np.float32)
    return x, rng.integers(0, CLASSES, count)


def operations(model: str, count: int) -> float:
    """Multiply-adds of one step: forward, backward to inputs, per-example gradients."""
    if model == "linear":
        return count * 2.0 * FEATURES * CLASSES
    sides, ins, total = (14, 7, 4), (1, *CHANNELS[:-1]), 0.0
    for i, (side, a, b) in enumerate(zip(sides, ins, CHANNELS, strict=True)):
        total += (2 if i == 0 else 3) * side**2 * 9 * a * b
    return count * (total + 3 * (16 * CHANNELS[-1] * HIDDEN + HIDDEN * CLASSES))


def main() -> None:
    options = arguments(_parser(), smoke={"batches": [16], "repeats": 1, "turns": 1, "runs": 200})
    if options.worker:
        from privacy_workers import work

        work(options)
        return
    for library in ("OMP", "OPENBLAS"):  # for the workers: read when a library is imported
        os.environ[f"{library}_NUM_THREADS"] = str(options.threads or os.cpu_count())
    rows = []
    for model in options.models:
        for size in options.batches:
            turns = [
                {side: _measured(options, model, size, side) for side in SIDES}
                for _ in range(options.turns)
            ]
            found = {side: _best([turn[side] for turn in turns]) for side in SIDES}
            ours = found["theorylab"]
            for side, row in found.items():
                after, reference = row.pop("after", None), ours.get("after")
                if after is not None and reference is not None:
                    row["difference"] = float(np.abs(np.subtract(after, reference)).max())
                if "step_s" in row:
                    if side != "theorylab":
                        row["ratio"] = row["step_s"] / ours["step_s"]
                        row["cpu_ratio"] = row["step_cpu_s"] / ours["step_cpu_s"]
                    row["gflop_per_step"] = 2e-9 * operations(model, size)
                    row["gflop_per_cpu_s"] = row["gflop_per_step"] / row["step_cpu_s"]
                rows.append({"model": model, "batch": size, "side": side, **row})
                if side == "theorylab":
                    found["theorylab"] = row | {"after": after}
                    ours = found["theorylab"]
                print(rows[-1] | {"after": None}, flush=True)
            rows = [{k: v for k, v in row.items() if k != "after"} for row in rows]
    accounting = _accounting(options)
    firing = _firing(options)
    keep(
        "privacy",
        vars(options),
        "dp-accounting",
        device="cpu",
        rows=rows,
        accounting=accounting,
        firing=firing,
        below_peer=BELOW_PEER,
    )


def _accounting(options: Any) -> list[dict[str, Any]]:
    rows = []
    for side in ("theorylab", "dp-accounting", "opacus prv"):
        python = options.peer_python if side.startswith("opacus") else sys.executable
        found = _process(python, ["--worker", side, "--accounting"])
        rows += [{"side": side, **row} for row in found.get("plans", [found])]
    ours = {row["plan"]: row for row in rows if row["side"] == "theorylab"}
    for row in rows:
        for what in ("epsilon", "noise"):
            if row["side"] != "theorylab" and f"{what}_cpu_s" in row:
                mine = ours[row["plan"]][f"{what}_cpu_s"]
                row[f"{what}_cpu_ratio"] = row[f"{what}_cpu_s"] / mine
        print(row, flush=True)
    return rows


def _firing(options: Any) -> list[dict[str, Any]]:
    from privacy_online import measure

    rows = [measure(k, options.runs, options.repeats, 10) for k in (6, 10, 60)]
    for row in rows:
        print(row, flush=True)
    return rows


def _measured(options: Any, model: str, size: int, side: str) -> dict[str, Any]:
    python = _python(options, side)
    given = ["--worker", side, "--models", model, "--batches", str(size)]
    given += ["--repeats", str(options.repeats), "--threads", str(options.threads)]
    return _process(python, given)


def _python(options: Any, side: str) -> str | None:
    if side == "theorylab":
        return sys.executable
    own = options.jax_peer_python if side == "jax-privacy" else None
    return own or options.peer_python


def _best(turns: list[dict[str, Any]]) -> dict[str, Any]:
    """The fastest numbers of several turns of a side; what is no number of its speed, of the
    first."""
    better = {"step_s": min, "step_cpu_s": min, "steps_per_s": max, "steps_per_cpu_s": max}
    better |= {"first_s": min, "matmul_gflop_per_cpu_s": max}
    measured = [turn for turn in turns if "step_s" in turn]
    if not measured:
        return turns[0]
    return {k: better.get(k, lambda v: v[0])([t[k] for t in measured]) for k in measured[0]}


def _process(python: str | None, given: list[str]) -> dict[str, Any]:
    own = os.environ.get("PYTHONPATH", "") if python == sys.executable else ""
    return worker(python, "privacy.py", given, path=own)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="*", default=list(MODELS), choices=MODELS)
    parser.add_argument("--batches", nargs="*", type=int, default=[256])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--turns", type=int, default=2, help="of all sides, one after the other")
    parser.add_argument("--runs", type=int, default=20_000, help="games of the firing law")
    parser.add_argument("--threads", type=int, default=0, help="cores to run on; 0 takes all")
    parser.add_argument("--peer-python", help="a Python that has Opacus, PyTorch and jax-privacy")
    parser.add_argument("--jax-peer-python", help="a Python of its own for jax-privacy")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--accounting", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--to", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    main()
