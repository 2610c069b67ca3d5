"""COAP's margins estimated by random projections: fast on wide networks, and no certificate.

The norms of the rows and the sums over unstable neurons that every intermediate bound needs are
medians of Cauchy projections, or root mean squares of Gaussian ones, pushed forward through the
relaxed network. An estimate may lie on either side of the bound, so nothing here is called
certified; `certified_margins(method="coap")` certifies.
Source: Wong et al. 2018, "Scaling provable adversarial defenses".
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, Key, PyTree

from theorylab import checks
from theorylab.errors import InputError
from theorylab.pytrees import register
from theorylab.robustness.certify import Network, _checked
from theorylab.robustness.lines import Lines, lines_of
from theorylab.robustness.program import read
from theorylab.robustness.propagation import Flow
from theorylab.robustness.relaxations import linear_margins
from theorylab.robustness.threats import LineUnion, LpBall, Threat, checked_threat


@register()
@dataclass(frozen=True)
class Estimate:
    """Estimated margins, which are not a certificate.

    Attributes:
        margins: (n, k - 1) over the other classes in ascending order.
    """

    margins: Float[Array, "n k-1"]


def estimated_margins(
    f: Network,
    params: PyTree,
    x: Float[ArrayLike, "n ..."],
    y: Int[ArrayLike, " n"],
    threat: Threat,
    *,
    key: Key[Array, ""],
    projections: int = 50,
) -> Estimate:
    """COAP's margins with the bounds of the neurons estimated by random projections.

    For training on wide networks, where exact bounds need a row for each neuron. To certify use
    `certified_margins`.

    Args:
        f: as for `certified_margins`, without maxima.
        params: of `f`, finite.
        x: (n, ...) samples.
        y: (n,) integer labels.
        threat: l-infinity ball (Cauchy projections), l2 ball (Gaussian ones), or segments, whose
            part is exact.
        key: draws the projections, the same for all samples.
        projections: how many; the paper takes 50.

    Returns:
        `Estimate`; it tends to COAP's margins as the number of projections grows.

    Raises:
        InputError: as for `certified_margins`; an l1 ball or a clip.

    Source:
        Wong et al. 2018, "Scaling provable adversarial defenses", algorithm 1.
    """
    x, y, classes = _checked(f, params, x, y)
    checked_threat(threat, x.shape[1:])
    checks.key("key", key)
    count = checks.count("projections", projections)
    if isinstance(threat, LpBall) and (threat.p == 1 or threat.clip is not None):
        raise InputError("threat: an l2 or l-infinity ball without clip, or segments, is needed")
    others = np.array([[t for t in range(classes) if t != c] for c in range(classes)])
    eye = jnp.eye(classes, dtype=x.dtype)
    rows = (eye[:, None] - eye[jnp.asarray(others)])[y]
    program = read(f, params, x.shape[1:])
    if any(step.kind == "maximum" for step in program.activations):
        raise InputError("f: a maximum over a window is not supported by projections; ReLUs are")
    return Estimate(_compiled(f, params, x, rows, threat, key, count=count))


@partial(jax.jit, static_argnames=("f", "count"))
def _compiled(
    f: Network, params: PyTree, x: Array, rows: Array, threat: Threat, key: Array, *, count: int
) -> Array:
    program = read(f, params, x.shape[1:])
    flow = Flow(program, program.constants_at(params))
    return jax.vmap(lambda one, row: projected(flow, one, row, threat, key, count))(x, rows)


def projected(
    flow: Flow, x: Array, rows: Array, threat: Threat, key: Array, count: int
) -> Float[Array, " r"]:
    """Estimated margins of one sample, (r,).

    The bounds of the neurons are estimated, the rows themselves exact.
    """
    return linear_margins(flow, x, rows, threat, projected_lines(flow, x, threat, key, count))


def projected_lines(
    flow: Flow, x: Array, threat: Threat, key: Array, count: int
) -> dict[int, Lines]:
    """COAP's lines of every activation, from estimated bounds."""
    program = flow.program
    pushed = _first(program.start, x, threat, key, count)
    middle: dict[int, Array] = {program.start: x}
    lines: dict[int, Lines] = {}
    for number, step in enumerate(program.steps):
        if step.kind == "linear":
            assert step.apply is not None
            middle[step.output] = step.apply("full", [middle[i] for i in step.inputs], flow.value)
            for values in pushed.values():
                values.update(_push(flow, step, values))
            continue
        v = step.inputs[0]
        if flow.is_affine(v):
            low, high = flow.exact_interval(v, x, threat)
        else:
            reach = sum(
                _size(kind, values[v]) for (kind, _), values in pushed.items() if v in values
            )
            low, high = middle[v] - reach, middle[v] + reach
        here = lines_of(step, low, high, "parallel")
        lines[step.output] = here
        middle[step.output] = here.lower * middle[v] + here.intercept / 2
        for values in pushed.values():
            if v in values:
                values[step.output] = here.lower * values[v]
        draw = jax.random.fold_in(key, number + 1)
        noise = jax.random.cauchy(draw, (count, *low.shape), x.dtype)
        pushed["cauchy", step.output] = {step.output: noise * here.intercept / 2}
    return lines


def _first(start: int, x: Array, threat: Threat, key: Array, count: int) -> Any:
    """What is pushed forward from the input: projections of the perturbations."""
    shape = (count, *x.shape)
    if isinstance(threat, LineUnion):
        along = jnp.asarray(threat.directions, x.dtype).reshape(-1, *x.shape)
        return {("largest", start): {start: threat.eps * along}}
    if threat.p == 2:
        return {("gauss", start): {start: threat.eps * jax.random.normal(key, shape, x.dtype)}}
    return {("cauchy", start): {start: threat.eps * jax.random.cauchy(key, shape, x.dtype)}}


def _push(flow: Flow, step: Any, values: dict[int, Array]) -> dict[int, Array]:
    present = [i for i in step.inputs if i in values]
    if not present:
        return {}
    count = len(values[present[0]])
    given = [
        values[i] if i in values else jnp.zeros((count, *flow.program.shapes[i].shape))
        for i in step.inputs
    ]
    out = jax.vmap(lambda *data: step.apply("linear", data, flow.value))(*given)
    return {step.output: out}


def _size(kind: str, pushed: Array) -> Array:
    """The norm that the projections estimate, for each entry."""
    if kind == "largest":
        return jnp.abs(pushed).max(0)
    if kind == "gauss":
        square = jnp.square(pushed).mean(0)
        some = square > 0
        return jnp.where(some, jnp.sqrt(jnp.where(some, square, 1.0)), 0.0)
    return jnp.median(jnp.abs(pushed), 0)
