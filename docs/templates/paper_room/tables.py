"""From results to the numbers that figures and claims share."""

import numpy as np

from theorylab.lab import Results


def errors(results: Results, n: int, estimator: str) -> np.ndarray:
    """Standard error of an estimator at sample size n, one value per seed."""
    return results.where(n=n).stack(estimator)
