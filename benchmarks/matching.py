"""Matching markets side by side with a NumPy + SciPy loop: `python benchmarks/matching.py`.

Two questions. How many rounds of MatchUCB per second, against the same algorithm written with NumPy
and SciPy; and which assignment solver over n: SciPy's and optax's exact ones, ours, the auction and
the soft dual. Compile time stands apart: from nothing, and from JAX's persistent compilation cache
on disk. Ours and the peer take turns and the best turn counts, by wall clock and by processor time
of the process. Writes benchmarks/results/matching-<device>.json.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import optax
from record import arguments, keep
from scipy.optimize import linear_sum_assignment

from theorylab import matching as mm

NOISE, WIDTH = 0.25, 0.5


def peer_prices(W: np.ndarray, rows: np.ndarray, cols: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The row-optimal core point by the max-plus fixed point, in NumPy."""
    n, m = W.shape
    p, q, worth = np.zeros(n), np.zeros(m), W[rows, cols]
    for _ in range(n + m + 1):
        p[rows] = worth - q[cols]
        new = np.maximum(q, (W - p[:, None]).max(0))
        if np.abs(new - q).max() < 1e-12:
            break
        q = new
    return p, q


def peer(U: np.ndarray, V: np.ndarray, horizon: int, seed: int) -> float:
    """MatchUCB with midpoint prices, and all that `simulate` records but for frictions: cumulative
    instability."""
    rng, (n, m), W = np.random.default_rng(seed), U.shape, U + V
    log = np.log((n + m) * horizon)
    count, sum_u, sum_v = np.zeros((3, n, m))
    best = np.maximum(W, 0)
    optimum = best[linear_sum_assignment(best, maximize=True)].sum()
    record = np.zeros((horizon, 5))
    for t in range(horizon):
        seen, safe = count > 0, np.maximum(count, 1)
        half, mean_u, mean_v = WIDTH * np.sqrt(log / safe), sum_u / safe, sum_v / safe
        high_u = np.where(seen, np.minimum(mean_u + half, 1), 1.0)
        high_v = np.where(seen, np.minimum(mean_v + half, 1), 1.0)
        low_u = np.where(seen, np.maximum(mean_u - half, -1), -1.0)
        low_v = np.where(seen, np.maximum(mean_v - half, -1), -1.0)
        held = (low_u <= U) & (high_u >= U) & (low_v <= V) & (high_v >= V)
        clipped = np.maximum(high_u + high_v, 0)
        rows, cols = linear_sum_assignment(clipped, maximize=True)
        keep = clipped[rows, cols] > 0
        rows, cols = rows[keep], cols[keep]
        p_low, q_low = peer_prices(clipped, rows, cols)
        q_high, p_high = peer_prices(clipped.T, cols, rows)
        net_row, net_col = np.zeros(n), np.zeros(m)
        net_row[rows] = U[rows, cols] + ((p_low + p_high) / 2)[rows] - high_u[rows, cols]
        net_col[cols] = V[rows, cols] + ((q_low + q_high) / 2)[cols] - high_v[rows, cols]
        loss_row, loss_col = np.maximum(-net_row, 0), np.maximum(-net_col, 0)
        gain = np.maximum(W - (net_row + loss_row)[:, None] - (net_col + loss_col), 0)
        instability = (
            loss_row.sum() + loss_col.sum() + gain[linear_sum_assignment(gain, maximize=True)].sum()
        )
        excess = (high_u + high_v - W)[rows, cols].sum()
        width = (high_u + high_v - low_u - low_v)[rows, cols].sum()
        record[t] = instability, optimum - W[rows, cols].sum(), excess, width, held.all()
        count[rows, cols] += 1
        sum_u[rows, cols] += U[rows, cols] + NOISE * rng.normal(size=len(rows))
        sum_v[rows, cols] += V[rows, cols] + NOISE * rng.normal(size=len(rows))
    return float(record[:, 0].sum())


def turns(calls: dict[str, Callable[[], Any]], repeats: int) -> dict[str, dict[str, float]]:
    """Best wall and processor seconds of each call, called in turn: other work on the machine only
    ever adds."""
    best = {name: {"wall_s": np.inf, "cpu_s": np.inf} for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            wall, cpu = time.perf_counter(), time.process_time()
            jax.block_until_ready(call())
            spent = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
            best[name] = {k: min(best[name][k], spent[k]) for k in spent}
    return best


def regret_rounds(k: int, seeds: int, rounds: int, repeats: int) -> list[dict[str, Any]]:
    """MatchUCB on k x k markets: seed-rounds per second of one stream and of two devices, and of
    the peer."""
    keys = jax.random.split(jax.random.key(0), seeds)
    markets = jax.vmap(lambda key: mm.random_market(key, k))(keys)
    algorithm = mm.match_ucb(mm.unstructured((k, k), horizon=rounds, width=WIDTH))
    cores = jax.device_count()
    mesh = jax.make_mesh((cores,), ("runs",))

    def ours(mesh: Any = None) -> Any:
        execution = mm.Execution(chunk=rounds, mesh=mesh)
        return mm.simulate(
            keys, markets, algorithm, rounds, noise_std=NOISE, execution=execution
        ).instability

    U, V = (np.asarray(x[0], float) for x in (markets.U, markets.V))
    rows = []
    for what in ("compile, from nothing", "compile, from the cache on disk"):
        jax.clear_caches()
        rows.append({"what": what, "k": k, **turns({"x": ours}, 1)["x"]})
    calls = {
        "ours": ours,
        f"ours, {cores} devices": lambda: ours(mesh),
        "NumPy + SciPy loop": lambda: peer(U, V, rounds, 0),
    }
    calls[f"ours, {cores} devices"]()  # compile
    per_round = 2 * k * k * 12 + 4 * k**3  # bounds, sweeps and two searches: of that order
    for name, spent in turns(calls, repeats).items():
        done = rounds * (1 if "loop" in name else seeds)
        rate = {f"seed_rounds_per_{unit}_s": done / spent[f"{unit}_s"] for unit in ("wall", "cpu")}
        rows.append(
            {
                "what": name,
                "k": k,
                "seed_rounds": done,
                **spent,
                **rate,
                "flop_per_round": per_round,
                "state_bytes": 8 * (3 * k * k + k),
            }
        )
    return rows


def solvers(n: int, repeats: int, slow_limit: int) -> list[dict[str, Any]]:
    """One n x n assignment of uniform weights by every solver; the approximate ones with their
    certified gap."""
    weights = np.random.default_rng(n).uniform(-1, 1, (n, n))
    clipped = np.maximum(weights, 0)
    hungarian = jax.jit(optax.assignment.hungarian_algorithm)
    calls: dict[str, Callable[[], Any]] = {
        "scipy linear_sum_assignment": lambda: linear_sum_assignment(clipped, maximize=True),
        "theorylab max_weight_matching": lambda: mm.max_weight_matching(weights).value,
        "theorylab soft_assignment, eps 0.01": lambda: (
            mm.soft_assignment(weights, eps=0.01, phases=8, sweeps=20).gap
        ),
    }
    with jax.enable_x64(True):
        on_device = jax.numpy.asarray(-clipped)
    if n <= slow_limit:
        calls["optax hungarian_algorithm"] = lambda: hungarian(on_device)
        calls["theorylab auction, gap 1e-3 n"] = lambda: (
            mm.auction_assignment(weights, tol=1e-3 * n).gap
        )
    exact = float(clipped[linear_sum_assignment(clipped, maximize=True)].sum())
    with jax.enable_x64(True):
        compiled = {}
        for name, call in calls.items():
            start = time.process_time()
            jax.block_until_ready(call())
            compiled[name] = time.process_time() - start
        spent = turns(calls, repeats)
    gaps = {
        name: float(call()) for name, call in calls.items() if "auction" in name or "soft" in name
    }
    assert abs(mm.max_weight_matching(weights).value - exact) < 1e-9 * n
    return [
        {
            "what": name,
            "n": n,
            **spent[name],
            "first_call_cpu_s": compiled[name],
            "certified_gap": gaps.get(name),
            "flop": 2.0 * n**3,
            "matrix_bytes": 8 * n * n,
        }
        for name in calls
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--k", type=int, default=16)
    parser.add_argument("--seeds", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--sizes", type=int, nargs="*", default=[16, 64, 128, 256])
    parser.add_argument(
        "--slow-limit", type=int, default=128, help="largest n for the auction and optax"
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--devices", type=int, default=2, help="CPU devices to spread the runs over"
    )
    options = arguments(
        parser, smoke={"k": 4, "seeds": 4, "rounds": 20, "sizes": [8], "repeats": 1}
    )
    jax.config.update("jax_num_cpu_devices", options.devices)
    with tempfile.TemporaryDirectory() as cache:
        jax.config.update("jax_compilation_cache_dir", cache)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        regret = regret_rounds(options.k, options.seeds, options.rounds, options.repeats)
        assignment = [
            row for n in options.sizes for row in solvers(n, options.repeats, options.slow_limit)
        ]
    one, spread, loop = regret[-3:]
    ratios = {
        "one stream / loop, processor time": one["seed_rounds_per_cpu_s"]
        / loop["seed_rounds_per_cpu_s"],
        "one stream / loop, wall": one["seed_rounds_per_wall_s"] / loop["seed_rounds_per_wall_s"],
        "two devices / loop, wall": spread["seed_rounds_per_wall_s"]
        / loop["seed_rounds_per_wall_s"],
    }
    device = jax.devices()[0].device_kind
    print(
        f"MatchUCB, {options.k} x {options.k}, {options.seeds} seeds, {options.rounds} rounds, "
        f"float64, on {device}\n"
    )
    print("| what | wall s | processor s | seed-rounds / wall s |\n|---|---|---|---|")
    for row in regret:
        rate = f"{row['seed_rounds_per_wall_s']:.0f}" if "seed_rounds" in row else ""
        print(f"| {row['what']} | {row['wall_s']:.2f} | {row['cpu_s']:.2f} | {rate} |")
    print("\n" + "\n".join(f"{name}: {value:.1f}x" for name, value in ratios.items()))
    print(
        "\n| solver | n | wall ms | processor ms | first call, processor s | certified gap "
        "|\n|---|---|---|---|---|---|"
    )
    for row in assignment:
        gap = "exact" if row["certified_gap"] is None else f"{row['certified_gap']:.2g}"
        print(
            f"| {row['what']} | {row['n']} | {1e3 * row['wall_s']:.3g} | "
            f"{1e3 * row['cpu_s']:.3g} | {row['first_call_cpu_s']:.2g} | {gap} |"
        )
    keep(
        "matching",
        vars(options),
        "scipy",
        "optax",
        ratios=ratios,
        regret=regret,
        assignment=assignment,
    )


if __name__ == "__main__":
    main()
