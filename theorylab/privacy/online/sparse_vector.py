"""AboveThreshold (the sparse vector technique) as an online learner, with its exact firing law.

Draw rho ~ Lap(b1) once and nu_t ~ Lap(b2) in every round; after example t the learner fires if c_t
+ nu_t >= theta + rho, where c_t counts the ones so far. Given rho the tests are independent, so

    P[no test 1..t fires] = integral of (e^{-|rho|/b1} / 2 b1) prod_c F(theta + rho - c)^{n_c(t)},

with F the cdf of nu and n_c(t) the number of rounds up to t at which the count was c. The product
depends on run lengths alone: T = 2^60 costs what T = 64 does.
Source: Dwork & Roth 2014, section 3.6; the law, and the privacy of this learner, are our
derivation, docs/derivations/dp_online.md, statements 1 to 3.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.optimize import brentq

from theorylab import checks
from theorylab.errors import InputError
from theorylab.privacy.online.firing import FiringLaw, PieceLaw
from theorylab.privacy.online.streams import Pieces, horizon

MOST_PANELS = 2**17


@dataclass(frozen=True)
class Quadrature:
    """How the integral over rho is computed: composite Gauss-Legendre, with breaks at the kinks.

    The kinks of the integrand are at 0 and where a factor of it has its own. The defaults give
    every probability to about 12 digits and an absolute 1e-26.

    Args:
        reach: the integral goes over ±reach * b1, from 1 to 600 (the default leaves out e^-60 of
            the mass).
        panels: per unit of the smaller noise scale.
        nodes: per panel, from 2 to 64.

    Raises:
        InputError: an argument out of range.
    """

    reach: float = 60.0
    panels: int = 4
    nodes: int = 12

    def __post_init__(self) -> None:
        checks.number("reach", self.reach, 1.0, 600.0)
        checks.count("panels", self.panels), checks.count("nodes", self.nodes, 2, 64)


@dataclass(frozen=True)
class AboveThreshold(FiringLaw):
    """The learner that fires when its count, plus noise, exceeds a noisy threshold.

    Use it as the private learner of a class of points: it attains the log T / epsilon of the lower
    bound. With noise scales b1, b2 its firing round is max(1/b1, 1/b2)-differentially private under
    a change of one example, because the counts move in one direction only.

    Args:
        threshold: theta, any finite number; `calibrate` finds the one for a given concentration.
        threshold_scale: b1, the scale of the Laplace noise of the threshold, which is drawn once,
            above 0.
        test_scale: b2, the scale of the Laplace noise of every test, above 0.
        quadrature: of the exact law, `Quadrature()` by default.

    Raises:
        InputError: an argument out of range, or b1 so much larger than b2 (by a factor of about 546
            at the default) that the quadrature would need too many panels.
    """

    threshold: float
    threshold_scale: float
    test_scale: float
    quadrature: Quadrature = field(default_factory=Quadrature)

    def __post_init__(self) -> None:
        checks.number("threshold", self.threshold)
        _scales(self.threshold_scale, self.test_scale, self.quadrature)

    @property
    def epsilon(self) -> float:
        """The privacy of the firing round under a change of one example: max(1/b1, 1/b2)."""
        return max(1 / float(self.threshold_scale), 1 / float(self.test_scale))

    def piece_law(self, stretches: Pieces) -> PieceLaw:
        """The law over consecutive stretches, by quadrature in float64."""
        nodes, weights = nodes_and_weights(self, stretches.counts)
        counts, lengths = padded_pieces(stretches)
        with jax.enable_x64(True):
            law = _piece_law(
                nodes + float(self.threshold), weights, counts, lengths, float(self.test_scale)
            )
        fire, silent = (np.asarray(a)[: len(stretches.counts)] for a in law)
        return PieceLaw(fire, silent)


def calibrate(
    rounds: int,
    beta: float,
    *,
    threshold_scale: float,
    test_scale: float,
    quadrature: Quadrature | None = None,
) -> AboveThreshold:
    """The AboveThreshold learner that fires with probability beta over T uninformative rounds.

    Args:
        rounds: T, from 1 to 2^1000.
        beta: above 0 and below 1.
        threshold_scale: b1, above 0.
        test_scale: b2, above 0; 1/epsilon for both scales makes the learner epsilon-private.
        quadrature: of the exact law; None takes `Quadrature()`.

    Returns:
        The learner; its threshold is about b2 log(T / 2 beta).

    Raises:
        InputError: an argument out of range.

    Source:
        Our derivation, docs/derivations/dp_online.md, statement 3.

    Examples:
        >>> learner = calibrate(1000, 0.1, threshold_scale=2.0, test_scale=2.0)
        >>> learner.epsilon, round(learner.concentration(1000), 9)
        (0.5, 0.1)
    """
    many = horizon("rounds", rounds)
    share = float(checks.number("beta", beta, 0.0, 1.0, open_low=True, open_high=True))
    rule = quadrature or Quadrature()
    _scales(threshold_scale, test_scale, rule)
    b1, b2 = float(threshold_scale), float(test_scale)
    learner = AboveThreshold(0.0, b1, b2, rule)

    def excess(threshold: float) -> float:
        fired = replace(learner, threshold=threshold).concentration(many)
        return math.log(max(fired, 1e-300) / share)

    margin = 4 * (b1 + b2)
    centre = b2 * math.log(many / (2 * share)) if many > 2 * share else 0.0
    low, high = centre - margin, centre + margin
    while excess(low) < 0:
        low -= margin
    while excess(high) > 0:
        high += margin
    return replace(learner, threshold=float(brentq(excess, low, high, xtol=1e-13 * (1 + high))))


def nodes_and_weights(
    learner: AboveThreshold, counts: Sequence[int]
) -> tuple[Float[np.ndarray, " q"], Float[np.ndarray, " q"]]:
    """Nodes of rho and weights that include its density, with breaks at the kinks.

    A test's cdf has its kink at rho = count - theta.

    Args:
        learner: whose scales, threshold and quadrature are used.
        counts: of the tests.

    Returns:
        (q,) nodes and (q,) weights.
    """
    rule, b1, b2 = (
        learner.quadrature,
        float(learner.threshold_scale),
        float(learner.test_scale),
    )
    reach = rule.reach * b1
    count = _panels(b1, b2, rule)
    kinks = np.unique(np.asarray(counts, np.float64)) - float(learner.threshold)
    kinks = kinks[np.abs(kinks) < reach]
    # as many breaks for similar streams, so that their programs are the same: the last are empty
    kinks = np.concatenate([kinks, np.full(_padded(len(kinks)) - len(kinks), reach)])
    breaks = np.sort(np.concatenate([np.linspace(-reach, reach, 2 * count + 1), kinks]))
    x, w = np.polynomial.legendre.leggauss(rule.nodes)
    middle, half = (breaks[1:] + breaks[:-1]) / 2, (breaks[1:] - breaks[:-1]) / 2
    nodes = (middle[:, None] + half[:, None] * x).ravel()
    weights = (half[:, None] * w).ravel() * np.exp(-np.abs(nodes) / b1) / (2 * b1)
    return nodes, weights


def padded_pieces(
    stretches: Pieces,
) -> tuple[Float[np.ndarray, " s"], Float[np.ndarray, " s"]]:
    """Counts and lengths as floats, with empty stretches up to a power of two.

    A few programs are compiled that way and not one for every number of stretches.

    Args:
        stretches: s of them.

    Returns:
        Counts and lengths, each of a power of two of entries, at least s and 4; those added are 0.
    """
    counts, lengths = np.zeros((2, _padded(len(stretches.counts))))
    counts[: len(stretches.counts)] = stretches.counts
    lengths[: len(stretches.lengths)] = [float(n) for n in stretches.lengths]
    return counts, lengths


def log_laplace_cdf(x: Array, scale: Array | float) -> Array:
    """The log of the Laplace law's cdf, to full relative precision at both ends.

    Args:
        x: (...) where it is evaluated.
        scale: of the law, above 0.

    Returns:
        (...) log F(x), at most 0.
    """
    below = math.log(0.5) + jnp.minimum(x, 0) / scale
    return jnp.where(x < 0, below, jnp.log1p(-0.5 * jnp.exp(-jnp.maximum(x, 0) / scale)))


@jax.jit
def _piece_law(
    thresholds: Float[Array, " q"],
    weights: Float[Array, " q"],
    counts: Float[Array, " s"],
    lengths: Float[Array, " s"],
    scale: Float[Array, ""],
) -> tuple[Float[Array, " s"], Float[Array, " s"]]:
    """Masses of the first firing, and survivals; the integrands are positive: nothing cancels."""

    def step(silent: Array, piece: tuple[Array, Array]) -> tuple[Array, tuple[Array, Array]]:
        count, length = piece
        change = length * log_laplace_cdf(thresholds - count, scale)
        fired = weights @ (jnp.exp(silent) * -jnp.expm1(change))
        after = silent + change
        return after, (fired, weights @ jnp.exp(after))

    return jax.lax.scan(step, jnp.zeros_like(thresholds), (counts, lengths))[1]


def _padded(count: int) -> int:
    return 1 << max(count - 1, 3).bit_length()


def _panels(b1: float, b2: float, rule: Quadrature) -> int:
    return math.ceil(rule.reach * rule.panels * max(b1 / b2, 1.0))


def _scales(b1: float, b2: float, rule: Quadrature) -> None:
    checks.number("threshold_scale", b1, 0.0, open_low=True)
    checks.number("test_scale", b2, 0.0, open_low=True)
    checks.instance("quadrature", rule, Quadrature, "a Quadrature(reach, panels, nodes)")
    if _panels(float(b1), float(b2), rule) > MOST_PANELS:
        raise InputError(
            f"threshold_scale = {float(b1):g} is {float(b1) / float(b2):.3g} times test_scale; "
            f"noise scales within a factor of a few hundred are needed"
        )
