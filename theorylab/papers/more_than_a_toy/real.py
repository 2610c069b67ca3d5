"""Cells on real images: kernels, and what every theory predicts for ridge regression with them.

Squared errors are summed over the C classes, ridges are relative to tr K / N.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from theorylab import ridge, rmt
from theorylab.ntk import infinite
from theorylab.papers.more_than_a_toy.images import split
from theorylab.ridge.bounds import path_norm_bound

HIDDEN_LAYERS = 2  # of the analytic ReLU network
BLOCKS = 4  # at most this number of disjoint training sets is averaged at one size


def relu_network() -> infinite.Layer:
    """Two hidden ReLU layers, sigma_w^2 = 2, no bias, NTK parametrisation."""
    hidden = [
        layer
        for _ in range(HIDDEN_LAYERS)
        for layer in (infinite.dense(sigma_w=2**0.5), infinite.relu())
    ]
    return infinite.serial(*hidden, infinite.dense())


def analytic(
    data: str,
    sample: bool | None,
    seed: int,
    sizes: list[int],
    ridges: list[float],
    pool: int,
    tests: int,
) -> Mapping[str, Any]:
    """The curve of the analytic ReLU NTK on one random split, see `curve`."""
    x, y, x_test, y_test = split(data, sample, seed, pool, tests)
    return curve(*_kernels(x, x_test), y, y_test, sizes, ridges)


def spoiled(
    data: str, sample: bool | None, seed: int, n: int, ridges: list[float], tests: int, control: str
) -> Mapping[str, Any]:
    """Risks and estimates (1, ridges) on samples that are not independent: GCV has no reason to
    hold on them.

    duplicated: every sample twice. augmented: every second one is a copy of the one before with 10
    % noise.
    elliptical: samples multiplied by log-normal factors s with E s^2 = 1, targets with them (the
    ReLU NTK is homogeneous), so that leverages are heavy-tailed.
    """
    x, y, x_test, y_test = split(data, sample, seed, n, tests)
    rng = np.random.default_rng(10_000 + seed)
    half = n // 2
    if control == "elliptical":
        s = np.exp(0.8 * rng.normal(size=n) - 0.8**2)
        x, y = x * s.reshape(-1, *[1] * (x.ndim - 1)), y * s[:, None]
    elif control in ("duplicated", "augmented"):
        x[half:], y[half:] = x[: n - half], y[: n - half]
        if control == "augmented":
            x[half:] += 0.1 * x.std() * rng.normal(size=x[half:].shape)
    else:
        raise ValueError(f"no control {control!r}")
    kernel, kernel_test = _kernels(x, x_test)
    return {
        name: np.asarray(value)[None]
        for name, value in _fitted(kernel, y, kernel_test, y_test, ridges).items()
    }


def _kernels(x: np.ndarray, x_test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Analytic ReLU NTK of the training images, and of test by training images, in float64."""
    x, x_test = x.reshape(len(x), -1), x_test.reshape(len(x_test), -1)
    network = relu_network()
    return np.asarray(network.kernel(x, get="ntk")), np.asarray(
        network.kernel(x_test, x, get="ntk")
    )


def network_curve(
    kernel: Mapping[str, Any],
    network: str,
    weights: str,
    data: str,
    seed: int,
    sizes: list[int],
    ridges: list[float],
    kernels: Mapping[str, np.ndarray],
) -> Mapping[str, Any]:
    """`curve` of a network's kernel on one random order of its pool."""
    order = np.random.default_rng(seed).permutation(len(kernels["y"]))
    gram, gram_test = kernels["kernel"][np.ix_(order, order)], kernels["kernel_test"][:, order]
    return curve(gram, gram_test, kernels["y"][order], kernels["y_test"], sizes, ridges)


def unit_diagonal(
    kernel: Mapping[str, Any],
    network: str,
    weights: str,
    data: str,
    seed: int,
    n: int,
    ridges: list[float],
    kernels: Mapping[str, np.ndarray],
) -> Mapping[str, Any]:
    """GCV, LOO and the spread of leverages (ridges,) of K_ij / sqrt(K_ii K_jj) on n samples, K a
    network's kernel."""
    rows = np.random.default_rng(seed).permutation(len(kernels["y"]))[:n]
    gram = kernels["kernel"][np.ix_(rows, rows)]
    scale = np.sqrt(np.diagonal(gram))
    path = ridge.KernelRidgePath.fit(gram / scale[:, None] / scale, kernels["y"][rows])
    alphas = np.asarray(ridges) * path.scale
    return {
        "gcv": path.gcv(alphas),
        "loo": path.loo(alphas),
        "leverage_spread": ridge.leverage_spread(path, alphas),
    }


def curve(
    kernel: np.ndarray,
    kernel_test: np.ndarray,
    y: np.ndarray,
    y_test: np.ndarray,
    sizes: list[int],
    ridges: list[float],
) -> Mapping[str, Any]:
    """What ridge regression on N samples does, and what every theory says of it, for all N and
    ridges.

    kernel (M, M) and kernel_test (T, M). At every N the mean over up to `BLOCKS` disjoint blocks of
    the M samples; the theories that need the population take its spectrum from all M. Arrays are
    (sizes, ridges) unless said otherwise.
    """
    population, power = rmt.plugin_spectrum(kernel, y)
    second_moment = float((y**2).sum(1).mean())
    found: dict[str, list[Any]] = {}
    for n in sizes:
        blocks: dict[str, list[Any]] = {}
        for block in range(min(BLOCKS, len(y) // n)):
            rows = slice(block * n, (block + 1) * n)
            here = _fitted(kernel[rows, rows], y[rows], kernel_test[:, rows], y_test, ridges)
            for name, value in here.items():
                blocks.setdefault(name, []).append(value)
        mean = {name: np.mean(values, axis=0) for name, values in blocks.items()}
        spectral = rmt.spectrum_only_risk(population, n, mean["alpha"], second_moment=second_moment)
        mean |= {
            "spectrum_only": np.asarray(spectral.risk),
            "plugin": np.asarray(rmt.omniscient_risk(population, power, n, mean["alpha"]).risk),
        }
        for name, value in mean.items():
            found.setdefault(name, []).append(value)
    return {name: np.stack(values) for name, values in found.items()} | {
        "spectrum": population,
        "power": power,
    }


def _fitted(
    kernel: np.ndarray,
    y: np.ndarray,
    kernel_test: np.ndarray,
    y_test: np.ndarray,
    ridges: list[float],
) -> Mapping[str, Any]:
    """One penalty path: its risks, and the estimates that need nothing but the training kernel."""
    path = ridge.KernelRidgePath.fit(kernel, y)
    alphas = np.asarray(ridges) * path.scale
    found = path.summary(alphas)
    predicted = np.einsum("tn,lnc->ltc", kernel_test, found.dual, optimize=True)
    return {
        "test": ((predicted - y_test) ** 2).sum(2).mean(1),
        "accuracy": (predicted.argmax(2) == y_test.argmax(1)).mean(1),
        "train": found.train_risk,
        "gcv": found.gcv,
        "loo": found.loo,
        "norm2": path.norm2(alphas),
        "kappa": found.kappa,
        "norm_bound": path_norm_bound(path, alphas),
        "alpha": alphas,
        "diag_cv": path.diag_cv,
        "leverage_spread": ridge.leverage_spread(path, alphas),
        "condition": path.condition,
    }
