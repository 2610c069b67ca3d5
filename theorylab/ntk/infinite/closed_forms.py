"""More nonlinearities with closed forms: exp, rbf, sign, Gabor, Hermite, rectified monomials.

Source: Cho & Saul 2009 and Kan & Robotti 2017 (rectified monomials); Rahimi & Recht 2007 (rbf); the
others by Gaussian integrals.
"""

from collections.abc import Callable
from dataclasses import replace
from math import factorial, pi, sqrt
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from theorylab import checks
from theorylab.ntk.infinite.activations import Activation, Polynomial, Sin
from theorylab.ntk.infinite.layer import Layer, layer
from theorylab.ntk.infinite.state import State
from theorylab.ntk.infinite.unfused import unfused


def _correlation(s11: Array, s22: Array, s12: Array) -> tuple[Array, Array]:
    """(correlation, root of 1 - its square), both with derivatives that stay finite."""
    product = s11 * s22
    alive = product > 0
    safe = jnp.where(alive, product, 1.0)
    rest = jnp.where(alive, 1 - s12**2 / safe, 0.0)
    inside = rest > 16 * jnp.finfo(s12.dtype).eps
    root = jnp.where(inside, jnp.sqrt(jnp.where(inside, rest, 1.0)), 0.0)
    found = jnp.where(alive, s12 / jnp.sqrt(safe), 0.0)
    return jnp.where(inside | ~alive, found, jnp.sign(found)), root


@layer()
class Exp(Activation):
    """φ(x) = a exp(b x)."""

    a: Any
    b: Any

    def function(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """φ itself."""
        return self.a * jnp.exp(self.b * x)

    def moment(self, s11: Array, s22: Array, s12: Array) -> Array:
        """T as a smooth function of s12."""
        return self.a**2 * jnp.exp(self.b**2 * ((s11 + s22) / 2 + s12))


@layer()
class Gabor(Activation):
    """φ(x) = exp(-x²) sin(x): under the weight exp(-u² - v²), (u, v) stay Gaussian."""

    def function(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """φ itself."""
        return jnp.exp(-(x**2)) * jnp.sin(x)

    def moment(self, s11: Array, s22: Array, s12: Array) -> Array:
        """T as a smooth function of s12."""
        det = (1 + 2 * s11) * (1 + 2 * s22) - 4 * s12**2
        minor = s11 * s22 - s12**2
        t11, t22, t12 = (s11 + 2 * minor) / det, (s22 + 2 * minor) / det, s12 / det
        mean = (t11 + t22) / 2
        return (jnp.exp(t12 - mean) - jnp.exp(-t12 - mean)) / 2 / jnp.sqrt(det)


@layer()
class Sign(Activation):
    """φ(x) = sign(x), whose derivative is 0 almost everywhere, and so are gradients through it."""

    def function(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """φ itself."""
        return jnp.sign(x)

    def dual(self, s11: Array, s22: Array, s12: Array) -> tuple[Array, Array]:
        """(T, T') in closed form."""
        correlation, root = _correlation(s11, s22, s12)
        inside = root > 0
        angle = jnp.where(
            inside,
            jnp.arctan2(correlation, jnp.where(inside, root, 1.0)),
            jnp.sign(correlation) * pi / 2,
        )
        return 2 / pi * angle, jnp.zeros_like(s12)

    def dual_equal(self, s: Array) -> tuple[Array, Array]:
        """(T, T') for u = v of variance s."""
        return jnp.where(s > 0, jnp.ones_like(s), 0.0), jnp.zeros_like(s)


@layer("degree")
class Hermite(Activation):
    """φ(x) = h_d(x), the normalised Hermite polynomial: T = c^d at variance 1."""

    degree: int

    def function(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """φ itself."""
        powers = np.polynomial.hermite_e.herme2poly([0] * self.degree + [1])[::-1]
        return jnp.polyval(jnp.asarray(powers / sqrt(factorial(self.degree)), x.dtype), x)

    def dual(self, s11: Array, s22: Array, s12: Array) -> tuple[Array, Array]:
        """(T, T') at variance 1, whatever the variances."""
        d = self.degree
        return s12**d, d * s12 ** max(d - 1, 0)


@layer("degree")
class RectifiedMonomial(Activation):
    """φ(x) = max(x, 0)^d, the arc-cosine kernel of order d.

    Stein's lemma lowers the powers one by one, with a term for the kink at 0.
    """

    degree: int

    def function(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """φ itself."""
        return jnp.where(x > 0, x, 0.0) ** self.degree * (x > 0)

    def dual(self, s11: Array, s22: Array, s12: Array) -> tuple[Array, Array]:
        """(T, T') in closed form."""
        correlation, root = _correlation(s11, s22, s12)
        inside = root > 0
        angle = jnp.where(
            inside,
            jnp.arctan2(correlation, jnp.where(inside, root, 1.0)),
            jnp.sign(correlation) * pi / 2,
        )
        d, scale = self.degree, jnp.sqrt(s11 * s22)
        moment = scale**d * _rectified(d, d, correlation, root, angle)
        if d == 0:
            return moment, jnp.zeros_like(s12)
        slope = d**2 * scale ** (d - 1) * _rectified(d - 1, d - 1, correlation, root, angle)
        return moment, slope

    def dual_equal(self, s: Array) -> tuple[Array, Array]:
        """(T, T') for u = v of variance s: half of the full moments."""
        d = self.degree
        value = _double_factorial(2 * d - 1) / 2 * s**d
        if d == 0:
            return value, jnp.zeros_like(s)
        return value, d**2 * _double_factorial(2 * d - 3) / 2 * s ** (d - 1)


def _double_factorial(n: int) -> float:
    return float(np.prod(np.arange(n, 0, -2))) if n > 0 else 1.0


def _half_moment(q: int) -> float:
    """E max(z, 0)^q of a standard normal z."""
    return _double_factorial(q - 1) / (2.0 if q % 2 == 0 else sqrt(2 * pi))


def _rectified(p: int, q: int, c: Array, root: Array, angle: Array) -> Array:
    """E max(u, 0)^p max(v, 0)^q for standard normals of correlation c; power 0 is the step."""
    if p > q:
        return _rectified(q, p, c, root, angle)
    if q == 0:
        return 0.25 + angle / (2 * pi)
    edge = root ** (q - 1) * _half_moment(q - 1) / sqrt(2 * pi)  # E δ(u) v₊^(q-1)
    if p == 0:
        lower = (q - 1) * _rectified(0, q - 2, c, root, angle) if q > 1 else 1 / (2 * sqrt(2 * pi))
        return lower + c * edge
    if p == 1:
        kink = root**q * _half_moment(q) / sqrt(2 * pi)
        return kink + c * q * _rectified(0, q - 1, c, root, angle)
    return (p - 1) * _rectified(p - 2, q, c, root, angle) + c * q * _rectified(
        p - 1, q - 1, c, root, angle
    )


@layer("moment_of", "slope_of", "fn")
class DualActivation(Activation):
    """The layer that `dual_activation` makes."""

    moment_of: Callable[[Array, Array, Array], Array]
    slope_of: Callable[[Array, Array, Array], Array] | None
    fn: Callable[[Array], Array] | None

    def function(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """φ itself."""
        if self.fn is None:
            raise NotImplementedError("this layer was given by its covariance, without a function")
        return self.fn(x)

    def dual(self, s11: Array, s22: Array, s12: Array) -> tuple[Array, Array]:
        """(T, T') by the functions given."""
        s11, s22, s12 = jnp.broadcast_arrays(s11, s22, s12)
        slope_of = self.slope_of
        if slope_of is None:  # Price's theorem
            slope_of = unfused(jnp.vectorize(jax.grad(self.moment_of)))
        return self.moment_of(s12, s11, s22), slope_of(s12, s11, s22)


@layer()
class ExpNormalized(Activation):
    """The layer that `exp_normalized` makes."""

    gamma: Any
    shift: Any

    def function(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """φ is not known in closed form."""
        raise NotImplementedError("exp_normalized is a kernel; it has no finite network")

    def dual(self, s11: Array, s22: Array, s12: Array) -> tuple[Array, Array]:
        """(T, T') by definition."""
        product = s11 * s22
        alive = product > 1e-30
        scale = jnp.where(alive, jnp.sqrt(jnp.where(alive, product, 1.0)), 1e-30)
        value = jnp.exp(self.gamma * (s12 / scale + self.shift))
        return scale * value, self.gamma * value

    def propagate(self, state: State) -> State:
        """The covariances after the nonlinearity, whatever law they come from."""
        return super().propagate(replace(state, gaussian=True))


def exp(a: Any = 1.0, b: Any = 1.0) -> Layer:
    """The nonlinearity a exp(b x).

    Args:
        a: factor of the function.
        b: factor of its argument.

    Returns:
        A `Layer`, to follow a dense or conv layer.

    Raises:
        InputError: a parameter that is not one finite number.
    """
    checks.finite("a", a, ndim=0)
    checks.finite("b", b, ndim=0)
    return Exp(a, b)


def rbf(gamma: Any = 1.0) -> Layer:
    """The nonlinearity √2 sin(√(2 gamma) x + π/4), whose kernel is exp(-gamma |u - v|²).

    Args:
        gamma: above 0, the inverse squared width of the kernel.

    Returns:
        A `Layer`, to follow a dense or conv layer.

    Raises:
        InputError: a `gamma` that is not one positive number.

    Source:
        Rahimi & Recht 2007.
    """
    checks.positive("gamma", gamma, ndim=0)
    return Sin(2**0.5, (2 * gamma) ** 0.5, pi / 4)


def sign() -> Layer:
    """The nonlinearity sign(x), through which no gradient passes.

    Returns:
        A `Layer`, to follow a dense or conv layer.
    """
    return Sign()


def gabor() -> Layer:
    """The nonlinearity exp(-x²) sin(x).

    Returns:
        A `Layer`, to follow a dense or conv layer.
    """
    return Gabor()


def hermite(degree: int) -> Layer:
    """The normalised Hermite polynomial of this degree, for inputs of variance 1.

    It has to follow a `layer_norm`: the closed form c^degree holds at variance 1 alone.

    Args:
        degree: at least 0.

    Returns:
        A `Layer`, to follow a dense or conv layer and a `layer_norm`.

    Raises:
        InputError: a degree that is no whole number of at least 0.
    """
    return Hermite(checks.count("degree", degree, 0))


def monomial(degree: int) -> Layer:
    """The nonlinearity x^degree.

    Args:
        degree: at least 0.

    Returns:
        A `Layer`, to follow a dense or conv layer.

    Raises:
        InputError: a degree that is no whole number of at least 0.
    """
    return Polynomial((*[0.0] * checks.count("degree", degree, 0), 1.0))


def rectified_monomial(degree: int) -> Layer:
    """The nonlinearity max(x, 0)^degree; degree 0 is the step function.

    Args:
        degree: at least 0.

    Returns:
        A `Layer`, to follow a dense or conv layer.

    Raises:
        InputError: a degree that is no whole number of at least 0.

    Source:
        Cho & Saul 2009: the arc-cosine kernel of this order, over 2.
    """
    return RectifiedMonomial(checks.count("degree", degree, 0))


def exp_normalized(gamma: Any = 1.0, shift: Any = -1.0) -> Layer:
    """The kernel √(s11 s22) exp(gamma (correlation + shift)) in place of a nonlinearity's own.

    Args:
        gamma: above 0.
        shift: added to the correlation; -1 keeps variances.

    Returns:
        A `Layer` without a finite network.

    Raises:
        InputError: a parameter that is not one finite number, or a `gamma` that is not positive.

    Source:
        Shankar et al. 2020, "Neural Kernels Without Tangents".
    """
    checks.positive("gamma", gamma, ndim=0)
    checks.finite("shift", shift, ndim=0)
    return ExpNormalized(gamma, shift)


def dual_activation(
    moment: Callable[[Array, Array, Array], Array],
    slope: Callable[[Array, Array, Array], Array] | None = None,
    *,
    fn: Callable[[Array], Array] | None = None,
) -> Layer:
    """A nonlinearity that is given by its dual, E φ(u)φ(v), as a function of the covariances.

    Use it where you know the closed form; `elementwise` needs the function alone.

    Args:
        moment: (s12, s11, s22) -> E φ(u)φ(v), entry by entry.
        slope: the same for E φ'(u)φ'(v); None takes the derivative of `moment` by s12.
        fn: φ itself, for finite networks; None where there is none.

    Returns:
        A `Layer`, to follow a dense or conv layer.

    Raises:
        InputError: what is no function.
    """
    checks.function("moment", moment)
    for name, given in (("slope", slope), ("fn", fn)):
        if given is not None:
            checks.function(name, given)
    return DualActivation(moment, slope, fn)


__all__ = [
    "dual_activation",
    "exp",
    "exp_normalized",
    "gabor",
    "hermite",
    "monomial",
    "rbf",
    "rectified_monomial",
    "sign",
]
