"""Checks that every model of this package makes on its input, so that a mistake is named before XLA sees it."""

from collections.abc import Sequence

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array

from theorylab.errors import InputError


def float_input(x: ArrayLike, shape: Sequence[int | None], model: str) -> Array:
    """`x` as a floating-point array of the given shape; `None` is any size.

    Raises `InputError` for another shape or for integers (raw uint8 pixels, most often).
    """
    x = jnp.asarray(x)
    if x.ndim != len(shape) or any(want not in (None, got) for got, want in zip(x.shape, shape, strict=True)):
        need = "(" + ", ".join("any" if s is None else str(s) for s in shape) + ")"
        hint = "; add the channel axis: x[..., None]" if x.ndim == len(shape) - 1 and shape[-1] == 1 else ""
        raise InputError(f"x: shape {x.shape} given, {model} needs {need}, a batch of samples{hint}")
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise InputError(f"x: dtype {x.dtype} given, {model} needs floats; scale the pixels: x.astype('float32') / 255")
    return x


def positive(name: str, *values: int) -> None:
    """Raise `InputError` unless every value is an integer of at least 1."""
    for value in values:
        if isinstance(value, bool) or int(value) != value or value < 1:
            raise InputError(f"{name}: {value!r} given, a whole number of at least 1 is needed")


def per_layer(name: str, value: int | Sequence[int], layers: int) -> tuple[int, ...]:
    """One value for each layer, from a single value or a sequence of the right length."""
    values = (value,) * layers if isinstance(value, int) else tuple(value)
    if len(values) != layers:
        raise InputError(f"{name}: {len(values)} values given for {layers} layers; give one value or {layers}")
    positive(name, *values)
    return values
