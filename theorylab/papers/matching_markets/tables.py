"""From results to the numbers that figures and claims share."""

from typing import Any

import numpy as np

from theorylab.lab import Results

QUANTITIES = {
    "regret": "instability",
    "difference": "utility difference",
    "excess": "optimism excess",
}


def only_row(results: Results, **parameters: Any) -> Any:
    """The only row with these parameters."""
    return next(iter(results.where(**parameters)))


def variant(results: Results, **changes: Any) -> Any:
    """The first row whose learner has these values."""
    return next(row for row in results if changes.items() <= row.cell["learner"].items())


def spread(values: np.ndarray) -> tuple[Any, Any]:
    """Mean and its standard error over the first axis."""
    return values.mean(0), values.std(0, ddof=1) / np.sqrt(len(values))
