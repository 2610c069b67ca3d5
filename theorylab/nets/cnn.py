"""Small convolutional networks: a stack of convolutions, then a dense head."""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from theorylab import checks
from theorylab.errors import InputError
from theorylab.nets.inputs import float_input, per_layer, sizes, streams


class CNN(nnx.Module):
    """Convolutions, flatten or mean, dense layers.

    Input (n, height, width, channels), output (n, num_outputs). The defaults are the small network
    of the federated and of the projection-norm experiments: stride-2 3x3 convolutions of 8, 16, 32
    channels and a dense layer of 64 units; 38,785 parameters for (28, 28, 1) and one output.

    Args:
        input_shape: height, width, channels of one image.
        num_outputs: units of the last layer.
        channels: of every convolution.
        kernel_size: of every convolution; one number stands for all of them.
        strides: of every convolution; one number stands for all of them.
        padding: "SAME" (TensorFlow's rule), "VALID" or the number of zeros on every side.
        pool: 2x2 pooling with stride 2 after every activation, "max" or "avg"; None for none.
        head: "flatten" keeps the positions, "mean" averages over them.
        hidden: widths of the dense layers before the output.
        activation: after every layer but the last.
        bias: whether the layers have one.
        rngs: draws the weights.

    Raises:
        InputError: sizes below 1, lists of different lengths, or an image that the convolutions
            leave nothing of.
    """

    def __init__(  # noqa: PLR0913
        self,
        input_shape: tuple[int, int, int],
        num_outputs: int,
        *,
        channels: Sequence[int] = (8, 16, 32),
        kernel_size: int | Sequence[int] = 3,
        strides: int | Sequence[int] = 2,
        padding: Literal["SAME", "VALID"] | int = "SAME",
        pool: Literal["max", "avg"] | None = None,
        head: Literal["flatten", "mean"] = "flatten",
        hidden: Sequence[int] = (64,),
        activation: Callable[[Array], Array] = jax.nn.relu,
        bias: bool = True,
        rngs: nnx.Rngs,
    ) -> None:
        input_shape, channels = sizes("input_shape", input_shape), sizes("channels", channels)  # type: ignore[assignment]
        if len(input_shape) != 3:
            raise InputError(f"input_shape = {input_shape}; (height, width, channels) is needed")
        (
            checks.choice("pool", pool, ("max", "avg", None)),
            checks.choice("head", head, ("flatten", "mean")),
        )
        if isinstance(padding, str):
            checks.choice("padding", padding, ("SAME", "VALID"))
        else:
            padding = checks.count("padding", padding, 0)
        checks.function("activation", activation), checks.flag("bias", bias), streams(rngs)
        self.input_shape, self.head, self.activation = tuple(input_shape), head, activation
        self.pool = {"max": nnx.max_pool, "avg": nnx.avg_pool, None: None}[pool]
        he = nnx.initializers.he_normal()
        kernels = per_layer("kernel_size", kernel_size, len(channels))
        steps = per_layer("strides", strides, len(channels))
        ins = (input_shape[2], *channels[:-1])
        self.convs = nnx.List(
            [
                nnx.Conv(
                    i,
                    o,
                    (k, k),
                    strides=(s, s),
                    padding=padding,
                    use_bias=bias,
                    kernel_init=he,
                    rngs=rngs,
                )
                for i, o, k, s in zip(ins, channels, kernels, steps, strict=True)
            ]
        )
        # The size after the convolutions is asked of the convolutions themselves: no second copy of
        # the padding rules.
        _, h, w, c = nnx.eval_shape(lambda m: m.convolve(jnp.zeros((1, *input_shape))), self).shape
        if h * w == 0:
            raise InputError(
                f"input_shape: {self.input_shape} is too small: nothing is left after the "
                "convolutions"
            )
        widths = (
            h * w * c if head == "flatten" else c,
            *sizes("hidden", hidden, least=0),
            checks.count("num_outputs", num_outputs),
        )
        self.dense = nnx.List(
            [
                nnx.Linear(i, o, use_bias=bias, kernel_init=he, rngs=rngs)
                for i, o in itertools.pairwise(widths)
            ]
        )

    def convolve(self, x: ArrayLike) -> Float[Array, "n h2 w2 c2"]:
        """Output of the convolutions, before flattening."""
        x = float_input(x, (None, *self.input_shape), "CNN")
        for conv in self.convs:
            x = self.activation(conv(x))
            x = x if self.pool is None else self.pool(x, (2, 2), (2, 2))
        return x

    def features(self, x: ArrayLike) -> Float[Array, "n h"]:
        """Input of the last dense layer."""
        x = self.convolve(x)
        x = (
            x.reshape(x.shape[0], math.prod(x.shape[1:]))
            if self.head == "flatten"
            else x.mean((1, 2))
        )
        for layer in self.dense[:-1]:
            x = self.activation(layer(x))
        return x

    def __call__(self, x: ArrayLike) -> Float[Array, "n o"]:
        """Outputs (n, num_outputs) of a batch of images."""
        return self.dense[-1](self.features(x))
