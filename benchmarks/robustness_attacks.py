"""Attacks side by side with AutoAttack: `python benchmarks/robustness_attacks.py`.

One small CNN, trained on MNIST as usual and adversarially in l-infinity, attacked on the same test
images by our ensemble and by RobustBench's AutoAttack (Croce and Hein 2020), which runs in an
interpreter of its own, given as `--peer PYTHON` with `--peer-path FOLDER` where its source lies;
without one its columns say "not measured". Robust errors, their difference, seconds of the
processor, and on how many samples the two disagree. Writes
benchmarks/results/robustness_attacks-cpu.json.
"""

import argparse
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from record import arguments, keep

HERE = Path(__file__).parent
# where a part of the images falls: the network trained as usual loses all of them further out
BALLS = {
    "standard": (("Linf", 0.03), ("Linf", 0.06), ("L2", 0.3), ("L2", 0.6)),
    "adversarial": (("Linf", 0.1), ("Linf", 0.2), ("L2", 1.0), ("L2", 1.5)),
}
CASES = [(kind, norm, eps) for kind, balls in BALLS.items() for norm, eps in balls]


def main() -> None:
    smoke = {"train": 200, "test": 10, "epochs": 1, "queries": 10, "data": "fashion_mnist"}
    options = arguments(_parser(), smoke=smoke)  # of Fashion-MNIST a sample is always there
    if options.worker:
        _peer(Path(options.worker), options.threads)
        return
    with tempfile.TemporaryDirectory() as folder:
        ours = _ours(Path(folder), options)
        theirs = _run_peer(Path(folder), options)
    rows = []
    for (kind, norm, eps), mine in zip(CASES, ours, strict=True):
        row = {"training": kind, "norm": norm, "eps": eps, "clean_error": mine["clean"]}
        row |= {"ours_error": 1 - float(np.mean(mine["robust"])), "ours_cpu_s": mine["seconds"]}
        their = theirs.get(f"{kind} {norm} {eps}")
        if their is None:
            row["note"] = "AutoAttack not measured"
        else:
            robust = np.array(their["robust"], bool)
            row["autoattack_error"] = 1 - float(robust.mean())
            row["difference"] = row["ours_error"] - row["autoattack_error"]
            row["autoattack_cpu_s"] = their["seconds"]
            row["only_ours_breaks"] = int((robust & ~mine["robust"]).sum())
            row["only_autoattack_breaks"] = int((~robust & mine["robust"]).sum())
        rows.append(row)
        print(row, flush=True)
    keep("robustness_attacks", vars(options), device="cpu", rows=rows)


def _ours(folder: Path, options: Any) -> list[dict[str, Any]]:
    """Trains the network, leaves it and the test images in the folder, and attacks them."""
    import jax
    import jax.numpy as jnp

    from theorylab import robustness as rb
    from theorylab.data import load

    data = load(options.data)
    rng = np.random.default_rng(0)
    rows, at = rng.permutation(len(data.x_train)), rng.permutation(len(data.x_test))
    rows, at = rows[: options.train], at[: options.test]

    def pixels(x: np.ndarray) -> np.ndarray:
        x = np.asarray(x, np.float32)
        return (x / 255 if x.max() > 1 else x).reshape(len(x), 28, 28, 1)

    x, y = pixels(data.x_train[rows]), np.asarray(data.y_train[rows], np.int32)
    x_test, y_test = pixels(data.x_test[at]), np.asarray(data.y_test[at], np.int32)
    shapes = [(4, 4, 1, 8), (4, 4, 8, 16), (784, 50), (50, 10)]
    params = {}
    for i, shape in enumerate(shapes):
        scale = np.sqrt(2 / np.prod(shape[:-1]))
        params[f"w{i}"] = jnp.asarray(scale * rng.standard_normal(shape), jnp.float32)
        params[f"b{i}"] = jnp.zeros(shape[-1])
    np.savez(folder / "images.npz", x=x_test, y=y_test)
    networks = {}
    for kind in BALLS:
        networks[kind] = rb.train_robust(
            network,
            params,
            (x, y),
            rb.LpBall(0.15, clip=(0.0, 1.0)),
            rb.Recipe(kind),
            rb.Schedule(options.epochs, 50, 0.002, milestones=(round(0.7 * options.epochs),)),
            key=jax.random.key(0),
        ).params
        arrays = {k: np.asarray(v) for k, v in networks[kind].items()}
        np.savez(folder / f"{kind}.npz", **arrays)
    results = []
    for kind, norm, eps in CASES:
        ball = rb.LpBall(eps, np.inf if norm == "Linf" else 2, (0.0, 1.0))
        start = time.process_time()
        effort = rb.Effort(100, 1, queries=options.queries)
        attacked = rb.attack_ensemble(
            network, networks[kind], x_test, y_test, ball, key=jax.random.key(1), effort=effort
        )
        clean = np.asarray(network(networks[kind], x_test)).argmax(1) != y_test
        robust = np.asarray(attacked.robust)
        seconds = time.process_time() - start
        results.append({"robust": robust, "clean": float(clean.mean()), "seconds": seconds})
        print(kind, norm, eps, "ours", 1 - robust.mean(), flush=True)
    return results


def network(p: Any, x: Any) -> Any:
    """Two convolutions of stride 2 and two dense layers, flattened with channels first."""
    import jax

    for i in range(2):
        x = jax.lax.conv_general_dilated(
            x, p[f"w{i}"], (2, 2), [(1, 1)] * 2, dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        x = jax.nn.relu(x + p[f"b{i}"])
    x = x.transpose(0, 3, 1, 2).reshape(len(x), -1)
    return jax.nn.relu(x @ p["w2"] + p["b2"]) @ p["w3"] + p["b3"]


def _run_peer(folder: Path, options: Any) -> dict[str, Any]:
    if options.peer is None:
        return {}
    path = os.pathsep.join([options.peer_path or "", str(HERE)])
    script = str(HERE / "robustness_attacks.py")
    command = [options.peer, script, "--worker", str(folder), "--threads", str(options.threads)]
    subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, check=True)
    return json.loads((folder / "peer.json").read_text())


def _peer(folder: Path, threads: int) -> None:
    import torch
    from autoattack import AutoAttack

    torch.set_num_threads(threads)
    images = np.load(folder / "images.npz")
    x = torch.tensor(images["x"].transpose(0, 3, 1, 2).copy())
    y = torch.tensor(images["y"].astype(np.int64))
    results = {}
    for kind, norm, eps in CASES:
        forward = _torch_network(np.load(folder / f"{kind}.npz"))
        start = time.process_time()
        attack = AutoAttack(forward, norm=norm, eps=eps, version="standard", device="cpu", seed=0)
        adversarial = attack.run_standard_evaluation(x, y, bs=len(x))
        robust = (forward(adversarial).argmax(1) == y).tolist()
        seconds = time.process_time() - start
        results[f"{kind} {norm} {eps}"] = {"robust": robust, "seconds": seconds}
    (folder / "peer.json").write_text(json.dumps(results))


def _torch_network(net: Any) -> Any:
    """The same network in PyTorch."""
    import torch

    p, functional = {}, torch.nn.functional
    for k in net.files:
        w = net[k]
        p[k] = torch.tensor(w.transpose(3, 2, 0, 1).copy() if w.ndim == 4 else w.T.copy())

    def forward(x: Any) -> Any:
        for i in range(2):
            x = functional.relu(functional.conv2d(x, p[f"w{i}"], p[f"b{i}"], stride=2, padding=1))
        x = functional.relu(functional.linear(torch.flatten(x, 1), p["w2"], p["b2"]))
        return functional.linear(x, p["w3"], p["b3"])

    return forward


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", choices=("mnist", "fashion_mnist"), default="mnist")
    parser.add_argument("--train", type=int, default=3000)
    parser.add_argument("--test", type=int, default=200)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--peer-python", "--peer", dest="peer", help="a Python that has PyTorch and torchvision"
    )
    parser.add_argument("--peer-path", help="folder with AutoAttack's source")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    main()
