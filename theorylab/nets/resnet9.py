"""ResNet-9: convolution, batch norm, CELU; the network of the corrective unlearning benchmark."""

import jax
from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from theorylab import checks
from theorylab.errors import InputError
from theorylab.nets.inputs import float_input, streams

_CELU = 0.075


class _Block(nnx.Module):
    """Convolution with bias, batch norm, CELU, and 2x2 max-pooling where `pool` says so."""

    def __init__(
        self,
        i: int,
        o: int,
        size: int = 3,
        stride: int = 1,
        padding: int = 1,
        *,
        pool: bool = False,
        rngs: nnx.Rngs,
    ) -> None:
        # uniform up to 1 / sqrt(fan_in): what PyTorch's layers draw
        init = nnx.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
        self.conv = nnx.Conv(
            i,
            o,
            (size, size),
            (stride, stride),
            padding=((padding, padding), (padding, padding)),
            kernel_init=init,
            rngs=rngs,
        )
        self.norm = nnx.BatchNorm(o, momentum=0.9, epsilon=1e-5, rngs=rngs)
        self.pool = pool

    def __call__(self, x: Array) -> Array:
        x = jax.nn.celu(self.norm(self.conv(x)), alpha=_CELU)
        return nnx.max_pool(x, (2, 2), (2, 2)) if self.pool else x


class _Residual(nnx.Module):
    def __init__(self, channels: int, rngs: nnx.Rngs) -> None:
        self.first = _Block(channels, channels, rngs=rngs)
        self.second = _Block(channels, channels, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        return x + self.second(self.first(x))


class ResNet9(nnx.Module):
    """ResNet-9 for small images.

    Input (n, height, width, in_channels), height and width of at least 11; output
    (n, num_outputs).

    Convolutions of width, 2 width (5x5, stride 2), a residual pair, 4 width with max-pooling, a
    residual pair, 2 width without padding; then the maximum over positions and a linear layer
    without bias. Attributes are in the order of the forward pass: `conv1`, `conv2`, `res1`,
    `conv3`, `res2`, `conv4`, `fc`. At width 64, `ResNet9(10)` has 2,276,224 parameters.

    Args:
        num_outputs: number of classes.
        in_channels: channels of the images.
        width: channels of the first convolution; 64 in the benchmark.
        rngs: draws the weights.

    Raises:
        InputError: counts below 1; images smaller than 11 x 11.

    Source: Goel et al. 2024 (arXiv 2402.14015), the network called `resnet9` in its code.
    """

    def __init__(
        self, num_outputs: int, *, in_channels: int = 3, width: int = 64, rngs: nnx.Rngs
    ) -> None:
        num_outputs = checks.count("num_outputs", num_outputs)
        in_channels, w = checks.count("in_channels", in_channels), checks.count("width", width)
        streams(rngs)
        self.in_channels = in_channels
        self.conv1 = _Block(in_channels, w, rngs=rngs)
        self.conv2 = _Block(w, 2 * w, 5, 2, 2, rngs=rngs)
        self.res1 = _Residual(2 * w, rngs)
        self.conv3 = _Block(2 * w, 4 * w, pool=True, rngs=rngs)
        self.res2 = _Residual(4 * w, rngs)
        self.conv4 = _Block(4 * w, 2 * w, padding=0, rngs=rngs)
        init = nnx.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
        self.fc = nnx.Linear(2 * w, num_outputs, use_bias=False, kernel_init=init, rngs=rngs)

    def features(self, x: ArrayLike) -> Float[Array, "n h"]:
        """Maximum over positions of the last convolution: the input of the linear head."""
        y = float_input(x, (None, None, None, self.in_channels), "ResNet9")
        if min(y.shape[1:3]) < 11:
            raise InputError(
                f"x: images of {y.shape[1]} x {y.shape[2]} given; ResNet9 needs at least 11 x 11, "
                f"as its last convolution has a window of 3 on a quarter of that"
            )
        for block in (self.conv1, self.conv2, self.res1, self.conv3, self.res2, self.conv4):
            y = block(y)
        return y.max((1, 2))

    def __call__(self, x: ArrayLike) -> Float[Array, "n o"]:
        """The logits of each image."""
        return self.fc(self.features(x))
