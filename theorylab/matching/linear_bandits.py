"""Confidence intervals of ridge regressions on known contexts: LinUCB for every agent.

Source: Jagadeesan et al. (2021), section 5; Abbasi-Yadkori, Pal, Szepesvari (2011), theorem 2.
"""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from theorylab.checks import count, finite, flag, number, shown
from theorylab.deprecation import old_arguments, old_field
from theorylab.errors import InputError
from theorylab.matching.confidence import Intervals, reports, wide
from theorylab.matching.markets import AnyArray
from theorylab.precision import float64_inside
from theorylab.pytrees import register


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
