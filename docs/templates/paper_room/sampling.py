"""The computations: functions of JSON parameters that return named arrays.

Results are stored under the code of this module and of all that it imports, so it imports no
claims, figures or tables. An algorithm belongs to a method package and is called from here.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np


def spread(n: int, draws: int, seed: int) -> Mapping[str, Any]:
    """Standard deviations of the mean and of the median of n normal numbers, over the draws."""
    samples = np.random.default_rng(seed).normal(size=(draws, n))
    return {"mean": samples.mean(1).std(), "median": np.median(samples, 1).std()}
