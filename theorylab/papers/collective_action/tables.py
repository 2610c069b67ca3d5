"""From results to the numbers that figures and claims share."""

from typing import Any

import numpy as np

RULE_NAMES = {
    "erm": "ERM",
    "jtt": "JTT",
    "lff": "LfF",
    "cvar": "CVaR",
    "chi2": "χ²",
    "group": "group DRO",
}


def spread(values: np.ndarray) -> dict[str, float]:
    """Mean and 95 % interval of the mean (normal) over the last axis, for a band."""
    half = 1.96 * values.std(ddof=1) / np.sqrt(values.size) if values.size > 1 else 0.0
    return {
        "mean": float(values.mean()),
        "low": float(values.mean() - half),
        "high": float(values.mean() + half),
    }


def at_the_end(row: Any, quantity: str) -> np.ndarray:
    """(sizes, seeds) of a quantity at the end of training."""
    values = row[quantity]
    return values[..., -1] if values.ndim == 3 else values
