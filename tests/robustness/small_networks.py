"""Small networks of every kind that bounds are read from, with samples, for the tests."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from theorylab.nets import CNN, MLP, ResNet, functional

EXAMPLE = {
    "W1": np.array([[1, -1], [2, 1], [-1, 0.5]]),
    "b1": np.array([0, -1, 0.5]),
    "W2": np.array([[1, -1, 2], [-1, 1, 0.5]]),
    "b2": np.array([0.1, -0.1]),
}
EXAMPLE_X = np.array([0.6, 0.2])


def example(params, x):
    """The worked example: 2 inputs, 3 hidden units, 2 logits."""
    return jax.nn.relu(x @ params["W1"].T + params["b1"]) @ params["W2"].T + params["b2"]


def random_mlp(seed, widths=(2, 5, 5, 3), scale=1.0):
    """(params, a sample) with Gaussian weights; apply it with `dense`."""
    rng = np.random.default_rng(seed)
    params = [
        (scale * rng.standard_normal((i, o)), 0.5 * rng.standard_normal(o))
        for i, o in itertools.pairwise(widths)
    ]
    return params, rng.standard_normal(widths[0])


def dense(params, x):
    for w, b in params[:-1]:
        x = jax.nn.relu(x @ w + b)
    w, b = params[-1]
    return x @ w + b


def dense_numpy(params, x):
    """The same in NumPy, float64: the reference that bounds must hold for."""
    for w, b in params[:-1]:
        x = np.maximum(x @ np.asarray(w, np.float64) + np.asarray(b, np.float64), 0)
    w, b = params[-1]
    return x @ np.asarray(w, np.float64) + np.asarray(b, np.float64)


def models():
    """name -> (module, shape of a sample)"""
    rngs = nnx.Rngs(1)
    small = {"channels": (3, 4), "hidden": (6,), "rngs": rngs}
    return {
        "mlp": (MLP((6, 8, 8, 3), rngs=rngs), (6,)),
        "leaky": (MLP((6, 8, 8, 3), activation=jax.nn.leaky_relu, rngs=rngs), (6,)),
        "relu6": (MLP((6, 8, 8, 3), activation=jax.nn.relu6, rngs=rngs), (6,)),
        "cnn": (CNN((6, 6, 2), 3, **small), (6, 6, 2)),
        "max pooling": (CNN((7, 7, 1), 3, strides=1, pool="max", **small), (7, 7, 1)),
        "average pooling": (CNN((7, 7, 1), 3, strides=1, pool="avg", **small), (7, 7, 1)),
        "resnet": (ResNet(8, 3, width=2, rngs=rngs), (6, 6, 3)),
    }


def built(name, dtype=jnp.float32):
    """(f, params, shape) with biases and running statistics away from zero."""
    module, shape = models()[name]
    rng = np.random.default_rng(3)
    for _, variable in nnx.to_flat_state(nnx.state(module, nnx.BatchStat)):
        value = variable[...]
        shift = rng.uniform(0.1, 0.5, value.shape)
        variable[...] = jnp.asarray(value + shift)
    f, params = functional(module)
    params = jax.tree.map(
        lambda a: jnp.asarray(a + 0.1 * rng.standard_normal(a.shape), dtype), params
    )
    return f, params, shape


def perturbed(rng, x, threat, count):
    """Points of the set around x (one sample), on its boundary mostly: corners and random ones."""
    d = x.size
    z = rng.standard_normal((count, d))
    if hasattr(threat, "directions"):
        lines = np.asarray(threat.directions).reshape(-1, d)
        which = rng.integers(len(lines), size=count)
        delta = rng.choice([-1, 1, 0.5], size=(count, 1)) * lines[which]
    elif threat.p == 2:
        delta = z / np.linalg.norm(z, axis=1, keepdims=True)
    elif threat.p == 1:
        delta = np.sign(z) * rng.dirichlet(np.full(d, 0.1), count)
    else:
        delta = np.where(rng.random((count, 1)) < 0.7, np.sign(z), np.clip(z, -1, 1))
    points = x.ravel() + float(threat.eps) * delta
    clip = getattr(threat, "clip", None)
    if clip is not None:
        points = np.clip(points, *clip)
    return points.reshape(count, *x.shape)


DIMENSIONS = ("NHWC", "HWIO", "NHWC")


def convolve(x, w, stride, padding=1):
    pads = [(padding, padding)] * 2
    return jax.lax.conv_general_dilated(x, w, (stride, stride), pads, dimension_numbers=DIMENSIONS)


def strided(p, x, activation=jax.nn.relu):
    """A stride, a sum that skips a layer, and a dense end, on images 16 x 16."""
    x = activation(convolve(x, p["a"], 2) + p["u"])
    x = activation(x + convolve(x, p["b"], 1) - p["v"])
    return x.reshape(len(x), -1) @ p["c"]


def strided_params(seed, dtype=float):
    rng = np.random.default_rng(seed)
    shapes = {"a": (3, 3, 1, 2), "b": (3, 3, 2, 2), "c": (128, 3), "u": (2,), "v": (2,)}
    return {k: jnp.asarray(0.4 * rng.standard_normal(s), dtype) for k, s in shapes.items()}
