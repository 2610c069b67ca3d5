"""What one process of `robustness.py` measures: ours in JAX, or auto_LiRPA in PyTorch."""

import ctypes
import gc
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from robustness import READY, samples, weights

EPS, CLASSES = 0.01, 10
STEPS, RATE = 20, 0.1  # of alpha-CROWN's Adam, on both sides
LONG = 10.0  # CPU seconds of a call that is not repeated
TURN = 0.2  # CPU seconds of a turn, at least: calls of a millisecond find cold caches else


def work(options: Any) -> None:
    (name,), (method,) = options.networks, options.methods
    x, y = samples(name, options.count)
    side = _ours if options.worker == "ours" else _peer
    call, bounds = side(name, method, x, y)
    before = _status("VmHWM")  # the libraries themselves do not count
    start = time.perf_counter()
    first = call()
    compiled = time.perf_counter() - start
    with_compiler = _status("VmHWM") - before
    resident = _held()
    best = {"wall_s": np.inf, "cpu_s": np.inf}
    print(READY, flush=True)
    for _ in sys.stdin:  # a line for each repeat, so that both sides take turns
        end = time.process_time() + TURN
        while not LONG < best["cpu_s"] < np.inf:
            wall, cpu = time.perf_counter(), time.process_time()
            call()
            best["wall_s"] = min(best["wall_s"], time.perf_counter() - wall)
            best["cpu_s"] = min(best["cpu_s"], time.process_time() - cpu)
            if time.process_time() > end:
                break
        print(READY, flush=True)
    pooled = _status("VmHWM") - resident
    _return_freed()
    resident = _held()
    call()
    found = {
        "first_call_s": compiled,
        **best,
        "bounds_per_cpu_s": None if method.startswith("train") else 9 * len(x) / best["cpu_s"],
        "steps_per_cpu_s": 1 / best["cpu_s"] if method.startswith("train") else None,
        "memory_mb": _status("VmHWM") - resident,
        "memory_pooled_mb": pooled,
        "memory_first_call_mb": with_compiler,
        "bounds": None if not bounds else np.asarray(first).tolist(),
    }
    Path(options.to).write_text(json.dumps(found))


def _held() -> float:
    """What the process holds, from where its peak starts again."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _return_freed() -> None:
    """From here on the C library gives back blocks of 64 KiB and more as they are freed, in place
    of keeping them for each thread that made some: memory is then what a call itself holds."""
    library, m_mmap_threshold = ctypes.CDLL(None), -3
    library.mallopt(m_mmap_threshold, 1 << 16)
    library.malloc_trim(0)


def _status(name: str) -> float:
    """A size of this process in MB: VmRSS, or VmHWM, its peak."""
    (line,) = [v for v in Path("/proc/self/status").read_text().splitlines() if v.startswith(name)]
    return int(line.split()[1]) / 1024


def _ours(name: str, method: str, x: np.ndarray, y: np.ndarray) -> tuple[Callable[[], Any], bool]:
    import jax
    import jax.numpy as jnp
    import optax

    from theorylab import robustness as rb
    from theorylab.robustness.objectives import Batch, Moment, objective
    from theorylab.robustness.relaxations import Relaxation

    params = {k: jnp.asarray(_layout(k, v)) for k, v in weights(name).items()}
    f = {"mlp": _mlp, "cnn": _cnn, "resnet": _resnet}[name]
    if x.ndim == 4:
        x = x.transpose(0, 2, 3, 1)
    x, y = jnp.asarray(x), jnp.asarray(y)
    threat = rb.LpBall(EPS)
    assert Relaxation().learning_rate == RATE
    if not method.startswith("train"):
        certifier = rb.Certifier(method, alpha_steps=STEPS)

        def call() -> Any:
            found = rb.certified_margins(f, params, x, y, threat, method=certifier)
            return jax.block_until_ready(found.lower)

        return call, True
    kind = method.split()[1]
    adam = optax.adam(1e-3)
    state = adam.init(params)

    @jax.jit
    def step(params: Any, state: Any) -> Any:
        def loss(params: Any) -> Any:
            moment = Moment(EPS, EPS, 0.5, jax.random.key(0))
            return objective(rb.Recipe(kind), Batch(f, params, x, y, threat, moment)).mean()

        update, state = adam.update(jax.grad(loss)(params), state)
        return optax.apply_updates(params, update), state

    return lambda: jax.block_until_ready(step(params, state)), False


def _layout(name: str, w: np.ndarray) -> np.ndarray:
    if w.ndim == 4:
        return w.transpose(2, 3, 1, 0)
    return w.T if w.ndim == 2 else w


def _conv(x: Any, w: Any, b: Any, stride: int, padding: int) -> Any:
    import jax

    return b + jax.lax.conv_general_dilated(
        x, w, (stride, stride), [(padding, padding)] * 2, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def _flat(x: Any) -> Any:
    """In the order of channels first, as PyTorch flattens."""
    return x.transpose(0, 3, 1, 2).reshape(len(x), -1)


def _mlp(p: Any, x: Any) -> Any:
    import jax

    for i in range(3):
        x = jax.nn.relu(x @ p[f"w{i}"] + p[f"b{i}"])
    return x @ p["w3"] + p["b3"]


def _cnn(p: Any, x: Any) -> Any:
    import jax

    x = jax.nn.relu(_conv(x, p["w0"], p["b0"], 2, 1))
    x = _flat(jax.nn.relu(_conv(x, p["w1"], p["b1"], 2, 1)))
    x = jax.nn.relu(x @ p["w2"] + p["b2"])
    return x @ p["w3"] + p["b3"]


def _resnet(p: Any, x: Any) -> Any:
    import jax

    x = jax.nn.relu(_conv(x, p["w0"], p["b0"], 1, 1))
    z = jax.nn.relu(_conv(x, p["w1"], p["b1"], 1, 1))
    x = jax.nn.relu(x + _conv(z, p["w2"], p["b2"], 1, 1))
    x = jax.nn.relu(_conv(x, p["w3"], p["b3"], 2, 1))
    return _flat(x) @ p["w4"] + p["b4"]


def _torch_network(name: str) -> Any:
    import torch

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for key, value in weights(name).items():
                setattr(self, key, torch.nn.Parameter(torch.tensor(value)))

        def dense(self, x: Any, i: int) -> Any:
            return torch.nn.functional.linear(x, getattr(self, f"w{i}"), getattr(self, f"b{i}"))

        def conv(self, x: Any, i: int, stride: int) -> Any:
            w, b = getattr(self, f"w{i}"), getattr(self, f"b{i}")
            return torch.nn.functional.conv2d(x, w, b, stride=stride, padding=1)

        def forward(self, x: Any) -> Any:
            relu = torch.relu
            if name == "mlp":
                for i in range(3):
                    x = relu(self.dense(x, i))
                return self.dense(x, 3)
            if name == "cnn":
                x = relu(self.conv(x, 0, 2))
                x = torch.flatten(relu(self.conv(x, 1, 2)), 1)
                return self.dense(relu(self.dense(x, 2)), 3)
            x = relu(self.conv(x, 0, 1))
            z = relu(self.conv(x, 1, 1))
            x = relu(x + self.conv(z, 2, 1))
            return self.dense(torch.flatten(relu(self.conv(x, 3, 2)), 1), 4)

    return Network()


def _peer(name: str, method: str, x: np.ndarray, y: np.ndarray) -> tuple[Callable[[], Any], bool]:
    import torch
    from auto_LiRPA import BoundedModule, BoundedTensor, PerturbationLpNorm

    data, labels = torch.tensor(x), torch.tensor(y)
    # its last iteration only evaluates; no decay and no early stop, as on our side
    options = {"iteration": STEPS + 1, "lr_alpha": RATE, "lr_decay": 1.0}
    options |= {"early_stop_patience": STEPS + 1, "fix_interm_bounds": True}
    model = BoundedModule(
        _torch_network(name),
        data,
        bound_opts={"optimize_bound_args": options, "verbosity": 0},
    )
    around = BoundedTensor(data, PerturbationLpNorm(norm=np.inf, eps=EPS))
    others = np.array([[t for t in range(CLASSES) if t != c] for c in range(CLASSES)])
    eye = torch.eye(CLASSES)
    spec = eye[labels][:, None] - eye[torch.tensor(others)[labels]]

    def margins(how: str) -> Any:
        return model.compute_bounds(x=(around,), C=spec, method=how, bound_upper=False)[0]

    names = {"ibp": "IBP", "crown": "CROWN", "alpha-crown": "CROWN-Optimized"}
    if method in names:

        def call() -> Any:
            with torch.set_grad_enabled(method == "alpha-crown"):
                return margins(names[method]).detach().numpy()

        return call, True
    return _peer_step(model, margins, data, labels, method.split()[1]), False


def _peer_step(
    model: Any, margins: Callable[[str], Any], data: Any, labels: Any, kind: str
) -> Callable[[], Any]:
    """A step of training in PyTorch."""
    import torch

    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    cross_entropy = torch.nn.functional.cross_entropy

    def loss_of(low: Any) -> Any:
        logits = torch.cat([torch.zeros(len(low), 1), -low], 1)
        return cross_entropy(logits, torch.zeros(len(low), dtype=torch.long))

    def step() -> Any:
        optimizer.zero_grad()
        if kind == "ibp":
            loss = 0.75 * cross_entropy(model(data), labels) + 0.25 * loss_of(margins("IBP"))
        else:
            loss = loss_of(0.5 * margins("CROWN-IBP") + 0.5 * margins("IBP"))
        loss.backward()
        optimizer.step()

    return step
