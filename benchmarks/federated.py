"""Federated rounds and the convex stage of TCT, timed.

    python benchmarks/federated.py [--torch PYTHON] [--fedjax PYTHON]

1. Rounds per second of FedAvg with the small CNN, by the way clients are run, beside a plain JAX
   loop (one compiled SGD step, driven from Python), a plain PyTorch loop and fedjax, with the same
   model, batches and sizes (`--torch`, `--fedjax`: interpreters of environments that have them;
   without, "not measured". fedjax 0.0.17 wants JAX 0.4.25 and Haiku 0.0.12; the better of its "jit"
   and "debug" back ends counts).
2. How a round's cost grows with the clients and the local steps.
3. The Gram form of SCAFFOLD on least squares beside its primal loop, and how both grow with M and
   p.

Process CPU seconds stand beside wall seconds: they are the figure to read on a busy machine.
Compile time apart. Writes benchmarks/results/federated-<device>.json.
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
from flax import nnx
from record import arguments, keep

from theorylab.federated import (
    fedavg,
    gram,
    iid_partition,
    pad_clients,
    scaffold_gram,
    scaffold_least_squares,
    stable_step_size,
)
from theorylab.nets import CNN, cross_entropy, functional, functional_train
from theorylab.ntk.convolutions import small_products

BATCH = 50
TORCH = """
import copy, json, time, torch
from torch import nn
torch.manual_seed(0); torch.set_num_threads({threads})
x, y = torch.randn({clients}, {n}, 1, 28, 28), torch.randint(0, 10, ({clients}, {n}))
model = nn.Sequential(nn.Conv2d(1, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU(),
    nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU(), nn.Flatten(),
    nn.Linear(512, 64), nn.ReLU(), nn.Linear(64, 10))
def one_round():
    states = []
    for i in range({clients}):
        local = copy.deepcopy(model)
        optimizer = torch.optim.SGD(local.parameters(), lr=0.05)
        for _ in range({epochs}):
            for b in torch.randperm({n}).split({batch}):
                optimizer.zero_grad()
                nn.functional.cross_entropy(local(x[i][b]), y[i][b]).backward()
                optimizer.step()
        states.append(local.state_dict())
    model.load_state_dict({{k: sum(s[k] for s in states) / {clients} for k in states[0]}})
one_round()
wall, cpu = [], []
for _ in range({repeats}):
    w, c = time.perf_counter(), time.process_time()
    one_round()
    wall.append(time.perf_counter() - w); cpu.append(time.process_time() - c)
print(json.dumps(dict(wall=min(wall), cpu=min(cpu))))
"""
FEDJAX = """
import json, time, fedjax, haiku as hk, jax, jax.numpy as jnp, numpy as np
def net(batch):
    x = batch["x"]
    for channels in (8, 16, 32):
        x = jax.nn.relu(hk.Conv2D(channels, 3, 2, padding="SAME")(x))
    return hk.Linear(10)(jax.nn.relu(hk.Linear(64)(x.reshape(x.shape[0], -1))))
rng = np.random.default_rng(0)
sample = {{"x": np.zeros((1, 28, 28, 1), np.float32), "y": np.zeros(1, int)}}
def entropy(batch, out):
    return -jnp.take_along_axis(jax.nn.log_softmax(out), batch["y"][:, None], 1)[:, 0]
model = fedjax.create_model_from_haiku(hk.transform(net), sample, entropy, {{}})
def loss(params, batch, key):
    return jnp.mean(model.train_loss(batch, model.apply_for_train(params, batch, key)))
algorithm = fedjax.algorithms.fed_avg.federated_averaging(
    jax.grad(loss), fedjax.optimizers.sgd(0.05), fedjax.optimizers.sgd(1.0),
    fedjax.ShuffleRepeatBatchHParams(batch_size={batch}, num_epochs={epochs}))
data = {{str(i): {{"x": rng.normal(size=({n}, 28, 28, 1)).astype(np.float32),
                   "y": rng.integers(0, 10, {n})}}
         for i in range({clients})}}
clients = fedjax.InMemoryFederatedData(data)
def one_round():
    keys = jax.random.split(jax.random.PRNGKey(1), {clients})
    chosen = [(name, clients.get_client(name), key) for name, key in zip(data, keys)]
    jax.block_until_ready(algorithm.apply(algorithm.init(start), chosen)[0].params)
start, wall, cpu = model.init(jax.random.PRNGKey(0)), [], []
for backend in ("debug", "jit"):
    with fedjax.for_each_client_backend(backend):
        one_round()
        for _ in range({repeats}):
            w, c = time.perf_counter(), time.process_time()
            one_round()
            wall.append(time.perf_counter() - w); cpu.append(time.process_time() - c)
print(json.dumps(dict(wall=min(wall), cpu=min(cpu))))
"""


def seconds(call: Callable[[], Any], repeats: int) -> dict[str, float]:
    """First call apart (it compiles), then the best of a few: other work on the machine only ever
    adds."""
    start = time.perf_counter()
    jax.block_until_ready(call())
    first, wall, cpu = time.perf_counter() - start, [], []
    for _ in range(repeats):
        w, c = time.perf_counter(), time.process_time()
        jax.block_until_ready(call())
        wall.append(time.perf_counter() - w)
        cpu.append(time.process_time() - c)
    return {"wall": min(wall), "cpu": min(cpu), "compile": first - min(wall)}


def one_round(
    clients: int, n: int, epochs: int, axis: str | None, repeats: int, *, patches: bool = True
) -> dict[str, float]:
    """`patches`: convolutions as products of patches, as `federated_fit` has them on CPU."""
    rng = np.random.default_rng(0)
    x, y = (
        rng.normal(size=(clients * n, 28, 28, 1)).astype(np.float32),
        rng.integers(0, 10, clients * n),
    )
    data = pad_clients(x, y, iid_partition(y, clients, key=jax.random.key(0)))
    model = CNN((28, 28, 1), 10, rngs=nnx.Rngs(0))
    apply, params, state = functional_train(model)
    apply = small_products(apply) if patches else apply
    algorithm = fedavg(lr=0.05, epochs=epochs, batch_size=BATCH)
    federated = algorithm.bind(apply, cross_entropy, data, client_axis=axis)
    start = federated.init(params, state)
    return seconds(lambda: federated.round(start, data, jax.random.key(1))[0].params, repeats)


def plain_round(clients: int, n: int, epochs: int, repeats: int) -> dict[str, float]:
    """What one writes without a library: a compiled SGD step, loops over clients, epochs and
    batches in Python."""
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(clients, n, 28, 28, 1)), jnp.float32)
    y = jnp.asarray(rng.integers(0, 10, (clients, n)))
    f, start = functional(CNN((28, 28, 1), 10, rngs=nnx.Rngs(0)))

    @jax.jit
    def step(params: Any, x: Any, y: Any) -> Any:
        gradient = jax.grad(lambda p: cross_entropy(f(p, x), y).mean())(params)
        return jax.tree.map(lambda v, g: v - 0.05 * g, params, gradient)

    def go() -> Any:
        after = []
        for i in range(clients):
            params = start
            for _ in range(epochs):
                order = rng.permutation(n)
                for j in range(0, n, BATCH):
                    picked = order[j : j + BATCH]
                    params = step(params, x[i, picked], y[i, picked])
            after.append(params)
        return jax.tree.map(lambda *leaves: sum(leaves) / clients, *after)

    return seconds(go, repeats)


def peer_round(
    code: str, python: str | None, clients: int, n: int, epochs: int, repeats: int
) -> dict[str, Any]:
    """A peer's round, in its own environment."""
    if python is None:
        return {"error": "not measured: give the interpreter of its environment"}
    script = code.format(
        clients=clients,
        n=n,
        epochs=epochs,
        batch=BATCH,
        repeats=repeats,
        threads=len(os.sched_getaffinity(0)),
    )
    done = subprocess.run([python, "-c", script], capture_output=True, text=True)
    return (
        json.loads(done.stdout) if done.returncode == 0 else {"error": done.stderr[-200:].strip()}
    )


def least_squares(
    n: int, p: int, steps: int, rounds: int, repeats: int, clients: int = 5, k: int = 10
) -> list[dict]:
    """Float32 features (n_i, p): the Gram form for `rounds` rounds, the primal loop for one (each
    costs the same)."""
    rng = np.random.default_rng(0)
    phi = [rng.normal(size=(n, p)).astype(np.float32) for _ in range(clients)]
    y = [
        np.eye(k, dtype=np.float32)[rng.integers(0, k, n)] - np.float32(1 / k)
        for _ in range(clients)
    ]
    stacked, targets, eta = np.concatenate(phi), np.concatenate(y), stable_step_size(phi)
    build = seconds(lambda: gram(stacked), repeats)
    G, options = gram(stacked), {"eta": eta, "local_steps": steps}
    dual = seconds(
        lambda: scaffold_gram(G, targets, [n] * clients, rounds=rounds, **options).dual, repeats
    )
    primal = seconds(lambda: scaffold_least_squares(phi, y, rounds=1, **options).theta, 1)
    size = {"n_i": n, "p": p, "M": steps, "clients": clients}
    return [
        {"what": "Gram matrix", **size, **build, "gflop": 2 * (clients * n) ** 2 * p / 1e9},
        {
            "what": f"scaffold_gram, {rounds} rounds",
            **size,
            **dual,
            "gflop": rounds * 2 * (clients * n) ** 2 * k / 1e9,
        },
        {
            "what": "primal loop, 1 round",
            **size,
            **primal,
            "gflop": clients * steps * 4 * n * p * k / 1e9,
        },
        {
            "what": f"primal x {rounds} / (Gram matrix + scaffold_gram)",
            **size,
            **{c: rounds * primal[c] / (build[c] + dual[c]) for c in ("wall", "cpu")},
        },
        {"what": f"primal x {rounds} / scaffold_gram", **size}
        | {c: rounds * primal[c] / dual[c] for c in ("wall", "cpu")},
    ]


def measure(options: argparse.Namespace) -> list[dict]:
    rows: list[dict] = []
    c, n, epochs, repeats = options.clients, options.examples, options.epochs, options.repeats
    for axis in ("threads", "map", "vmap"):
        rows.append(
            {
                "what": f"FedAvg round, clients {axis}",
                "clients": c,
                **one_round(c, n, epochs, axis, repeats),
            }
        )
    plain = one_round(c, n, epochs, "host", repeats, patches=False)
    rows.append({"what": "FedAvg round, clients host, XLA's convolutions", "clients": c, **plain})
    peer = plain_round(c, n, epochs, repeats)
    rows.append({"what": "FedAvg round, plain JAX loop", "clients": c, **peer})
    ours, others = rows[0], {"plain JAX loop": peer}
    for name, code, python in (
        ("PyTorch", TORCH, options.torch),
        ("fedjax", FEDJAX, options.fedjax),
    ):
        others[name] = peer_round(code, python, c, n, epochs, repeats)
        rows.append({"what": f"FedAvg round, {name}", "clients": c, **others[name]})
    for name, row in others.items():
        if "wall" in row:
            ratios = {k: row[k] / ours[k] for k in ("wall", "cpu")}
            rows.append({"what": f"{name} / ours, clients on threads", "clients": c, **ratios})
    for few in (c // 2, 2 * c):
        rows.append(
            {"what": "FedAvg round", "clients": few, **one_round(few, n, epochs, None, repeats)}
        )
    rows.append(
        {
            "what": f"FedAvg round, {2 * epochs} epochs",
            "clients": c,
            **one_round(c, n, 2 * epochs, None, repeats),
        }
    )
    for p, steps in options.least_squares:
        rows += least_squares(250, p, steps, options.rounds, repeats)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--peer-python", "--torch", dest="torch", help="python of an environment with PyTorch"
    )
    parser.add_argument("--fedjax", help="python of an environment with fedjax")
    parser.add_argument("--clients", type=int, default=10)
    parser.add_argument("--examples", type=int, default=250, help="of each client")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=20, help="of the convex stage")
    parser.add_argument("--repeats", type=int, default=3)
    pair = lambda text: tuple(map(int, text.split(":")))  # noqa: E731
    parser.add_argument(
        "--least-squares",
        type=pair,
        nargs="*",
        default=[(8000, 500), (8000, 100), (2000, 500)],
        help="p:M, several",
    )
    options = arguments(
        parser,
        smoke={
            "clients": 2,
            "examples": 20,
            "epochs": 1,
            "rounds": 2,
            "repeats": 1,
            "least_squares": [(50, 5)],
        },
    )
    rows = measure(options)
    print("| what | clients | p | M | wall | CPU | needs GFLOP |\n|---|---|---|---|---|---|---|")
    for row in rows:
        numbers = [
            f"{row[name]:.3g}" if name in row else row.get("error", "")
            for name in ("wall", "cpu", "gflop")
        ]
        print(
            "| "
            + " | ".join(
                [row["what"], *(str(row.get(name, "")) for name in ("clients", "p", "M")), *numbers]
            )
            + " |"
        )
    keep("federated", vars(options), rows=rows)


if __name__ == "__main__":
    main()
