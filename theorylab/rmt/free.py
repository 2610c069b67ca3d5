"""Free additive and multiplicative convolution by subordination.

With F = -1/m and h(ω) = F(ω) - ω, the sum A + B of free matrices has m(z) = m_A(ω_A) where ω_A = z
+ h_B(ω_B), ω_B = z + h_A(ω_A). With k(ω) = ω - F(ω), the product A^½BA^½ (A, B >= 0) has m(z) =
m_A(ω_A) ω_A/z where ω_A = z/k_B(ω_B), ω_B = z/k_A(ω_A).

Source: Biane 1998; Belinschi & Bercovici 2007; Voiculescu.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Complex, Float

from theorylab import checks
from theorylab.deprecation import old_arguments, old_field
from theorylab.errors import InputError
from theorylab.precision import as_float64, float64_inside, is_traced
from theorylab.pytrees import register
from theorylab.rmt.atoms import law_atoms
from theorylab.rmt.inputs import (
    complexed,
    law_method,
    require_complex,
    require_upper,
    upper_half,
)
from theorylab.rmt.wigner import Semicircle

_SWEEPS, _LEVELS, _NEWTON = 40, 24, 4


class Law(Protocol):
    """Anything with a Stieltjes transform on the upper half-plane that is a PyTree.

    Every law of this package is one.
    """

    def stieltjes(self, z: Complex[Array, "..."]) -> Complex[Array, "..."]:
        """The transform m(z) for Im z > 0."""
        ...


@old_arguments(weights="proportions")
@register()
@dataclass(frozen=True)
class DiscreteLaw:
    """Law of a matrix with given eigenvalues in given proportions.

    Use it for a fixed matrix, as one side of `free_additive` or `free_multiplicative`.

    Attributes:
        values: (r,) eigenvalues.
        proportions: (r,), normalised to sum 1; None for equal ones.

    Raises:
        InputError: values or proportions that are not finite, or that are negative.
    """

    values: Float[Array, "r"]
    proportions: Float[Array, "r"] | None = None

    weights = old_field("weights", "proportions")

    def validate(self) -> None:
        """Refuse parameters that are no law; every method asks first."""
        law_atoms("values", self.values, self.proportions)

    @law_method
    def stieltjes(self, z: Complex[Array, "..."] | complex) -> Complex[Array, "..."]:
        """The transform m(z) = Σ w/(t - z)."""
        values, weights = law_atoms("values", self.values, self.proportions)
        return jnp.sum(weights / (values - complexed(z)[..., None]), axis=-1)


@register()
@dataclass(frozen=True)
class FreeSolution:
    """Solution of the subordination equations at points z.

    Attributes:
        stieltjes: m(z).
        residual: relative residual of the subordination equation.
        converged: where the residual is below 1e-9.
    """

    stieltjes: Complex[Array, "..."]
    residual: Float[Array, "..."]
    converged: Bool[Array, "..."]


@register("product")
@dataclass(frozen=True)
class FreeConvolution:
    """Law of a sum or of a product of two free matrices.

    Make it with `free_additive` or `free_multiplicative`.

    Attributes:
        first: law of A, a PyTree with `stieltjes`.
        second: law of B.
        product: True for A^½BA^½, False for A + B.

    Raises:
        InputError: something that has no `stieltjes`.
    """

    first: Any
    second: Any
    product: bool = False

    def validate(self) -> None:
        """Refuse what are no laws; every method asks first."""
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
        """The transform m(z) for Im z > 0, with its residual.

        Not on the axis: use a small imaginary part, as `density` does.
        """
        self.validate()
        require_upper(require_complex("z", z), strictly=True)
        return _solve(self.first, self.second, self.product, complexed(z))

    @float64_inside
    def stieltjes(self, z: Complex[Array, "..."] | complex) -> Complex[Array, "..."]:
        """The transform m(z); NaN where the iteration did not converge."""
        self.validate()
        upper, below = upper_half(complexed(require_complex("z", z)))
        solution = _solve(self.first, self.second, self.product, upper)
        m = jnp.where(solution.converged, solution.stieltjes, jnp.nan)
        return jnp.where(below, jnp.conj(m), m)

    @float64_inside
    def density(
        self, x: Float[Array, "..."] | float, *, width: float = 1e-7
    ) -> Float[Array, "..."]:
        """The density Im m(x + i width)/π, smoothed by a Cauchy kernel.

        Args:
            x: points, of any shape.
            width: half-width of the smoothing, above 0.

        Returns:
            Values of x's shape; NaN where the iteration did not converge.

        Raises:
            InputError: points that are not finite, or a width that is not above 0.
        """
        checks.finite("x", x)
        checks.number("width", width, 0.0, open_low=True)
        return (
            jnp.imag(
                self.stieltjes(jax.lax.complex(as_float64(x), jnp.full_like(as_float64(x), width)))
            )
            / jnp.pi
        )


def free_additive(first: Law, second: Law) -> FreeConvolution:
    """The law first ⊞ second: eigenvalues of A + B in generic position.

    Use it for the sum of two matrices with known laws; signal plus white noise is `DeformedWigner`,
    which is faster and has edges and quantiles.

    Args:
        first: law of A, a PyTree with `stieltjes`, such as the laws here.
        second: law of B.

    Returns:
        A `FreeConvolution`.

    Raises:
        InputError: something that has no `stieltjes`.

    Source:
        Biane 1998; Belinschi & Bercovici 2007.

    Examples:
        >>> from theorylab.rmt import Semicircle
        >>> law = free_additive(Semicircle(1.0), Semicircle(3.0))
        >>> round(float(law.density(0.5)), 4), round(float(Semicircle(4.0).density(0.5)), 4)
        (0.1579, 0.1579)
    """
    return FreeConvolution(first, second)


def free_multiplicative(first: Law, second: Law) -> FreeConvolution:
    """The law first ⊠ second: eigenvalues of A^½BA^½ in generic position.

    Use it for a product of two positive matrices with known laws; H ⊠ MP(γ) is `SilversteinLaw(H,
    γ)`, which is faster and has edges and quantiles.

    Args:
        first: law of A on [0, ∞), a PyTree with `stieltjes`, such as the laws here.
        second: law of B on [0, ∞).

    Returns:
        A `FreeConvolution`.

    Raises:
        InputError: something that has no `stieltjes`.

    Source:
        Belinschi & Bercovici 2007; Voiculescu.
    """
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
