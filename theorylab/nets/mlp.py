"""Fully connected networks in the standard and in the NTK parametrisation.

The latter is that of Jacot, Gabriel & Hongler 2018, section 2.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Literal

import jax
from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from theorylab import checks
from theorylab.errors import InputError
from theorylab.nets.inputs import float_input, numbers, sizes, streams


class NTKLinear(nnx.Module):
    """The layer z = w_std / sqrt(fan_in) x W + b_std b, with W and b from N(0, 1) entrywise.

    The layer's tangent kernel tends to a deterministic limit as `in_features` grows, at a learning
    rate that does not depend on the width.

    Args:
        in_features: entries of the input.
        out_features: entries of the output.
        w_std: standard deviation of the weights, before the division by sqrt(fan_in).
        b_std: standard deviation of the biases; 0 leaves them out.
        rngs: draws W and b.

    Raises:
        InputError: counts below 1, or a negative standard deviation.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        w_std: float = 1.0,
        b_std: float = 1.0,
        rngs: nnx.Rngs,
    ) -> None:
        in_features, out_features = (
            checks.count("in_features", in_features),
            checks.count("out_features", out_features),
        )
        checks.number("w_std", w_std, 0), checks.number("b_std", b_std, 0), streams(rngs)
        self.in_features = in_features
        self.scale, self.b_std = w_std / in_features**0.5, b_std
        self.kernel = nnx.Param(jax.random.normal(rngs.params(), (in_features, out_features)))
        self.bias = nnx.Param(jax.random.normal(rngs.params(), (out_features,))) if b_std else None

    def __call__(self, x: Float[Array, "n i"]) -> Float[Array, "n o"]:
        """The affine map of a batch."""
        x = numbers("x", x)
        if x.shape[-1:] != (self.in_features,):
            raise InputError(f"x: shape {x.shape} given, (n, {self.in_features}) is needed")
        z = self.scale * (x @ self.kernel[...])
        return z if self.bias is None else z + self.b_std * self.bias[...]


class MLP(nnx.Module):
    """Fully connected network.

    Input (n, d) or (n, ...) with d entries per sample, output (n, widths[-1]).

    Args:
        widths: units of every layer, input and output included: `(784, 256, 10)` has one hidden
            layer.
        activation: between the layers, not after the last.
        bias: whether the layers have one.
        parametrization: "standard" (He-normal weights, zero biases) or "ntk" (`NTKLinear` in every
            layer, the last included; w_std = sqrt(2) keeps the variance of a ReLU network).
        w_std: standard deviation of the weights; for "ntk" only.
        b_std: standard deviation of the biases; for "ntk" only.
        dropout: rate after every hidden activation; off in eval mode.
        rngs: draws the weights.

    Raises:
        InputError: fewer than two widths, sizes below 1, or options out of range.

    Examples:
        >>> import numpy as np
        >>> from flax import nnx
        >>> model = MLP([5, 16, 3], parametrization="ntk", w_std=2**0.5, rngs=nnx.Rngs(0))
        >>> x = np.ones((2, 5), np.float32)
        >>> model(x).shape, model.features(x).shape
        ((2, 3), (2, 16))
    """

    def __init__(
        self,
        widths: Sequence[int],
        *,
        activation: Callable[[Array], Array] = jax.nn.relu,
        bias: bool = True,
        parametrization: Literal["standard", "ntk"] = "standard",
        w_std: float = 1.0,
        b_std: float = 1.0,
        dropout: float = 0.0,
        rngs: nnx.Rngs,
    ) -> None:
        widths = sizes("widths", widths, least=2)  # input and output, as in (784, 256, 10)
        checks.function("activation", activation), checks.flag("bias", bias), streams(rngs)
        checks.choice("parametrization", parametrization, ("standard", "ntk"))
        (
            checks.number("w_std", w_std, 0),
            checks.number("b_std", b_std, 0),
            checks.number("dropout", dropout, 0, 1),
        )
        self.in_features, self.activation = widths[0], activation

        def layer(i: int, o: int) -> nnx.Module:
            if parametrization == "ntk":
                return NTKLinear(i, o, w_std=w_std, b_std=b_std if bias else 0.0, rngs=rngs)
            return nnx.Linear(
                i, o, use_bias=bias, kernel_init=nnx.initializers.he_normal(), rngs=rngs
            )

        self.layers = nnx.List([layer(i, o) for i, o in itertools.pairwise(widths)])
        self.dropout = nnx.Dropout(dropout, rngs=rngs) if dropout else None

    def features(self, x: ArrayLike) -> Float[Array, "n h"]:
        """Input of the last layer: the activations of the last hidden layer."""
        x = numbers("x", x)
        x = x.reshape(x.shape[0], math.prod(x.shape[1:])) if x.ndim > 2 else x
        x = float_input(x, (None, self.in_features), f"MLP of input width {self.in_features}")
        for layer in self.layers[:-1]:
            x = self.activation(layer(x))
            x = x if self.dropout is None else self.dropout(x)
        return x

    def __call__(self, x: ArrayLike) -> Float[Array, "n o"]:
        """Outputs (n, widths[-1]) of a batch."""
        return self.layers[-1](self.features(x))
