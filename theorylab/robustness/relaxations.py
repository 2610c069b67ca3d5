"""The methods of certification for one sample: IBP, CROWN, alpha-CROWN, CROWN-IBP and COAP.

They are made of intervals and backward linear bounds.

Source: Gowal et al. 2018 (IBP), Zhang et al. 2018 (CROWN), Xu et al. 2021 (alpha-CROWN), Zhang et
al. 2020 (CROWN-IBP), Wong and Kolter 2018 (COAP, theorem 1: lower and upper lines of one slope).
"""

import math
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from theorylab.robustness.lines import Lines, adaptive_slopes, lines_of
from theorylab.robustness.propagation import Affine, Flow, Interval
from theorylab.robustness.rounding import Rounding
from theorylab.robustness.steps import Step
from theorylab.robustness.threats import Threat

Method = Literal["ibp", "crown", "alpha-crown", "crown-ibp", "coap"]
AlphaMode = Literal["parallel", "adaptive", "zero"]
METHODS: tuple[str, ...] = ("ibp", "crown", "alpha-crown", "crown-ibp", "coap")
ALPHA_MODES: tuple[str, ...] = ("parallel", "adaptive", "zero")


class Relaxation(NamedTuple):
    """How a network is relaxed; hashable, so that programs may be compiled for it.

    intermediate: bounds of the activations' inputs by "backward" linear bounds or by "ibp".
    final: bounds of the output by "backward" linear bounds or by "ibp".
    alpha: slope of the lower line of an unstable neuron.
    steps, learning_rate: of Adam on the slopes, one for each row of the specification and neuron;
        0 steps: none.
    outward: whether bounds are moved outward by what rounding may have changed.
    block: neurons bounded at a time, None for all of a layer.
    """

    intermediate: Literal["backward", "ibp"] = "backward"
    final: Literal["backward", "ibp"] = "backward"
    alpha: AlphaMode = "adaptive"
    steps: int = 0
    learning_rate: float = 0.1
    outward: bool = False
    block: int | None = None


def relaxation(method: Method, alpha_mode: AlphaMode | None = None, **options: Any) -> Relaxation:
    """The relaxation of a named method; `alpha_mode` replaces the method's own slope."""
    own: dict[str, Any] = {  # type: ignore[assignment]
        "ibp": {"intermediate": "ibp", "final": "ibp"},
        "crown": {},
        "alpha-crown": {"steps": 20},
        "crown-ibp": {"intermediate": "ibp"},
        "coap": {"alpha": "parallel"},
    }[method]
    mode = {} if alpha_mode is None else {"alpha": alpha_mode}
    return Relaxation(**{**own, **mode, **options})


class Layers(NamedTuple):
    """Bounds of the input of every activation, by the number of the activation's output.

    With their lines, and the rounding accounts.
    """

    bounds: dict[int, Interval]
    lines: dict[int, Lines]
    rounding: Rounding


def layers(flow: Flow, x: Array, threat: Threat, relax: Relaxation) -> Layers:
    """Bounds of the input of every activation, one after the other."""
    found = Layers({}, {}, Rounding(flow, x, threat))
    known: dict[int, Interval] = {}
    by_ibp = flow.interval(x, threat) if relax.intermediate == "ibp" else {}
    for step in flow.program.activations:
        target = step.inputs[0]
        if target not in known:
            if target in by_ibp:
                known[target] = by_ibp[target]
            elif flow.is_affine(target):
                known[target] = flow.exact_interval(target, x, threat)
            else:
                known[target] = _backward_interval(flow, target, x, threat, relax, found.lines)
            if relax.outward:
                margin = found.rounding.margin(target, found.lines, by_ibp=bool(by_ibp))
                known[target] = known[target][0] - margin, known[target][1] + margin
        found.bounds[step.output] = known[target]
        found.lines[step.output] = lines_of(step, *known[target], relax.alpha)
    return found


def shared_heads(flow: Flow, dtype: Any, relax: Relaxation, packs: bool) -> dict[int, Affine]:
    """What `layers` computes alike for every sample.

    By value, its rows up to the activations before it; of layers taken in blocks, none. `packs`:
    whether neurons share rows.
    """
    found: dict[int, Affine] = {}
    for target in {step.inputs[0] for step in flow.program.activations}:
        if flow.is_affine(target):
            continue
        packing = flow.packing(target) if packs else None
        size = math.prod(flow.program.shapes[target].shape)
        if packing is not None or relax.block is None or relax.block >= size:
            found[target] = flow.head(target, dtype, packing)
    return found


def _backward_interval(
    flow: Flow, target: int, x: Array, threat: Threat, relax: Relaxation, lines: dict[int, Lines]
) -> Interval:
    shared = relax.alpha == "parallel" and all(
        step.kind != "maximum" for step in flow.program.ancestors(target)
    )
    return flow.linear_interval(target, x, threat, lines, shared=shared, block=relax.block)


def margins(
    flow: Flow, x: Array, rows: Float[Array, "r k"], threat: Threat, relax: Relaxation
) -> Float[Array, " r"]:
    """Lower bounds of rows . f over the set around x; the rows are merged into the last layer."""
    known = layers(flow, x, threat, relax)
    if relax.final == "ibp":
        low = interval_margins(flow, x, rows, threat)
    else:
        low = linear_margins(flow, x, rows, threat, known.lines)
        if relax.steps:
            low = _optimised(flow, x, rows, threat, relax, known, low)
    if relax.outward:
        error = known.rounding.margin(flow.program.end, known.lines, by_ibp=relax.final == "ibp")
        low = low - jnp.abs(rows) @ error
    return low


def linear_margins(
    flow: Flow, x: Array, rows: Array, threat: Threat, lines: dict[int, Lines]
) -> Float[Array, " r"]:
    """Lower bounds of rows . f by backward linear bounds with these lines."""
    return flow.concrete(flow.backward({flow.program.end: rows}, lines), x, threat)


def interval_margins(flow: Flow, x: Array, rows: Array, threat: Threat) -> Float[Array, " r"]:
    """Lower bounds of rows . f by IBP, the rows merged into what follows the last activation."""
    intervals = flow.interval(x, threat)
    stop = frozenset(step.output for step in flow.program.activations)
    found = flow.backward({flow.program.end: rows}, {}, stop)
    # rows that end at activations have no part at the input, and take no pass over it
    low = flow.concrete(found, x, threat) if flow.program.start in found.rows else found.low
    for value in stop & set(found.rows):
        bottom, top = intervals[value]
        flat = found.rows[value].reshape(len(rows), -1)
        centre, reach = (top + bottom).ravel() / 2, (top - bottom).ravel() / 2
        low = low + flat @ centre - jnp.abs(flat) @ reach
    return low


def _optimised(
    flow: Flow,
    x: Array,
    rows: Array,
    threat: Threat,
    relax: Relaxation,
    known: Layers,
    start: Float[Array, " r"],
) -> Float[Array, " r"]:
    """The best margins over slopes in [0, 1], one for each row and neuron, by Adam.

    The bounds of the activations stay. Never below `start`.
    """
    rectifiers = [s for s in flow.program.activations if s.kind == "rectifier"]
    if not rectifiers:
        return start
    slopes = {s.output: _first_slopes(known, s, len(rows)) for s in rectifiers}
    optimizer = optax.adam(relax.learning_rate)

    def value(slopes: dict[int, Array]) -> Float[Array, " r"]:
        lines = dict(known.lines)
        for step in rectifiers:
            lines[step.output] = lines_of(step, *known.bounds[step.output], slopes[step.output])
        return linear_margins(flow, x, rows, threat, lines)

    def step(_: Array, carry: Any) -> Any:
        slopes, state, best = carry
        low, back = jax.vjp(value, slopes)
        (gradient,) = back(-jnp.ones_like(low))
        update, state = optimizer.update(gradient, state, slopes)
        slopes = optax.apply_updates(slopes, update)
        slopes = jax.tree.map(lambda a: jnp.clip(a, 0.0, 1.0), slopes)
        return slopes, state, jnp.maximum(best, low)

    carry = (slopes, optimizer.init(slopes), start)
    slopes, _, best = jax.lax.fori_loop(0, relax.steps, step, carry)
    return jnp.maximum(best, value(slopes))


def _first_slopes(known: Layers, step: Step, count: int) -> Array:
    low, high = known.bounds[step.output]
    return jnp.broadcast_to(adaptive_slopes(low, high), (count, *low.shape))


def unstable_shares(known: Layers) -> list[Float[Array, ""]]:
    """Of every activation layer, the share of neurons with l <= 0 <= u (both ends count)."""
    return [((low <= 0) & (high >= 0)).mean() for low, high in known.bounds.values()]
