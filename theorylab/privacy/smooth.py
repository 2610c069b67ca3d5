"""What a mechanism costs when all records move a little: smooth Rényi privacy.

The *smooth* curve of a mechanism bounds the Rényi divergence of its outputs on two data sets of
equal size whose records are, together, no farther apart than a given distance. It composes and
survives post-processing as an ordinary curve does. A `SmoothMechanism` carries both curves;
`behind` gives its cost behind a pre-processing.
Losses must be smooth in the *data* (the logistic loss is; the hinge loss is not, and clipping its
gradients does not mend the jump).
Source: definition of Hu, Sanyal & Schölkopf 2024; bounds in
docs/derivations/private_preprocessing.md, statements 3 and 4.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.optimize import isotonic_regression
from scipy.special import logsumexp
from scipy.stats import binom

from theorylab import checks
from theorylab.overflow import require_answer
from theorylab.privacy.meta_theorem import PreprocessedCost, preprocessed_cost
from theorylab.privacy.renyi import (
    Curve,
    checked_orders,
    gaussian_curve,
    laplace_curve,
    replaced_subsampled_gaussian_curve,
    zcdp_curve,
)
from theorylab.privacy.sensitivity import Sensitivity


@dataclass(frozen=True)
class SmoothMechanism:
    """A private mechanism, by what it costs when its data change.

    Attributes:
        renyi: its curve when one record is replaced by another of the unit ball.
        smooth: from a `Sensitivity` to its curve when all records move within it.
    """

    renyi: Curve
    smooth: Callable[[Sensitivity], Curve]

    def behind(self, sensitivity: Sensitivity, *, orders: Any) -> PreprocessedCost:
        """The cost of the mechanism behind a pre-processing of this sensitivity.

        It covers what the mechanism releases, not the pre-processing itself: a model that was
        fitted to imputed, scaled or reduced records cannot be used without releasing means, scales
        or the basis, which this does not pay for.

        Args:
            sensitivity: of the pre-processing, from `theorylab.privacy.sensitivity`.
            orders: (k,) Rényi orders, above 1.

        Returns:
            The divergences, and where they were found.

        Raises:
            InputError: an argument of another kind, or an order that is not above 1.
        """
        return preprocessed_cost(self.renyi, self.smooth(_checked(sensitivity)), orders=orders)


@dataclass(frozen=True)
class IterationCost:
    """Privacy of the last of many noisy steps.

    Attributes:
        allocation: (steps,) how the shifts are spread over the later steps.
        rho: the zCDP parameter.
    """

    allocation: Float[np.ndarray, " steps"]
    rho: float


def gaussian_mechanism(
    *, lipschitz: float, noise_std: float, sensitivity: float | None = None
) -> SmoothMechanism:
    """A function of all records, released with Gaussian noise.

    Args:
        lipschitz: how far the function moves for each unit that all records together move; 1/n for
            their mean.
        noise_std: standard deviation of the noise in each coordinate, above 0.
        sensitivity: the largest change when one record is replaced; None for 2 lipschitz, which
            images in the unit ball cannot exceed. Longer ones (`standard_scaling`, centred records)
            need 2 lipschitz times their largest norm, said here.

    Returns:
        The mechanism.

    Raises:
        InputError: an argument out of range.
    """
    slope = float(checks.number("lipschitz", lipschitz, 0.0, open_low=True))
    std = float(checks.number("noise_std", noise_std, 0.0, open_low=True))
    change = _sensitivity(sensitivity, slope)
    return SmoothMechanism(
        gaussian_curve(sensitivity=change, noise_std=std),
        lambda s: gaussian_curve(sensitivity=slope * _checked(s).total, noise_std=std),
    )


def laplace_mechanism(
    *, lipschitz: float, scale: float, sensitivity: float | None = None
) -> SmoothMechanism:
    """A function of all records, released with Laplace noise.

    Args:
        lipschitz: how far the function moves, in the sum of absolute coordinates, for each unit of
            Euclidean distance that all records together move.
        scale: scale of the noise, above 0.
        sensitivity: the largest change when one record is replaced; None for 2 lipschitz, as in
            `gaussian_mechanism`.

    Returns:
        The mechanism.

    Raises:
        InputError: an argument out of range.
    """
    slope = float(checks.number("lipschitz", lipschitz, 0.0, open_low=True))
    width = float(checks.number("scale", scale, 0.0, open_low=True))
    change = _sensitivity(sensitivity, slope)
    return SmoothMechanism(
        laplace_curve(sensitivity=change, scale=width),
        lambda s: laplace_curve(sensitivity=slope * _checked(s).total, scale=width),
    )


def dp_gradient_descent(
    n: int, *, steps: int, gradient_norm: float, smoothness: float, noise_std: float
) -> SmoothMechanism:
    """Gradient descent on all records, with Gaussian noise on every mean gradient.

    Args:
        n: number of records.
        steps: number of noisy gradients.
        gradient_norm: the largest norm of a record's gradient.
        smoothness: how far a record's gradient moves for each unit that the record moves;
            `logistic_smoothness` for the logistic loss.
        noise_std: standard deviation of the noise on the *mean* gradient, above 0.

    Returns:
        The mechanism; all iterates may be released.

    Raises:
        InputError: an argument out of range.

    Examples:
        >>> from theorylab.privacy.sensitivity import mean_imputation
        >>> descent = dp_gradient_descent(
        ...     50, steps=4, gradient_norm=1.0, smoothness=logistic_smoothness(2.0), noise_std=0.5
        ... )
        >>> alone = float(descent.renyi(2.0))
        >>> behind = descent.behind(mean_imputation(50, missing=10), orders=[2.0])
        >>> round(alone, 5), round(float(behind.divergences[0]), 5)
        (0.0256, 0.0484)
    """
    size, many = checks.count("n", n), checks.count("steps", steps)
    length = float(checks.number("gradient_norm", gradient_norm, 0.0, open_low=True))
    slope = float(checks.number("smoothness", smoothness, 0.0))
    std = float(checks.number("noise_std", noise_std, 0.0, open_low=True))
    root = math.sqrt(many) / size
    return SmoothMechanism(
        gaussian_curve(sensitivity=2 * length * root, noise_std=std),
        lambda s: gaussian_curve(sensitivity=slope * _checked(s).total * root, noise_std=std),
    )


def dp_sgd(
    *,
    sampling_rate: float,
    batch_size: float,
    steps: int,
    gradient_norm: float,
    smoothness: float,
    noise_std: float,
) -> SmoothMechanism:
    """Gradient descent on Poisson samples, with Gaussian noise on sum / batch_size.

    Its smooth curve couples the two runs by their samples, and is never above that of the same
    steps without sampling. For one moved record it loses most of the amplification.

    Args:
        sampling_rate: probability that a record is in a sample, above 0 and at most 1.
        batch_size: what the sum of gradients is divided by, above 0.
        steps: number of noisy gradients.
        gradient_norm: the largest norm of a record's gradient (the clipping norm).
        smoothness: how far a record's gradient moves for each unit that the record moves.
        noise_std: standard deviation of the noise on sum / batch_size, above 0.

    Returns:
        The mechanism; all iterates may be released.

    Raises:
        InputError: an argument out of range, or the package dp-accounting is missing.
    """
    rate = float(checks.number("sampling_rate", sampling_rate, 0.0, 1.0, open_low=True))
    batch = float(checks.number("batch_size", batch_size, 0.0, open_low=True))
    many = checks.count("steps", steps)
    length = float(checks.number("gradient_norm", gradient_norm, 0.0, open_low=True))
    slope = float(checks.number("smoothness", smoothness, 0.0))
    std = float(checks.number("noise_std", noise_std, 0.0, open_low=True))
    renyi = replaced_subsampled_gaussian_curve(
        sampling_rate=rate, noise_multiplier=std * batch / length, steps=many
    )

    def smooth(sensitivity: Sensitivity) -> Curve:
        step = coupling_curve(
            _checked(sensitivity), sampling_rate=rate, scale=slope / (batch * std)
        )
        return lambda orders: many * step(orders)

    return SmoothMechanism(renyi, smooth)


def coupling_curve(sensitivity: Sensitivity, *, sampling_rate: float, scale: float) -> Curve:
    """The Rényi curve of one Poisson-sampled Gaussian sum whose records move.

    Both laws are mixtures over the same samples, and the moment that defines the divergence is
    convex in the distances that the records move: it is largest when as few records as possible
    move as far as they may.

    Args:
        sensitivity: how records move.
        sampling_rate: probability that a record is in a sample, above 0 and at most 1.
        scale: shift of the sum, in standard deviations of the noise, for each unit that a record of
            the sample moves.

    Returns:
        A function from orders to divergences, inf where they are beyond float64.

    Raises:
        InputError: an argument out of range.

    Source:
        docs/derivations/private_preprocessing.md, statement 4.
    """
    moved = _checked(sensitivity)
    rate = float(checks.number("sampling_rate", sampling_rate, 0.0, 1.0, open_low=True))
    unit = float(checks.number("scale", scale, 0.0))
    full = int(moved.total // moved.each) if moved.each > 0 else 0
    rest = max(moved.total - full * moved.each, 0.0)
    sampled = np.arange(full + 1)
    log_mass = binom.logpmf(sampled, full, rate)
    distances = np.concatenate([sampled * moved.each, sampled * moved.each + rest])
    with np.errstate(divide="ignore"):
        last = np.log([1 - rate, rate]).repeat(full + 1)
    log_weights = np.tile(log_mass, 2) + last

    def curve(orders: Any) -> Any:
        a = checked_orders(orders)
        with np.errstate(over="ignore", invalid="ignore"):
            growth = (a * (a - 1))[..., None] * (unit * distances) ** 2 / 2
            # what has no probability counts for nothing, however far it moves
            grown = np.where(log_weights == -np.inf, -np.inf, log_weights + growth)
        return np.maximum(logsumexp(grown, axis=-1) / (a - 1), 0.0)

    return curve


def iteration_cost(shifts: Any, *, noise_std: float) -> IterationCost:
    """Privacy of the last iterate of non-expansive noisy steps whose updates differ by `shifts`.

    Use it where only the last iterate is released, after one pass over the records (convex losses,
    step sizes of at most 2 / smoothness in the weights); noise of later steps hides a shift too.
    The bound is smallest when the shifts are spread over the steps by isotonic regression.

    Args:
        shifts: (steps,) how far the updates of the two runs differ, at least 0: 2 step_size
            gradient_norm where a record is replaced, step_size smoothness distance where it moves.
        noise_std: standard deviation of the noise of one update, above 0.

    Returns:
        The spread and the zCDP parameter Σ allocation² / (2 noise_std²).

    Raises:
        InputError: an argument out of range, or a parameter beyond float64.

    Source:
        Feldman, Mironov, Talwar & Thakurta 2018, theorem 22; the minimiser is our derivation,
        docs/derivations/private_preprocessing.md, statement 3.
    """
    steps = np.asarray(checks.nonnegative("shifts", shifts, ndim=1), np.float64)
    std = float(checks.number("noise_std", noise_std, 0.0, open_low=True))
    spread = np.asarray(isotonic_regression(steps).x)
    with np.errstate(over="ignore"):
        rho = float(np.sum((spread / std) ** 2) / 2)
    require_answer(rho, {"shifts": steps, "noise_std": std})
    return IterationCost(spread, rho)


def one_pass_descent(
    n: int,
    *,
    step_size: float,
    gradient_norm: float,
    smoothness: float,
    noise_std: float,
    place: int | None = None,
) -> SmoothMechanism:
    """One pass of noisy gradient steps, one record each, whose last iterate alone is released.

    The loss must be convex and the steps non-expansive: step_size at most 2 over its smoothness in
    the *weights*; projections are allowed. Noise after a record's step hides it as well, so that
    early records are better off. Where records move, the worst is that the last ones do.

    Args:
        n: number of records, and of steps.
        step_size: above 0.
        gradient_norm: the largest norm of a record's gradient.
        smoothness: how far a record's gradient moves for each unit that the record moves.
        noise_std: standard deviation of the noise on a gradient, above 0.
        place: step of the record that is replaced, from 0, when steps are assigned without the
            data; None for any, the last being the worst.

    Returns:
        The mechanism.

    Raises:
        InputError: an argument out of range.

    Source:
        `iteration_cost`, which is convex in the shifts: docs/derivations/private_preprocessing.md,
        statement 3.
    """
    size = checks.count("n", n)
    step = float(checks.number("step_size", step_size, 0.0, open_low=True))
    length = float(checks.number("gradient_norm", gradient_norm, 0.0, open_low=True))
    slope = float(checks.number("smoothness", smoothness, 0.0))
    std = step * float(checks.number("noise_std", noise_std, 0.0, open_low=True))
    at = size - 1 if place is None else checks.count("place", place, 0, size - 1)
    replaced = np.zeros(size)
    replaced[at] = 2 * step * length

    def smooth(sensitivity: Sensitivity) -> Curve:
        moved = _checked(sensitivity)
        shifts = np.zeros(size)
        if moved.each > 0:
            full = min(int(moved.total // moved.each), size)
            shifts[size - full :] = moved.each
            if full < size:
                shifts[size - full - 1] = max(moved.total - full * moved.each, 0.0)
        return zcdp_curve(iteration_cost(step * slope * shifts, noise_std=std).rho)

    return SmoothMechanism(zcdp_curve(iteration_cost(replaced, noise_std=std).rho), smooth)


def logistic_smoothness(radius: float) -> float:
    """How far the gradient of the logistic loss moves for each unit that a record moves.

    Args:
        radius: the largest norm of the weights, at least 0; records are in the unit ball (for
            images up to a norm B say B radius).

    Returns:
        1 + radius / 4; the gradient itself has norm at most 1.

    Raises:
        InputError: a negative radius.

    Source:
        docs/derivations/private_preprocessing.md, statement 3.
    """
    return 1 + float(checks.number("radius", radius, 0.0)) / 4


def _sensitivity(sensitivity: float | None, lipschitz: float) -> float:
    if sensitivity is None:
        return 2 * lipschitz
    return float(checks.number("sensitivity", sensitivity, 0.0))


def _checked(sensitivity: Sensitivity) -> Sensitivity:
    need = "a Sensitivity (theorylab.privacy.sensitivity)"
    return checks.instance("sensitivity", sensitivity, Sensitivity, need)
