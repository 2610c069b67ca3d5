"""The linearised network: its first-order Taylor expansion in the parameters.

Source: Lee et al. 2019, "Wide neural networks of any depth evolve as linear models under gradient
descent" (equation 3).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from theorylab import checks
from theorylab.errors import InputError
from theorylab.ntk.analysis import split
from theorylab.ntk.derivatives import pushforward
from theorylab.ntk.guard import inspect, require_arrays, require_finite, require_outputs
from theorylab.precision import is_traced

Model = Callable[..., Any]


def linearize(f: Model, params: Any) -> Model:
    """The first-order Taylor expansion of `f(params, *inputs)` around `params`.

    `linearize(f, p0)(p, x) = f(p0, x) + ∂f/∂p (p0, x) (p - p0)`. Use it to train or evaluate a
    network in the tangent regime; for squared loss and full-batch gradient flow, `gradient_flow`
    has the closed form. Each call costs one forward-mode pass; the Jacobian is never formed.

    Args:
        f: a function of a PyTree of parameters and any inputs; outputs may be any PyTree.
        params: the point of expansion; leaves that are no floating-point numbers (counters, keys)
            stay what they are here.

    Returns:
        A function of the same signature as `f`.

    Raises:
        InputError: `f` is no function, or `params` holds what is no array; on a call, parameters of
            another structure, a batch whose samples `f` couples (batch norm in training mode), or
            derivatives that are not finite.

    Source:
        Lee et al. 2019, equation 3.

    Examples:
        >>> import jax.numpy as jnp
        >>> f = lambda w, x: jnp.sin(w * x)
        >>> tangent = linearize(f, 0.0)
        >>> float(tangent(0.5, 2.0)), float(tangent(3.0, 2.0))
        (1.0, 6.0)
    """

    checks.function("f", f)
    require_arrays("params", params)
    structure: Any = jax.tree.structure(params)
    weights, fixed, join = split(jax.tree.map(jnp.asarray, params))
    looked_at: set[Any] = set()

    def linear(new_params: Any, *inputs: Any, **options: Any) -> Any:
        if jax.tree.structure(new_params) != structure:
            raise InputError(
                f"new_params has structure {jax.tree.structure(new_params)}; that of params, "
                f"{structure}, is needed"
            )
        model = lambda w: f(join(w, fixed), *inputs, **options)  # noqa: E731
        if not options and len(inputs) == 1:
            _refuse_coupling(f, params, inputs[0], looked_at)
        moved = split(jax.tree.map(jnp.asarray, new_params))[0]
        value, change = pushforward(model, weights)(jax.tree.map(jnp.subtract, moved, weights))
        changes = [c for c in jax.tree.leaves(change) if c.dtype != jax.dtypes.float0]
        require_finite("the linearised f", *changes)
        # whole numbers among the outputs do not change
        return jax.tree.map(
            lambda v, c: v if c.dtype == jax.dtypes.float0 else v + c, value, change
        )

    return linear


def _refuse_coupling(f: Model, params: Any, x: Any, looked_at: set[Any]) -> None:
    """Refuse a batch whose samples are coupled, where `f` answers sample by sample at all."""
    shapes = [jnp.shape(leaf) for leaf in jax.tree.leaves(x)]
    if not shapes or is_traced(params, x) or {len(shape) > 0 for shape in shapes} != {True}:
        return
    if shapes[0][0] < 2 or len({shape[0] for shape in shapes}) != 1 or str(shapes) in looked_at:
        return
    looked_at.add(str(shapes))
    try:
        require_outputs(f, params, x)
    except Exception:  # a loss, or what takes no single sample: expanded as it is
        return
    inspect(f, params, x)
