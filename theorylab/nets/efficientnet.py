"""EfficientNet-Lite0, fresh or trained on ImageNet (Tan & Le 2019).

Lite means no squeeze-excitation, and ReLU6.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from theorylab import checks
from theorylab.errors import InputError
from theorylab.nets.depthwise import DepthwiseConv, Lowering
from theorylab.nets.inputs import float_input, numbers, streams

# (repeats, kernel, stride of the first block, expansion, channels in, channels out)
STAGES = (
    (1, 3, 1, 1, 32, 16),
    (2, 3, 2, 6, 16, 24),
    (2, 5, 2, 6, 24, 40),
    (3, 3, 2, 6, 40, 80),
    (3, 5, 1, 6, 80, 112),
    (4, 5, 2, 6, 112, 192),
    (1, 3, 1, 6, 192, 320),
)
FEATURES = 1280


def _batch_norm(channels: int, rngs: nnx.Rngs) -> nnx.BatchNorm:
    return nnx.BatchNorm(channels, momentum=0.99, epsilon=1e-3, rngs=rngs)


def _pointwise(i: int, o: int, rngs: nnx.Rngs) -> nnx.Linear:
    """The 1x1 convolution, a matrix product over channels.

    It stays one under per-sample gradients.
    """
    return nnx.Linear(i, o, use_bias=False, kernel_init=nnx.initializers.he_normal(), rngs=rngs)


def _head(num_outputs: int, rngs: nnx.Rngs) -> nnx.Linear:
    num_outputs = checks.count("num_outputs", num_outputs)

    def uniform(key: Array, shape: Any, dtype: Any, *_: Any, **__: Any) -> Array:
        return jax.random.uniform(key, shape, dtype, -(FEATURES**-0.5), FEATURES**-0.5)

    return nnx.Linear(FEATURES, num_outputs, kernel_init=uniform, bias_init=uniform, rngs=rngs)


class _Block(nnx.Module):
    """Expand, filter each channel, project; the names of the parts follow the published weights."""

    def __init__(
        self,
        i: int,
        o: int,
        kernel: int,
        stride: int,
        expansion: int,
        lowering: Lowering,
        rngs: nnx.Rngs,
    ):
        wide = i * expansion
        self.expand_conv = _pointwise(i, wide, rngs) if expansion > 1 else None
        self.bn0 = _batch_norm(wide, rngs) if expansion > 1 else None
        self.depthwise_conv = DepthwiseConv(wide, kernel, stride, lowering=lowering, rngs=rngs)
        self.bn1 = _batch_norm(wide, rngs)
        self.project_conv, self.bn2 = _pointwise(wide, o, rngs), _batch_norm(o, rngs)
        self.skip = stride == 1 and i == o

    def __call__(self, x: Array) -> Array:
        y = x
        if self.expand_conv is not None and self.bn0 is not None:
            y = jax.nn.relu6(self.bn0(self.expand_conv(y)))
        y = jax.nn.relu6(self.bn1(self.depthwise_conv(y)))
        y = self.bn2(self.project_conv(y))
        return x + y if self.skip else y


class EfficientNetLite0(nnx.Module):
    """EfficientNet-Lite0: 4,652,008 parameters with 1,000 outputs, 3,372,289 with one.

    Input (n, height, width, 3), pixels as `efficientnet_inputs` gives them; output (n,
    num_outputs). Fresh convolutions are He-normal (fan-in), batch-norm statistics 0 and 1, and the
    head is uniform in +-1/sqrt(1280), weights and bias, PyTorch's law for a new linear layer. For
    the ImageNet weights use `load_efficientnet_lite0`.

    Args:
        num_outputs: units of the head; None leaves the head out, and the output is the (n, 1280)
            mean-pooled features.
        lowering: of the depthwise convolutions, as for `depthwise_conv`.
        rngs: draws the weights.

    Raises:
        InputError: a count below 1, or an unknown lowering.
    """

    def __init__(
        self, num_outputs: int | None = 1000, *, lowering: Lowering = "auto", rngs: nnx.Rngs
    ) -> None:
        streams(rngs), checks.choice("lowering", lowering, ("auto", "shifted", "grouped"))
        if num_outputs is not None:
            checks.count("num_outputs", num_outputs)
        he = nnx.initializers.he_normal()
        self.conv_stem = nnx.Conv(
            3, 32, (3, 3), 2, padding="SAME", use_bias=False, kernel_init=he, rngs=rngs
        )
        self.bn0 = _batch_norm(32, rngs)
        self.blocks = nnx.List(
            [
                _Block(
                    o if repeat else i,
                    o,
                    kernel,
                    1 if repeat else stride,
                    expansion,
                    lowering,
                    rngs,
                )
                for repeats, kernel, stride, expansion, i, o in STAGES
                for repeat in range(repeats)
            ]
        )
        self.conv_head, self.bn1 = (
            _pointwise(STAGES[-1][-1], FEATURES, rngs),
            _batch_norm(FEATURES, rngs),
        )
        self.fc = None if num_outputs is None else _head(num_outputs, rngs)

    def stem(self, x: ArrayLike) -> Float[Array, "n h w 32"]:
        """Output of the first convolution, before its batch norm."""
        return self.conv_stem(float_input(x, (None, None, None, 3), "EfficientNetLite0"))

    def features(self, x: ArrayLike) -> Float[Array, "n 1280"]:
        """Mean over positions of the last convolution: the input of the linear head."""
        y = jax.nn.relu6(self.bn0(self.stem(x)))
        for block in self.blocks:
            y = block(y)
        return jax.nn.relu6(self.bn1(self.conv_head(y))).mean((1, 2))

    def __call__(self, x: ArrayLike) -> Float[Array, "n o"]:
        """Outputs (n, num_outputs) of a batch of images, or their features without a head."""
        y = self.features(x)
        return y if self.fc is None else self.fc(y)


def efficientnet_inputs(images: ArrayLike, *, size: int | None = None) -> Float[Array, "n s s 3"]:
    """Images as the network was trained on them: (pixel - 127) / 128.

    Args:
        images: (n, h, w, 3) or (n, h, w) grey, pixels from 0 to 255.
        size: enlarges or shrinks to (size, size), bicubic; None leaves the images as they are.

    Returns:
        (n, h, w, 3), or (n, size, size, 3).

    Raises:
        InputError: images of another shape, or some that are not finite.
    """
    x = numbers("images", images)
    if x.ndim == 3:
        x = jnp.repeat(x[..., None], 3, axis=-1)
    if x.ndim != 4 or x.shape[-1] != 3:
        raise InputError(
            f"images: shape {x.shape} given, (n, height, width, 3) or grey (n, height, width) is "
            "needed"
        )
    x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    if size is not None:
        size = checks.count("size", size)
        x = jnp.clip(jax.image.resize(x, (x.shape[0], size, size, 3), "cubic"), 0, 255)
    return (x - 127.0) / 128.0


def load_efficientnet_lite0(
    *,
    pretrained: bool | Mapping[str, np.ndarray] = True,
    num_outputs: int | None = 1,
    lowering: Lowering = "auto",
    rngs: nnx.Rngs,
) -> EfficientNetLite0:
    """EfficientNet-Lite0 with ImageNet weights or a fresh initialisation, in eval mode.

    Args:
        pretrained: True reads `theorylab.data.pretrained("efficientnet_lite0")` (Apache-2.0; see
            there how to fetch it); a mapping from the published tensor names to arrays is taken as
            it is; False initialises afresh: same architecture, running means 0 and variances 1.
        num_outputs: 1000 keeps the ImageNet classifier of pretrained weights, any other number is a
            fresh head (one output is what the official code of "More Than a Toy" uses for tangent
            kernels), None gives the features.
        lowering: of the depthwise convolutions, as for `depthwise_conv`.
        rngs: draws what is fresh.

    Returns:
        An `EfficientNetLite0`.

    Raises:
        DataError: the weights are not in the cache.
        InputError: a tensor is missing or has another shape.
    """
    if not isinstance(pretrained, bool):
        checks.instance(
            "pretrained",
            pretrained,
            Mapping,
            "True, False or a mapping from tensor names to arrays",
        )
    model = EfficientNetLite0(num_outputs, lowering=lowering, rngs=rngs)
    if pretrained is not False:
        if pretrained is True:
            from theorylab.data import pretrained as load_weights

            pretrained = load_weights("efficientnet_lite0")
        _fill(model, pretrained, head=num_outputs == 1000)
    model.eval()
    return model


def _fill(model: EfficientNetLite0, weights: Mapping[str, np.ndarray], *, head: bool) -> None:  # noqa: C901
    """Copy the published tensors (PyTorch names, OIHW kernels) into `model`."""

    def tensor(name: str) -> np.ndarray:
        if name not in weights:
            raise InputError(
                f"pretrained: tensor {name!r} is missing; a state dict of EfficientNet-Lite0 is "
                "needed"
            )
        return np.asarray(checks.finite(f"pretrained: tensor {name!r}", weights[name]))

    def put(variable: Any, name: str, value: np.ndarray) -> None:
        if variable.shape != value.shape:
            raise InputError(
                f"pretrained: tensor {name!r} has shape {value.shape} (HWIO), {variable.shape} is "
                "needed"
            )
        variable[...] = jnp.asarray(value, variable.dtype)

    def conv(variable: nnx.Variable, name: str) -> None:  # OIHW -> HWIO
        checks.real(f"pretrained: tensor {name!r} (OIHW)", value := tensor(name), ndim=4)
        put(variable, name, value.transpose(2, 3, 1, 0))

    def pointwise(layer: nnx.Linear, name: str) -> None:  # (o, i, 1, 1) -> (i, o)
        checks.real(f"pretrained: tensor {name!r} (OIHW)", value := tensor(name), ndim=4)
        put(layer.kernel, name, value[:, :, 0, 0].T)

    def batch_norm(layer: Any, name: str) -> None:
        parts = {
            "weight": layer.scale,
            "bias": layer.bias,
            "running_mean": layer.mean,
            "running_var": layer.var,
        }
        for part, variable in parts.items():
            put(variable, f"{name}.{part}", tensor(f"{name}.{part}"))

    conv(model.conv_stem.kernel, "_conv_stem.weight")
    batch_norm(model.bn0, "_bn0")
    for index, block in enumerate(model.blocks):
        name = f"_blocks.{index}"
        if block.expand_conv is not None:
            pointwise(block.expand_conv, f"{name}._expand_conv.weight")
            batch_norm(block.bn0, f"{name}._bn0")
        conv(block.depthwise_conv.kernel, f"{name}._depthwise_conv.weight")
        batch_norm(block.bn1, f"{name}._bn1")
        pointwise(block.project_conv, f"{name}._project_conv.weight")
        batch_norm(block.bn2, f"{name}._bn2")
    pointwise(model.conv_head, "_conv_head.weight")
    batch_norm(model.bn1, "_bn1")
    if head and model.fc is not None:
        put(model.fc.kernel, "_fc.weight", tensor("_fc.weight").T)
        put(model.fc.bias, "_fc.bias", tensor("_fc.bias"))
