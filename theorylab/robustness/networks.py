"""The dense ReLU network of the synthetic experiments, as a pure function.

Source: our own function, with the default initialisation of PyTorch's `nn.Linear`.
"""

import itertools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from theorylab import checks
from theorylab.nets.inputs import sizes

Layers = list[dict[str, Array]]


def dense_params(key: Key[Array, ""], widths: Sequence[int]) -> Layers:
    """Weights and biases from U(-1 / sqrt(fan_in), 1 / sqrt(fan_in)), as PyTorch's `nn.Linear`.

    Args:
        key: draws them.
        widths: units of every layer, input and output included, two at least.

    Returns:
        One {"w": (i, o), "b": (o,)} for each layer, for `dense_network`.

    Raises:
        InputError: no key, or other widths.
    """
    checks.key("key", key)
    widths = sizes("widths", widths, least=2)
    layers = []
    for n, (i, o) in enumerate(itertools.pairwise(widths)):
        of_w, of_b = jax.random.split(jax.random.fold_in(key, n))
        reach = i**-0.5
        layers.append(
            {
                "w": jax.random.uniform(of_w, (i, o), minval=-reach, maxval=reach),
                "b": jax.random.uniform(of_b, (o,), minval=-reach, maxval=reach),
            }
        )
    return layers


def dense_network(params: Layers, x: Float[Array, "n ..."]) -> Float[Array, "n k"]:
    """Logits of a ReLU network with these layers; samples are flattened.

    Args:
        params: the layers, as `dense_params` gives them.
        x: (n, ...) samples.

    Returns:
        (n, k) outputs of the last layer, which has no ReLU.
    """
    x = x.reshape(len(x), -1)
    for layer in params[:-1]:
        x = jax.nn.relu(jnp.dot(x, layer["w"]) + layer["b"])
    return jnp.dot(x, params[-1]["w"]) + params[-1]["b"]
