"""Test sets scored by the Projection Norm per minute:
`python benchmarks/shift.py [--torch PYTHON]`.

One test set is T fine-tuning steps of the small CNN from theta_0 on its pseudo-labels, and the
distance to a reference. Ours by the way the sets are run; a plain JAX loop of one compiled step
(convolutions as they are, optax); and a PyTorch loop of the same work with the same sizes
(`--torch`: the interpreter of an environment that has PyTorch; without it, "not measured"). Peers
are interleaved and the best of the repeats is kept, since other work on the machine only ever adds;
process CPU seconds stand beside wall seconds, compile time apart. Writes
benchmarks/results/shift-<device>.json.
"""

import argparse
import json
import os
import subprocess
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from record import arguments, keep

from theorylab.nets import CNN, cross_entropy, functional
from theorylab.shift import (
    FineTuning,
    PseudoTraining,
    batch_order,
    projection_norm,
    projection_norms,
)

TORCH = """
import copy, json, math, time, torch
from torch import nn
torch.manual_seed(0); torch.set_num_threads({threads})
x = torch.randn({sets}, {m}, 1, 28, 28)
model = nn.Sequential(nn.Conv2d(1, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU(),
    nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU(), nn.Flatten(),
    nn.Linear(512, 64), nn.ReLU(), nn.Linear(64, 10))
reference = [p.detach().clone() for p in model.parameters()]
def score(images):
    with torch.no_grad():
        y = model(images).argmax(1)
    tilde = copy.deepcopy(model)
    optimizer = torch.optim.SGD(tilde.parameters(), lr=0.02, momentum=0.9)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, {steps})
    done = 0
    while done < {steps}:
        for b in torch.randperm({m}).split({batch}):
            if len(b) < {batch} or done == {steps}:
                continue
            optimizer.zero_grad()
            nn.functional.cross_entropy(tilde(images[b]), y[b]).backward()
            optimizer.step(); schedule.step(); done += 1
    moved = zip(tilde.parameters(), reference)
    return math.sqrt(sum(((p - q) ** 2).sum().item() for p, q in moved))
score(x[0])
best = None
for _ in range({repeats}):
    w, c = time.perf_counter(), time.process_time()
    for images in x:
        score(images)
    now = time.perf_counter() - w, time.process_time() - c
    best = now if best is None else tuple(map(min, best, now))
print(json.dumps(dict(wall=best[0], cpu=best[1], version=torch.__version__)))
"""


def plain_loop(
    f: Any, theta0: Any, reference: Any, key: Any, recipe: FineTuning
) -> Callable[[Any], list[float]]:
    """What one writes first: a jitted optax step over batches, one set after the other."""
    optimizer = optax.sgd(
        optax.cosine_decay_schedule(recipe.lr, recipe.steps), momentum=recipe.momentum
    )

    @jax.jit
    def step(params: Any, state: Any, x: Any, y: Any) -> Any:
        gradient = jax.grad(lambda p: cross_entropy(f(p, x), y).mean())(params)
        updates, state = optimizer.update(gradient, state, params)
        return optax.apply_updates(params, updates), state

    label = jax.jit(lambda x: f(theta0, x).argmax(1))

    def run(sets: Any) -> list[float]:
        found = []
        for x in sets:
            y, params, state = label(x), theta0, optimizer.init(theta0)
            for rows in batch_order(key, len(x), recipe.steps, recipe.batch_size):
                params, state = step(params, state, x[rows], y[rows])
            found.append(float(projection_norm(reference, params)))
        return found

    return run


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    sets = jnp.asarray(rng.normal(size=(options.sets, options.m, 28, 28, 1)), jnp.float32)
    f, theta0 = functional(CNN((28, 28, 1), 10, rngs=nnx.Rngs(0)))
    key, recipe = jax.random.key(0), FineTuning(options.steps, 0.02, batch_size=options.batch)
    reference = PseudoTraining(f, recipe)(theta0, sets[0], jnp.zeros(options.m, int), key=key)

    def ours(**how: Any) -> Callable[[Any], Any]:
        train = (sets[0], jnp.zeros(options.m, int))
        return lambda sets: projection_norms(
            f, theta0, theta0, train, sets, recipe, key=key, target=reference, **how
        ).values.tolist()

    peers = {
        "theorylab, sets on all cores (threads, the default)": ours(set_axis="threads"),
        "theorylab, steps from the host": ours(set_axis="host"),
        "theorylab, sets in one loop (map)": ours(set_axis="map"),
        "theorylab, sets at once (vmap)": ours(set_axis="vmap"),
        "plain JAX loop: jitted optax step": plain_loop(f, theta0, reference, key, recipe),
    }
    rows: dict[str, dict[str, Any]] = {}
    for name, run in peers.items():
        start = time.perf_counter()
        values = run(sets)
        rows[name] = {
            "what": name,
            "first": time.perf_counter() - start,
            "wall": np.inf,
            "cpu": np.inf,
            "values": values,
        }
    for _ in range(options.repeats):
        for name, run in peers.items():
            wall, cpu = time.perf_counter(), time.process_time()
            run(sets)
            took = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
            rows[name] |= {k: min(v, rows[name][k]) for k, v in took.items()}
    plain = rows["plain JAX loop: jitted optax step"]
    for row in rows.values():
        row["compile"] = max(0.0, row.pop("first") - row["wall"])
        row["largest difference to the plain loop"] = float(
            np.abs(np.subtract(row["values"], plain["values"])).max()
        )
    for row in rows.values():
        row.pop("values")
    found = [*rows.values(), {"what": "PyTorch loop", **torch_loop(options)}]
    # multiply-adds of one image forward, times 3 for the gradient, times 2 flops
    flops = (
        6
        * (14 * 14 * 72 + 7 * 7 * 16 * 72 + 4 * 4 * 32 * 144 + 512 * 64 + 640)
        * options.batch
        * options.steps
    )
    for row in found:
        if "wall" in row:
            row |= {f"sets_per_minute_{k}": 60 * options.sets / row[k] for k in ("wall", "cpu")}
            row |= {
                "gflop": flops * options.sets / 1e9,
                "cpu_of_plain_loop": plain["cpu"] / row["cpu"],
            }
    return found


def torch_loop(options: argparse.Namespace) -> dict[str, Any]:
    if options.torch is None:
        return {"error": "not measured: give --torch"}
    script = TORCH.format(
        sets=options.sets,
        m=options.m,
        steps=options.steps,
        batch=options.batch,
        repeats=options.repeats,
        threads=len(os.sched_getaffinity(0)),
    )
    done = subprocess.run(
        [options.torch, "-c", script], capture_output=True, text=True, check=False
    )
    return (
        json.loads(done.stdout) if done.returncode == 0 else {"error": done.stderr[-200:].strip()}
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--peer-python", "--torch", dest="torch", help="python of an environment with PyTorch"
    )
    parser.add_argument("--sets", type=int, default=12)
    parser.add_argument("--m", type=int, default=600)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    options = arguments(parser, smoke={"sets": 2, "m": 20, "steps": 3, "batch": 10, "repeats": 1})
    rows = measure(options)
    print(
        "| what | sets a minute, wall | by CPU time | compile s | CPU of the plain loop / its own |"
    )
    print("|---|---|---|---|---|")
    for row in rows:
        if "error" in row:
            print(f"| {row['what']} | {row['error']} | | | |")
        else:
            print(
                f"| {row['what']} | {row['sets_per_minute_wall']:.1f} | "
                f"{row['sets_per_minute_cpu']:.1f} "
                f"| {row.get('compile', 0):.1f} | {row['cpu_of_plain_loop']:.2f} |"
            )
    keep("shift", vars(options), rows=rows)


if __name__ == "__main__":
    main()
