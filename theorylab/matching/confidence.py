"""What is known of utilities after noisy observations: three families of confidence intervals.

A model is a PyTree with `init() -> state`, `intervals(state) -> Intervals` and
`update(state, pairs, seen_row, seen_col) -> state`; a user's own model needs no more. Constructors
`unstructured`, `typed` and `linear` are those of MatchUCB, MatchTypedUCB and MatchLinUCB.
Intervals start as [-1, 1]; `clip` keeps them so. All of it is float64 whatever the caller runs in.

Source: Jagadeesan et al. (2021), sections 4 and 5; the half-width 2 sigma:
docs/derivations/stable_prices.md, statement 5.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from theorylab.checks import count, finite, flag, instance, number, real, shown
from theorylab.deprecation import old_arguments, old_field, tell_old
from theorylab.errors import InputError
from theorylab.matching.markets import AnyArray, Market, as_types, best
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


@register()
@dataclass(frozen=True)
class Ridge:
    """One ridge regression per agent.

    (lam I + sum c cᵀ)^-1, the sum of observation times context, and the number of observations.
    """

    inverse: Float[AnyArray, "n d d"]
    moment: Float[AnyArray, "n d"]
    count: Float[AnyArray, "n"]


@old_arguments(ridge="l2")
@register("clip")
@dataclass(frozen=True)
class Linear:
    """Utilities u_a(b) = <phi_a, c_b> with known contexts and hidden phi: LinUCB for every agent.

    Contexts c and phi lie in the unit ball. The bound log det <= d log(1 + t / (lam d)) is used, t
    the observations of the agent.

    Attributes:
        row_contexts, col_contexts: (n, d) and (m, d).
        noise_std: of the observations.
        log_failure: log of the failure probability.
        l2: lam, the penalty of the sum of squares.
        clip: keep intervals inside [-1, 1].

    Source:
        Abbasi-Yadkori, Pal, Szepesvari (2011), theorem 2.
    """

    row_contexts: Float[AnyArray, "n d"]
    col_contexts: Float[AnyArray, "m d"]
    noise_std: Any
    log_failure: Any
    l2: Any
    clip: bool = True

    ridge = old_field("ridge", "l2")

    @float64_inside
    def init(self) -> tuple[Ridge, Ridge]:
        """No observation yet: inverse ridge matrices."""
        (n, d), m = self.row_contexts.shape, self.col_contexts.shape[0]
        eye = jnp.eye(d) / self.l2

        def start(agents: int) -> Ridge:
            return Ridge(jnp.tile(eye, (agents, 1, 1)), jnp.zeros((agents, d)), jnp.zeros(agents))

        return start(n), start(m)

    def _bounds(self, fit: Ridge, contexts: AnyArray) -> tuple[AnyArray, AnyArray]:
        d = contexts.shape[1]
        grown = d * jnp.log1p(fit.count / (self.l2 * d))
        beta = self.noise_std * jnp.sqrt(grown - 2 * self.log_failure) + jnp.sqrt(self.l2)
        mean = jnp.einsum("ade,ae->ad", fit.inverse, fit.moment) @ contexts.T
        spread = jnp.sqrt(
            jnp.maximum(jnp.einsum("bd,ade,be->ab", contexts, fit.inverse, contexts), 0.0)
        )
        low, high = mean - beta[:, None] * spread, mean + beta[:, None] * spread
        return (jnp.clip(low, -1.0, 1.0), jnp.clip(high, -1.0, 1.0)) if self.clip else (low, high)

    @float64_inside
    def intervals(self, state: tuple[Ridge, Ridge]) -> Intervals:
        """Ridge estimate plus and minus its radius times the length of the context."""
        state = wide(_ridges(state))
        low_row, high_row = self._bounds(state[0], self.col_contexts)
        low_col, high_col = self._bounds(state[1], self.row_contexts)
        return Intervals(low_row, high_row, low_col.T, high_col.T)

    @float64_inside
    def update(
        self, state: tuple[Ridge, Ridge], pairs: AnyArray, seen_row: AnyArray, seen_col: AnyArray
    ) -> tuple[Ridge, Ridge]:
        """Add what matched agents reported, with the contexts of their partners."""
        state = wide(_ridges(state))
        shape = self.row_contexts.shape[0], self.col_contexts.shape[0]
        pairs, seen_row, seen_col = reports(shape, pairs, seen_row, seen_col)

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


def _sums(state: Any) -> Sums:
    return instance("state", state, Sums, "what init() or update() of the model gives")


def _ridges(state: Any) -> tuple[Ridge, Ridge]:
    if not (
        isinstance(state, tuple)
        and len(state) == 2
        and all(isinstance(fit, Ridge) for fit in state)
    ):
        raise InputError(
            f"state = {shown(state)}; what init() or update() of the model gives is needed"
        )
    return state


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
        wanted = _pair_of_counts("shape", shape)
        if (n, m) != wanted:
            raise InputError(f"shape: the model is for a market of shape {(n, m)}, not {wanted}")
    return n, m


def _pair_of_counts(name: str, shape: Any) -> tuple[int, int]:
    if not isinstance(shape, (tuple, list)) or len(shape) != 2:
        raise InputError(f"{name} = {shown(shape)}; a pair (customers, providers) is needed")
    n, m = (count(name, size, at_least=0) for size in shape)
    if n + m == 0:
        raise InputError(f"{name} = {shown(shape)}; at least one agent is needed")
    return n, m


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
    n, m = _pair_of_counts("shape", shape)
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


@old_arguments(ridge="l2")
def linear(
    row_contexts: Float[AnyArray, "n d"],
    col_contexts: Float[AnyArray, "m d"],
    *,
    horizon: int,
    noise_std: float,
    l2: float = 1.0,
    clip: bool = True,
) -> Linear:
    """Make LinUCB per agent on the known contexts of its partners.

    With failure probability 1 / (N horizon).

    Args:
        row_contexts, col_contexts: (n, d) and (m, d), in the unit ball.
        horizon: number of rounds.
        noise_std: of the observations.
        l2: lam, the penalty of the sum of squares.
        clip: keep intervals inside [-1, 1].

    Returns:
        A `Linear` model.

    Raises:
        InputError: contexts outside the unit ball, shapes that do not fit, values out of range.
    """
    given = {"row_contexts": row_contexts, "col_contexts": col_contexts}
    row, col = (np.asarray(finite(name, value, ndim=2), float) for name, value in given.items())
    if row.shape[1] != col.shape[1]:
        raise InputError(
            f"row_contexts {row.shape} and col_contexts {col.shape} must be (n, d) and (m, d) of "
            "one d"
        )
    for name, contexts in (("row_contexts", row), ("col_contexts", col)):
        if not (np.linalg.norm(contexts, axis=1) <= 1 + 1e-9).all():
            raise InputError(
                f"{name}: contexts must lie in the unit ball; divide by the largest norm"
            )
    horizon, clip = count("horizon", horizon), flag("clip", clip)
    number("noise_std", noise_std, 0.0)
    number("l2", l2, 0.0, open_low=True)
    return Linear(
        row,
        col,
        float(noise_std),
        -float(np.log((len(row) + len(col)) * horizon)),
        float(l2),
        clip,
    )
