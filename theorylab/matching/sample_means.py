"""Confidence intervals around sample means, of every pair of agents or of every pair of types.

Source: Jagadeesan et al. (2021), sections 4 and 5; the half-width 2 sigma:
docs/derivations/stable_prices.md, statement 5.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from theorylab.checks import count, flag, instance, number
from theorylab.errors import InputError
from theorylab.matching.confidence import Intervals, pair_of_counts, reports, wide
from theorylab.matching.markets import AnyArray, as_types, best
from theorylab.precision import float64_inside
from theorylab.pytrees import register


@register()
@dataclass(frozen=True)
class Sums:
    """How often each pair was seen, and the sums of what each side reported.

    Pairs of agents, or of types.
    """

    count: Float[AnyArray, "a b"]
    row: Float[AnyArray, "a b"]
    col: Float[AnyArray, "a b"]

    @classmethod
    def zeros(cls, a: int, b: int) -> "Sums":
        """Nothing seen yet."""
        zero = jnp.zeros((a, b))
        return cls(zero, zero, zero)

    def intervals(self, radius: AnyArray, clip: bool) -> Intervals:
        """Mean ± radius / sqrt(count), all of [-1, 1] where nothing was seen."""
        seen = self.count > 0
        count = jnp.maximum(self.count, 1.0)
        half = radius / jnp.sqrt(count)

        def side(total: AnyArray) -> tuple[AnyArray, AnyArray]:
            mean = total / count
            low, high = jnp.where(seen, mean - half, -1.0), jnp.where(seen, mean + half, 1.0)
            return (jnp.clip(low, -1.0, 1.0), jnp.clip(high, -1.0, 1.0)) if clip else (low, high)

        return Intervals(*side(self.row), *side(self.col))


@register("n", "m", "clip")
@dataclass(frozen=True)
class Unstructured:
    """Every pair has two utilities of its own; half-width radius / sqrt(visits).

    Attributes:
        n, m: customers and providers.
        radius: of the intervals after one visit.
        clip: keep them inside [-1, 1].
    """

    n: int
    m: int
    radius: Any
    clip: bool = True

    @float64_inside
    def init(self) -> Sums:
        """Nothing seen yet."""
        return Sums.zeros(self.n, self.m)

    @float64_inside
    def intervals(self, state: Sums) -> Intervals:
        """Mean plus and minus radius / sqrt(visits); [-1, 1] before the first visit."""
        return wide(_sums(state)).intervals(self.radius, self.clip)

    @float64_inside
    def update(self, state: Sums, pairs: AnyArray, seen_row: AnyArray, seen_col: AnyArray) -> Sums:
        """Add what matched agents reported."""
        state = wide(_sums(state))
        pairs, seen_row, seen_col = reports((self.n, self.m), pairs, seen_row, seen_col)
        return Sums(
            state.count + pairs,
            state.row + jnp.where(pairs, seen_row[:, None], 0.0),
            state.col + jnp.where(pairs, seen_col, 0.0),
        )


@register("clip")
@dataclass(frozen=True)
class Typed:
    """Utilities depend on the two types alone; pairs of the same types share samples.

    Attributes:
        row_types, col_types: (n, a) and (m, b) one-hot types.
        radius: of the intervals after one visit.
        clip: keep them inside [-1, 1].
    """

    row_types: Float[AnyArray, "n a"]
    col_types: Float[AnyArray, "m b"]
    radius: Any
    clip: bool = True

    @float64_inside
    def init(self) -> Sums:
        """Nothing seen yet."""
        return Sums.zeros(self.row_types.shape[1], self.col_types.shape[1])

    @float64_inside
    def intervals(self, state: Sums) -> Intervals:
        """Mean plus and minus radius / sqrt(samples) of every pair's types."""
        kinds = wide(_sums(state)).intervals(self.radius, self.clip)
        row, col = best(self.row_types, 1), best(self.col_types, 1)
        return jax.tree.map(lambda bound: bound[row][:, col], kinds)

    @float64_inside
    def update(self, state: Sums, pairs: AnyArray, seen_row: AnyArray, seen_col: AnyArray) -> Sums:
        """Add what matched agents reported to the sums of their types."""
        state = wide(_sums(state))
        shape = self.row_types.shape[0], self.col_types.shape[0]
        pairs, seen_row, seen_col = reports(shape, pairs, seen_row, seen_col)

        # several pairs of a round may be of the same two types: add them all
        def gather(values: AnyArray) -> AnyArray:
            return self.row_types.T @ jnp.where(pairs, values, 0.0) @ self.col_types

        ones = jnp.ones(pairs.shape)
        return Sums(
            state.count + gather(ones),
            state.row + gather(seen_row[:, None]),
            state.col + gather(ones * seen_col),
        )


def _sums(state: Any) -> Sums:
    return instance("state", state, Sums, "what init() or update() of the model gives")


def _radius(agents: int, horizon: int, width: float) -> float:
    horizon = count("horizon", horizon)
    number("width", width, 0.0, open_low=True)
    return float(width * np.sqrt(np.log(agents * horizon)))


def unstructured(
    shape: tuple[int, int], *, horizon: int, width: float, clip: bool = True
) -> Unstructured:
    """Make intervals mean ± width sqrt(log(N horizon) / visits) for every pair of a market.

    With types or contexts known, `typed` and `linear` learn faster.

    Args:
        shape: (n, m).
        horizon: number of rounds.
        width: 8 is the paper's, for 1-subgaussian noise; 2 sigma suffices for sigma-subgaussian
            noise.
        clip: keep intervals inside [-1, 1]; the paper's pseudocode does not, which makes pairs that
            were seen once look best.

    Returns:
        An `Unstructured` model.

    Raises:
        InputError: counts below 1, a width that is not positive.
    """
    n, m = pair_of_counts("shape", shape)
    return Unstructured(n, m, _radius(n + m, horizon, width), flag("clip", clip))


def _one_hot(name: str, types: Any) -> np.ndarray:
    labels = np.asarray(as_types(name, types))
    if not labels.size:
        raise InputError(f"{name} is empty; the type of at least one agent is needed")
    return (labels[:, None] == np.arange(labels.max() + 1)).astype(float)


def typed(
    types_row: Int[AnyArray, "n"],
    types_col: Int[AnyArray, "m"],
    *,
    horizon: int,
    width: float,
    clip: bool = True,
) -> Typed:
    """Make intervals as `unstructured`, one per pair of types.

    Args:
        types_row, types_col: (n,) and (m,) integers from 0.
        horizon, width, clip: as there.

    Returns:
        A `Typed` model.

    Raises:
        InputError: types that are no integers from 0, and as there.
    """
    row, col = _one_hot("types_row", types_row), _one_hot("types_col", types_col)
    return Typed(row, col, _radius(len(row) + len(col), horizon, width), flag("clip", clip))
