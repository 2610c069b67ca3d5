"""Auto-PGD: projected ascent with momentum that halves its own step size where it stalls.

Source: Croce and Hein 2020, "Reliable evaluation of adversarial robustness with an ensemble of
diverse parameter-free attacks", algorithm 1; momentum .75, rho .75.
"""

import itertools
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from theorylab.nets.losses import cross_entropy
from theorylab.robustness.attacks import _length, project
from theorylab.robustness.threats import LpBall

Loss = Callable[[Array, Array], Array]
RHO, MOMENTUM = 0.75, 0.75


class Ascent(NamedTuple):
    """The state of all samples: where they are and were, the best points, and the steps' account.

    counted: steps since the last checkpoint that raised the loss. best_before, size_before: as they
    were at the last checkpoint.
    """

    x: Array
    before: Array
    loss: Array
    best_x: Array
    best: Array
    gradient: Array
    best_gradient: Array
    size: Array
    counted: Array
    best_before: Array
    halved: Array


def margin(logits: Float[Array, "n k"], y: Array) -> Float[Array, " n"]:
    """f_y minus the largest other logit: below 0 where the label is wrong."""
    own = jnp.take_along_axis(logits, y[:, None], 1)[:, 0]
    others = jnp.where(jax.nn.one_hot(y, logits.shape[1], dtype=bool), -jnp.inf, logits)
    return own - others.max(1)


def margin_loss(logits: Array, y: Array) -> Array:
    """The largest other logit minus that of the label."""
    return -margin(logits, y)


def dlr_loss(logits: Array, y: Array) -> Array:
    """Difference of logits ratio: the margin loss over the gap of the first and the third logit.

    Needs three classes. Source: Croce and Hein 2020, equation 6.
    """
    ranked = jnp.sort(logits, axis=1)
    gap = ranked[:, -1] - ranked[:, -3]
    return margin_loss(logits, y) / (gap + 1e-12)


LOSSES: dict[str, Loss] = {"ce": cross_entropy, "dlr": dlr_loss, "margin": margin_loss}


def targeted_loss(logits: Array, y: Array) -> Array:
    """The logit of the class y[:, 1] minus that of the label y[:, 0]."""
    own = jnp.take_along_axis(logits, y[:, :1], 1)[:, 0]
    return jnp.take_along_axis(logits, y[:, 1:], 1)[:, 0] - own


def checkpoints(steps: int) -> np.ndarray:
    """(steps,) how many steps lie between a checkpoint at this step and the one before; 0: none."""
    at, gap, marks = 0.22, 0.22, [0.0, 0.22]
    while at <= 1:
        gap = max(gap - 0.03, 0.06)
        at += gap
        marks.append(at)
    places = np.unique(np.ceil(np.round(np.array(marks) * steps, 6)).astype(int))
    flags = np.zeros(steps, int)
    for low, high in itertools.pairwise(places):
        if high < steps:
            flags[high] = high - low
    return flags


def start(value: Callable[[Array], Array], x0: Array, centre: Array, ball: LpBall) -> Ascent:
    """The state at x0, which lies in the set around `centre`; `value` gives each sample's loss."""
    x0 = project(x0, centre, ball.eps, norm=ball.norm, bounds=ball.clip)
    loss, gradient = _value_and_gradient(value, x0)
    size = jnp.full((len(x0), *[1] * (x0.ndim - 1)), 2.0, x0.dtype) * ball.eps
    zero = jnp.zeros(len(x0), x0.dtype)
    never = jnp.zeros(len(x0), bool)
    return Ascent(x0, x0, loss, x0, loss, gradient, gradient, size, zero, loss, never)


def step(
    value: Callable[[Array], Array],
    state: Ascent,
    centre: Array,
    ball: LpBall,
    since: Array,
    first: Array,
) -> Ascent:
    """One step of all samples; `since`: steps since the last checkpoint if this is one, else 0."""
    s = state
    inside = partial(project, centre=centre, eps=ball.eps, norm=ball.norm, bounds=ball.clip)
    along = jnp.sign(s.gradient) if ball.norm == "linf" else s.gradient / _length(s.gradient)
    plain = inside(s.x + s.size * along)
    a = jnp.where(first, 1.0, MOMENTUM)
    x = inside(s.x + a * (plain - s.x) + (1 - a) * (s.x - s.before))
    loss, gradient = _value_and_gradient(value, x)
    counted = s.counted + (loss > s.loss)
    better = loss > s.best
    wide = better.reshape(-1, *[1] * (x.ndim - 1))
    s = Ascent(
        x,
        s.x,
        loss,
        jnp.where(wide, x, s.best_x),
        jnp.where(better, loss, s.best),
        gradient,
        jnp.where(wide, gradient, s.best_gradient),
        s.size,
        counted,
        s.best_before,
        s.halved,
    )
    return _checkpoint(s, since)


def _checkpoint(s: Ascent, since: Array) -> Ascent:
    """Where the loss rose too seldom or the best stands still: half the step, from the best."""
    here = since > 0
    stalled = (s.counted < RHO * since) | (~s.halved & (s.best_before >= s.best))
    halve = here & stalled
    wide = halve.reshape(-1, *[1] * (s.x.ndim - 1))
    return s._replace(
        x=jnp.where(wide, s.best_x, s.x),
        before=jnp.where(wide, s.best_x, s.before),
        loss=jnp.where(halve, s.best, s.loss),
        gradient=jnp.where(wide, s.best_gradient, s.gradient),
        size=jnp.where(wide, s.size / 2, s.size),
        counted=jnp.where(here, 0.0, s.counted),
        best_before=jnp.where(here, s.best, s.best_before),
        halved=jnp.where(here, halve, s.halved),
    )


def ascend(
    value: Callable[[Array], Array],
    x0: Array,
    centre: Array,
    ball: LpBall,
    *,
    steps: int,
) -> Ascent:
    """`steps` steps in one compiled loop: for training, where the attack is part of a step."""
    since = jnp.asarray(checkpoints(steps))
    state = start(value, x0, centre, ball)

    def body(t: Array, s: Ascent) -> Ascent:
        return step(value, s, centre, ball, since[t], t == 0)

    return jax.lax.fori_loop(0, steps, body, state)


def _value_and_gradient(value: Callable[[Array], Array], x: Array) -> tuple[Array, Array]:
    def total(x: Array) -> tuple[Array, Array]:
        each = value(x)
        return each.sum(), each

    (_, each), gradient = jax.value_and_grad(total, has_aux=True)(x)
    return each, gradient
