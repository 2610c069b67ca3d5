"""The arithmetic of a program, counted before it is compiled, loops and all.

The compiler's own count knows neither how often a loop runs nor what a library call (an
eigendecomposition) does, and some compilers give none.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Known = Mapping[Any, int]

# of a square matrix of order n, or an (m, n) one: leading terms of the textbook algorithms
# (Golub & Van Loan, 4th edition, sections 4.2.5, 3.2.6, 5.2.2, 8.3.3 and figure 8.6.1)
_FACTORISATIONS = {
    "cholesky": lambda m, n: n**3 / 3,
    "lu": lambda m, n: 2 * n**3 / 3,
    "eigh": lambda m, n: 9 * n**3,
    "eig": lambda m, n: 25 * n**3,
    "svd": lambda m, n: 14 * max(m, n) * min(m, n) ** 2 + 8 * min(m, n) ** 3,
    "geqrf": lambda m, n: 2 * max(m, n) * min(m, n) ** 2,
    "qr": lambda m, n: 4 * max(m, n) * min(m, n) ** 2,
    "householder_product": lambda m, n: 2 * max(m, n) * min(m, n) ** 2,
    "tridiagonal": lambda m, n: 4 * n**3 / 3,
}
_MOVES = {
    *("reshape", "transpose", "broadcast_in_dim", "squeeze", "slice", "dynamic_slice", "gather"),
    *("concatenate", "pad", "rev", "iota", "convert_element_type", "bitcast_convert_type", "copy"),
    *("dynamic_update_slice", "scatter", "select_n", "stop_gradient", "device_put", "split"),
    *("random_wrap", "random_unwrap", "sharding_constraint", "optimization_barrier", "copy_p"),
}


@dataclass(frozen=True)
class Work:
    """What a program does.

    Attributes:
        flops: additions and multiplications.
        operations: primitive operations that are started, each time round a loop counted.
        largest: bytes of the largest array inside.
        bounded: False where a loop's length depends on data: it is counted once, and `flops` is a
            lower bound.
    """

    flops: float = 0.0
    operations: float = 0.0
    largest: int = 0
    bounded: bool = True

    def __add__(self, other: "Work") -> "Work":
        return Work(
            self.flops + other.flops,
            self.operations + other.operations,
            max(self.largest, other.largest),
            self.bounded and other.bounded,
        )

    def times(self, count: float) -> "Work":
        """This work done `count` times."""
        return Work(self.flops * count, self.operations * count, self.largest, self.bounded)


def work_of(closed: Any, *, platform: str = "cpu", known: Mapping[int, int] | None = None) -> Work:
    """Arithmetic of a traced program.

    Args:
        closed: a `ClosedJaxpr`, as `jax.make_jaxpr` or `jax.jit(f).trace(...)` give it.
        platform: whose branch is taken where a program differs by platform.
        known: whole numbers among the arguments, by their position: lengths of loops may follow
            from them.

    Returns:
        A `Work`.

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> square = lambda x: jax.lax.fori_loop(0, 3, lambda _, y: y @ y, x)
        >>> work_of(jax.make_jaxpr(square)(jnp.ones((10, 10)))).flops  # and counting to three
        6003.0
    """
    jaxpr = closed.jaxpr
    values = {jaxpr.invars[i]: value for i, value in (known or {}).items()}
    for variable, constant in zip(jaxpr.constvars, closed.consts, strict=True):
        if _whole(constant):
            values[variable] = int(constant)
    return _count(jaxpr, platform, values)


def _whole(value: Any) -> bool:
    try:
        return np.ndim(value) == 0 and np.issubdtype(
            getattr(value, "dtype", type(value)), np.integer
        )
    except TypeError:  # a type of keys
        return False


def _value(atom: Any, known: Known) -> int | None:
    literal = getattr(atom, "val", None)
    if literal is not None:
        return int(literal) if _whole(literal) else None
    return known.get(atom)


def _count(jaxpr: Any, platform: str, known: Mapping[Any, int]) -> Work:
    total, values = Work(), dict(known)
    for equation in jaxpr.eqns:
        total += _equation(equation, platform, values)
        if equation.primitive.name in ("convert_element_type", "copy", "copy_p"):
            value = _value(equation.invars[0], values)
            if value is not None and _whole_type(equation.outvars[0]):
                values[equation.outvars[0]] = value
    return total


def _whole_type(variable: Any) -> bool:
    try:
        return np.issubdtype(variable.aval.dtype, np.integer)
    except TypeError:
        return False


def _equation(equation: Any, platform: str, known: Known) -> Work:
    name, params = equation.primitive.name, equation.params
    if name == "scan":
        return _inner(params["jaxpr"], equation.invars, platform, known).times(params["length"])
    if name == "while":
        return _loop(equation, platform, known)
    if name == "cond":
        return _branches(equation, platform, known)
    if name == "custom_linear_solve":
        return _inner(params["jaxprs"].solve, (), platform, known)
    inside = list(_programs(params))
    if inside:
        counted = [_inner(program, equation.invars, platform, known) for program in inside]
        parts = math.prod(params["mesh"].shape.values()) if name == "shard_map" else 1
        return sum(counted, Work()).times(parts)
    sizes = [_bytes(v) for v in (*equation.invars, *equation.outvars)]
    return Work(_flops(equation), 1.0, max(sizes, default=0))


def _inner(program: Any, given: Any, platform: str, known: Known) -> Work:
    """Work of a program that is called, told of the whole numbers that it is called with."""
    jaxpr = getattr(program, "jaxpr", program)
    values = {}
    if len(given) == len(jaxpr.invars):
        pairs = zip(jaxpr.invars, given, strict=True)
        values = {inner: v for inner, atom in pairs if (v := _value(atom, known)) is not None}
    return _count(jaxpr, platform, values)


def _branches(equation: Any, platform: str, known: Known) -> Work:
    params = equation.params
    branches, platforms = params["branches"], params.get("branches_platforms")
    if platforms:
        mine = [
            b for b, names in zip(branches, platforms, strict=True) if platform in (names or ())
        ]
        branches = mine[:1] or [
            b for b, names in zip(branches, platforms, strict=True) if names is None
        ]
    counted = [_inner(b, equation.invars[1:], platform, known) for b in branches]
    return max(counted, key=lambda work: work.flops, default=Work())


def _loop(equation: Any, platform: str, known: Known) -> Work:
    params = equation.params
    skip, constants = params["cond_nconsts"], params["body_nconsts"]
    body = _inner(params["body_jaxpr"], equation.invars[skip:], platform, known)
    test = _inner(params["cond_jaxpr"], (), platform, known)
    carried = equation.invars[skip + constants :]
    given = [*equation.invars[:skip], *carried]
    rounds = _rounds(params["cond_jaxpr"].jaxpr, [_value(atom, known) for atom in given])
    once = body + test
    if rounds is None:
        return Work(once.flops, once.operations, once.largest, False)
    return once.times(rounds)


def _rounds(test: Any, given: list[int | None]) -> int | None:
    """How often `jax.lax.fori_loop` goes round: its test is `i < end`."""
    if len(test.eqns) != 1 or test.eqns[0].primitive.name != "lt":
        return None
    values = {var: v for var, v in zip(test.invars, given, strict=True) if v is not None}
    start, end = (_value(atom, values) for atom in test.eqns[0].invars)
    return None if start is None or end is None else max(0, end - start)


def _programs(params: Mapping[str, Any]) -> Iterator[Any]:
    for name, value in params.items():
        if name in ("jvp_jaxpr_fun", "fwd_jaxpr_thunk", "bwd", "transpose_jaxpr"):
            continue
        for leaf in value if isinstance(value, tuple | list) else (value,):
            if hasattr(leaf, "eqns") or hasattr(leaf, "jaxpr"):
                yield leaf


def _flops(equation: Any) -> float:
    name = equation.primitive.name
    out: Any = equation.outvars[0].aval if equation.outvars else None
    if name in _MOVES or not hasattr(out, "shape"):
        return 0.0
    first: Any = equation.invars[0].aval if equation.invars else out
    size = math.prod(out.shape)
    if name == "dot_general":
        (contracted, _), _ = equation.params["dimension_numbers"]
        return 2.0 * size * math.prod(first.shape[i] for i in contracted)
    if name == "conv_general_dilated":
        kernel = equation.invars[1].aval.shape
        spec = equation.params["dimension_numbers"].rhs_spec
        return 2.0 * size * math.prod(kernel) / kernel[spec[0]]
    if name in _FACTORISATIONS and len(first.shape) >= 2:
        *batch, m, n = first.shape
        return float(math.prod(batch) * _FACTORISATIONS[name](m, n))
    if name == "triangular_solve":
        return float(size * first.shape[-1])
    if name == "sort":
        return float(size * max(1, math.log2(max(2, size))))
    return float(max(size, math.prod(getattr(first, "shape", ()))))


def _bytes(variable: Any) -> int:
    aval = variable.aval
    if not hasattr(aval, "shape"):
        return 0
    return math.prod(aval.shape) * getattr(aval.dtype, "itemsize", 8)
