"""Spectra of operators that are known only by their products: stochastic Lanczos quadrature.

Lanczos in float64 with full reorthogonalisation (in float32 without it the leading eigenvalue of a
power law comes back many times).

Source: Ubaru, Chen & Saad 2017; Lin, Saad & Yang 2016 (densities).
"""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from theorylab import checks, krylov
from theorylab.double import float64_inside
from theorylab.errors import InputError
from theorylab.precision import as_float64, is_traced
from theorylab.pytrees import register
from theorylab.rmt.results import SpectralMean, TraceEstimate

MatVec = Callable[[Float[Array, "p"]], Float[Array, "p"]]


@register()
@dataclass(frozen=True)
class LanczosQuadrature:
    """Nodes and weights of a quadrature for traces of functions of an operator.

    Attributes:
        nodes: (probes, steps) Ritz values.
        weights: (probes, steps), each row summing to 1. Where a Krylov space closed early they end
            in zeros, whose nodes repeat another one of their row.
    """

    nodes: Float[Array, "probes steps"]
    weights: Float[Array, "probes steps"]

    @float64_inside
    def average(self, function: Callable[[Array], Array]) -> SpectralMean:
        """The mean (1/p) tr f(A) and its standard error over probes.

        f maps nodes elementwise, or to extra trailing axes.
        """
        values = jnp.asarray(checks.function("function", function)(self.nodes))
        if values.shape[:2] != self.nodes.shape:
            raise InputError(
                f"function gives shape {values.shape} for nodes {self.nodes.shape}; these axes "
                "first are needed"
            )
        extra = (1,) * (values.ndim - 2)
        weights = self.weights.reshape(*self.weights.shape, *extra)
        # a node of no weight takes no part, whatever the function says there
        samples = jnp.sum(jnp.where(weights > 0, weights * values, 0.0), axis=1)
        return _mean_and_error(samples)

    @float64_inside
    def cdf(self, x: Float[Array, "g"]) -> SpectralMean:
        """Share of eigenvalues <= x, and its standard error over probes."""
        checks.within("x", x, infinite=True, ndim=(0, 1))
        return self.average(lambda nodes: (nodes[..., None] <= as_float64(x)).astype(jnp.float64))

    @float64_inside
    def density(
        self, x: Float[Array, "g"], *, width: float | None = None, log: bool = False
    ) -> "SmoothedDensity":
        """Gaussian-smoothed density on the grid `x`, per unit of x, with its standard error.

        `width` is the standard deviation of the smoothing, by default range/steps, the resolution
        of Lanczos; with `log=True` the smoothing is in log x (for power laws, whose top would hide
        the bulk) and width a number of e-folds; values <= 0 of A are then left out.
        """
        checks.flag("log", log)
        x = as_float64((checks.positive if log else checks.finite)("x", x, ndim=(0, 1)))
        if width is not None:
            checks.positive("width", width, ndim=0)
        elif not is_traced(self.nodes) and np.ptp(self.nodes) == 0:
            raise InputError(
                "width = None takes the nodes' range, which is 0: all are equal; give a width"
            )
        if log and width is None:
            positive = jnp.where(self.nodes > 0, self.nodes, jnp.inf)
            spread = jnp.log(jnp.max(self.nodes)) - jnp.log(jnp.min(positive))
            width_ = spread / self.nodes.shape[1]
        else:
            width_ = (
                as_float64(width)
                if width is not None
                else jnp.ptp(self.nodes) / self.nodes.shape[1]
            )

        def kernel(nodes: Array) -> Array:
            if log:
                safe = jnp.where(nodes > 0, nodes, 1.0)[..., None]
                u, jacobian = (jnp.log(x) - jnp.log(safe)) / width_, 1 / x
            else:
                u, jacobian = (x - nodes[..., None]) / width_, jnp.ones_like(x)
            value = jnp.exp(-u * u / 2) / (jnp.sqrt(2 * jnp.pi) * width_) * jacobian
            return jnp.where((nodes > 0)[..., None], value, 0.0) if log else value

        mean, error = self.average(kernel)
        return SmoothedDensity(x, mean, error)


@register()
@dataclass(frozen=True)
class SmoothedDensity:
    """A smoothed spectral density on a grid.

    Attributes:
        x: (g,) the grid.
        density: (g,) per unit of x.
        standard_error: (g,) of the mean over probes (infinite with one probe).
    """

    x: Float[Array, "g"]
    density: Float[Array, "g"]
    standard_error: Float[Array, "g"]


@float64_inside
def lanczos_quadrature(
    matvec: MatVec,
    dim: int,
    key: jax.Array,
    *,
    probes: int = 10,
    steps: int = 60,
    batch_size: int | None = None,
) -> LanczosQuadrature:
    """Quadrature nodes and weights of a symmetric operator, from Rademacher probes.

    Use it for the spectrum of an operator known by its products (`ntk.ntk_operator`, a Hessian); a
    matrix that fits is cheaper to decompose. Cost: probes x steps products and probes x steps² x
    dim flops. Smooth functions converge geometrically in steps; the error over probes falls as
    probes^-1/2 and is exactly zero for a diagonal operator. A Krylov space that closes early (low
    rank) is cut there. It can be jitted (close over the operator's arrays).

    Args:
        matvec: the product, (dim,) -> (dim,).
        dim: size of the operator.
        key: draws the probes.
        probes: number of random vectors.
        steps: Lanczos steps of each, at most dim.
        batch_size: probes that go through `matvec` together, by vmap: products with a matrix then
            read it once per batch. None keeps the Krylov bases of a batch below 1 GiB; 1 takes no
            vmap, for operators that do not bear it or whose own memory counts.

    Returns:
        A `LanczosQuadrature`.

    Raises:
        InputError: counts out of range, or what does not map vectors (dim,) to such vectors.

    Source:
        Ubaru, Chen & Saad 2017.

    Examples:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> scales = jnp.arange(1.0, 11.0)
        >>> quadrature = lanczos_quadrature(lambda v: scales * v, 10, jax.random.key(0), steps=10)
        >>> mean, error = quadrature.average(jnp.log)
        >>> round(float(mean), 6), round(float(jnp.log(scales).mean()), 6)
        (1.510441, 1.510441)
    """
    dim, probes = checks.count("dim", dim), checks.count("probes", probes)
    steps = checks.count("steps", steps, 1, dim)  # a Krylov space is no larger than the space
    checks.key("key", key)
    checks.vector_map("matvec", matvec, dim, "dim entries")
    if batch_size is not None:
        checks.count("batch_size", batch_size)
    product = lambda v: as_float64(matvec(v))  # noqa: E731

    def one(probe: Array) -> tuple[Array, Array]:
        return krylov.gauss(*krylov.tridiagonal(product, probe, steps))

    signs = jax.random.rademacher(key, (probes, dim), dtype=jnp.float64)
    batch = max(1, min(probes, 2**27 // (dim * steps))) if batch_size is None else batch_size
    nodes, weights = jax.lax.map(one, signs, batch_size=None if batch == 1 else batch)
    return LanczosQuadrature(nodes, weights)


@float64_inside
def slq_trace(
    matvec: MatVec,
    dim: int,
    function: Callable[[Array], Array],
    key: jax.Array,
    *,
    probes: int = 10,
    steps: int = 60,
    batch_size: int | None = None,
) -> TraceEstimate:
    """Trace tr f(A) of a function of an operator, and its standard error over probes.

    The error does not see that of Lanczos: raise `steps` to check it.

    Args:
        matvec: the product, (dim,) -> (dim,).
        dim: size of the operator.
        function: f, elementwise.
        key: draws the probes.
        probes: number of random vectors.
        steps: Lanczos steps of each, at most dim.
        batch_size: as for `lanczos_quadrature`.

    Returns:
        `TraceEstimate` (trace, standard_error), scalars.

    Raises:
        InputError: as `lanczos_quadrature`.

    Source:
        Ubaru, Chen & Saad 2017.
    """
    found = lanczos_quadrature(matvec, dim, key, probes=probes, steps=steps, batch_size=batch_size)
    mean, error = found.average(function)
    return TraceEstimate(dim * mean, dim * error)


def _mean_and_error(samples: Float[Array, "probes ..."]) -> SpectralMean:
    count = samples.shape[0]
    mean = jnp.mean(samples, axis=0)
    if count == 1:
        return SpectralMean(mean, jnp.full_like(mean, jnp.inf))
    return SpectralMean(mean, jnp.std(samples, axis=0, ddof=1) / count**0.5)
