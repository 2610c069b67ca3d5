"""How a layer of the engine becomes a triple of this interface."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from theorylab.errors import InputError
from theorylab.neural_tangents.kernel import Kernel
from theorylab.neural_tangents.requirements import Diagonal, requires
from theorylab.neural_tangents.states import through
from theorylab.neural_tangents.trees import typed
from theorylab.ntk import infinite
from theorylab.ntk.infinite.state import State

Shape = tuple[int, ...]


def to_engine(x: Any, batch_axis: int, channel_axis: int) -> Any:
    """The array with samples first and channels last."""
    return jnp.moveaxis(x, (batch_axis, channel_axis), (0, -1))


def from_engine(x: Any, batch_axis: int, channel_axis: int) -> Any:
    """The inverse of `to_engine`."""
    return jnp.moveaxis(x, (0, -1), (batch_axis, channel_axis))


def engine_shape(shape: Shape, batch_axis: int, channel_axis: int) -> Shape:
    """The shape with samples first and channels last; an unknown number of samples is 1."""
    batch, channel = batch_axis % len(shape), channel_axis % len(shape)
    rest = [s for a, s in enumerate(shape) if a not in (batch, channel)]
    return (max(shape[batch], 1), *rest, shape[channel])


def outer_shape(found: Shape, samples: int, batch_axis: int, channel_axis: int) -> Shape:
    """The inverse of `engine_shape`, with the number of samples that was given."""
    ends = {batch_axis % len(found): samples, channel_axis % len(found): found[-1]}
    rest = iter(found[1:-1])
    return tuple(ends[a] if a in ends else next(rest) for a in range(len(found)))


def kernel_of(
    layer: infinite.Layer | Callable[[State, Kernel], State],
    *,
    diagonal_spatial: Diagonal | None = None,
    changes: Callable[[Kernel], dict[str, Any]] | None = None,
    **needs: Any,
) -> Callable[..., Any]:
    """The `kernel_fn` that carries the engine's state through a layer."""
    if diagonal_spatial is not None:
        needs["diagonal_spatial"] = diagonal_spatial

    def kernel_fn(k: Kernel, **kwargs: Any) -> Kernel:
        def op(state: State) -> State:
            if isinstance(layer, infinite.Layer):
                return layer.propagate(state)
            return layer(state, k)

        return through(k, op, **(changes(k) if changes is not None else {}))

    return requires(**needs)(kernel_fn)


def keep_shape(rng: Any, input_shape: Any) -> tuple[Any, tuple[()]]:
    """The `init_fn` of a layer without parameters that keeps the shape of its input."""
    return input_shape, ()


def parameter_free(layer: infinite.Layer) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """(init_fn, apply_fn) of an elementwise layer."""

    def apply_fn(params: Any, inputs: Any, **kwargs: Any) -> Any:
        return layer.apply((), inputs)

    return keep_shape, apply_fn


def draw(key: Any, shape: Shape) -> Any:
    """Standard normal numbers."""
    return jax.random.normal(typed(key), shape)


def require_parameterization(parameterization: str) -> str:
    """ "ntk" or "standard"."""
    found = parameterization.lower()
    if found not in ("ntk", "standard"):
        raise InputError(f"parameterization = {parameterization!r}; 'ntk' or 'standard' is needed")
    return found
