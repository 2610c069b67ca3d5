"""The joint law of SL and of the spectral estimator in O(d) random numbers instead of O(n d).

It is exact, not asymptotic. Only three lengths of each estimate matter for its risk. Turn the
unlabelled points so that y x ~ N(s e_1, I), and reduce their d x n matrix A to lower bidiagonal
form by Golub and Kahan's reflections, first from the right: the first row's length rho is the root
of a non-central chi^2, and every later reflection meets fresh Gaussians, so that

    B_11 = rho,  rho^2 = (s sqrt(n) + g)^2 + chi^2_{n-1}
    B_ii = chi_{n-i+1},  B_{i+1,i} = chi_{d-i}

all independent (Dumitriu and Edelman 2002 for s = 0). Reflections from the left leave e_1 alone, so
the top eigenvector of the tridiagonal B B^T has the estimate's component along theta*; the rest of
it points in a uniformly random direction orthogonal to theta*, independent of all else. SL's error
is Gaussian and independent.

Source: docs/derivations/mixture_information.md, statement 8.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key


class Draws(NamedTuple):
    """The random numbers of one replicate, shared by all settings of a sweep."""

    # chi_{n-i}, i = 1..d-1 in columns 1.. (column 0: chi_{n-1} of rho), per n_u
    diagonal: Float[Array, "sizes d"]
    below: Float[Array, " d-1"]  # chi_{d-i}
    along: Float[Array, ""]  # g in rho
    # sqrt(n_l) (theta_SL - theta*): along theta*, along UL's rest, length of what is left
    error: Float[Array, " 3"]


def draw(key: Key[Array, ""], sizes: Any, d: int) -> Draws:
    """Draw for unlabelled samples of these `sizes` (k,) in d >= 2 dimensions; always in float32."""
    key_chi, key_normal = jax.random.split(key)
    steps = jnp.arange(d)
    freedom = jnp.asarray(sizes)[:, None] - jnp.maximum(steps, 1)
    freedom = jnp.concatenate([freedom.ravel(), d - 1 - steps[:-1], jnp.asarray([d - 2])])
    normal = jax.random.normal(key_normal, (len(freedom) + 3,), jnp.float32)
    chi, normal = chi_variates(key_chi, freedom, normal[3:]), normal[:3]
    return Draws(chi[:-d].reshape(-1, d), chi[-d:-1], normal[0], jnp.append(normal[1:], chi[-1]))


def chi_variates(
    key: Key[Array, ""], freedom: Any, normal: Float[Array, " k"]
) -> Float[Array, " k"]:
    """Chi variates of whole degrees of freedom, in float32: zero for none, |normal| for one.

    Marsaglia and Tsang's rejection (2000), all entries at once until the last is accepted;
    `jax.random.gamma` loops over entries and takes seconds to compile.
    """
    shape = jnp.maximum(freedom, 2).astype(jnp.float32) / 2 - 1 / 3
    scale = 1 / jnp.sqrt(9 * shape)

    def propose(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        key, value, accepted = state
        key, key_now = jax.random.split(key)
        # one draw compiles quicker
        u, w = jax.random.uniform(key_now, (2, *shape.shape), jnp.float32, minval=1e-30)
        x = 2**0.5 * jax.scipy.special.erfinv(2 * u - 1)
        v = (1 + scale * x) ** 3
        bound = x**2 / 2 + shape * (1 - v + jnp.log(jnp.maximum(v, 1e-30)))
        fits = (v > 0) & (jnp.log(w) < bound)
        return key, jnp.where(accepted, value, shape * v), accepted | fits

    empty = jnp.zeros(shape.shape, jnp.float32)
    half = jax.lax.while_loop(lambda state: ~state[2].all(), propose, (key, empty, empty > 0))[1]
    return jnp.where(freedom > 1, jnp.sqrt(2 * half), jnp.where(freedom == 1, jnp.abs(normal), 0))


class Parts(NamedTuple):
    """An estimate by three lengths.

    Its component along theta*, that along a fixed direction across, and the length of the rest.
    """

    along: Array
    across: Array
    rest: Array

    @property
    def across_squared(self) -> Array:
        """Squared length of all that is not along theta*."""
        return self.across**2 + self.rest**2


def sl_parts(draws: Draws, s: Any, n_l: Any) -> Parts:
    """theta_SL ~ N(theta*, I/n_l)."""
    along, across, rest = (draws.error[i] / jnp.sqrt(n_l) for i in range(3))
    return Parts(s + along, across, rest)


def ul_parts(draws: Draws, s: Any, n_u: Any, size: Any) -> tuple[Parts, Parts]:
    """The spectral estimate and its unit direction, signed so that both go along theta*.

    size: which row of `draws.diagonal` belongs to n_u.
    """
    chi = draws.diagonal[size]
    rho = jnp.sqrt((s * jnp.sqrt(n_u) + draws.along) ** 2 + chi[0] ** 2)
    diagonal = chi.at[0].set(rho)
    # a sample has no more than n_u columns
    below = jnp.where(jnp.arange(1, len(chi)) <= n_u, draws.below, 0)
    squares = diagonal**2
    value, vector = top_eigenpair(squares.at[1:].add(below**2), diagonal[:-1] * below)
    across = jnp.linalg.norm(vector[1:])
    length = jnp.sqrt(jnp.maximum(value / n_u - 1, 0))
    zero = jnp.zeros_like(across)
    return Parts(length * vector[0], length * across, zero), Parts(vector[0], across, zero)


def top_eigenpair(
    diagonal: Float[Array, " d"], beside: Float[Array, " d-1"]
) -> tuple[Array, Float[Array, " d"]]:
    """Largest eigenvalue, and its eigenvector >= 0, of a tridiagonal matrix with entries >= 0.

    The matrix is symmetric, the eigenvector of length 1. Bisection on the signs of the pivots of mu
    I - T (all positive iff mu is above the spectrum), then three steps of inverse iteration from
    above, in which every term is positive: no cancellation, so that float32 will do.
    """
    eps = jnp.finfo(diagonal.dtype).eps
    around = jnp.concatenate([beside, jnp.zeros(1, beside.dtype)]) + jnp.concatenate(
        [jnp.zeros(1), beside]
    )
    low = jnp.max(diagonal)
    high = (
        jnp.max(diagonal + around.astype(diagonal.dtype)) * (1 + 8 * eps)
        + jnp.finfo(diagonal.dtype).tiny
    )
    coupling = jnp.concatenate([jnp.zeros(1, diagonal.dtype), beside]).astype(diagonal.dtype)

    def pivots(mu: Array) -> Array:
        def step(before: Array, entry: tuple[Array, Array]) -> tuple[Array, Array]:
            a, b = entry
            pivot = mu - a - b * (b / before)
            pivot = jnp.where(before > 0, pivot, -1)  # once negative, stay so
            return pivot, pivot

        return jax.lax.scan(step, jnp.ones((), diagonal.dtype), (diagonal, coupling))[1]

    def halve(_: int, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        middle = (low + high) / 2
        above = pivots(middle)[-1] > 0
        return jnp.where(above, low, middle), jnp.where(above, middle, high)

    low, high = jax.lax.fori_loop(0, int(-np.log2(eps)) + 3, halve, (low, high))
    # The last pivot vanishes at the eigenvalue: keep it away from rounding to zero.
    pivot = jnp.maximum(pivots(high), eps * high)
    ratio = jnp.concatenate([jnp.zeros(1, diagonal.dtype), coupling[1:] / pivot[:-1]])
    after = jnp.append(coupling[1:], 0)

    def solve(x: Array) -> Array:
        def forward(z: Array, entry: tuple[Array, Array]) -> tuple[Array, Array]:
            y, r = entry
            z = y + r * z
            return z, z

        def backward(x: Array, entry: tuple[Array, Array, Array]) -> tuple[Array, Array]:
            z, b, p = entry
            x = (z + b * x) / p
            return x, x

        zero = jnp.zeros((), diagonal.dtype)
        z = jax.lax.scan(forward, zero, (x, ratio))[1]
        x = jax.lax.scan(backward, zero, (z, after, pivot), reverse=True)[1]
        return x / jnp.linalg.norm(x / jnp.max(x)) / jnp.max(x)

    start = jnp.full_like(diagonal, 1 / np.sqrt(len(diagonal)))
    return high, jax.lax.fori_loop(0, 3, lambda _, x: solve(x), start)
