"""From results to the numbers that figures and claims share."""

import numpy as np

from theorylab.lab import Results, Row

# studies whose bound is attained, and those whose worst pair refutes naive accounting
ATTAINED = (
    "mean imputation",
    "median imputation",
    "trimmed-mean imputation",
    "quantization",
    "dropping duplicates",
    "keeping one",
    "projection",
)
REFUTED = (
    "mean imputation",
    "median imputation",
    "trimmed-mean imputation",
    "regression imputation",
    "quantization",
    "dropping duplicates",
    "keeping one, in order",
    "projection",
    "projection, 4 dimensions",
    "projection, centred covariance",
    "projection, centred records",
    "standard scaling",
)


def only(results: Results, **where: object) -> Row:
    """The one cell of an experiment, or the first of those with these parameters."""
    return next(iter(results.where(**where)))


def excess(results: Results, way: int, at: int) -> np.ndarray:
    """(seeds,) excess loss of a pipeline at an epsilon."""
    return np.asarray(results.stack("excess")[:, way, at])
