"""Certificates of any classifier `f(params, x)` against a set of perturbations.

found = certified_margins(f, params, x, y, LpBall(8 / 255), method="crown")
found.certified                                    # (n,) whether no perturbation changes the label
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, PyTree

from theorylab import checks
from theorylab.errors import InputError
from theorylab.precision import is_traced
from theorylab.pytrees import register
from theorylab.robustness.program import Program, read
from theorylab.robustness.propagation import Flow
from theorylab.robustness.relaxations import (
    ALPHA_MODES,
    METHODS,
    AlphaMode,
    Method,
    Relaxation,
    layers,
    margins,
    relaxation,
)
from theorylab.robustness.threats import LineUnion, Threat, checked_threat

Network = Callable[[PyTree, Array], Array]
CHUNK = 64e6  # bytes of linear bounds at a time, beyond which a CPU gains nothing


@register()
@dataclass(frozen=True)
class Margins:
    """Lower bounds of f(x + delta)[y] - f(x + delta)[t] over the set of perturbations.

    Attributes:
        lower: (n, k - 1), for the classes t other than y in ascending order.
        others: (n, k - 1), those classes.
    """

    lower: Float[Array, "n k-1"]
    others: Int[Array, "n k-1"]

    @property
    def certified(self) -> Array:
        """(n,) whether every margin is above 0: no perturbation of the set changes the label."""
        return (self.lower > 0).all(-1)

    @property
    def error(self) -> Array:
        """The share of samples without a certificate."""
        return 1 - self.certified.mean()


@register()
@dataclass(frozen=True)
class OutputBounds:
    """(n, r) lower and upper bounds of spec . f(x + delta) over the set of perturbations."""

    lower: Float[Array, "n r"]
    upper: Float[Array, "n r"]


@register()
@dataclass(frozen=True)
class ActivationBounds:
    """Bounds of the input of every activation layer, in order.

    Attributes:
        lower, upper: one array (n, *shape of the layer) a layer.
    """

    lower: tuple[Array, ...]
    upper: tuple[Array, ...]

    @property
    def unstable(self) -> Float[Array, " n"]:
        """(n,) share of the neurons of all layers with l <= 0 <= u, both ends included."""
        each = [
            ((l <= 0) & (u >= 0)).reshape(len(l), -1)
            for l, u in zip(self.lower, self.upper, strict=True)
        ]
        return jnp.concatenate(each, 1).mean(1)


@dataclass(frozen=True)
class Certifier:
    """A method of certification with its choices.

    Attributes:
        method: "ibp", "crown", "alpha-crown", "crown-ibp" or "coap".
        alpha_mode: slope of the lower line of an unstable neuron, in place of the method's own:
            "parallel" (u / (u - l), COAP's), "adaptive" (1 where u > -l, else 0; CROWN's), "zero".
        alpha_steps: steps of Adam of "alpha-crown", each on one slope per margin and neuron.
    """

    method: Method = "crown"
    alpha_mode: AlphaMode | None = None
    alpha_steps: int = 20

    def __post_init__(self) -> None:
        checks.choice("method", self.method, METHODS)
        checks.choice("alpha_mode", self.alpha_mode, (*ALPHA_MODES, None))
        checks.count("alpha_steps", self.alpha_steps, 0)


def certified_margins(
    f: Network,
    params: PyTree,
    x: Float[ArrayLike, "n ..."],
    y: Int[ArrayLike, " n"],
    threat: Threat,
    *,
    method: Method | Certifier = "crown",
    outward: bool = False,
    memory_gb: float = 1.0,
) -> Margins:
    """Lower bounds of the margin of each label over all other classes, under any perturbation.

    "ibp" is the cheapest and the loosest at a point; "crown" bounds every layer by linear functions
    of the input; "alpha-crown" also optimises the slopes; "crown-ibp" takes IBP inside and CROWN
    for the output alone; "coap" is the dual of Wong and Kolter. None of them is always the
    tightest; "alpha-crown" is never below "crown". For an attack, which bounds from the other side,
    see `attack_ensemble`.

    Args:
        f: logits (n, k) of a batch, made of dense layers, convolutions, ReLU and leaky ReLU, maxima
            and pooling, sums, rearrangements, and batch norm in eval mode.
        x, y: samples and integer labels.
        threat: `LpBall(eps, p)` or `LineUnion(eps, directions)`.
        method: its name, or a `Certifier` with the slopes of the lower lines.
        outward: lower every margin by what rounding can have changed. Bounds are then proved for
            the exact network; in float32 that costs much on wide networks, in float64
            (`jax.enable_x64`) next to nothing.
        memory_gb: how much the linear bounds may hold at a time; samples, and if need be neurons,
            are taken in chunks.

    Returns:
        `Margins` in the precision of `params`.

    Raises:
        InputError: shapes that do not fit, weights that are not finite, an operation that has no
            rule, by name.

    Source: see `relaxations`; specification merged into the last layer as in Gowal et al. 2018.
    """
    x, y, classes = _checked(f, params, x, y)
    relax = _relaxation(method, outward)
    others = np.array([[t for t in range(classes) if t != c] for c in range(classes)])
    eye = np.eye(classes, dtype=_dtype(params))
    # on the host unless labels are traced: a dozen small programs less
    rows, order = (_where(a, is_traced(y))[y] for a in (eye[:, None] - eye[others], others))
    lower = _in_chunks(f, params, x, rows, threat, relax, memory_gb)
    return Margins(lower, jnp.asarray(order))


def _where(a: np.ndarray, traced: bool) -> Any:
    return jnp.asarray(a) if traced else a


def certified_error(
    f: Network,
    params: PyTree,
    x: Float[ArrayLike, "n ..."],
    y: Int[ArrayLike, " n"],
    threat: Threat,
    **options: Any,
) -> float:
    """The share of samples that `certified_margins`, with these options, leaves without a
    certificate.

    Args and raises: as for `certified_margins`.

    Returns:
        A number in [0, 1]; at least the error under any attack.
    """
    return float(certified_margins(f, params, x, y, threat, **options).error)


def output_bounds(
    f: Network,
    params: PyTree,
    x: Float[ArrayLike, "n ..."],
    threat: Threat,
    *,
    spec: Float[ArrayLike, "r k"] | None = None,
    method: Method | Certifier = "crown",
    outward: bool = False,
    memory_gb: float = 1.0,
) -> OutputBounds:
    """Lower and upper bounds of every output, or of given combinations of the outputs.

    Args:
        f, threat, method, outward, memory_gb: as for `certified_margins`.
        x: samples.
        spec: (r, k) rows of which the products with the outputs are bounded; by default the
            outputs themselves.

    Returns:
        `OutputBounds` (n, r).

    Raises:
        InputError: as for `certified_margins`, and a `spec` that does not fit the outputs.
    """
    x, _, classes = _checked(f, params, x, None, labelled=False)
    relax = _relaxation(method, outward)
    rows = np.eye(classes) if spec is None else checks.finite("spec", spec, ndim=2)
    if np.shape(rows)[1] != classes or not len(rows):
        raise InputError(
            f"spec has shape {np.shape(rows)}, f has {classes} outputs; rows (r, {classes}) are "
            f"needed"
        )
    rows = jnp.asarray(rows, _dtype(params))
    both = jnp.concatenate([rows, -rows])
    given = jnp.broadcast_to(both, (len(x), *both.shape))
    found = _in_chunks(f, params, x, given, threat, relax, memory_gb)
    return OutputBounds(found[:, : len(rows)], -found[:, len(rows) :])


def activation_bounds(
    f: Network,
    params: PyTree,
    x: Float[ArrayLike, "n ..."],
    threat: Threat,
    *,
    method: Method | Certifier = "coap",
    outward: bool = False,
    memory_gb: float = 1.0,
) -> ActivationBounds:
    """Bounds of the input of every activation layer, and with them the unstable neurons.

    Args:
        as for `certified_margins`; "alpha-crown" and "crown" have the same ones.

    Returns:
        `ActivationBounds`, one pair of arrays (n, *shape) a layer.
    """
    x, _, _ = _checked(f, params, x, None, labelled=False)
    relax = _relaxation(method, outward)._replace(steps=0)
    dummy = jnp.zeros((len(x), 1, 1), _dtype(params))
    found = _in_chunks(f, params, x, dummy, threat, relax, memory_gb, what="layers")
    return ActivationBounds(tuple(l for l, _ in found), tuple(u for _, u in found))


def _relaxation(method: Any, outward: Any) -> Relaxation:
    chosen = method if isinstance(method, Certifier) else Certifier(method)
    given: dict[str, Any] = {"outward": checks.flag("outward", outward)}
    if chosen.method == "alpha-crown":
        given["steps"] = chosen.alpha_steps
    return relaxation(chosen.method, chosen.alpha_mode, **given)


def _dtype(params: PyTree) -> Any:
    kinds = {getattr(a, "dtype", None) or jnp.result_type(a) for a in jax.tree.leaves(params)}
    floats = [kind for kind in kinds if jnp.issubdtype(kind, jnp.floating)]
    return jnp.result_type(*floats) if floats else jnp.result_type(float)


def _finite(params: PyTree) -> None:
    """Refuse parameters that are not finite numbers."""
    for leaf in jax.tree.leaves(params):
        # a sum that is finite has finite terms: most calls end here
        known = isinstance(leaf, jax.Array | np.ndarray) and not is_traced(leaf)
        if known and leaf.dtype.kind == "f" and np.isfinite(np.asarray(leaf).sum()):
            continue
        checks.finite("params", leaf)


def _checked(
    f: Network, params: PyTree, x: Any, y: Any, labelled: bool = True
) -> tuple[Array, Any, int]:
    checks.function("f", f)
    _finite(params)
    x = checks.finite("x", x)
    if np.ndim(x) < 2 or not len(x):
        raise InputError(f"x has shape {np.shape(x)}; a batch of samples (n, ...) is needed")
    x = jnp.asarray(x, _dtype(params))
    program = read(f, params, x.shape[1:])
    classes = program.shapes[program.end].shape[0]
    if not labelled:
        return x, None, classes
    if classes < 2:
        raise InputError(f"f has {classes} output; margins need at least two, one for each class")
    y = checks.labels("y", y, classes=classes)
    checks.same_length(x=x, y=y)
    return x, y if is_traced(y) else np.asarray(y), classes


def _in_chunks(
    f: Network,
    params: PyTree,
    x: Array,
    rows: Any,
    threat: Threat,
    relax: Relaxation,
    memory_gb: float,
    what: str = "margins",
) -> Any:
    """The bounds of all samples, as many at a time as the memory allows."""
    checked_threat(threat, x.shape[1:])
    checks.number("memory_gb", memory_gb, 0, open_low=True)
    budget = memory_gb * 1e9
    chunk, block = plan(f, params, x.shape[1:], rows.shape[1], relax, budget, threat.adds_up)
    count = -(-len(x) // chunk)  # chunks of one size
    relax, chunk = relax._replace(block=block), -(-len(x) // count)
    parts = []
    for start in range(0, len(x), chunk):
        part, given = x, rows
        if chunk < len(x):
            part, given = x[start : start + chunk], rows[start : start + chunk]
        short = chunk - len(part)
        if short:  # filled up, so that one program serves all chunks
            part = jnp.concatenate([part, jnp.repeat(part[-1:], short, 0)])
            given = jnp.concatenate([given, jnp.repeat(jnp.asarray(given[-1:]), short, 0)])
        found = _compiled(f, params, part, given, threat, relax=relax, what=what)
        if short:
            found = jax.tree.map(lambda a, n=chunk - short: a[:n], found)
        parts.append(found)
    joined = parts[0] if count == 1 else jax.tree.map(lambda *a: jnp.concatenate(a), *parts)
    if not is_traced(joined) and not all(
        np.isfinite(np.asarray(leaf)).all() for leaf in jax.tree.leaves(joined)
    ):
        raise InputError(
            "params, threat: the bounds are not finite; smaller weights or a smaller eps are "
            "needed, or float64"
        )
    return joined


def plan(
    f: Network,
    params: PyTree,
    shape: tuple[int, ...],
    rows: int,
    relax: Relaxation,
    budget: float,
    packs: bool = True,
) -> tuple[int, int | None]:
    """(samples a chunk, neurons a block or None for all) within `budget` bytes; `packs`: whether
    neurons of convolutions share rows."""
    cpu = jax.default_backend() == "cpu"
    budget = min(budget, CHUNK) if cpu else budget  # larger chunks are no faster there
    program = read(f, params, shape)
    return _plan(program, rows, relax, budget, packs, np.dtype(_dtype(params)).itemsize)


@lru_cache(maxsize=256)
def _plan(
    program: Program, rows: int, relax: Relaxation, budget: float, packs: bool, item: int
) -> tuple[int, int | None]:
    entries = [int(np.prod(s.shape, dtype=int)) for s in program.shapes]
    data = {program.start, *(s.output for s in program.steps)}
    largest, total = max(entries[v] for v in data), sum(entries[v] for v in data)
    if relax.intermediate == "ibp":
        each = (4 * total + 3 * rows * largest * (3 if relax.steps else 1)) * item
        return max(1, int(budget / each)), None
    flow = Flow(program, lambda atom: atom)
    sides = 1 if relax.alpha == "parallel" else 2
    later = [
        (step.inputs[0], flow.packing(step.inputs[0]) if packs else None)
        for step in program.activations
        if not flow.is_affine(step.inputs[0])
    ]
    counts = [entries[v] if packing is None else len(packing.start) for v, packing in later]
    most = max([rows, *(sides * n for n in counts)])
    # the rows of three neighbouring values are held at a time
    each = (3 * most * largest + 4 * total) * item
    if each <= budget:
        return int(budget / each), None
    return 1, max(1, int(budget / each * most / sides))


@partial(jax.jit, static_argnames=("f", "relax", "what"))
def _compiled(
    f: Network, params: PyTree, x: Array, rows: Array, threat: Threat, *, relax: Any, what: str
) -> Any:
    program = read(f, params, x.shape[1:])
    flow = Flow(program, program.constants_at(params))
    if isinstance(threat, LineUnion):
        threat = LineUnion(threat.eps, jnp.asarray(threat.directions, x.dtype))
    if what == "layers":
        return jax.vmap(lambda one: list(layers(flow, one, threat, relax).bounds.values()))(x)
    return jax.vmap(lambda one, row: margins(flow, one, row, threat, relax))(x, rows)
