"""From a Flax NNX module to pure functions.

What every method of theorylab takes is `f(params, x)`.
"""

from collections.abc import Callable
from typing import Any

import jax
from flax import nnx
from jaxtyping import Array, PyTree

from theorylab import checks
from theorylab.errors import InputError
from theorylab.nets.training_inputs import explained, leading_axis

Params = PyTree[Array]
State = PyTree[Array]
Apply = Callable[..., tuple[Any, State]]


def functional(model: nnx.Module, *, method: str = "__call__") -> tuple[Callable[..., Any], Params]:
    """Split a module into `(f, params)`, with `f(params, x)` pure and in eval mode.

    Use it before every method of theorylab; for training in your own loop, with batch norm or
    dropout, use `functional_train`. Eval mode: batch norm uses its running statistics, dropout is
    off. The module itself is not changed.

    Args:
        model: any NNX module with a batch as its first input.
        method: what `f` calls: "features" gives the input of the last layer of theorylab's own
            models.

    Returns:
        `(f, params)`. `params` is a nested dict of the arrays of the `nnx.Param` variables alone
        (shared ones once), so `jax.flatten_util.ravel_pytree`, `jax.grad`, `jax.vmap` and optax
        work on it; statistics, fixed positions and random-number streams stay inside `f`. Keyword
        arguments of `f` go to the module.

    Raises:
        InputError: what is no NNX module, or a method that it does not have.

    Examples:
        >>> import numpy as np
        >>> from flax import nnx
        >>> from theorylab.nets import MLP
        >>> f, params = functional(MLP([5, 16, 3], rngs=nnx.Rngs(0)))
        >>> f(params, np.ones((2, 5), np.float32)).shape
        (2, 3)
        >>> count_parameters(params)
        147
    """
    apply, params, state = split(model, train=False, method=method)

    def f(params: Params, x: Any, **options: Any) -> Any:
        return apply(params, state, x, **options)[0]

    return f, params


def functional_train(model: nnx.Module) -> tuple[Apply, Params, State]:
    """Split a module into `(apply, params, state)` in train mode.

    `apply(params, state, x) -> (output, new state)`. `fit` does this for you. Batch norm normalises
    by the batch and dropout draws from its stream; both are advanced in the new state.

    Args:
        model: any NNX module with a batch as its first input.

    Returns:
        `(apply, params, state)`, where `state` holds all that is not a parameter: running
        statistics of batch norm, keys and counters of dropout.

    Raises:
        InputError: what is no NNX module.
    """
    return split(model, train=True)


def bind(model: nnx.Module, params: Params, state: State) -> nnx.Module:
    """A copy of `model` in eval mode that holds `params` and `state`.

    They are laid out as `functional_train` gives them.
    """
    bound = nnx.merge(nnx.split(model)[0], params, state)
    bound.eval()
    return bound


def split(
    model: nnx.Module, *, train: bool, method: str = "__call__"
) -> tuple[Apply, Params, State]:
    """`(apply, params, state)` of `functional_train`, in train or in eval mode."""
    checks.instance("model", model, nnx.Module, "a Flax NNX module")
    if not isinstance(method, str) or not callable(getattr(model, method, None)):
        raise InputError(
            f"method = {checks.shown(method)}; the name of a method of {type(model).__name__} is "
            "needed"
        )
    copy = nnx.clone(model)
    if train:
        copy.train()
    else:
        copy.eval()
    graph, params, state = nnx.split(copy, nnx.Param, ...)  # type: ignore[misc]
    # what `sow` leaves behind would make the new state differ from the old in structure
    kept = nnx.All(nnx.Not(nnx.Param), nnx.Not(nnx.Intermediate))

    def apply(params: Params, state: State, x: Any, **options: Any) -> tuple[Any, State]:
        module = nnx.merge(graph, params, state)
        output = getattr(module, method)(x, **options)
        return output, nnx.to_pure_dict(nnx.state(module, kept))

    return apply, nnx.to_pure_dict(params), nnx.to_pure_dict(state)


def count_parameters(params_or_model: Params | nnx.Module) -> int:
    """Number of trainable entries of a module, or of its parameters.

    Args:
        params_or_model: an NNX module, or a PyTree of arrays.

    Returns:
        A whole number.

    Raises:
        InputError: leaves that are no arrays.
    """
    if isinstance(params_or_model, nnx.Module):
        params_or_model = nnx.state(params_or_model, nnx.Param)
    return sum(
        checks.real("params_or_model", leaf).size for leaf in jax.tree.leaves(params_or_model)
    )


def predict(
    f: Callable[[Params, Any], Any], params: Params, x: Any, *, batch_size: int = 500
) -> Array:
    """Outputs `f(params, x)` for many samples, in batches that bound the memory.

    The function is compiled; the last batch may be shorter.

    Args:
        f: a pure function, such as `functional` gives.
        params: its parameters.
        x: samples, leading axis n.
        batch_size: samples at a time.

    Returns:
        What `f` returns for all samples, leading axis n.

    Raises:
        InputError: inputs that `f` does not take, or a batch size below 1.
    """
    x, n = leading_axis("x", x)
    batch_size = checks.count("batch_size", batch_size)
    compiled = jax.jit(checks.function("f", f))
    # an empty x still goes through f once, which gives its shape
    starts = range(0, max(n, 1), batch_size)
    with explained("params, x", x):
        parts = [
            compiled(params, jax.tree.map(lambda a, i=i: a[i : i + batch_size], x)) for i in starts
        ]
    return jax.tree.map(lambda *leaves: jax.numpy.concatenate(leaves), *parts)
