"""Cells of the nonlinear version: a two-layer network on explicit nuisance features, trained until
it interpolates."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import optax
from flax import nnx

from theorylab.nets.mlp import MLP
from theorylab.shift.interpolation import train_to_interpolation
from theorylab.shift.nuisance import NuisanceModel, flip_labels, sample_signal


def mlp(
    model: Mapping[str, Any],
    width: int,
    ns: list[int],
    etas: list[float],
    epochs: int,
    stopped: int,
    tests: int,
    seed: int,
) -> Mapping[str, Any]:
    """Accuracies and training error (sizes, noise rates, 2): trained to interpolation, and stopped
    early.

    epochs: at most this number; stopped: epochs of early stopping. The OOD test points are the ID
    ones plus the shift.
    """
    data = NuisanceModel(**model)
    found = {name: np.zeros((len(ns), len(etas), 2)) for name in ("id", "ood", "train_error")}
    for i, n in enumerate(ns):
        key = jax.random.fold_in(jax.random.key(seed), n)
        rng = np.random.default_rng([seed, n])
        x, y = _samples(key, rng, data, n)
        x_test, y_test = _samples(jax.random.fold_in(key, 1), rng, data, tests)
        shifted = x_test.copy()
        shifted[:, data.d_s :] += data.tau * rng.normal(size=(tests, data.k)).astype(np.float32)
        for j, eta in enumerate(etas):
            noisy = (np.asarray(flip_labels(jax.random.fold_in(key, 2), y, eta)[0]) > 0).astype(
                np.int32
            )
            for stage, limit in enumerate((epochs, stopped)):
                net = MLP((x.shape[1], width, 2), rngs=nnx.Rngs(jax.random.fold_in(key, 3)))
                trained = train_to_interpolation(
                    net,
                    (x, noisy),
                    key=jax.random.fold_in(key, 4),
                    optimizer=optax.sgd(0.02, momentum=0.9),
                    batch_size=50,
                    max_epochs=limit,
                    round_epochs=limit if stage else 20,
                    loop="device",
                )
                at, clean = (i, j, stage), (y_test > 0).astype(np.int32)
                found["train_error"][at] = trained.train_error[-1]
                found["id"][at], found["ood"][at] = (
                    1 - trained.error(x_test, clean),
                    1 - trained.error(shifted, clean),
                )
    return found


def _samples(
    key: Any, rng: np.random.Generator, data: NuisanceModel, n: int
) -> tuple[np.ndarray, np.ndarray]:
    x_s, y = sample_signal(key, n, data.d_s, data.gap)
    x_n = data.sigma * rng.normal(size=(n, data.k))
    return np.concatenate([x_s, x_n], axis=1).astype(np.float32), np.asarray(y)
