"""Distributions with a margin, on which the dimension that privacy pays for can be chosen.

`gaussian_mixture` has two leading directions in any dimension; `spiked_margin` spreads its
classifier over as many directions as it is told; `counter_example` is where a margin is lost behind
the projection although the paper says that it is not.

Source: Pinto, Hu, Yang & Sanyal 2024 (PILLAR), definition 5, with the classifier mended;
docs/derivations/semi_private.md.
"""

import math
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float
from scipy.stats import norm

from theorylab import checks
from theorylab.errors import InputError


class Labelled(NamedTuple):
    """Records with their labels, and the classifier that separates them.

    Attributes:
        records: (n, d).
        labels: (n,) -1 and 1.
        weights: (d,) of norm 1.
        mass: (n,) probabilities; all equal for a sample.
    """

    records: Float[np.ndarray, "n d"]
    labels: Float[np.ndarray, " n"]
    weights: Float[np.ndarray, " d"]
    mass: Float[np.ndarray, " n"]


def gaussian_mixture(key: jax.Array, n: int, d: int, *, theta: float, variance: float) -> Labelled:
    """Two Gaussians at ±mu with one further strong direction.

    x = y mu + √theta g w + √variance z with mu and w the first two axes: the second moments have
    the eigenvalues 1 + variance, theta + variance, and variance d - 2 times. The margin is along
    mu; along w, which the paper names, y <w, x> has mean 0.

    Args:
        key: typed key.
        n: number of records.
        d: dimension, at least 2.
        theta: variance along w, at least 0.
        variance: along every axis, at least 0.

    Returns:
        A `Labelled` whose weights are mu.

    Raises:
        InputError: an argument out of range.

    Source:
        Pinto, Hu, Yang & Sanyal 2024, definition 5; the separator as in
        docs/derivations/semi_private.md, statement 4.
    """
    many, width = checks.count("n", n), checks.count("d", d, at_least=2)
    strong = float(checks.number("theta", theta, 0.0))
    noise = float(checks.number("variance", variance, 0.0))
    generator = _generator(key)
    labels = generator.choice([-1.0, 1.0], many)
    records = math.sqrt(noise) * generator.standard_normal((many, width), np.float32)
    records[:, 0] += labels
    records[:, 1] += math.sqrt(strong) * generator.standard_normal(many)
    return Labelled(records, labels, np.eye(width)[0], np.full(many, 1 / many))


def mixture_accuracy(weights: Any, *, theta: float, variance: float) -> Float[np.ndarray, "..."]:
    """The exact accuracy of linear classifiers on the Gaussian mixture, without a test set.

    Args:
        weights: (..., d) classifiers; those that are 0 have accuracy 1/2.
        theta: variance along the second axis, at least 0.
        variance: along every axis, at least 0.

    Returns:
        (...) the normal distribution function of w_1 / √(theta w_2² + variance ‖w‖²).

    Raises:
        InputError: an argument out of range.

    Source:
        docs/derivations/semi_private.md, statement 4.
    """
    w = np.asarray(checks.finite("weights", weights), np.float64)
    strong = float(checks.number("theta", theta, 0.0))
    noise = float(checks.number("variance", variance, 0.0))
    spread = np.sqrt(strong * w[..., 1] ** 2 + noise * (w**2).sum(-1))
    steep = np.where(
        spread > 0, w[..., 0] / np.where(spread > 0, spread, 1), np.sign(w[..., 0]) * 40
    )
    return norm.cdf(steep)


def spiked_margin(
    key: jax.Array, n: int, *, d: int, spikes: int, gamma: float, decay: float, tail: float
) -> Labelled:
    """Unit records with a margin whose classifier is spread over several directions.

    The classifier w has equal weight on the first `spikes` axes, but for the share `tail` of its
    square that lies in the others. A unit record has normal coordinates of variances (1 +
    axis)^-decay before its norm is divided out; its label is its side of w, and one that is closer
    than gamma is turned away from w's boundary, until its margin is gamma. So no direction alone is
    enough, and the defect falls with every direction up to `spikes`.

    Args:
        key: typed key.
        n: number of records.
        d: dimension, more than `spikes`.
        spikes: leading directions that the classifier needs.
        gamma: the margin, in (0, 1).
        decay: of the spectrum, at least 0.
        tail: share of the classifier outside of them, in [0, 1).

    Returns:
        A `Labelled`.

    Raises:
        InputError: an argument out of range.

    Source:
        Our own family, for the trade-off between too few directions and too many.
    """
    many, width = checks.count("n", n), checks.count("d", d, at_least=2)
    few = checks.count("spikes", spikes, at_most=width - 1)
    least = float(checks.number("gamma", gamma, 0.0, 1.0, open_low=True, open_high=True))
    power = float(checks.number("decay", decay, 0.0))
    outside = float(checks.number("tail", tail, 0.0, 1.0, open_high=True))
    generator = _generator(key)
    weights = np.full(width, math.sqrt(outside / (width - few)))
    weights[:few] = math.sqrt((1 - outside) / few)
    records = generator.standard_normal((many, width)) * (1.0 + np.arange(width)) ** (-power / 2)
    records /= np.linalg.norm(records, axis=1, keepdims=True)
    along = records @ weights
    labels = np.where(along < 0, -1.0, 1.0)
    rest = records - np.outer(along, weights)
    rest /= np.linalg.norm(rest, axis=1, keepdims=True)
    along = labels * np.maximum(np.abs(along), least)
    records = along[:, None] * weights + np.sqrt(1 - along**2)[:, None] * rest
    return Labelled(records, labels, weights, np.full(many, 1 / many))


def counter_example(
    *, gamma: float = 0.3, angle: float = math.pi / 6, rare: float = 0.1
) -> Labelled:
    """Four unit records in the plane with a margin, and none behind the leading direction.

    Most of the mass is at ±e1 with labels ±1, the rest at ±z with labels ±1. The classifier makes
    the angle with e1 and has the margin gamma at z, which lies on the other side of it.

    Args:
        gamma: the margin, in (0, 1), at most the cosine of the angle.
        angle: between the classifier and e1, in (arcsin gamma, π / 2).
        rare: mass of ±z together, in (0, 1/2).

    Returns:
        A `Labelled` with its masses. Every classifier of the leading direction alone errs on one
        of the two pairs.

    Raises:
        InputError: an argument out of range, with which there is no counter-example.

    Source:
        docs/derivations/semi_private.md, statement 2.
    """
    size = float(checks.number("gamma", gamma, 0.0, 1.0, open_low=True, open_high=True))
    turn = float(checks.number("angle", angle, 0.0, math.pi / 2, open_low=True, open_high=True))
    few = float(checks.number("rare", rare, 0.0, 0.5, open_low=True, open_high=True))
    if not math.sin(turn) > size or math.cos(turn) < size:
        raise InputError(
            f"angle = {turn:.4g} at gamma = {size:.4g}; one with sin(angle) > gamma and "
            "cos(angle) >= gamma is needed"
        )
    far = turn + math.acos(size)
    z = np.array([math.cos(far), math.sin(far)])
    records = np.stack([np.array([1.0, 0.0]), np.array([-1.0, 0.0]), z, -z])
    weights = np.array([math.cos(turn), math.sin(turn)])
    mass = np.array([1 - few, 1 - few, few, few]) / 2
    return Labelled(records, np.array([1.0, -1.0, 1.0, -1.0]), weights, mass)


def _generator(key: jax.Array) -> np.random.Generator:
    return np.random.default_rng(np.asarray(jax.random.key_data(checks.key("key", key))))
