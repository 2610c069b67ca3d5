"""What a mechanism costs when one record is replaced: Rényi and zero-concentrated privacy.

A *curve* is a function from Rényi orders, an array of numbers above 1, to divergences of the same
shape; the costs of mechanisms that are run one after the other add. Subsampled Gaussians and the
conversion to (epsilon, delta) come from Google's `dp-accounting` (the extra `privacy`); what that
lacks is here: Poisson sampling when a record is *replaced*.
Sources: Mironov 2017 (Rényi differential privacy); Bun & Steinke 2016 (zero-concentrated);
Balle & Wang 2018 (theorem 8, the exact Gaussian).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.optimize import brentq
from scipy.special import log_ndtr, ndtri

from theorylab import checks
from theorylab.errors import InputError

Orders = Float[np.ndarray, " orders"]
Curve = Callable[[Any], Any]

SHIFTED = 1e6  # standard deviations between two Gaussians that have nothing in common
STANDARD_ORDERS = np.concatenate(
    [np.arange(1.1, 11.0, 0.1), np.arange(11.0, 64.0), [80, 96, 128, 192, 256, 384, 512, 1024]]
)


@dataclass(frozen=True)
class PrivacyCost:
    """An (epsilon, delta) guarantee.

    Attributes:
        epsilon: the level, at least 0.
        delta: the probability that goes with it.
        order: the Rényi order at which it was found.
    """

    epsilon: float
    delta: float
    order: float


def checked_orders(orders: Any) -> Any:
    """Rényi orders in float64, refused unless they are above 1.

    Args:
        orders: a number or an array of them.

    Returns:
        A float64 array of the same shape.

    Raises:
        InputError: an order that is not above 1.
    """
    values = checks.within("orders", orders, 1.0, open_low=True)
    return np.asarray(values, np.float64)


def gaussian_curve(*, sensitivity: float, noise_std: float) -> Curve:
    """The Rényi curve of a value released with Gaussian noise.

    Args:
        sensitivity: the largest Euclidean change of the value when one record is replaced.
        noise_std: standard deviation of the noise in each coordinate, above 0.

    Returns:
        orders -> orders * sensitivity² / (2 noise_std²).

    Raises:
        InputError: a negative sensitivity, or a noise_std that is not above 0.

    Source:
        Mironov 2017, corollary 3.
    """
    return zcdp_curve(gaussian_zcdp(sensitivity=sensitivity, noise_std=noise_std))


def gaussian_zcdp(*, sensitivity: float, noise_std: float) -> float:
    """The zCDP parameter of a value released with Gaussian noise.

    Args:
        sensitivity: the largest Euclidean change of the value, at least 0.
        noise_std: standard deviation of the noise, above 0.

    Returns:
        sensitivity² / (2 noise_std²).

    Raises:
        InputError: an argument out of range, or a parameter beyond float64.

    Source:
        Bun & Steinke 2016, proposition 6.
    """
    change = float(checks.number("sensitivity", sensitivity, 0.0))
    std = float(checks.number("noise_std", noise_std, 0.0, open_low=True))
    ratio = change / std
    if not ratio < 1e154:
        raise InputError(
            f"sensitivity = {change:g} is {ratio:.2g} times noise_std = {std:g}, and the cost is "
            "beyond float64; more noise is needed"
        )
    return ratio**2 / 2


def zcdp_curve(rho: float) -> Curve:
    """The Rényi curve of a mechanism that is rho-zCDP: a straight line through 0.

    Args:
        rho: the zCDP parameter, at least 0.

    Returns:
        orders -> rho * orders.

    Raises:
        InputError: a negative rho.

    Source:
        Bun & Steinke 2016, definition 1.
    """
    slope = float(checks.number("rho", rho, 0.0))
    return lambda orders: slope * checked_orders(orders)


def laplace_curve(*, sensitivity: float, scale: float) -> Curve:
    """The Rényi curve of a value released with Laplace noise.

    Args:
        sensitivity: the largest change of the value in the sum of absolute coordinates. The curve
            is that of one coordinate that takes all of the change, which no other split exceeds.
        scale: scale of the noise, above 0.

    Returns:
        A function from orders to divergences, inf where they are beyond float64.

    Raises:
        InputError: an argument out of range.

    Source:
        Mironov 2017, corollary 2.
    """
    change = float(checks.number("sensitivity", sensitivity, 0.0))
    width = float(checks.number("scale", scale, 0.0, open_low=True))
    shift = change / width

    def curve(orders: Any) -> Any:
        a = checked_orders(orders)
        up = np.log(a / (2 * a - 1)) + (a - 1) * shift
        down = np.log((a - 1) / (2 * a - 1)) - a * shift
        return np.maximum(np.logaddexp(up, down) / (a - 1), 0.0)

    return curve


def subsampled_gaussian_curve(
    *, sampling_rate: float, noise_multiplier: float, steps: int = 1
) -> Curve:
    """The Rényi curve of Gaussian sums over Poisson samples when a record is added or removed.

    Use `replaced_subsampled_gaussian_curve` when neighbours differ by a replaced record.

    Args:
        sampling_rate: probability that a record is in a sample, above 0 and at most 1.
        noise_multiplier: noise standard deviation over the largest norm of a record, above 0.
        steps: how many samples are released.

    Returns:
        A function from orders to divergences.

    Raises:
        InputError: an argument out of range, or the package dp-accounting is missing.

    Source:
        Mironov, Talwar & Zhang 2019, as computed by dp-accounting.
    """
    rate = float(checks.number("sampling_rate", sampling_rate, 0.0, 1.0, open_low=True))
    noise = float(checks.number("noise_multiplier", noise_multiplier, 0.0, open_low=True))
    many = checks.count("steps", steps)
    library = _dp_accounting()

    def curve(orders: Any) -> Any:
        a = checked_orders(orders)
        event = library.PoissonSampledDpEvent(rate, library.GaussianDpEvent(noise))
        try:
            accountant = library.rdp.RdpAccountant(a.ravel().tolist()).compose(event, many)
        except (OverflowError, ZeroDivisionError):
            raise InputError(
                f"noise_multiplier = {noise:g}, sampling_rate = {rate:g}: beyond the arithmetic of "
                "dp-accounting; numbers nearer to 1 are needed"
            ) from None
        return np.asarray(accountant.rdp, np.float64).reshape(a.shape)

    return curve


def replaced_subsampled_gaussian_curve(
    *, sampling_rate: float, noise_multiplier: float, steps: int = 1
) -> Curve:
    """The Rényi curve of Gaussian sums over Poisson samples when a record is *replaced*.

    The way from one data set to the other goes over the data set without the record: a removal and
    an addition, joined by the weak triangle inequality at the best of a grid of its parameter. At
    small rates and much noise this is nearly the curve of a record of twice the norm; where the
    order is large, it costs up to twice the order.

    Args:
        sampling_rate: probability that a record is in a sample, above 0 and at most 1.
        noise_multiplier: noise standard deviation over the largest norm of one record, above 0.
        steps: how many samples are released.

    Returns:
        A function from orders to divergences.

    Raises:
        InputError: an argument out of range, or the package dp-accounting is missing.

    Source:
        Our derivation, docs/derivations/private_preprocessing.md, statement 4.
    """
    one = interpolated_curve(
        subsampled_gaussian_curve(
            sampling_rate=sampling_rate, noise_multiplier=noise_multiplier, steps=steps
        )
    )

    def curve(orders: Any) -> Any:
        a = checked_orders(orders)
        weight = np.linspace(0.3, 0.7, 21).reshape(-1, *([1] * a.ndim))  # 1 / p
        joined = (a - weight) / (a - 1) * one(a / weight) + one((a - weight) / (1 - weight))
        return np.minimum.reduce(joined, axis=0)

    return curve


def interpolated_curve(curve: Curve, *, orders: Any = None) -> Curve:
    """A curve that is slow to compute, tabulated once and bounded from above between the orders.

    (order - 1) times a Rényi divergence is convex in the order, so that its chords lie above it;
    the divergence itself does not fall as the order grows, which bounds it below the first order.

    Args:
        curve: a function from orders to divergences, inf at orders to leave out.
        orders: (k,) where it is computed; None takes `STANDARD_ORDERS`.

    Returns:
        A function from orders to divergences: exact at these orders, never too small between them,
        inf above the last.

    Raises:
        InputError: an order that is not above 1, or a curve that is no function.

    Source:
        van Erven & Harremoës 2014, theorem 3 and corollary 2.
    """
    checks.function("curve", curve)
    nodes = np.unique(checked_orders(STANDARD_ORDERS if orders is None else orders))

    @cache
    def table() -> tuple[Any, Any]:
        values = np.asarray(curve(nodes), np.float64)
        known = np.isfinite(values)
        return nodes[known], ((nodes - 1) * values)[known]

    def bound(orders: Any) -> Any:
        a = checked_orders(orders)
        at, moments = table()
        if at.size == 0:
            return np.full(a.shape, np.inf)
        moment = np.interp(a, at, moments, right=np.inf)
        return np.where(a < at[0], moments[0] / (at[0] - 1), moment / (a - 1))

    return bound


def composed(*curves: Curve) -> Curve:
    """The curve of several mechanisms run one after the other on the same data.

    Args:
        *curves: functions from orders to divergences, one at least.

    Returns:
        Their sum, a function from orders to divergences.

    Raises:
        InputError: no curve, or something that is no function.

    Source:
        Mironov 2017, proposition 1.
    """
    if not curves:
        raise InputError("curves is empty; at least one curve is needed")
    for one in curves:
        checks.function("curves", one)
    return lambda orders: np.sum([one(orders) for one in curves], axis=0)


def to_epsilon(curve: Curve, *, delta: float, orders: Any = None) -> PrivacyCost:
    """The epsilon that a Rényi curve guarantees at this delta.

    For straight lines `zcdp_to_epsilon` is a closed form, which is larger; for one Gaussian
    `gaussian_epsilon` is exact, and smaller.

    Args:
        curve: a function from orders to divergences.
        delta: above 0 and below 1.
        orders: (k,) Rényi orders to choose from; None takes `STANDARD_ORDERS`.

    Returns:
        The smallest epsilon, and the order it was found at.

    Raises:
        InputError: an argument out of range, or the package dp-accounting is missing.

    Source:
        Canonne, Kamath & Steinke 2020, proposition 12, as computed by dp-accounting.

    Examples:
        >>> curve = gaussian_curve(sensitivity=1.0, noise_std=4.0)
        >>> cost = to_epsilon(curve, delta=1e-5)
        >>> round(cost.epsilon, 3), round(gaussian_epsilon(1 / 4.0, delta=1e-5), 3)
        (1.013, 0.926)
    """
    checks.function("curve", curve)
    probability = float(checks.number("delta", delta, 0.0, 1.0, open_low=True, open_high=True))
    every = checked_orders(STANDARD_ORDERS if orders is None else orders).ravel()
    epsilon, order = _dp_accounting().rdp.compute_epsilon(
        every, np.asarray(curve(every), np.float64), probability
    )
    return PrivacyCost(float(epsilon), probability, float(order))


def zcdp_to_epsilon(rho: float, *, delta: float) -> float:
    """The epsilon of a rho-zCDP mechanism in closed form, a little above that of `to_epsilon`.

    Args:
        rho: the zCDP parameter, at least 0.
        delta: above 0 and below 1.

    Returns:
        rho + 2 √(rho log(1 / delta)).

    Raises:
        InputError: an argument out of range.

    Source:
        Bun & Steinke 2016, proposition 3.
    """
    slope = float(checks.number("rho", rho, 0.0))
    probability = float(checks.number("delta", delta, 0.0, 1.0, open_low=True, open_high=True))
    return slope + 2 * math.sqrt(slope * _log_inverse(probability))


def epsilon_to_zcdp(epsilon: float, *, delta: float) -> float:
    """The rho at which `zcdp_to_epsilon` gives this epsilon: the budget to calibrate noise to.

    Args:
        epsilon: above 0.
        delta: above 0 and below 1.

    Returns:
        (√(log(1 / delta) + epsilon) - √log(1 / delta))².

    Raises:
        InputError: an argument out of range.

    Source:
        Bun & Steinke 2016, proposition 3, solved for rho.
    """
    level = float(checks.number("epsilon", epsilon, 0.0, open_low=True))
    probability = float(checks.number("delta", delta, 0.0, 1.0, open_low=True, open_high=True))
    log = _log_inverse(probability)
    return (level / (math.sqrt(log + level) + math.sqrt(log))) ** 2


def gaussian_delta(shift: float, *, epsilon: float) -> float:
    """The exact delta of a Gaussian mechanism at this epsilon.

    Args:
        shift: change of the value over the noise's standard deviation, above 0.
        epsilon: at least 0.

    Returns:
        The smallest delta, in [0, 1].

    Raises:
        InputError: an argument out of range.

    Source:
        Balle & Wang 2018, theorem 8.
    """
    mu = float(checks.number("shift", shift, 0.0, open_low=True))
    level = float(checks.number("epsilon", epsilon, 0.0))
    above = log_ndtr(mu / 2 - level / mu)
    if above == -math.inf:  # where both terms are below the least number
        return 0.0
    below = level + log_ndtr(-mu / 2 - level / mu)
    return float(np.exp(above) * -np.expm1(min(below - above, 0.0)))


def gaussian_epsilon(shift: float, *, delta: float) -> float:
    """The exact epsilon of a Gaussian mechanism at this delta.

    Args:
        shift: change of the value over the noise's standard deviation, above 0, at most 1e150.
        delta: above 0 and below 1.

    Returns:
        The smallest epsilon, at least 0; above a shift of 1e6 a bound within a millionth of a
        millionth of it, since nothing is left of delta's second term in float64.

    Raises:
        InputError: an argument out of range.

    Source:
        Balle & Wang 2018, theorem 8, solved for epsilon.
    """
    mu = float(checks.number("shift", shift, 0.0, 1e150, open_low=True))
    probability = float(checks.number("delta", delta, 0.0, 1.0, open_low=True, open_high=True))
    if mu > SHIFTED:  # delta <= P[a normal variable is above epsilon / shift - shift / 2]
        return mu * (mu / 2 - float(ndtri(probability)))
    if gaussian_delta(mu, epsilon=0.0) <= probability:
        return 0.0
    top = zcdp_to_epsilon(mu**2 / 2, delta=probability)
    return float(brentq(lambda e: gaussian_delta(mu, epsilon=e) - probability, 0.0, top))


def _log_inverse(probability: float) -> float:
    """The logarithm of 1 / probability, also where the inverse overflows."""
    inverse = 1 / probability
    return math.log(inverse) if math.isfinite(inverse) else -math.log(probability)


def _dp_accounting() -> Any:
    try:
        import dp_accounting
    except ImportError:
        raise InputError(
            "dp-accounting is not installed; pip install 'theorylab[privacy]' brings it"
        ) from None
    return dp_accounting
