"""Importances of ResNet-9, a whole SSD grid and a sweep over identified shares:
`python benchmarks/unlearning.py --peer-python PYTHON`.

Prints a Markdown table and writes benchmarks/results/unlearning-<device>.json. The peer is PyTorch
in the way of the official SSD code: a backward pass a batch, which for single samples means one a
sample. Both sides take turns on the same cores, minima of several runs are taken, and process CPU
time stands beside wall time: other work on the machine only ever adds. Compilation is reported
apart. The sweep has no peer but ourselves: one compiled program for all shares, against programs
whose shapes depend on how many samples are left, which is what dropping the samples comes to.

On a machine that others use, run it under `taskset -c 1` and read the CPU seconds: with two threads
PyTorch's wait for each other, and the ratio says how busy the machine is (it was 25).

How far ahead importances of single samples can be follows from arithmetic. Both sides need the same
products, a pass forward and back (`needs`: 0.022 GFLOP a sample at width 16, 1.58 at width 64), and
neither beats what a core multiplies at most: the faster one of the two sides' large products
(`matmul`: some 215 to 240 GFLOP a CPU second where the record was made; the `arithmetic` of the
record has it for both sides, and how much of it they reach).

- width 16: PyTorch's loop makes some 6 % of the limit, as products this small are overhead, so that
  there is room for a factor above ten.
- width 64: PyTorch's loop makes some 42 % of the limit: one large picture fills a core, and the 9
  MB of a gradient are little beside that. No way of computing the same products could be more than
  2.4 times as fast, and twice would be 85 % of the limit: XLA's convolutions alone, forward and
  back, run at 190 to 210 GFLOP a CPU second, and products of one sample's patches at 160.

What is not a product counts at both sizes: the maximum over windows, whose derivative in XLA took
4 to 8 % of all time, CELU, and the sums over positions. Gradients of weights are made one sample
after another on a CPU: 9.1 MB of a gradient are written and read once where all samples' stand side
by side, and stay in cache where one follows the other; PyTorch's loop moves about 46 MB a sample
(gradient, square, sum), which is 5 ms at 10 GB/s beside the 17 ms of its pass.
"""

import argparse
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from record import arguments, keep, steady

from theorylab import unlearning as u
from theorylab.nets import MLP, cross_entropy
from theorylab.nets.resnet9 import ResNet9

KEY = jax.random.key(0)
# (name, width, side, samples for single-sample importances and batch means)
SIZES = (
    ("ResNet-9, width 16, 16 x 16", 16, 16, 256),
    ("ResNet-9, width 64, 32 x 32", 64, 32, 64),
)
BATCH, TESTS, PAIRS, CHUNK, SQUARE = 64, 64, 50, 32, 2048
GAMMAS = (0.1, 0.25, 0.5, 0.75, 1.0)
# of every row below its peer, the reason: rates are those of the record
BELOW_PEER = [
    "batch means: the same arithmetic on both sides (1.58 GFLOP a sample at width 64, 0.022 at "
    "16), but at width 64 XLA's gradients of kernels reach 120 to 160 GFLOP per CPU second where "
    "oneDNN's reach 200, of a product's 215 to 240",
    "ResNet-9, width 64, 32 x 32: 1.58 GFLOP a sample bound both sides, and no way of computing "
    "them could be more than 2.4 times as fast; by the clock other work on the machine decides",
]


def resnet(width: int, side: int, samples: int) -> tuple[u.Network, u.Model, u.TrainingSet]:
    net = u.network(lambda rngs: ResNet9(10, width=width, rngs=rngs))
    x = np.random.default_rng(0).normal(size=(samples, side, side, 3)).astype(np.float32)
    data = u.manipulate(x, np.arange(samples) % 10, u.BackdoorPatch(2, 3.0), 4, key=KEY)
    return net, net.init(KEY), data


def matmul(repeats: int) -> dict[str, float]:
    """GFLOP a second and a CPU second of a large product: what this machine does at most, now."""
    a = jnp.asarray(np.random.default_rng(0).normal(size=(SQUARE, SQUARE)).astype(np.float32))
    product = jax.jit(jnp.matmul)
    times = steady(lambda: product(a, a), repeats)
    return {k: 2e-9 * SQUARE**3 / times[k] for k in ("wall", "cpu")}


def needs(net: u.Network, model: u.Model, data: u.TrainingSet) -> dict[str, float]:
    """What one sample takes, on either side: GFLOP of a pass forward and back by XLA's count, and
    the gradient's size in MB, which a backward pass a sample moves several times and a chunk of
    samples once."""
    x, y = data.x[:1], data.y[:1]

    def loss(params: Any) -> jax.Array:
        return cross_entropy(net.evaluate(params, model.state, x), y).sum()

    counted: Any = jax.jit(jax.grad(loss)).lower(model.params).cost_analysis()
    size = sum(leaf.nbytes for leaf in jax.tree.leaves(model.params))
    return {"gflop": counted["flops"] / 1e9, "gradient_mb": size / 1e6}


def forward(net: u.Network, model: u.Model, data: u.TrainingSet) -> Callable[[], Any]:
    """The losses of all samples, without gradients, in batches."""
    loss = jax.jit(lambda x, y: cross_entropy(net.evaluate(model.params, model.state, x), y))
    starts = range(0, len(data.y), BATCH)
    return lambda: [loss(data.x[i : i + BATCH], data.y[i : i + BATCH]) for i in starts]


def importances(width: int, side: int, samples: int, repeats: int) -> dict[str, Any]:
    net, model, data = resnet(width, side, samples)
    every = np.ones(samples, bool)

    def take(batch_size: int, structured: bool = True) -> Callable[[], Any]:
        options = u.ImportanceOptions(chunk=CHUNK, structured=structured)
        return lambda: u.gradient_importance(
            net, model, data, every, batch_size=batch_size, options=options
        )

    return {
        "needs": needs(net, model, data),
        "matmul": matmul(repeats),
        "forward": steady(forward(net, model, data), repeats),
        "single samples": steady(take(1), repeats),
        "single samples, vmap(grad)": steady(take(1, structured=False), repeats),
        "batch means": steady(take(BATCH), repeats),
        "grid": steady(ssd_grid(net, model, data), repeats),
    }


def ssd_grid(net: u.Network, model: u.Model, data: u.TrainingSet) -> Callable[[], Any]:
    """All pairs on cached importances, and predictions of every dampened model."""
    mask = np.arange(len(data.y)) < 8
    important, rest = (
        u.gradient_importance(net, model, data, m, batch_size=8) for m in (mask, mask)
    )
    pairs = [(10.0 ** (i % 7 - 1), 10.0 ** (i % 5 - 2)) for i in range(PAIRS)]
    tests = jnp.asarray(
        np.random.default_rng(1).normal(size=(TESTS, *data.x.shape[1:])).astype(np.float32)
    )

    @jax.jit
    def one(alpha: jax.Array, lam: jax.Array) -> jax.Array:
        params = u.selective_synaptic_dampening(model.params, important, rest, alpha=alpha, lam=lam)
        return net.logits(u.Model(params, model.state), tests).argmax(-1)

    if jax.default_backend() == "cpu":  # batched weights would make grouped convolutions
        return lambda: [one(alpha, lam) for alpha, lam in pairs]
    table = jnp.asarray(pairs)
    return lambda: jax.vmap(one)(table[:, 0], table[:, 1])


def peer(python: str, width: int, side: int, samples: int, repeats: int) -> dict[str, Any]:
    options = {
        "width": width,
        "side": side,
        "samples": samples,
        "batch": BATCH,
        "tests": TESTS,
        "square": SQUARE,
        "repeats": repeats,
        "pairs": PAIRS,
    }
    given = [part for name, v in options.items() for part in (f"--{name}", str(v))]
    script = Path(__file__).with_name("unlearning_torch.py")
    out = subprocess.run([python, str(script), *given], check=True, capture_output=True, text=True)
    return json.loads(out.stdout.splitlines()[-1])


def least(turns: list[dict[str, Any]]) -> dict[str, Any]:
    """The least seconds of several turns, and the highest rates of a product; the rest is of the
    first."""
    found = dict(turns[0])
    for name, value in turns[0].items():
        if isinstance(value, dict) and "cpu" in value:
            better = max if name == "matmul" else min
            found[name] = {k: better(turn[name][k] for turn in turns) for k in value}
            if "compilation" in value:
                found[name]["compilation"] = value["compilation"]
    return found


def sweep(steps: int, repeats: int) -> dict[str, Any]:
    """Fine-tuning of an MLP at five shares, six seeds each: 30 runs."""
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(1300, 8, 8)).astype(np.float32)
    data = u.manipulate(x, rng.integers(0, 10, 1300), u.BackdoorPatch(2, 1.0), 28, key=KEY)
    net = u.network(lambda rngs: MLP((64, 128, 128, 10), rngs=rngs))
    models = jax.vmap(net.init)(jax.random.split(KEY, 6))
    forgets = jnp.stack([u.identified_subset(data.manipulated, g, key=KEY) for g in GAMMAS])
    keys = jax.random.split(KEY, (6, len(GAMMAS)))
    budget = u.Budget(steps)

    def run(model: u.Model, forget: jax.Array, key: jax.Array) -> u.Model:
        return u.fine_tune(net, data, model, forget, budget, key=key)

    together = jax.jit(jax.vmap(jax.vmap(run, (None, 0, 0)), (0, None, 0)))
    one = steady(lambda: together(models, forgets, keys), repeats)

    def by_shape() -> Any:
        """A training set a share: the identified samples are cut out, so every share has its own
        shapes, and the program of every share is compiled."""
        out = []
        for g in range(len(GAMMAS)):
            rows = np.flatnonzero(~np.asarray(forgets[g]))
            cut = u.TrainingSet(
                data.x[rows],
                data.y[rows],
                data.clean[rows],
                data.manipulated[rows],
                data.patched[rows],
                data.trigger,
            )
            none = jnp.zeros(len(rows), bool)
            out += [
                u.fine_tune(
                    net,
                    cut,
                    jax.tree.map(lambda a, s=s: a[s], models),
                    none,
                    budget,
                    key=keys[s, g],
                )
                for s in range(6)
            ]
        return out

    each = steady(by_shape, repeats)
    return {"one program": one, "a program a share, runs one by one": each}


def pairs(name: str, samples: int, ours: dict[str, Any], theirs: Any) -> list[dict[str, Any]]:
    """A row a kind of importance and one of the grid: both sides in a second, and ratios."""
    found = []
    for what in ("single samples", "batch means", "grid"):
        units = PAIRS if what == "grid" else samples
        row: dict[str, Any] = {"network": name, "what": what}
        for side, times in (("ours", ours), ("peer", theirs)):
            if isinstance(times, dict):
                for clock, unit in (("wall", "s"), ("cpu", "cpu_s")):
                    row[f"{side}_per_{unit}"] = units / times[what][clock]
        if isinstance(theirs, dict):
            row["ratio"] = theirs[what]["wall"] / ours[what]["wall"]
            row["cpu_ratio"] = theirs[what]["cpu"] / ours[what]["cpu"]
        found.append(row)
    return found


def arithmetic(name: str, samples: int, ours: dict[str, Any], theirs: Any) -> list[dict[str, Any]]:
    """A row a side: what a sample needs, and what importances of single samples, the parts of a
    pass and a large product reach in a CPU second. The products, at the rate of the side's own and
    for nothing else, would be `most_per_cpu_s` samples."""
    found = []
    for side, times in (("theorylab", ours), ("PyTorch", theirs)):
        if not isinstance(times, dict):
            continue
        gflop, rate = samples * ours["needs"]["gflop"], times["matmul"]["cpu"]
        row = {"network": name, "side": side, "sample_gflop": ours["needs"]["gflop"]}
        row |= {"gradient_mb": ours["needs"]["gradient_mb"], "product_gflop_per_cpu_s": rate}
        row["single_samples_gflop_per_cpu_s"] = gflop / times["single samples"]["cpu"]
        row["batch_means_gflop_per_cpu_s"] = gflop / times["batch means"]["cpu"]
        if "forward" in times:  # a third of the work; the rest are gradients
            forward = times["forward"]["cpu"]
            row["forward_gflop_per_cpu_s"] = gflop / 3 / forward
            back = times["batch means"]["cpu"] - forward
            row["batch_gradients_gflop_per_cpu_s"] = gflop * 2 / 3 / back
        row["most_per_cpu_s"] = rate / ours["needs"]["gflop"]
        found.append(row)
    return found


def lines(rows: list[dict[str, Any]]) -> list[str]:
    """Rows as a Markdown table."""
    heads = list(dict.fromkeys(key for row in rows for key in row))
    cells = [[row.get(key, "") for key in heads] for row in rows]
    said = [[f"{v:.4g}" if isinstance(v, float) else str(v) for v in row] for row in cells]
    return ["| " + " | ".join(row) + " |" for row in [heads, ["---"] * len(heads), *said]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer-python", "--torch", dest="torch", help="Python that has PyTorch")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--turns", type=int, default=2, help="of both sides")
    parser.add_argument("--widths", nargs="*", type=int, default=[size[1] for size in SIZES])
    parser.add_argument("--steps", type=int, default=500, help="of every fine-tuning of the sweep")
    a = arguments(parser, smoke={"widths": [], "repeats": 1, "turns": 1, "steps": 3})
    found: dict[str, Any] = {"rows": [], "arithmetic": []}
    for name, width, side, samples in [s for s in SIZES if s[1] in a.widths]:
        mine, theirs = [], []
        for _ in range(a.turns):
            mine.append(importances(width, side, samples, a.repeats))
            if a.torch:
                theirs.append(peer(a.torch, width, side, samples, a.repeats))
        mine, theirs = least(mine), least(theirs) if theirs else "not measured"
        found[name] = {"samples": samples, "ours": mine, "torch": theirs}
        found["rows"] += pairs(name, samples, mine, theirs)
        found["arithmetic"] += arithmetic(name, samples, mine, theirs)
    found["sweep"] = sweep(a.steps, a.repeats)
    found["fine_tunings"] = [
        {"what": name, "wall_s": times["wall"], "cpu_s": times["cpu"]}
        | {"compile_s": times["compilation"]}
        for name, times in found["sweep"].items()
    ]
    for rows in (found["rows"], found["arithmetic"], found["fine_tunings"]):
        print("\n".join(lines(rows)), end="\n\n")
    options = vars(a) | {"batch": BATCH, "tests": TESTS, "pairs": PAIRS, "chunk": CHUNK}
    keep("unlearning", options, "flax", **found, below_peer=BELOW_PEER)


if __name__ == "__main__":
    main()
