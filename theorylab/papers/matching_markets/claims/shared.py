"""What claims of several subjects share."""

import numpy as np

from theorylab.lab import Evidence, bootstrap

PAPER = "Jagadeesan et al. 2021"

TINY = 1e-9


BIG = ("quick", "full")


def of_means(
    label: str,
    top: np.ndarray,
    bottom: np.ndarray,
    low: float = -np.inf,
    high: float = np.inf,
    base: float | None = None,
) -> Evidence:
    """Evidence from the ratio of two means over the same runs, drawn again run by run; with a base,
    its logarithm."""

    def ratio(top: np.ndarray, bottom: np.ndarray) -> float:
        found = top.mean() / bottom.mean()
        return found if base is None else np.log(found) / np.log(base)

    return bootstrap(label, ratio, (top, bottom), low, high)
