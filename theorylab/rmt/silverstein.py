"""Sample covariance with any population spectrum: the generalised Marchenko-Pastur law.

Source: Silverstein 1995; Silverstein & Bai 1995; Silverstein & Choi 1995 (edges); Benaych-Georges &
Nadakuditi 2011 (spikes).
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
from theorylab.rmt.inputs import as_spectrum, complexed, law_method, upper_half
from theorylab.rmt.inversion import invert_cdf
from theorylab.rmt.pastur import PasturMap, PasturSolution, bulk_edges
from theorylab.rmt.spikes import Spike


@old_arguments(weights="proportions")
@register("companion")
@dataclass(frozen=True)
class SilversteinLaw:
    """Law of the eigenvalues of a sample covariance with any population spectrum.

    Σ̂ = XᵀX/n with X = ZΣ^½ (n, p). Use it for coloured data; white data is `MarchenkoPastur`, in
    closed form. Methods broadcast, run under jit and vmap and have first derivatives in every
    input, but for `edges`, whose shape depends on values. All return float64 or complex128. Where
    the solver did not reach rounding error the result is NaN; `solve` gives residuals. Cost: about
    20 sweeps over points x eigenvalues.

    Attributes:
        eigenvalues: (r,) of Σ, at least 0.
        proportions: (r,) of the eigenvalues, normalised to sum 1; None for equal ones.
        gamma: p/n, above 0.
        companion: the law of XXᵀ/n, which differs by the atom at zero.

    Raises:
        InputError: eigenvalues or proportions that are negative or not finite, or a gamma that is
            not above 0.

    Examples:
        >>> import numpy as np
        >>> law = SilversteinLaw(np.array([1.0, 8.0]), None, gamma=0.1)
        >>> law.edges().shape  # two bulks
        (2, 2)
        >>> round(float(law.cdf(3.0)), 6)
        0.5
    """

    eigenvalues: Float[Array, "r"]
    proportions: Float[Array, "r"] | None
    gamma: Float[Array, ""] | float
    companion: bool = False

    weights = old_field("weights", "proportions")

    def __post_init__(self) -> None:
        if isinstance(self.gamma, int | float):
            checks.positive("SilversteinLaw: gamma", self.gamma)

    def validate(self) -> None:
        """Refuse parameters that are no law; every method asks first."""
        checks.positive("SilversteinLaw: gamma", self.gamma, ndim=0)
        checks.flag("SilversteinLaw: companion", self.companion)
        as_spectrum("eigenvalues", self.eigenvalues)
        law_atoms("eigenvalues", self.eigenvalues, self.proportions)

    def _parts(self) -> tuple[Array, Array, Array]:
        _, weights = law_atoms("eigenvalues", self.eigenvalues, self.proportions)
        return as_spectrum("eigenvalues", self.eigenvalues), weights, as_float64(self.gamma)

    def _map(self) -> PasturMap:
        t, w, gamma = self._parts()
        linear = gamma * w * t
        # Null directions have no strength; moved onto another atom they cannot be hit by ω = 0.
        return PasturMap(jnp.where(t > 0, t, jnp.max(t)), linear, linear * t, multiplicative=True)

    @law_method
    def solve(self, z: Complex[Array, "..."] | complex) -> PasturSolution:
        """The solution ω = -1/m̃(z) for Im z >= 0, with residuals and convergence.

        For z = -α real, ω = -κ(α).
        """
        return _solve(self._map(), complexed(z))

    @law_method
    def companion_stieltjes(self, z: Complex[Array, "..."] | complex) -> Complex[Array, "..."]:
        """The transform m̃(z) of the law of XXᵀ/n; on the real axis the limit from above."""
        upper, below = upper_half(complexed(z))
        solution = self.solve(upper)
        m = jnp.where(solution.converged, -1 / solution.omega, jnp.nan)
        return jnp.where(below, jnp.conj(m), m)

    @law_method
    def stieltjes(self, z: Complex[Array, "..."] | complex) -> Complex[Array, "..."]:
        """The transform m(z) = ∫ dμ(x)/(x - z) of this law.

        On the real axis it is the limit from above.
        """
        if self.companion:
            return self.companion_stieltjes(z)
        t, w, gamma = self._parts()
        upper, below = upper_half(complexed(z))
        solution = self.solve(upper)
        inverse = 1 / (solution.omega[..., None] - t)
        # m = -(1/z) ∫ dH/(1 + t m̃), free of the cancellation of (m̃ + (1-γ)/z)/γ.
        m = -(inverse @ (w + 0j)) / (1 + gamma * (inverse @ (w * t + 0j)))
        m = jnp.where(solution.converged, m, jnp.nan)
        return jnp.where(below, jnp.conj(m), m)

    @law_method
    def density(self, x: Float[Array, "..."] | float) -> Float[Array, "..."]:
        """Density of the bulks (without the atom at zero); exactly 0 outside them."""
        a, b, solution = _solve_on_axis(self._map(), as_float64(x))
        bulk = b > 1e-11 * jnp.abs(a)
        value = jnp.where(bulk, b, 0.0) / jnp.where(bulk, a * a + b * b, 1.0) / jnp.pi
        return jnp.where(
            solution.converged, value if self.companion else value / as_float64(self.gamma), jnp.nan
        )

    @law_method
    def cdf(self, x: Float[Array, "..."] | float) -> Float[Array, "..."]:
        """Distribution function with the atom, exact.

        Im of z m̃ + log m̃ - γ∫ log(1 + t m̃) dH is π times it.
        """
        t, w, gamma = self._parts()
        x = as_float64(x)
        a, b, solution = _solve_on_axis(self._map(), x)
        gap = a[..., None] - t
        angle = jnp.sum(jnp.arctan2(b[..., None], gap) * w, axis=-1)
        zmap = self._map()
        pull = b * jnp.sum(
            zmap.linear / ((a[..., None] - zmap.atoms) ** 2 + (b * b)[..., None]), axis=-1
        )
        own = jnp.arctan2(b, a)
        value = (pull + jnp.pi - own - gamma * (angle - own)) / jnp.pi
        value = value if self.companion else (value - (1 - gamma)) / gamma
        value = jnp.where(x == 0, self.atom() * jnp.ones_like(x), value)
        return jnp.where(solution.converged, jnp.where(x < 0, 0.0, value), jnp.nan)

    @law_method
    def quantile(self, p: Float[Array, "..."] | float) -> Float[Array, "..."]:
        """The point x with cdf(x) = p; 0 for p <= atom. Costs about 20 densities."""
        t, _, gamma = self._parts()
        p, atom = as_float64(p), self.atom()
        inner = jnp.where(p > atom, p, (1 + atom) / 2)
        top = jnp.max(t) * (1 + jnp.sqrt(gamma)) ** 2
        return jnp.where(
            (p >= 0) & (p <= atom), 0.0, invert_cdf(self.cdf, self.density, inner, 0.0 * top, top)
        )

    @float64_inside
    def atom(self) -> Float[Array, ""]:
        """Mass at zero: max(H({0}), 1 - 1/γ), or max(0, 1 - γ(1 - H({0}))) for the companion."""
        self.validate()
        t, w, gamma = self._parts()
        null = jnp.sum(jnp.where(t == 0, w, 0.0))
        if self.companion:
            return jnp.maximum(0.0, 1 - gamma * (1 - null))
        return jnp.maximum(null, 1 - 1 / gamma)

    @in_range()
    def edges(self) -> np.ndarray:
        """Ends of the bulks, (bulks, 2), in NumPy.

        Their number depends on values, so not under jit.
        """
        with jax.enable_x64(True):
            self.validate()
            return np.maximum(bulk_edges(self._map()), 0.0)

    @law_method
    def outlier(self, spike: Float[Array, "..."] | float) -> Spike:
        """Where one population eigenvalue outside the bulk shows in the sample, and how well.

        Eigenvalue Z(ℓ) = ℓ(1 + γ∫ t/(ℓ - t) dH) and squared overlap ℓ Z'(ℓ)/Z(ℓ) when Z'(ℓ) > 0;
        else it is lost in the bulk: eigenvalue NaN, overlap 0.
        """
        zmap, ell = self._map(), complexed(spike)
        place, slope = jnp.real(zmap(ell)), jnp.real(zmap.derivative(ell))
        seen = slope > 0
        overlap = jnp.real(ell) * slope / jnp.where(seen, place, 1.0)
        return Spike(jnp.where(seen, place, jnp.nan), jnp.where(seen, overlap, 0.0), seen)


_solve = jax.jit(PasturMap.solve)
_solve_on_axis = jax.jit(lambda zmap, x: zmap.solve_parts(x, jnp.zeros_like(x)))
