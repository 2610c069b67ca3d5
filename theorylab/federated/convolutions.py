"""Small convolutions as products of patches with the kernel: on CPU, XLA runs them at full speed inside compiled loops.

Its own convolutions' gradients run 3 to 30 times slower inside a loop than outside, so that each step would have to be
driven from the host: twice as slow for networks as small as `nets.CNN`. Large ones do not gain (a ResNet is a fifth
slower by patches), and keep their convolutions.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

_ENTRIES = 1 << 20  # patches of a batch above this many numbers (4 MiB, a core's cache) do not pay
_LAYOUT = ("NHWC", "HWIO", "NHWC")


def with_patch_products(model: nnx.Module) -> nnx.Module:
    """A copy of a module whose two-dimensional convolutions (`nnx.Conv`) are products of patches; same parameters."""
    copy = nnx.clone(model)
    for _, module in nnx.iter_modules(copy):
        if isinstance(module, nnx.Conv):
            module.conv_general_dilated = convolve
    return copy


def convolve(
    x: Float[Array, "n h w i"],
    kernel: Float[Array, "a b i o"],
    strides: Sequence[int],
    padding: Any,
    *,
    lhs_dilation: Any = None,
    rhs_dilation: Any = None,
    dimension_numbers: Any = None,
    feature_group_count: int = 1,
    **options: Any,
) -> Float[Array, "n h2 w2 o"]:
    """`jax.lax.conv_general_dilated`, which it calls for what it does not cover: groups, dilations, other layouts."""
    plain = set(lhs_dilation or (1,)) | set(rhs_dilation or (1,)) == {1} and feature_group_count == 1
    numbers = jax.lax.conv_dimension_numbers(x.shape, kernel.shape, dimension_numbers)
    plain = plain and x.ndim == 4 and numbers == jax.lax.conv_dimension_numbers(x.shape, kernel.shape, _LAYOUT)
    if plain:
        size = kernel.shape[:2]
        pads = jax.lax.padtype_to_pads(x.shape[1:3], size, strides, padding) if isinstance(padding, str) else padding
        padded = jnp.pad(x, ((0, 0), *[tuple(map(int, p)) for p in pads], (0, 0)))
        out = [(n - k) // s + 1 for n, k, s in zip(padded.shape[1:3], size, strides, strict=True)]
        plain = x.shape[0] * out[0] * out[1] * size[0] * size[1] * x.shape[3] <= _ENTRIES
    if not plain:
        return jax.lax.conv_general_dilated(
            x, kernel, strides, padding, lhs_dilation=lhs_dilation, rhs_dilation=rhs_dilation,
            dimension_numbers=dimension_numbers, feature_group_count=feature_group_count, **options,
        )  # fmt: skip
    (down, right), (h, w) = strides, out
    shifted = [
        padded[:, i : i + (h - 1) * down + 1 : down, j : j + (w - 1) * right + 1 : right]
        for i in range(size[0])
        for j in range(size[1])
    ]
    return jnp.dot(jnp.concatenate(shifted, -1), kernel.reshape(-1, kernel.shape[3]), **options)
