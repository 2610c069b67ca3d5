"""What claims of several subjects share."""

from collections.abc import Callable
from typing import Any

import numpy as np

from theorylab.lab import Evidence, over_seeds
from theorylab.papers.types import AllResults

PAPER = "Wei, Hu, Steinhardt 2022"

BIG = ("quick", "medium", "full")

PRETRAINED = ("medium", "full")  # the presets with ImageNet weights


def rms(draws: np.ndarray) -> np.ndarray:
    """Root mean square over the draws, the first axis."""
    return np.sqrt((draws**2).mean(0))


def jackknifed(
    label: str,
    statistic: Callable[[np.ndarray], Any],
    draws: np.ndarray,
    low: float = -np.inf,
    high: float = np.inf,
) -> Evidence:
    """Evidence from a smooth statistic of independent draws (draws, ...).

    Its sample are Tukey's pseudo-values, one a draw: their mean is the statistic, less its bias of
    order 1 / draws.
    """
    count = len(draws)
    without = np.array([statistic(np.delete(draws, i, 0)) for i in range(count)])
    return over_seeds(label, count * statistic(draws) - (count - 1) * without, low, high)


def ridgeless(results: AllResults, quantity: str) -> tuple[list[int], np.ndarray, np.ndarray]:
    """Sizes, and (splits, sizes) of a quantity and of the test risk for the ReLU kernel at ridge
    0."""
    rows = results["analytic"].where(data=results["analytic"].unique("data")[0])
    cell = next(iter(rows)).cell
    zero = cell["ridges"].index(0.0)
    return cell["sizes"], rows.stack(quantity)[:, :, zero], rows.stack("test")[:, :, zero]
