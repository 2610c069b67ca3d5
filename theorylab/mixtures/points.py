"""Replicates with explicit points: what a sweep draws once and uses for all of its settings.

x and -x are the same to every method here, so unlabelled points are drawn as y x ~ N(s e_1, I):
noise that no setting owns, plus a shift. A setting takes the first n_u of them. So the noise's
second moments are summed once, their spectrum is computed once for each n_u (s moves one row and
column of the matrix alone), and EM runs for several settings at once by matrix products. Points lie
in blocks, a column each, of which a setting visits as many as hold its points.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, UInt32

from theorylab import linalg
from theorylab.mixtures.moments import Parts

BLOCK = 1000  # points: with their projections they fit a core's cache
TOGETHER = 16  # settings that go through the points together


def blocks_of(n: Any) -> Any:
    """How many blocks hold n points."""
    return -(-n // BLOCK)


def threefry(
    key: UInt32[Array, " 2"], x: UInt32[Array, "*n"]
) -> tuple[UInt32[Array, "*n"], UInt32[Array, "*n"]]:
    """Two random words of each counter (x, 0): Threefry 2x32 with 20 rounds, JAX's own cipher.

    Salmon et al. (2011). `jax.random.bits` keeps one word in two and, on a CPU, writes every round
    to memory: a fifth of this speed, which would be most of a replicate's time.
    """
    schedule = (key[0], key[1], key[0] ^ key[1] ^ jnp.uint32(0x1BD11BDA))
    left, right = x + schedule[0], jnp.zeros_like(x) + schedule[1]
    for i in range(5):
        for turn in ((13, 15, 26, 6), (17, 29, 16, 24))[i % 2]:
            left = left + right
            right = left ^ ((right << turn) | (right >> (32 - turn)))
        left, right = (
            left + schedule[(i + 1) % 3],
            right + schedule[(i + 2) % 3] + jnp.uint32(i + 1),
        )
    return left, right


def draw_blocks(key: Key[Array, ""], blocks: Any, most: int, d: int) -> Float[Array, "most d+1 n"]:
    """Draw blocks of float32 normal noise, each from its own key; the last row of each is 1.

    `blocks` of them, at most `most`.
    """
    half = -(-d // 2)
    counter = jnp.arange(half * BLOCK, dtype=jnp.uint32).reshape(half, BLOCK)

    def fill(b: Array, room: Array) -> Array:
        words = threefry(jax.random.bits(jax.random.fold_in(key, b), (2,), jnp.uint32), counter)
        # The barriers keep XLA from computing the cipher once for each of its two words.
        left, right = jax.lax.optimization_barrier(
            [normal(w) for w in jax.lax.optimization_barrier(words)]
        )
        return room.at[b, :half].set(left).at[b, half:d].set(right[: d - half])

    return jax.lax.fori_loop(0, blocks, fill, jnp.ones((most, d + 1, BLOCK), jnp.float32))


def normal(words: UInt32[Array, "*n"]) -> Float[Array, "*n"]:
    """A standard normal float32 number of the first 23 bits of each word."""
    # of one of 2^23 intervals of (-1, 1)
    middle = (words >> 9).astype(jnp.float32) + np.float32(0.5)
    return np.float32(2**0.5) * jax.lax.erf_inv(middle * np.float32(2**-22) - 1)


class Spectra(NamedTuple):
    """Of the first n noise points, for each size n: what the spectral estimate needs at any s."""

    moment: Float[Array, "k d+1 d+1"]  # second moments, the last coordinate being 1
    # second moments of the first with the others, in the basis `vectors`
    beside: Float[Array, "k d-1"]
    mean_rest: Float[Array, "k d-1"]  # of the others, in the basis
    values: Float[Array, "k d-1"]  # eigenvalues of the others' second moment, rising
    vectors: Float[Array, "k d-1 d-1"]


def spectra(points: Float[Array, "most d+1 n"], sizes: Any, count: Any) -> Spectra:
    """The spectra of the first `count` of `sizes`."""
    most, width, n = points.shape
    sizes = jnp.asarray(sizes)

    def accumulate(b: Array, sums: Array) -> Array:
        return sums.at[b + 1].set(sums[b] + points[b] @ points[b].T)

    sums = jax.lax.fori_loop(
        0, jnp.max(sizes) // n, accumulate, jnp.zeros((most + 1, width, width), points.dtype)
    )

    def one(i: Array, out: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        whole, rest = sizes[i] // n, sizes[i] % n
        part = points[jnp.minimum(whole, most - 1)]
        tail = jax.lax.cond(
            rest > 0,
            lambda: (part * (jnp.arange(n) < rest)) @ part.T,
            lambda: jnp.zeros_like(sums[0]),
        )
        moment = (sums[whole] + tail) / sizes[i]
        return tuple(
            a.at[i].set(b)
            for a, b in zip(out, (moment, *linalg.eigh(moment[1:-1, 1:-1])), strict=True)
        )  # type: ignore[return-value]

    k, m = len(sizes), width - 2
    room = tuple(jnp.zeros(shape, points.dtype) for shape in ((k, width, width), (k, m), (k, m, m)))
    moment, values, vectors = jax.lax.fori_loop(0, count, one, room)
    beside, mean_rest = (jnp.einsum("ki,kij->kj", moment[:, 1:-1, j], vectors) for j in (0, -1))
    return Spectra(moment, beside, mean_rest, values, vectors)


class Spectral(NamedTuple):
    """The spectral estimate of explicit points, for several sizes k.

    Attributes:
        moment: (k, d, d) second moments.
        direction: (k, d) unit directions.
        along: (k,) their component along theta*, >= 0.
        across: (k,) that across.
        length: (k,) of the estimates.
    """

    moment: Float[Array, "k d d"]  # mean of x x^T
    direction: Float[Array, "k d"]
    along: Float[Array, " k"]
    across: Float[Array, " k"]
    length: Float[Array, " k"]

    def parts(self) -> tuple[Parts, Parts]:
        """The estimate and its direction as `moments` gives them."""
        unit = Parts(self.along, self.across, jnp.zeros_like(self.across))
        return Parts(*(self.length * x for x in unit)), unit


def spectral_at(found: Spectra, s: Float[Array, " k"], size: Any) -> Spectral:
    """The top eigenpair of the second moment at each s, of points of the size with this number."""
    at: Spectra = jax.tree.map(lambda x: x[size], found)
    shift = s[:, None] * at.moment[:, :-1, -1]
    moment = (
        (at.moment[:, :-1, :-1].at[:, 0].add(shift).at[:, :, 0].add(shift)).at[:, 0, 0].add(s**2)
    )
    value, vector = top_of_arrow(moment[:, 0, 0], at.beside + s[:, None] * at.mean_rest, at.values)
    along = 1 / jnp.sqrt(1 + jnp.sum(vector**2, axis=1))
    rest = along[:, None] * jnp.einsum("kij,kj->ki", at.vectors, vector)
    across = jnp.linalg.norm(vector, axis=1) * along
    direction = jnp.concatenate([along[:, None], rest], axis=1)
    return Spectral(moment, direction, along, across, jnp.sqrt(jnp.maximum(value - 1, 0)))


def top_of_arrow(
    corner: Float[Array, " k"], beside: Float[Array, "k m"], values: Float[Array, "k m"]
) -> tuple[Float[Array, " k"], Float[Array, "k m"]]:
    """Largest eigenvalue of an arrow matrix, and its eigenvector (1, ...).

    Of [[corner, beside], [beside^T, diag(values)]], values rising. The eigenvalue is values[-1] +
    x, x > 0 the one zero of x + values[-1] - corner - sum_i beside_i^2 / (x + gap_i), which rises
    in x. The eigenvector is divided by x: bisection on log x keeps all of its digits.
    """
    top = values[:, -1]
    gap, square = top[:, None] - values, beside**2
    high = 1 + jnp.log2(
        jnp.maximum(corner - top, 0)
        + jnp.linalg.norm(beside, axis=1)
        + jnp.finfo(values.dtype).tiny
    )

    def halve(_: int, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        middle = (low + high) / 2
        x = jnp.exp2(middle)
        over = x + top - corner > jnp.sum(square / (x[:, None] + gap), axis=1)
        return jnp.where(over, low, middle), jnp.where(over, middle, high)

    steps = 8 - int(np.log2(jnp.finfo(values.dtype).eps))
    low, high = jax.lax.fori_loop(0, steps, halve, (high - 100, high))
    x = jnp.exp2((low + high) / 2)
    return top + x, beside / (x[:, None] + gap)


def grouped(n_u: np.ndarray) -> np.ndarray:
    """Numbers of the settings (groups, at most `TOGETHER`).

    A group's points fill as many blocks. Gaps repeat one.
    """
    groups, most = [], np.unique(blocks_of(n_u), return_counts=True)[1].max()
    width = TOGETHER if most > TOGETHER // 2 else TOGETHER // 2
    for blocks in np.unique(blocks_of(n_u)):
        members = np.flatnonzero(blocks_of(n_u) == blocks)
        groups += [members[i : i + width] for i in range(0, len(members), width)]
    return np.stack([np.pad(g, (0, width - len(g)), mode="edge") for g in groups])


def together(f: Callable[..., Array], arrays: tuple[Array, ...], groups: Any, count: Any) -> Array:
    """Apply f to the rows of the arrays, a group of them at a time, for the first `count` groups.

    f gives as many rows.
    """

    def some(g: Array, out: Array) -> Array:
        return out.at[groups[g]].set(f(*(a[groups[g]] for a in arrays)))

    return jax.lax.fori_loop(0, count, some, jnp.zeros_like(arrays[0]))
