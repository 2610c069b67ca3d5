"""Atoms of discrete laws, whose proportions are normalised.

Sums over a spectrum (`effective_regularization` and its like) count multiplicities instead, which
they call `weights`.
"""

from typing import Any

import jax

from theorylab import checks
from theorylab.errors import InputError
from theorylab.precision import as_float64, is_traced
from theorylab.rmt.inputs import as_atoms, as_weights


def law_atoms(name: str, values: Any, proportions: Any) -> tuple[jax.Array, jax.Array]:
    """Atoms, called `name`, and their `proportions` (sum 1; None means equal)."""
    if proportions is not None:
        atoms = as_float64(checks.finite(name, values, ndim=1))
        total = as_weights("proportions", proportions, atoms, of=name).sum()
        if not is_traced(total) and float(total) <= 0:
            raise InputError("proportions sum to 0; a positive sum is needed")
    return as_atoms(name, values, proportions)
