"""What is known of utilities after noisy observations: confidence intervals, and what makes them.

A model is a PyTree with `init() -> state`, `intervals(state) -> Intervals` and
`update(state, pairs, seen_row, seen_col) -> state`; a user's own model needs no more. Constructors
`unstructured` and `typed` (in `sample_means`) and `linear` (in `linear_bandits`) are those of
MatchUCB, MatchTypedUCB and MatchLinUCB. Intervals start as [-1, 1]; `clip` keeps them so. All of it
is float64 whatever the caller runs in.

Source: Jagadeesan et al. (2021), sections 4 and 5; the half-width 2 sigma:
docs/derivations/stable_prices.md, statement 5.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from theorylab.checks import count, finite, instance, real, shown
from theorylab.deprecation import tell_old
from theorylab.errors import InputError
from theorylab.matching.markets import AnyArray, Market
from theorylab.precision import as_float64, float64_inside, is_traced
from theorylab.pytrees import register


@register()
@dataclass(frozen=True)
class Intervals:
    """Lower and upper confidence bounds of all utilities, (n, m) each.

    Attributes:
        low_row, high_row: of customers' utilities U.
        low_col, high_col: of providers' V.
    """

    low_row: Float[AnyArray, "n m"]
    high_row: Float[AnyArray, "n m"]
    low_col: Float[AnyArray, "n m"]
    high_col: Float[AnyArray, "n m"]

    @float64_inside
    def hold(self, U: Float[AnyArray, "n m"], V: Float[AnyArray, "n m"]) -> Bool[AnyArray, "n m"]:
        """Whether both intervals of a pair contain these utilities."""
        for name, value in (("U", U), ("V", V)):
            real(name, value, shape=np.shape(self.low_row))
        U, V = as_float64(U), as_float64(V)
        row = (as_float64(self.low_row) <= U) & (as_float64(self.high_row) >= U)
        return row & (as_float64(self.low_col) <= V) & (as_float64(self.high_col) >= V)


class Model(Protocol):
    """Anything that learns utilities from matched pairs; see the head of the module."""

    def init(self) -> Any:
        """The state before the first round."""

        ...

    def intervals(self, state: Any) -> Intervals:
        """Confidence bounds in this state."""

        ...

    def update(
        self,
        state: Any,
        pairs: Bool[AnyArray, "n m"],
        seen_row: Float[AnyArray, "n"],
        seen_col: Float[AnyArray, "m"],
    ) -> Any:
        """The state after these pairs and what their agents reported."""

        ...


def wide(tree: Any) -> Any:
    """A state, or what else the caller holds, with its floating numbers in float64.

    Call it with 64-bit types on.
    """

    def widen(leaf: Any) -> Any:
        dtype = getattr(leaf, "dtype", None)
        floating = dtype is not None and jnp.issubdtype(dtype, jnp.floating)
        return as_float64(leaf) if floating else leaf

    return jax.tree.map(widen, tree)


def reports(
    shape: tuple[int, int], pairs: Any, seen_row: Any, seen_col: Any
) -> tuple[Any, Any, Any]:
    """Pairs (n, m) and what their agents report, in float64, finite where they are matched.

    Nobody is in two pairs. Others' reports become 0.
    """
    n, m = shape
    truths("pairs", pairs, shape)
    if is_traced(pairs, seen_row, seen_col):
        seen_row = as_float64(real("seen_row", seen_row, shape=(n,)))
        seen_col = as_float64(real("seen_col", seen_col, shape=(m,)))
        return jnp.asarray(pairs), seen_row, seen_col
    for axis, kind in ((1, "row"), (0, "column")):
        twice = np.flatnonzero(np.asarray(pairs).sum(axis) > 1)
        if twice.size:
            raise InputError(f"pairs matches {kind} {twice[0]} twice; one partner each is needed")
    found = []
    for name, seen, axis in (("seen_row", seen_row, 1), ("seen_col", seen_col, 0)):
        seen = real(name, seen, shape=(shape[1 - axis],))
        held = jnp.where(np.asarray(pairs).any(axis), as_float64(seen), 0.0)
        found.append(finite(name, held))
    return jnp.asarray(pairs), *found


def truths(name: str, value: Any, shape: tuple[int, ...]) -> Any:
    """Truth values of this shape."""
    if (
        not (hasattr(value, "dtype") and jnp.issubdtype(value.dtype, jnp.bool_))
        or value.shape != shape
    ):
        given = f"{value.dtype}{list(value.shape)}" if hasattr(value, "dtype") else shown(value)
        raise InputError(f"{name} = {given}; truth values of shape {shape} are needed")
    return value


def check_round(shape: tuple[int, int], market: Any, present: Any, **noise: Any) -> None:
    """What is given to one round against a known market."""
    instance("market", market, Market, "a Market(U, V)")
    for name in ("U", "V"):
        real(f"market.{name}", getattr(market, name), shape=shape)
    if present is not None:
        truths("present", present, shape)
    for (name, value), size in zip(noise.items(), shape, strict=True):
        finite(name, value, shape=(size,))


def market_shape(model: Any, shape: Any = None) -> tuple[int, int]:
    """The shape of the market that a model is for, checked against one that is given."""
    for name in ("init", "intervals", "update"):
        if not callable(getattr(model, name, None)):
            raise InputError(
                f"model = {shown(model)}; a model with init, intervals and update is needed"
            )
    with jax.enable_x64(True):
        found = jax.eval_shape(lambda: model.intervals(model.init()).low_row).shape
    n, m = found
    if shape is not None:
        tell_old("match_ucb", "shape is not needed, the model knows its own", above=1)
        wanted = pair_of_counts("shape", shape)
        if (n, m) != wanted:
            raise InputError(f"shape: the model is for a market of shape {(n, m)}, not {wanted}")
    return n, m


def pair_of_counts(name: str, shape: Any) -> tuple[int, int]:
    """The numbers of customers and providers, at least one agent in all."""
    if not isinstance(shape, (tuple, list)) or len(shape) != 2:
        raise InputError(f"{name} = {shown(shape)}; a pair (customers, providers) is needed")
    n, m = (count(name, size, at_least=0) for size in shape)
    if n + m == 0:
        raise InputError(f"{name} = {shown(shape)}; at least one agent is needed")
    return n, m
