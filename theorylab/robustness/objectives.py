"""The loss of every way to train a robust classifier, for one batch.

A certified method bounds the margins of the other classes from below, J_t, and trains on the
cross-entropy of the logits 0 at the label and -J_t elsewhere; an adversarial one on the
cross-entropy at the worst point that an attack finds.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from theorylab import checks
from theorylab.nets.losses import cross_entropy
from theorylab.robustness import apgd
from theorylab.robustness.attack_ensemble import random_point, worst_on_lines
from theorylab.robustness.program import read
from theorylab.robustness.projections import projected
from theorylab.robustness.propagation import Flow
from theorylab.robustness.regularisers import fast_ibp_penalty
from theorylab.robustness.relaxations import ALPHA_MODES, AlphaMode, margins, relaxation
from theorylab.robustness.threats import LineUnion, LpBall, Threat

Kind = Literal[
    "standard", "adversarial", "trades", "ibp", "fast-ibp", "crown-ibp", "coap", "sabr", "mtl-ibp"
]
KINDS: tuple[str, ...] = (
    "standard",
    "adversarial",
    "trades",
    "ibp",
    "fast-ibp",
    "crown-ibp",
    "coap",
    "sabr",
    "mtl-ibp",
)


@dataclass(frozen=True)
class Recipe:
    """A way to train, and its constants.

    Args:
        kind: "standard"; "adversarial" (Auto-PGD); "trades" (Zhang et al. 2019); "ibp" (Gowal et
            al. 2018); "fast-ibp" (Shi et al. 2021, without batch norm: its two regularisers and its
            schedule; start from `ibp_init`); "crown-ibp" (Zhang et al. 2020); "coap" (Wong and
            Kolter 2018); "sabr" (Mueller et al. 2023); "mtl-ibp" (De Palma et al. 2024).
        attack_steps: Auto-PGD steps of the adversarial part; on segments the lines are searched.
        line_points: points of a line searched.
        alpha_mode: slope of "coap"'s lower lines, its own by default; "zero" is a control.
        projections: of "coap", 0 for exact bounds.
        clean_share: of "ibp", the weight of the clean loss once the ramp is over.
        trades_beta: weight of the divergence in "trades".
        box_share: of "sabr", the radius of the small box over eps.
        ibp_share: of "mtl-ibp", the weight of the certified loss.
        least_ratio: of "fast-ibp", the ratio (of widths between layers, of active to inactive
            neurons) below which its regularisers act, tau of Shi et al.
        regulariser_weight: of "fast-ibp", what they count at the start of the ramp, lambda_0.

    Raises:
        InputError: another kind, or a constant out of range.

    Source:
        The papers at `kind`.
    """

    kind: Kind = "adversarial"
    attack_steps: int = 10
    line_points: int = 17
    alpha_mode: AlphaMode | None = None
    projections: int = 0
    clean_share: float = 0.5
    trades_beta: float = 6.0
    box_share: float = 0.1
    ibp_share: float = 0.5
    least_ratio: float = 0.5
    regulariser_weight: float = 0.5

    def __post_init__(self) -> None:
        checks.choice("kind", self.kind, KINDS)
        checks.choice("alpha_mode", self.alpha_mode, (*ALPHA_MODES, None))
        (
            checks.count("attack_steps", self.attack_steps),
            checks.count("line_points", self.line_points, 3),
        )
        checks.count("projections", self.projections, 0)
        for name in ("clean_share", "ibp_share", "box_share"):
            checks.number(name, getattr(self, name), 0, 1)
        checks.number("trades_beta", self.trades_beta, 0)
        checks.number("regulariser_weight", self.regulariser_weight, 0)
        checks.number("least_ratio", self.least_ratio, 0, 1, open_low=True)


class Moment(NamedTuple):
    """Where a run stands: eps now and in the end, the share of the ramp done, and a key."""

    eps: Any
    target: Any
    ramp: Any
    key: Array


class Batch(NamedTuple):
    """What a loss is computed from; `threat` at the eps of the moment."""

    f: Callable[[PyTree, Array], Array]
    params: PyTree
    x: Array
    y: Array
    threat: Threat
    moment: Moment


def objective(recipe: Recipe, batch: Batch) -> Float[Array, " n"]:
    """The loss of every sample of a batch."""
    return _LOSSES[recipe.kind](recipe, batch)


def with_eps(threat: Threat, eps: Any) -> Threat:
    """The same kind of set with another radius."""
    if isinstance(threat, LineUnion):
        return LineUnion(eps, threat.directions)
    return LpBall(eps, threat.p, threat.clip)


def worst_points(
    f: Callable[[Array], Array],
    x: Array,
    y: Array,
    threat: Threat,
    recipe: Recipe,
    key: Array,
    loss: Callable[[Array], Array] | None = None,
) -> Array:
    """Where an attack puts the samples: Auto-PGD from a random point, or the worst of the lines.

    `loss` of the points replaces the cross-entropy.
    """
    if isinstance(threat, LineUnion):
        return jax.lax.stop_gradient(worst_on_lines(f, x, y, threat, recipe.line_points)[0])
    value = loss or (lambda at: cross_entropy(f(at), y))
    start = x + random_point(key, x, threat)
    found = apgd.ascend(value, start, x, threat, steps=recipe.attack_steps)
    return jax.lax.stop_gradient(found.best_x)


def lower_margins(
    batch: Batch, method: Any, recipe: Recipe, x: Array | None = None, threat: Threat | None = None
) -> Float[Array, "n k-1"]:
    """Lower bounds of the margins over the other classes."""
    x, threat = batch.x if x is None else x, batch.threat if threat is None else threat
    program = read(batch.f, batch.params, x.shape[1:])
    flow = Flow(program, program.constants_at(batch.params))
    classes = program.shapes[program.end].shape[0]
    others = np.array([[t for t in range(classes) if t != c] for c in range(classes)])
    eye = np.eye(classes)
    rows = jnp.asarray(eye[:, None] - eye[others], x.dtype)[batch.y]
    if method == "coap" and recipe.projections:
        return jax.vmap(
            lambda one, row: projected(flow, one, row, threat, batch.moment.key, recipe.projections)
        )(x, rows)
    relax = relaxation(method, recipe.alpha_mode if method == "coap" else None)
    return jax.vmap(lambda one, row: margins(flow, one, row, threat, relax))(x, rows)


def worst_case_loss(lower: Float[Array, "n k-1"]) -> Float[Array, " n"]:
    """Cross-entropy of the logits 0 at the label and -lower elsewhere."""
    return jax.nn.logsumexp(jnp.pad(-lower, ((0, 0), (1, 0))), axis=1)


def _standard(recipe: Recipe, b: Batch) -> Array:
    return cross_entropy(b.f(b.params, b.x), b.y)


def _network(b: Batch) -> Callable[[Array], Array]:
    fixed = jax.lax.stop_gradient(b.params)
    return lambda x: b.f(fixed, x)


def _adversarial(recipe: Recipe, b: Batch) -> Array:
    at = worst_points(_network(b), b.x, b.y, b.threat, recipe, b.moment.key)
    return cross_entropy(b.f(b.params, at), b.y)


def _trades(recipe: Recipe, b: Batch) -> Array:
    network, clean = _network(b), jax.nn.log_softmax(b.f(b.params, b.x))
    fixed = jax.lax.stop_gradient(clean)

    def divergence(at: Array) -> Array:
        return (jnp.exp(fixed) * (fixed - jax.nn.log_softmax(network(at)))).sum(1)

    at = worst_points(network, b.x, b.y, b.threat, recipe, b.moment.key, divergence)
    moved = jax.nn.log_softmax(b.f(b.params, at))
    kl = (jnp.exp(clean) * (clean - moved)).sum(1)
    return cross_entropy(b.f(b.params, b.x), b.y) + recipe.trades_beta * kl


def _ibp(recipe: Recipe, b: Batch) -> Array:
    robust = worst_case_loss(lower_margins(b, "ibp", recipe))
    share = 1 - (1 - recipe.clean_share) * b.moment.ramp
    return share * _standard(recipe, b) + (1 - share) * robust


def _fast_ibp(recipe: Recipe, b: Batch) -> Array:
    robust = worst_case_loss(lower_margins(b, "ibp", recipe))
    weight = recipe.regulariser_weight * (1 - b.moment.ramp)
    penalty = fast_ibp_penalty(b.f, b.params, b.x, b.threat, recipe.least_ratio)
    return robust + weight * penalty


def _crown_ibp(recipe: Recipe, b: Batch) -> Array:
    share = 1 - b.moment.ramp
    crown, ibp = lower_margins(b, "crown-ibp", recipe), lower_margins(b, "ibp", recipe)
    return worst_case_loss(share * crown + (1 - share) * ibp)


def _coap(recipe: Recipe, b: Batch) -> Array:
    return worst_case_loss(lower_margins(b, "coap", recipe))


def _sabr(recipe: Recipe, b: Batch) -> Array:
    """IBP over a small box around an attacked point, inside the set."""
    eps = b.threat.eps
    around = with_eps(b.threat, (1 - recipe.box_share) * eps)
    at = worst_points(_network(b), b.x, b.y, around, recipe, b.moment.key)
    box = with_eps(b.threat, recipe.box_share * eps)
    return worst_case_loss(lower_margins(b, "ibp", recipe, at, box))


def _mtl_ibp(recipe: Recipe, b: Batch) -> Array:
    certified = worst_case_loss(lower_margins(b, "ibp", recipe))
    share = recipe.ibp_share
    return (1 - share) * _adversarial(recipe, b) + share * certified


_LOSSES: dict[str, Callable[[Recipe, Batch], Array]] = {
    "standard": _standard,
    "adversarial": _adversarial,
    "trades": _trades,
    "ibp": _ibp,
    "fast-ibp": _fast_ibp,
    "crown-ibp": _crown_ibp,
    "coap": _coap,
    "sabr": _sabr,
    "mtl-ibp": _mtl_ibp,
}
