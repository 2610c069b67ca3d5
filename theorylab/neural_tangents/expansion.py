"""`linearize` and `taylor_expand`."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from theorylab import ntk
from theorylab.errors import InputError
from theorylab.neural_tangents.trees import any_ranks


def linearize(f: Callable[..., Any], params: Any) -> Callable[..., Any]:
    """The first-order Taylor expansion of `f(params, *args, **kwargs)`; see `ntk.linearize`.

    Args:
        f: a function of parameters and anything else.
        params: the point of expansion.

    Returns:
        A function of the same arguments.

    Source:
        neural-tangents, `linearize`.
    """
    return any_ranks(ntk.linearize(f, params))


def taylor_expand(f: Callable[..., Any], params: Any, degree: int) -> Callable[..., Any]:
    """The Taylor expansion of `f(params, *args, **kwargs)` up to a degree.

    Args:
        f: a function of parameters and anything else.
        params: the point of expansion.
        degree: at least 0.

    Returns:
        A function of the same arguments.

    Raises:
        InputError: a degree below 0.

    Source:
        neural-tangents, `taylor_expand`.
    """
    if degree < 0:
        raise InputError(f"degree = {degree}; a whole number of at least 0 is needed")

    def expanded(new: Any, *args: Any, **kwargs: Any) -> Any:
        step = jax.tree.map(jnp.subtract, new, params)

        def derivative(g: Callable[[Any], Any]) -> Callable[[Any], Any]:
            return lambda p: jax.jvp(g, (p,), (step,))[1]

        term: Callable[[Any], Any] = lambda p: f(p, *args, **kwargs)  # noqa: E731
        total, factor = term(params), 1.0
        for order in range(1, degree + 1):
            term, factor = derivative(term), factor * order
            total = jax.tree.map(lambda t, d, f=factor: t + d / f, total, term(params))
        return total

    return any_ranks(expanded)
