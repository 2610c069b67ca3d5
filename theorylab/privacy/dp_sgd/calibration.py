"""How much noise a budget asks for, and what a descent with that noise has spent.

The *noise multiplier* is the standard deviation of the noise on the sum of clipped gradients over
the clipping norm. Two relations between neighbours are known, and they cost differently:

- `"add-remove"`: one record is added or taken away (its weight goes to 0; the normaliser of the
  gradient is a public number and does not change). The sum moves by at most the clipping norm.
- `"replace"`: one record takes the place of another. The sum moves by up to twice the clipping
  norm.

With a sampling rate of 1 both are one Gaussian mechanism, whose (epsilon, delta) is exact (Balle &
Wang 2018). With Poisson samples, `"add-remove"` is accounted by privacy-loss distributions of
`dp-accounting` (never too small: losses are rounded up), and `"replace"` by the Rényi curve of
`renyi.replaced_subsampled_gaussian_curve`.
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.optimize import brentq

from theorylab import checks
from theorylab.errors import InputError
from theorylab.privacy import renyi

RELATIONS = ("add-remove", "replace")
ACCOUNTANTS = ("pld", "rdp")
TOLERANCE = 1e-4  # of a calibrated noise multiplier, relative, on the side of too much noise
LARGEST = math.log(1e6)  # of its logarithm
LEAST = 1e-100  # of noise: the square of the inverse is a number still


def spent_epsilon(
    noise_multiplier: float,
    *,
    delta: float,
    sampling_rate: float = 1.0,
    steps: int,
    relation: str = "add-remove",
    accountant: str = "pld",
) -> float:
    """The epsilon that a private descent has spent when all of its iterates are seen.

    Args:
        noise_multiplier: noise standard deviation on the *sum* of clipped gradients over the
            clipping norm; at 0 (and below 1e-100) nothing is private, and epsilon is infinite.
        delta: above 0 and below 1.
        sampling_rate: probability that a record is in the sample of a step, above 0 and at most 1.
        steps: number of noisy sums that are released.
        relation: "add-remove" or "replace", the neighbours of a data set.
        accountant: "pld" (privacy-loss distributions, tight) or "rdp" (Rényi, faster, larger). With
            a sampling rate of 1 both are the exact Gaussian; "replace" with a rate below 1 has
            "rdp" alone, which is what it then gets.

    Returns:
        Epsilon, at least 0.

    Raises:
        InputError: an argument out of range, or the package dp-accounting is missing.

    Source:
        Balle & Wang 2018, theorem 8; Mironov, Talwar & Zhang 2019; Doroshenko, Ghazi, Kamath, Kumar
        & Manurangsi 2022 (dp-accounting).

    Examples:
        >>> round(spent_epsilon(10.0, delta=1e-5, steps=100), 5)
        4.37718
    """
    noise = float(checks.number("noise_multiplier", noise_multiplier, 0.0))
    probability, rate, many = _plan(delta, sampling_rate, steps, relation, accountant)
    if noise < LEAST:
        return math.inf
    return _spent(noise, probability, rate, many, relation, accountant)


def noise_multiplier(
    epsilon: float,
    *,
    delta: float,
    sampling_rate: float = 1.0,
    steps: int,
    relation: str = "add-remove",
    accountant: str = "pld",
) -> float:
    """The smallest noise multiplier that spends at most this epsilon, to one part in ten thousand.

    `spent_epsilon` of what is returned is at most `epsilon`: that is looked at, not assumed.

    Args:
        epsilon: the budget, above 0; infinity asks for no noise.
        delta: above 0 and below 1.
        sampling_rate: probability that a record is in the sample of a step, above 0 and at most 1.
        steps: number of noisy sums that are released.
        relation: "add-remove" or "replace", the neighbours of a data set.
        accountant: "pld" or "rdp", as in `spent_epsilon`.

    Returns:
        The noise standard deviation on the sum of clipped gradients over the clipping norm.

    Raises:
        InputError: an argument out of range, a budget that no noise below 1e6 keeps, or the package
            dp-accounting is missing.

    Source:
        As `spent_epsilon`.

    Examples:
        >>> round(noise_multiplier(0.1, delta=1e-5, steps=1), 3)  # 1 / 0.0325208
        30.75
    """
    budget = float(checks.within("epsilon", epsilon, 0.0, open_low=True, infinite=True, ndim=0))
    plan = _plan(delta, sampling_rate, steps, relation, accountant)
    if math.isinf(budget):
        return 0.0
    return _calibrated(budget, *plan, relation, accountant)


def total_epsilon(
    parts: Sequence[tuple[float, float, int]], *, delta: float, relation: str = "add-remove"
) -> float:
    """The epsilon of several descents and other Gaussian sums on the same records, all together.

    Use it where directions or scales are paid for before a descent, `baselines.private_pca` say.

    Args:
        parts: (noise multiplier, sampling rate, steps) of each.
        delta: above 0 and below 1.
        relation: "add-remove" or "replace"; the latter by Rényi curves where a rate is below 1.

    Returns:
        Epsilon, at least 0, which is less than the sum of those of the parts.

    Raises:
        InputError: an argument out of range, or the package dp-accounting is missing.

    Source:
        As `spent_epsilon`.

    Examples:
        >>> round(total_epsilon([(2.0, 1.0, 1), (2.0, 1.0, 3)], delta=1e-5), 5)
        4.37718
    """
    three = "(noise multiplier, sampling rate, steps)"
    if not isinstance(parts, (list, tuple)) or any(np.shape(part) != (3,) for part in parts):
        raise InputError(f"parts = {checks.shown(parts)}; a list of {three} is needed")
    if not parts:
        raise InputError(f"parts is empty; at least one {three} is needed")
    plans = [_plan(delta, rate, steps, relation, "pld") for _, rate, steps in parts]
    noises = [float(checks.number("noise multiplier", noise, 0.0)) for noise, _, _ in parts]
    if min(noises) < LEAST:
        return math.inf
    if all(rate == 1 for _, rate, _ in plans):
        change = 2.0 if relation == "replace" else 1.0
        squares = [steps / noise**2 for noise, (_, _, steps) in zip(noises, plans, strict=True)]
        return renyi.gaussian_epsilon(change * math.sqrt(sum(squares)), delta=delta)
    given = [
        {"noise_multiplier": noise, "sampling_rate": rate, "steps": steps}
        for noise, (_, rate, steps) in zip(noises, plans, strict=True)
    ]
    if relation == "replace":
        curves = [_replaced_curve(one) for one in given]
        return renyi.to_epsilon(renyi.composed(*curves), delta=delta).epsilon
    library = accounting_library()
    width = min(_width(noise, rate, n) for noise, (_, rate, n) in zip(noises, plans, strict=True))
    accountant = library.pld.PLDAccountant(value_discretization_interval=width)
    for noise, (_, rate, steps) in zip(noises, plans, strict=True):
        event = library.GaussianDpEvent(noise)
        accountant.compose(
            event if rate == 1 else library.PoissonSampledDpEvent(rate, event), steps
        )
    return max(float(accountant.get_epsilon(delta)), 0.0)


def _replaced_curve(given: Any) -> renyi.Curve:
    if given["sampling_rate"] < 1:
        return renyi.replaced_subsampled_gaussian_curve(**given)
    return renyi.zcdp_curve(2 * given["steps"] / given["noise_multiplier"] ** 2)


@lru_cache(maxsize=256)
def _calibrated(
    budget: float, delta: float, rate: float, steps: int, relation: str, accountant: str
) -> float:
    change = 2.0 if relation == "replace" else 1.0
    shift = _gaussian_shift(budget, delta)  # of the one Gaussian that spends the budget
    if rate == 1:
        start, tol = change * math.sqrt(steps) / shift, 1e-9
    else:  # the central limit of Dong, Roth & Su 2022, to start from
        start, tol = 1 / math.sqrt(math.log1p((shift / (change * rate)) ** 2 / steps)), TOLERANCE
    return _smallest(
        lambda noise: _spent(noise, delta, rate, steps, relation, accountant), budget, start, tol
    )


def _gaussian_shift(epsilon: float, delta: float) -> float:
    top = 1.0
    while renyi.gaussian_epsilon(top, delta=delta) < epsilon:
        top *= 2
    return float(brentq(lambda mu: renyi.gaussian_epsilon(mu, delta=delta) - epsilon, delta, top))


def _smallest(spent: Callable[[float], float], budget: float, start: float, tol: float) -> float:
    """The smallest noise at which `spent`, which falls, is at most `budget`, from above."""
    known: dict[float, float] = {}

    def gap(log_noise: float) -> float:
        if log_noise not in known:
            value = spent(math.exp(log_noise))
            known[log_noise] = math.log(max(value, 1e-12) / budget) if value < 1e9 else 50.0
        return known[log_noise]

    low = high = math.log(start)
    while high <= LARGEST and gap(high) > 0:
        low, high = high, high + min(1.3 * gap(high) + tol, 1.0)
    if high > LARGEST:
        raise InputError(
            f"epsilon = {budget:g} is not kept by a noise multiplier of {math.exp(LARGEST):g}; "
            "take more epsilon, a larger delta or fewer steps"
        )
    while gap(low) <= 0 and low > -LARGEST:
        low, high = low - min(-1.3 * gap(low) + tol, 1.0), low
    if gap(low) < 0:
        return math.exp(low)
    for share in (0.25, 0.5, 1.0):  # of the tolerance, above the root
        best = brentq(gap, low, high, xtol=tol / 4) + share * tol
        if gap(best) <= 0:
            return math.exp(best)
    return math.exp(high)


def _spent(
    noise: float, delta: float, rate: float, steps: int, relation: str, accountant: str
) -> float:
    if rate == 1:
        change = 2.0 if relation == "replace" else 1.0
        return renyi.gaussian_epsilon(change * math.sqrt(steps) / noise, delta=delta)
    if relation == "replace" or accountant == "rdp":
        return _rdp_epsilon(noise, delta, rate, steps, relation)
    return _pld_epsilon(noise, delta, rate, steps)


@lru_cache(maxsize=1024)
def _rdp_epsilon(noise: float, delta: float, rate: float, steps: int, relation: str) -> float:
    curve = {
        "add-remove": renyi.subsampled_gaussian_curve,
        "replace": renyi.replaced_subsampled_gaussian_curve,
    }[relation](sampling_rate=rate, noise_multiplier=noise, steps=steps)
    return renyi.to_epsilon(curve, delta=delta).epsilon


@lru_cache(maxsize=1024)
def _pld_epsilon(noise: float, delta: float, rate: float, steps: int) -> float:
    """Epsilon by privacy-loss distributions, with losses in small steps of that of one sum."""
    library = accounting_library()
    accountant = library.pld.PLDAccountant(value_discretization_interval=_width(noise, rate, steps))
    event = library.PoissonSampledDpEvent(rate, library.GaussianDpEvent(noise))
    return max(float(accountant.compose(event, steps).get_epsilon(delta)), 0.0)


def _width(noise: float, rate: float, steps: int) -> float:
    """The step between privacy losses: a small share of that of one sum."""
    typical = rate * math.sqrt(math.expm1(min(noise**-2, 50.0)))
    return min(max(typical / 30, typical * math.sqrt(steps) / 1e5, 1e-7), 1e-3)


def _plan(
    delta: Any, sampling_rate: Any, steps: Any, relation: Any, accountant: Any
) -> tuple[float, float, int]:
    checks.choice("relation", relation, RELATIONS)
    checks.choice("accountant", accountant, ACCOUNTANTS)
    return (
        float(checks.number("delta", delta, 0.0, 1.0, open_low=True, open_high=True)),
        float(checks.number("sampling_rate", sampling_rate, 0.0, 1.0, open_low=True)),
        checks.count("steps", steps),
    )


def accounting_library() -> Any:
    """The package dp-accounting, imported when it is first needed.

    Returns:
        The module `dp_accounting`.

    Raises:
        InputError: it is not installed; the message says how to get it.

    Source:
        Doroshenko, Ghazi, Kamath, Kumar & Manurangsi 2022 (dp-accounting).
    """
    try:
        import dp_accounting
    except ImportError:
        raise InputError(
            "dp-accounting is not installed; pip install 'theorylab[privacy]' brings it"
        ) from None
    return dp_accounting
