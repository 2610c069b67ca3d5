"""Cells with networks: train one, and take its empirical NTK; `real.network_curve` does the
regression.

As in the paper's code, the classifier is replaced by one freshly drawn output unit, all parameters
enter the gradient, and normalisation layers are in eval mode. `skip` training images belong to the
network's own training.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.flatten_util import ravel_pytree

from theorylab import nets, ntk
from theorylab.papers.more_than_a_toy.images import split


def build(network: str, shape: tuple[int, int, int], seed: int) -> nnx.Module:
    """A ten-class network of this name for images of this shape."""
    rngs = nnx.Rngs(seed)
    if network == "cnn":
        return nets.CNN(
            shape, 10, channels=(32, 64, 64), strides=(2, 1, 2), head="mean", hidden=(), rngs=rngs
        )
    if network == "resnet14":
        return nets.ResNet(14, 10, width=16, in_channels=shape[-1], norm="group", rngs=rngs)
    raise ValueError(f"no network {network!r} is trained here")


def train(
    network: str, data: str, sample: bool | None, seed: int, images: int, epochs: int
) -> Mapping[str, Any]:
    """Train on the first `images` training images; the parameters as one vector, and the test
    accuracy."""
    x, y, x_test, y_test = split(data, sample, None, images, 1000)
    model = build(network, x.shape[1:], seed)
    batch = min(64, images)
    schedule = optax.cosine_decay_schedule(2e-3, epochs * (images // batch))
    labels, labels_test = y.argmax(1), y_test.argmax(1)
    fitted = nets.fit(
        model,
        (x, labels),
        key=jax.random.key(seed),
        optimizer=optax.adamw(schedule),
        batch_size=batch,
        epochs=epochs,
        eval_data=(x_test, labels_test),
        progress=False,
    )
    accuracy = fitted.eval_accuracy
    assert accuracy is not None
    return {
        "params": np.asarray(ravel_pytree(fitted.params)[0]),
        "accuracy": accuracy[-1],
        "loss": fitted.loss,
    }


def kernel(
    network: str,
    weights: str,
    images: Mapping[str, Any],
    seed: int,
    epochs: int,
    trained: Mapping[str, np.ndarray] | None = None,
) -> Mapping[str, Any]:
    """eNTK (pool, pool) and (tests, pool) in float32 with one random output; with weights
    "features", the linear kernel of the last layer of the trained network; labels of both.

    images: `data` and `sample` of the set, `pool` training and `tests` test images, after the first
    `skip` training images.
    """
    pixels = network == "efficientnet_lite0"
    x, y, x_test, y_test = split(
        images["data"],
        images["sample"],
        seed,
        images["pool"],
        images["tests"],
        skip=images["skip"],
        pixels=pixels,
    )
    if pixels:
        x, x_test = (np.asarray(nets.efficientnet_inputs(part, size=32)) for part in (x, x_test))
        model: nnx.Module = nets.load_efficientnet_lite0(
            pretrained=weights != "init", num_outputs=1, rngs=nnx.Rngs(seed)
        )
    else:
        model = build(network, x.shape[1:], seed)
    features, params = nets.functional(model, method="features")
    if trained is not None:
        params = ravel_pytree(params)[1](jnp.asarray(trained["params"]))
    if weights == "features":
        # float64: this kernel's rank is the width of the layer, and ridge 0 must see that
        phi, phi_test = (
            np.asarray(nets.predict(features, params, part), np.float64) for part in (x, x_test)
        )
        gram, gram_test = phi @ phi.T, phi_test @ phi.T
    else:
        f, both = with_random_output(features, params, x[:1], seed)
        gram = np.asarray(ntk.empirical_ntk(f, both, x, reduce="trace"))
        gram_test = np.asarray(ntk.empirical_ntk(f, both, x_test, x, reduce="trace"))
    return {"kernel": gram, "kernel_test": gram_test, "y": y, "y_test": y_test}


def with_random_output(
    features: Callable[..., Any], params: Any, x: Any, seed: int
) -> tuple[Callable[..., Any], Any]:
    """`f(params, x) -> (N, 1)`: a fresh linear unit, weights N(0, 1/width) and bias 0, on top of
    the features."""
    width = jax.eval_shape(features, params, x).shape[-1]
    weight = jax.random.normal(jax.random.key(1_000_003 + seed), (width, 1)) / jnp.sqrt(width)

    def f(both: Any, images: Any) -> Any:
        body, head = both
        return features(body, images) @ head["weight"] + head["bias"]

    return f, (params, {"weight": weight, "bias": jnp.zeros(1)})
