"""Signals and strategies: what the members of a collective do to their own data.

A signal is a function of a batch of features, `g(x) -> x'`, made by one of the constructors below
or by yourself. A strategy says which members plant it and which label they give.

Source: strategies, Hardt et al. (ICML 2023), section 2; signals are our constructions.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int, Key

from theorylab import checks
from theorylab.collective.checks import label
from theorylab.collective.finite import STRATEGIES, Strategy
from theorylab.errors import InputError
from theorylab.overflow import representable
from theorylab.precision import is_traced

Signal = Callable[[Float[Array, "n ..."]], Float[Array, "n ..."]]


def coordinate_trigger(index: int | Sequence[int], value: float | Sequence[float]) -> Signal:
    """Make the signal that sets features of flat samples (n, d) to a value.

    Args:
        index: one or several features.
        value: one number, or one for each feature.

    Returns:
        The signal.

    Raises:
        InputError: features below 0, values that do not fit.
    """
    where, level = _positions("index", index, 1)[:, 0], _level(value)
    if level.shape not in ((), (1,), where.shape):
        raise InputError(
            f"value has shape {level.shape}; one number, or one for each of the {len(where)} of "
            "index"
        )

    def g(x: Float[Array, "n d"]) -> Float[Array, "n d"]:
        x = _require_axes(x, 2, "coordinate_trigger", where.max(initial=0), axis=1)
        return x.at[:, where].set(_stamp(level, x, (len(x), len(where))))

    return g


def pixel_trigger(pixels: Sequence[tuple[int, int]], value: float | Sequence[float]) -> Signal:
    """Make the signal that sets pixels of images (n, h, w) or (n, h, w, c) to a value.

    Args:
        pixels: (row, column) of each.
        value: one number, or one for each channel.

    Returns:
        The signal.

    Raises:
        InputError: no pixel, positions below 0, values that are not finite.
    """
    where, level = _positions("pixels", pixels, 2), _level(value)

    def g(x: Float[Array, "n h w *c"]) -> Float[Array, "n h w *c"]:
        for axis in (1, 2):
            x = _require_axes(x, 3, "pixel_trigger", where[:, axis - 1].max(initial=0), axis=axis)
        return x.at[:, where[:, 0], where[:, 1]].set(
            _stamp(level, x, (len(x), len(where), *x.shape[3:]))
        )

    return g


def block_signal(
    corner: tuple[int, int], shape: tuple[int, int], value: float, *, other: float | None = None
) -> Signal:
    """Make the signal that is a block of images (n, h, w) or (n, h, w, c).

    Put in one half of a picture made of two halves, it is a signal in the part that a network finds
    simple, or in the one that it overlooks. A checkerboard (`value` and `other` in turn) occurs in
    neither by itself.

    Args:
        corner: top left pixel (row, column).
        shape: (height, width).
        value: of the block.
        other: of every other pixel; by default the block is all `value`.

    Returns:
        The signal.

    Raises:
        InputError: an empty block, positions below 0.
    """
    (top, left), (height, width) = _pair("corner", corner, 0), _pair("shape", shape, 1)
    checks.number("value", value)
    if other is not None:
        checks.number("other", other)
    dark = np.add.outer(np.arange(height), np.arange(width)) % 2
    board = jnp.asarray(np.where(dark, value if other is None else other, value), jnp.float32)

    def g(x: Float[Array, "n h w *c"]) -> Float[Array, "n h w *c"]:
        x = _require_axes(x, 3, "block_signal", top + height - 1, axis=1)
        x = _require_axes(x, 3, "block_signal", left + width - 1, axis=2)
        stamp = _stamp(board, x, board.shape).reshape(height, width, *(1,) * (x.ndim - 3))
        return x.at[:, top : top + height, left : left + width].set(stamp)

    return g


def parity_signal(bits: Sequence[int]) -> Signal:
    """Make the product of +-1 features equal to +1, by flipping the last of them where needed.

    Over uniform bits every order len(bits) has uniqueness 1/2 and the same Bayes critical mass;
    what differs is how hard it is to learn by gradient descent.

    Args:
        bits: numbers of the features.

    Returns:
        The signal.

    Raises:
        InputError: no bit, or one named twice.

    Source:
        docs/derivations/collective_success.md, statement 7.
    """
    where = _positions("bits", bits, 1)[:, 0]

    def g(x: Float[Array, "n d"]) -> Float[Array, "n d"]:
        x = _require_axes(x, 2, "parity_signal", where.max(initial=0), axis=1)
        return x.at[:, where[-1]].multiply(x[:, where].prod(1))

    return g


def choose_members(key: Key[Array, ""], n: int, alpha: Float[ArrayLike, ""]) -> Bool[Array, " n"]:
    """Choose round(alpha n) of n samples.

    Under one key, a larger collective contains a smaller one. `alpha` may be traced: its value is
    data and not shape, so that many sizes share one compiled program.

    Args:
        key: typed key.
        n: samples.
        alpha: share, in [0, 1].

    Returns:
        (n,) booleans.

    Raises:
        InputError: a count below 1, a share outside [0, 1].
    """
    checks.key("key", key)
    n = checks.count("n", n)
    checks.number("alpha", alpha, 0, 1)
    rank = jax.random.permutation(key, n)
    return rank < jnp.round(jnp.asarray(alpha, jnp.float32) * n)


class Planted(NamedTuple):
    """Data after the collective has acted.

    Attributes:
        x, y: (n, ...) points and (n,) labels.
    """

    x: Float[Array, "n ..."]
    y: Int[Array, " n"]


def plant(
    x: Float[ArrayLike, "n ..."],
    y: Int[ArrayLike, "n"],
    members: Bool[ArrayLike, "n"],
    signal: Signal,
    y_star: int,
    *,
    strategy: Strategy = "feature_label",
    label_of: Callable[[Any], Int[Array, " n"]] | None = None,
) -> Planted:
    """Change the members' own points; the others' are as they were, in place.

    Args:
        x: (n, ...) features.
        y: (n,) labels.
        members: (n,) who belongs to the collective, `choose_members`.
        signal: what plants the signal.
        y_star: target label.
        strategy: "feature_label" plants the signal and gives label y*; "feature_only" plants the
            signal where the label already is y*; "erasure" leaves x and gives the label that
            signalled points have, `label_of(g(x))`.
        label_of: for "erasure".

    Returns:
        `Planted` (x, y), of the same shapes.

    Raises:
        InputError: sizes that do not match, a mask that is not boolean, an unknown strategy,
            "erasure" without `label_of`.

    Examples:
        >>> x, y = np.zeros((3, 2)), np.array([0, 1, 2])
        >>> planted = plant(x, y, np.array([True, False, True]), coordinate_trigger(1, 5.0), 1)
        >>> planted[0].tolist(), planted[1].tolist()
        ([[0.0, 5.0], [0.0, 0.0], [0.0, 5.0]], [1, 1, 1])
    """
    checks.choice("strategy", strategy, STRATEGIES), checks.function("signal", signal)
    label("y_star", y_star)
    x, y = jnp.asarray(checks.finite("x", x)), jnp.asarray(checks.labels("y", y))
    members = jnp.asarray(checks.real("members", members))
    if members.dtype != bool or not members.shape == y.shape == x.shape[:1]:
        given = (
            f"x has shape {x.shape}, y {y.shape}, members is {members.dtype}{list(members.shape)}"
        )
        raise InputError(f"{given}; one label and one bool for each row of x are needed")
    if strategy == "erasure":
        if label_of is None:
            raise InputError(
                "strategy='erasure' needs label_of, the labels that a signalled batch has by itself"
            )
        labels = jnp.asarray(
            checks.labels(
                "label_of(g(x))", checks.function("label_of", label_of)(signal(x)), n=len(y)
            )
        )
        return Planted(x, jnp.where(members, labels.astype(y.dtype), y))
    movers = members & (y == y_star) if strategy == "feature_only" else members
    signalled = signal(x)
    if np.shape(signalled) != x.shape:
        raise InputError(
            f"signal gives shape {np.shape(signalled)} for x of shape {x.shape}; the same shape "
            "is needed"
        )
    planted = jnp.where(movers.reshape(-1, *(1,) * (x.ndim - 1)), signalled, x)
    if strategy == "feature_only":
        return Planted(planted, y)
    return Planted(planted, jnp.where(members, jnp.asarray(y_star, y.dtype), y))


def _positions(name: str, given: Any, axes: int) -> np.ndarray:
    where = np.asarray(checks.within(name, given, 0, ndim=(0, 1) if axes == 1 else 2))
    fits, where = (
        axes == 1 or where.shape[1] == axes,
        where.reshape(-1, axes if axes == 1 else where.shape[-1]),
    )
    if not np.issubdtype(where.dtype, np.integer) or not fits:
        needed = "whole numbers of at least 0" if axes == 1 else "(row, column) pairs of at least 0"
        raise InputError(f"{name} = {checks.shown(given)}; {needed}, at least one, are needed")
    if len(np.unique(where, axis=0)) != len(where):
        raise InputError(
            f"{name} = {checks.shown(given)} names a place twice; different places are needed"
        )
    return where


def _pair(name: str, given: Any, at_least: int) -> tuple[int, int]:
    row, column = checks.real(name, given, shape=(2,))
    return checks.count(name, row, at_least), checks.count(name, column, at_least)


def _level(value: Any) -> Array:
    return jnp.asarray(checks.finite("value", value, ndim=(0, 1)), jnp.float32)


def _stamp(level: Array, x: Array, shape: tuple[int, ...]) -> Array:
    """The values in the type of x; integers do not hold fractions."""
    if level.ndim and level.shape != shape[len(shape) - level.ndim :] and level.shape != (1,):
        raise InputError(
            f"value has shape {level.shape}; one number, or one for each channel of x {x.shape}, "
            "is needed"
        )
    if jnp.issubdtype(x.dtype, jnp.integer) and not is_traced(level):
        checks.within("value (x holds integers)", level, whole=True)
    return level.astype(x.dtype)


def _require_axes(x: Any, ndim: int, name: str, last: int, *, axis: int) -> Array:
    """JAX drops a write outside the array without a word: refuse it."""
    x = representable("x", checks.finite("x", x))
    if x.ndim < ndim or (ndim == 2 and x.ndim != 2) or x.shape[axis] <= last:
        raise InputError(
            f"x has shape {x.shape}; {name} writes at {int(last)} of axis {axis}, which it does "
            "not have"
        )
    return x
