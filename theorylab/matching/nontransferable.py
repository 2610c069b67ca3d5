"""Matching without transfers: deferred acceptance, its instability in subsidies, and learning it.

Instability is disjunctive (of a blocking pair, one of the two must be paid to stay), hence
combinatorial: an LP relaxation would under-estimate it.

Source: Jagadeesan et al. (2021), section on non-transferable utilities; Gale and Shapley (1962).
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from theorylab.checks import real
from theorylab.errors import InputError
from theorylab.matching import references
from theorylab.matching.confidence import Model, check_round, market_shape, wide
from theorylab.matching.markets import AnyArray, Market, as_market, as_matching, best, first
from theorylab.precision import as_float64, float64_inside
from theorylab.pytrees import register

_ENUMERABLE = 200_000  # subsidy vectors of one side that are tried at once


def accept(U: Float[AnyArray, "n m"], V: Float[AnyArray, "n m"]) -> Bool[AnyArray, "n m"]:
    """Deferred acceptance with rows proposing, all at once.

    Pairs with a utility <= 0 on either side never form.
    """
    index = jnp.arange(U.shape[0])

    def propose(state: Any) -> Any:
        open_, held, _ = state
        free = ~held.any(1)
        choice = best(jnp.where(open_, U, -jnp.inf), 1)
        asks = (free & open_.any(1))[:, None] & (choice[:, None] == jnp.arange(U.shape[1]))
        offers = asks | held
        kept = best(jnp.where(offers, V, -jnp.inf), 0)
        held = offers & (kept == index[:, None])
        return open_ & ~(offers & ~held), held, asks.any()

    start = ((U > 0) & (V > 0), jnp.zeros(U.shape, bool), jnp.array(True))
    return (
        jax.lax.while_loop(lambda s: s[2], propose, start)[1]
        if U.size
        else jnp.zeros(U.shape, bool)
    )


_accept = jax.jit(accept)


@float64_inside
def deferred_acceptance(market: Market) -> Int[AnyArray, "n"]:
    """The row-optimal stable matching without transfers.

    Args:
        market: utilities.

    Returns:
        (n,) column of each row, -1 for those alone.

    Raises:
        InputError: shapes that do not fit, NaN.

    Examples:
        >>> from theorylab.matching import Market
        >>> deferred_acceptance(Market([[1.0, 2.0], [1.0, 3.0]], [[2.0, 1.0], [1.0, 2.0]])).tolist()
        [0, 1]
    """
    market = as_market(market)
    X = _accept(market.U, market.V)
    return jnp.where(X.any(1), first(X, 1), -1) if X.size else jnp.full(X.shape[0], -1)


def ntu_instability(market: Market, row_to_col: Int[AnyArray, "*rounds n"]) -> np.ndarray:
    """Least total subsidy that makes matchings stable without transfers.

    Every agent must have u_a + s_a >= 0, and of every pair (i, j), i or j must not gain by it: s_i
    >= u_i(j) - u_i or s_j >= u_j(i) - u_j. Exact: rows' subsidies take one of m + 1 values each,
    and the columns' follow, so small markets are enumerated; larger ones go to SciPy's
    mixed-integer solver. On the host, equal matchings solved once.

    Args:
        market: utilities.
        row_to_col: (..., n) matchings.

    Returns:
        (...) instabilities.

    Raises:
        InputError: shapes that do not fit, an invalid matching.
    """
    with jax.enable_x64(True):
        market = as_market(market)
        U, V = np.asarray(market.U), np.asarray(market.V)
        n, m = U.shape
        wanted = np.asarray(row_to_col if n == 0 else real("row_to_col", row_to_col))
        if wanted.ndim < 1 or wanted.shape[-1] != n:
            raise InputError(f"row_to_col must be (..., {n}), got shape {wanted.shape}")
        distinct, inverse = np.unique(wanted.reshape(-1, n), axis=0, return_inverse=True)
        small = (m + 1) ** n <= _ENUMERABLE
        values = [
            _enumerate(U, V, mate) if small else references.ntu_milp(market, mate)
            for mate in (np.asarray(as_matching(x, n, m)) for x in distinct)
        ]
    return np.asarray(values, float)[inverse.ravel()].reshape(wanted.shape[:-1])


def _enumerate(U: np.ndarray, V: np.ndarray, mate: np.ndarray) -> float:
    n, m = U.shape
    X = mate[:, None] == np.arange(m)
    has_row, has_col = (U * X).sum(1), (V * X).sum(0)
    gain_row, gain_col = U - has_row[:, None], V - has_col
    least_row, least_col = np.maximum(-has_row, 0.0), np.maximum(-has_col, 0.0)
    # (n, m + 1)
    options = np.hstack([least_row[:, None], np.maximum(gain_row, least_row[:, None])])
    grid = (
        np.stack(np.meshgrid(*options, indexing="ij"), -1).reshape(-1, n) if n else np.zeros((1, 0))
    )
    unpaid = grid[:, :, None] < gain_row  # the row would still leave with this column
    need = np.where(unpaid, gain_col, -np.inf).max(1, initial=-np.inf)
    return float((grid.sum(1) + np.maximum(need, least_col).sum(1)).min())


@register()
@dataclass(frozen=True)
class NTURecord:
    """One round without transfers, or many.

    Attributes:
        row_to_col: (..., n) matchings.
        excess: (...) sum over matched agents of UCB - u.
        covered: (...) whether all intervals held.
    """

    row_to_col: Int[AnyArray, "*rounds n"]
    excess: Float[AnyArray, "*rounds"]
    covered: Bool[AnyArray, "*rounds"]


@register("shape")
@dataclass(frozen=True)
class MatchNTUUCB:
    """Deferred acceptance at the upper confidence bounds, as `init`/`round` for `simulate`.

    Attributes:
        model: confidence model.
        shape: (n, m).
    """

    model: Any
    shape: tuple[int, int]

    @float64_inside
    def init(self) -> Any:
        """The state before the first round."""
        return self.model.init()

    @float64_inside
    def round(
        self,
        state: Any,
        market: Market,
        noise_row: AnyArray,
        noise_col: AnyArray,
        *,
        best: Any = None,
        present: Bool[AnyArray, "n m"] | None = None,
        frictions: Any = None,
    ) -> tuple[Any, NTURecord]:
        """One round against a known market; arguments as for `MatchUCB.round`."""
        check_round(self.shape, market, present, noise_row=noise_row, noise_col=noise_col)
        state, market = wide((state, market))
        noise_row, noise_col = as_float64(noise_row), as_float64(noise_col)
        bounds = self.model.intervals(state)
        here = jnp.ones(self.shape, bool) if present is None else present
        X = accept(jnp.where(here, bounds.high_row, -1.0), bounds.high_col)
        gain_row, gain_col = jnp.where(X, market.U, 0.0).sum(1), jnp.where(X, market.V, 0.0).sum(0)
        holds = bounds.hold(market.U, market.V)
        record = NTURecord(
            jnp.where(X.any(1), first(X, 1), -1),
            jnp.where(X, bounds.high_row + bounds.high_col - market.W, 0.0).sum(),
            (holds | ~here).all(),
        )
        return self.model.update(state, X, gain_row + noise_row, gain_col + noise_col), record


def match_ntu_ucb(model: Model, shape: tuple[int, int] | None = None) -> MatchNTUUCB:
    """Make MatchNTUCB on a confidence model.

    Its instability (`ntu_instability`) is at most the excess of each round.

    Args:
        model: as for `match_ucb`.
        shape: not needed any more: the model knows the shape of its market.

    Returns:
        A `MatchNTUUCB`.

    Raises:
        InputError: no model.
    """
    return MatchNTUUCB(model, market_shape(model, shape))
