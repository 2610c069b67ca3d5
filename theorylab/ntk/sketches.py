"""Random projections of per-sample gradients, whose Gram matrix estimates the kernel.

Park et al. (2023, TRAK); layer by layer, without forming the gradients: `kronecker`.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from theorylab import checks
from theorylab.errors import InputError
from theorylab.ntk.guard import inspect
from theorylab.ntk.kronecker import kronecker_projection, relative_variance
from theorylab.ntk.surrogates import batched, gradient_of

_ENTRIES = 1 << 24  # entries of a dense random projection that exist at once


@dataclass(frozen=True)
class Sketch:
    """Projected gradients of a scalar output, whose Gram matrix estimates its kernel without bias.

    Attributes:
        features: (n, k); `features @ features.T` is the estimate.
        variance: of a diagonal entry, relative, at most; None for 2/k, which dense projections
            have.

    Source:
        See `sketch_ntk`.
    """

    features: Float[np.ndarray, "n k"]
    # of a diagonal entry, relative, at most; None: 2/k, what dense projections have
    variance: float | None = None

    @property
    def relative_error(self) -> float:
        """Relative standard error of a diagonal entry, at most.

        It is sqrt(2/k), and more for Kronecker projections.
        """
        return math.sqrt(2 / self.features.shape[1] if self.variance is None else self.variance)

    def kernel(self) -> Float[np.ndarray, "n n"]:
        """The estimated kernel (n, n)."""
        return self.features @ self.features.T

    def standard_error(self) -> Float[np.ndarray, "n n"]:
        """Standard error (n, n) of every entry of the estimated kernel.

        It is sqrt((K_nn K_mm + K_nm^2)/k) at the estimated K, exact for Gaussian projections and an
        upper bound for the others; for Kronecker projections at most `relative_error` times
        sqrt(K_nn K_mm).
        """
        kernel = self.kernel()
        norms = np.outer(kernel.diagonal(), kernel.diagonal())
        if self.variance is not None:
            return np.sqrt(self.variance * norms)
        return np.sqrt((norms + kernel**2) / self.features.shape[1])


def sketch_ntk(
    f: Callable,
    params: PyTree,
    x: PyTree,
    k: int,
    key: Array,
    *,
    kind: Literal["gaussian", "rademacher", "sjlt", "kronecker"] = "rademacher",
    nonzeros: int = 8,
    batch_size: int = 64,
) -> Sketch:
    """Random projection of the gradients of sum(f)/sqrt(O) to `k` numbers per sample.

    Use it where the kernel of many samples is needed to a few per cent: its cost grows with N, not
    with N^2, and the result says how wrong it is. For an exact kernel use `empirical_ntk`. A sketch
    with k < N has a singular kernel: do not regress on it without a ridge.

    Variance of an entry, with gradients g and h: (|g|^2 |h|^2 + <g, h>^2)/k for "gaussian"; less 2
    sum g_i^2 h_i^2 / k for "rademacher" and for "sjlt"; for "kronecker" at most ((1 + 2/k1)(1 +
    2/k2) - 1) |g|^2 |h|^2, which layers and positions average down.

    Args:
        f: `f(params, x)` with O outputs per sample.
        params: PyTree of arrays.
        x: samples, leading axis n.
        k: numbers kept per sample.
        key: draws the projection; the same key gives the same projection always.
        kind: "gaussian" and "rademacher" are dense, with a cost that grows with k. "sjlt", the
            sparse Johnson-Lindenstrauss transform, sends each parameter, with a random sign, to one
            of k/nonzeros buckets in each of `nonzeros` independent blocks; its cost does not grow
            with k. "kronecker" projects data and cotangents of each layer apart, k = k1 k2 as
            evenly as k divides, and never forms the gradients: the cheapest where layers are wide.
        nonzeros: blocks of "sjlt"; they divide k.
        batch_size: samples at a time.

    Returns:
        A `Sketch` with features (n, k).

    Raises:
        InputError: an unknown kind, counts below 1, k that `nonzeros` does not divide, or inputs
            that `f` does not take.

    Source:
        Random projections of gradients: Park et al. 2023 (TRAK); layer-wise Kronecker projections:
        Choe et al. 2024 (arXiv 2405.13954).

    Examples:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> import numpy as np
        >>> f = lambda w, x: jnp.tanh(x @ w)
        >>> w = jax.random.normal(jax.random.key(0), (30, 2))
        >>> x = jax.random.normal(jax.random.key(1), (6, 30))
        >>> sketch = sketch_ntk(f, w, x, 400, jax.random.key(2))
        >>> sketch.features.shape, round(sketch.relative_error, 3)
        ((6, 400), 0.071)
        >>> from theorylab.ntk import empirical_ntk
        >>> exact = empirical_ntk(f, w, x, reduce="sum_logits")
        >>> bool((np.abs(sketch.kernel() - exact) < 5 * sketch.standard_error()).all())
        True
    """
    checks.choice("kind", kind, ("gaussian", "rademacher", "sjlt", "kronecker"))
    checks.count("k", k)
    checks.count("nonzeros", nonzeros)
    checks.key("key", key)
    if kind == "sjlt" and k % nonzeros:
        raise InputError(
            f"k={k}: needs a positive number, for 'sjlt' a multiple of nonzeros={nonzeros}"
        )
    inspect(checks.function("f", f), params, x)
    params, x = jax.tree.map(jnp.asarray, (params, x))
    if kind == "kronecker":
        whole = functools.partial(_projected, k=k, kind="rademacher", nonzeros=nonzeros)
        factored = kronecker_projection(f, params, x, k, whole)
        return Sketch(
            batched(lambda sample: factored(sample, key), x, batch_size, None),
            relative_variance(k),
        )
    gradient = gradient_of(f, params, "logit_sum")
    project = lambda sample: _projected(gradient(sample), key, k, kind, nonzeros)  # noqa: E731
    return Sketch(batched(project, x, batch_size, None))


def _projected(
    g: Float[Array, " p"], key: Array, k: int, kind: str, nonzeros: int
) -> Float[Array, " k"]:
    """The projection of a whole gradient, piece by piece."""
    length = max(1, min(g.size, _ENTRIES // (nonzeros if kind == "sjlt" else k)))
    pieces = jnp.pad(g, (0, -g.size % length)).reshape(-1, length)

    def step(total: Array, piece: tuple[Array, Array]) -> tuple[Array, None]:
        number, part = piece
        return total + _project(part, k, kind, nonzeros, jax.random.fold_in(key, number)), None

    return jax.lax.scan(step, jnp.zeros(k, g.dtype), (jnp.arange(len(pieces)), pieces))[0]


def _project(
    g: Float[Array, " p"], k: int, kind: str, nonzeros: int, key: Array
) -> Float[Array, " k"]:
    if kind == "gaussian":
        return jnp.dot(
            g, jax.random.normal(key, (g.size, k), g.dtype), precision="highest"
        ) / math.sqrt(k)
    if kind == "rademacher":
        return jnp.dot(
            g, jax.random.rademacher(key, (g.size, k), g.dtype), precision="highest"
        ) / math.sqrt(k)
    places, signs = jax.random.split(key)
    bucket = jax.random.randint(places, (nonzeros, g.size), 0, k // nonzeros)
    signed = g * jax.random.rademacher(signs, (nonzeros, g.size), g.dtype)
    add = lambda values, where: jnp.zeros(k // nonzeros, g.dtype).at[where].add(values)  # noqa: E731
    return jax.vmap(add)(signed, bucket).ravel() / math.sqrt(nonzeros)
