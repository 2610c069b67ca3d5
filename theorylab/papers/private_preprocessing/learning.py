"""Logistic regression with and without privacy, as all cells of private learning use it."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from theorylab.privacy import pipelines


def logistic_loss(weights: Any, rows: Any, labels: Any) -> float:
    """Mean logistic loss of these weights."""
    return float(np.logaddexp(0.0, -labels * (rows @ weights)).mean())


def best_loss(rows: Any, labels: Any, radius: float) -> float:
    """The least mean logistic loss of weights within the radius, by accelerated projected descent.

    The loss is 1/4-smooth for records of the unit ball.
    """
    weights = ahead = np.zeros(rows.shape[1])
    for step in range(1, 401):
        pull = labels / (1 + np.exp(labels * (rows @ ahead)))
        moved = ahead + 4 * pull @ rows / len(rows)
        moved *= min(1.0, radius / max(float(np.linalg.norm(moved)), 1e-12))
        ahead = moved + (step - 1) / (step + 2) * (moved - weights)
        weights = moved
    return logistic_loss(weights, rows, labels)


def averaged_loss(
    rows: Any, labels: Any, descent: Mapping[str, Any], noise_std: float, key: jax.Array
) -> float:
    """Loss on the records of the mean iterate that is learned from them."""
    path = pipelines.private_logistic_path(
        np.asarray(rows, np.float32), labels, **descent, noise_std=noise_std, key=key
    )
    return logistic_loss(np.asarray(path, np.float64).mean(0), rows, labels)
