"""From a wanted (epsilon, delta) to the noise that gives it, whatever the accounting.

Where all curves are straight lines `renyi.epsilon_to_zcdp` is the closed form. Privacy-loss
distributions are those of `dp_sgd.calibration`.
Source: our own bisection over `renyi.to_epsilon`, where no other is named.
"""

import math
from collections.abc import Callable
from typing import Any

from theorylab import checks
from theorylab.errors import InputError
from theorylab.privacy.dp_sgd.calibration import spent_epsilon
from theorylab.privacy.renyi import Curve, to_epsilon

WIDEST = 60  # doublings of the noise that are tried


def calibrated_noise(
    curve_of: Callable[[float], Curve],
    *,
    epsilon: float,
    delta: float,
    orders: Any = None,
    rtol: float = 1e-4,
) -> float:
    """The least noise at which a mechanism, or a whole pipeline, is (epsilon, delta)-private.

    Args:
        curve_of: from a noise, a number above 0, to the Rényi curve of all that is released with
            it; more noise must not cost more.
        epsilon: above 0.
        delta: above 0 and below 1.
        orders: (k,) Rényi orders to choose from; None takes `renyi.STANDARD_ORDERS`.
        rtol: relative precision of the noise, above 0 and at most 0.1.

    Returns:
        A noise that keeps the guarantee, at most rtol above the least one.

    Raises:
        InputError: an argument out of range, or a guarantee that no noise reaches.

    Examples:
        >>> from theorylab.privacy import renyi
        >>> build = lambda std: renyi.gaussian_curve(sensitivity=1.0, noise_std=std)
        >>> round(calibrated_noise(build, epsilon=1.0, delta=1e-5), 2)
        4.05
    """
    checks.function("curve_of", curve_of)
    level = float(checks.number("epsilon", epsilon, 0.0, open_low=True))
    near = float(checks.number("rtol", rtol, 0.0, 0.1, open_low=True))

    def kept(noise: float) -> bool:
        return to_epsilon(curve_of(noise), delta=delta, orders=orders).epsilon <= level

    high = 1.0
    for _ in range(WIDEST):
        if kept(high):
            break
        high *= 2
    else:
        raise InputError(
            f"epsilon = {level:g}; no noise up to {high:.3g} reaches it: give a larger one, or "
            "higher orders"
        )
    low = high / 2
    for _ in range(WIDEST):
        if not kept(low):
            break
        high, low = low, low / 2
    while high > low * (1 + near):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if kept(middle) else (middle, high)
    return high


def sampled_gaussian_epsilon(
    *, sampling_rate: float, noise_multiplier: float, steps: int, delta: float
) -> float:
    """The epsilon of Gaussian sums over Poisson samples by privacy-loss distributions.

    Neighbours differ by a record that is added or removed. It is smaller than what Rényi curves
    give (`renyi.subsampled_gaussian_curve`), and takes seconds. It is `dp_sgd.spent_epsilon`, which
    knows replaced records too.

    Args:
        sampling_rate: probability that a record is in a sample, above 0 and at most 1.
        noise_multiplier: noise standard deviation over the largest norm of a record, above 0.
        steps: how many samples are released.
        delta: above 0 and below 1.

    Returns:
        An epsilon that holds, discretisation included.

    Raises:
        InputError: an argument out of range, or the package dp-accounting is missing.

    Source:
        Koskela, Jälkö & Honkela 2020, as computed by dp-accounting.
    """
    return spent_epsilon(
        noise_multiplier, delta=delta, sampling_rate=sampling_rate, steps=steps, accountant="pld"
    )
