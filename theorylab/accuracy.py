"""How far the numbers that came in can be trusted: one rule for every solver.

A kernel's dtype says what it is rounded to. Where that is not the whole truth (computed in bfloat16
or TF32 and handed on as float32; computed in float32 and cast), the array carries it, or the solver
is told by its argument `accuracy`. Eigenvalues below that share of the largest are rounding: they
are not inverted as if they were signal.
"""

from typing import Any

import numpy as np

from theorylab import checks
from theorylab.precision import input_epsilon

DOUBLE = float(np.finfo(np.float64).eps)


class AccurateTo(np.ndarray):
    """A NumPy array that knows the relative accuracy of its entries; views and results keep it.

    Attributes:
        accuracy: of an entry, relative to the size of the largest; None where it is unknown.
    """

    accuracy: float | None

    def __array_finalize__(self, source: Any) -> None:
        self.accuracy = getattr(source, "accuracy", None)


def carrying(array: np.ndarray, accuracy: float) -> np.ndarray:
    """The array, made to carry its accuracy where its dtype promises more."""
    if accuracy <= input_epsilon(array):
        return array
    carried = array.view(AccurateTo)
    carried.accuracy = accuracy
    return carried


def entry_accuracy(array: Any, told: Any = None) -> float:
    """Relative accuracy of the entries: the worst of dtype, of what is carried, of what is told."""
    carried = getattr(array, "accuracy", None) if isinstance(array, AccurateTo) else None
    if told is not None:
        checks.number("accuracy", told, 0.0, 1.0, open_high=True)
    return max(input_epsilon(array), float(carried or 0.0), float(told or 0.0))


def resolution(n: int, accuracy: float) -> float:
    """The share of the largest eigenvalue of an n x n kernel below which others are rounding.

    Rounding errors of entries are independent and average out: those of float32 move eigenvalues by
    less than 1e-7 of the largest. What is accurate to float64 was computed in it, with errors that
    add up.
    """
    if accuracy <= DOUBLE:
        return max(n, 10) * accuracy
    return max(1e-7, accuracy if accuracy > 1e-6 else 0.0)
