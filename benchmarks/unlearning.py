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
products, a pass forward and back (`needs`), and neither beats a large product of matrices
(`matmul`). On one thread of a busy machine (benchmarks/results/unlearning-cpu.json), a CPU second:

- width 16: 0.022 GFLOP a sample, so 4,160 samples at the rate of a product. PyTorch's loop makes
  290, 8 % of its limit: products this small are overhead. Ours makes 1,020, 25 %: 3.5 times as
  many. Importances of batch means, which form no gradient of a single sample, make 1,740: with the
  products of single samples for nothing the ratio would be 6.
- width 64: 1.58 GFLOP a sample, so 51. PyTorch's loop makes 33, 59 % of its limit: one large
  picture fills a core, and the 9 MB of a gradient are little beside that. No way of computing the
  same products could be more than 1.5 to 1.7 times as fast; ours makes 27, 52 %, and loses.

With two threads, on a machine less busy, the ratios were 5.2 and 2.0 (CPU) and 3.8 and 3.1 (wall):
a loop over single samples has little for a second thread. Neither another order of the factors of a
weight's gradient nor one sample at a time helps; chunks of 8 to 32 samples are alike.
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


def rows(name: str, samples: int, ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    """A row a kind of importance and one of the grid; the share of what the product of matrices of
    the same process reaches in a CPU second stands in brackets."""
    lines = []
    for what in ("single samples", "batch means", "grid"):
        unit = PAIRS if what == "grid" else samples
        cells = []
        for side in (ours, theirs):
            reached = samples * ours["needs"]["gflop"] / side[what]["cpu"] / side["matmul"]["cpu"]
            share = "" if what == "grid" else f" ({reached:.0%})"
            cells += [f"{unit / side[what]['wall']:.4g}", f"{unit / side[what]['cpu']:.4g}{share}"]
        ratios = [f"{theirs[what][k] / ours[what][k]:.2f}" for k in ("wall", "cpu")]
        lines.append(" | ".join(["", name, what, *cells, *ratios, ""]).strip())
    most = ours["matmul"]["cpu"] / ours["needs"]["gflop"]
    naive = ours["single samples, vmap(grad)"]["cpu"] / ours["single samples"]["cpu"]
    allowed = most * theirs["single samples"]["cpu"] / samples
    return [
        *lines,
        f"{name}: {ours['needs']['gflop']:.3g} GFLOP a sample, so at most {most:.4g} a CPU second "
        f"at the rate of a matrix product ({ours['matmul']['cpu']:.3g} GFLOP), {allowed:.2g} times "
        f"the peer's loop; structured over vmap(grad): {naive:.2f}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer-python", "--torch", dest="torch", help="Python that has PyTorch")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--widths", nargs="*", type=int, default=[size[1] for size in SIZES])
    parser.add_argument("--steps", type=int, default=500, help="of every fine-tuning of the sweep")
    a = arguments(parser, smoke={"widths": [], "repeats": 1, "steps": 3})
    found: dict[str, Any] = {}
    lines = [
        "| network | what | ours, per s | ours, per CPU s | PyTorch, per s | PyTorch, per CPU s | "
        "ratio of wall | ratio of CPU |",
        "|---" * 8 + "|",
    ]
    for name, width, side, samples in [s for s in SIZES if s[1] in a.widths]:
        mine = importances(width, side, samples, a.repeats)
        found[name] = {"samples": samples, "ours": mine, "torch": "not measured"}
        if a.torch:
            found[name]["torch"] = peer(a.torch, width, side, samples, a.repeats)
            lines += rows(name, samples, mine, found[name]["torch"])
    found["sweep"] = sweep(a.steps, a.repeats)
    for name, times in found["sweep"].items():
        lines.append(
            f"30 fine-tunings, {name}: {times['wall']:.2f} s, compilation "
            f"{times['compilation']:.1f} s"
        )
    print("\n".join(lines))
    options = vars(a) | {"batch": BATCH, "tests": TESTS, "pairs": PAIRS, "chunk": CHUNK}
    keep("unlearning", options, "flax", **found)


if __name__ == "__main__":
    main()
