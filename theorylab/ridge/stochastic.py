"""GCV of a kernel that is known only by its products with vectors.

Lanczos gives the numerator, stochastic traces the denominator: one Krylov space per probe serves
every penalty, because shifts do not change it. Use it beyond N of about 30,000, with alpha well
above the smallest eigenvalues.

Source: stochastic Lanczos quadrature, Ubaru, Chen & Saad 2017.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, PRNGKeyArray

from theorylab import checks, krylov
from theorylab.accuracy import DOUBLE, entry_accuracy, resolution
from theorylab.double import float64_inside
from theorylab.errors import InputError
from theorylab.precision import as_float64, is_traced
from theorylab.ridge.checks import require_penalties, require_result, require_targets
from theorylab.sparse import refuse_sparse

Matvec = Callable[[Float[Array, " n"]], Float[Array, " n"]]


@dataclass(frozen=True)
class GCVEstimate:
    """Estimated GCV, κ̂ and degrees of freedom for each of L penalties.

    Attributes:
        gcv: (L,).
        standard_error: (L,) of gcv, from the spread of the probes.
        truncation: (L,) how much gcv moved over the last fifth of the Lanczos steps; where it is
            not small against standard_error, increase `depth`.
        kappa: (L,) estimated effective regularisation.
        kappa_error: (L,) standard error of kappa.
        dof: (L,) effective degrees of freedom.
    """

    gcv: Float[Array, " l"]
    standard_error: Float[Array, " l"]
    truncation: Float[Array, " l"]
    kappa: Float[Array, " l"]
    kappa_error: Float[Array, " l"]
    dof: Float[Array, " l"]


def gcv_slq(
    K: Float[ArrayLike, "n n"] | Matvec,
    Y: Float[ArrayLike, "n *c"],
    alphas: Float[ArrayLike, " l"],
    key: PRNGKeyArray,
    *,
    num_probes: int = 16,
    depth: int = 100,
    accuracy: float | None = None,
) -> GCVEstimate:
    """GCV without an eigendecomposition, with its error bar.

    Use it where K is too large to decompose or is known by its products only (`ntk.ntk_operator`);
    below N of about 30,000 `KernelRidgePath` is exact and gives predictions as well. It costs
    (num_probes + C) * depth products with K. The numerator y^T (K/N + alpha)^{-2} y is a Gauss
    quadrature started at y, free of sampling error; the trace below is averaged over random signs,
    and its standard error is carried to GCV by the delta method (2 times, relative).

    Args:
        K: the kernel (N, N), or a function v (N,) -> K v (N,), not divided by N. It is called with
            float64 vectors.
        Y: targets (N, C) or (N,).
        alphas: a scalar or (L,) penalties > 0, normalised convention. The smallest eigenvalues,
            which alpha = 0 needs, are out of reach.
        key: draws the probes.
        num_probes: at least 2, for an error bar; the relative error falls as num_probes^{-1/2}.
        depth: Lanczos steps per vector (at most N are taken); grows like sqrt(λ_1 / alpha) for a
            hard spectrum.
        accuracy: relative accuracy of K or of its products, where its dtype promises more (computed
            in float32, bfloat16 or TF32); None to believe the dtype, or what a kernel of
            `ntk.empirical_ntk` carries, and products as if they were in float64.

    Returns:
        A `GCVEstimate`.

    Raises:
        InputError: bad shapes or values; alphas holding 0, or so small that rounding of the
            smallest eigenvalues would decide.

    Source:
        Ubaru, Chen & Saad 2017.

    Examples:
        >>> import jax
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> x, y = rng.normal(size=(60, 20)), rng.normal(size=60)
        >>> estimate = gcv_slq(lambda v: x @ (x.T @ v), y, 0.5, jax.random.key(0))
        >>> from theorylab.ridge import solve_ridge
        >>> exact = solve_ridge(x @ x.T, y, 0.5).gcv
        >>> bool(abs(estimate.gcv[0] - exact) < 5 * estimate.standard_error[0])
        True
    """
    if callable(K):
        n = np.shape(checks.finite("Y", Y, ndim=(1, 2)))[0]
        checks.vector_map("K", K, n, "one entry for each row of Y")
        rounding = n * float(np.finfo(np.float32).eps)  # its own precision is not known
        epsilon = max(DOUBLE, accuracy or 0.0)
    else:
        refuse_sparse(K=K)
        n = np.shape(checks.symmetric("K", K))[0]
        require_targets(Y, n, of="K")
        rounding, epsilon = checks.kernel_rounding(K), entry_accuracy(K, accuracy)
    if epsilon > DOUBLE:
        rounding = max(rounding, n * epsilon)
    require_penalties(alphas)
    if not is_traced(alphas) and float(np.min(np.asarray(alphas))) == 0:
        raise InputError(
            "alphas holds 0; Lanczos does not reach the smallest eigenvalues: give alphas > 0"
        )
    if accuracy is not None:
        checks.number("accuracy", accuracy, 0.0, 1.0, open_high=True)
    checks.key("key", key)
    checks.count("num_probes", num_probes, 2)
    checks.count("depth", depth)
    *estimate, extremes = _estimate(K, Y, alphas, key, num_probes, min(depth, n))
    checks.positive_semidefinite("K", extremes, rounding)
    if not is_traced(extremes, alphas):
        lowest, highest = np.asarray(extremes) / n
        least = float(np.min(np.asarray(alphas)))
        _require_resolved(least, lowest, highest, resolution(n, epsilon))
    given = {"Y": Y, "alphas": alphas} | ({} if callable(K) else {"K": K})
    require_result(estimate, given)
    return GCVEstimate(*estimate)


def _require_resolved(alpha: float, lowest: float, highest: float, rounding: float) -> None:
    """Refuse a penalty below what rounding makes of the smallest eigenvalues, where these count."""
    noise = rounding * highest
    if alpha < noise and lowest + alpha < noise:
        raise InputError(
            f"alphas holds {alpha:.3g}; Lanczos finds eigenvalues of K/N only down to {noise:.2g} "
            f"(rounding, the largest is {highest:.3g}): use larger penalties, or KernelRidgePath"
        )


@float64_inside
def _estimate(
    K: Any, Y: Any, alphas: Any, key: Any, num_probes: int, depth: int
) -> tuple[Array, ...]:
    Y, alphas = as_float64(Y), jnp.atleast_1d(as_float64(alphas))
    Y = Y[:, None] if Y.ndim == 1 else Y
    n = Y.shape[0]
    matvec, arguments = (K, ()) if callable(K) else (_product, (as_float64(K),))
    probes = jax.random.rademacher(key, (num_probes, n), jnp.float64)
    targets = jnp.where((Y != 0).any(0), Y, 1.0).T  # of zeros: any start, the numerator is 0
    starts = jnp.concatenate([probes, targets])
    diagonals, offdiagonals, kept = _lanczos(matvec, depth, starts, *arguments)

    def quadratures(steps: int) -> tuple[Array, ...]:
        nodes, weights, extremes = _gauss(
            diagonals[:, :steps] / n,
            offdiagonals[:, : steps - 1] / n,
            jnp.minimum(kept, steps),
        )
        # in units of the smallest of them, which cancel in GCV: no square of a penalty underflows
        shifted = (nodes[:, :, None] + alphas) / (nodes.min() + alphas)
        traces = (weights[:num_probes, :, None] / shifted[:num_probes]).sum(1)
        squares = (Y**2).sum(0)[:, None] * (
            weights[num_probes:, :, None] / shifted[num_probes:] ** 2
        ).sum(1)
        return traces, squares.sum(0) / n, nodes.min() + alphas, extremes

    traces, numerator, unit, extremes = quadratures(depth)
    mean, error = traces.mean(0), traces.std(0, ddof=1) / np.sqrt(num_probes)
    gcv = numerator / mean**2
    fewer_traces, fewer_numerator, *_ = quadratures(max(1, depth * 4 // 5))
    truncation = jnp.abs(gcv - fewer_numerator / fewer_traces.mean(0) ** 2)
    return (
        gcv,
        2 * gcv * error / mean,
        truncation,
        unit / mean,
        unit * error / mean**2,
        n * (1 - alphas / unit * mean),
        n * extremes,
    )


def _product(vector: Array, K: Array) -> Array:
    return K @ vector


@partial(jax.jit, static_argnums=(0, 1))
def _lanczos(matvec: Any, depth: int, starts: Array, *arguments: Array) -> tuple[Array, ...]:
    """Tridiagonal matrices (V, depth) and (V, depth - 1) of V starting vectors.

    And how many entries (V,) of their diagonals are in use.
    """

    def one(start: Array) -> tuple[Array, ...]:
        product = lambda v: as_float64(matvec(v, *arguments))  # noqa: E731
        return krylov.tridiagonal(product, start, depth)

    # Krylov bases of a batch stay below 2^27 numbers (1 GiB).
    batch = max(1, min(starts.shape[0], 2**27 // (starts.shape[1] * depth)))
    # one step has no off-diagonal, and JAX cannot put batches of what is empty together
    return jax.lax.map(one, starts, batch_size=batch if depth > 1 else None)


@jax.jit
def _gauss(diagonals: Array, offdiagonals: Array, kept: Array) -> tuple[Array, Array, Array]:
    """Nodes and weights (V, depth) of the Gauss quadratures.

    And the smallest and the largest eigenvalue of all, as they were found.
    """
    found, weights = jax.vmap(krylov.gauss)(diagonals, offdiagonals, kept)
    # Ritz values of a positive semi-definite kernel are >= 0 up to rounding.
    return jnp.maximum(found, 0.0), weights, jnp.stack([found.min(), found.max()])
