"""What is of networks alone: batches of samples, one size for every layer.

The rest is `theorylab.checks`.
"""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Array

from theorylab import checks
from theorylab.errors import InputError


def numbers(name: str, x: Any, **shape: Any) -> Array:
    """The batch `x` as an array of finite real numbers.

    A batch of no samples passes: `predict` asks with one for the shape.
    """
    return jnp.asarray(x if 0 in getattr(x, "shape", ()) else checks.finite(name, x, **shape))


def float_input(x: ArrayLike, shape: Sequence[int | None], model: str) -> Array:
    """`x` as a floating-point array of the given shape; `None` is any size.

    Raises `InputError` for another shape, for NaN or for integers (raw uint8 pixels, most often).
    """
    x = numbers("x", x)
    if x.ndim != len(shape) or any(
        want not in (None, got) for got, want in zip(x.shape, shape, strict=True)
    ):
        need = "(" + ", ".join("any" if s is None else str(s) for s in shape) + ")"
        hint = (
            "; add the channel axis: x[..., None]"
            if x.ndim == len(shape) - 1 and shape[-1] == 1
            else ""
        )
        raise InputError(
            f"x: shape {x.shape} given, {model} needs {need}, a batch of samples{hint}"
        )
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise InputError(
            f"x: dtype {x.dtype} given, {model} needs floats; scale the pixels: "
            "x.astype('float32') / 255"
        )
    return x


def sizes(name: str, values: Any, *, least: int = 1) -> tuple[int, ...]:
    """A row of whole numbers of at least 1, `least` of them or more."""
    if (
        isinstance(values, str | dict)
        or not hasattr(values, "__len__")
        or getattr(values, "ndim", 1) != 1
    ):
        raise InputError(f"{name} = {checks.shown(values)}; a row of whole numbers is needed")
    if len(values) < least:
        raise InputError(
            f"{name} = {checks.shown(values)}; at least {least} whole numbers are needed"
        )
    return tuple(checks.count(name, value) for value in values)


def per_layer(name: str, value: int | Sequence[int], layers: int) -> tuple[int, ...]:
    """One value for each layer, from a single value or a sequence of the right length."""
    values = (
        sizes(name, value) if hasattr(value, "__len__") else (checks.count(name, value),) * layers
    )
    if len(values) != layers:
        raise InputError(
            f"{name}: {len(values)} values given for {layers} layers; give one value or {layers}"
        )
    return values


def streams(rngs: Any) -> nnx.Rngs:
    """The random-number streams of a module; refuses what is none."""
    return checks.instance("rngs", rngs, nnx.Rngs, "flax.nnx.Rngs(0)")
