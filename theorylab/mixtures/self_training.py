"""Self-training: logistic regression labels the points it is most sure of, and is fitted again.

In each round the most confident share of all unlabelled points gets the labels predicted, which
then stay, and the last fit uses them all.

Source: the schedule of scikit-learn's `SelfTrainingClassifier(criterion="k_best")`, as Tifrea et
al. (2023) use self-training.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from theorylab.checks import count, flag, instance, number, within
from theorylab.deprecation import old_options
from theorylab.mixtures.checks import labelled, row_weights, two_classes, unlabelled
from theorylab.mixtures.frame import framed, wide_if_concrete
from theorylab.mixtures.logistic import (
    LinearRule,
    Objective,
    design_of,
    inverse_hessian,
    leave,
    minimise,
    penalty_of,
)


@dataclass(frozen=True)
class SelfTrainingSchedule:
    """How many rounds self-training takes, and how many points each adds.

    Attributes:
        rounds: number of rounds.
        fraction: share of all unlabelled points that a round adds, at least one point.

    Raises:
        InputError: no round, a share outside (0, 1].
    """

    rounds: int = 10
    fraction: float = 0.1

    def __post_init__(self) -> None:
        count("rounds", self.rounds)
        number("fraction", self.fraction, 0.0, 1.0, open_low=True)


SCHEDULE = SelfTrainingSchedule()


@old_options(schedule=(SelfTrainingSchedule, "rounds fraction"))
@wide_if_concrete
def self_training(
    X_l: Float[Array, "n_l d"],
    y_l: Float[Array, " n_l"],
    X_u: Float[Array, "n_u d"],
    *,
    schedule: SelfTrainingSchedule = SCHEDULE,
    l2: Any = 1.0,
    intercept: bool = False,
    labelled_weight: Float[Array, " n_l"] | None = None,
    unlabelled_weight: Float[Array, " n_u"] | None = None,
) -> LinearRule:
    """Self-train for some rounds, each adding the most confident share of the unlabelled points.

    Each adds round(fraction n_u) points, at least one; ties in confidence are added together.

    Args:
        X_l: (n_l, d) labelled samples.
        y_l: (n_l,) labels -1 or +1.
        X_u: (n_u, d) unlabelled samples.
        schedule: rounds, and the share of the unlabelled points that each adds.
        l2: ridge penalty of `fit_logistic`.
        intercept: False for the symmetric mixture, True for real data.
        labelled_weight, unlabelled_weight: masks of zeros and ones: rows of weight zero are left
            out.

    Returns:
        A `LinearRule` classifier.

    Raises:
        InputError: shapes that do not fit, other labels, values out of range.
    """
    X_l, y_l = labelled(X_l, y_l)
    X_u = unlabelled(X_u, X_l.shape[1]).astype(X_l.dtype)
    instance("schedule", schedule, SelfTrainingSchedule, "a SelfTrainingSchedule")
    number("l2", l2, 0.0, open_low=True)
    mask_l = row_weights("labelled_weight", labelled_weight, X_l=X_l)
    mask_u = row_weights("unlabelled_weight", unlabelled_weight, X_u=X_u)
    for name, mask in (("labelled_weight", mask_l), ("unlabelled_weight", mask_u)):
        within(name, mask, 0.0, 1.0, whole=True)
    if flag("intercept", intercept):
        two_classes("y_l", y_l, mask_l)
    add = jnp.maximum(1, jnp.round(schedule.fraction * jnp.sum(mask_u))).astype(int)
    mass = jnp.concatenate([mask_l, mask_u])
    Z, frame = framed(jnp.concatenate([X_l, X_u]), mass, centre=intercept)
    rows = design_of(Z, intercept)
    empty = jnp.zeros_like(mask_u, X_l.dtype)
    labels, weights = (jnp.concatenate([a.astype(X_l.dtype), empty])[None] for a in (y_l, mask_l))
    waiting = jnp.concatenate([jnp.zeros_like(mask_l), mask_u])[None] > 0
    penalty = penalty_of(l2 / frame.unit**2, rows, intercept)
    theta = train(rows.T[None], labels, weights, waiting, add, penalty, rounds=schedule.rounds)
    return leave(frame, theta, intercept)


def train(
    design: Float[Array, "b p n"],
    labels: Float[Array, "b n"],
    weights: Float[Array, "b n"],
    waiting: Bool[Array, "b n"],
    add: Any,
    penalty: Float[Array, " p"],
    *,
    rounds: int,
    blocks: Any = None,
) -> Float[Array, " p"]:
    """`self_training` on samples in blocks.

    Those of weight 1 have labels, of those waiting `add` join in each round. A sample is a column.
    blocks: how many blocks count, may be traced, as `add` may be.
    """

    def body(state: tuple[Array, ...], tol: Array) -> tuple[tuple[Array, ...], Array]:
        labels, weights, waiting, theta, inverse = state
        problem = Objective(design, labels, weights, penalty, blocks)
        theta, inverse = minimise(problem, theta, inverse=inverse, tol=tol)
        score = theta @ design
        chosen = waiting & most_of(jnp.where(waiting, jnp.abs(score), -1), add)
        labels = jnp.where(chosen, jnp.where(score >= 0, 1, -1), labels)
        return (labels, jnp.where(chosen, 1, weights), waiting & ~chosen, theta, inverse), theta

    theta0 = jnp.zeros(design.shape[1], design.dtype)
    inverse0 = inverse_hessian(Objective(design, labels, weights, penalty, blocks), theta0)
    # Rankings need no more digits than scikit-learn's default gives them; the last fit has all.
    tolerances = jnp.full(rounds + 1, 1e-4, design.dtype).at[-1].set(0)
    return jax.lax.scan(body, (labels, weights, waiting, theta0, inverse0), tolerances)[1][-1]  # type: ignore[arg-type]


def most_of(values: Float[Array, "..."], count: Any) -> Bool[Array, "..."]:
    """Which of the values are among the `count` largest, ties all in; negative values never are.

    Floats >= 0 are ordered as their bits are: bisection finds the threshold bit by bit, many times
    faster than a sort, and ends when a threshold parts off just as many.
    """
    bits = jax.lax.bitcast_convert_type(
        values, jnp.int32 if values.dtype == jnp.float32 else jnp.int64
    )
    width = 31 if values.dtype == jnp.float32 else 63

    def settle(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        bit, threshold, _ = state
        higher = threshold | bit
        above = jnp.sum(bits >= higher)
        return bit >> 1, jnp.where(above >= count, higher, threshold), above == count

    one = jnp.ones((), bits.dtype)
    start = (one << (width - 1), 0 * one, jnp.asarray(False))
    return bits >= jax.lax.while_loop(lambda state: (state[0] > 0) & ~state[2], settle, start)[1]
