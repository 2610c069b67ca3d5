"""Sums over the infinite tail of a power-law spectrum, in closed form.

A spectrum `scale * i^-alpha` cut at i = P loses a share P^(1-alpha) of its trace: for alpha = 1.2
and P = 4e6 that is still 5 %, and kappa is off by as much. The tail i > P is replaced by its
integral from P + 1/2 (midpoint rule, relative error ~ 1/P^2), and the integrals are hypergeometric
functions 2F1(k, b; b+1; -v), k = 1, 2.

Source: our derivation, from the integral representation of 2F1.
"""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from theorylab import checks
from theorylab.errors import InputError
from theorylab.overflow import require_answer
from theorylab.precision import as_float64, float64_inside, is_traced
from theorylab.pytrees import register

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(64)
_ABOVE = {"alpha": 1.0, "start": -0.5, "scale": 0.0}  # alpha: a sum that converges


@register()
@dataclass(frozen=True)
class PowerLawTail:
    """The values `scale * i**-alpha` for every integer i > `start`.

    Give it as `tail=` or `target_tail=` where a power law goes on beyond the p modes that are
    listed.

    Attributes:
        alpha: exponent above 1; for a target's power, the exponent of the power.
        start: number P of modes that are listed explicitly.
        scale: factor above 0.

    Raises:
        InputError: an exponent that is not above 1, or other parameters out of range.
    """

    alpha: Float[Array, ""] | float
    start: Float[Array, ""] | float
    scale: Float[Array, ""] | float = 1.0

    def __post_init__(self) -> None:
        # Only plain numbers: JAX makes laws with anything as leaves (gradients, for one, may be
        # negative).
        for name, low in _ABOVE.items():
            if isinstance(value := getattr(self, name), int | float):
                checks.within(f"PowerLawTail: {name}", value, low, open_low=True)

    def validate(self) -> None:
        """Refuse parameters that are no tail; every function asks first."""
        for name, low in _ABOVE.items():
            checks.within(f"PowerLawTail: {name}", getattr(self, name), low, open_low=True, ndim=0)

    @float64_inside
    def last(self) -> Float[Array, ""]:
        """The value at the cut, `scale * (start + 1/2)**-alpha`."""
        self.validate()
        return as_float64(self.scale) * jnp.exp(
            -as_float64(self.alpha) * jnp.log(as_float64(self.start) + 0.5)
        )

    @float64_inside
    def total(self) -> Float[Array, ""]:
        """Sum of the tail."""
        self.validate()
        x0, a = as_float64(self.start) + 0.5, as_float64(self.alpha)
        total = as_float64(self.scale) * jnp.exp((1 - a) * jnp.log(x0)) / (a - 1)
        require_answer(total, {"scale": self.scale, "start": self.start, "alpha": self.alpha})
        return total


def require_tail(name: str, tail: Any, spectrum: Array, weights: Any) -> None:
    """Refuse what is no tail (None is one).

    One that counts modes a second time that `spectrum` lists is refused too.
    """
    if tail is None:
        return
    checks.instance(name, tail, PowerLawTail, "a PowerLawTail, or None,").validate()
    if weights is None and not is_traced(tail.start) and float(tail.start) < spectrum.shape[0]:
        raise InputError(
            f"{name}.start = {float(tail.start):g}; at least the number {spectrum.shape[0]} of "
            "eigenvalues listed is needed: modes overlap"
        )


def require_same_start(tail: PowerLawTail, target_tail: PowerLawTail) -> None:
    """Refuse tails of a spectrum and a target that do not begin at the same mode."""
    if not is_traced(tail, target_tail) and float(tail.start) != float(target_tail.start):
        raise InputError(
            f"target_tail.start = {float(target_tail.start):g}; that of tail, "
            f"{float(tail.start):g}, is needed"
        )


def hyp1(b: Float[Array, ""], v: Float[Array, ""]) -> Float[Array, ""]:
    """The integral 2F1(1, b; b+1; -v) = ∫_0^1 b τ^(b-1) / (1 + vτ) dτ to rounding.

    b > 0 and v >= 0.

    On τ < 1/v by the series after Pfaff's transformation (terms fall by 2 or more); on 1/v < τ < 1
    by Gauss-Legendre in log τ, where the integrand is analytic in a strip of half-width π.
    """
    inner, outer = jnp.where(v < 1, v, 1.0), jnp.where(v < 1, 1.0, v)
    w = inner / (1 + inner)
    series = jnp.ones_like(w)
    for k in range(59, 0, -1):
        series = 1 + k / (b + k) * w * series
    series = series / (1 + inner)
    length = jnp.log(outer)
    theta = length * (_NODES + 1) / 2
    integral = length / 2 * jnp.sum(_WEIGHTS * jnp.exp(b * (theta - length)) / (1 + jnp.exp(theta)))
    return jnp.exp(-b * length) * series + b * integral


def hyp2(b: Float[Array, ""], v: Float[Array, ""]) -> Float[Array, ""]:
    """The integral 2F1(2, b; b+1; -v), by parts from `hyp1`."""
    return (1 - b) * hyp1(b, v) + b / (1 + v)


def tail_dof(
    tail: PowerLawTail, kappa: Float[Array, ""]
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Sums of L and L(1 - L) over the tail, L = λ/(λ+κ)."""
    a, x0 = as_float64(tail.alpha), as_float64(tail.start) + 0.5
    # κ = 0 means that every mode of an infinite tail is learnt: the sums diverge, as they should.
    v = tail.last() / kappa
    dof1 = x0 * v / (a - 1) * hyp1(1 - 1 / a, v)
    return dof1, (dof1 + x0 * v / (1 + v)) / a


def tail_unlearned(
    target: PowerLawTail, tail: PowerLawTail | None, kappa: Float[Array, ""]
) -> Float[Array, ""]:
    """Sum of b (κ/(λ+κ))² over the tail of the target's power b.

    Without a spectral tail nothing there is learnt.
    """
    if tail is None:
        return target.total()
    v = tail.last() / kappa
    return target.total() * hyp2((as_float64(target.alpha) - 1) / as_float64(tail.alpha), v)
