"""Errors of many small networks at once: clean, under attack, and how an attack points.

Source: errors under Auto-PGD (Croce and Hein 2020); unstable neurons and cosines as in De
Bartolomeis et al. 2023.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Key, PyTree

from theorylab import checks
from theorylab.pytrees import register
from theorylab.robustness import apgd
from theorylab.robustness.attack_ensemble import Effort
from theorylab.robustness.objectives import Recipe, with_eps, worst_points
from theorylab.robustness.threats import LineUnion, Threat, checked_threat
from theorylab.robustness.training import unstable_share

Network = Callable[[PyTree, Array], Array]
_EFFORT = Effort(steps=50)


@register()
@dataclass(frozen=True)
class Errors:
    """Of r networks.

    Attributes:
        standard: (r,) shares of wrong labels on clean samples.
        robust: (r,) shares of wrong labels under attack.
        unstable: (r,) share of unstable neurons.
        cosine: (r,) mean cosine of the attack's direction with the samples' signal directions, in
            size; NaN without signals.
    """

    standard: Float[Array, " r"]
    robust: Float[Array, " r"]
    unstable: Float[Array, " r"]
    cosine: Float[Array, " r"]


def errors_of_many(
    f: Network,
    params: PyTree,
    data: tuple[ArrayLike, ArrayLike],
    threat: Threat,
    eps: Float[ArrayLike, " r"],
    *,
    key: Key[Array, ""],
    effort: Effort = _EFFORT,
    signals: Float[ArrayLike, "r n d"] | None = None,
) -> Errors:
    """Errors of r networks, each on its own samples and at its own radius.

    Auto-PGD on the cross-entropy and on the margin, each with restarts; on segments the lines are
    searched. For one large network use `attack_ensemble`.

    Args:
        f: logits (n, k) of a batch.
        params: of `f`, with a leading axis r.
        data: (r, n, ...) samples and (r, n) labels.
        threat: the set; its eps is replaced by each network's.
        eps: (r,) radii.
        key: draws the starting points.
        effort: steps and restarts of Auto-PGD for each of the two losses.
        signals: (r, n, d) directions with which attacks are compared; None for no comparison.

    Returns:
        `Errors`.

    Raises:
        InputError: shapes that do not fit.
    """
    checks.key("key", key)
    x, y = (jnp.asarray(checks.finite("data", a)) for a in data)
    count = checks.same_length(data=x, eps=np.asarray(checks.nonnegative("eps", eps, ndim=1)))
    checked_threat(threat, x.shape[2:])
    checks.instance("effort", effort, Effort, "Effort(steps, restarts)")
    if signals is not None:
        signals = jnp.asarray(checks.finite("signals", signals, shape=x.shape))
    keys = jax.random.split(key, count)
    radii = jnp.asarray(eps, x.dtype)
    return _errors(f, params, _Tests(x, y, radii, keys, signals), threat, effort=effort)


class _Tests(NamedTuple):
    """What r networks are tested on: everything with a leading axis r; `signal` may be None."""

    x: Array
    y: Array
    eps: Array
    key: Array
    signal: Any


@partial(jax.jit, static_argnames=("f", "effort"))
def _errors(f: Network, params: PyTree, tests: _Tests, threat: Threat, *, effort: Effort) -> Errors:
    recipe = Recipe("adversarial", attack_steps=effort.steps, line_points=65)

    def one(params: PyTree, test: _Tests) -> Errors:
        x, y, eps, key, signal = test
        network, around = partial(f, params), with_eps(threat, eps)
        clean = ~(apgd.margin(network(x), y) > 0)  # not a number is wrong too
        wrong, at = clean, x
        losses = (None, lambda z: apgd.margin_loss(network(z), y))
        for i, loss in enumerate(losses if not isinstance(threat, LineUnion) else (None,)):
            for turn in range(effort.restarts):
                here = jax.random.fold_in(jax.random.fold_in(key, i), turn)
                at = worst_points(network, x, y, around, recipe, here, loss)
                wrong = wrong | ~(apgd.margin(network(at), y) > 0)
        share = unstable_share(f, params, x, around)
        cosine = jnp.full((), jnp.nan, x.dtype)
        if signal is not None:
            away = (at - x).reshape(len(x), -1)
            lengths = jnp.linalg.norm(away, axis=1) * jnp.linalg.norm(signal, axis=1)
            cosine = (jnp.abs((away * signal).sum(1)) / jnp.maximum(lengths, 1e-12)).mean()
        return Errors(clean.mean(), wrong.mean(), share, cosine)

    return jax.vmap(one)(params, tests)
