"""The networks that the tangent-kernel benchmark compares on, in plain JAX that runs on old
releases and new.

`PANEL[name](outputs)` returns `(init, apply, sample)`: `init(key)` gives parameters,
`apply(params, x)` outputs of shape (N, outputs), `sample(key, n)` inputs.
"""

import jax
import jax.numpy as jnp
from jax import lax, random


def _conv(x, w, stride=1):
    return lax.conv_general_dilated(
        x, w, (stride, stride), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def _gaussian(key, *shape):
    """Entries of variance 1 / fan-in."""
    fan_in = 1
    for size in shape[:-1]:
        fan_in *= size
    return random.normal(key, shape) / jnp.sqrt(fan_in)


def mlp(outputs, width=1024):
    """784 - 1024 - 1024 - 1024 - outputs with ReLU: 2.9 million parameters."""
    sizes = [784, width, width, width, outputs]

    def init(key):
        keys = random.split(key, 4)
        return [(_gaussian(k, i, o), jnp.zeros(o)) for k, i, o in zip(keys, sizes[:-1], sizes[1:])]  # noqa: B905

    def apply(params, x):
        for w, b in params[:-1]:
            x = jax.nn.relu(x @ w + b)
        return x @ params[-1][0] + params[-1][1]

    return init, apply, lambda key, n: random.normal(key, (n, 784))


def cnn(outputs, channels=64):
    """Four 3 x 3 convolutions on 28 x 28 x 1, two of them strided, and a global average: 0.26
    million parameters."""
    widths, strides = [1, channels, channels, 2 * channels, 2 * channels], [1, 2, 1, 2]

    def init(key):
        keys = random.split(key, 5)
        layers = [
            (_gaussian(keys[n], 3, 3, widths[n], widths[n + 1]), jnp.zeros(widths[n + 1]))
            for n in range(4)
        ]
        return {
            "layers": layers,
            "out": (_gaussian(keys[4], widths[-1], outputs), jnp.zeros(outputs)),
        }

    def apply(params, x):
        for (w, b), stride in zip(params["layers"], strides):  # noqa: B905
            x = jax.nn.relu(_conv(x, w, stride) + b)
        w, b = params["out"]
        return x.mean((1, 2)) @ w + b

    return init, apply, lambda key, n: random.normal(key, (n, 28, 28, 1))


def resnet18(outputs, base=64):
    """ResNet-18 on 32 x 32 x 3 without normalisation, residual branches times 0.3: 11.2 million
    parameters."""
    widths = [base * 2 ** (block // 2) for block in range(8)]
    strides = [2 if block in (2, 4, 6) else 1 for block in range(8)]

    def init(key):
        keys = iter(random.split(key, 32))
        params = {"stem": _gaussian(next(keys), 3, 3, 3, base), "blocks": []}
        before = base
        for width, stride in zip(widths, strides):  # noqa: B905
            block = {
                "a": _gaussian(next(keys), 3, 3, before, width),
                "b": _gaussian(next(keys), 3, 3, width, width),
            }
            if stride > 1:
                block["skip"] = _gaussian(next(keys), 1, 1, before, width)
            params["blocks"].append(block)
            before = width
        params["out"] = (_gaussian(next(keys), before, outputs), jnp.zeros(outputs))
        return params

    def apply(params, x):
        x = jax.nn.relu(_conv(x, params["stem"]))
        for block, stride in zip(params["blocks"], strides):  # noqa: B905
            branch = _conv(jax.nn.relu(_conv(x, block["a"], stride)), block["b"])
            x = jax.nn.relu(
                0.3 * branch + (_conv(x, block["skip"], stride) if "skip" in block else x)
            )
        w, b = params["out"]
        return x.mean((1, 2)) @ w + b

    return init, apply, lambda key, n: random.normal(key, (n, 32, 32, 3))


def gpt(outputs, width=128, layers=4, heads=4, length=32, vocabulary=64):
    """A small causal transformer on one-hot tokens, mean-pooled: 0.8 million parameters."""

    def init(key):
        keys = iter(random.split(key, 8 * layers))
        params = {
            "token": _gaussian(next(keys), vocabulary, width),
            "out": _gaussian(next(keys), width, outputs),
        }
        params["position"] = 0.1 * random.normal(next(keys), (length, width))
        params["layers"] = [
            {
                **{name: _gaussian(next(keys), width, width) for name in "qkvo"},
                "up": (_gaussian(next(keys), width, 4 * width), jnp.zeros(4 * width)),
                "down": (_gaussian(next(keys), 4 * width, width), jnp.zeros(width)),
                "gains": (jnp.ones(width), jnp.ones(width)),
            }
            for _ in range(layers)
        ]
        return params

    def normed(x, gain):
        x = x - x.mean(-1, keepdims=True)
        return x / jnp.sqrt((x**2).mean(-1, keepdims=True) + 1e-5) * gain

    def apply(params, x):
        h = x @ params["token"] + params["position"]
        causal = jnp.tril(jnp.ones((length, length), bool))
        for p in params["layers"]:
            z = normed(h, p["gains"][0])
            q, k, v = ((z @ p[name]).reshape(-1, length, heads, width // heads) for name in "qkv")
            scores = jnp.einsum("nthc,nshc->nhts", q, k) / jnp.sqrt(width // heads)
            weights = jax.nn.softmax(jnp.where(causal, scores, -1e9), -1)
            h = h + jnp.einsum("nhts,nshc->nthc", weights, v).reshape(-1, length, width) @ p["o"]
            z = normed(h, p["gains"][1])
            h = h + jax.nn.gelu(z @ p["up"][0] + p["up"][1]) @ p["down"][0] + p["down"][1]
        return h.mean(1) @ params["out"]

    return (
        init,
        apply,
        lambda key, n: jax.nn.one_hot(random.randint(key, (n, length), 0, vocabulary), vocabulary),
    )


PANEL = {"mlp": mlp, "cnn": cnn, "gpt": gpt, "resnet18": resnet18}
# network, outputs, samples, reduce: the rows of the comparison
ROWS = [
    ("mlp", 10, 256, "full"),
    ("cnn", 10, 64, "full"),
    ("gpt", 10, 32, "full"),
    ("resnet18", 10, 16, "full"),
    ("mlp", 1, 1024, "full"),
    ("cnn", 1, 256, "trace"),
    ("gpt", 1, 128, "full"),
    ("resnet18", 1, 32, "trace"),
    ("mlp", 10, 256, "trace"),
    ("cnn", 10, 64, "trace"),
    ("gpt", 10, 32, "trace"),
    ("resnet18", 10, 16, "trace"),
]
