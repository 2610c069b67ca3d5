"""Computes one cell, wherever it runs: here, or in a worker of a cluster."""

import time
from collections.abc import Mapping

import numpy as np

from theorylab.lab import provenance
from theorylab.lab.experiment import Arrays, Cell, Experiment, Row


def compute(experiment: Experiment, cell: Cell, upstream: Mapping[str, Arrays]) -> Row:
    """Run one cell.

    Raises `ValueError` for non-finite arrays that the experiment does not declare.
    """
    start = time.perf_counter()
    returned = experiment.run(**cell, **upstream)
    if not isinstance(returned, Mapping):
        raise ValueError(f"a cell returns named arrays, not {type(returned).__name__}")
    arrays = {name: np.asarray(a) for name, a in returned.items()}
    for name, array in arrays.items():
        if array.dtype == object:
            raise ValueError(
                f"array {name!r} holds Python objects; a cell returns numbers, booleans or text"
            )
        bad = np.issubdtype(array.dtype, np.inexact) and not np.isfinite(array).all()
        if bad and name not in experiment.nonfinite:
            raise ValueError(
                f"array {name!r} has NaN or infinite entries, which the experiment does not declare"
            )
    meta = {
        "seconds": time.perf_counter() - start,
        "device": provenance.device(),
        "versions": provenance.versions(),
    }
    return Row(cell, arrays, meta)
