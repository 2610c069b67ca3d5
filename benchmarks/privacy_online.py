"""The exact firing law of a private online learner beside Monte Carlo:
`python benchmarks/privacy_online.py [--runs 100000]`.

Both give E[M] of AboveThreshold on the stream of the bisection adversary. Monte Carlo plays every
round; its time to an error of 1e-6 (the exact law has 1e-13) follows from its standard error, which
falls with the root of the runs. Prints a Markdown table and writes
benchmarks/results/privacy_online-<device>.json. Runs are interleaved and the best of a few is kept,
because other work on the machine only ever adds; compile time is a line of its own.
"""

import argparse
from typing import Any

import jax
import numpy as np
from record import arguments, keep, timed

from theorylab.privacy import online as po

SCALE, BETA = 2 / po.REFERENCE_EPSILON, 0.1
TARGET = 1e-6
FINE = po.Quadrature(reach=80.0, panels=12, nodes=20)


def measure(k: int, runs: int, repeats: int, most: int) -> dict[str, Any]:
    """Seconds of the exact E[M] and of `runs` games, T = 2^k - 1; games up to T = 2^most alone."""
    rounds = 2**k - 1
    learner = po.calibrate(rounds, BETA, threshold_scale=SCALE, test_scale=SCALE)
    stream = po.adversary_for(po.REFERENCE_EPSILON)(learner, rounds).stream
    jax.clear_caches()
    first, _, value = timed(lambda: learner.expected_mistakes(stream))
    fine = po.AboveThreshold(learner.threshold, SCALE, SCALE, FINE).expected_mistakes(stream)
    row: dict[str, Any] = {"k": k, "mistakes": value, "error": abs(value - fine)}
    exact, played = [], []
    for i in range(repeats):
        exact.append(timed(lambda: learner.expected_mistakes(stream))[:2])
        if k <= most:
            key = jax.random.key(i)
            *seconds, games = timed(
                lambda key=key: po.simulate_online_game(key, learner, stream, runs)
            )
            played.append(seconds)
            row |= {"mean": games.mean, "se": games.standard_error}
    row["exact_s"], row["exact_cpu_s"] = np.min(exact, axis=0).tolist()
    row["compile_s"] = max(first - row["exact_s"], 0.0)
    if played:
        wall, cpu = np.min(played, axis=0).tolist()
        row |= {
            "played_s": wall,
            "played_cpu_s": cpu,
            "standard_errors_apart": (row["mean"] - value) / row["se"],
            "ratio_same_time_cpu": cpu / row["exact_cpu_s"],
            "played_to_a_millionth_s": wall * (row["se"] / TARGET) ** 2,
        }
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--most", type=int, default=10, help="games are played up to T = 2^most")
    options = arguments(parser, smoke={"runs": 100, "repeats": 1, "most": 6})
    rows = [measure(k, options.runs, options.repeats, options.most) for k in (6, 8, 10, 20, 40, 60)]
    print(f"float64 (exact), float32 (games), on {jax.devices()[0].device_kind}\n")
    print(
        "| log2 T | E[M] exact | error | exact s | compile s | games s | E[M] played | "
        "its error | games / exact (CPU time) | games to an error of 1e-6 |\n"
        "|---|---|---|---|---|---|---|---|---|---|"
    )
    for row in rows:
        played = (
            f"{row['played_s']:.3g} | {row['mean']:.4f} | {row['se']:.2g} | "
            f"{row['ratio_same_time_cpu']:.3g} | {row['played_to_a_millionth_s']:.2g} s"
            if "mean" in row
            else " | | | |"
        )
        print(
            f"| {row['k']} | {row['mistakes']:.6f} | {row['error']:.1g} | {row['exact_s']:.2g} | "
            f"{row['compile_s']:.2g} | {played} |"
        )
    keep("privacy_online", vars(options), rows=rows)


if __name__ == "__main__":
    main()
