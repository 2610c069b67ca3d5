"""Certificates of any classifier `f(params, x)` against a set of perturbations.

    found = certified_margins(f, params, x, y, LpBall(8 / 255), method="crown")
    found.certified                                # (n,) whether no perturbation changes the label

Source: Gowal et al. 2018 (IBP); Zhang et al. 2018 (CROWN) and 2020 (CROWN-IBP); Xu et al. 2021
(alpha-CROWN); Wong and Kolter 2018 (COAP).
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
from theorylab.robustness.chunks import planned
from theorylab.robustness.coupling import refuse_coupled
from theorylab.robustness.program import read
from theorylab.robustness.propagation import Affine, Flow
from theorylab.robustness.relaxations import (
    ALPHA_MODES,
    METHODS,
    AlphaMode,
    Method,
    Relaxation,
    layers,
    margins,
    relaxation,
    shared_heads,
)
from theorylab.robustness.threats import LineUnion, Threat, checked_threat

Network = Callable[[PyTree, Array], Array]


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
    """Bounds of spec . f(x + delta) over the set of perturbations.

    Attributes:
        lower: (n, r) lower bounds.
        upper: (n, r) upper bounds.
    """

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

    Args:
        method: "ibp", "crown", "alpha-crown", "crown-ibp" or "coap".
        alpha_mode: slope of the lower line of an unstable neuron, in place of the method's own,
            which None takes: "parallel" (u / (u - l), COAP's), "adaptive" (1 where u > -l, else 0;
            CROWN's), "zero".
        alpha_steps: steps of Adam of "alpha-crown", each on one slope per margin and neuron.

    Raises:
        InputError: another method or slope, or a negative number of steps.
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
        params: of `f`, finite.
        x: (n, ...) samples.
        y: (n,) integer labels.
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

    Source:
        See `relaxations`; specification merged into the last layer as in Gowal et al. 2018.

    Examples:
        >>> f = lambda params, x: jax.nn.relu(x @ params)
        >>> params, x = jnp.array([[1.0, -1.0], [1.0, 1.0]]), jnp.array([[1.0, 0.5]])
        >>> from theorylab.robustness import LpBall
        >>> found = certified_margins(f, params, x, [0], LpBall(0.25))  # 1.0 - 0.0 at the worst
        >>> found.lower.tolist(), found.others.tolist(), found.certified.tolist()
        ([[1.0]], [[1]], [True])
    """
    x, y, classes = _checked(f, params, x, y)
    relax = _relaxation(method, outward)
    # on the host unless labels are traced: a dozen small programs less
    tables = _tables(classes, np.dtype(_dtype(params)))
    rows, order = (_where(a, is_traced(y))[y] for a in tables)
    lower = _in_chunks(f, params, x, rows, threat, relax, memory_gb)
    return Margins(lower, jnp.asarray(order))


@lru_cache(maxsize=16)
def _tables(classes: int, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """By label: the rows that give the margins over the other classes, and those classes."""
    others = np.array([[t for t in range(classes) if t != c] for c in range(classes)])
    eye = np.eye(classes, dtype=dtype)
    return eye[:, None] - eye[others], others


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
    """The share of samples that `certified_margins` leaves without a certificate.

    Args:
        f: as for `certified_margins`.
        params: of `f`, finite.
        x: (n, ...) samples.
        y: (n,) integer labels.
        threat: as for `certified_margins`.
        **options: of `certified_margins`: method, outward, memory_gb.

    Returns:
        A number in [0, 1]; at least the error under any attack.

    Raises:
        InputError: as for `certified_margins`.
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
        f: as for `certified_margins`; one output will do.
        params: of `f`, finite.
        x: (n, ...) samples.
        threat: as for `certified_margins`.
        spec: (r, k) rows of which the products with the outputs are bounded; None takes the outputs
            themselves.
        method: as for `certified_margins`.
        outward: move every bound outward by what rounding can have changed.
        memory_gb: as for `certified_margins`.

    Returns:
        `OutputBounds` (n, r).

    Raises:
        InputError: as for `certified_margins`, and a `spec` that does not fit the outputs.

    Examples:
        >>> from theorylab.robustness import LpBall
        >>> f = lambda params, x: x @ params
        >>> params, x = jnp.array([[2.0], [1.0]]), jnp.array([[1.0, 0.5]])
        >>> found = output_bounds(f, params, x, LpBall(0.25))
        >>> found.lower.tolist(), found.upper.tolist()  # 2.5 ± 0.25 * 3
        ([[1.75]], [[3.25]])
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

    "alpha-crown" and "crown" have the same ones.

    Args:
        f: as for `certified_margins`; one output will do.
        params: of `f`, finite.
        x: (n, ...) samples.
        threat: as for `certified_margins`.
        method: as for `certified_margins`.
        outward: move every bound outward by what rounding can have changed.
        memory_gb: as for `certified_margins`.

    Returns:
        `ActivationBounds`, one pair of arrays (n, *shape) for each layer.

    Raises:
        InputError: as for `certified_margins`.
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
    if len(floats) == 1:
        return floats[0]
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
    refuse_coupled(f, params, x)
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
    program, item = read(f, params, x.shape[1:]), np.dtype(_dtype(params)).itemsize
    chunk, block = planned(program, rows.shape[1], relax, budget, threat.adds_up, item)
    count = -(-len(x) // chunk)  # chunks of one size
    relax, chunk = relax._replace(block=block), -(-len(x) // count)
    heads: dict[int, Any] = {}
    if count > 1 and relax.intermediate == "backward":  # one chunk makes them for itself
        ask = partial(_compiled, f, params, {}, x[:1], None, threat, relax=relax, what="heads")
        size = sum(a.size * a.dtype.itemsize for a in jax.tree.leaves(jax.eval_shape(ask)))
        heads = ask() if size <= budget / 2 else heads
    parts = []
    for start in range(0, len(x), chunk):
        part, given = x, rows
        if chunk < len(x):
            part, given = x[start : start + chunk], rows[start : start + chunk]
        short = chunk - len(part)
        if short:  # filled up, so that one program serves all chunks
            part = jnp.concatenate([part, jnp.repeat(part[-1:], short, 0)])
            given = jnp.concatenate([given, jnp.repeat(jnp.asarray(given[-1:]), short, 0)])
        found = _compiled(f, params, heads, part, given, threat, relax=relax, what=what)
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


@partial(jax.jit, static_argnames=("f", "relax", "what"))
def _compiled(
    f: Network,
    params: PyTree,
    heads: dict[int, Affine],
    x: Array,
    rows: Any,
    threat: Threat,
    *,
    relax: Any,
    what: str,
) -> Any:
    """The "margins" of a chunk, the bounds of its "layers", or the "heads" of all chunks."""
    program = read(f, params, x.shape[1:])
    flow = Flow(program, program.constants_at(params), heads)
    if isinstance(threat, LineUnion):
        threat = LineUnion(threat.eps, jnp.asarray(threat.directions, x.dtype))
    if what == "heads":
        return shared_heads(flow, x.dtype, relax, threat.adds_up)
    if what == "layers":
        return jax.vmap(lambda one: list(layers(flow, one, threat, relax).bounds.values()))(x)
    return jax.vmap(lambda one, row: margins(flow, one, row, threat, relax))(x, rows)
