"""The Marchenko-Pastur law in closed form: eigenvalues of white sample covariances.

Source: Marchenko & Pastur 1967; the primitive of the density by elementary integration.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from theorylab import checks
from theorylab.overflow import in_range
from theorylab.precision import as_float64, float64_inside
from theorylab.pytrees import register
from theorylab.rmt.inputs import complexed, law_method, require_parameter, require_shape
from theorylab.rmt.inversion import invert_cdf
from theorylab.rmt.results import Edges


@register("companion")
@dataclass(frozen=True)
class MarchenkoPastur:
    """Law of the eigenvalues of XᵀX/n for white data.

    X (n, p) has i.i.d. entries of variance s2, gamma = p/n. Use it for white covariance; any other
    population spectrum is `SilversteinLaw`. Methods broadcast, work under jit, vmap and grad, and
    return float64.

    Attributes:
        gamma: p/n, above 0.
        s2: variance of an entry, above 0.
        companion: the law of XXᵀ/n (n x n), which differs by the atom at zero.

    Raises:
        InputError: a parameter that is not above 0.

    Source:
        Marchenko & Pastur 1967.

    Examples:
        >>> law = MarchenkoPastur(gamma=0.25)
        >>> [float(edge) for edge in law.edges()]
        [0.25, 2.25]
        >>> round(float(law.cdf(1.0)), 4), float(law.atom())
        (0.5534, 0.0)
    """

    gamma: Float[Array, ""] | float
    s2: Float[Array, ""] | float = 1.0
    companion: bool = False

    def __post_init__(self) -> None:
        for name in ("gamma", "s2"):
            if isinstance(value := getattr(self, name), int | float):
                checks.positive(f"MarchenkoPastur: {name}", value)

    def validate(self) -> None:
        """Refuse parameters that are no law; every method asks first."""
        for name in ("gamma", "s2"):
            require_parameter(f"MarchenkoPastur: {name}", getattr(self, name))
        checks.broadcast(gamma=self.gamma, s2=self.s2)
        checks.flag("MarchenkoPastur: companion", self.companion)

    def _share(self) -> Array:
        """Mass of this law per mass of the law of XᵀX/n, away from zero."""
        return as_float64(self.gamma) if self.companion else as_float64(1.0)

    @in_range()
    @float64_inside
    def edges(self) -> Edges:
        """Ends s2 (1 ∓ √gamma)² of the bulk."""
        self.validate()
        root, s2 = jnp.sqrt(as_float64(self.gamma)), as_float64(self.s2)
        return Edges(s2 * (1 - root) ** 2, s2 * (1 + root) ** 2)

    @float64_inside
    def atom(self) -> Float[Array, ""]:
        """Mass at zero: max(0, 1 - 1/gamma), or max(0, 1 - gamma) for the companion."""
        self.validate()
        gamma = as_float64(self.gamma)
        return (
            jnp.where(gamma > 1, 0.0, 1 - gamma)
            if self.companion
            else jnp.where(gamma > 1, 1 - 1 / gamma, 0.0)
        )

    @law_method
    def density(self, x: Float[Array, "..."] | float) -> Float[Array, "..."]:
        """Density of the bulk (without the atom), 0 outside it; infinite at 0 when gamma = 1."""
        x, (a, b) = as_float64(x), self.edges()
        inside = (x > a) & (x < b)
        safe = jnp.where(inside, x, (a + b) / 2)
        value = jnp.sqrt((b - safe) * (safe - a)) / (
            2 * jnp.pi * as_float64(self.gamma) * as_float64(self.s2) * safe
        )
        value = jnp.where(inside, value * self._share(), 0.0)
        return jnp.where((a == 0) & (x == 0), jnp.inf, value)

    @law_method
    def cdf(self, x: Float[Array, "..."] | float) -> Float[Array, "..."]:
        """Distribution function, the atom included."""
        x, (a, b) = as_float64(x), self.edges()
        inside = (x > a) & (x < b)
        safe = jnp.where(inside, x, (a + b) / 2)
        left, right = safe - a, b - safe
        # Angles whose sines squared are (x-a)/(b-a) and b(x-a)/(x(b-a)): no cancellation of
        # arcsines at the edges.
        phi = jnp.arctan2(jnp.sqrt(left), jnp.sqrt(right))
        psi = jnp.arctan2(jnp.sqrt(b * left), jnp.sqrt(jnp.where(a > 0, a, 0.0) * right))
        bulk = jnp.sqrt(left * right) + (a + b) * phi - 2 * jnp.sqrt(a * b) * psi
        bulk = bulk / (2 * jnp.pi * as_float64(self.gamma) * as_float64(self.s2)) * self._share()
        return jnp.where(
            x < 0, 0.0, jnp.where(x >= b, 1.0, self.atom() + jnp.where(inside, bulk, 0.0))
        )

    @law_method
    def quantile(self, p: Float[Array, "..."] | float) -> Float[Array, "..."]:
        """The point x with cdf(x) = p; 0 for p <= atom, NaN outside [0, 1]."""
        p, (a, b) = as_float64(p), self.edges()
        atom = self.atom()
        inner = jnp.where(p > atom, p, (1 + atom) / 2)
        return jnp.where(
            (p >= 0) & (p <= atom) & (atom > 0),
            0.0,
            invert_cdf(self.cdf, self.density, inner, a, b),
        )

    @law_method
    def stieltjes(self, z: Complex[Array, "..."] | complex) -> Complex[Array, "..."]:
        """The transform m(z) = ∫ dμ(x)/(x - z).

        Off the support, and for real x in the bulk the limit from above.
        """
        z, (a, b) = complexed(z), self.edges()
        gamma, s2 = as_float64(self.gamma), as_float64(self.s2)
        # Two principal roots: the root of the product has its cut in the wrong place. Real z are
        # taken from above.
        root = _sqrt_above(z - a) * _sqrt_above(z - b)
        # The two forms are equal; each is taken where its sum has no cancellation.
        plus = s2 * (1 - gamma) - z
        near = jnp.real(plus * jnp.conj(root)) >= 0
        safe = jnp.where(near, -2 * s2 * gamma * z, plus - root)
        m = jnp.where(near, (plus + root) / jnp.where(near & (z != 0), -safe, 1.0), 2 / safe)
        return gamma * m - (1 - gamma) / z if self.companion else m

    @float64_inside
    def sample(self, key: jax.Array, shape: tuple[int, ...] = ()) -> Float[Array, "..."]:
        """Independent draws from the law (not the repelling eigenvalues of one matrix)."""
        checks.key("key", key)
        require_shape("shape", shape)
        return self.quantile(jax.random.uniform(key, shape, dtype=jnp.float64))

    @in_range()
    @float64_inside
    def moments(self, count: int) -> Float[Array, "count"]:
        """The first `count` moments, k = 1, 2, ...

        s2^k Σ_r gamma^r C(k,r) C(k-1,r)/(r+1) (Narayana numbers).
        """
        self.validate()
        checks.count("count", count)
        gamma, s2 = as_float64(self.gamma), as_float64(self.s2)
        values = []
        for k in range(1, count + 1):
            term, total = 1.0, jnp.zeros_like(gamma)
            for r in range(k):
                total = total + term * gamma**r
                term = term * (k - r) * (k - 1 - r) / ((r + 1) * (r + 2))
            values.append(total * s2**k * self._share())
        return jnp.stack(values)


def _sqrt_above(z: Complex[Array, "..."]) -> Complex[Array, "..."]:
    """Principal square root, with the negative axis approached from above.

    It does so whatever the sign of its zero.
    """
    return jnp.where((jnp.imag(z) == 0) & (jnp.real(z) < 0), 1j * jnp.sqrt(jnp.abs(z)), jnp.sqrt(z))
