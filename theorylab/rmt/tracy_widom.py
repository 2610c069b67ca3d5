"""Tracy-Widom laws of the largest eigenvalue, beta = 1, 2, 4.

Source: Bornemann 2010 (Fredholm determinants by Gauss-Legendre quadrature). The determinants are
computed once per beta with SciPy (JAX has no Airy function) at Chebyshev points; what runs under
jit is a Chebyshev series, exact to 1e-13.
"""

from dataclasses import dataclass, field
from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.polynomial import chebyshev
from scipy.special import airy

from theorylab import checks
from theorylab.errors import InputError
from theorylab.precision import as_float64
from theorylab.pytrees import register
from theorylab.rmt.inputs import law_method
from theorylab.rmt.inversion import invert_cdf

_RANGE = (-10.0, 14.0)  # F1 < 1e-18 on the left and 1 - F1 < 1e-15 on the right
_DEGREE, _NODES = 120, 64


def _determinants(s: float, nodes: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The determinants det(1 - V) = F1(s), det(1 - K_Ai) = F2(s) and det(1 + V) = F2/F1.

    They are on L²(s, ∞), V(x, y) = ½Ai((x+y)/2).
    """
    end = max(s + 16.0, 16.0)
    x, w = s + (end - s) * (nodes + 1) / 2, weights * (end - s) / 2
    root = np.sqrt(w)
    ai, dai = airy(x)[:2]
    gap = x[:, None] - x
    with np.errstate(divide="ignore", invalid="ignore"):
        kernel2 = (ai[:, None] * dai - dai[:, None] * ai) / gap
    np.fill_diagonal(kernel2, dai**2 - x * ai**2)
    kernel1 = airy((x[:, None] + x) / 2)[0] / 2
    return np.linalg.det(
        [np.eye(len(x)) - root[:, None] * k * root for k in (kernel1, kernel2, -kernel1)]
    )


@lru_cache(maxsize=1)
def _table() -> np.ndarray:
    """The three determinants at the Chebyshev points of the range, (points, 3)."""
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    points = chebyshev.chebpts1(_DEGREE + 1)
    middle, half = (_RANGE[0] + _RANGE[1]) / 2, (_RANGE[1] - _RANGE[0]) / 2
    return np.array([_determinants(middle + half * t, nodes, weights) for t in points])


@lru_cache(maxsize=3)
def _series(beta: int) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, float]]:
    """Chebyshev coefficients of the distribution function and of its derivative on an interval."""
    # With the convention Var = 0.5177..., F4(x) = (F1(s) + F2(s)/F1(s))/2 at s = √2 x (Tracy &
    # Widom 1996).
    stretch = np.sqrt(2.0) if beta == 4 else 1.0
    f1, f2, ratio = _table().T
    law = {1: f1, 2: f2, 4: (f1 + ratio) / 2}[beta]
    interval = (_RANGE[0] / stretch, _RANGE[1] / stretch)
    value = chebyshev.chebinterpolate(lambda _: law, _DEGREE)
    slope = chebyshev.chebder(value) * 2 / (interval[1] - interval[0])
    return tuple(value), tuple(slope), interval


def _clenshaw(coefficients: tuple[float, ...], t: Array) -> Array:
    c = jnp.asarray(coefficients[::-1], jnp.float64)

    def step(carry: tuple[Array, Array], a: Array) -> tuple[tuple[Array, Array], None]:
        b1, b2 = carry
        return (a + 2 * t * b1 - b2, b1), None

    (b1, b2), _ = jax.lax.scan(step, (jnp.zeros_like(t), jnp.zeros_like(t)), c[:-1])
    return c[-1] + t * b1 - b2


@register("beta")
@dataclass(frozen=True)
class TracyWidom:
    """Limit law of the scaled largest eigenvalue.

    The usual convention for beta = 4 (mean -2.3069, variance 0.5177). Scale eigenvalues with
    `wishart_edge` or `goe_edge`. Absolute accuracy 1e-13; relative accuracy is lost in the tails
    beyond that.

    Attributes:
        beta: 1 (real), 2 (complex) or 4 (quaternion).

    Raises:
        InputError: another beta.

    Source:
        Bornemann 2010.
    """

    beta: int = field(default=1)

    def __post_init__(self) -> None:
        if not isinstance(self.beta, (int, float)) or self.beta not in (1, 2, 4):
            raise InputError(
                f"beta = {checks.shown(self.beta)}; 1 (real), 2 (complex) or 4 (quaternion) is "
                "needed"
            )

    def validate(self) -> None:
        """The parameter was checked when the law was made."""

    def _at(self, x: Array, which: int) -> tuple[Array, Array]:
        *series, (low, high) = _series(self.beta)
        t = (2 * x - low - high) / (high - low)
        inside = (t > -1) & (t < 1)
        return _clenshaw(series[which], jnp.where(inside, t, 0.0)), jnp.where(
            inside, 0.0, jnp.sign(t)
        )

    @law_method
    def cdf(self, x: Float[Array, "..."] | float) -> Float[Array, "..."]:
        """Distribution function."""
        value, side = self._at(as_float64(x), 0)
        value = jnp.where(side == 0, value, jnp.where(side > 0, 1.0, 0.0))
        return jnp.where(value < 0, 0.0, jnp.where(value > 1, 1.0, value))

    @law_method
    def pdf(self, x: Float[Array, "..."] | float) -> Float[Array, "..."]:
        """Density."""
        value, side = self._at(as_float64(x), 1)
        return jnp.where((side == 0) & (value > 0), value, 0.0)

    @law_method
    def quantile(self, p: Float[Array, "..."] | float) -> Float[Array, "..."]:
        """The point x with cdf(x) = p for 0 < p < 1 (NaN outside [0, 1])."""
        low, high = _series(self.beta)[2]
        return invert_cdf(self.cdf, self.pdf, as_float64(p), as_float64(low), as_float64(high))

    def mean(self) -> float:
        """Mean of the law."""
        return self._moment(1)

    def variance(self) -> float:
        """Variance of the law."""
        return self._moment(2) - self._moment(1) ** 2

    def _moment(self, order: int) -> float:
        _, slope, (low, high) = _series(self.beta)
        nodes, weights = np.polynomial.legendre.leggauss(400)
        x = low + (high - low) * (nodes + 1) / 2
        return float(
            np.sum(weights * (high - low) / 2 * x**order * chebyshev.chebval(nodes, slope))
        )
