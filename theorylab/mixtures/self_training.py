"""Self-training: logistic regression that labels the unlabelled points it is most sure of, and is fitted again.

The schedule of scikit-learn's `SelfTrainingClassifier(criterion="k_best")`: in each round the most confident share of
all unlabelled points gets the labels predicted, which then stay, and the last fit uses them all.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from theorylab.errors import InputError
from theorylab.mixtures.checks import floats, labelled, positive, unlabelled
from theorylab.mixtures.logistic import Linear, minimise


def self_training(
    X_l: Float[Array, "n_l d"], y_l: Float[Array, " n_l"], X_u: Float[Array, "n_u d"], *, rounds: int = 10,
    fraction: float = 0.1, l2: Any = 1.0, intercept: bool = False, labelled_weight: Float[Array, " n_l"] | None = None,
    unlabelled_weight: Float[Array, " n_u"] | None = None,
) -> Linear:  # fmt: skip
    """Self-train for `rounds` rounds, each adding round(fraction n_u) points (at least one).

    intercept: False for the symmetric mixture, True for real data. Ties in confidence are added together. The two
    weights are masks of zeros and ones: rows of weight zero are left out.
    """
    X_l, y_l = labelled(X_l, y_l)
    X_u = unlabelled(X_u, X_l.shape[1]).astype(X_l.dtype)
    positive("rounds", rounds, at_least=1)
    positive("fraction", fraction)
    positive("l2", l2)
    if fraction > 1:
        raise InputError(f"fraction={fraction} must be at most 1: the share of unlabelled points added in a round")
    mask_l, mask_u = (
        jnp.ones(len(x), X_l.dtype) if weight is None else floats(f"{name}_weight", weight, ndim=1)
        for name, x, weight in (("labelled", X_l, labelled_weight), ("unlabelled", X_u, unlabelled_weight))
    )
    add = jnp.maximum(1, jnp.round(fraction * jnp.sum(mask_u))).astype(int)
    return train(X_l, y_l, mask_l, X_u, mask_u, add, rounds=rounds, l2=l2, intercept=intercept)


def train(
    X_l: Array, y_l: Array, mask_l: Array, X_u: Array, mask_u: Array, add: Any, *, rounds: int, l2: Any,
    intercept: bool,
) -> Linear:  # fmt: skip
    """`self_training` on the rows with mask 1; `add` may be traced."""
    X = jnp.concatenate([X_l, X_u])
    empty = jnp.zeros_like(mask_u, X.dtype)
    start_labels = jnp.concatenate([y_l.astype(X.dtype), empty])
    start_weights = jnp.concatenate([mask_l.astype(X.dtype), empty])
    available = jnp.concatenate([jnp.zeros_like(mask_l), mask_u]) > 0

    def fit(labels: Array, weights: Array, before: Linear | None) -> Linear:
        return minimise(X, labels, weights, l2, intercept=intercept, start=before)

    def body(state: tuple[Array, Array, Linear], _: None) -> tuple[tuple[Array, Array, Linear], None]:
        labels, weights, rule = state
        score = rule.score(X)
        sure = jnp.where(available & (weights == 0), jnp.abs(score), -jnp.inf)
        least = jnp.sort(sure)[len(sure) - add]
        chosen = (sure >= least) & jnp.isfinite(sure)
        labels = jnp.where(chosen, jnp.where(score >= 0, 1, -1), labels)
        weights = jnp.where(chosen, 1, weights)
        return (labels, weights, fit(labels, weights, rule)), None

    state = (start_labels, start_weights, fit(start_labels, start_weights, None))
    return jax.lax.scan(body, state, None, length=rounds)[0][2]
