"""Nonlinearities with closed forms for T = E φ(u)φ(v) and T' = E φ'(u)φ'(v).

(u, v) are centred Gaussian.

They are functions of the variances s11, s22 and the covariance s12. By Price's theorem T' =
∂T/∂s12, which is how the smooth ones get it. Θ <- T' Θ at the nonlinearity; the layer after it adds
its own share.

Source: Cho & Saul 2009 (piecewise linear), Williams 1997 (erf), Tsuchida et al. 2021 (GELU); the
others by Gaussian integrals.
"""

from dataclasses import replace
from math import factorial, pi
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from theorylab import checks
from theorylab.ntk.infinite.layer import Layer, check_gaussian, layer
from theorylab.ntk.infinite.state import State


class Activation(Layer):
    """An elementwise function.

    Subclasses give `function`, and `moment` or `dual` (and `dual_equal`).
    """

    def function(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """φ itself."""
        raise NotImplementedError

    def moment(self, s11: Array, s22: Array, s12: Array) -> Array:
        """T as a smooth function of s12."""
        raise NotImplementedError

    def dual(self, s11: Array, s22: Array, s12: Array) -> tuple[Array, Array]:
        """(T, T'); s11 and s22 broadcast against s12."""
        return jax.jvp(lambda s: self.moment(s11, s22, s), (s12,), (jnp.ones_like(s12),))

    def dual_equal(self, s: Array) -> tuple[Array, Array]:
        """(T, T') for u = v of variance s: exact where `dual` would lose digits."""
        return self.dual(s, s, s)

    def apply(
        self, params: Any, x: Float[Array, "n ..."], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "n ..."]:
        """The function of every entry."""
        return self.function(x)

    def propagate(self, state: State) -> State:
        """The covariances after the nonlinearity."""
        check_gaussian(state, type(self).__name__)
        s11, s22, var1, var2 = state.variances()
        moment, slope = self.dual(s11, s22, state.nngp)
        if (same := state.same_value()) is not None:
            moment_equal, slope_equal = self.dual_equal(s11)
            moment, slope = (
                jnp.where(same, moment_equal, moment),
                jnp.where(same, slope_equal, slope),
            )
        return replace(
            state,
            nngp=moment,
            ntk=slope * state.ntk,
            cov1=self._own(state, state.cov1, var1),
            cov2=self._own(state, state.cov2, var2),
            gaussian=False,
            fresh=-1,
        )

    def _own(self, state: State, cov: Array, var: Array) -> Array:
        equal = self.dual_equal(var)[0]
        if not state.full:
            return equal
        moment = self.dual(state.left(var), state.right(var), cov)[0]
        return jnp.where(state.same_position(), state.left(equal), moment)


@layer()
class PiecewiseLinear(Activation):
    """φ(x) = even |x| + odd x.

    T is odd² s12 + even² E|u||v|; the cross terms vanish by symmetry.
    """

    odd: Any
    even: Any

    def function(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """φ itself."""
        # Not via |x|: the derivative at 0 is that of the negative side, as in jax.nn.
        return jnp.where(x > 0, self.odd + self.even, self.odd - self.even) * x

    def dual(self, s11: Array, s22: Array, s12: Array) -> tuple[Array, Array]:
        """(T, T') in closed form."""
        # Cho & Saul 2009: E|u||v| = 2/π (√det + s12 arcsin c), E sign sign = 2/π arcsin c, c the
        # correlation. Where |c| = 1 to rounding the derivative of arcsin is infinite; the value is
        # set and the derivative is 0, which is exact for T and the symmetric derivative of the cusp
        # of T'.
        product = s11 * s22
        det = product - s12**2
        inside = det > 16 * jnp.finfo(s12.dtype).eps * product
        root = jnp.where(inside, jnp.sqrt(jnp.where(inside, det, 1.0)), 0.0)
        angle = jnp.where(
            inside, jnp.arctan2(s12, jnp.where(inside, root, 1.0)), jnp.sign(s12) * pi / 2
        )
        odd, even = self.odd**2, self.even**2 * 2 / pi
        return odd * s12 + even * (root + s12 * angle), odd + even * angle

    def dual_equal(self, s: Array) -> tuple[Array, Array]:
        """(T, T') for u = v of variance s."""
        total = self.odd**2 + self.even**2
        return total * s, total * jnp.ones_like(s)


@layer()
class Erf(Activation):
    """φ(x) = a erf(b x) + c. Source: Williams 1997."""

    a: Any
    b: Any
    c: Any

    def function(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """φ itself."""
        return self.a * jax.scipy.special.erf(self.b * x) + self.c

    def dual(self, s11: Array, s22: Array, s12: Array) -> tuple[Array, Array]:
        """(T, T') in closed form."""
        twice = 2 * self.b**2
        product = (1 + twice * s11) * (1 + twice * s22)
        moment = 2 / pi * self.a**2 * jnp.arcsin(twice * s12 / jnp.sqrt(product)) + self.c**2
        return moment, 4 / pi * (self.a * self.b) ** 2 / jnp.sqrt(product - (twice * s12) ** 2)

    def dual_equal(self, s: Array) -> tuple[Array, Array]:
        """(T, T') for u = v of variance s."""
        twice = 2 * self.b**2 * s
        moment = 2 / pi * self.a**2 * jnp.arcsin(twice / (1 + twice)) + self.c**2
        return moment, 4 / pi * (self.a * self.b) ** 2 / jnp.sqrt(1 + 2 * twice)


@layer()
class Sin(Activation):
    """φ(x) = a sin(b x + c).

    The product of two sines is half of cos(difference) - cos(sum).
    """

    a: Any
    b: Any
    c: Any

    def function(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """φ itself."""
        return self.a * jnp.sin(self.b * x + self.c)

    def moment(self, s11: Array, s22: Array, s12: Array) -> Array:
        """T as a smooth function of s12."""
        mean, b = (s11 + s22) / 2, self.b**2
        return (
            self.a**2
            / 2
            * (jnp.exp(b * (s12 - mean)) - jnp.cos(2 * self.c) * jnp.exp(-b * (s12 + mean)))
        )


@layer()
class Gaussian(Activation):
    """φ(x) = a exp(-b x²), a Gaussian integral: T = a² det(I + 2 b S)^(-1/2)."""

    a: Any
    b: Any

    def function(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """φ itself."""
        return self.a * jnp.exp(-self.b * x**2)

    def moment(self, s11: Array, s22: Array, s12: Array) -> Array:
        """T as a smooth function of s12."""
        twice = 2 * self.b
        return self.a**2 / jnp.sqrt((1 + twice * s11) * (1 + twice * s22) - (twice * s12) ** 2)


@layer()
class Gelu(Activation):
    """φ(x) = x P(N(0,1) < x).

    Tsuchida et al. 2021; here by Stein's lemma on E[u v Φ(u)Φ(v)].
    """

    def function(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """φ itself."""
        return jax.nn.gelu(x, approximate=False)

    def moment(self, s11: Array, s22: Array, s12: Array) -> Array:
        """T as a smooth function of s12."""
        p1, p2 = 1 + s11, 1 + s22
        root = jnp.sqrt(p1 * p2 - s12**2)
        probability = 0.25 + jnp.arcsin(s12 / jnp.sqrt(p1 * p2)) / (2 * pi)  # E Φ(u)Φ(v)
        density = 1 / (2 * pi * root)  # E Φ'(u)Φ'(v); E Φ''(u)Φ(v) = -s12/p1 times it
        return s12 * probability + density * (s11 * s22 + s12**2 * (1 - s11 / p1 - s22 / p2))


@layer()
class Polynomial(Activation):
    """φ(x) = Σ c_i x^i.

    T = Σ_l s12^l / l! D_l(s11) D_l(s22) with D_l(s) = E φ^(l)(√s z), a polynomial in s.
    """

    coefficients: tuple[Any, ...]

    def function(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """φ itself."""
        out = jnp.zeros_like(x)
        for c in reversed(self.coefficients):
            out = out * x + c
        return out

    def moment(self, s11: Array, s22: Array, s12: Array) -> Array:
        """T as a smooth function of s12."""
        out = jnp.zeros_like(s12)
        for l in reversed(range(len(self.coefficients))):
            out = out * s12 + self._derivative_mean(l, s11) * self._derivative_mean(
                l, s22
            ) / factorial(l)
        return out

    def _derivative_mean(self, l: int, s: Array) -> Array:
        out = jnp.zeros_like(s)
        for i in reversed(range(l, len(self.coefficients), 2)):
            m = (i - l) // 2
            out = out * s + self.coefficients[i] * (factorial(i) / (2**m * factorial(m)))
        return out


def relu() -> Layer:
    """The nonlinearity max(x, 0).

    Returns:
        A `Layer`, to follow a dense or conv layer.
    """
    return PiecewiseLinear(0.5, 0.5)


def leaky_relu(negative_slope: Any = 0.01) -> Layer:
    """The nonlinearity x for x > 0, and negative_slope·x otherwise.

    Args:
        negative_slope: one finite number; `LeakyRelu(alpha)` of neural-tangents.

    Returns:
        A `Layer`, to follow a dense or conv layer.

    Raises:
        InputError: a slope that is not one finite number.
    """
    checks.finite("negative_slope", negative_slope, ndim=0)
    return PiecewiseLinear((1 + negative_slope) / 2, (1 - negative_slope) / 2)


def abs() -> Layer:
    """The nonlinearity |x|.

    Returns:
        A `Layer`, to follow a dense or conv layer.
    """
    return PiecewiseLinear(0.0, 1.0)


def erf(a: Any = 1.0, b: Any = 1.0, c: Any = 0.0) -> Layer:
    """The nonlinearity a erf(b x) + c.

    Args:
        a: factor of the function.
        b: factor of its argument.
        c: added to the function.

    Returns:
        A `Layer`, to follow a dense or conv layer.

    Raises:
        InputError: a parameter that is not one finite number.
    """
    _check(a=a, b=b, c=c)
    return Erf(a, b, c)


def sin(a: Any = 1.0, b: Any = 1.0, c: Any = 0.0) -> Layer:
    """The nonlinearity a sin(b x + c).

    Args:
        a: factor of the function.
        b: factor of its argument.
        c: phase in radians.

    Returns:
        A `Layer`, to follow a dense or conv layer.

    Raises:
        InputError: a parameter that is not one finite number.
    """
    _check(a=a, b=b, c=c)
    return Sin(a, b, c)


def cos(a: Any = 1.0, b: Any = 1.0, c: Any = 0.0) -> Layer:
    """The nonlinearity a cos(b x + c).

    Args:
        a: factor of the function.
        b: factor of its argument.
        c: phase in radians.

    Returns:
        A `Layer`, to follow a dense or conv layer.

    Raises:
        InputError: a parameter that is not one finite number.
    """
    _check(a=a, b=b, c=c)
    return Sin(a, b, c + pi / 2)


def gaussian(a: Any = 1.0, b: Any = 1.0) -> Layer:
    """The nonlinearity a exp(-b x²).

    Args:
        a: factor of the function.
        b: at least 0, without which moments are infinite; neural-tangents writes `Gaussian(a, -b)`.

    Returns:
        A `Layer`, to follow a dense or conv layer.

    Raises:
        InputError: a parameter that is not one finite number, or a negative b.
    """
    _check(a=a)
    checks.nonnegative("b", b, ndim=0)  # else infinite moments
    return Gaussian(a, b)


def gelu() -> Layer:
    """The nonlinearity x Φ(x), the exact form and not the tanh approximation.

    Returns:
        A `Layer`, to follow a dense or conv layer.
    """
    return Gelu()


def polynomial(coefficients: Any) -> Layer:
    """The nonlinearity Σ_i coefficients[i] x^i.

    Args:
        coefficients: (degree + 1,) finite numbers, the constant first.

    Returns:
        A `Layer`, to follow a dense or conv layer.

    Raises:
        InputError: coefficients that are not a row of finite numbers.
    """
    checks.finite("coefficients", coefficients, ndim=1)
    return Polynomial(tuple(coefficients))


def _check(**parameters: Any) -> None:
    for name, value in parameters.items():
        checks.finite(name, value, ndim=0)
