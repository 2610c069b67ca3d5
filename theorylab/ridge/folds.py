"""Random folds of cross-validation.

Source: k-fold cross-validation, Geisser 1975.
"""

import jax
import numpy as np
from jaxtyping import Int, PRNGKeyArray

from theorylab import checks
from theorylab.errors import InputError


def fold_labels(n: int, k: int, key: PRNGKeyArray) -> Int[np.ndarray, " n"]:
    """Random assignment of n samples to k folds whose sizes differ by at most one.

    Args:
        n: number of samples.
        k: number of folds, from 2 to n.
        key: typed key.

    Returns:
        (n,) labels 0 to k - 1.

    Raises:
        InputError: counts out of range, or what is no typed key.
    """
    n, k = checks.count("n", n), checks.count("k", k)
    checks.key("key", key)
    if not 2 <= k <= n:
        raise InputError(f"k = {k} folds of {n} samples; 2 <= k <= number of samples is needed")
    return np.asarray(jax.random.permutation(key, np.arange(n) % k))


def fold_members(labels: Int[np.ndarray, " n"], k: int) -> Int[np.ndarray, "k m"]:
    """Row numbers of every fold, filled up with n, of which there is none, to one length."""
    n = len(labels)
    members = np.full((k, -(-n // k)), n)
    for fold in range(k):
        rows = np.flatnonzero(labels == fold)
        members[fold, : len(rows)] = rows
    return members
