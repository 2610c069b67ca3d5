"""Residual networks for small images, with batch, group or no normalisation.

They are those of He, Zhang, Ren & Sun 2016.
"""

import math
from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from theorylab import checks
from theorylab.errors import InputError
from theorylab.nets.inputs import float_input, streams

Norm = Literal["batch", "group"] | None


def _norm(kind: Norm, channels: int, rngs: nnx.Rngs) -> nnx.Module | None:
    if kind == "batch":
        return nnx.BatchNorm(channels, momentum=0.9, epsilon=1e-5, rngs=rngs)
    if kind == "group":  # 8 groups, or the largest divisor of the channels below it
        return nnx.GroupNorm(channels, num_groups=math.gcd(channels, 8), epsilon=1e-5, rngs=rngs)
    return None


class _ConvNorm(nnx.Module):
    """Convolution without bias, then the norm; without a norm the convolution has a bias."""

    def __init__(self, i: int, o: int, size: int, stride: int, norm: Norm, rngs: nnx.Rngs) -> None:
        # symmetric, as in the original code; TensorFlow's SAME differs for stride 2
        pad = size // 2
        init = nnx.initializers.variance_scaling(2.0, "fan_out", "normal")
        shape, steps = (size, size), (stride, stride)
        self.conv = nnx.Conv(
            i, o, shape, steps, padding=pad, use_bias=norm is None, kernel_init=init, rngs=rngs
        )
        self.norm = _norm(norm, o, rngs)

    def __call__(self, x: Array) -> Array:
        x = self.conv(x)
        return x if self.norm is None else self.norm(x)


class _Block(nnx.Module):
    def __init__(
        self,
        i: int,
        o: int,
        stride: int,
        norm: Norm,
        shortcut: str,
        branch_scale: float,
        rngs: nnx.Rngs,
    ) -> None:
        self.first, self.second = (
            _ConvNorm(i, o, 3, stride, norm, rngs),
            _ConvNorm(o, o, 3, 1, norm, rngs),
        )
        same = stride == 1 and i == o
        self.project = None if same or shortcut == "pad" else _ConvNorm(i, o, 1, stride, norm, rngs)
        self.stride, self.extra, self.branch_scale = stride, o - i, branch_scale

    def __call__(self, x: Array) -> Array:
        y = self.second(jax.nn.relu(self.first(x))) * self.branch_scale
        if self.project is not None:
            return jax.nn.relu(self.project(x) + y)
        # option A of He et al.: take every other pixel, new channels are zero, half of them on each
        # side
        x = x[:, :: self.stride, :: self.stride]
        below = self.extra // 2
        return jax.nn.relu(jnp.pad(x, ((0, 0), (0, 0), (0, 0), (below, self.extra - below))) + y)


class ResNet(nnx.Module):
    """Residual network of basic blocks.

    Input (n, height, width, in_channels), any size; output (n, num_outputs). Depths 8, 14, 20, 26,
    32, 44, 56 (6k + 2) are the CIFAR family: three stages of width, 2 width, 4 width channels
    (width 16), shortcuts without parameters; `ResNet(14, 10)` has 172,506 parameters. Depths 18 and
    34 are the ImageNet family: four stages from `width` (64) up, 1x1 convolutions in the shortcuts;
    `ResNet(18, 10)` has 11,173,962 parameters with the 3x3 stem and `ResNet(18, 1,
    stem="imagenet")` 11,177,025.

    Args:
        depth: 6k + 2 for the CIFAR family, 18 or 34 for the ImageNet family.
        num_outputs: units of the head.
        in_channels: of the images.
        norm: "batch" (running statistics in eval mode), "group" (up to 8 groups; no state) or None
            (convolutions with bias, residual branches scaled by 1 / sqrt(number of blocks) so that
            the variance stays bounded in depth).
        width: channels of the first stage; None for the family's own.
        stem: "cifar" (3x3, stride 1) or "imagenet" (7x7, stride 2, then 3x3 max-pooling, stride 2).
        rngs: draws the weights.

    Raises:
        InputError: a depth of neither family, counts below 1, or unknown options.
    """

    def __init__(
        self,
        depth: int,
        num_outputs: int,
        *,
        in_channels: int = 3,
        norm: Norm = "batch",
        width: int | None = None,
        stem: Literal["cifar", "imagenet"] = "cifar",
        rngs: nnx.Rngs,
    ) -> None:
        checks.count("depth", depth)
        if depth not in (18, 34) and (depth < 8 or depth % 6 != 2):
            raise InputError(
                f"depth: {depth} given; 18, 34 or 6k + 2 (8, 14, 20, 26, 32, 44, 56) is needed"
            )
        (
            checks.choice("norm", norm, ("batch", "group", None)),
            checks.choice("stem", stem, ("cifar", "imagenet")),
        )
        streams(rngs)
        wide = depth in (18, 34)
        width = (64 if wide else 16) if width is None else width
        num_outputs, in_channels = (
            checks.count("num_outputs", num_outputs),
            checks.count("in_channels", in_channels),
        )
        width = checks.count("width", width)
        repeats = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}.get(depth, ((depth - 2) // 6,) * 3)
        shortcut, scale = "project" if wide else "pad", 1.0 if norm else sum(repeats) ** -0.5
        self.in_channels, self.pool = in_channels, stem == "imagenet"
        self.stem = _ConvNorm(in_channels, width, *((7, 2) if self.pool else (3, 1)), norm, rngs)
        blocks, i = [], width
        for stage, count in enumerate(repeats):
            for block in range(count):
                stride, o = 2 if stage and not block else 1, width * 2**stage
                blocks.append(_Block(i, o, stride, norm, shortcut, scale, rngs))
                i = o
        self.blocks = nnx.List(blocks)
        self.head = nnx.Linear(i, num_outputs, rngs=rngs)

    def features(self, x: ArrayLike) -> Float[Array, "n h"]:
        """Mean over positions of the last stage: the input of the linear head."""
        y = jax.nn.relu(self.stem(float_input(x, (None, None, None, self.in_channels), "ResNet")))
        if self.pool:
            y = nnx.max_pool(y, (3, 3), (2, 2), ((1, 1), (1, 1)))
        for block in self.blocks:
            y = block(y)
        return y.mean((1, 2))

    def __call__(self, x: ArrayLike) -> Float[Array, "n o"]:
        """Outputs (n, num_outputs) of a batch of images."""
        return self.head(self.features(x))
