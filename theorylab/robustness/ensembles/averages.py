"""Ensembles that average scores: their gap, and their certificate beside those of the members.

Averages of scores have the averages of the members' sets, and widths add up, so the certificate of
an ensemble is {delta : sum_i w_i D_i(delta) < r}, r the gap of the averaged scores. Members that
agree on the top class certify together at least what all of them certify. If they agree on the
runner-up too, then along each direction the ensemble certifies a weighted mean of what they do;
if runner-ups differ it may beat all, and if top classes differ it may be worse than all.

A vote is no average: its certificate is that of `vote_certificate`.

Source: Petrov et al. 2023; our derivation, docs/derivations/certified_ensembles.md, statements 3
to 6.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from theorylab import checks
from theorylab.errors import InputError
from theorylab.precision import is_traced
from theorylab.robustness.ensembles.algebra import (
    many_sets,
    minkowski,
    one_set,
    reflect,
)
from theorylab.robustness.ensembles.certificates import (
    Certificate,
    grid,
    pairwise_certificate,
    s_certificate,
)
from theorylab.robustness.ensembles.sets import SupportSet, floats


class Prediction(NamedTuple):
    """What scores say.

    Attributes:
        top: (...) class of the highest score, the first of those that tie.
        runner_up: (...) the first other class of the highest score among the others.
        gap: (...) lead of the top class, 0 at a tie.
    """

    top: Int[Array, "..."]
    runner_up: Int[Array, "..."]
    gap: Float[Array, "..."]


class Comparison(NamedTuple):
    """How a certificate lies to those of the members, on the directions looked at.

    Attributes:
        contains_intersection: in no direction it ends before all of theirs do.
        inside_union: in no direction it reaches further than all of theirs.
        beats_all: in every direction it reaches further than each of them.
        worse_than_all: in every direction it ends before each of them.
    """

    contains_intersection: bool
    inside_union: bool
    beats_all: bool
    worse_than_all: bool


def prediction_gap(scores: Float[ArrayLike, "*n K"]) -> Prediction:
    """Top class, runner-up and gap of scores.

    Args:
        scores: (*n, K), of at least two classes.

    Returns:
        A `Prediction` of shape (*n).

    Raises:
        InputError: fewer than two classes, or scores that are not finite.

    Examples:
        >>> found = prediction_gap([[0.2, 0.9, 0.7], [1.0, 1.0, 0.0]])
        >>> found.top, found.runner_up, found.gap.round(2)
        (array([1, 0]), array([2, 1]), array([0.2, 0. ]))
    """
    values = checks.finite("scores", scores)
    if values.ndim == 0 or values.shape[-1] < 2:
        raise InputError(f"scores has shape {values.shape}; (..., K) with K >= 2 is needed")
    xp: Any = jnp if is_traced(values) else np
    values = floats(values) if xp is jnp else np.asarray(values, np.float64)
    top = values.argmax(-1)
    others = xp.where(xp.arange(values.shape[-1]) == top[..., None], -xp.inf, values)
    runner_up = others.argmax(-1)
    return Prediction(top, runner_up, values.max(-1) - others.max(-1))


def ensemble_scores(
    scores: Float[ArrayLike, "N *n K"], weights: Float[ArrayLike, " N"] | None = None
) -> Float[Array, "*n K"]:
    """The averaged scores of an ensemble.

    Args:
        scores: (N, *n, K) of the members.
        weights: (N,) at least 0, sum 1; None for equal ones.

    Returns:
        (*n, K).

    Raises:
        InputError: weights of another number, negative, or with another sum.
    """
    values = checks.finite("scores", scores)
    if values.ndim < 2:
        raise InputError(f"scores has shape {values.shape}; (N, ..., K) is needed")
    shares = ensemble_weights(weights, values.shape[0])
    if is_traced(values, shares):
        return jnp.tensordot(floats(shares), floats(values), axes=1)
    return np.tensordot(shares, np.asarray(values, np.float64), axes=1)  # type: ignore[return-value]


def ensemble_gap(
    scores: Float[ArrayLike, "N *n K"], weights: Float[ArrayLike, " N"] | None = None
) -> Prediction:
    """Top class, runner-up and gap of the averaged scores; gaps themselves must not be averaged.

    Args:
        scores: (N, *n, K) of the members, those whose sets are known: not logits with the sets of
            probabilities.
        weights: (N,) at least 0, sum 1; None for equal ones.

    Returns:
        A `Prediction` of shape (*n).

    Raises:
        InputError: as `ensemble_scores` and `prediction_gap`.

    Examples:
        >>> scores = [[1.0, 0.8, -5.0], [1.0, -5.0, 0.8]]  # gaps of .2 each, over different classes
        >>> found = ensemble_gap(scores)
        >>> int(found.top), round(float(found.gap), 2)
        (0, 3.1)
    """
    return prediction_gap(ensemble_scores(scores, weights))


def ensemble_certificate(
    sets: Sequence[SupportSet | Sequence[SupportSet]],
    scores: Float[ArrayLike, "N K"],
    weights: Float[ArrayLike, " N"] | None = None,
) -> Certificate:
    """The certificate of averaged scores.

    Args:
        sets: N of them, for each member the set of all of its scores, or a list of K sets, one for
            each of its scores; then the certificate is pairwise.
        scores: (N, K) of the members at one point.
        weights: (N,) at least 0, sum 1; None for equal ones. A member of weight 0 does not count.

    Returns:
        A `Certificate`.

    Raises:
        InputError: sets and scores that do not fit together, or bad weights.

    Examples:
        >>> from theorylab.robustness.ensembles import Ellipsoid
        >>> flat = [Ellipsoid([[1 / 9, 0.0], [0.0, 1.0]]), Ellipsoid([[1.0, 0.0], [0.0, 1 / 9]])]
        >>> Q = ensemble_certificate(flat, [[1.0, 0.0], [1.0, 0.0]])
        >>> round(Q.inradius(), 4), [round(s_certificate(S, 1.0).inradius(), 4) for S in flat]
        (0.2236, [0.1667, 0.1667])
    """
    values = checks.finite("scores", scores, ndim=2)
    if not isinstance(sets, Sequence) or len(sets) != len(values):
        given = len(sets) if isinstance(sets, Sequence) else checks.shown(sets)
        raise InputError(f"sets: {given} given for {len(values)} members; one each is needed")
    shares = ensemble_weights(weights, len(values))
    found = ensemble_gap(values, shares)
    if all(isinstance(S, SupportSet) for S in sets):
        return s_certificate(minkowski(list(sets), shares), found.gap)  # type: ignore[arg-type]
    per_class = [_of_classes(i, S, values.shape[1]) for i, S in enumerate(sets)]
    if is_traced(values, shares):
        raise InputError("sets for each class: the top class must be known, outside of jit")
    top = int(found.top)
    mean = ensemble_scores(values, shares)
    rivals = [c for c in range(values.shape[1]) if c != top]
    return pairwise_certificate(
        [
            minkowski([minkowski([own[c], reflect(own[top])]) for own in per_class], shares)
            for c in rivals
        ],
        np.asarray([mean[top] - mean[c] for c in rivals]),
    )


def member_certificates(
    sets: Sequence[SupportSet], scores: Float[ArrayLike, "N K"]
) -> list[Certificate]:
    """The certificates of the members by themselves, each around its own top class.

    Args:
        sets: N of them, of all scores of each member.
        scores: (N, K) at one point.

    Returns:
        N certificates.

    Raises:
        InputError: sets and scores of different numbers.
    """
    values = checks.finite("scores", scores, ndim=2)
    parts = many_sets("sets", sets)
    if len(parts) != len(values):
        raise InputError(f"sets: {len(parts)} given for {len(values)} members; one each is needed")
    gaps = prediction_gap(values).gap
    return [s_certificate(S, gap) for S, gap in zip(parts, gaps, strict=True)]


def ensemble_regime(
    scores: Float[ArrayLike, "N *n K"], weights: Float[ArrayLike, " N"] | None = None
) -> np.ndarray:
    """How far the members agree, which decides what their ensemble can be.

    A tie counts for each of the classes that tie, as the theorems do; members of weight 0 do not
    count.

    Args:
        scores: (N, *n, K).
        weights: (N,); None for equal ones.

    Returns:
        (*n) of "agree_AB" (on the top class and on a runner-up: never better than the best member
        in any direction), "agree_A" (on the top class: never worse than the worst) or "disagree".

    Raises:
        InputError: as `ensemble_gap`.

    Examples:
        >>> str(ensemble_regime([[1.0, 0.5, 0.0], [1.0, 0.0, 0.5]]))
        'agree_A'
    """
    prediction_gap(scores)
    values = np.asarray(scores, np.float64)
    if values.ndim < 2:
        raise InputError(f"scores has shape {values.shape}; (N, ..., K) is needed")
    values = values[ensemble_weights(weights, len(values)) > 0]
    best = values == values.max(-1, keepdims=True)
    together = best.all(0)  # (*n, K): classes that are on top of every member
    classes = np.arange(values.shape[-1])
    agree_b = np.zeros(together.shape[:-1], bool)
    for a in classes:
        others = np.where(classes == a, -np.inf, values)
        second = (others == others.max(-1, keepdims=True)).all(0).any(-1)
        agree_b |= together[..., a] & second
    return np.where(agree_b, "agree_AB", np.where(together.any(-1), "agree_A", "disagree"))


def compare_certificates(
    Q: Any,
    members: Sequence[Any],
    directions: Float[ArrayLike, "n d"] | None = None,
    *,
    n: int = 720,
    tol: float = 1e-9,
) -> Comparison:
    """Where a certificate ends against those of the members, on a grid of directions.

    Args:
        Q: of the ensemble.
        members: their certificates.
        directions: (n, d); None for `grid`, equal angles in the plane.
        n: how many of these.
        tol: relative difference of lengths that does not count.

    Returns:
        A `Comparison`.

    Raises:
        InputError: no members, or dimensions that are not known or differ.
    """
    if not isinstance(members, Sequence) or not members:
        raise InputError(f"members = {checks.shown(members)}; a list of certificates is needed")
    checks.number("tol", tol, 0)
    if directions is None:
        known = [c.dimension for c in (Q, *members) if c.dimension is not None]
        if not known:
            raise InputError("directions = None and no dimension is known; give directions (n, d)")
        directions = grid(known[0], n)
    t = Q.radial(directions)
    each = np.stack([member.radial(directions) for member in members])
    low, high = each.min(0), each.max(0)
    return Comparison(
        bool((t >= low * (1 - tol)).all()),
        bool((t <= high * (1 + tol)).all()),
        bool((t > high * (1 + tol)).all()),
        bool((t < low * (1 - tol)).all()),
    )


def ensemble_weights(weights: Any, count: int) -> Any:
    """Weights that are at least 0 and sum to 1, equal where none are given."""
    if weights is None:
        return np.full(count, 1 / count)
    weights = checks.probabilities("weights", weights, ndim=1)
    if len(weights) != count:
        raise InputError(f"weights: {len(weights)} given for {count} members; one each is needed")
    return weights if is_traced(weights) else np.asarray(weights, np.float64)


def _of_classes(i: int, S: Any, count: int) -> list[SupportSet]:
    """The sets of each score of a member."""
    if isinstance(S, SupportSet):
        return [S] * count
    parts = many_sets(f"sets[{i}]", S)
    if len(parts) != count:
        raise InputError(f"sets[{i}]: {len(parts)} given for {count} classes; one each is needed")
    return [one_set(f"sets[{i}]", part) for part in parts]
