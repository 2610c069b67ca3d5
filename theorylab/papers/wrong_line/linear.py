"""Cells of the linear experiment: core and nuisance features, label noise, everything in closed
form at test time."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import numpy as np

from theorylab.shift.learners import fit_descent, fit_min_norm
from theorylab.shift.logistic import fit_logistic_path
from theorylab.shift.memorisation import ood_error_bound, shift_bound
from theorylab.shift.nuisance import (
    NuisanceModel,
    compress_block,
    draw_training_set,
    flip_labels,
    sample_signal,
)
from theorylab.shift.nuisance_sweep import sweep_nuisance
from theorylab.shift.risk import id_ood_error, margin_model_error, margin_points
from theorylab.shift.sweeps import NewtonOptions

STORED = (
    "train_error",
    "gradient_norm",
    "steps",
    "min_margin",
    "memorised",
    "approximation",
    "sensitivity",
)


def grid(
    model: Mapping[str, Any],
    ns: list[int],
    etas: list[float],
    lams: list[float],
    taus: list[float],
    seed: int,
) -> Mapping[str, Any]:
    """l2-logistic regression: arrays (sizes, noise rates, penalties), `ood` with a last axis of
    shift scales.

    At the smallest penalty and tau = model's, also the theory's lower bound `ood_bound` (sizes,
    noise rates), NaN where w does not interpolate, and the OOD error when the nuisance mean moves
    by `along` times w_N / ||w_N|| against it.
    """
    data = NuisanceModel(**model)
    found = sweep_nuisance(data, keys=jax.random.key(seed)[None], ns=ns, etas=etas, lams=lams)
    arrays = {name: getattr(found, name)[0] for name in STORED}
    scale = 1 / np.where(found.min_margin > 0, found.min_margin, np.nan)
    arrays |= {
        "id": 1 - found.id_error()[0],
        "ood": 1 - np.stack([found.ood_error(t)[0] for t in taus], axis=-1),
        "norm_w_n": (found.norm_w_n * scale)[0],  # at minimum margin 1, as `memorised`
        "ood_bound": _ood_bounds(found, scale)[0],
    }
    return arrays


def _ood_bounds(found: Any, scale: np.ndarray) -> np.ndarray:
    """Lower bound on the OOD error at the smallest penalty, (S, N, E)."""
    last = int(np.argmin(found.lams))
    bounds = np.full(found.along.shape[:3], np.nan)
    for i in np.argwhere(found.min_margin[..., last] > 0):
        s, n, e = i
        at = (s, n, e, last)
        w_s = np.array([found.along[at], found.across[at]]) * scale[at]
        gamma = margin_points(w_s, direction=[1.0, 0.0], gap=found.model.gap)
        bounds[s, n, e] = ood_error_bound(gamma, found.memorised[at], found.model.sigma_ood)
    return bounds


def learners(
    model: Mapping[str, Any], ns: list[int], etas: list[float], steps: list[int], seed: int
) -> Mapping[str, Any]:
    """Gradient descent looked at after `steps` steps, and minimum-norm least squares as the last
    entry.

    Arrays (sizes, noise rates, looks + 1).
    """
    data = NuisanceModel(**model)
    shape = (len(ns), len(etas), len(steps) + 1)
    found = {name: np.zeros(shape) for name in ("id", "ood", "train_error", "sensitivity")}
    for i, n in enumerate(ns):
        for j, eta in enumerate(etas):
            sample = draw_training_set(jax.random.fold_in(jax.random.key(seed), n), data, n, eta)
            path = fit_descent(sample.x, sample.noisy, steps)
            w = np.concatenate([path.coef, fit_min_norm(sample.x, sample.noisy)[None]])
            w_s, norm_w_n = w[:, : data.d_s], np.linalg.norm(w[:, data.d_s :], axis=1)
            error = partial(
                margin_model_error, w_s, norm_w_n, direction=sample.direction, gap=data.gap
            )
            found["id"][i, j] = 1 - error(scale=data.sigma)
            found["ood"][i, j] = 1 - error(scale=data.sigma_ood)
            found["train_error"][i, j] = (
                np.asarray(sample.noisy)[:, None] * (sample.x @ w.T) <= 0
            ).mean(0)
            found["sensitivity"][i, j] = norm_w_n / np.maximum(np.linalg.norm(w_s, axis=1), 1e-300)
    return found


def compression(n: int, k: int, d_s: int, eta: float, tests: int, seed: int) -> Mapping[str, Any]:
    """The same classifier fitted on explicit and on compressed nuisance features, and its errors
    two ways.

    explicit, compressed: (w_S, ||w_N||) of the fits. exact, sampled: (ID, OOD) errors in closed
    form, and on `tests` test points with all k nuisance coordinates drawn; `standard_error` of the
    latter.
    """
    data = NuisanceModel(d_s=d_s, k=k)
    keys = jax.random.split(jax.random.key(seed), 2)
    rng = np.random.default_rng(seed)
    x_s, y = sample_signal(keys[0], n, d_s, data.gap)
    noisy, _ = flip_labels(keys[1], y, eta)
    x_n = data.sigma * rng.normal(size=(n, k))
    weights = []
    for block in (x_n, compress_block(x_n)):
        w = fit_logistic_path(np.concatenate([x_s, block], axis=1), noisy, [1e-5]).coef[0]
        weights.append((w, np.append(w[:d_s], np.linalg.norm(w[d_s:]))))
    w, summary = weights[0]
    test_s, test_y = sample_signal(jax.random.key(seed + 10_000), tests, d_s, data.gap)
    z = rng.normal(size=(tests, k)) @ w[d_s:]
    exact = id_ood_error(summary[:-1], summary[-1], test_s, test_y, sigma=data.sigma, tau=data.tau)
    sampled = [
        float(((test_s @ w[:d_s] + scale * z) * test_y < 0).mean())
        for scale in (data.sigma, data.sigma_ood)
    ]
    exact_population = [
        float(
            margin_model_error(
                summary[:-1], summary[-1], direction=np.eye(d_s)[0], gap=data.gap, scale=scale
            )
        )
        for scale in (data.sigma, data.sigma_ood)
    ]
    return {
        "explicit": weights[0][1],
        "compressed": weights[1][1],
        "exact": np.asarray(exact),
        "population": np.asarray(exact_population),
        "sampled": np.asarray(sampled),
        "standard_error": np.sqrt(np.asarray(sampled) * (1 - np.asarray(sampled)) / tests),
    }


def precision(
    model: Mapping[str, Any], ns: list[int], etas: list[float], lams: list[float], seed: int
) -> Mapping[str, Any]:
    """ID and OOD errors of the same fits in float64, in float32, and in float64 stopped at a
    gradient norm of 3e-5."""
    data, found = NuisanceModel(**model), {}
    for name, solver in (
        ("float64", NewtonOptions(tol=1e-7)),
        ("float32", NewtonOptions(tol=1e-6, precision="float32")),
        ("loose", NewtonOptions(tol=3e-5)),
    ):
        keys = jax.random.key(seed)[None]
        here = sweep_nuisance(data, keys=keys, ns=ns, etas=etas, lams=lams, solver=solver)
        found[f"id_{name}"], found[f"ood_{name}"] = here.id_error()[0], here.ood_error()[0]
        found[f"gradient_norm_{name}"] = here.gradient_norm[0]
    return found


def mean_shift(
    k: int, kappa: float, margins: list[float], half_width: float, draws: int, seed: int
) -> Mapping[str, Any]:
    """P(error) under a misaligned mean shift with uniform noise on k coordinates, by `draws` draws,
    and its bound.

    w_N is a random direction; the shift's mean takes `kappa` from every margin. Uniform on (-h, h)
    is h-sub-Gaussian.
    """
    rng = np.random.default_rng(seed)
    w = rng.normal(size=k)
    shift = rng.uniform(-half_width, half_width, size=(draws, k)) @ w - kappa
    true = [(np.asarray(m) + shift < 0).mean() for m in margins]
    norm = float(np.linalg.norm(w))
    bound = shift_bound(np.asarray(margins), norm, half_width, kappa=kappa)
    return {
        "true": np.asarray(true),
        "bound": np.asarray(bound),
        "norm_w_n": np.asarray(norm),
        "bound_half_sigma": np.asarray(
            shift_bound(np.asarray(margins), norm, half_width / 4, kappa=kappa)
        ),
    }
