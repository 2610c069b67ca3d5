"""The frame in which fits are computed: columns about their mean, in units of their spread.

Far from the origin a float32 number has few digits left for what differs between samples: 10,000
plus or minus 1 has three. A fit whose answer does not depend on the origin is therefore computed
about the weighted mean, and taken back.

All of it is float64 where the arrays are concrete. Under `jit` it is the precision of the samples,
in which they are known no better, and the frame is what saves their digits.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from theorylab.precision import is_traced

P = ParamSpec("P")
R = TypeVar("R")
SMALLEST = 1e-6  # columns that vary less than this share of the widest are taken as that wide


class Frame(NamedTuple):
    """Where the origin is and how long the unit of each column is.

    Attributes:
        origin: (d,).
        unit: (d,), above 0.
    """

    origin: Any
    unit: Any


def wide_if_concrete(function: Callable[P, R]) -> Callable[P, R]:
    """Run `function` with 64-bit types on, its floating arrays in float64, unless it is traced.

    Of concrete arrays it hands back NumPy arrays. Its array arguments may be of any kind that
    `jax.tree` knows; lists of numbers are left to the function's own checks.
    """

    def widen(leaf: Any) -> Any:
        dtype = getattr(leaf, "dtype", None)
        if dtype is None or not jnp.issubdtype(dtype, jnp.floating):
            return leaf
        return np.asarray(leaf).astype(np.float64)

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        if is_traced(args, kwargs):
            return function(*args, **kwargs)
        with jax.enable_x64(True):
            wide_args, wide_kwargs = jax.tree.map(widen, (args, kwargs))
            found = function(*wide_args, **wide_kwargs)
            return jax.tree.map(lambda a: np.asarray(a) if isinstance(a, jax.Array) else a, found)

    return wrapped


def framed(
    X: Float[Array, "n d"],
    mass: Float[Array, " n"],
    *,
    centre: bool = True,
    common: bool = False,
) -> tuple[Float[Array, "n d"], Frame]:
    """Samples in their frame, and the frame.

    mass: (n,) weights of the rows. centre: whether the origin moves to the mean. common: one unit
    for all columns.
    """
    mass = mass.astype(X.dtype) / jnp.sum(mass.astype(X.dtype))
    origin = mass @ X if centre else jnp.zeros(X.shape[1], X.dtype)
    rest = X - origin
    if centre:  # what rounding left of the mean
        left = mass @ rest
        origin, rest = origin + left, rest - left
    spread = jnp.sqrt(mass @ rest**2)
    widest = jnp.max(spread)
    unit = jnp.full_like(spread, widest) if common else jnp.maximum(spread, SMALLEST * widest)
    unit = jnp.where(widest > 0, unit, 1)
    return rest / unit, Frame(origin, unit)
