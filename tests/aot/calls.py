"""Calls of kernels in the forms that the examples of the documentation do not take.

Each is run while programs are recorded, on a pretended accelerator. The tangent kernels come in
every reduction, method and type, and traced in a program of the caller's.
"""

import functools
import itertools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

REDUCTIONS = ("full", "diagonal", "trace", "sum_logits")
DTYPES = ("float32", "bfloat16", "float64")


def perceptron(params, x):
    """Two layers, two outputs."""
    return jnp.tanh(x @ params["w"]) @ params["v"]


def convolutional(params, x):
    """A convolution and a dense layer, two outputs, for images (n, 8, 8, 3)."""
    numbers = jax.lax.conv_dimension_numbers(x.shape, params["k"].shape, ("NHWC", "HWIO", "NHWC"))
    seen = jax.lax.conv_general_dilated(x, params["k"], (1, 1), "SAME", dimension_numbers=numbers)
    return jax.nn.relu(seen).mean((1, 2)) @ params["v"]


def network(kind: str):
    """A function, its parameters, and 128 samples."""
    rng = np.random.default_rng(0)
    draw = lambda *shape: rng.normal(size=shape).astype(np.float32)  # noqa: E731
    if kind == "perceptron":
        return perceptron, {"w": draw(32, 64), "v": draw(64, 2)}, draw(128, 32)
    return convolutional, {"k": draw(3, 3, 3, 8), "v": draw(8, 2)}, draw(128, 8, 8, 3)


def untraced(kind: str, reduce: str, dtype: str, method: str = "auto") -> None:
    """The engine with its own programs."""
    from theorylab.ntk import empirical_ntk

    empirical_ntk(*network(kind), reduce=reduce, dtype=dtype, method=method)


def traced(kind: str, reduce: str, samples: int = 128) -> None:
    """One program of the caller's."""
    from theorylab.ntk import empirical_ntk

    f, params, x = network(kind)
    jax.jit(lambda params, x: empirical_ntk(f, params, x, reduce=reduce))(params, x[:samples])


def infinite(dtype: str, full: bool) -> None:
    """The kernel of infinite width of a small convolutional network."""
    from theorylab.ntk import infinite

    layers = infinite.serial(
        infinite.conv(3), infinite.relu(), infinite.flatten(), infinite.dense()
    )
    x = np.random.default_rng(0).normal(size=(16, 8, 8, 3)).astype(dtype)
    layers.kernel(x, x[:8] if full else None)


CALLS: dict[str, Callable[[], None]] = {
    **{
        f"empirical_ntk, {kind}, {reduce}, {dtype}": functools.partial(
            untraced, kind, reduce, dtype
        )
        for kind, reduce, dtype in itertools.product(
            ("perceptron", "convolutional"), REDUCTIONS, DTYPES
        )
        if kind == "perceptron" or dtype == "float32"
    },
    **{
        f"empirical_ntk, perceptron, {reduce}, float32, {method}": functools.partial(
            untraced, "perceptron", reduce, "float32", method
        )
        for reduce, method in itertools.product(REDUCTIONS, ("jacobian", "ntk_vp"))
    },
    **{
        f"empirical_ntk, {kind}, {reduce}, float32, traced": functools.partial(traced, kind, reduce)
        for kind, reduce in itertools.product(("perceptron", "convolutional"), REDUCTIONS)
    },
    "infinite.kernel, float32, symmetric": functools.partial(infinite, "float32", False),
    "infinite.kernel, float32, two sets": functools.partial(infinite, "float32", True),
}
