"""Cells on real images: kernels, and what every theory predicts for ridge regression with them.

Labels are one-hot minus 1/C, squared errors are summed over the C classes, ridges are relative to tr K / N. Training
images of a network are never used again in its kernel: its samples would not be independent of the features.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from theorylab import data, ridge, rmt
from theorylab.ntk import infinite

HIDDEN_LAYERS = 2  # of the analytic ReLU network


def one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    """One-hot labels (N, C) minus 1/C, in float64."""
    return np.eye(classes)[labels] - 1 / classes


def split(name: str, sample: bool | None, seed: int, train: int, test: int, skip: int = 0) -> tuple[np.ndarray, ...]:
    """`train` training and `test` test images in random order with labels; the first `skip` training images are left
    out for others to use. Images are normalised by the data set's mean and deviation."""
    source = data.load(name, sample=sample).normalised()
    rng = np.random.default_rng(seed)
    rows = skip + rng.permutation(len(source.x_train) - skip)[:train]
    cols = rng.permutation(len(source.x_test))[:test]
    classes = len(source.classes)
    return (source.x_train[rows], one_hot(source.y_train[rows], classes),
            source.x_test[cols], one_hot(source.y_test[cols], classes))  # fmt: skip


def relu_network() -> infinite.Layer:
    """Two hidden ReLU layers, sigma_w^2 = 2, no bias, NTK parametrisation."""
    hidden = [layer for _ in range(HIDDEN_LAYERS) for layer in (infinite.dense(sigma_w=2**0.5), infinite.relu())]
    return infinite.serial(*hidden, infinite.dense())


def analytic(data: str, sample: bool | None, seed: int, sizes: list[int], ridges: list[float], pool: int, tests: int,
             control: str = "none") -> Mapping[str, Any]:  # fmt: skip
    """The curve of the analytic ReLU NTK on one random split, see `curve`."""
    x, y, x_test, y_test = split(data, sample, seed, pool, tests)
    x, y = _spoil(control, x, y, max(sizes), seed)
    flat, flat_test = x.reshape(len(x), -1), x_test.reshape(len(x_test), -1)
    network = relu_network()
    kernel = network.kernel(flat, get="ntk")
    return curve(np.asarray(kernel), y, np.asarray(network.kernel(flat_test, flat, get="ntk")), y_test, sizes, ridges)


def _spoil(control: str, x: np.ndarray, y: np.ndarray, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Samples that are not independent: GCV has no reason to hold on them. Only the first `n` are changed.

    duplicated: every sample twice. augmented: every second one is a copy of the one before with 10 % noise.
    elliptical: samples multiplied by log-normal factors s with E s^2 = 1, targets with them (the ReLU NTK is
    homogeneous), so that leverages are heavy-tailed.
    """
    rng = np.random.default_rng(10_000 + seed)
    if control == "none":
        return x, y
    x, y = x[:n].copy(), y[:n].copy()
    if control == "elliptical":
        s = np.exp(0.8 * rng.normal(size=n) - 0.8**2)
        return x * s.reshape(-1, *[1] * (x.ndim - 1)), y * s[:, None]
    half = n // 2
    x[half:], y[half:] = x[:half], y[:half]
    if control == "augmented":
        x[half:] += 0.1 * x.std() * rng.normal(size=x[half:].shape)
    order = np.arange(n).reshape(2, half).T.ravel()  # partners side by side, so that every prefix holds pairs
    return x[order], y[order]


def curve(kernel: np.ndarray, y: np.ndarray, kernel_test: np.ndarray, y_test: np.ndarray, sizes: list[int],
          ridges: list[float]) -> Mapping[str, Any]:  # fmt: skip
    """What ridge regression on the first N samples does, and what every theory says of it, for all N and ridges.

    kernel (M, M) and kernel_test (T, M): the theories that need the population take its spectrum from all M samples.
    Arrays are (sizes, ridges) unless said otherwise.
    """
    population, power = rmt.plugin_spectrum(kernel, y)
    second_moment = float((y**2).sum(1).mean())
    found: dict[str, list[Any]] = {}
    for n in sizes:
        path = ridge.KernelRidgePath.fit(kernel[:n, :n], y[:n])
        alphas = np.asarray(ridges) * path.scale
        predicted = np.asarray(path.predict(kernel_test[:, :n], alphas))
        errors = ((predicted - y_test) ** 2).sum(2)
        bounds = ridge.norm_bound(kernel[:n, :n], y[:n], alphas)
        here = {
            "test": errors.mean(1),
            "test_se": errors.std(1) / np.sqrt(len(y_test)),
            "accuracy": (predicted.argmax(2) == y_test.argmax(1)).mean(1),
            "train": path.train_risk(alphas),
            "gcv": path.gcv(alphas),
            "loo": path.loo(alphas),
            "norm2": path.norm2(alphas),
            "kappa": path.kappa(alphas),
            "norm_bound": bounds,
            "spectrum_only": rmt.spectrum_only_risk(population, n, alphas, second_moment=second_moment).risk,
            "plugin": rmt.omniscient_risk(population, power, n, alphas).risk,
            "alpha": alphas,
            "diag_cv": path.diag_cv,
            "condition": path.condition,
        }
        for name, value in here.items():
            found.setdefault(name, []).append(np.asarray(value))
    return {name: np.stack(values) for name, values in found.items()} | {"spectrum": population, "power": power}
