"""Cells on synthetic data: grids of radii and learning rates trained side by side, on concentric
spheres or a linear signal with noise."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from theorylab.robustness.attack_ensemble import Effort
from theorylab.robustness.evaluation import errors_of_many
from theorylab.robustness.networks import dense_network, dense_params
from theorylab.robustness.objectives import Recipe
from theorylab.robustness.samples import concentric_spheres, linear_signal
from theorylab.robustness.schedules import Schedule
from theorylab.robustness.threats import LineUnion, LpBall, Threat
from theorylab.robustness.training import Runs, Watch, train_robust_many


def _threat(kind: str, d: int, seed: int) -> Threat:
    """ "l2", "linf", "signal" (the first axis), or "lines k" (the first k of a random basis)."""
    if kind in ("l2", "linf"):
        return LpBall(1.0, 2 if kind == "l2" else np.inf)
    if kind == "signal":
        return LineUnion(1.0, jnp.eye(d)[:1])
    basis = np.linalg.qr(np.random.default_rng(seed).standard_normal((d, d)))[0]
    return LineUnion(1.0, jnp.asarray(basis[: int(kind.split()[1])], jnp.float32))


def grid(
    task: Mapping[str, Any],
    threat: str,
    recipe: str,
    points: list[list[float]],
    training: Mapping[str, Any],
    attack: list[int],
    seed: int,
    alpha_mode: str | None = None,
) -> Mapping[str, Any]:
    """Arrays (points, rates) of networks with one hidden layer of 100, trained with whole batches.

    task: data, dimension d, numbers n of training and of test points. points: [inner radius, outer
    radius, eps] on spheres, [gamma, eps] on the linear signal. training: rates, epochs, momentum,
    and whether the history of unstable neurons is kept. Standard and robust test errors, the
    training error, shares of unstable neurons at the end and summed over epochs, and the cosine of
    attack and signal.
    """
    d, n, rates, epochs = task["d"], task["n"], training["rates"], training["epochs"]
    key = jax.random.key(seed)
    samples = [_samples(task, p, key) for p in points]
    jobs = [(i, rate) for i in range(len(points)) for rate in rates]
    x, y, x_test, y_test, signals = (
        jnp.stack([samples[i][part] for i, _ in jobs]) for part in range(5)
    )
    eps = np.array([points[i][-1] for i, _ in jobs])
    start = dense_params(jax.random.fold_in(key, 3), (d, 100, 2))
    params = jax.tree.map(lambda a: jnp.stack([a] * len(jobs)), start)
    against = _threat(threat, d, seed)
    schedule = Schedule(epochs, n, optimizer="sgd", momentum=training["momentum"])
    found = train_robust_many(
        dense_network,
        params,
        (x, y),
        against,
        Recipe(recipe, alpha_mode=alpha_mode),  # type: ignore[arg-type]
        schedule,
        runs=Runs(jnp.stack([key] * len(jobs)), eps, np.array([rate for _, rate in jobs])),
        watch=Watch((x, y), min(n, 200), 1, every=1 if training["history"] else epochs),
    )
    steps, restarts = attack
    errors = errors_of_many(
        dense_network,
        found.params,
        (x_test, y_test),
        against,
        eps,
        key=jax.random.fold_in(key, 4),
        effort=Effort(steps, restarts),
        signals=signals,
    )
    shape = (len(points), len(rates))
    return {
        "standard": np.asarray(errors.standard).reshape(shape),
        "robust": np.asarray(errors.robust).reshape(shape),
        "unstable": np.asarray(errors.unstable).reshape(shape),
        "cosine": np.asarray(errors.cosine).reshape(shape),
        "train_error": found.standard[:, -1].reshape(shape),
        "accumulated": found.unstable.sum(1).reshape(shape),
    }


def _samples(
    task: Mapping[str, Any], point: list[float], key: Any
) -> tuple[Any, Any, Any, Any, Any]:
    d, n, test = task["d"], task["n"], task["test"]
    train, held = jax.random.fold_in(key, 1), jax.random.fold_in(key, 2)
    if task["data"] == "spheres":
        inner, outer, _ = point
        parts = [concentric_spheres(k, m, d, inner, outer) for k, m in ((train, n), (held, test))]
        signals = parts[1][0]
    else:
        parts = [linear_signal(k, m, d, point[0]) for k, m in ((train, n), (held, test))]
        signals = jnp.zeros((test, d)).at[:, 0].set(1.0)
    return *parts[0], *parts[1], signals
