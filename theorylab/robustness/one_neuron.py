"""A network of one ReLU neuron of which the first weight is trained, in closed form.

f(x) = a relu(theta . x) + b, adversarial training and COAP, against perturbations along the first
axis. Data: y uniform in {-1, 1}, x = (gamma y, N(0, sigma^2 I)). With S = theta_2 x_2 + ... of
standard deviation sigma ||theta_2:||, everything depends on theta_1 and that norm alone.
Source: De Bartolomeis, master thesis (ETH 2022), chapter 4 and appendices A and B; where its print
is off, the corrected form and its derivation are in docs/derivations/robust_bounds.md.
"""

import itertools
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jax.typing import ArrayLike
from scipy import integrate, optimize, stats

from theorylab import checks
from theorylab.errors import InputError

Training = Literal["adversarial", "coap", "zero", "standard"]
TRAININGS: tuple[str, ...] = ("adversarial", "coap", "zero", "standard")
# the data beyond this number of standard deviations weigh less than 1e-17
_REACH = 8.5


@dataclass(frozen=True)
class OneNeuron:
    """The neuron and its data.

    Args:
        theta1: trained weight, above 0.
        norm: ||theta_2:||, the norm of the other weights, above 0.
        a: output weight, not 0.
        b: output bias.
        gamma: distance of the class means from 0 along the first axis, above 0.
        sigma: standard deviation of the other coordinates, above 0.
        eps: largest perturbation of the first coordinate, at least 0.

    Raises:
        InputError: an argument out of range.
    """

    theta1: float = 1.0
    norm: float = 10.0
    a: float = 1.0
    b: float = -1.0
    gamma: float = 6.0
    sigma: float = 1.0
    eps: float = 5.0

    def __post_init__(self) -> None:
        for name in ("theta1", "norm", "gamma", "sigma"):
            checks.number(name, getattr(self, name), 0, open_low=True)
        checks.number("a", self.a), checks.number("b", self.b), checks.number("eps", self.eps, 0)
        if self.a == 0:
            raise InputError("a = 0; an output weight other than 0 is needed")

    @property
    def spread(self) -> float:
        """Standard deviation of theta_2 x_2 + ..., the part of the activation that is noise."""
        return self.sigma * self.norm


def worst_margin(
    neuron: OneNeuron, s: ArrayLike, y: ArrayLike, training: Training = "adversarial"
) -> np.ndarray:
    """The margin y f that each kind of training sees, for noise s = theta_2 x_2 + ... and labels y.

    "adversarial" is the exact smallest margin over the perturbations; "coap" its lower bound with
    lower slope u / (u - l) on an unstable neuron; "zero" the bound with slope 0, which is exact
    here, since an unstable neuron's smallest output is 0; "standard" the margin without
    perturbation.

    Args:
        neuron: the network and its data.
        s: noise part of the activation, any shape.
        y: labels -1 and 1, that broadcasts with s.
        training: "adversarial", "coap", "zero" or "standard".

    Returns:
        float64 margins of the broadcast shape.

    Raises:
        InputError: an argument of another kind, other labels, or shapes that do not fit.

    Source:
        Thesis, propositions 4.3 and 4.4.
    """
    low, high, y = _ends(neuron, s, y, training)
    a, b = neuron.a, neuron.b
    down = a * y > 0
    exact = y * (b + a * np.where(down, np.maximum(low, 0), np.maximum(high, 0)))
    if training != "coap":
        return exact
    unstable = down & (low <= 0) & (high >= 0) & (high > low)
    span = np.where(unstable, high - low, 1.0)
    return np.where(unstable, y * (b + a * high * low / span), exact)


def gradient(
    neuron: OneNeuron, s: ArrayLike, y: ArrayLike, training: Training = "adversarial"
) -> np.ndarray:
    """The derivative by theta_1 of log(1 + exp(-margin)), in closed form.

    Args:
        neuron: the network and its data.
        s: noise part of the activation, any shape.
        y: labels -1 and 1, that broadcasts with s.
        training: whose margin, as for `worst_margin`.

    Returns:
        float64 derivatives of the broadcast shape; on the kinks (an end at 0) one of the two.

    Raises:
        InputError: as for `worst_margin`.

    Source:
        Thesis, propositions 4.3 and 4.4.
    """
    low, high, y = _ends(neuron, s, y, training)
    eps = 0.0 if training == "standard" else neuron.eps
    a, x1 = neuron.a, neuron.gamma * y
    down = a * y > 0
    inner = np.where(down, (x1 - eps) * (low > 0), (x1 + eps) * (high > 0))
    slope = a * y * inner
    if training == "coap":
        unstable = down & (low <= 0) & (high >= 0) & (high > low)
        # d/dtheta of u l / (2 eps theta): the two terms, with theta . x = x1 theta + s
        theta = neuron.theta1
        first = low / theta * (x1 + eps)
        second = high * (x1 * theta - (x1 * theta + np.asarray(s, np.float64))) / theta**2
        relaxed = a * y / (2 * eps if eps else 1.0) * (first + second)
        slope = np.where(unstable, relaxed, slope)
    margin = worst_margin(neuron, s, y, training)
    return -slope * _logistic(-margin)


def population_gradient(neuron: OneNeuron, training: Training = "adversarial") -> float:
    """The expectation of `gradient` over labels and noise, by quadrature between the kinks.

    Args:
        neuron: the network and its data.
        training: whose margin, as for `worst_margin`.

    Returns:
        The expectation, to about 1e-10.

    Raises:
        InputError: an argument of another kind.

    Source:
        Thesis, section 4.3; quadrature our own.
    """
    _neuron(neuron), checks.choice("training", training, TRAININGS)  # type: ignore[func-returns-value]
    total = 0.0
    for y in (-1.0, 1.0):
        eps = 0.0 if training == "standard" else neuron.eps
        centre = neuron.theta1 * neuron.gamma * y
        kinks = [-centre - eps * neuron.theta1, -centre + eps * neuron.theta1]
        ends = np.array([-_REACH, _REACH]) * neuron.spread
        inside = [k for k in kinks if ends[0] < k < ends[1]]
        points = [ends[0], *inside, ends[1]]

        def density(s: float, y: float = y) -> float:
            weight = stats.norm.pdf(s, scale=neuron.spread)
            return float(gradient(neuron, s, y, training)) * weight

        for left, right in itertools.pairwise(points):
            total += 0.5 * integrate.quad(density, left, right, limit=200, epsabs=1e-12)[0]
    return total


def robust_risk(neuron: OneNeuron) -> float:
    """The probability that some perturbation along the first axis changes the sign of f.

    For a > 0 > b, as in the lemma; decreasing in theta_1 while eps < gamma.

    Args:
        neuron: the network and its data.

    Returns:
        A probability.

    Raises:
        InputError: unless a > 0 and b < 0.

    Source: thesis, lemma 4.5.
    """
    _neuron(neuron)
    if not (neuron.a > 0 > neuron.b):
        raise InputError(f"a = {neuron.a:g}, b = {neuron.b:g}; a > 0 and b < 0 are needed")
    signal = (neuron.gamma - neuron.eps) * neuron.theta1 / neuron.spread
    shift = neuron.b / (neuron.a * neuron.spread)
    return float((stats.norm.cdf(-signal - shift) + stats.norm.cdf(-signal + shift)) / 2)


def proof_function(r: ArrayLike, gamma: float, eps: float, sigma: float = 1.0) -> np.ndarray:
    """The function f(r) of the proof of theorem 4.6, at r = ||theta_2:|| / theta_1.

    Where it is negative, COAP's population gradient is above that of adversarial training.

    Args:
        r: ratios, above 0, any shape.
        gamma: as for `OneNeuron`.
        eps: as for `OneNeuron`, above 0.
        sigma: as for `OneNeuron`.

    Returns:
        float64 values of the shape of r.

    Raises:
        InputError: an argument that is not above 0.

    Source:
        Thesis, appendix B.
    """
    checks.number("gamma", gamma, 0, open_low=True), checks.number("eps", eps, 0, open_low=True)
    checks.number("sigma", sigma, 0, open_low=True)
    r = np.asarray(checks.positive("r", r), np.float64)
    low, high = -(gamma + eps) / (r * sigma), -(gamma - eps) / (r * sigma)
    mass = stats.norm.cdf(high) - stats.norm.cdf(low)
    ends = (gamma - 3 * eps) * stats.norm.pdf(high) - (gamma + eps) * stats.norm.pdf(low)
    return gamma**2 - eps**2 - 2 * (sigma * r) ** 2 - sigma * r * ends / mass


def sharp_threshold(ratio: float) -> float:
    """The r sigma / gamma at which `proof_function` changes sign: the least that the proof needs.

    Args:
        ratio: eps / gamma, above 3 / 5 and below 1: for large r f tends to gamma^2 ratio
            (1 - 5 ratio / 3), which is negative there alone.

    Returns:
        The threshold in units of gamma / sigma; at most 2.3 for ratios from 2/3 on.

    Raises:
        InputError: a ratio out of range, or so close to 3 / 5 that the threshold is above 30.

    Source:
        Our computation.
    """
    checks.number("ratio", ratio, 0.6, 1, open_low=True, open_high=True)
    # for large r both ends of the interval are near 0, and the mass loses its digits
    if float(proof_function(30.0, 1.0, ratio)) >= 0:
        raise InputError(f"ratio = {ratio}; the threshold is above 30: give a ratio above .6005")
    return float(optimize.brentq(lambda r: float(proof_function(r, 1.0, ratio)), 0.3, 30.0))


def corrected_threshold(ratio: float) -> float:
    """A sufficient r sigma / gamma in closed form: the algebra of the proof redone.

    With eps = ratio gamma, r^2 > (7 eps - gamma) (gamma + eps)^3 / (4 sigma^2 (gamma^2 - 10 gamma
    eps + 13 eps^2)).

    Args:
        ratio: eps / gamma, above (5 + 2 sqrt 3) / 13 = .651 and below 1.

    Returns:
        The threshold in units of gamma / sigma.

    Raises:
        InputError: a ratio out of range.

    Source:
        Our derivation, docs/derivations/robust_bounds.md; the thesis prints the power 4.
    """
    checks.number("ratio", ratio, (5 + 2 * np.sqrt(3)) / 13, 1, open_low=True, open_high=True)
    square = (7 * ratio - 1) * (1 + ratio) ** 3 / (4 * (1 - 10 * ratio + 13 * ratio**2))
    return float(np.sqrt(square))


def printed_threshold(gamma: float, sigma: float = 1.0) -> float:
    """The r = ||theta_2:|| / theta_1 that theorem 4.6 asks for as printed.

    It has the dimension of gamma^(3/2) / sigma where r has none: a misprint. It implies
    `corrected_threshold` for gamma of at least 1.6 alone.

    Args:
        gamma: as for `OneNeuron`.
        sigma: as for `OneNeuron`.

    Returns:
        sqrt(24 gamma^3 / sigma^2).

    Raises:
        InputError: an argument that is not above 0.

    Source:
        Thesis, theorem 4.6.
    """
    checks.number("gamma", gamma, 0, open_low=True), checks.number("sigma", sigma, 0, open_low=True)
    return float(np.sqrt(24 * gamma**3 / sigma**2))


def _neuron(neuron: object) -> None:
    checks.instance("neuron", neuron, OneNeuron, "OneNeuron(...)")


def _ends(
    neuron: OneNeuron, s: ArrayLike, y: ArrayLike, training: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lower and upper end of the activation, and the labels."""
    _neuron(neuron)
    checks.choice("training", training, TRAININGS)
    s, y = np.asarray(checks.finite("s", s), float), np.asarray(checks.finite("y", y), float)
    checks.broadcast(s=s, y=y)
    if not np.isin(y, (-1.0, 1.0)).all():
        raise InputError(f"y = {checks.shown(y)}; labels -1 and 1 are needed")
    s, y = np.broadcast_arrays(s, y)
    eps = 0.0 if training == "standard" else neuron.eps
    centre = neuron.theta1 * neuron.gamma * y + s
    return centre - eps * neuron.theta1, centre + eps * neuron.theta1, y


def _logistic(z: np.ndarray) -> np.ndarray:
    return np.exp(-np.logaddexp(0.0, -z))
