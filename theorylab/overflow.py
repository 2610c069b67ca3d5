"""Numbers whose arithmetic leaves the floating type: refused by name, never answered by NaN.

Inputs that are finite can overflow when they are squared, or when float64 numbers become those of a
float32 computation. A function that has a stable form for them takes it; the others say so here.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from theorylab.errors import InputError
from theorylab.precision import is_traced

P = ParamSpec("P")
R = TypeVar("R")


def representable(name: str, value: Any) -> jax.Array:
    """A JAX array of these numbers, which are finite; refused where its type cannot hold them.

    Args:
        name: of the argument.
        value: finite numbers, or traced ones.

    Returns:
        The array, of JAX's type for the numbers.

    Raises:
        InputError: a number turns to infinity in that type.
    """
    array = jnp.asarray(value)
    if not jnp.issubdtype(array.dtype, jnp.floating) or is_traced(array):
        return array
    if array.dtype != getattr(value, "dtype", None) and not bool(jnp.isfinite(array).all()):
        largest = np.abs(np.asarray(value, np.float64)).max()
        raise InputError(
            f"{name} holds {largest:g}; numbers up to {float(jnp.finfo(array.dtype).max):.2g} are "
            f"needed, which {array.dtype} holds: divide {name} by a common scale"
        )
    return array


def in_range(*, infinite: bool = False) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a function refuse arguments that it would answer by NaN, or by infinity.

    For functions whose arguments are checked to be finite, and where neither is documented. What
    is traced is left alone.

    Args:
        infinite: infinity is an answer, NaN alone is refused.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
            result = function(*args, **kwargs)
            require_answer(result, signature.bind(*args, **kwargs).arguments, infinite=infinite)
            return result

        return wrapped

    return decorate


def require_answer(result: Any, arguments: dict[str, Any], *, infinite: bool = False) -> None:
    """Refuse a result that holds NaN (or infinity), by the argument whose numbers are the cause.

    Args:
        result: a PyTree.
        arguments: by their names; the one with the number farthest from 1 is named.
        infinite: infinity is an answer.

    Raises:
        InputError: the result is none.
    """
    if is_traced(result):
        return
    answers = np.isnan if infinite else lambda a: ~np.isfinite(a)
    floats = [np.asarray(leaf) for leaf in jax.tree.leaves(result) if _is_float(leaf)]
    if not any(answers(leaf).any() for leaf in floats):
        return
    spans = {"the law" if n == "self" else n: _span(value) for n, value in arguments.items()}
    known = {name: span for name, span in spans.items() if span is not None}
    if not known:
        raise InputError("the result is beyond the floating type; rescale the input")
    worst = max(known, key=lambda name: np.abs(np.log10(known[name])).max())
    least, most = known[worst]
    raise InputError(
        f"{worst} holds numbers of sizes {least:.3g} to {most:.3g}, with which the result is no "
        "number: the arithmetic leaves its floating type; numbers nearer to 1 are needed (divide "
        "by a common scale)"
    )


def _is_float(leaf: Any) -> bool:
    if isinstance(leaf, float | complex):
        return True
    return isinstance(leaf, np.ndarray | np.generic | jax.Array) and jnp.issubdtype(
        leaf.dtype, jnp.inexact
    )


def _span(value: Any) -> tuple[float, float] | None:
    """The least and the largest size of the numbers of an argument that are not 0."""
    try:
        leaves = [np.ravel(np.abs(np.asarray(x, np.complex128))) for x in jax.tree.leaves(value)]
    except (TypeError, ValueError):
        return None
    sizes = np.concatenate(leaves) if leaves else np.zeros(0)
    sizes = sizes[(sizes > 0) & np.isfinite(sizes)]
    return (float(sizes.min()), float(sizes.max())) if sizes.size else None
