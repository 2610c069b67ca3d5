"""Wigner's semicircle and its deformation by a fixed matrix.

They are symmetric noise, without and with signal.

Source: Wigner 1958; Pastur 1972 (m = ∫ dμ(t)/(t - z - s² m)); Biane 1997.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from theorylab import checks
from theorylab.deprecation import old_arguments, old_field
from theorylab.overflow import in_range
from theorylab.precision import as_float64, float64_inside
from theorylab.pytrees import register
from theorylab.rmt.atoms import law_atoms
from theorylab.rmt.inputs import (
    complexed,
    law_method,
    require_parameter,
    require_shape,
    upper_half,
)
from theorylab.rmt.inversion import invert_cdf
from theorylab.rmt.pastur import PasturMap, PasturSolution, bulk_edges
from theorylab.rmt.results import Edges


@register()
@dataclass(frozen=True)
class Semicircle:
    """Law of a symmetric n x n matrix of noise with off-diagonal entries of variance s2/n.

    Its support is [-2s, 2s].

    Attributes:
        s2: variance, above 0.

    Raises:
        InputError: a variance that is not above 0.
    """

    s2: Float[Array, ""] | float = 1.0

    def __post_init__(self) -> None:
        if isinstance(self.s2, int | float):
            checks.positive("Semicircle: s2", self.s2)

    def validate(self) -> None:
        """Refuse parameters that are no law; every method asks first."""
        require_parameter("Semicircle: s2", self.s2)

    @in_range()
    @float64_inside
    def edges(self) -> Edges:
        """Ends -2s and 2s of the bulk."""
        self.validate()
        end = 2 * jnp.sqrt(as_float64(self.s2))
        return Edges(-end, end)

    @law_method
    def density(self, x: Float[Array, "..."] | float) -> Float[Array, "..."]:
        """Density, 0 outside the bulk."""
        x, s2 = as_float64(x), as_float64(self.s2)
        inside = x * x < 4 * s2
        return jnp.where(
            inside, jnp.sqrt(jnp.where(inside, 4 * s2 - x * x, 1.0)) / (2 * jnp.pi * s2), 0.0
        )

    @law_method
    def cdf(self, x: Float[Array, "..."] | float) -> Float[Array, "..."]:
        """Distribution function."""
        x, s2 = as_float64(x), as_float64(self.s2)
        inside = x * x < 4 * s2
        root = jnp.sqrt(jnp.where(inside, 4 * s2 - x * x, 1.0))
        value = 0.5 + x * root / (4 * jnp.pi * s2) + jnp.arctan2(x, root) / jnp.pi
        return jnp.where(inside, value, jnp.where(x > 0, 1.0, 0.0))

    @law_method
    def quantile(self, p: Float[Array, "..."] | float) -> Float[Array, "..."]:
        """The point x with cdf(x) = p; NaN outside [0, 1]."""
        return invert_cdf(self.cdf, self.density, as_float64(p), *self.edges())

    @law_method
    def stieltjes(self, z: Complex[Array, "..."] | complex) -> Complex[Array, "..."]:
        """The transform m(z), off the support; for real z in it the limit from above."""
        upper, lower_half = upper_half(complexed(z))
        end = 2 * jnp.sqrt(as_float64(self.s2))
        root = jnp.sqrt(upper - end) * jnp.sqrt(upper + end)
        m = -2 / (upper + root)  # the stable one of the two equal forms
        return jnp.where(lower_half, jnp.conj(m), m)

    @float64_inside
    def sample(self, key: jax.Array, shape: tuple[int, ...] = ()) -> Float[Array, "..."]:
        """Independent draws from the law."""
        checks.key("key", key)
        require_shape("shape", shape)
        return self.quantile(jax.random.uniform(key, shape, dtype=jnp.float64))


@old_arguments(weights="proportions")
@register()
@dataclass(frozen=True)
class DeformedWigner:
    """Law of A + W: a fixed symmetric matrix plus Wigner noise.

    Use it for signal plus white noise; for other noise `free_additive`.

    Attributes:
        values: (r,) eigenvalues of A.
        proportions: (r,), normalised to sum 1; None for equal ones.
        s2: variance of W, as in `Semicircle`.

    Raises:
        InputError: values or proportions that are not finite, negative ones, or a variance that is
            not above 0.
    """

    values: Float[Array, "r"]
    proportions: Float[Array, "r"] | None = None
    s2: Float[Array, ""] | float = 1.0

    weights = old_field("weights", "proportions")

    def __post_init__(self) -> None:
        if isinstance(self.s2, int | float):
            checks.positive("DeformedWigner: s2", self.s2)

    def validate(self) -> None:
        """Refuse parameters that are no law; every method asks first."""
        checks.positive("DeformedWigner: s2", self.s2, ndim=0)
        law_atoms("values", self.values, self.proportions)

    def _parts(self) -> tuple[PasturMap, Array]:
        values, weights = law_atoms("values", self.values, self.proportions)
        strengths = as_float64(self.s2) * weights
        return PasturMap(values, jnp.zeros_like(values), strengths, multiplicative=False), weights

    @law_method
    def solve(self, z: Complex[Array, "..."] | complex) -> PasturSolution:
        """The solution ω = z + s² m(z) for Im z >= 0, with its residual.

        It says where it converged.
        """
        return _solve(self._parts()[0], complexed(z))

    @law_method
    def stieltjes(self, z: Complex[Array, "..."] | complex) -> Complex[Array, "..."]:
        """The transform m(z); on the real axis the limit from above.

        NaN where the solver did not converge.
        """
        upper, lower_half = upper_half(complexed(z))
        zmap, weights = self._parts()
        solution = _solve(zmap, upper)
        m = -(1 / (solution.omega[..., None] - zmap.atoms)) @ weights.astype(jnp.complex128)
        m = jnp.where(solution.converged, m, jnp.nan)
        return jnp.where(lower_half, jnp.conj(m), m)

    @law_method
    def density(self, x: Float[Array, "..."] | float) -> Float[Array, "..."]:
        """Density; NaN where the solver did not converge."""
        _, b, solution = _solve_on_axis(self._parts()[0], as_float64(x))
        return jnp.where(solution.converged, b / (jnp.pi * as_float64(self.s2)), jnp.nan)

    @law_method
    def cdf(self, x: Float[Array, "..."] | float) -> Float[Array, "..."]:
        """Distribution function, exact (the primitive of m is elementary in ω)."""
        zmap, weights = self._parts()
        a, b, solution = _solve_on_axis(zmap, as_float64(x))
        gap = a[..., None] - zmap.atoms
        angle = jnp.sum(jnp.arctan2(b[..., None], gap) * weights, axis=-1)
        inverse = weights / (gap**2 + (b * b)[..., None])
        g_re, g_im = jnp.sum(gap * inverse, axis=-1), -b * jnp.sum(inverse, axis=-1)
        value = 1 - (angle + as_float64(self.s2) * g_re * g_im) / jnp.pi
        return jnp.where(solution.converged, value, jnp.nan)

    @law_method
    def quantile(self, p: Float[Array, "..."] | float) -> Float[Array, "..."]:
        """The point x with cdf(x) = p."""
        values, _ = law_atoms("values", self.values, self.proportions)
        reach = 2 * jnp.sqrt(as_float64(self.s2))
        return invert_cdf(
            self.cdf, self.density, as_float64(p), jnp.min(values) - reach, jnp.max(values) + reach
        )

    @in_range()
    def edges(self) -> np.ndarray:
        """Ends of the bulks, (bulks, 2), in NumPy (their number is not known under jit)."""
        with jax.enable_x64(True):
            self.validate()
            return bulk_edges(self._parts()[0])


_solve = jax.jit(PasturMap.solve)
_solve_on_axis = jax.jit(lambda zmap, x: zmap.solve_parts(x, jnp.zeros_like(x)))
