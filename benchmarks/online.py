"""Scheduling instances per second beside a plain NumPy event loop:
`python benchmarks/online.py [--instances 20000]`.

Both run the two-stage schedule on the same instances with half of the predictions wrong; costs are
compared. Prints a Markdown table and writes benchmarks/results/online-<device>.json. Runs are
interleaved and the best of a few is kept, because other work on the machine only ever adds; compile
time is a line of its own.
"""

import argparse
from typing import Any

import jax
import numpy as np
from record import arguments, keep, timed

from theorylab.online import TwoStage, opt_cost, schedule, worst_case_search

LAM = 0.1


def problem(n: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Pareto(1.1) sizes; every other prediction is right, the rest are off by a log-normal
    factor."""
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(count, n)) ** (-1 / 1.1)
    return x, np.where(rng.random(x.shape) < 0.5, x, x * np.exp(rng.normal(size=x.shape)))


def numpy_two_stage(x: np.ndarray, y: np.ndarray) -> float:
    """One instance, event by event, as one would write it with NumPy."""
    n = len(x)
    order, end = (
        np.argsort(y, kind="stable"),
        LAM * (np.sort(y) * np.arange(n, 0, -1)).sum() * 2 / (n - 1),
    )
    attained, unfinished, overrun = np.zeros(n), np.ones(n, bool), np.zeros(n, bool)
    milestone, time_, cost, sharing, fallen = (
        np.minimum(x, np.where(x > y, y, x)),
        0.0,
        0.0,
        True,
        False,
    )
    while unfinished.any():
        served = np.flatnonzero(unfinished) if sharing or fallen else order[unfinished[order]][:1]
        left = milestone[served] - attained[served]
        step = left.min() * len(served)
        boundary = sharing and not fallen and end - time_ <= step
        if boundary:
            step = end - time_
        attained[served] += step / len(served)
        time_ += step
        hit = served[left <= step / len(served) * (1 + 1e-12)]
        for j in hit:
            if x[j] > y[j] and not overrun[j]:
                overrun[j], milestone[j], fallen = True, x[j], True
            else:
                unfinished[j] = False
                cost += time_
                fallen |= x[j] < y[j]
        sharing &= not boundary
    return cost


def measure(n: int, count: int, sample: int, repeats: int) -> dict[str, Any]:
    """Seconds per instance of both, and their ratio; `sample` instances go through the loop."""
    x, y = problem(n, count)
    first, _, _ = timed(lambda: schedule(TwoStage(LAM), x, y).cost)
    ours, peer = [], []
    for _ in range(repeats):
        *seconds, cost = timed(lambda: schedule(TwoStage(LAM), x, y).cost)
        ours.append(seconds)
        *seconds, loop = timed(
            lambda: np.array(
                [numpy_two_stage(a, b) for a, b in zip(x[:sample], y[:sample], strict=True)]
            )
        )
        peer.append(seconds)
    np.testing.assert_allclose(cost[:sample], loop, rtol=1e-10)
    (wall, cpu), (peer_wall, peer_cpu) = np.min(ours, axis=0), np.min(peer, axis=0)
    rate, peer_rate = count / wall, sample / peer_wall
    # Per event and job: about 40 floating-point operations on 9 arrays that are read or written.
    events = 2 * n + 1
    return {
        "what": f"two-stage, n = {n}",
        "instances": count,
        "instances_per_s": rate,
        "instances_per_cpu_s": count / cpu,
        "peer_instances_per_s": peer_rate,
        "peer_instances_per_cpu_s": sample / peer_cpu,
        "ratio": rate / peer_rate,
        "ratio_cpu": count / cpu / (sample / peer_cpu),
        "compile_s": max(first - wall, 0.0),
        "needs_gflop": 40 * events * n * count / 1e9,
        "needs_gbyte": 9 * 8 * events * n * count / 1e9,
        "mean_ratio_to_opt": float((cost / opt_cost(x)).mean()),
    }


def measure_search(n: int, repeats: int) -> dict[str, Any]:
    """Instances per second of the worst-case search, moves and random numbers included."""
    policy = TwoStage(LAM)
    first, _, _ = timed(
        lambda: worst_case_search(policy, n, key=jax.random.key(0), instances=1).ratio
    )
    runs = [
        timed(lambda: worst_case_search(policy, n, key=jax.random.key(1), instances=1))
        for _ in range(repeats)
    ]
    wall, cpu = min(r[0] for r in runs), min(r[1] for r in runs)
    evaluated = runs[0][2].evaluated
    return {
        "what": f"worst-case search, n = {n}",
        "instances": evaluated,
        "instances_per_s": evaluated / wall,
        "instances_per_cpu_s": evaluated / cpu,
        "compile_s": max(first - wall, 0.0),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instances", type=int, default=20_000)
    parser.add_argument(
        "--sample", type=int, default=300, help="instances that go through the NumPy loop"
    )
    parser.add_argument("--repeats", type=int, default=5)
    options = arguments(parser, smoke={"instances": 50, "sample": 3, "repeats": 1})
    rows = [
        measure(n, options.instances, options.sample, options.repeats) for n in (2, 5, 6, 20, 50)
    ]
    rows += [measure_search(n, options.repeats) for n in (2, 6)]
    device = jax.devices()[0].device_kind
    print(
        f"float64, on {device}; a GPU was not measured\n"
        if device == "cpu"
        else f"float64, on {device}\n"
    )
    print(
        "| what | instances/s | NumPy loop/s | ratio | ratio by CPU time | compile s "
        "|\n|---|---|---|---|---|---|"
    )
    for row in rows:
        peer = [
            f"{row[k]:.3g}" if k in row else ""
            for k in ("peer_instances_per_s", "ratio", "ratio_cpu")
        ]
        print(
            f"| {row['what']} | {row['instances_per_s']:.3g} | {' | '.join(peer)} | "
            f"{row['compile_s']:.2g} |"
        )
    keep("online", vars(options), rows=rows)


if __name__ == "__main__":
    main()
