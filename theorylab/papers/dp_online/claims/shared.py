"""What the measures of several subjects use."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from theorylab.lab import Evidence, Preset, Results, Row

All = Mapping[str, Results]
Measure = Callable[[All, Preset], Sequence[Evidence]]
TINY = 1e-9


def of_row(row: Row, mistakes: str = "mistakes") -> dict[str, float]:
    """The columns of the reference table from a cell; the row before the last insertion."""
    return {
        "theta": float(row["theta"]),
        "mistakes": float(row[mistakes]),
        "p": float(row["survival"][-2]),
        "q": float(row["mass"][-2]),
        "front": float(row["front"]),
    }


def rates(row: Row) -> np.ndarray:
    """E[M] ε / ln T of a cell of ones alone."""
    return np.asarray(
        row["mistakes"] * row.cell["epsilon"] / (np.log(2) * np.array(row.cell["doublings"]))
    )
