"""Training tokens, grammar samples and decoded tokens per second of the safety laboratory:
`python benchmarks/safety.py --peer-python PYTHON`.

Prints a Markdown table and writes benchmarks/results/safety-<device>.json. The peers: the same
6-layer transformer of 2.7 million parameters in PyTorch on the same cores, and a NumPy loop that
expands the grammar symbol by symbol. Decoding is compared with ourselves, without the cache. Each
pair takes turns, minima of all turns are kept, and process CPU time stands beside wall time;
compilation is apart.

How far ahead training can be follows from arithmetic: both sides multiply the same matrices, 18.2
million floating-point operations a token (`training_flop`, forward, and twice that back), and
neither is faster than its library multiplies matrices of these sizes. So a record holds, of
both sides and from the same minutes, what training reached beside the rate of a large product and
of the network's own, (tokens, width) by (width, 4 width). On a machine that others use, run it
under `taskset -c 1` and read the CPU seconds.

On one core of an AMD EPYC (benchmarks/results/safety-cpu.json), a CPU second, training made 94
GFLOP here and 81 in PyTorch, so 1.17 times as many tokens; a product 208 in XLA and 101 in MKL, of
which PyTorch uses 80 %. Twice PyTorch's tokens would take 161 GFLOP, 78 % of XLA's rate. Of a step,
71 % are products, at 132 GFLOP a CPU second, 17 % are copies of arguments into the order of axes
that products ask for, and 12 % are all else.
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
import optax
from flax import nnx
from record import arguments, keep, steady

from theorylab.nets import count_parameters, functional
from theorylab.nets.gpt import GPT, greedy_decoder
from theorylab.safety import Grammar, next_tokens, paper_grammar, sample_yields, sft_loss

VOCABULARY, LENGTH, WIDTH, DEPTH, HEADS = 54, 160, 192, 6, 6


def network() -> GPT:
    options = {"positions": "sinusoidal", "normed_stream": True}
    return GPT(
        VOCABULARY, LENGTH, width=WIDTH, depth=DEPTH, heads=HEADS, rngs=nnx.Rngs(0), **options
    )


def training_flop() -> float:
    """Floating-point operations of a token: the products alone, forward and twice that back."""
    layer = 24.0 * WIDTH**2 + 4.0 * (LENGTH - 1) * WIDTH  # of weights, and of attention
    return 3 * (DEPTH * layer + 2.0 * WIDTH * VOCABULARY)


def training(batch: int) -> tuple[Callable[[], Any], int]:
    """One step of AdamW with clipping, and the number of parameters."""
    f, params = functional(network())
    tokens = np.random.default_rng(0).integers(0, VOCABULARY, (batch, LENGTH))
    x, y = next_tokens(tokens, np.ones(LENGTH - 1))
    tx = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(1e-3, b2=0.95, weight_decay=1e-4))

    @jax.jit
    def step(params: Any, state: Any) -> Any:
        gradient = jax.grad(lambda p: sft_loss(f(p, x), y).mean())(params)
        updates, state = tx.update(gradient, state, params)
        return optax.apply_updates(params, updates), state

    state = tx.init(params)
    return lambda: step(params, state), count_parameters(params)


def products(batch: int, repeats: int) -> dict[str, float]:
    """GFLOP a CPU second of a large product of matrices, and of the widest one of the network."""
    found, times = {}, jax.jit(jnp.matmul)
    sizes = {"large": (2048, 2048, 2048), "own": (batch * (LENGTH - 1), WIDTH, 4 * WIDTH)}
    for name, (rows, inner, columns) in sizes.items():
        a, b = jnp.ones((rows, inner)), jnp.ones((inner, columns))
        seconds = steady(lambda a=a, b=b: times(a, b), repeats)["cpu"]
        found[f"{name}_product_gflop_per_cpu_s"] = 2e-9 * rows * inner * columns / seconds
    return found


def least(*runs: dict[str, Any]) -> dict[str, Any]:
    """The least seconds and the highest rates of several turns."""
    better = {k: max if k.endswith("per_cpu_s") else min for k in runs[0]}
    return {k: better[k](run[k] for run in runs) for k in runs[0]}


def numpy_yields(grammar: Grammar, n: int, seed: int = 0) -> list[list[int]]:
    """The grammar expanded symbol by symbol, as the release does."""
    rng, rules = np.random.default_rng(seed), dict(grammar.rules)
    out = []
    for _ in range(n):
        stack, text = [grammar.root], []
        while stack:
            symbol = stack.pop()
            if isinstance(symbol, str):
                stack.extend(reversed(rules[symbol][rng.integers(len(rules[symbol]))]))
            else:
                text.append(symbol)
        out.append(text)
    return out


def decoding(n: int, repeats: int) -> dict[str, Any]:
    model, steps = network(), 96
    params = functional(model)[1]
    prompts = np.random.default_rng(0).integers(0, VOCABULARY, (n, 64))
    decoders = {c: greedy_decoder(model, steps=steps, cached=c) for c in (True, False)}
    return {
        "cached" if c else "whole": steady(lambda d=d: d(params, prompts), repeats)
        for c, d in decoders.items()
    } | {"tokens": n * steps}


def peer(python: str, batch: int, repeats: int) -> dict[str, Any]:
    script = Path(__file__).with_name("safety_torch.py")
    sizes = (VOCABULARY, LENGTH, WIDTH, DEPTH, HEADS, batch, repeats)
    out = subprocess.run(
        [python, str(script), *map(str, sizes)], check=True, capture_output=True, text=True
    )
    return json.loads(out.stdout.splitlines()[-1])


def row(what: str, units: float, peer: str, ours: Any, theirs: Any) -> dict[str, Any]:
    """A pair: what each side does in a second by the clock and of the processor, and ratios."""
    found: dict[str, Any] = {"what": what, "peer": peer}
    for side, times in (("ours", ours), ("peer", theirs)):
        found |= {f"{side}_per_s": units / times["wall"], f"{side}_per_cpu_s": units / times["cpu"]}
    found["ratio"] = theirs["wall"] / ours["wall"]
    return found | {"cpu_ratio": theirs["cpu"] / ours["cpu"], "compile_s": ours["compilation"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer-python", "--torch", dest="torch", help="Python that has PyTorch")
    parser.add_argument("--turns", type=int, default=2, help="of both sides of a pair")
    parser.add_argument("--repeats", type=int, default=3, help="in every turn")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--decoded", type=int, default=8, help="sequences decoded together")
    parser.add_argument("--yields", type=int, default=500)
    a = arguments(parser, smoke={"turns": 1, "repeats": 1, "batch": 1, "decoded": 1, "yields": 5})
    grammar, key, rows, rates = paper_grammar(0), jax.random.key(0), [], []
    step, parameters = training(a.batch)
    mine, theirs = [], []
    for _ in range(a.turns):
        mine.append(steady(step, a.repeats) | products(a.batch, a.repeats))
        if a.torch:
            theirs.append(peer(a.torch, a.batch, a.repeats))
    tokens = a.batch * (LENGTH - 1)
    ours = least(*mine) | {"compilation": mine[0]["compilation"]}
    sides = {"theorylab": ours}
    if a.torch:
        said = {k: theirs[0].pop(k) for k in ("parameters", "version", "threads")}
        best = least(*({k: turn[k] for k in theirs[0]} for turn in theirs))
        sides[f"PyTorch {said['version']}, {said['threads']} threads"] = best
        rows.append(row("training tokens", tokens, "PyTorch", ours, best))
    for side, times in sides.items():
        reached = 1e-9 * tokens * training_flop() / times["cpu"]
        rate = {k: v for k, v in times.items() if k.endswith("per_cpu_s")}
        rates.append({"side": side, "training_gflop_per_cpu_s": reached, **rate})
    drawn = steady(lambda: sample_yields(key, grammar, a.yields).tokens, a.repeats)
    looped = steady(lambda: numpy_yields(grammar, a.yields) and 0, a.repeats)
    rows.append(row("yields of the full grammar", a.yields, "NumPy loop", drawn, looped))
    decoded = decoding(a.decoded, a.repeats)
    pair = decoded["cached"], decoded["whole"]
    rows.append(row("decoded tokens", decoded["tokens"], "without the cache", *pair))
    print(
        "| what | peer | ours, per s (per CPU s) | peer, per s (per CPU s) | ratio (of CPU) |\n"
        "|---|---|---|---|---|"
    )
    for r in rows:
        cells = (f"{r[f'{s}_per_s']:.4g} ({r[f'{s}_per_cpu_s']:.4g})" for s in ("ours", "peer"))
        ratio = f"{r['ratio']:.2f} ({r['cpu_ratio']:.2f})"
        print(f"| {r['what']} | {r['peer']} | {' | '.join(cells)} | {ratio} |")
    for rate in rates:
        print(rate)
    work = {"parameters": parameters, "training_flop_per_token": training_flop()}
    if a.torch:
        work["peer_parameters"] = said["parameters"]
    keep("safety", vars(a), "flax", rows=rows, rates=rates, **work)


if __name__ == "__main__":
    main()
