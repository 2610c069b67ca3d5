"""Free additive and multiplicative convolution by subordination.

Sources: Biane 1998; Belinschi & Bercovici 2007; Voiculescu. With F = -1/m and h(ω) = F(ω) - ω, the
sum A + B of free matrices has m(z) = m_A(ω_A) where ω_A = z + h_B(ω_B), ω_B = z + h_A(ω_A). With
k(ω) = ω - F(ω), the product A^½BA^½ (A, B >= 0) has m(z) = m_A(ω_A) ω_A/z where ω_A = z/k_B(ω_B),
ω_B = z/k_A(ω_A).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Complex, Float

from theorylab import checks
from theorylab.errors import InputError
from theorylab.precision import as_float64, float64_inside, is_traced
from theorylab.pytrees import register
from theorylab.rmt.inputs import (
    as_atoms,
    complexed,
    law_method,
    require_complex,
    require_upper,
    upper_half,
)
from theorylab.rmt.wigner import Semicircle

_SWEEPS, _LEVELS, _NEWTON = 40, 24, 4


class Law(Protocol):
    """Anything with a Stieltjes transform on the upper half-plane (a PyTree): every law of this
    package."""

    def stieltjes(self, z: Complex[Array, "..."]) -> Complex[Array, "..."]: ...


@register()
@dataclass(frozen=True)
class DiscreteLaw:
    """A matrix with eigenvalues `values` (r,) in proportions `weights` (equal by default)."""

    values: Float[Array, "r"]
    weights: Float[Array, "r"] | None = None

    def validate(self) -> None:
        as_atoms("values", self.values, self.weights)

    @law_method
    def stieltjes(self, z: Complex[Array, "..."] | complex) -> Complex[Array, "..."]:
        values, weights = as_atoms("values", self.values, self.weights)
        return jnp.sum(weights / (values - complexed(z)[..., None]), axis=-1)


@register()
@dataclass(frozen=True)
class FreeSolution:
    """`stieltjes` m(z), the relative `residual` of the subordination equation, and where it is
    below 1e-9."""

    stieltjes: Complex[Array, "..."]
    residual: Float[Array, "..."]
    converged: Bool[Array, "..."]


@register("product")
@dataclass(frozen=True)
class FreeConvolution:
    """Law of A + B (`product=False`) or A^½BA^½ (`product=True`) for free A, B with the laws
    given."""

    first: Any
    second: Any
    product: bool = False

    def validate(self) -> None:
        checks.flag("product", self.product)
        for name, law in (("first", self.first), ("second", self.second)):
            checks.function(f"{name}.stieltjes", getattr(law, "stieltjes", None))
            if hasattr(law, "validate"):
                law.validate()
            lowest = jnp.min(as_float64(law.values)) if isinstance(law, DiscreteLaw) else 0.0
            if self.product and (
                isinstance(law, Semicircle) or (not is_traced(lowest) and lowest < 0)
            ):
                raise InputError(
                    f"{name} has negative eigenvalues; a product of free laws needs both on [0, ∞)"
                )

    @float64_inside
    def solve(self, z: Complex[Array, "..."] | complex) -> FreeSolution:
        """m(z) for Im z > 0 (not on the axis: use a small imaginary part, as `density` does)."""
        self.validate()
        require_upper(require_complex("z", z), strictly=True)
        return _solve(self.first, self.second, self.product, complexed(z))

    @float64_inside
    def stieltjes(self, z: Complex[Array, "..."] | complex) -> Complex[Array, "..."]:
        """m(z); NaN where the iteration did not converge."""
        self.validate()
        upper, below = upper_half(complexed(require_complex("z", z)))
        solution = _solve(self.first, self.second, self.product, upper)
        m = jnp.where(solution.converged, solution.stieltjes, jnp.nan)
        return jnp.where(below, jnp.conj(m), m)

    @float64_inside
    def density(
        self, x: Float[Array, "..."] | float, *, width: float = 1e-7
    ) -> Float[Array, "..."]:
        """Im m(x + i width)/π: the density smoothed by a Cauchy kernel of that half-width; NaN
        where not converged."""
        checks.finite("x", x)
        checks.number("width", width, 0.0, open_low=True)
        return (
            jnp.imag(
                self.stieltjes(jax.lax.complex(as_float64(x), jnp.full_like(as_float64(x), width)))
            )
            / jnp.pi
        )


def free_additive(first: Law, second: Law) -> FreeConvolution:
    """first ⊞ second: eigenvalues of A + B in generic position; any PyTrees with `stieltjes`, as
    the laws here."""
    return FreeConvolution(first, second)


def free_multiplicative(first: Law, second: Law) -> FreeConvolution:
    """first ⊠ second: eigenvalues of A^½BA^½, both laws on [0, ∞). H ⊠ MP(γ) is
    `SilversteinLaw(H, γ)`."""
    return FreeConvolution(first, second, product=True)


@partial(jax.jit, static_argnames="product")
def _solve(first: Any, second: Any, product: bool, z: Complex[Array, "..."]) -> FreeSolution:
    def inner(law: Any, w: Array) -> Array:
        return -1 / law.stieltjes(w) - w

    def update(level: Array) -> Callable[[Array], Array]:
        if product:
            return lambda w: -level / inner(second, -level / inner(first, w))
        return lambda w: level + inner(second, level + inner(first, w))

    def lower(w: Array, level: Array) -> Array:
        if product:  # 0 <= arg ω, and ω in C+
            return jnp.zeros_like(jnp.imag(w))
        return jnp.imag(level)

    scale = jnp.maximum(jnp.abs(z), 1.0)

    def at_height(factor: Array) -> Array:
        return jax.lax.complex(jnp.real(z), jnp.maximum(jnp.imag(z), factor * scale))

    start = at_height(jnp.asarray(3.0))
    omega = jax.lax.fori_loop(0, _SWEEPS, lambda _, w: update(start)(w), start)

    def descend(i: int, w: Array) -> Array:
        level = at_height(3.0 * jnp.exp(-jnp.asarray(i, jnp.float64)))

        def newton(_: int, w: Array) -> Array:
            value, slope = jax.jvp(update(level), (w,), (jnp.ones_like(w),))
            new = w - (value - w) / (slope - 1)
            # The plain sweep always stays in the half-plane: the fallback when Newton would leave
            # it.
            good = jnp.isfinite(new) & (jnp.imag(new) >= lower(w, level))
            return jnp.where(good, new, value)

        return jax.lax.fori_loop(0, _NEWTON, newton, w)

    omega = jax.lax.fori_loop(1, _LEVELS, descend, omega)
    residual = jnp.abs(update(z)(omega) - omega) / (jnp.abs(omega) + 1e-300)
    m = first.stieltjes(omega)
    m = m * omega / z if product else m
    return FreeSolution(m, residual, (residual < 1e-9) & (jnp.imag(m) >= 0))
