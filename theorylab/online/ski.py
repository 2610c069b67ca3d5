"""Ski rental on whole days: costs, exact competitive ratios, and the algorithms with a prediction.

Renting costs 1 a day, buying costs b (a whole number from 2 on). Buying on day j = 1, 2, ... means
j-1 days of rent first. A randomised algorithm is a distribution (K,) over the buying days 1..K;
what it lacks to 1 (if more than 1e-6) never buys. Costs are exact expectations, never sampled.

Source: Purohit, Svitkina, Kumar (2018, PSK), algorithms 2 and 3; Wei, Zhang (2020, WZ); exact
ratios: docs/derivations/ski_rental.md, statements 1 and 2.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, ArrayLike, Float

from theorylab import checks
from theorylab.errors import InputError
from theorylab.online.checks import answered, backend, price, within
from theorylab.precision import float64_inside, is_traced

_ROUND = 1e-12  # lam b that is whole but for rounding counts as whole
_MASS = 1e-6  # probabilities may come in float32: a sum this close to 1 is 1


@float64_inside
def ski_cost(buy_day: Any, days: Any, b: int) -> Float[Array, "..."]:
    """Cost of buying on a day when the season has this number of days.

    Args:
        buy_day: from 1 on; infinity never buys.
        days: length of the season, >= 0.
        b: price.

    Returns:
        The cost, of the common shape.

    Raises:
        InputError: values out of range, shapes that do not broadcast.

    Examples:
        >>> ski_cost(3, np.array([2, 3, 10]), 5).tolist()
        [2.0, 7.0, 7.0]
    """
    j = within("buy_day", buy_day, 1.0)
    x = within("days", days, 0.0)
    checks.broadcast(buy_day=j, days=x)
    xp = backend(j, x)
    return xp.where(x < j, x, j - 1 + price(b))


@float64_inside
def ski_ratios(
    distribution: Float[ArrayLike, " K"], b: int, days: Float[ArrayLike, "..."]
) -> Float[Array, "..."]:
    """Expected cost over min(days, b), for a distribution over buying days.

    From day max(K, b) on the ratio is constant if the distribution has mass 1.

    Args:
        distribution: (K,) probabilities of the buying days 1..K.
        b: price.
        days: seasons of whole lengths >= 1, of any shape.

    Returns:
        Ratios, of the shape of `days`.

    Raises:
        InputError: negative probabilities, a sum above 1, or seasons that are not whole numbers of
            days.
    """
    b = price(b)
    q = within("distribution", distribution, 0.0, 1 + _MASS, ndim=1)
    if not is_traced(q) and q.sum() > 1 + _MASS:
        raise InputError(
            f"distribution sums to {q.sum():g}; needed: at most 1 (the rest never buys)."
        )
    x = within("days", days, 1.0, whole=True)
    xp = backend(q, x)
    bought = xp.append(0.0, xp.cumsum(q))
    paid = xp.append(0.0, xp.cumsum(q * (xp.arange(q.size) + b)))
    last = xp.minimum(x, q.size).astype(xp.int32)
    bought, paid = bought[last], paid[last]
    waiting = xp.maximum(1 - bought, 0.0)
    # rounding must not rent for ever
    waiting = xp.where((last == q.size) & (waiting <= _MASS), 0.0, waiting)
    return (paid + xp.where(waiting > 0, x, 0.0) * waiting) / xp.minimum(x, b)


@float64_inside
def deterministic_buy_day(prediction: Any, b: int, lam: Any) -> Float[Array, "..."]:
    """PSK's algorithm 2: day ceil(lam b) if the prediction is at least b, else ceil(b / lam).

    (1+lam)-consistent and (1 + 1/lam)-robust; optimal among deterministic algorithms as b grows
    (WZ). `randomized_buy_distribution` trades better in expectation.

    Args:
        prediction: predicted days, >= 0.
        b: price.
        lam: trust, in ]0, 1]; small trusts more.

    Returns:
        The buying day, of the common shape.

    Raises:
        InputError: values out of range, shapes that do not broadcast, or a day beyond float64.

    Examples:
        >>> float(deterministic_buy_day(200, 100, 0.5)), float(deterministic_buy_day(20, 100, 0.5))
        (50.0, 200.0)
    """
    y, lam, b = (
        within("prediction", prediction),
        within("lam", lam, 0.0, 1.0, open_low=True),
        price(b),
    )
    checks.broadcast(prediction=y, lam=lam)
    xp = backend(y, lam)
    return xp.where(y >= b, xp.ceil(lam * b * (1 - _ROUND)), _late(y, b, lam))


@float64_inside
def randomized_support(prediction: Any, b: int, lam: Any) -> Float[Array, "..."]:
    """Last buying day of PSK's algorithm 3.

    floor(lam b), at least 1, if the prediction is >= b; else ceil(b / lam).

    Args:
        prediction: predicted days, >= 0.
        b: price.
        lam: trust, in ]0, 1].

    Returns:
        The day k, of the common shape.

    Raises:
        InputError: values out of range, shapes that do not broadcast, or a day beyond float64.
    """
    y, lam, b = (
        within("prediction", prediction),
        within("lam", lam, 0.0, 1.0, open_low=True),
        price(b),
    )
    checks.broadcast(prediction=y, lam=lam)
    xp = backend(y, lam)
    return xp.where(y >= b, xp.maximum(xp.floor(lam * b * (1 + _ROUND)), 1.0), _late(y, b, lam))


def _late(y: Any, b: int, lam: Any) -> Any:
    """ceil(b / lam), asked for where the prediction is below b."""
    xp = backend(y, lam)
    with np.errstate(over="ignore"):
        days = b / xp.where(y >= b, 1.0, lam)
    return xp.ceil(answered(days, lam=lam) * (1 - _ROUND))


@float64_inside
def randomized_buy_distribution(
    prediction: Any, b: int, lam: Any, *, max_days: int | None = None
) -> Float[Array, " K"]:
    """PSK's algorithm 3: probabilities of the buying days for one prediction.

    q_i = ((b-1)/b)^(k-i) / (b (1 - (1-1/b)^k)) on i <= k, see `randomized_support`. Its expected
    cost is exactly x/(1-(1-1/b)^k) for every season of x <= k days: for k <= b that is its
    robustness; for k > b its ratio grows up to k/b times as much. At a known robustness
    `optimal_buy_distribution` is as consistent as can be.

    Args:
        prediction: predicted days, one number >= 0.
        b: price.
        lam: trust, in ]0, 1], one number.
        max_days: K, by default ceil(b / lam), which needs a known lam.

    Returns:
        (K,) probabilities.

    Raises:
        InputError: values out of range; `max_days` missing under jit, or shorter than the support.

    Source:
        PSK, algorithm 3; docs/derivations/ski_rental.md, statement 2.

    Examples:
        >>> q = randomized_buy_distribution(20, 10, 0.4, max_days=4)
        >>> q.round(4).tolist()
        [0.212, 0.2355, 0.2617, 0.2908]
        >>> ski_ratios(q, 10, np.arange(1, 5)).round(4).tolist()  # the same for every season
        [2.9078, 2.9078, 2.9078, 2.9078]
    """
    b = price(b)
    k = within("support", randomized_support(prediction, b, lam))
    if k.ndim:
        raise InputError(
            f"prediction and lam have shape {k.shape}; needed: one number each (vmap over many)."
        )
    if max_days is None:
        if is_traced(lam):
            raise InputError(
                "max_days is missing; needed under jit, where the support's length is unknown."
            )
        max_days = int(randomized_support(0.0, b, lam))
    if checks.count("max_days", max_days, 1) and not is_traced(k) and max_days < float(k):
        raise InputError(
            f"max_days is {max_days}; needed: at least the support's {float(k):g} days."
        )
    xp, rate = backend(k), np.log1p(-1 / b)
    wait = xp.maximum(k - xp.arange(1, max_days + 1), -1.0)
    # Powers of (b-1)/b as exponentials, so that nothing overflows.
    return xp.where(wait >= 0, xp.exp(wait * rate) / (-b * xp.expm1(k * rate)), 0.0)


@float64_inside
def randomized_worst_ratio(b: int, support: Any) -> Float[Array, "..."]:
    """Cost per day of the exponential distribution on 1..k: 1/(1 - (1-1/b)^k).

    Its ratio for every season of up to min(k, b) days, so its robustness for k <= b; for k > b that
    is k/b times as much. With k <= b its consistency at predictions >= b is k/b times this.

    Args:
        b: price.
        support: k >= 1.

    Returns:
        The ratio, of the shape of k.

    Raises:
        InputError: values out of range.
    """
    k = within("support", support, 1.0)
    return -1 / backend(k).expm1(k * np.log1p(-1 / price(b)))


class RandomizedGuarantees(NamedTuple):
    """Published ratios of the randomised algorithm.

    Attributes:
        robustness: with any prediction.
        consistency: with a perfect one.
    """

    robustness: Float[Array, "..."]
    consistency: Float[Array, "..."]


@float64_inside
def randomized_guarantees(b: int, lam: Any) -> RandomizedGuarantees:
    """PSK's published robustness and consistency of algorithm 3.

    (1+1/b)/(1-e^-(lam-1/b)) and lam/(1-e^-lam). Not exact, see `randomized_worst_ratio`; flooring
    lam b puts the exact robustness above 1/(1-e^-lam).

    Args:
        b: price.
        lam: trust, in ]1/b, 1].

    Returns:
        `RandomizedGuarantees`, each of the shape of lam.

    Raises:
        InputError: values out of range.
    """
    b = price(b)
    lam = within("lam", lam, 1 / b, 1.0, open_low=True)
    xp = backend(lam)
    return RandomizedGuarantees((1 + 1 / b) / -xp.expm1(-(lam - 1 / b)), lam / -xp.expm1(-lam))


@float64_inside
def deterministic_lower_bound(lam: Any, b: int | None = None) -> Float[Array, "..."]:
    """Robustness that no deterministic (1+lam)-consistent algorithm can beat.

    1 + 1/lam in the limit of large b, 1 + (b-1)/(lam b + 1) at price b.

    Args:
        lam: > 0.
        b: price; None for the limit.

    Returns:
        The ratio, of the shape of lam.

    Raises:
        InputError: values out of range, or a lam whose inverse is beyond float64.

    Source:
        WZ, theorem for deterministic ski rental.
    """
    lam = within("lam", lam, 0.0, open_low=True)
    with np.errstate(over="ignore"):
        bound = 1 + 1 / lam if b is None else 1 + (price(b) - 1) / (lam * b + 1)
    return answered(bound, lam=lam)


def as_distribution(rule: Any, *, longest: int = 10_000_000) -> np.ndarray:
    """A buying rule as probabilities (K,).

    A single number is a buying day (infinity: never), an array is itself.
    """
    value = np.asarray(checks.real("rule (what it gave)", rule), dtype=np.float64)
    if value.ndim:
        return value
    if not value >= 1 or (np.isfinite(value) and (value != int(value) or value > longest)):
        raise InputError(
            f"the rule gave the buying day {value}; needed: a whole number from 1 on, or infinity."
        )
    if np.isinf(value):
        return np.zeros(1)
    return np.eye(1, int(value), int(value) - 1)[0]
