"""Two-sided markets with transfers: what agents are worth to each other, what a platform decides.

Rows are customers, columns are providers. Utilities are what an agent gains by being matched;
staying alone is worth 0 to everyone.

Source: Jagadeesan, Wei, Wang, Jordan, Steinhardt (2021, arXiv 2108.08843), sections 2 and 3.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from theorylab.checks import count, instance, number, real
from theorylab.checks import key as checked_key
from theorylab.errors import InputError
from theorylab.precision import as_float64, float64_inside, is_traced
from theorylab.pytrees import register

AnyArray = Array | np.ndarray  # called with NumPy arrays, functions hand NumPy arrays back


class Sides(NamedTuple):
    """One number for every agent.

    Attributes:
        row: (n,) of customers.
        col: (m,) of providers.
    """

    row: Float[AnyArray, "n"]
    col: Float[AnyArray, "m"]


class Prices(NamedTuple):
    """A price for every agent: p_i + q_j is at least what the pair (i, j) is worth.

    Attributes:
        p: (n,) of rows.
        q: (m,) of columns.
    """

    p: Float[AnyArray, "n"]
    q: Float[AnyArray, "m"]


@register()
@dataclass(frozen=True)
class Market:
    """Utilities of n customers and m providers.

    Functions that take markets also take a leading axis of markets where they say so. Lists of
    numbers become arrays.

    Attributes:
        U: (..., n, m) of customer i for provider j.
        V: (..., n, m) of provider j for customer i.
    """

    U: Float[AnyArray, "*batch n m"]
    V: Float[AnyArray, "*batch n m"]

    def __post_init__(self) -> None:
        for name in ("U", "V"):
            value = getattr(self, name)
            rows = isinstance(value, tuple) and value and isinstance(value[0], (list, tuple))
            if isinstance(value, list) or rows:  # the sum of lists would be their concatenation
                array = np.zeros(np.shape(value)) if empty(value) else real(name, value)
                object.__setattr__(self, name, array)

    @property
    def W(self) -> Float[AnyArray, "*batch n m"]:
        """What a pair gains together, U + V; transfers within the pair cancel."""
        return self.U + self.V

    @property
    def agents(self) -> int:
        """Agents on both sides, the N of the paper."""
        return int(self.U.shape[-2] + self.U.shape[-1])


@register()
@dataclass(frozen=True)
class Outcome:
    """A matching and the transfers that agents receive.

    Attributes:
        row_to_col: (n,) column of each row, -1 when alone.
        tau_row, tau_col: (n,) and (m,) transfers.
    """

    row_to_col: Int[AnyArray, "n"]
    tau_row: Float[AnyArray, "n"]
    tau_col: Float[AnyArray, "m"]


def as_weights(name: str, weights: Any) -> Float[AnyArray, "n m"]:
    """A float64 matrix of finite numbers; either side may be empty.

    Raises `InputError` otherwise.
    """
    array = as_floats(name, weights)
    if array.ndim != 2:
        raise InputError(f"{name} must be a matrix (customers, providers), got shape {array.shape}")
    return array


def as_floats(name: str, value: Any) -> jax.Array:
    """A float64 array of finite numbers, which may be empty: a side of a market may be."""
    array = as_float64(value if empty(value) else real(name, value))
    if not is_traced(array) and not np.isfinite(array).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(np.asarray(array)))[0])
        raise InputError(
            f"{name} must be finite, got {float(array[where])} at {where}; remove the agent or "
            "set a value"
        )
    return array


def empty(value: Any) -> bool:
    """Whether this is an array, or a list, of nothing."""
    try:
        return np.size(value) == 0 and not isinstance(value, dict)
    except ValueError:  # rows of different lengths
        return False


def as_market(market: Market, *, batched: bool = False) -> Market:
    """The market in float64, checked: two finite arrays of one shape.

    (n, m), or (..., n, m) when `batched`.
    """
    instance("market", market, Market, "a Market(U, V)")
    U, V = as_floats("U", market.U), as_floats("V", market.V)
    if U.shape != V.shape or U.ndim < 2 or (U.ndim > 2 and not batched):
        need = "(n, m) or (markets, n, m)" if batched else "(n, m)"
        raise InputError(f"U and V must have one shape {need}, got {U.shape} and {V.shape}")
    return Market(U, V)


def as_matching(row_to_col: Any, n: int, m: int) -> Int[AnyArray, "n"]:
    """A matching as integers, checked.

    One entry per row, columns from -1 to m - 1, none taken twice.
    """
    array = jnp.asarray(row_to_col if empty(row_to_col) else real("row_to_col", row_to_col))
    if array.shape != (n,) or (n and not jnp.issubdtype(array.dtype, jnp.integer)):
        need = f"row_to_col must be {n} integers, one for each row of the weights (of the market)"
        raise InputError(f"{need}, got {array.dtype} of shape {array.shape}")
    if not is_traced(array):
        values = np.asarray(array)
        taken, counts = np.unique(values[values >= 0], return_counts=True)
        if n and (values.min() < -1 or values.max() >= m):
            raise InputError(
                f"row_to_col must lie in -1..{m - 1} (-1: alone), got {values.tolist()}"
            )
        if (counts > 1).any():
            raise InputError(
                f"row_to_col matches column {taken[counts > 1][0]} twice: {values.tolist()}"
            )
    return array.astype(int)


def as_outcome(outcome: Outcome, n: int, m: int) -> Outcome:
    """The outcome in float64, checked against a market of n rows and m columns."""
    instance("outcome", outcome, Outcome, "an Outcome(row_to_col, tau_row, tau_col)")
    matching = as_matching(outcome.row_to_col, n, m)
    tau_row, tau_col = as_floats("tau_row", outcome.tau_row), as_floats("tau_col", outcome.tau_col)
    if tau_row.shape != (n,) or tau_col.shape != (m,):
        raise InputError(
            f"tau_row, tau_col must have shapes ({n},), ({m},), got {tau_row.shape}, "
            f"{tau_col.shape}"
        )
    return Outcome(matching, tau_row, tau_col)


def as_types(name: str, types: Any, kinds: int | None = None) -> Any:
    """Types of agents as integers from 0 (below `kinds`), checked; there may be no agent."""
    if empty(types):
        return np.zeros(0, int)
    array = real(name, types, ndim=1)
    if not jnp.issubdtype(array.dtype, jnp.integer):
        raise InputError(
            f"{name} must be integers from 0, one per agent, got {array.dtype} of shape "
            f"{array.shape}"
        )
    if not is_traced(array):
        low, high = int(array.min()), int(array.max())
        if low < 0 or (kinds is not None and high >= kinds):
            raise InputError(
                f"{name} must lie in 0..{'' if kinds is None else kinds - 1}, got {low}..{high}"
            )
    return array


def first(mask: Bool[AnyArray, "..."], axis: int = -1) -> Int[AnyArray, "..."]:
    """Index of the first True along an axis, 0 where there is none.

    `jnp.argmax`, `jnp.argmin` of 64-bit numbers cannot be lowered inside a `jit` of 32-bit user
    code; this can.
    """
    size = mask.shape[axis]
    index = jax.lax.broadcasted_iota(jnp.int32, mask.shape, axis % mask.ndim)
    return jnp.where(mask, index, size).min(axis, initial=size) % max(size, 1)


def best(values: Float[AnyArray, "..."], axis: int = -1) -> Int[AnyArray, "..."]:
    """Index of the first largest value along an axis."""
    return first(values == values.max(axis, keepdims=True), axis)


def pairs(row_to_col: Int[AnyArray, "n"], m: int) -> Bool[AnyArray, "n m"]:
    """The matching as a matrix of truth values."""
    return row_to_col[:, None] == jnp.arange(m)


def nets(market: Market, outcome: Outcome) -> tuple[Float[AnyArray, "n"], Float[AnyArray, "m"]]:
    """Utility at the match plus transfer, for rows and columns.

    Without checks, in the caller's precision.
    """
    X = pairs(outcome.row_to_col, market.U.shape[1])
    gain_row, gain_col = jnp.where(X, market.U, 0.0).sum(1), jnp.where(X, market.V, 0.0).sum(0)
    return gain_row + outcome.tau_row, gain_col + outcome.tau_col


@float64_inside
def net_utilities(market: Market, outcome: Outcome) -> Sides:
    """What every customer and provider ends up with: utility at the match plus transfer.

    Args:
        market: utilities.
        outcome: matching and transfers.

    Returns:
        `Sides` (row, col): of customers (n,) and of providers (m,).

    Raises:
        InputError: shapes that do not fit, NaN, an invalid matching.
    """
    market = as_market(market)
    return Sides(*nets(market, as_outcome(outcome, *market.U.shape)))


@float64_inside
def random_market(key: jax.Array, n: int, m: int | None = None) -> Market:
    """Draw independent utilities, uniform on [-1, 1].

    Args:
        key: typed key.
        n: customers.
        m: providers, by default n.

    Returns:
        A `Market`.

    Raises:
        InputError: counts below 1.
    """
    n = count("n", n, at_least=0)
    m = n if m is None else count("m", m, at_least=0)
    U, V = jax.random.uniform(checked_key("key", key), (2, n, m), jnp.float64, -1.0, 1.0)
    return Market(U, V)


@float64_inside
def hidden_matching_market(key: jax.Array, k: int, gap: float, *, base: float = 0.1) -> Market:
    """Draw the hard instance of the lower bound: a perfect matching hidden among equal pairs.

    All pairs are worth `base` to both sides, the hidden ones `gap` more. A learner has to find them
    among k² pairs; gap ~ noise sqrt(k/T) makes that as hard as it gets.

    Args:
        key: typed key.
        k: agents on each side.
        gap, base: utilities.

    Returns:
        A `Market`.

    Raises:
        InputError: counts below 1, utilities outside [-1, 1].
    """
    k = count("k", k)
    number("gap", gap)
    number("base", base)
    hidden = jax.nn.one_hot(
        jax.random.permutation(checked_key("key", key), k), k, dtype=jnp.float64
    )
    return Market(base + gap * hidden, base + gap * hidden)


@float64_inside
def structured_market(
    key: jax.Array, types_row: Int[AnyArray, "n"], types_col: Int[AnyArray, "m"], kinds: int
) -> Market:
    """Draw a market that is typed and separably linear at once.

    Type a gains <phi_a, c_b> from type b, with contexts c_b the unit vectors of R^kinds
    (`type_contexts`) and phi_a a random unit vector for each type and side.

    Args:
        key: typed key.
        types_row, types_col: (n,) and (m,) integers below `kinds`.
        kinds: number of types.

    Returns:
        A `Market`.

    Raises:
        InputError: types out of range.
    """
    kinds = count("kinds", kinds)
    types_row, types_col = (
        as_types("types_row", types_row, kinds),
        as_types("types_col", types_col, kinds),
    )
    phi = jax.random.normal(checked_key("key", key), (2, kinds, kinds), jnp.float64)
    phi = phi / jnp.linalg.norm(phi, axis=-1, keepdims=True)
    row, col = jnp.asarray(types_row), jnp.asarray(types_col)
    return Market(phi[0][row][:, col], phi[1][col][:, row].T)


def type_contexts(types: Int[AnyArray, "n"], kinds: int) -> Float[AnyArray, "n kinds"]:
    """The context of each agent in `structured_market`: the unit vector of its type.

    Args:
        types: (n,) integers below `kinds`.
        kinds: number of types.

    Returns:
        (n, kinds) contexts.

    Raises:
        InputError: types out of range.
    """
    kinds = count("kinds", kinds)
    return np.eye(kinds)[np.asarray(as_types("types", types, kinds))]
