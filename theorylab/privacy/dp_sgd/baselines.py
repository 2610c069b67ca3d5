"""What private training in a subspace is compared with, each to be put before or into a descent.

Before it: `private_pca` (directions that are paid for) and `random_projection` (directions that
know nothing). Into it, in the place of the gradient: `GradientEmbedding` (GEP), which clips and
perturbs gradients in a subspace and beside it, and `AdaptiveScales` (AdaDPS), which clips gradients
in units that public records suggest. The public records of both are not protected.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from theorylab import checks, linalg
from theorylab.privacy.dp_sgd.gradients import SLACK, LinearHead, clip_factor, clipped_sum
from theorylab.privacy.online.keys import spend
from theorylab.pytrees import register

DEPENDENT = 1e-5  # squared length, over the largest, of directions that are as good as dependent


def random_projection(key: jax.Array, d: int, k: int) -> Float[Array, "d k"]:
    """A Johnson-Lindenstrauss projection: norms are kept on average, whatever the data.

    Args:
        key: typed key.
        d: dimension of the records.
        k: dimension to project to.

    Returns:
        (d, k) independent Gaussians of variance 1 / k; records become x @ this.

    Raises:
        InputError: no key, or dimensions below 1.

    Source:
        Johnson & Lindenstrauss 1984, with the Gaussians of Indyk & Motwani 1998.
    """
    checks.key("key", key)
    size = checks.count("d", d), checks.count("k", k)
    return jax.random.normal(key, size) / math.sqrt(k)


def private_pca(
    x: Any, *, rank: int, noise_multiplier: float, clip: float = 1.0, key: jax.Array
) -> Float[Array, "d rank"]:
    """Leading principal directions of records, with Gaussian noise on every second moment.

    Use it before a descent; `calibration.total_epsilon` adds up what both cost. It costs what one
    descent of a single step over all records costs at the same noise multiplier when neighbours
    differ by a record added or removed; a *replaced* record moves the moments by √2 in place of 1,
    less than the 2 that a descent is charged.

    Args:
        x: (n, d) records; those longer than `clip` are scaled down to it, those that are not finite
            count as zero. They are not centred.
        rank: how many directions, below d.
        noise_multiplier: noise standard deviation on the sum of x x^T over clip².
        clip: norm of a record, at most, above 0.
        key: typed key of the noise; it is spent, and refused if it was used before.

    Returns:
        (d, rank) an orthonormal basis, which may be released; the leading direction is the last.

    Raises:
        InputError: an argument out of range, or a key that was used before.

    Source:
        Dwork, Talwar, Thakurta & Zhang 2014 (Analyze Gauss), algorithm 1.
    """
    rows = np.asarray(checks.real("x", x, ndim=2), np.float64)
    k = checks.count("rank", rank, at_most=rows.shape[1] - 1)
    noise = float(checks.number("noise_multiplier", noise_multiplier, 0.0))
    bound = float(checks.number("clip", clip, 0.0, open_low=True))
    with np.errstate(invalid="ignore", over="ignore"):
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
    rows = np.where(np.isfinite(norms), rows, 0.0)
    rows = rows * np.minimum(1.0, bound * (1 - SLACK) / np.where(norms > 0, norms, 1.0))
    moments = second_moments(np.where(np.isfinite(rows), rows, 0.0))
    drawn = np.asarray(jax.random.normal(spend(key), moments.shape), np.float64)
    upper = noise * bound**2 * np.triu(drawn)
    noisy = moments + upper + np.triu(upper, 1).T
    return jnp.asarray(np.linalg.eigh(noisy)[1][:, -k:], jnp.float32)


def second_moments(rows: Any) -> Any:
    """The sum of x xᵀ over records.

    Args:
        rows: (n, d) records.

    Returns:
        (d, d), not divided by n.

    Source:
        As `private_pca`, which adds noise to it.
    """
    return rows.T @ rows


@register()
@dataclass(frozen=True)
class GradientEmbedding:
    """GEP: gradients in a subspace of those of public records and beside it, clipped each.

    Take it in place of a gradient in `private_descent`. The subspace is found at every step by
    power iterations on the gradients of the public records. What a record adds is (its coordinates
    in the subspace, clipped to `clip`; the rest, clipped to `ratio * clip`), and both take noise so
    that the pair costs what one sum costs at the same noise multiplier: their noise is √2 larger.

    Args:
        inner: a `LinearHead` or a `PerExample`.
        x: (a, ...) public inputs.
        y: (a, ...) their targets, which may be made up.
        rank: dimension of the subspace, at most a and the number of parameters.
        ratio: clipping norm of the rest over that of the coordinates, above 0.
        power: number of power iterations.

    Raises:
        InputError: an argument out of range.

    Source:
        Yu, Zhang, Chen & Liu 2021, algorithm 1.
    """

    inner: Any
    x: Any
    y: Any
    rank: int = field(metadata={"static": True})
    ratio: Any = 0.2
    power: int = field(default=1, metadata={"static": True})

    def __post_init__(self) -> None:
        checks.count("rank", self.rank)
        checks.count("power", self.power)
        if isinstance(self.ratio, (int, float)):
            checks.number("ratio", self.ratio, 0.0, open_low=True)
        if isinstance(self.x, (np.ndarray, jax.Array)):
            checks.count("rank", self.rank, at_most=len(self.x))

    def begin(self, params: Any) -> Any:
        """Random directions for the first power iteration, the same for all data."""
        size = ravel_pytree(params)[0].size
        return _orthonormal(jax.random.normal(jax.random.key(0), (size, self.rank)))

    def prepare(self, params: Any, context: Any) -> Any:
        """Orthonormal columns (p, rank), or zeros, near leading directions of public gradients."""
        rows = _rows(self.inner, params, self.x, self.y)
        for _ in range(self.power):
            context = _orthonormal(rows.T @ (rows @ context))
        return context

    def sums(self, params: Any, context: Any, x: Any, y: Any, member: Any, clip: Any) -> Any:
        """Sums of coordinates and of rests, in units in which one record moves them by `clip`."""
        rows = _rows(self.inner, params, x, y)
        finite = jnp.isfinite(jnp.sum(rows**2, axis=1))
        rows, member = jnp.where(finite[:, None], rows, 0.0), jnp.where(finite, member, 0.0)
        inside = rows @ context
        rest = rows - inside @ context.T
        return {
            "inside": clipped_sum(inside, member, clip) / math.sqrt(2.0),
            "rest": clipped_sum(rest, member, self.ratio * clip) / (self.ratio * math.sqrt(2.0)),
        }

    def direction(self, params: Any, context: Any, noisy: Any, clip: Any) -> Any:
        """Both parts together again, like the parameters."""
        together = context @ noisy["inside"] + self.ratio * noisy["rest"]
        return ravel_pytree(params)[1](math.sqrt(2.0) * together)


@register()
@dataclass(frozen=True)
class AdaptiveScales:
    """AdaDPS: gradients divided by the size that public gradients have there, and then clipped.

    Take it in place of a gradient in `private_descent`. The sizes are the roots of running means of
    squared mean gradients over the public records, as in RMSProp.

    Args:
        inner: a `LinearHead` or a `PerExample`.
        x: (a, ...) public inputs.
        y: (a, ...) their targets, which may be made up.
        decay: of the running mean, in [0, 1).
        floor: added to the sizes, above 0.

    Raises:
        InputError: an argument out of range.

    Source:
        Li, Zaheer, Reddi & Smith 2022, algorithm 1 with the side information of public data.
    """

    inner: Any
    x: Any
    y: Any
    decay: Any = 0.9
    floor: Any = 1e-3

    def __post_init__(self) -> None:
        if isinstance(self.decay, (int, float)):
            checks.number("decay", self.decay, 0.0, 1.0, open_high=True)
        if isinstance(self.floor, (int, float)):
            checks.number("floor", self.floor, 0.0, open_low=True)

    def begin(self, params: Any) -> Any:
        """Zeros: running means, and sizes that the first step replaces."""
        zeros = jax.tree.map(jnp.zeros_like, params)
        return zeros, zeros

    def prepare(self, params: Any, context: Any) -> Any:
        """Running means of squared public gradients, and the sizes that they say."""
        each = self.inner.each(params, self.x, self.y)
        mean, _ = context
        mean = jax.tree.map(
            lambda m, g: self.decay * m + (1 - self.decay) * jnp.mean(g, axis=0) ** 2, mean, each
        )
        return mean, jax.tree.map(lambda m: jnp.sqrt(m) + self.floor, mean)

    def sums(self, params: Any, context: Any, x: Any, y: Any, member: Any, clip: Any) -> Any:
        """The sum of member * clipped (gradient / size), like the parameters."""
        _, sizes = context
        if isinstance(self.inner, LinearHead):
            return _scaled_linear(self.inner, params, sizes, (x, y), member, clip)
        inner = self.inner

        def scaled(inner_params: Any, record: Any, target: Any) -> Any:
            return jax.tree.map(
                jnp.divide, jax.grad(inner.loss)(inner_params, record, target), sizes
            )

        return clipped_sum(jax.vmap(scaled, (None, 0, 0))(params, x, y), member, clip)

    def direction(self, params: Any, context: Any, noisy: Any, clip: Any) -> Any:
        """The noisy sum itself."""
        return noisy


def _scaled_linear(
    head: LinearHead, params: Any, sizes: Any, records: Any, member: Any, clip: Any
) -> Any:
    """Clipped sums of gradients over sizes, without a gradient of one record."""
    x, y = records
    pull = head.derivative(params, x, y)
    wide = pull if pull.ndim == 2 else pull[:, None]
    weights = sizes["weights"].reshape(x.shape[1], -1)
    length = x**2 @ weights**-2 + (jnp.ravel(sizes["bias"]) ** -2 if "bias" in params else 0)
    norm = jnp.sqrt(jnp.sum(wide**2 * length, axis=1))
    factor, good = clip_factor(norm, member, clip)
    pull = jnp.where(good[:, None], factor[:, None] * wide, 0.0).reshape(pull.shape)
    total = {"weights": jnp.where(good[:, None], x, 0.0).T @ pull / sizes["weights"]}
    return total | ({"bias": pull.sum(axis=0) / sizes["bias"]} if "bias" in params else {})


def _rows(inner: Any, params: Any, x: Any, y: Any) -> Any:
    """Gradients of all records in rows, in the order of `ravel_pytree`."""
    leaves = jax.tree.leaves(inner.each(params, x, y))
    return jnp.concatenate([leaf.reshape(len(x), -1) for leaf in leaves], axis=1)


def _orthonormal(columns: Any) -> Any:
    """Orthonormal columns with the same span; zeros in place of directions that depend on others.

    Done twice: the first time leaves the rounding of directions that are nearly dependent.
    """
    for _ in range(2):
        columns = columns / jnp.maximum(jnp.sqrt(jnp.sum(columns**2)), 1e-30)
        values, vectors = linalg.eigh(columns.T @ columns)
        good = values > DEPENDENT * values[-1]
        columns = columns @ (vectors * jnp.where(good, jnp.where(good, values, 1.0) ** -0.5, 0.0))
    return columns
