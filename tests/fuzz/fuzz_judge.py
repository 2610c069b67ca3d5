"""What a fuzzed call may end in, and how two results are compared."""

from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from theorylab.errors import InputError


def leaves(result: Any) -> list[Any]:
    """The numbers of a result, also of classes that JAX does not know."""
    found = []
    for leaf in jax.tree.leaves(result):
        if is_dataclass(leaf) and not isinstance(leaf, type):
            found += leaves(vars(leaf))
        elif isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            continue
        elif isinstance(leaf, float | int | complex | np.generic | np.ndarray | jax.Array):
            array = np.asarray(leaf)
            if array.dtype.kind in "fciub":
                found.append(array)
            elif "bfloat16" in str(array.dtype):
                found.append(array.astype(np.float32))
    return found


def holds(result: Any, what: Callable[[np.ndarray], np.ndarray]) -> bool:
    return any(a.dtype.kind in "fc" and bool(what(a).any()) for a in leaves(result))


def outcome(
    function: Callable[..., Any], arguments: Mapping[str, Any], infinite: bool = False
) -> tuple[str, Any]:
    """`refused`, `value`, or a fault in words; and the result.

    infinite: infinity is one of the function's documented values.
    """
    try:
        with np.errstate(all="ignore"):
            result = function(**arguments)
    except InputError as error:
        text = str(error)
        return ("refused" if "\n" not in text else f"refusal of several lines: {text}"), None
    except Exception as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())[:150]}", None
    if holds(result, np.isnan):
        return "NaN", result
    if not infinite and holds(result, np.isinf):
        return "infinity", result
    return "value", result


def distance(first: Any, second: Any) -> float:
    """The largest difference of two results, relative to the largest number of each leaf."""
    ours, theirs = leaves(first), leaves(second)
    if [a.shape for a in ours] != [a.shape for a in theirs]:
        return np.inf
    worst = 0.0
    for a, b in zip(ours, theirs, strict=True):
        if a.dtype.kind == "c" or b.dtype.kind == "c":
            x, y = a.astype(complex), b.astype(complex)
        else:
            x, y = a.astype(float), b.astype(float)
        same = (x == y) | (np.isnan(x) & np.isnan(y))
        if same.all():
            continue
        with np.errstate(all="ignore"):
            scale = max(float(np.abs(np.where(np.isfinite(y), y, 0)).max()), 1e-300)
            gap = np.where(same, 0, np.abs(x - y))
        worst = max(worst, float(np.nan_to_num(gap, nan=np.inf).max()) / scale)
    return worst
