"""One side of `benchmarks/privacy.py`, in a process of its own."""

import json
import math
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from privacy import CLIP, NOISE, PLANS, STEP, batch, weights

CHECKED = 3  # steps without noise
SECONDS = 0.4  # of one repeat, at least


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def matmul_rate(side: int = 1024, repeats: int = 5) -> float:
    """GFLOP of a product by NumPy in a CPU second: how fast this process could be, just now."""
    a = np.ones((side, side), np.float32)
    seconds = []
    for _ in range(repeats):
        cpu = time.process_time()
        a @ a
        seconds.append(time.process_time() - cpu)
    return 2e-9 * side**3 / min(seconds)


def work(options: Any) -> None:
    if options.threads and hasattr(os, "sched_setaffinity"):  # before a library looks at them
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.threads])
    if options.accounting:
        found: dict[str, Any] = {"plans": [_account(options.worker, *plan) for plan in PLANS]}
    else:
        model, (size,) = options.models[0], options.batches
        make = {
            "theorylab": theorylab_steps,
            "opacus hooks": lambda *a: opacus_steps(*a, ghost=False),
            "opacus ghost": lambda *a: opacus_steps(*a, ghost=True),
            "jax-privacy": jax_privacy_steps,
        }[options.worker]
        found = timed(make, model, size, options.repeats)
    Path(options.to).write_text(json.dumps(found))


def timed(make: Callable[..., Any], model: str, size: int, repeats: int) -> dict[str, Any]:
    """`make(model, size)` gives (steps taken, noise multiplier) -> weights after them."""
    run, base = make(model, size)
    after = run(CHECKED, 0.0)
    clock = time.perf_counter()
    run(CHECKED, NOISE)
    first = time.perf_counter() - clock
    many = 8
    while True:  # as many steps as fill the time; each number of steps is compiled for itself
        run(many, NOISE)
        clock = time.process_time()
        run(many, NOISE)
        spent = time.process_time() - clock
        if spent > SECONDS / 2 or many > 2000:
            break
        many = int(many * min(max(1.2 * SECONDS / max(spent, 1e-3), 2), 50))
    walls, cpus, rates = [], [], []
    for _ in range(repeats):
        rates.append(matmul_rate())
        wall, cpu = time.perf_counter(), time.process_time()
        run(many, NOISE)
        walls.append((time.perf_counter() - wall) / many)
        cpus.append((time.process_time() - cpu) / many)
    return {
        "after": after,
        "step_s": min(walls),
        "step_cpu_s": min(cpus),
        "steps_per_s": 1 / min(walls),
        "steps_per_cpu_s": 1 / min(cpus),
        "steps": many,
        "first_s": first,
        "memory_mb": peak_mb() - base,
        "matmul_gflop_per_cpu_s": max(rates),
    }


def theorylab_steps(model: str, size: int) -> Any:
    import jax
    import jax.numpy as jnp

    from theorylab.privacy.dp_sgd import ConvNet, LinearHead, Training, simulate_descents

    given, (x, y) = weights(model), batch(model, size)
    x, y, base = jax.block_until_ready(jnp.asarray(x)), jnp.asarray(y), peak_mb()
    if model == "linear":
        gradient: Any = LinearHead("softmax")
        start: Any = {"weights": given[0], "bias": given[1]}
    else:
        gradient = ConvNet((2, 2, 2))
        start = tuple(
            {"kernel": k, "bias": b} for k, b in zip(given[::2], given[1::2], strict=True)
        )

    def run(steps: int, noise: float) -> list[float]:
        training = Training(steps, STEP, CLIP, noise)
        keys = jax.random.split(jax.random.key(0), 1)
        found = simulate_descents(gradient, start, x, y, training=training, keys=keys).params
        layers = [found] if model == "linear" else found
        flat = [np.ravel(v) for layer in layers for _, v in sorted(layer.items(), reverse=True)]
        if model == "cnn":  # "kernel" before "bias"
            flat = [np.ravel(layer[k]) for layer in found for k in ("kernel", "bias")]
        return np.concatenate(flat).astype(float).tolist()

    return run, base


def jax_privacy_steps(model: str, size: int) -> Any:
    import jax
    import jax.numpy as jnp
    from jax_privacy import clipping

    given, (x, y) = weights(model), batch(model, size)
    x, y, base = jax.block_until_ready(jnp.asarray(x)), jnp.asarray(y), peak_mb()

    def outputs(params: Any, images: Any) -> Any:
        layers = list(zip(params[::2], params[1::2], strict=True))
        for i, (kernel, bias) in enumerate(layers):
            if kernel.ndim == 4:
                images = jax.lax.conv_general_dilated(
                    images, kernel, (2, 2), [(1, 1), (1, 1)],
                    dimension_numbers=("NHWC", "HWIO", "NHWC"),
                )  # fmt: skip
            else:
                images = images.reshape(images.shape[0], -1) @ kernel
            images = images + bias
            if i < len(layers) - 1:
                images = jax.nn.relu(images)
        return images

    def loss(params: Any, images: Any, labels: Any) -> Any:
        out = outputs(params, images)
        picked = jnp.take_along_axis(out, labels[:, None], 1)[:, 0]
        return jnp.mean(jax.nn.logsumexp(out, axis=1) - picked)

    clipped = clipping.clipped_grad(loss, l2_clip_norm=CLIP, batch_argnums=(1, 2))

    @jax.jit
    def many(params: Any, noise: Any, keys: Any) -> Any:
        def step(params: Any, key: Any) -> Any:
            total = clipped(params, x, y)
            drawn = [
                noise * CLIP * jax.random.normal(k, p.shape)
                for k, p in zip(jax.random.split(key, len(params)), params, strict=True)
            ]
            return [
                p - STEP / size * (g + z) for p, g, z in zip(params, total, drawn, strict=True)
            ], None

        return jax.lax.scan(step, params, keys)[0]

    def run(steps: int, noise: float) -> list[float]:
        params = [jnp.asarray(w) for w in given]
        found = many(params, noise, jax.random.split(jax.random.key(0), steps))
        return np.concatenate([np.ravel(w) for w in found]).astype(float).tolist()

    return run, base


def torch_network(given: list[np.ndarray]) -> Any:
    import torch

    class Flat(torch.nn.Module):
        """Positions first, then channels."""

        def forward(self, x: Any) -> Any:
            return x.permute(0, 2, 3, 1).flatten(1) if x.ndim == 4 else x

    layers: list[Any] = []
    for kernel, bias in zip(given[::2], given[1::2], strict=True):
        if layers:
            layers.append(torch.nn.ReLU())
        if kernel.ndim == 4:
            layer: Any = torch.nn.Conv2d(*kernel.shape[2:], 3, stride=2, padding=1)
            weight = kernel.transpose(3, 2, 0, 1)
        else:
            layers.append(Flat())
            layer, weight = torch.nn.Linear(*kernel.shape), kernel.T
        with torch.no_grad():
            layer.weight.copy_(torch.tensor(np.ascontiguousarray(weight)))
            layer.bias.copy_(torch.tensor(bias))
        layers.append(layer)
    return torch.nn.Sequential(*layers)


def torch_weights(net: Any) -> list[float]:
    out = []
    for layer in net:
        if hasattr(layer, "weight"):
            weight = layer.weight.detach().numpy()
            kernel = weight.transpose(2, 3, 1, 0) if weight.ndim == 4 else weight.T
            out += [kernel.ravel(), layer.bias.detach().numpy().ravel()]
    return np.concatenate(out).astype(float).tolist()


def opacus_steps(model: str, size: int, *, ghost: bool) -> Any:
    import torch
    from opacus.grad_sample import GradSampleModule, GradSampleModuleFastGradientClipping
    from opacus.optimizers import DPOptimizer, DPOptimizerFastGradientClipping
    from opacus.utils.fast_gradient_clipping_utils import DPLossFastGradientClipping

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    given, (x, y) = weights(model), batch(model, size)
    inputs = torch.tensor(x if model == "linear" else x.transpose(0, 3, 1, 2).copy())
    labels, base = torch.tensor(y), peak_mb()

    def run(steps: int, noise: float) -> list[float]:
        inner = torch_network(given)
        plain = torch.optim.SGD(inner.parameters(), lr=STEP)
        common = {
            "noise_multiplier": noise, "max_grad_norm": CLIP, "expected_batch_size": size
        }  # fmt: skip
        if ghost:
            net: Any = GradSampleModuleFastGradientClipping(
                inner, batch_first=True, loss_reduction="mean", max_grad_norm=CLIP,
                use_ghost_clipping=True,
            )  # fmt: skip
            optimizer: Any = DPOptimizerFastGradientClipping(plain, **common)
            loss: Any = DPLossFastGradientClipping(
                net, optimizer, torch.nn.CrossEntropyLoss(reduction="mean"), "mean"
            )
        else:
            net = GradSampleModule(inner, batch_first=True, loss_reduction="mean")
            optimizer = DPOptimizer(plain, **common)
            loss = torch.nn.CrossEntropyLoss()
        for _ in range(steps):
            optimizer.zero_grad()
            loss(net(inputs), labels).backward()
            optimizer.step()
        return torch_weights(inner)

    return run, base


def _account(side: str, rate: float, noise: float, steps: int) -> dict[str, Any]:
    """Seconds and values of an epsilon, and of the noise for an epsilon of 0.7."""
    delta, budget = 1e-5, 0.7
    if side == "theorylab":
        from theorylab.privacy.dp_sgd import noise_multiplier, spent_epsilon

        given: dict[str, Any] = {"delta": delta, "sampling_rate": rate, "steps": steps}
        calls = (
            lambda: spent_epsilon(noise, **given),
            lambda: noise_multiplier(budget, **given),
        )
    elif side == "dp-accounting":
        import dp_accounting as library

        def event(sigma: float) -> Any:
            one = library.PoissonSampledDpEvent(rate, library.GaussianDpEvent(sigma))
            return library.SelfComposedDpEvent(one, steps)

        calls = (
            lambda: library.pld.PLDAccountant().compose(event(noise)).get_epsilon(delta),
            lambda: library.calibrate_dp_mechanism(
                library.pld.PLDAccountant, event, budget, delta, tol=1e-3
            ),
        )
    else:
        from opacus.accountants import PRVAccountant
        from opacus.accountants.utils import get_noise_multiplier

        def prv() -> float:
            accountant = PRVAccountant()
            accountant.history = [(noise, rate, steps)]
            return accountant.get_epsilon(delta=delta)

        calls = (
            prv,
            lambda: get_noise_multiplier(
                target_epsilon=budget, target_delta=delta, sample_rate=rate, steps=steps,
                accountant="prv", epsilon_tolerance=1e-3,
            ),
        )  # fmt: skip
    row: dict[str, Any] = {"plan": f"rate {rate:.4g}, noise {noise:g}, {steps} steps"}
    calls[0]()  # imports and tables of the libraries
    if side == "theorylab":
        from theorylab.privacy.dp_sgd import calibration

        calibration._pld_epsilon.cache_clear()
    for name, call in zip(("epsilon", "noise"), calls, strict=True):
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            row[name] = float(call())
        except (ValueError, RuntimeError, MemoryError) as error:
            row[name] = math.nan
            row["note"] = " ".join(str(error).split())[:120]
        row[f"{name}_s"] = time.perf_counter() - wall
        row[f"{name}_cpu_s"] = time.process_time() - cpu
    return row
