"""A strong attack without parameters to tune: Auto-PGD on several losses, and a black-box search.

After AutoAttack: APGD-CE, APGD-DLR (the plain margin with two classes, whose logits have no third),
then APGD on the margin to each of the best other classes, which stands in for FAB-T (a search for
the nearest point of each class's boundary), then Square; each on the samples that resist so far.
Source: Croce and Hein 2020.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int, Key, PyTree

from theorylab import checks
from theorylab.errors import InputError
from theorylab.pytrees import register
from theorylab.robustness import apgd, square
from theorylab.robustness.attacks import _checked, pgd
from theorylab.robustness.threats import LineUnion, LpBall, Threat, checked_threat

Network = Callable[[PyTree, Array], Array]
Kind = Literal["apgd-ce", "apgd-dlr", "apgd-margin", "apgd-targeted", "square", "pgd"]
KINDS: tuple[str, ...] = (
    "apgd-ce",
    "apgd-dlr",
    "apgd-margin",
    "apgd-targeted",
    "square",
    "pgd",
)


@register()
@dataclass(frozen=True)
class AttackResult:
    """The worst perturbations that were found.

    Attributes:
        x: (n, ...) perturbed samples, inside the set.
        margin: (n,) smallest margin found, f_y minus the largest other logit; below 0: broken.
        by: (n,) number of the attack that broke the sample first, -1 where none did, and -2 where
            the clean sample is wrong already.
    """

    x: Float[Array, "n ..."]
    margin: Float[Array, " n"]
    by: Int[Array, " n"]

    @property
    def robust(self) -> Bool[Array, " n"]:
        """(n,) whether the label stood every attack."""
        return self.margin > 0

    @property
    def error(self) -> Array:
        """Share of the samples with a wrong label under attack."""
        return 1 - self.robust.mean()


@dataclass(frozen=True)
class Effort:
    """How hard an attack tries.

    Args:
        steps: of every gradient attack.
        restarts: of every gradient attack, each from a random point.
        attacks: which ones, in order; None takes all but "pgd", with "apgd-margin" in place of
            "apgd-dlr" for two classes.
        queries: proposals of "square".
        targets: how many other classes "apgd-targeted" tries, the likeliest first.

    Raises:
        InputError: a count below 1, or an unknown attack.
    """

    steps: int = 100
    restarts: int = 1
    attacks: tuple[Kind, ...] | None = None
    queries: int = 1000
    targets: int = 9

    def __post_init__(self) -> None:
        for name in ("steps", "restarts", "queries", "targets"):
            checks.count(name, getattr(self, name))
        if self.attacks is None:
            return
        if not isinstance(self.attacks, tuple) or not self.attacks:
            raise InputError(
                f"attacks = {checks.shown(self.attacks)}; a tuple of {KINDS} is needed"
            )
        for name in self.attacks:
            checks.choice("attacks", name, KINDS)


_EFFORT = Effort()


def attack_ensemble(
    f: Network,
    params: PyTree,
    x: Float[ArrayLike, "n ..."],
    y: Int[ArrayLike, " n"],
    threat: Threat,
    *,
    key: Key[Array, ""],
    effort: Effort = _EFFORT,
    batch_size: int = 500,
) -> AttackResult:
    """The worst perturbation that an ensemble of attacks finds for each sample.

    A sample that an attack broke is left alone by the later ones. For the inner steps of training
    use `pgd`; for a guarantee use `certified_margins`, which bounds from the other side.

    Args:
        f: logits (n, k) of a batch.
        params: of `f`.
        x: (n, ...) samples.
        y: (n,) integer labels.
        threat: l-infinity or l2 ball, its `clip` the range of the entries; or segments, for which
            the lines are searched (`line_attack`) and nothing else is needed.
        key: draws the starting points and the squares.
        effort: which attacks, how many steps, restarts and proposals.
        batch_size: samples at a time.

    Returns:
        `AttackResult`; its error is at least the clean error, and at most the certified one.

    Raises:
        InputError: shapes or labels that do not fit; an l1 ball; "apgd-dlr" with two classes.

    Source:
        Croce and Hein 2020; stand-ins are named in the module's text.
    """
    checks.key("key", key)
    checks.instance("effort", effort, Effort, "Effort(steps, restarts)")
    batch_size = checks.count("batch_size", batch_size)
    clip = threat.clip if isinstance(threat, LpBall) else None
    x, y = _checked(f, params, x, y, clip)
    checked_threat(threat, x.shape[1:])
    if isinstance(threat, LineUnion):
        return line_attack(f, params, x, y, threat, batch_size=batch_size)
    if threat.p == 1:
        raise InputError("threat.p = 1; no attack on an l1 ball is here, take p = 2 or math.inf")
    classes = jax.eval_shape(f, params, x[:1]).shape[1]
    chosen = _chosen(effort.attacks, classes)
    run = _Run(f, params, threat, key, effort, min(effort.targets, classes - 1))
    parts = []
    for first in range(0, len(x), batch_size):
        part = run.batch(chosen, x[first : first + batch_size], y[first : first + batch_size])
        parts.append(part)
    return jax.tree.map(lambda *a: jnp.concatenate(a), *parts)


def _chosen(attacks: tuple[Kind, ...] | None, classes: int) -> tuple[str, ...]:
    if attacks is None:
        second = "apgd-dlr" if classes >= 3 else "apgd-margin"
        return ("apgd-ce", second, "apgd-targeted", "square")
    if "apgd-dlr" in attacks and classes < 3:
        raise InputError(
            "attacks: 'apgd-dlr' needs three classes (its denominator is a third logit); "
            "'apgd-margin' is for two"
        )
    return attacks


@dataclass(frozen=True)
class _Run:
    """One ensemble's options; `batch` runs it on a batch."""

    f: Network
    params: PyTree
    threat: LpBall
    key: Array
    effort: Effort
    targets: int

    def batch(self, chosen: tuple[str, ...], x: Array, y: Array) -> AttackResult:
        clean = self.f(self.params, x)
        worst, best_x = apgd.margin(clean, y), x
        by = jnp.where(worst > 0, -1, -2)
        ranks = np.argsort(-np.where(np.eye(clean.shape[1])[y] > 0, -np.inf, clean), axis=1)
        for number, name in enumerate(chosen):
            for turn in range(self.turns(name)):
                alive = np.flatnonzero(np.asarray(worst > 0))
                if not len(alive):
                    return AttackResult(best_x, worst, by)
                # of two sizes alone, the last ones repeated: a program for each
                size = len(x) if 8 * len(alive) > len(x) else -(-len(x) // 8)
                at = np.concatenate([alive, np.full(size - len(alive), alive[-1])])
                key = jax.random.fold_in(jax.random.fold_in(self.key, number), turn)
                target = jnp.asarray(ranks[at, turn % self.targets])
                found = self.attack(name, x[at], y[at], target, key)[: len(alive)]
                low = apgd.margin(self.f(self.params, found), y[alive])
                lower = low < worst[alive]
                wide = lower.reshape(-1, *[1] * (x.ndim - 1))
                best_x = best_x.at[alive].set(jnp.where(wide, found, best_x[alive]))
                worst = worst.at[alive].min(low)
                by = by.at[alive].set(jnp.where(low <= 0, number, -1))
        return AttackResult(best_x, worst, by)

    def turns(self, name: str) -> int:
        if name == "square":
            return 1
        return self.effort.restarts * (self.targets if name == "apgd-targeted" else 1)

    def attack(self, name: str, x: Array, y: Array, target: Array, key: Array) -> Array:
        ball, steps = self.threat, self.effort.steps
        if name == "square":
            return self._square(x, y, key)
        if name == "pgd":
            set_: Any = {"eps": ball.eps, "norm": ball.norm, "bounds": ball.clip}
            return pgd(self.f, self.params, x, y, steps=steps, key=key, **set_)
        loss = name.removeprefix("apgd-")
        labels = jnp.stack([y, target], 1) if loss == "targeted" else y
        state = _apgd_start(self.f, self.params, x, labels, ball, key, loss=loss)
        for t, since in enumerate(apgd.checkpoints(steps)):
            now = (since, t == 0)
            state = _apgd_step(self.f, self.params, state, x, labels, ball, now, loss=loss)
        return state.best_x

    def _square(self, x: Array, y: Array, key: Array) -> Array:
        fixed, queries = (self.f, self.params, x, y, self.threat), self.effort.queries
        state = square.begin(*fixed, jax.random.fold_in(key, 0))
        for t in range(queries):
            side = square.side(t, queries, x.shape[1:])
            state = square.propose(*fixed, jax.random.fold_in(key, t + 1), state, side=side)
        return state[0]


def _value(f: Network, params: PyTree, y: Array, loss: str) -> Callable[[Array], Array]:
    if loss == "targeted":
        return lambda x: apgd.targeted_loss(f(params, x), y)
    return lambda x: apgd.LOSSES[loss](f(params, x), y)


@partial(jax.jit, static_argnames=("f", "loss"))
def _apgd_start(
    f: Any, params: Any, x: Array, y: Array, ball: LpBall, key: Array, *, loss: str
) -> apgd.Ascent:
    return apgd.start(_value(f, params, y, loss), x + random_point(key, x, ball), x, ball)


@partial(jax.jit, static_argnames=("f", "loss"))
def _apgd_step(
    f: Any,
    params: Any,
    state: apgd.Ascent,
    x: Array,
    y: Array,
    ball: LpBall,
    now: tuple[Any, Any],
    *,
    loss: str,
) -> apgd.Ascent:
    """now: steps since the last checkpoint if this is one, else 0; whether this is the first."""
    return apgd.step(_value(f, params, y, loss), state, x, ball, *now)


def random_point(key: Array, x: Array, ball: LpBall) -> Array:
    """A random point of the ball around zero: on its sphere in l2, scaled to its face in l-inf."""
    if ball.norm == "linf":
        return ball.eps * jax.random.uniform(key, x.shape, x.dtype, -1.0, 1.0)
    z = jax.random.normal(key, x.shape, x.dtype)
    length = jnp.sqrt(jnp.square(z).sum(tuple(range(1, x.ndim)), keepdims=True))
    return ball.eps * z / length


def line_attack(
    f: Network,
    params: PyTree,
    x: Float[ArrayLike, "n ..."],
    y: Int[ArrayLike, " n"],
    threat: LineUnion,
    *,
    points: int = 65,
    batch_size: int = 500,
) -> AttackResult:
    """The worst point of the segments B_{eps,k}: a search of every line, and of nothing else.

    Along a line a ReLU network is piecewise linear, so that `points` evaluations and as many again
    around the best one find its smallest margin up to pieces shorter than a grid step.

    Args:
        f: logits (n, k) of a batch.
        params: of `f`.
        x: (n, ...) samples.
        y: (n,) integer labels.
        threat: the segments.
        points: evaluations of each line, ends included, at least 3; an even number is raised by
            one, so that x itself is one of them.
        batch_size: samples at a time.

    Returns:
        `AttackResult`.

    Raises:
        InputError: shapes or labels that do not fit, a threat of another kind.

    Source:
        De Bartolomeis et al. 2023 for the segments; the search is ours.
    """
    checks.instance("threat", threat, LineUnion, "LineUnion(eps, directions)")
    x, y = _checked(f, params, x, y, None)
    checked_threat(threat, x.shape[1:])
    points, batch_size = checks.count("points", points, 3), checks.count("batch_size", batch_size)
    clean = apgd.margin(f(params, x), y)
    parts = []
    for first in range(0, len(x), batch_size):
        at = slice(first, first + batch_size)
        parts.append(_search(f, params, x[at], y[at], threat, points=points | 1))
    best_x, low = jax.tree.map(lambda *a: jnp.concatenate(a), *parts)
    by = jnp.where(clean <= 0, -2, jnp.where(low <= 0, 0, -1))
    return AttackResult(best_x, low, by)


@partial(jax.jit, static_argnames=("f", "points"))
def _search(
    f: Any, params: Any, x: Array, y: Array, threat: LineUnion, *, points: int
) -> tuple[Array, Array]:
    return worst_on_lines(partial(f, params), x, y, threat, points)


def worst_on_lines(
    f: Callable[[Array], Array], x: Array, y: Array, threat: LineUnion, points: int
) -> tuple[Array, Array]:
    """(points of smallest margin, those margins) on the segments around each sample."""
    lines = jnp.asarray(threat.directions, x.dtype)

    def along(low: Array, high: Array, line: Array) -> tuple[Array, Array]:
        """Best steps (n,) between low and high (n,) on one line, and their margins."""
        share = jnp.linspace(0.0, 1.0, points, dtype=x.dtype)
        steps = low + (high - low) * share[:, None]
        wide = steps.reshape(points, len(x), *[1] * (x.ndim - 1))
        moved = x + wide * line
        logits = f(moved.reshape(-1, *x.shape[1:]))
        found = apgd.margin(logits, jnp.tile(y, points)).reshape(points, len(x))
        at = found.argmin(0)
        pick = partial(jnp.take_along_axis, indices=at[None], axis=0)
        return pick(steps)[0], pick(found)[0]

    def one(line: Array) -> tuple[Array, Array]:
        end = jnp.full(len(x), 1.0, x.dtype) * threat.eps
        coarse, first = along(-end, end, line)
        gap = 2 * end / (points - 1)
        fine, second = along(
            jnp.clip(coarse - gap, -end, end), jnp.clip(coarse + gap, -end, end), line
        )
        return jnp.where(second < first, fine, coarse), jnp.minimum(first, second)

    steps, found = jax.lax.map(one, lines)
    which = found.argmin(0)
    at = jnp.take_along_axis(steps, which[None], 0)[0]
    best = x + at.reshape(-1, *[1] * (x.ndim - 1)) * lines[which]
    return best, found.min(0)
