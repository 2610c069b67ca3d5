"""Signals and strategies: what the members of a collective do to their own data.

A signal is a function of a batch of features, `g(x) -> x'`, made by one of the constructors below or by yourself. A
strategy says which members plant it and which label they give.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int, Key

from theorylab.collective.checks import require_between, require_choice, require_count, require_key
from theorylab.collective.finite import STRATEGIES, Strategy
from theorylab.errors import InputError

Signal = Callable[[Float[Array, "n ..."]], Float[Array, "n ..."]]


def coordinate_trigger(index: int | Sequence[int], value: float | Sequence[float]) -> Signal:
    """Sets features `index` of flat samples (n, d) to `value`."""
    where, level = _positions("index", index, 1)[:, 0], jnp.asarray(value, jnp.float32)

    def g(x: Float[Array, "n d"]) -> Float[Array, "n d"]:
        _require_axes(x, 2, "coordinate_trigger", where.max(initial=0), axis=1)
        return x.at[:, where].set(level.astype(x.dtype))

    return g


def pixel_trigger(pixels: Sequence[tuple[int, int]], value: float | Sequence[float]) -> Signal:
    """Sets pixels (row, column) of images (n, h, w) or (n, h, w, c) to `value`: one number, or one for each channel."""
    where, level = _positions("pixels", pixels, 2), jnp.asarray(value, jnp.float32)

    def g(x: Float[Array, "n h w *c"]) -> Float[Array, "n h w *c"]:
        for axis in (1, 2):
            _require_axes(x, 3, "pixel_trigger", where[:, axis - 1].max(initial=0), axis=axis)
        return x.at[:, where[:, 0], where[:, 1]].set(level.astype(x.dtype))

    return g


def block_signal(
    corner: tuple[int, int], shape: tuple[int, int], value: float, *, other: float | None = None
) -> Signal:
    """A block of images (n, h, w) or (n, h, w, c), `corner` its top left pixel: all `value`, or a checkerboard.

    Put in one half of a picture made of two halves, it is a signal in the part that a network finds simple, or in the
    one that it overlooks. A checkerboard (`value` and `other` in turn) occurs in neither by itself.
    """
    for name, pair in (("corner", corner), ("shape", shape)):
        if len(pair) != 2:
            raise InputError(f"{name} = {pair!r}; (row, column) is needed")
    require_count("shape", min(shape))
    require_count("corner", min(corner), at_least=0)
    (top, left), (height, width) = corner, shape
    dark = np.add.outer(np.arange(height), np.arange(width)) % 2
    board = jnp.asarray(np.where(dark, value if other is None else other, value), jnp.float32)

    def g(x: Float[Array, "n h w *c"]) -> Float[Array, "n h w *c"]:
        _require_axes(x, 3, "block_signal", top + height - 1, axis=1)
        _require_axes(x, 3, "block_signal", left + width - 1, axis=2)
        stamp = board.astype(x.dtype).reshape(height, width, *(1,) * (x.ndim - 3))
        return x.at[:, top : top + height, left : left + width].set(stamp)

    return g


def parity_signal(bits: Sequence[int]) -> Signal:
    """Makes the product of the +-1 features `bits` equal to +1, by flipping the last of them where needed.

    Over uniform bits every order len(bits) has uniqueness 1/2 and the same Bayes critical mass; what differs is how
    hard it is to learn by gradient descent.
    """
    where = _positions("bits", bits, 1)[:, 0]

    def g(x: Float[Array, "n d"]) -> Float[Array, "n d"]:
        _require_axes(x, 2, "parity_signal", where.max(initial=0), axis=1)
        return x.at[:, where[-1]].multiply(x[:, where].prod(1))

    return g


def choose_members(key: Key[Array, ""], n: int, alpha: Float[ArrayLike, ""]) -> Bool[Array, " n"]:
    """Membership of n samples: round(alpha n) of them, drawn by `key`.

    Under one key, a larger collective contains a smaller one.
    `alpha` may be traced: its value is data and not shape, so that many sizes share one compiled program.
    """
    require_key("key", key)
    require_count("n", n)
    require_between("alpha", alpha, 0, 1)
    rank = jax.random.permutation(key, n)
    return rank < jnp.round(jnp.asarray(alpha, jnp.float32) * n)


def plant(
    x: Float[ArrayLike, "n ..."],
    y: Int[ArrayLike, "n"],
    members: Bool[ArrayLike, "n"],
    signal: Signal,
    y_star: int,
    *,
    strategy: Strategy = "feature_label",
    label_of: Callable[[Any], Int[Array, " n"]] | None = None,
) -> tuple[Float[Array, "n ..."], Int[Array, " n"]]:
    """The data set after the members have changed their own points; the others' are as they were, in place.

    Args:
        members: who belongs to the collective, `choose_members`.
        strategy: "feature_label" plants the signal and gives label y*; "feature_only" plants the signal where the
            label already is y*; "erasure" leaves x and gives the label that signalled points have, `label_of(g(x))`.

    Returns:
        x', y' of the same shapes.

    Raises:
        InputError: sizes that do not match, a mask that is not boolean, an unknown strategy, "erasure" without
            `label_of`.
    """
    require_choice("strategy", strategy, STRATEGIES)
    x, y, members = jnp.asarray(x), jnp.asarray(y), jnp.asarray(members)
    if members.dtype != bool or not members.shape == y.shape == x.shape[:1]:
        given = f"x has shape {x.shape}, y {y.shape}, members is {members.dtype}{list(members.shape)}"
        raise InputError(f"{given}; one label and one bool for each row of x are needed")
    if strategy == "erasure":
        if label_of is None:
            raise InputError("strategy='erasure' needs label_of, the labels that a signalled batch has by itself")
        return x, jnp.where(members, label_of(signal(x)).astype(y.dtype), y)
    movers = members & (y == y_star) if strategy == "feature_only" else members
    planted = jnp.where(movers.reshape(-1, *(1,) * (x.ndim - 1)), signal(x), x)
    return planted, y if strategy == "feature_only" else jnp.where(members, jnp.asarray(y_star, y.dtype), y)


def _positions(name: str, given: Any, axes: int) -> np.ndarray:
    where = np.atleast_1d(np.asarray(given)) if axes == 1 else np.asarray(given)
    where = where.reshape(-1, 1) if axes == 1 and where.ndim == 1 else where
    good = where.ndim == 2 and where.shape[1] == axes and len(where) and np.issubdtype(where.dtype, np.integer)
    if not good or where.min() < 0:
        needed = "whole numbers of at least 0" if axes == 1 else "(row, column) pairs of at least 0"
        raise InputError(f"{name} = {given!r}; {needed}, at least one, are needed")
    return where


def _require_axes(x: Array, ndim: int, name: str, last: int, *, axis: int) -> None:
    """JAX drops a write outside the array without a word: refuse it."""
    if x.ndim < ndim or (ndim == 2 and x.ndim != 2) or x.shape[axis] <= last:
        raise InputError(f"x has shape {x.shape}; {name} writes at {int(last)} of axis {axis}, which it does not have")
