"""A black-box random search: blocks of a sample are set to a corner of the ball.

They are contiguous, and kept where the margin falls. In l-infinity this is the Square attack
(Andriushchenko et al. 2020) with its initial stripes and its schedule of sizes. In l2 the Square
attack moves mass between windows; here a block of random signs is added and the result projected, a
simpler search that stands in for it.
"""

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from theorylab.robustness.apgd import margin
from theorylab.robustness.attacks import project
from theorylab.robustness.threats import LpBall

# share of the steps (of 10,000) -> halvings of the size of a square
_FIRST = 0.8  # share of the entries at first
_HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)


def side(t: int, steps: int, shape: tuple[int, ...]) -> int:
    """The side of the square at step t of `steps`, or the length of a run of a vector's entries."""
    share = _FIRST / 2 ** sum(10_000 * t / steps > mark for mark in _HALVINGS)
    image = len(shape) == 3
    entries = shape[0] * shape[1] if image else math.prod(shape)
    wanted = math.sqrt(share * entries) if image else share * entries
    return max(1, min(round(wanted), *shape[:2] if image else (entries,)))


def _corner(key: Array, x: Array, eps: Any) -> Array:
    """Vertical stripes of +-eps on images; signs of each entry else."""
    shape = (len(x), 1, *x.shape[2:]) if x.ndim == 4 else x.shape
    return eps * jax.random.rademacher(key, shape, x.dtype)


@partial(jax.jit, static_argnames="f")
def begin(f: Any, params: Any, x: Array, y: Array, ball: LpBall, key: Array) -> tuple[Array, Array]:
    """The first points, and their margins."""
    at = x + _corner(key, x, ball.eps)
    at = project(at, x, ball.eps, norm=ball.norm, bounds=ball.clip)
    return at, margin(f(params, at), y)


@partial(jax.jit, static_argnames="f")
def propose(
    f: Any,
    params: Any,
    x: Array,
    y: Array,
    ball: LpBall,
    key: Array,
    state: tuple[Array, Array],
    *,
    side: Array | int,
) -> tuple[Array, Array]:
    """One proposal for every sample, accepted where its margin is lower.

    `state`: the points, and their margins.
    """
    at, best = state
    keys = jax.random.split(key, len(x))
    moved = jax.vmap(lambda k, a, c: _block(k, a, c, ball.eps, side, ball.norm))(keys, at, x)
    moved = project(moved, x, ball.eps, norm=ball.norm, bounds=ball.clip)
    found = margin(f(params, moved), y)
    better = (found < best).reshape(-1, *[1] * (x.ndim - 1))
    return jnp.where(better, moved, at), jnp.minimum(found, best)


def _block(key: Array, at: Array, centre: Array, eps: Any, side: Any, norm: str) -> Array:
    """A random square of an image (all channels), or a run of entries of a vector, changed."""
    where, sign = jax.random.split(key)
    if at.ndim == 3:
        h, w, channels = at.shape
        r, c = jax.random.randint(where, (2,), 0, jnp.array([h, w]) - side + 1)
        rows, columns = jnp.arange(h)[:, None], jnp.arange(w)[None]
        inside = (rows >= r) & (rows < r + side) & (columns >= c) & (columns < c + side)
        mask, shape = inside[..., None], (1, 1, channels)
    else:
        size = at.size
        r = jax.random.randint(where, (), 0, size - side + 1)
        entries = jnp.arange(size).reshape(at.shape)
        mask, shape = (entries >= r) & (entries < r + side), at.shape  # type: ignore[assignment]
    signs = jax.random.rademacher(sign, shape, at.dtype)
    if norm == "linf":
        return jnp.where(mask, centre + eps * signs, at)
    length = jnp.sqrt(jnp.maximum(mask.sum() * (at.size // mask.size), 1))
    return at + jnp.where(mask, eps * signs / length, 0.0)
