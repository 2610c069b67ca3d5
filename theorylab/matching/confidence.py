"""What is known of utilities after noisy observations: three families of confidence intervals behind one interface.

A model is a PyTree with `init() -> state`, `intervals(state) -> Intervals` and `update(state, pairs, seen_row,
seen_col) -> state`; a user's own model needs no more. Constructors `unstructured`, `typed` and `linear` are those
of MatchUCB, MatchTypedUCB and MatchLinUCB (Jagadeesan et al. 2021). Intervals start as [-1, 1]; `clip` keeps them so.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from theorylab.errors import InputError
from theorylab.matching.markets import AnyArray, best
from theorylab.pytrees import register


@register()
@dataclass(frozen=True)
class Intervals:
    """Lower and upper confidence bounds, (n, m) each: of customers' utilities U and of providers' V."""

    low_row: Float[AnyArray, "n m"]
    high_row: Float[AnyArray, "n m"]
    low_col: Float[AnyArray, "n m"]
    high_col: Float[AnyArray, "n m"]

    def hold(self, U: Float[AnyArray, "n m"], V: Float[AnyArray, "n m"]) -> Bool[AnyArray, "n m"]:
        """Whether both intervals of a pair contain these utilities."""
        row = (self.low_row <= U) & (self.high_row >= U)
        return row & (self.low_col <= V) & (self.high_col >= V)


class Model(Protocol):
    """Anything that learns utilities from matched pairs."""

    def init(self) -> Any: ...

    def intervals(self, state: Any) -> Intervals: ...

    def update(
        self, state: Any, pairs: Bool[AnyArray, "n m"], seen_row: Float[AnyArray, "n"], seen_col: Float[AnyArray, "m"]
    ) -> Any: ...


@register()
@dataclass(frozen=True)
class Sums:
    """How often each pair (of agents or of types) was seen, and the sums of what each side reported."""

    count: Float[AnyArray, "a b"]
    row: Float[AnyArray, "a b"]
    col: Float[AnyArray, "a b"]

    @classmethod
    def zeros(cls, a: int, b: int) -> "Sums":
        zero = jnp.zeros((a, b))
        return cls(zero, zero, zero)

    def intervals(self, radius: AnyArray, clip: bool) -> Intervals:
        """mean ± radius / sqrt(count), all of [-1, 1] where nothing was seen."""
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
    """Every pair has two utilities of its own; half-width radius / sqrt(visits)."""

    n: int
    m: int
    radius: Any
    clip: bool = True

    def init(self) -> Sums:
        return Sums.zeros(self.n, self.m)

    def intervals(self, state: Sums) -> Intervals:
        return state.intervals(self.radius, self.clip)

    def update(self, state: Sums, pairs: AnyArray, seen_row: AnyArray, seen_col: AnyArray) -> Sums:
        return Sums(
            state.count + pairs,
            state.row + jnp.where(pairs, seen_row[:, None], 0.0),
            state.col + jnp.where(pairs, seen_col, 0.0),
        )


@register("clip")
@dataclass(frozen=True)
class Typed:
    """Utilities depend on the two types alone, one-hot (n, a) and (m, b); pairs of the same types share samples."""

    row_types: Float[AnyArray, "n a"]
    col_types: Float[AnyArray, "m b"]
    radius: Any
    clip: bool = True

    def init(self) -> Sums:
        return Sums.zeros(self.row_types.shape[1], self.col_types.shape[1])

    def intervals(self, state: Sums) -> Intervals:
        kinds = state.intervals(self.radius, self.clip)
        row, col = best(self.row_types, 1), best(self.col_types, 1)
        return jax.tree.map(lambda bound: bound[row][:, col], kinds)

    def update(self, state: Sums, pairs: AnyArray, seen_row: AnyArray, seen_col: AnyArray) -> Sums:
        def gather(values: AnyArray) -> AnyArray:  # several pairs of a round may be of the same two types: add them all
            return self.row_types.T @ jnp.where(pairs, values, 0.0) @ self.col_types

        ones = jnp.ones(pairs.shape)
        return Sums(
            state.count + gather(ones), state.row + gather(seen_row[:, None]), state.col + gather(ones * seen_col)
        )


@register()
@dataclass(frozen=True)
class Ridge:
    """One ridge regression per agent: (lam I + sum c cᵀ)^-1, sum of observation times context, observations."""

    inverse: Float[AnyArray, "n d d"]
    moment: Float[AnyArray, "n d"]
    count: Float[AnyArray, "n"]


@register("clip")
@dataclass(frozen=True)
class Linear:
    """u_a(b) = <phi_a, c_b> with known contexts c (unit ball) and hidden phi (unit ball): LinUCB for every agent.

    Radius of Abbasi-Yadkori, Pal, Szepesvari 2011 with the bound log det <= d log(1 + t / (lam d)), t the observations
    of the agent.
    """

    row_contexts: Float[AnyArray, "n d"]
    col_contexts: Float[AnyArray, "m d"]
    noise_std: Any
    log_failure: Any
    ridge: Any
    clip: bool = True

    def init(self) -> tuple[Ridge, Ridge]:
        (n, d), m = self.row_contexts.shape, self.col_contexts.shape[0]
        eye = jnp.eye(d) / self.ridge

        def start(agents: int) -> Ridge:
            return Ridge(jnp.tile(eye, (agents, 1, 1)), jnp.zeros((agents, d)), jnp.zeros(agents))

        return start(n), start(m)

    def _bounds(self, fit: Ridge, contexts: AnyArray) -> tuple[AnyArray, AnyArray]:
        d = contexts.shape[1]
        grown = d * jnp.log1p(fit.count / (self.ridge * d))
        beta = self.noise_std * jnp.sqrt(grown - 2 * self.log_failure) + jnp.sqrt(self.ridge)
        mean = jnp.einsum("ade,ae->ad", fit.inverse, fit.moment) @ contexts.T
        spread = jnp.sqrt(jnp.maximum(jnp.einsum("bd,ade,be->ab", contexts, fit.inverse, contexts), 0.0))
        low, high = mean - beta[:, None] * spread, mean + beta[:, None] * spread
        return (jnp.clip(low, -1.0, 1.0), jnp.clip(high, -1.0, 1.0)) if self.clip else (low, high)

    def intervals(self, state: tuple[Ridge, Ridge]) -> Intervals:
        low_row, high_row = self._bounds(state[0], self.col_contexts)
        low_col, high_col = self._bounds(state[1], self.row_contexts)
        return Intervals(low_row, high_row, low_col.T, high_col.T)

    def update(
        self, state: tuple[Ridge, Ridge], pairs: AnyArray, seen_row: AnyArray, seen_col: AnyArray
    ) -> tuple[Ridge, Ridge]:
        def step(fit: Ridge, partner: AnyArray, seen: AnyArray, matched: AnyArray) -> Ridge:
            # Sherman-Morrison; an agent who is alone has partner 0 and nothing changes.
            turned = jnp.einsum("ade,ae->ad", fit.inverse, partner)
            scale = 1 + (turned * partner).sum(1)
            inverse = fit.inverse - turned[:, :, None] * turned[:, None, :] / scale[:, None, None]
            return Ridge(inverse, fit.moment + seen[:, None] * partner, fit.count + matched)

        X = pairs.astype(self.row_contexts.dtype)
        return (
            step(state[0], X @ self.col_contexts, seen_row, X.sum(1)),
            step(state[1], X.T @ self.row_contexts, seen_col, X.sum(0)),
        )


def _radius(agents: int, horizon: int, width: float) -> float:
    if agents < 1 or horizon < 1 or not (np.isfinite(width) and width > 0):
        raise InputError(f"need agents >= 1, horizon >= 1, width > 0, got {agents}, {horizon}, {width}")
    return float(width * np.sqrt(np.log(agents * horizon)))


def unstructured(shape: tuple[int, int], *, horizon: int, width: float, clip: bool = True) -> Unstructured:
    """Intervals mean ± width sqrt(log(N horizon) / visits) for every pair of an (n, m) market.

    width: 8 is the paper's, for 1-subgaussian noise; 2 sigma suffices for sigma-subgaussian noise. clip: keep intervals
    inside [-1, 1]; the paper's pseudocode does not, which makes pairs that were seen once look best.
    """
    return Unstructured(int(shape[0]), int(shape[1]), _radius(sum(shape), horizon, width), clip)


def _one_hot(name: str, types: Any) -> np.ndarray:
    labels = np.asarray(types)
    if labels.ndim != 1 or not labels.size or not np.issubdtype(labels.dtype, np.integer) or labels.min() < 0:
        raise InputError(f"{name} must be integers from 0, one per agent, got {labels.dtype} of shape {labels.shape}")
    return np.eye(labels.max() + 1)[labels]


def typed(
    types_row: Int[AnyArray, "n"], types_col: Int[AnyArray, "m"], *, horizon: int, width: float, clip: bool = True
) -> Typed:
    """As `unstructured`, with one interval per pair of types; types are integers from 0."""
    row, col = _one_hot("types_row", types_row), _one_hot("types_col", types_col)
    return Typed(row, col, _radius(len(row) + len(col), horizon, width), clip)  # type: ignore[arg-type]


def linear(
    row_contexts: Float[AnyArray, "n d"], col_contexts: Float[AnyArray, "m d"], *, horizon: int, noise_std: float,
    ridge: float = 1.0, clip: bool = True,
) -> Linear:  # fmt: skip
    """LinUCB per agent on the known contexts of its partners, failure probability 1 / (N horizon)."""
    row, col = np.asarray(row_contexts, float), np.asarray(col_contexts, float)
    if row.ndim != 2 or col.ndim != 2 or row.shape[1] != col.shape[1] or not row.size or not col.size:
        raise InputError(f"contexts must be (n, d) and (m, d) of one d, got {row.shape} and {col.shape}")
    if not (np.linalg.norm(np.vstack([row, col]), axis=1) <= 1 + 1e-9).all():
        raise InputError("contexts must be finite and lie in the unit ball; divide by the largest norm")
    if not (noise_std >= 0 and ridge > 0 and horizon >= 1):
        raise InputError(f"need noise_std >= 0, ridge > 0, horizon >= 1, got {noise_std}, {ridge}, {horizon}")
    return Linear(row, col, float(noise_std), -float(np.log((len(row) + len(col)) * horizon)), float(ridge), clip)  # type: ignore[arg-type]
