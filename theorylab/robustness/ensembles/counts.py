"""Probabilities from counts: bounds that hold together at one confidence.

They are Clopper and Pearson's, whose failure probability is divided among all the bounds that are
used at once: of classes, of the two sides, and of members.

Source: Clopper & Pearson 1934; Cohen et al. 2019; our derivation,
docs/derivations/certified_ensembles.md, statement 8.
"""

from typing import Any, Literal, NamedTuple

import numpy as np
import scipy.special
from jax.typing import ArrayLike
from jaxtyping import Float, Int

from theorylab import checks
from theorylab.errors import InputError


class ClassBounds(NamedTuple):
    """Bounds of the probabilities of classes under noise, all true together with the confidence.

    Attributes:
        top: (*n) class that is certified.
        lower: (*n, K) lower bounds; those of other classes than the top one may be 0.
        upper: (*n, K) upper bounds.
    """

    top: Int[np.ndarray, "*n"]
    lower: Float[np.ndarray, "*n K"]
    upper: Float[np.ndarray, "*n K"]


def clopper_pearson(
    successes: Int[ArrayLike, "*n"],
    trials: int | Int[ArrayLike, "*n"],
    *,
    confidence: float,
    side: Literal["lower", "upper", "both"] = "both",
) -> tuple[Float[np.ndarray, "*n"], Float[np.ndarray, "*n"]]:
    """Clopper and Pearson's bounds of a probability.

    Args:
        successes: (*n) counts.
        trials: how many draws; at least 1 each.
        confidence: with which the bound holds, or both of them together, in (0, 1).
        side: "lower" and "upper" spend the failure probability on one bound, the other one is then
            1 or 0; "both" spends half of it on each.

    Returns:
        Lower and upper bounds, (*n) each.

    Raises:
        InputError: more successes than trials, or a confidence outside (0, 1).

    Examples:
        >>> low, high = clopper_pearson(100, 100, confidence=0.999, side="lower")
        >>> round(float(low), 4), float(high)
        (0.9333, 1.0)
    """
    checks.number("confidence", confidence, 0, 1, open_low=True, open_high=True)
    checks.choice("side", side, ("lower", "upper", "both"))
    successes = checks.within("successes", successes, 0, whole=True)
    trials = checks.within("trials", trials, 1, whole=True)
    k, n = np.broadcast_arrays(np.asarray(successes, float), np.asarray(trials, float))
    if (k > n).any():
        raise InputError(f"successes holds {k[k > n][0]:g} of {n[k > n][0]:g} trials")
    error = (1 - confidence) / (2 if side == "both" else 1)
    low, high = _bounds(k, n, error)
    return (
        low if side != "upper" else np.zeros_like(k),
        high if side != "lower" else np.ones_like(k),
    )


def class_bounds(
    counts: Int[ArrayLike, "*n K"],
    *,
    confidence: float,
    label: Int[ArrayLike, "*n"] | None = None,
    members: int = 1,
) -> ClassBounds:
    """Bounds of the probabilities of all classes under noise, at one confidence for all together.

    With a `label` that was chosen without these counts, K bounds are used: one from below, for that
    class, and K - 1 from above. Without it the top class is chosen by the same counts, and 2 K are.
    The bound of a rival is also at most 1 less the lower bound of the top class.

    Args:
        counts: (*n, K) how often each class was predicted under noise.
        confidence: of all bounds of a point together, in (0, 1).
        label: (*n) classes to certify, from other draws (for an ensemble, the one class that it
            predicts); None to choose by these counts.
        members: N, where the bounds of N smoothed members are used at once; the failure probability
            is divided by it.

    Returns:
        `ClassBounds`.

    Raises:
        InputError: counts that do not fit together, a point without draws, or a confidence outside
            (0, 1).

    Examples:
        >>> found = class_bounds([90, 10, 0], confidence=0.999)
        >>> int(found.top), found.lower.round(3), found.upper.round(3)
        (0, array([0.752, 0.024, 0.   ]), array([0.976, 0.248, 0.083]))
    """
    checks.number("confidence", confidence, 0, 1, open_low=True, open_high=True)
    counts = np.asarray(checks.within("counts", counts, 0, whole=True), np.int64)
    if counts.ndim == 0 or counts.shape[-1] < 2:
        raise InputError(f"counts has shape {counts.shape}; (..., K) with K >= 2 is needed")
    top = _chosen(counts, label)
    trials = counts.sum(-1, keepdims=True)
    if not (trials > 0).all():
        raise InputError("counts holds a point without draws; at least one draw each is needed")
    classes = counts.shape[-1]
    used = (classes if label is not None else 2 * classes) * checks.count("members", members)
    low, high = _bounds(counts.astype(float), trials.astype(float), (1 - confidence) / used)
    is_top = np.arange(classes) == top[..., None]
    lead = np.where(is_top, low, 0.0).sum(-1, keepdims=True)
    if label is not None:  # one bound each is all that was paid for
        low, high = np.where(is_top, low, 0.0), np.where(is_top, 1.0, high)
    return ClassBounds(top, low, np.where(is_top, high, np.minimum(high, 1 - lead)))


def _chosen(counts: np.ndarray, label: Any) -> np.ndarray:
    """The classes to certify: those given, or those with the highest counts."""
    if label is None:
        return counts.argmax(-1)
    label = np.asarray(checks.within("label", label, 0, counts.shape[-1] - 1, whole=True), np.int64)
    try:
        return np.broadcast_to(label, counts.shape[:-1])
    except ValueError:
        raise InputError(
            f"label has shape {label.shape}; {counts.shape[:-1]} is needed, one for each point"
        ) from None


def _bounds(k: np.ndarray, n: np.ndarray, error: float) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper bounds that each fail with this probability at most."""
    some, not_all = k > 0, k < n
    low = scipy.special.betaincinv(np.where(some, k, 1.0), n - k + 1, error)
    high = scipy.special.betainccinv(k + 1, np.where(not_all, n - k, 1.0), error)
    return np.where(some, low, 0.0), np.where(not_all, high, 1.0)
