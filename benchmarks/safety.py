"""Training tokens, grammar samples and decoded tokens per second of the safety laboratory:
`python benchmarks/safety.py --peer-python PYTHON`.

Prints a Markdown table and writes benchmarks/results/safety-<device>.json. The peers: the same
6-layer transformer of 2.7 million parameters in PyTorch on the same cores, and a NumPy loop that
expands the grammar symbol by symbol. Decoding is compared with ourselves, without the cache. Minima
of several runs are taken, and process CPU time stands beside wall time; compilation is apart.
"""

import argparse
import json
import subprocess
from pathlib import Path
from typing import Any

import jax
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


def training(batch: int, repeats: int) -> dict[str, Any]:
    """One step of AdamW with clipping."""
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
    return steady(lambda: step(params, state), repeats) | {"parameters": count_parameters(params)}


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


def row(what: str, unit: float, ours: float, theirs: float) -> str:
    return f"| {what} | {unit / ours:.4g} | {unit / theirs:.4g} | {theirs / ours:.2f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer-python", "--torch", dest="torch", help="Python that has PyTorch")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--yields", type=int, default=500)
    a = arguments(parser, smoke={"repeats": 1, "batch": 1, "yields": 5})
    grammar = paper_grammar(0)
    ours = training(a.batch, a.repeats)
    key = jax.random.key(0)
    drawn = steady(lambda: sample_yields(key, grammar, a.yields).tokens, a.repeats)
    looped = steady(lambda: numpy_yields(grammar, a.yields) and 0, a.repeats)
    decoded = decoding(a.batch, a.repeats)
    tokens = a.batch * (LENGTH - 1)
    print("| what | ours, per s | peer, per s | ratio |\n|---|---|---|---|")
    found: dict[str, Any] = {"training": {"ours": ours, "torch": "not measured"}}
    if a.torch:
        theirs = peer(a.torch, a.batch, a.repeats)
        found["training"]["torch"] = theirs
        print(row("training tokens, PyTorch", tokens, ours["wall"], theirs["wall"]))
    print(row("yields of the full grammar, NumPy", a.yields, drawn["wall"], looped["wall"]))
    walls = decoded["cached"]["wall"], decoded["whole"]["wall"]
    print(row("decoded tokens, without the cache", decoded["tokens"], *walls))
    found |= {"decoding": decoded, "yields": {"ours": drawn, "numpy": looped}}
    keep("safety", vars(a), "flax", **found)


if __name__ == "__main__":
    main()
