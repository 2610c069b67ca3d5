"""SSL-W on real data: classifiers of unit length are mixed, by a weight chosen on held-out points.

One weight serves every comparison: choosing it for each would inflate the gains. Chosen by the
error on the test points it is an "oracle", by the error on labelled validation points "labelled",
by the mean distance of validation points to the boundary "unlabelled-margin". Pure functions on
arrays; `jit` and `vmap` them with a static criterion.

Source: Tifrea et al. (2023), experiments on real data.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from theorylab.checks import choice, within
from theorylab.errors import InputError
from theorylab.mixtures.checks import floats, labelled, row_weights
from theorylab.mixtures.logistic import LinearRule, check_rule
from theorylab.precision import as_float64, float64_inside

CRITERIA = ("oracle", "labelled", "unlabelled-margin")
WEIGHTS = np.linspace(0.0, 1.0, 21)


class Selected(NamedTuple):
    """The chosen mixture of two classifiers.

    Attributes:
        weight: t of SL.
        rule: the mixed classifier.
    """

    weight: Float[Array, ""]
    rule: LinearRule


def oriented(
    rule: LinearRule,
    X_l: Float[Array, "n d"],
    y_l: Float[Array, " n"],
    *,
    sample_weight: Float[Array, " n"] | None = None,
) -> LinearRule:
    """Turn a rule to the side that the labels take: UL+ on real data.

    The rule or its negative, whichever the majority of labels sides with (a tie: the mean score).

    Args:
        rule: a `LinearRule` classifier found without labels.
        X_l: (n, d) labelled samples.
        y_l: (n,) labels -1 or +1.
        sample_weight: (n,) >= 0.

    Returns:
        A `LinearRule` classifier.

    Raises:
        InputError: shapes that do not fit, other labels.
    """
    X_l, y_l = labelled(X_l, y_l)
    check_rule("rule", rule, X_l.shape[1])
    weights = row_weights("sample_weight", sample_weight, X_l=X_l)
    margins = y_l * rule.score(X_l)
    votes = weights @ jnp.sign(margins)
    sign = jnp.where(votes == 0, jnp.where(weights @ margins >= 0, 1, -1), jnp.sign(votes)).astype(
        X_l.dtype
    )
    return LinearRule(sign * rule.weight, sign * rule.intercept)


@float64_inside
def mix(sl: LinearRule, ulp: LinearRule, weights: Any) -> LinearRule:
    """Mix two rules scaled to length 1: t SL + (1 - t) UL+, for every t.

    Args:
        sl, ulp: the two `LinearRule` classifiers.
        weights: values of t, in [0, 1].

    Returns:
        One stacked `LinearRule`.

    Raises:
        InputError: weights outside [0, 1], rules that do not fit.
    """
    check_rule("sl", sl)
    check_rule("ulp", ulp, np.shape(sl.weight)[0])
    t = as_float64(within("weights", weights, 0.0, 1.0))
    a, b = sl.normalised(), ulp.normalised()
    return LinearRule(
        t[..., None] * a.weight + (1 - t[..., None]) * b.weight,
        t * a.intercept + (1 - t) * b.intercept,
    )


def select_weight(
    sl: LinearRule,
    ulp: LinearRule,
    X: Float[Array, "n d"],
    y: Float[Array, " n"] | None = None,
    *,
    criterion: str,
    weights: Any = WEIGHTS,
    sample_weight: Float[Array, " n"] | None = None,
) -> Selected:
    """Choose the best weight t of SL on the given points.

    Of equally good weights the one nearest to 1/2 is taken.

    Args:
        sl, ulp: the two `LinearRule` classifiers.
        X: (n, d) points.
        y: (n,) labels; "unlabelled-margin" needs none.
        criterion: "oracle" and "labelled" take the least error, "unlabelled-margin" the largest
            mean distance to the boundary.
        weights: values of t to try.
        sample_weight: (n,) of the points; zero leaves one out.

    Returns:
        A `Selected`.

    Raises:
        InputError: an unknown criterion, missing labels, shapes that do not fit.
    """
    choice("criterion", criterion, CRITERIA)
    if criterion != "unlabelled-margin" and y is None:
        raise InputError(f"criterion={criterion!r} needs labels y of the points X")
    within("weights", weights, 0.0, 1.0, ndim=1)
    mixed = mix(sl, ulp, weights).normalised()
    X = floats("X", X, shape=(None, mixed.weight.shape[1]))
    if y is None or criterion == "unlabelled-margin":
        mass = None if sample_weight is None else row_weights("sample_weight", sample_weight, X=X)
        cost = -jnp.average(jnp.abs(mixed.score(X)), axis=-1, weights=mass)
    else:
        cost = mixed.error(X, y, sample_weight=sample_weight)
    t = jnp.asarray(weights, cost.dtype)
    best = jnp.argmin(jnp.where(cost <= jnp.min(cost), jnp.abs(t - 0.5), jnp.inf))
    return Selected(t[best], LinearRule(mixed.weight[best], mixed.intercept[best]))
