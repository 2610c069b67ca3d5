"""Small networks exactly: the LP of the triangle relaxation, and the true minimum.

The latter by mixed-integer programming, both with HiGHS in float64. They are what the fast bounds
are tested against: fast bound <= LP <= true minimum <= any attack.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse
from jax.typing import ArrayLike
from jaxtyping import Array, Float, PyTree
from scipy import optimize

from theorylab import checks
from theorylab.errors import InputError, OperationError
from theorylab.robustness.certify import Network
from theorylab.robustness.program import read
from theorylab.robustness.propagation import Flow
from theorylab.robustness.relaxations import METHODS, Method, layers, relaxation
from theorylab.robustness.threats import LineUnion, LpBall, Threat, checked_threat


def lp_minimum(
    f: Network,
    params: PyTree,
    x: Float[ArrayLike, "..."],
    spec: Float[ArrayLike, "r k"],
    threat: Threat,
    *,
    method: Method = "coap",
) -> Float[np.ndarray, " r"]:
    """The smallest value of spec . f over the triangle relaxation of one sample's neighbourhood.

    The tightest bound that relaxes each neuron by itself. For tests and small networks: time grows
    with the cube of the number of neurons. For certificates of many samples use
    `certified_margins`.

    Args:
        f: network of rectifiers and linear steps (no maxima).
        params: of `f`, finite.
        x: one sample, without a batch axis.
        spec: (r, k) rows.
        threat: l-infinity or l1 ball, or segments (their hull, which the relaxation is convex on).
        method: where the bounds of the neurons come from.

    Returns:
        (r,) float64 minima.

    Raises:
        InputError: as for `certified_margins`; an l2 ball, which is no polytope.
        OperationError: HiGHS found no minimum.

    Source:
        Wong and Kolter 2018, equation 4.
    """
    model = _model(f, params, x, spec, threat, method)
    return np.array([model.minimise(row) for row in model.spec])


def exact_minimum(
    f: Network,
    params: PyTree,
    x: Float[ArrayLike, "..."],
    spec: Float[ArrayLike, "r k"],
    threat: Threat,
    *,
    method: Method = "crown",
) -> Float[np.ndarray, " r"]:
    """The true smallest value of spec . f(x + delta), by branch and bound over unstable neurons.

    Of segments, each line is searched by itself. The time may grow exponentially with the number of
    unstable neurons.

    Args:
        f: network of rectifiers and linear steps (no maxima).
        params: of `f`, finite.
        x: one sample, without a batch axis.
        spec: (r, k) rows.
        threat: l-infinity or l1 ball, or segments.
        method: where the bounds of the neurons come from.

    Returns:
        (r,) float64 minima, to HiGHS's tolerance of 1e-6 relative.

    Raises:
        InputError: as for `lp_minimum`.
        OperationError: HiGHS found no minimum.

    Source:
        Tjeng, Xiao, Tedrake 2019, section 4.
    """
    if not isinstance(threat, LineUnion):
        model = _model(f, params, x, spec, threat, method, exact=True)
        return np.array([model.minimise(row) for row in model.spec])
    x = np.asarray(x)
    checked_threat(threat, x.shape)
    lines = np.asarray(threat.directions)
    each = [LineUnion(threat.eps, line[None]) for line in lines]
    models = [_model(f, params, x, spec, one, method, exact=True) for one in each]
    return np.array([min(m.minimise(row) for m in models) for row in models[0].spec])


@dataclass
class _Model:
    """Variables: a description of delta, the outputs of the rectifiers, and their switches.

    Unstable neurons alone have a switch. Minimises row . (matrix v + constant) under `low <= A v <=
    high`.
    """

    spec: np.ndarray
    matrix: np.ndarray
    constant: np.ndarray
    constraints: list[tuple[np.ndarray, float, float]]
    bounds: list[tuple[float, float]]
    integer: np.ndarray

    def minimise(self, row: np.ndarray) -> float:
        width = len(self.bounds)
        cost = row @ self.matrix
        low, high = np.array(self.bounds).T
        rules: Any = ()
        if self.constraints:
            a = scipy.sparse.csr_array(np.stack([_wide(c, width) for c, _, _ in self.constraints]))
            rules = optimize.LinearConstraint(
                a, [l for _, l, _ in self.constraints], [h for _, _, h in self.constraints]
            )
        found = optimize.milp(
            _wide(cost, width),
            integrality=self.integer,
            bounds=optimize.Bounds(low, high),
            constraints=rules,
        )
        if found.status != 0:
            raise OperationError(f"HiGHS found no minimum: {found.message}")
        return float(found.fun + row @ self.constant)


def _wide(row: np.ndarray, width: int) -> np.ndarray:
    return np.concatenate([row, np.zeros(width - len(row))])


def _model(
    f: Network,
    params: PyTree,
    x: Any,
    spec: Any,
    threat: Threat,
    method: Any,
    exact: bool = False,
) -> _Model:
    checks.function("f", f), checks.choice("method", method, METHODS)
    for leaf in jax.tree.leaves(params):
        checks.finite("params", leaf)
    x, spec = checks.finite("x", x), checks.finite("spec", spec, ndim=2)
    checked_threat(threat, np.shape(x))
    if isinstance(threat, LpBall) and threat.p == 2:
        raise InputError("threat.p = 2; a polytope (p = 1, infinity, or a LineUnion) is needed")
    with jax.enable_x64(True):
        params = jax.tree.map(lambda a: jnp.asarray(np.asarray(a, np.float64)), params)
        x = jnp.asarray(np.asarray(x, np.float64))
        program = read(f, params, x.shape)
        classes = program.shapes[program.end].shape[0]
        if np.shape(spec)[1] != classes:
            raise InputError(
                f"spec has shape {np.shape(spec)}, f has {classes} outputs; rows (r, {classes}) "
                f"are needed"
            )
        flow = Flow(program, program.constants_at(params))
        if any(step.kind == "maximum" for step in program.activations):
            raise InputError("f: a maximum over a window is not supported by the LP; ReLUs are")
        if isinstance(threat, LineUnion):
            lines = np.asarray(threat.directions, np.float64)
            threat = LineUnion(float(threat.eps), jnp.asarray(lines))
        known = layers(flow, x, threat, relaxation(method)).bounds
        return _Builder(flow, np.asarray(x), threat, exact).model(known, np.asarray(spec, float))


class _Builder:
    """Grows the constraints rectifier by rectifier."""

    def __init__(self, flow: Flow, x: np.ndarray, threat: Threat, exact: bool):
        self.flow, self.exact, self.switches = flow, exact, 0
        self.constraints: list[tuple[np.ndarray, float, float]] = []
        self.x = x
        low, high = (np.asarray(end).ravel() for end in threat.box(jnp.asarray(x)))
        if isinstance(threat, LpBall) and threat.p == np.inf:
            self.bounds = list(zip(low, high, strict=True))
            self.entry = (np.eye(x.size), np.zeros(x.size))
        else:
            eps = float(threat.eps)
            basis = (
                np.asarray(threat.directions).reshape(-1, x.size)
                if isinstance(threat, LineUnion)
                else np.eye(x.size)
            )
            self.bounds = [(0.0, 1.0)] * (2 * len(basis))
            self.entry = (eps * np.concatenate([basis, -basis]).T, x.ravel())
            self._rule(np.ones(2 * len(basis)), -np.inf, 1.0)
            if isinstance(threat, LpBall) and threat.clip is not None:
                for row, at, l, u in zip(*self.entry, low, high, strict=True):
                    self._rule(row, l - at, u - at)
        self.columns: dict[int, np.ndarray] = {}  # rectifier's output -> its variables
        self.stop = frozenset(s.output for s in flow.program.activations)

    def _rule(self, row: np.ndarray, low: float, high: float) -> None:
        self.constraints.append((np.asarray(row, float), float(low), float(high)))

    def expression(self, target: int) -> tuple[np.ndarray, np.ndarray]:
        """A value as (matrix, constant) of the variables."""
        shape = self.flow.program.shapes[target].shape
        size = int(np.prod(shape, dtype=int))
        found = self.flow.backward({target: jnp.eye(size).reshape(size, *shape)}, {}, self.stop)
        matrix, constant = np.zeros((size, len(self.bounds))), np.array(found.low)
        for value, rows in found.rows.items():
            flat = np.asarray(rows).reshape(size, -1)
            if value == self.flow.program.start:
                matrix[:, : self.entry[0].shape[1]] += flat @ self.entry[0]
                constant = constant + flat @ self.entry[1]
            else:
                matrix[:, self.columns[value]] += flat
        return matrix, constant

    def model(self, known: dict[int, tuple[Array, Array]], spec: np.ndarray) -> _Model:
        integer: list[int] = []
        for step in self.flow.program.activations:
            matrix, constant = self.expression(step.inputs[0])
            ends = [np.asarray(end).ravel() for end in known[step.output]]
            first = len(self.bounds)
            self.columns[step.output] = np.arange(first, first + len(constant))
            self.bounds += [(-np.inf, np.inf)] * len(constant)
            for j, (row, at, low, high) in enumerate(zip(matrix, constant, *ends, strict=True)):
                z = np.zeros(first + len(constant))
                z[first + j] = 1.0
                integer += self._neuron(z, row, at, low, high, step.slope)
        matrix, constant = self.expression(self.flow.program.end)
        kinds = np.zeros(len(self.bounds))
        kinds[integer] = 1
        return _Model(spec, matrix, constant, self.constraints, self.bounds, kinds)

    def _neuron(
        self, z: np.ndarray, row: np.ndarray, at: float, low: float, high: float, s: float
    ) -> list[int]:
        """The number of the switch of z = max(y, s y), y = row . v + at in [low, high], relaxed."""
        y = _wide(row, len(z))
        if low >= 0 or high <= 0:
            slope = 1.0 if low >= 0 else s
            self._rule(z - slope * y, slope * at, slope * at)
            return []
        self._rule(z - y, at, np.inf)
        self._rule(z - s * y, s * at, np.inf)
        chord = (high - s * low) / (high - low)
        self._rule(z - chord * y, -np.inf, chord * (at - low) + s * low)
        if not self.exact:
            return []
        switch = len(self.bounds)
        self.bounds.append((0.0, 1.0))
        on = np.zeros(switch + 1)
        on[switch] = 1.0
        self._rule(_wide(z - s * y, switch + 1) - (1 - s) * high * on, -np.inf, s * at)
        self._rule(_wide(z - y, switch + 1) - (1 - s) * low * on, -np.inf, at - (1 - s) * low)
        return [switch]
