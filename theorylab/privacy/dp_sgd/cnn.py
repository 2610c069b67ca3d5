"""Clipped sums of small convolutional networks, by the layers' inputs and cotangents alone.

One pass forward and one backward give every layer's input a and the derivative d by its output; the
gradient of a record is their product over positions. Of layers with few weights it is formed for
every record (as many operations as the gradient of the sum takes), squared for the norm, and summed
with the clipping factors. Of layers with one position its norm is |a| |d|, of layers with few
positions a sum over pairs of positions, and the clipped sum is one product of matrices. There is no
second backward pass.
Source: norms from inputs and cotangents, Goodfellow 2015; over pairs of positions, Li, Tramèr,
Liang & Hashimoto 2022; without a second backward pass, Bu, Wang, Zha & Karypis 2023.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp

from theorylab import checks
from theorylab.privacy.dp_sgd.gradients import Plain, clip_factor
from theorylab.pytrees import register

ACTIVATIONS = {"relu": jax.nn.relu, "tanh": jnp.tanh}
FORMED = 2**15  # weights of a layer whose gradients are formed for each record, at most


@register()
@dataclass(frozen=True)
class ConvNet(Plain):
    """Clipped gradients of convolutions, then dense layers, then softmax cross entropy.

    Parameters are a tuple of dictionaries "kernel" and "bias": convolutions (height, width, in,
    out), then dense layers (in, out). Inputs are images (height, width, channels), labels 0, 1, ...

    Args:
        strides: of each convolution.
        padding: zeros on every side of the input of each convolution.
        activation: after every layer but the last, "relu" or "tanh".

    Raises:
        InputError: an argument out of range.
    """

    strides: tuple[int, ...] = field(metadata={"static": True})
    padding: int = field(default=1, metadata={"static": True})
    activation: str = field(default="relu", metadata={"static": True})

    def __post_init__(self) -> None:
        for stride in self.strides:
            checks.count("strides", stride)
        checks.count("padding", self.padding, 0)
        checks.choice("activation", self.activation, tuple(ACTIVATIONS))

    def start(
        self,
        key: jax.Array,
        input_shape: tuple[int, int, int],
        *,
        channels: tuple[int, ...] = (8, 16, 32),
        kernel_size: int = 3,
        widths: tuple[int, ...] = (64, 10),
    ) -> tuple[dict[str, Any], ...]:
        """Random parameters (He's scale, zero biases) for images of this shape."""
        height, width, ins = input_shape
        shapes: list[tuple[int, ...]] = []
        for stride, out in zip(self.strides, channels, strict=True):
            shapes.append((kernel_size, kernel_size, ins, out))
            height, width = (
                (side + 2 * self.padding - kernel_size) // stride + 1 for side in (height, width)
            )
            ins = out
        ins *= height * width
        for out in widths:
            shapes.append((ins, out))
            ins = out
        keys = jax.random.split(checks.key("key", key), len(shapes))
        return tuple(
            {
                "kernel": jax.random.normal(k, s) * math.sqrt(2 / math.prod(s[:-1])),
                "bias": jnp.zeros(s[-1]),
            }
            for k, s in zip(keys, shapes, strict=True)
        )

    def outputs(self, params: Any, x: Any) -> Any:
        """Logits (n, classes) of images (n, height, width, channels)."""
        return self._run(params, x, None)[0]

    def loss(self, params: Any, x: Any, y: Any) -> Any:
        """The loss of one record, whose clipped gradients these are."""
        out = self.outputs(params, x[None])[0]
        return jax.nn.logsumexp(out) - out[y]

    def sums(self, params: Any, context: Any, x: Any, y: Any, member: Any, clip: Any) -> Any:
        """The sum of member * clipped gradient, like the parameters."""

        def total(taps: Any) -> Any:
            out, inputs = self._run(params, x, taps)
            picked = jnp.take_along_axis(out, y[:, None], 1)[:, 0]
            return jnp.sum(jax.nn.logsumexp(out, axis=1) - picked), inputs

        shapes = jax.eval_shape(lambda: self._run(params, x, None)[2])
        taps = [jnp.zeros(s.shape, s.dtype) for s in shapes]
        pulls, inputs = jax.grad(total, has_aux=True)(taps)
        layers = [_layer(a, d) for a, d in zip(inputs, pulls, strict=True)]
        norm = jnp.sqrt(sum(layer.squares for layer in layers))
        factor, good = clip_factor(norm, member, clip)
        sums = [layer.sums(factor, good) for layer in layers]
        return tuple(
            {"kernel": w.reshape(p["kernel"].shape), "bias": b}
            for (w, b), p in zip(sums, params, strict=True)
        )

    def _run(self, params: Any, x: Any, taps: Any) -> Any:
        """Logits; with `taps`, which are added to the outputs, the inputs; else the outputs."""
        act, inputs, outputs = ACTIVATIONS[self.activation], [], []
        for i, layer in enumerate(params):
            last = i == len(params) - 1
            if i < len(self.strides):
                height, width = layer["kernel"].shape[:2]
                a, size = _patches(x, (height, width), self.strides[i], self.padding)
            else:
                a, size = x.reshape(x.shape[0], 1, -1), None
            kernel = layer["kernel"].reshape(a.shape[-1], -1)
            out = a @ kernel + layer["bias"]
            if taps is not None:
                out = out + taps[i]
            inputs.append(a)
            outputs.append(out)
            x = out if last else act(out)
            if size is not None:
                x = x.reshape(x.shape[0], *size, -1)
        logits = x.reshape(x.shape[0], -1)
        return (logits, inputs) if taps is not None else (logits, inputs, outputs)


def _patches(x: Any, kernel: tuple[int, int], stride: int, padding: int) -> Any:
    """(n, positions, height * width * channels) windows of images, and how the positions lie."""
    wide = jnp.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    rows, columns = (
        (side - k) // stride + 1 for side, k in zip(wide.shape[1:3], kernel, strict=True)
    )
    shifted = [
        wide[
            :,
            i : i + stride * (rows - 1) + 1 : stride,
            j : j + stride * (columns - 1) + 1 : stride,
        ]
        for i in range(kernel[0])
        for j in range(kernel[1])
    ]
    joined = jnp.concatenate(shifted, axis=3)
    return joined.reshape(x.shape[0], rows * columns, -1), (rows, columns)


@dataclass(frozen=True)
class _Layer:
    """What one layer adds to the squared norms, and its clipped sums."""

    squares: Any
    each: Any  # (n, in, out), or None
    inputs: Any
    pulls: Any

    def sums(self, factor: Any, good: Any) -> Any:
        kept = jnp.where(good, factor, 0.0)
        biases = jnp.where(good[:, None], self.pulls.sum(1), 0.0)
        rows = good[:, None, None]
        if self.each is not None:
            return jnp.tensordot(kept, jnp.where(rows, self.each, 0.0), 1), kept @ biases
        pulls = kept[:, None, None] * jnp.where(rows, self.pulls, 0.0)
        inputs = jnp.where(rows, self.inputs, 0.0)
        return jnp.tensordot(inputs, pulls, ((0, 1), (0, 1))), kept @ biases


def _layer(a: Any, d: Any) -> _Layer:
    """a: (n, positions, in); d: (n, positions, out)."""
    positions, ins, outs = a.shape[1], a.shape[2], d.shape[2]
    bias = jnp.sum(d.sum(1) ** 2, axis=1)
    if positions == 1:
        squares = jnp.sum(a**2, axis=(1, 2)) * jnp.sum(d**2, axis=(1, 2))
        return _Layer(squares + bias, None, a, d)
    if ins * outs <= FORMED or positions * (ins + outs) >= ins * outs:
        each = jnp.einsum("npi,npo->nio", a, d)
        return _Layer(jnp.sum(each**2, axis=(1, 2)) + bias, each, a, d)
    pairs = jnp.einsum("npi,nqi->npq", a, a) * jnp.einsum("npo,nqo->npq", d, d)
    return _Layer(jnp.maximum(pairs.sum((1, 2)), 0.0) + bias, None, a, d)
