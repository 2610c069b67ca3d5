"""What this package accepts, on top of `theorylab.checks`.

Batches and parameters, labels with batch axes.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from theorylab.checks import function, labels, real, same_length, shown, signs, within
from theorylab.errors import InputError
from theorylab.nets.functional import predict
from theorylab.precision import is_traced


def arrays(name: str, tree: Any, *, axes: int = 0) -> Any:
    """Accept an array, or a tree of arrays, of finite numbers, with at least `axes` axes.

    A list of numbers is an array.
    """
    leaves = jax.tree.leaves(tree)
    if isinstance(tree, (list, tuple)) and not any(hasattr(leaf, "shape") for leaf in leaves):
        tree = real(name, tree)
        leaves = [tree]
    if not leaves:
        raise InputError(
            f"{name} = {tree!r} holds no array; an array, or a tree of arrays, is needed"
        )
    for leaf in leaves:
        values = real(name, leaf)
        if values.ndim < axes:
            raise InputError(f"{name} has shape {values.shape}; at least {axes} axes are needed")
        # a copy in float64, as `checks.finite` makes, would double the memory of a large set of
        # images
        if not is_traced(values) and not np.isfinite(np.asarray(values)).all():
            raise InputError(f"{name} holds NaN or infinite values; finite numbers are needed")
    return tree


def logits(
    f: Callable[..., Any],
    params: Any,
    x: Any,
    batch_size: int = 500,
    names: tuple[str, str] = ("params", "x"),
) -> Array:
    """Finite outputs (m, k) of a classifier, in batches; what it cannot take is refused."""
    function("f", f)
    params, x = arrays(names[0], params), arrays(names[1], x, axes=1)
    call = f"f({names[0]}, {names[1]})"
    try:
        outputs = predict(f, params, x, batch_size=batch_size)
    except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{call} fails: {' '.join(str(error).split())[:120]}") from error
    if getattr(outputs, "ndim", 0) < 2:
        raise InputError(
            f"{call} has shape {np.shape(outputs)}; a row of outputs for each sample is needed"
        )
    if not is_traced(outputs) and not np.isfinite(np.asarray(outputs)).all():
        raise InputError(f"{call} gives NaN or infinite outputs; finite ones are needed")
    return outputs


def stacked(name: str, sets: Any) -> Array:
    """Samples (S, m, ...) of sets that are given in one array or one by one."""
    if not hasattr(sets, "__iter__") or getattr(sets, "shape", (1,)) == ():
        raise InputError(f"{name} = {shown(sets)}; test sets of one size, (S, m, ...), are needed")
    each = [jnp.asarray(arrays(name, real(name, x), axes=1)) for x in sets]
    if len({x.shape for x in each}) != 1:
        raise InputError(
            f"{name} holds sets of shapes {[x.shape for x in each]}; one shape, (m, ...), is needed"
        )
    return jnp.stack(each)


def check_like(name: str, params: Any, theta_hat: Any) -> None:
    """Parameters of the same network as `theta_hat`."""
    given: Any = jax.tree.structure(arrays(name, params))
    wanted: Any = jax.tree.structure(arrays("theta_hat", theta_hat))
    if given != wanted:
        raise InputError(
            f"{name} is a tree {given}, theta_hat a tree {wanted}; parameters of one network are "
            "needed"
        )


def labelled_pair(name: str, data: Any) -> tuple[Any, Any]:
    """(samples, integer labels from 0 on) of one training set."""
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        raise InputError(f"{name} = {shown(data)}; a pair (samples, labels) is needed")
    x, y = arrays(f"{name}[0]", data[0], axes=1), labels(f"{name}[1]", data[1])
    same_length(**{f"{name}[0]": jax.tree.leaves(x)[0], f"{name}[1]": y})
    return x, y


def batched_signs(name: str, y: Any, shape: tuple[int, ...]) -> Any:
    """Labels -1 and +1 with any batch axes in front."""
    array = real(name, y, shape=shape)
    if not is_traced(array):
        signs(name, np.ravel(np.asarray(array)))
    return array


def sample_mask(name: str, mask: Any, shape: tuple[int, ...]) -> Any:
    """Which samples count: True or False (or 1 or 0) each, in every problem at least one."""
    array = within(name, mask, 0.0, 1.0, whole=True, shape=shape)
    if not is_traced(array) and not np.asarray(array, bool).any(-1).all():
        raise InputError(f"{name} leaves out every sample of a problem; at least one must count")
    return array
