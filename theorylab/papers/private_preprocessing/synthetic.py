"""Cells of private learning on data that are nearly of low rank, by four pipelines."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from theorylab.papers.private_preprocessing.learning import averaged_loss, best_loss
from theorylab.privacy import (
    meta_theorem,
    pipelines,
    preprocessing,
    renyi,
    sensitivity,
    smooth,
)
from theorylab.privacy.online import separate_ledger

WAYS = ("full dimension", "PCA", "private PCA", "PCA, naive", "PCA, group")


def low_rank(n: int, d: int, spectrum: list[float], tail: float, seed: int) -> tuple[Any, Any]:
    """Gaussian records of this spectrum, pulled into the unit ball, and labels that a plane through
    0 parts, whose normal lies in the leading directions."""
    generator = np.random.default_rng(seed)
    k = len(spectrum)
    scale = np.sqrt([*spectrum, *np.full(d - k, tail / (d - k))])
    rows = generator.normal(size=(n, d)) * scale
    rows /= np.maximum(1.0, np.linalg.norm(rows, axis=1, keepdims=True))
    truth = generator.normal(size=k)
    return rows, np.where(rows[:, :k] @ truth > 0, 1.0, -1.0)


def four_pipelines(
    data: Mapping[str, Any],
    descent: Mapping[str, Any],
    epsilons: list[float],
    repeats: int,
    seed: int,
) -> Mapping[str, Any]:
    """Excess logistic loss of every pipeline at every epsilon, over repeated noise; the gap, and
    the cost factors.

    The gap is taken as the promise: what a test of it would cost is in other cells.
    """
    delta = 1e-5
    rows, labels = low_rank(**data, seed=seed)
    n, k = len(rows), len(data["spectrum"])
    gap = float(preprocessing.eigengaps(rows, rank=k))
    moved = sensitivity.pca_reduction(n, eigengap=gap)
    factor = meta_theorem.cost_factor(smooth.logistic_smoothness(descent["radius"]) * moved.total)
    group = meta_theorem.group_cost_factor(moved.records)
    least = best_loss(rows, labels, descent["radius"])
    keys = iter(jax.random.split(jax.random.key(seed), 1 + len(epsilons) * (1 + 5 * repeats)))

    def excess(images: Any, rho: float, dearer: float) -> float:
        std = pipelines.gradient_noise_std(n, steps=descent["steps"], rho=rho, factor=dearer)
        losses = [averaged_loss(images, labels, descent, std, next(keys)) for _ in range(repeats)]
        return float(np.mean(losses)) - least

    found = []
    with separate_ledger():
        reduced = preprocessing.pca_reduce(rows, rank=k, key=next(keys))
        for epsilon in epsilons:
            rho = renyi.epsilon_to_zcdp(epsilon, delta=delta)
            basis = pipelines.private_directions(rows, rank=k, rho=rho / 2, key=next(keys))
            found.append(
                [
                    excess(rows, rho, 1.0),
                    excess(reduced, rho, factor),
                    excess(rows @ np.asarray(basis, np.float64), rho / 2, 1.0),
                    excess(reduced, rho, 1.0),
                    excess(reduced, rho, group),
                ]
            )
    return {
        "excess": np.array(found).T,
        "gap": gap,
        "factor": factor,
        "group": group,
        "least": least,
    }
