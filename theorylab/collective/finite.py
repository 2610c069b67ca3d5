"""Exact theory on finite spaces: a base law on m points x K labels, a signal on the points.

P0 is (m, K), g (m,) with g[x] the signalled version of x, y_star the target label. `phi` (m,),
where it is taken, merges points that a learner cannot tell apart: the learner is then the Bayes
classifier among functions of phi(x). Everything is float64, whatever the caller runs in; sizes
`alpha` may have any shape; all functions can be vmapped.

Ties are lost: y* is predicted where it is strictly the most likely label.

Source: the framework of Hardt et al. (ICML 2023), section 2; our derivations,
docs/derivations/collective_success.md, statements 1 and 4.
"""

from typing import Literal

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from theorylab import checks
from theorylab.collective.checks import world
from theorylab.precision import as_float64, float64_inside

Law = Float[ArrayLike, "m k"]
Map = Int[ArrayLike, "m"]
Strategy = Literal["feature_label", "feature_only", "erasure"]
STRATEGIES = ("feature_label", "feature_only", "erasure")


@float64_inside
def uniqueness(P0: Law, g: Map, *, phi: Map | None = None) -> Float[Array, ""]:
    """Uniqueness xi = P0(X*): how often the base population shows the signal by itself.

    Small is rare is good for the collective.

    Args:
        P0: (m, K) base law.
        g: (m,) signal.
        phi: (m,) what the learner sees, by default all.

    Returns:
        The probability.

    Raises:
        InputError: P0 is no law, g or phi no map of its points.
    """
    world(P0, g, 0, phi)
    planted, base = _signal(as_float64(P0), g, phi)
    return base.sum(1) @ (planted > 0)


@float64_inside
def suboptimality_gap(P0: Law, g: Map, y_star: int, *, phi: Map | None = None) -> Float[Array, ""]:
    """Gap delta = max over signalled points of [max_y P0(y | x) - P0(y* | x)]_+.

    Args:
        P0: (m, K) base law.
        g: (m,) signal.
        y_star: target label.
        phi: (m,) what the learner sees, by default all.

    Returns:
        The gap, in [0, 1].

    Raises:
        InputError: P0 is no law, g or phi no map of its points, y_star no label.
    """
    world(P0, g, y_star, phi)
    return _gap(*_signal(as_float64(P0), g, phi), y_star)


@float64_inside
def label_floor(P0: Law, y_star: int) -> Float[Array, ""]:
    """Floor p = min over the points that occur of P0(y* | x), which `feature_only_bound` needs.

    Args:
        P0: (m, K) base law.
        y_star: target label.

    Returns:
        The probability.

    Raises:
        InputError: P0 is no law, y_star no label.
    """
    world(P0, np.arange(len(checks.real("P0", P0, ndim=2))), y_star)
    law = as_float64(P0)
    mass = law.sum(1)
    return jnp.min(jnp.where(mass > 0, law[:, y_star] / jnp.where(mass > 0, mass, 1), jnp.inf))


@float64_inside
def thresholds(P0: Law, g: Map, y_star: int, *, phi: Map | None = None) -> Float[Array, " m"]:
    """Size above which the Bayes classifier gives each signalled point the target label.

    Args:
        P0: (m, K) base law.
        g: (m,) signal.
        y_star: target label.
        phi: (m,) what the learner sees, by default all.

    Returns:
        (m,) sizes; NaN for points that are nobody's signalled version.

    Raises:
        InputError: P0 is no law, g or phi no map of its points, y_star no label.
    """
    world(P0, g, y_star, phi)
    planted, base = _signal(as_float64(P0), g, phi)
    gap = _lead(base, y_star)
    critical = jnp.where(gap > 0, gap / jnp.where(gap > 0, gap + planted, 1), 0.0)
    return jnp.where(planted > 0, critical, jnp.nan)


@float64_inside
def success_staircase(
    P0: Law, g: Map, y_star: int, alpha: Float[ArrayLike, "*a"], *, phi: Map | None = None
) -> Float[Array, "*a"]:
    """Exact success of a collective that sets signal and label, against the Bayes classifier.

    S(alpha) = sum over signalled x* of P*(x*) 1{alpha P*(x*) > (1 - alpha) gap(x*)}, with P*(x*) =
    P0(g^-1(x*)) and gap(x*) = max_{y != y*} P0(x*, y) - P0(x*, y*): a staircase in alpha with steps
    at `thresholds`. Against re-weighting learners use `reweighted_success` or `population_jtt`.

    Args:
        P0: (m, K) base law.
        g: (m,) signal.
        y_star: target label.
        alpha: sizes, in [0, 1], of any shape.
        phi: (m,) what the learner sees, by default all.

    Returns:
        Success, of the shape of `alpha`.

    Raises:
        InputError: P0 is no law, g or phi no map of its points, y_star no label, alpha outside [0,
            1].

    Examples:
        >>> P0 = np.array([[0.5, 0.3], [0.15, 0.05]])  # two points, two labels
        >>> success_staircase(P0, [1, 1], 1, np.array([0.05, 0.1])).tolist()
        [0.0, 1.0]
        >>> round(float(thresholds(P0, [1, 1], 1)[1]), 4)  # 0.1 / 1.1
        0.0909
    """
    world(P0, g, y_star, phi)
    checks.within("alpha", alpha, 0, 1)
    planted, base = _signal(as_float64(P0), g, phi)
    size = as_float64(alpha)[..., None]
    return (planted * (size * planted > (1 - size) * _lead(base, y_star))).sum(-1)


@float64_inside
def planted_law(
    P0: Law, g: Map, y_star: int, *, strategy: Strategy = "feature_label"
) -> Float[Array, "m k"]:
    """P*, the law of the data of a member of the collective.

    Args:
        P0: (m, K) base law.
        g: (m,) signal.
        y_star: target label; "erasure" does not use it.
        strategy: "feature_label" sets the signal and the label; "feature_only" sets the signal
            where the label already is y*; "erasure" leaves the features and gives the most likely
            label of the signalled point.

    Returns:
        (m, K) law.

    Raises:
        InputError: P0 is no law, g no map of its points, y_star no label, an unknown strategy.
    """
    world(P0, g, y_star)
    checks.choice("strategy", strategy, STRATEGIES)
    law, g = as_float64(P0), jnp.asarray(g)
    mass = law.sum(1)
    if strategy == "feature_label":
        return jnp.zeros_like(law).at[g, y_star].add(mass)
    if strategy == "feature_only":
        return law.at[:, y_star].set(jnp.zeros_like(mass).at[g].add(law[:, y_star]))
    return jnp.zeros_like(law).at[jnp.arange(len(law)), law[g].argmax(1)].add(mass)


@float64_inside
def bayes_labels(P: Law, y_star: int) -> Int[Array, " m"]:
    """Most likely label of every point; y_star only where it is strictly the most likely.

    Args:
        P: (m, K) law.
        y_star: target label.

    Returns:
        (m,) labels.

    Raises:
        InputError: P is no law, y_star no label.
    """
    world(P, np.zeros(len(checks.real("P", P, ndim=2)), int), y_star, law="P")
    return _bayes(as_float64(P), y_star)


@float64_inside
def success_of(
    P: Law, P0: Law, g: Map, y_star: int, *, goal: Strategy = "feature_label"
) -> Float[Array, ""]:
    """Success of the collective when the classifier is Bayes for any law P on the same points.

    P_{x ~ P0}(f(g(x)) = y*), or P_{x ~ P0}(f(g(x)) = f(x)) for the goal "erasure".

    Args:
        P: (m, K) law that the classifier is Bayes for.
        P0: (m, K) base law.
        g: (m,) signal.
        y_star: target label.
        goal: "feature_label", "feature_only" or "erasure".

    Returns:
        The success, in [0, 1].

    Raises:
        InputError: P or P0 is no law, g no map of its points, y_star no label, an unknown goal.
    """
    world(P0, g, y_star)
    checks.real("P", checks.probabilities("P", P), shape=np.shape(P0))
    checks.choice("goal", goal, STRATEGIES)
    labels = _bayes(as_float64(P), y_star)
    wanted = labels if goal == "erasure" else y_star
    return as_float64(P0).sum(1) @ (labels[jnp.asarray(g)] == wanted)


def _signal(
    law: Float[Array, "m k"], g: Map, phi: Map | None
) -> tuple[Float[Array, " m"], Float[Array, "m k"]]:
    """What the learner sees at each (merged) point.

    The mass that the collective plants there, and the base law.
    """
    law, target = law / law.sum(), jnp.asarray(g)
    mass = law.sum(1)
    if phi is not None:
        merge = jnp.asarray(phi)
        target, law = merge[target], jnp.zeros_like(law).at[merge].add(law)
    return jnp.zeros_like(mass).at[target].add(mass), law


def _lead(base: Float[Array, "m k"], y_star: ArrayLike) -> Float[Array, " m"]:
    """How far y* is behind the best other label at every point.

    As a joint probability; negative where it leads.
    """
    others = jnp.where(jnp.arange(base.shape[1]) == y_star, -jnp.inf, base).max(1)
    # with one label there is no other
    return jnp.where(jnp.isfinite(others), others, 0.0) - base[:, y_star]


def _gap(
    planted: Float[Array, " m"], base: Float[Array, "m k"], y_star: ArrayLike
) -> Float[Array, ""]:
    mass = base.sum(1)
    conditional = _lead(base, y_star) / jnp.where(mass > 0, mass, 1)
    return jnp.max(jnp.where((planted > 0) & (mass > 0), jnp.maximum(conditional, 0), 0.0))


def _bayes(law: Float[Array, "m k"], y_star: ArrayLike) -> Int[Array, " m"]:
    others = jnp.where(jnp.arange(law.shape[1]) == y_star, -jnp.inf, law).argmax(1)
    return jnp.where(_lead(law, y_star) < 0, jnp.asarray(y_star), others)
