"""Label-free scores of a test set from a classifier's outputs, beside the Projection Norm.

Each takes logits (m, k) of the test set.

Source: ConfScore (Hendrycks and Gimpel 2017), Entropy, AgreeScore, ATC (Garg et al. 2022) and
Rotation (Deng et al. 2021), as Yu et al. (ICML 2022), section on baselines, define them; the
nuclear norm is that of Deng et al. (ICML 2023), COT that of Lu et al. (arXiv 2302.05018).
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int
from scipy import optimize, sparse

from theorylab import checks
from theorylab.errors import InputError
from theorylab.overflow import representable
from theorylab.shift.checks import arrays

# by how much the sum of probabilities of two digits, or in half precision, misses 1: half a digit
# for each class, and never more than this
ROUNDED, MOST = 0.005, 0.05


def conf_score(logits: Float[ArrayLike, "m k"]) -> float:
    """ConfScore: mean of the largest softmax probability.

    It decreases with the error; 1 minus it predicts the error.

    Args:
        logits: (m, k).

    Returns:
        The score, in [1/k, 1].

    Raises:
        InputError: what is no matrix of finite logits of two classes or more; probabilities.
    """
    return float(probabilities(logits).max(1).mean())


def entropy_score(logits: Float[ArrayLike, "m k"]) -> float:
    """Mean entropy of the softmax, in nats; it increases with the error.

    Args:
        logits: (m, k).

    Returns:
        The score, in [0, log k].

    Raises:
        InputError: as `conf_score`.
    """
    return float(-negative_entropy(logits).mean())


@dataclass(frozen=True)
class ATCThreshold:
    """Threshold of Average Thresholded Confidence.

    Attributes:
        value: samples whose negative entropy is below it count as errors.
        errors: wrong predictions on the validation set.
        achieved: validation samples below the threshold; ties at the threshold make it differ from
            `errors`.
    """

    value: float
    errors: int
    achieved: int


def atc_threshold(logits: Float[ArrayLike, "n k"], labels: Int[ArrayLike, " n"]) -> ATCThreshold:
    """Find ATC's threshold: as many *validation* samples lie below it as are misclassified.

    The (q + 1)-th smallest negative entropy for q errors; infinity if all are wrong. Never give
    training samples: the classifier has fitted them.

    Args:
        logits: (n, k) of labelled validation samples.
        labels: (n,) their classes.

    Returns:
        An `ATCThreshold`.

    Raises:
        InputError: as `conf_score`; labels that do not fit.

    Examples:
        >>> logits = np.array([[3.0, 0.0], [0.0, 2.0], [1.0, 0.0]])
        >>> threshold = atc_threshold(logits, np.array([0, 1, 1]))  # the least confident is wrong
        >>> threshold.errors, round(threshold.value, 4)
        (1, -0.3653)
        >>> atc_score(np.array([[2.5, 0.0], [0.5, 0.0]]), threshold)
        0.5
    """
    scores = np.sort(negative_entropy(logits))
    y = np.asarray(checks.labels("labels", labels, classes=np.shape(logits)[1]))
    checks.same_length(logits=scores, labels=y)
    errors = int((np.asarray(logits).argmax(1) != y).sum())
    value = float(scores[errors]) if errors < len(scores) else float("inf")
    return ATCThreshold(value, errors, int((scores < value).sum()))


def atc_score(logits: Float[ArrayLike, "m k"], threshold: ATCThreshold | float) -> float:
    """ATC with negative entropy: the share of samples below the threshold.

    It is an estimate of the error itself.

    Args:
        logits: (m, k).
        threshold: what `atc_threshold` gives, or its value.

    Returns:
        The share, in [0, 1].

    Raises:
        InputError: as `conf_score`.
    """
    given = threshold.value if isinstance(threshold, ATCThreshold) else threshold
    value = float(checks.number("threshold", given, infinite=True))
    return float((negative_entropy(logits) < value).mean())


def agree_score(first: Float[ArrayLike, "m k"], second: Float[ArrayLike, "m k"]) -> float:
    """AgreeScore: share of samples on which two classifiers disagree; it increases with the error.

    What the second classifier shares with the first (backbone, initialisation, data) decides what
    this measures.

    Args:
        first, second: (m, k) logits of the same samples.

    Returns:
        The share, in [0, 1].

    Raises:
        InputError: different shapes.
    """
    first, second = checks.finite("first", first, ndim=2), checks.finite("second", second, ndim=2)
    if np.shape(first) != np.shape(second):
        raise InputError(
            f"first, second: shapes {np.shape(first)}, {np.shape(second)} given; logits of the "
            "same samples and classes are needed"
        )
    return float((np.asarray(first).argmax(1) != np.asarray(second).argmax(1)).mean())


class Rotated(NamedTuple):
    """Turned images and their turns.

    Attributes:
        x: (4 m, h, h, *c) images.
        labels: (4 m,) quarter turns, 0 to 3.
    """

    x: Float[Array, "4*m h h *c"]
    labels: Int[Array, " 4*m"]


def rotations(
    x: Float[ArrayLike, "m h h *c"],
) -> Rotated:
    """Turn all images by 0, 90, 180 and 270 degrees, one turn after the other.

    Args:
        x: (m, h, h) or (m, h, h, c) square images.

    Returns:
        `Rotated` (x, labels): the 4 m images, and their turns.

    Raises:
        InputError: images that are not square.
    """
    x = representable("x", arrays("x", checks.real("x", x)))
    if x.ndim not in (3, 4) or x.shape[1] != x.shape[2]:
        raise InputError(
            f"x: shape {x.shape} given, square images (m, h, h) or (m, h, h, c) are needed"
        )
    turned = jnp.concatenate([jnp.rot90(x, turn, axes=(1, 2)) for turn in range(4)])
    return Rotated(turned, jnp.repeat(jnp.arange(4, dtype=jnp.int32), len(x)))


def rotation_score(logits: Float[ArrayLike, "4*m 4"]) -> float:
    """Rotation: error of a 4-way rotation head on the samples of `rotations`, in their order.

    Args:
        logits: (4 m, 4).

    Returns:
        The error, in [0, 1].

    Raises:
        InputError: another shape.
    """
    values = np.asarray(checks.finite("logits", logits, ndim=2))
    if values.shape[1] != 4 or len(values) % 4:
        raise InputError(
            f"logits: shape {values.shape} given, (4 m, 4) for the turned images of `rotations` "
            "is needed"
        )
    return float((values.argmax(1) != np.repeat(np.arange(4), len(values) // 4)).mean())


def nuclear_norm_score(logits: Float[ArrayLike, "m k"]) -> float:
    """Nuclear norm of the matrix of probabilities over sqrt(m min(m, k)), its largest value.

    It decreases with the error: high where predictions are confident and spread over the classes.

    Args:
        logits: (m, k).

    Returns:
        The score, in [0, 1].

    Raises:
        InputError: as `conf_score`.
    """
    p = probabilities(logits)
    return float(np.linalg.norm(p, "nuc") / np.sqrt(len(p) * min(p.shape)))


def cot_score(logits: Float[ArrayLike, "m k"], class_shares: Float[ArrayLike, " k"]) -> float:
    """COT: optimal-transport distance between predicted probabilities and one-hot labels.

    It increases with the error. The labels have the training distribution `class_shares`; moving a
    prediction s to the label y costs ||s - e_y||_inf = 1 - s_y. Solved exactly, as a linear
    programme of m k variables.

    Args:
        logits: (m, k).
        class_shares: (k,) shares of the classes in training, of sum 1.

    Returns:
        The distance, in [0, 1].

    Raises:
        InputError: as `conf_score`; shares that are no distribution over the classes.
    """
    p = probabilities(logits)
    m, k = p.shape
    shares = np.asarray(
        checks.probabilities("class_shares", class_shares, ndim=1, tolerance=2e-5), float
    )
    if shares.shape != (k,):
        raise InputError(
            f"class_shares has shape {shares.shape}; a share for each of the {k} classes is needed"
        )
    # plan (m, k), row sums 1, column sums m shares; the last constraint follows from the others
    rows = sparse.kron(sparse.eye(m), np.ones((1, k)))
    columns = sparse.kron(np.ones((1, m)), sparse.eye(k))
    constraints = sparse.vstack([rows, columns.tocsr()[:-1]])
    sums = np.concatenate([np.ones(m), m * (shares / shares.sum())[:-1]])
    plan = optimize.linprog(
        1 - p.ravel(), A_eq=constraints, b_eq=sums, bounds=(0, None), method="highs"
    )
    if not plan.success:
        raise InputError(f"logits: the transport problem was not solved ({plan.message})")
    return float(plan.fun / m)


def probabilities(logits: Float[ArrayLike, "m k"]) -> Float[np.ndarray, "m k"]:
    """Softmax in float64, of finite logits of at least two classes.

    It refuses other shapes, and probabilities.
    """
    values = np.asarray(checks.finite("logits", logits, ndim=2), np.float64)
    if values.shape[1] < 2:
        raise InputError(
            f"logits: shape {values.shape} given; a column for each class, at least 2, is needed"
        )
    fractions = values.min() >= 0 and values.max() <= 1 and (values % 1 > 0).any()
    if fractions and np.abs(values.sum(1) - 1).max() <= min(ROUNDED * values.shape[1] + 1e-3, MOST):
        raise InputError(
            "logits holds probabilities (rows that sum to 1); logits, or their logarithm, are "
            "needed (of logits that look so, add 1 to all: that changes no probability)"
        )
    values = np.exp(values - values.max(1, keepdims=True))
    return values / values.sum(1, keepdims=True)


def negative_entropy(logits: Float[ArrayLike, "m k"]) -> Float[np.ndarray, " m"]:
    """sum_k p_k log p_k of every sample, in nats, probabilities clipped at 1e-30."""
    p = probabilities(logits)
    return (p * np.log(np.maximum(p, 1e-30))).sum(1)
