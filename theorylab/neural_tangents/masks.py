"""Inputs of variable length: values that stand for padding, and the masks they leave.

`mask_constant=` marks them; a layer hands the mask on, and where it can fills in zeros.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from theorylab.neural_tangents.kernel import tree
from theorylab.neural_tangents.states import remasked
from theorylab.neural_tangents.trees import any_ranks, is_array
from theorylab.pytrees import register


@register()
@dataclass(frozen=True)
class MaskedArray:
    """Values, and where they are padding.

    Attributes:
        masked_value: an array, zero where it is masked.
        mask: True where it is; of a shape that broadcasts to the values; None for nowhere.

    Source:
        neural-tangents, `stax.MaskedArray`.
    """

    masked_value: Any
    mask: Any


def _is_leaf(x: Any) -> bool:
    return isinstance(x, MaskedArray) or is_array(x) or x is None


def zeroed(x: Any, mask: Any) -> Any:
    """The array with zeros where it is masked."""
    return x if mask is None else jnp.where(mask, jnp.zeros((), x.dtype), x)


def masked_array(x: Any, mask_constant: Any = None) -> MaskedArray:
    """An array with entries equal to `mask_constant` masked; a `MaskedArray` keeps its mask."""
    if isinstance(x, MaskedArray):
        value, mask = x.masked_value, x.mask
    else:
        value, mask = x, None
        if mask_constant is not None and x is not None:
            value = jnp.asarray(x)
            mask = jnp.where(jnp.isnan(mask_constant), jnp.isnan(value), value == mask_constant)
    return MaskedArray(zeroed(value, mask), mask)


def unmask_fn(fn: Callable[..., Any]) -> Callable[..., Any]:
    """The function with arrays in place of `MaskedArray`s among its outputs.

    Args:
        fn: a function that may return them, such as an `apply_fn` with `mask_constant=`.

    Returns:
        A function of the same arguments.

    Source:
        neural-tangents, `stax.unmask_fn`.
    """

    @any_ranks
    def plain(*args: Any, **kwargs: Any) -> Any:
        out = fn(*args, **kwargs)
        return jax.tree.map(
            lambda x: zeroed(x.masked_value, x.mask) if isinstance(x, MaskedArray) else x,
            out,
            is_leaf=_is_leaf,
        )

    return plain


def supports_masking(remask_kernel: bool) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator of a layer's function: the layer then takes `mask_constant` and hands masks on.

    The layer is (init_fn, apply_fn, kernel_fn) or has a fourth entry, `mask_fn(mask, input_shape)`,
    that says what the mask becomes; without it the mask stays. `apply_fn` gets `mask=`.

    Args:
        remask_kernel: whether to fill in zeros among the covariances after the layer.

    Returns:
        The decorator.

    Source:
        neural-tangents, `stax.supports_masking`.
    """

    def decorate(layer_fn: Callable[..., Any]) -> Callable[..., Any]:
        def made(*args: Any, **kwargs: Any) -> Any:
            return masking(*layer_fn(*args, **kwargs), remask_kernel=remask_kernel)

        made.__name__ = layer_fn.__name__
        made.__qualname__ = layer_fn.__qualname__
        made.__doc__ = layer_fn.__doc__
        made.__module__ = layer_fn.__module__
        made.__wrapped__ = layer_fn  # type: ignore[attr-defined]
        return made

    return decorate


def masking(
    init_fn: Callable[..., Any],
    apply_fn: Callable[..., Any],
    kernel_fn: Callable[..., Any],
    mask_fn: Callable[..., Any] | None = None,
    *,
    remask_kernel: bool,
) -> tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]:
    """The layer with masks handed on."""

    def moved(mask: Any, shape: Any) -> Any:
        if not jax.tree.leaves(mask):
            return None
        return mask if mask_fn is None else mask_fn(mask, shape)

    def apply_masked(params: Any, inputs: Any, *, mask_constant: Any = None, **kwargs: Any) -> Any:
        found = jax.tree.map(lambda x: masked_array(x, mask_constant), inputs, is_leaf=_is_leaf)
        is_masked = lambda x: isinstance(x, MaskedArray)  # noqa: E731
        value = jax.tree.map(lambda x: x.masked_value, found, is_leaf=is_masked)
        mask = jax.tree.map(lambda x: x.mask, found, is_leaf=is_masked)
        out = apply_fn(params, value, mask=mask, **kwargs)
        after = moved(mask, jax.tree.map(jnp.shape, value))
        return out if after is None else MaskedArray(out, after)

    def kernel_masked(k: Any, **kwargs: Any) -> Any:
        masks = [
            moved(tree(lambda k, m=m: getattr(k, m), k), tree(lambda k, s=s: getattr(k, s), k))
            for m, s in (("mask1", "shape1"), ("mask2", "shape2"))
        ]
        out = kernel_fn(k, **kwargs)
        return tree(lambda one: remasked(one, *masks, zero=remask_kernel), out)

    if hasattr(kernel_fn, "requirements"):
        kernel_masked.requirements = kernel_fn.requirements  # type: ignore[attr-defined]
    return init_fn, apply_masked, kernel_masked
