"""What private descents are given, looked at before anything private is computed.

Labels, shapes and kinds of numbers that do not fit are refused: that they do not is no secret. What
a single record holds is not looked at.
Source: our own checks.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from theorylab import checks
from theorylab.errors import InputError


def fitting(rule: Any, params: Any, x: Any, y: Any) -> tuple[Any, Any, Any]:
    """Parameters and records as arrays, refused where the gradient cannot be taken of them.

    Args:
        rule: an object of the form of `gradients.Gradient`.
        params: a tree of floats.
        x: (n, ...) inputs.
        y: (n, ...) targets.

    Returns:
        The three; half-precision floats are float32, since norms that are rounded to three digits
        could not be clipped.

    Raises:
        InputError: no floats, no records, targets that the gradient does not know, or shapes that
            do not fit.
    """
    start = jax.tree.map(partial(_wide, "params"), params)
    if not all(jnp.issubdtype(a.dtype, jnp.floating) for a in jax.tree.leaves(start)):
        raise InputError("params holds whole numbers; a tree of floats is needed")
    inputs, targets = _wide("x", x), _wide("y", y)
    checks.same_length(x=inputs, y=targets)
    two = [jax.ShapeDtypeStruct((2, *a.shape[1:]), a.dtype) for a in (inputs, targets)]

    def total(params: Any, x: Any, y: Any) -> Any:
        context = rule.prepare(params, rule.begin(params))
        return rule.sums(params, context, x, y, jnp.ones(2), 1.0)

    try:
        jax.eval_shape(total, start, *two)
    except (TypeError, ValueError, IndexError, KeyError, AttributeError) as error:
        shapes = jax.tree.map(lambda a: a.shape, start)
        raise InputError(
            f"x has shape {inputs.shape} and y {targets.shape}, which do not fit params of shapes "
            f"{checks.shown(shapes)} ({' '.join(str(error).split())[:120]})"
        ) from error
    head = getattr(rule, "inner", rule)
    if hasattr(head, "known_targets"):
        head.known_targets(start, targets)
    return start, inputs, targets


def mask(moving: Any, params: Any) -> Any:
    """Which parameters move, as arrays.

    Args:
        moving: a tree like `params`, of leaves that broadcast to its own.
        params: a tree of arrays.

    Returns:
        The tree of arrays.

    Raises:
        InputError: another tree, or leaves of other shapes.
    """
    shapes = [jax.tree.map(np.shape, tree) for tree in (moving, params)]
    try:
        masks = jax.tree.map(jnp.asarray, moving)
        fits: Any = jax.tree.map(
            lambda m, p: np.broadcast_shapes(m.shape, p.shape) == p.shape, masks, params
        )
    except (TypeError, ValueError):
        fits = False
    if not all(jax.tree.leaves(fits)):
        raise InputError(
            f"moving has shapes {checks.shown(shapes[0])} and params {checks.shown(shapes[1])}; a "
            "tree like params, of leaves that broadcast to its own, is needed"
        )
    return masks


def presence(weights: Any, n: int) -> Any:
    """Which records are there.

    Args:
        weights: (n,) 0 or 1.
        n: number of records.

    Returns:
        (n,) in float32.

    Raises:
        InputError: other numbers, or another number of them.
    """
    array = np.asarray(checks.real("weights", weights, shape=(n,)), np.float32)
    if not np.isin(array, (0.0, 1.0)).all():
        raise InputError("weights holds other numbers than 0 and 1; 0 (absent) or 1 are needed")
    return array


def _wide(name: str, value: Any) -> Any:
    array = jnp.asarray(checks.real(name, value))
    narrow = jnp.issubdtype(array.dtype, jnp.floating) and array.dtype.itemsize < 4
    return array.astype(jnp.float32) if narrow else array
