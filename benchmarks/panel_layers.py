"""The layers that the networks of `panel_generated.py` are drawn from, and ways to put them
together, in plain JAX that runs on old releases and new."""

import math
from collections import namedtuple

import jax
import jax.numpy as jnp
from jax import lax, random

_SLOW = 16  # multiplications in place of one in a group, for the peer

# A layer: the shape of a sample after it, `init(key)`, `apply(params, h)`, and the multiplications
# that a sample takes. Shapes are (height, width, channels), (length, channels) or (channels,).
Layer = namedtuple("Layer", "shape init apply products")

_ACTIVATIONS = {
    "relu": jax.nn.relu,
    "gelu": jax.nn.gelu,
    "tanh": jnp.tanh,
    "silu": jax.nn.silu,
    "softplus": jax.nn.softplus,
}


def _normal(key, *shape, fan_in=None):
    return random.normal(key, shape) / math.sqrt(fan_in or math.prod(shape[:-1]))


def dense(draw, shape, width=None, bias=None):
    """A product along the channels, at every position."""
    width = width or draw.choice([96, 128, 192, 256, 384])
    bias = draw.random() < 0.7 if bias is None else bias

    def init(key):
        return [_normal(key, shape[-1], width), *[jnp.zeros(width)] * bias]

    def apply(p, h):
        return h @ p[0] + p[1] if bias else h @ p[0]

    return Layer((*shape[:-1], width), init, apply, math.prod(shape) * width)


def _convolution(shape, kernel, width, stride=1, dilation=1, groups=1, bias=True):
    space = len(shape) - 1
    order = {1: ("NHC", "HIO", "NHC"), 2: ("NHWC", "HWIO", "NHWC")}[space]
    out = (*(-(-n // stride) for n in shape[:-1]), width)
    inner = shape[-1] // groups

    def init(key):
        return [_normal(key, *[kernel] * space, inner, width)] + [jnp.zeros(width)] * bias

    def apply(p, h):
        h = lax.conv_general_dilated(
            h,
            p[0],
            (stride,) * space,
            "SAME",
            rhs_dilation=(dilation,) * space,
            dimension_numbers=order,
            feature_group_count=groups,
        )
        return h + p[1] if bias else h

    products = math.prod(out) * inner * kernel**space
    return Layer(out, init, apply, products * (_SLOW if groups > 1 else 1))


def _stride(draw, shape):
    return draw.choice([1, 2]) if shape[0] >= 16 else 1


def conv(draw, shape, width=None):
    """A convolution: 3 or 5 wide, strided or dilated or neither."""
    stride = 1 if width else _stride(draw, shape)
    width = width or draw.choice([32, 48, 64, 96])
    dilation = draw.choice([1, 1, 2]) if stride == 1 else 1
    kernel = draw.choice([3, 3, 3, 5])
    return _convolution(shape, kernel, width, stride, dilation, bias=draw.random() < 0.7)


def grouped(draw, shape, width=None):
    """A convolution in groups of channels."""
    width = width or draw.choice([32, 64, 96])
    groups = draw.choice([g for g in (2, 4, 8) if shape[-1] % g == 0] or [1])
    return _convolution(shape, 3, width, groups=groups, bias=draw.random() < 0.5)


def depthwise(draw, shape, width=None):
    """A convolution of every channel by itself."""
    stride = 1 if width else _stride(draw, shape)
    kernel, bias = draw.choice([3, 3, 5, 7]), draw.random() < 0.5
    return _convolution(shape, kernel, shape[-1], stride, groups=shape[-1], bias=bias)


def separable(draw, shape, width=None):
    """Depthwise, then pointwise."""
    first = depthwise(draw, shape, width)
    return chain([first, dense(draw, first.shape, width or draw.choice([48, 64, 96, 128]))])


def inverted(draw, shape, width=None):
    """Pointwise to more channels, depthwise, pointwise back."""
    up = dense(draw, shape, draw.choice([2, 4]) * shape[-1])
    middle = depthwise(draw, up.shape, width and up.shape[-1])
    down = dense(draw, middle.shape, width or draw.choice([32, 48, 64]))
    return chain([up, activation(draw, up.shape), middle, activation(draw, middle.shape), down])


def norm(draw, shape, width=None):
    """Layer norm, RMS norm or group norm, with its scale and perhaps a shift."""
    kind, c = draw.choice(["layer", "rms", "group"]), shape[-1]
    shifted = draw.random() < 0.6
    groups = 4 if kind == "group" and len(shape) > 1 and c % 4 == 0 else 1

    def init(key):
        return [jnp.ones(c)] + [jnp.zeros(c)] * shifted

    def apply(p, h):
        parts = h.reshape(*h.shape[:-1], groups, c // groups)
        axes = (*range(1, h.ndim - 1), h.ndim) if groups > 1 else (h.ndim,)
        if kind != "rms":
            parts = parts - parts.mean(axes, keepdims=True)
        parts = parts / jnp.sqrt((parts**2).mean(axes, keepdims=True) + 1e-5)
        out = parts.reshape(h.shape) * p[0]
        return out + p[1] if shifted else out

    return Layer(shape, init, apply, 0)


def activation(draw, shape, width=None):
    """One of five functions."""
    function = _ACTIVATIONS[draw.choice(sorted(_ACTIVATIONS))]
    return Layer(shape, lambda key: [], lambda p, h: function(h), 0)


def pool(draw, shape, width=None):
    """The mean or the maximum of 2 x 2 positions."""
    largest = draw.random() < 0.5

    def apply(p, h):
        window = (1, 2, 2, 1)
        if largest:
            return lax.reduce_window(h, -jnp.inf, lax.max, window, window, "VALID")
        return lax.reduce_window(h, 0.0, lax.add, window, window, "VALID") / 4

    return Layer((shape[0] // 2, shape[1] // 2, shape[2]), lambda key: [], apply, 0)


def mixing(draw, shape, width=None):
    """A two-layer network along the positions, for every channel."""
    length, hidden = shape[0], draw.choice([1, 2]) * shape[0]
    function = _ACTIVATIONS[draw.choice(sorted(_ACTIVATIONS))]

    def init(key):
        a, b = random.split(key)
        return [_normal(a, length, hidden), jnp.zeros((hidden, 1)), _normal(b, hidden, length)]

    def apply(p, h):
        h = function(jnp.einsum("ntc,ts->nsc", h, p[0]) + p[1])
        return jnp.einsum("nsc,st->ntc", h, p[2])

    return Layer(shape, init, apply, 2 * length * hidden * shape[-1])


def attention(draw, shape, width=None):
    """Heads of attention, causal or not, with one matrix for all three projections or three."""
    length, c = shape
    heads, causal, joint = draw.choice([2, 4]), draw.random() < 0.5, draw.random() < 0.5

    def init(key):
        a, b = random.split(key)
        qkv = _normal(a, 3, c, c, fan_in=c)
        return [*([jnp.concatenate(list(qkv), 1)] if joint else qkv), _normal(b, c, c)]

    def apply(p, h):
        projected = jnp.split(h @ p[0], 3, -1) if joint else [h @ w for w in p[:3]]
        q, k, v = (a.reshape(*a.shape[:2], heads, c // heads) for a in projected)
        scores = jnp.einsum("nthc,nshc->nhts", q, k) / math.sqrt(c // heads)
        if causal:
            scores = jnp.where(jnp.tril(jnp.ones((length, length), bool)), scores, -1e9)
        mixed = jnp.einsum("nhts,nshc->nthc", jax.nn.softmax(scores, -1), v)
        return mixed.reshape(h.shape) @ p[-1]

    return Layer(shape, init, apply, 4 * length * c * c + 2 * length * length * c)


def feedforward(draw, shape, width=None):
    """Up, an activation, down: at every position."""
    up = dense(draw, shape, draw.choice([2, 4]) * shape[-1])
    return chain([up, activation(draw, up.shape), dense(draw, up.shape, shape[-1])])


def recurrent(draw, shape, width=None):
    """A recurrent layer by `lax.scan`: plain, gated once (minimal), or an LSTM."""
    length, c = shape
    width, kind = width or draw.choice([64, 128, 192]), draw.choice(["plain", "gated", "lstm"])
    gates = {"plain": 1, "gated": 2, "lstm": 4}[kind]

    def init(key):
        a, b = random.split(key)
        weights = _normal(a, c, gates * width), _normal(b, width, gates * width)
        return [*weights, jnp.zeros(gates * width)]

    def apply(p, h):
        def step(state, now):
            hidden, cell = state
            z = now @ p[0] + hidden @ p[1] + p[2]
            if kind == "plain":
                return (jnp.tanh(z), cell), jnp.tanh(z)
            parts = jnp.split(z, gates, -1)
            if kind == "gated":
                keep = jax.nn.sigmoid(parts[0])
                hidden = keep * hidden + (1 - keep) * jnp.tanh(parts[1])
            else:
                i, f, o = (jax.nn.sigmoid(part) for part in parts[:3])
                cell = f * cell + i * jnp.tanh(parts[3])
                hidden = o * jnp.tanh(cell)
            return (hidden, cell), hidden

        zero = jnp.zeros((len(h), width), h.dtype)
        return lax.scan(step, (zero, zero), h.swapaxes(0, 1))[1].swapaxes(0, 1)

    return Layer((length, width), init, apply, length * (c + width) * gates * width)


def stacked(draw, shape, width=None):
    """A scan over layers of one shape, each with weights of its own."""
    depth = draw.choice([2, 3, 4, 6])
    kinds = [feedforward] if len(shape) == 1 else [feedforward, attention, mixing]
    layer = chain([residual(draw, shape, draw.choice(kinds)), activation(draw, shape)])
    return Layer(
        shape,
        lambda key: jax.vmap(layer.init)(random.split(key, depth)),
        lambda p, h: lax.scan(lambda h, one: (layer.apply(one, h), None), h, p)[0],
        depth * layer.products,
    )


def shared(draw, shape, width=None):
    """One layer several times."""
    times, inner = draw.choice([2, 3]), residual(draw, shape, feedforward)

    def apply(p, h):
        for _ in range(times):
            h = inner.apply(p, h)
        return h

    return Layer(shape, inner.init, apply, times * inner.products)


# Ways to put layers together
# ---------------------------------------------------------------------------------------------


def chain(layers):
    """One after the other."""

    def init(key):
        keys = random.split(key, len(layers))
        return [layer.init(k) for layer, k in zip(layers, keys)]  # noqa: B905

    def apply(p, h):
        for layer, own in zip(layers, p):  # noqa: B905
            h = layer.apply(own, h)
        return h

    return Layer(layers[-1].shape, init, apply, sum(layer.products for layer in layers))


def residual(draw, shape, make):
    """h + branch(norm(h)), of a layer that keeps the shape."""
    before = [norm(draw, shape)] * (draw.random() < 0.7)
    branch = chain([*before, make(draw, shape, shape[-1])])
    scale = draw.choice([1.0, 0.5])

    def apply(p, h):
        return h + scale * branch.apply(p, h)

    return Layer(shape, branch.init, apply, branch.products)


def trunk(draw, shape, kinds, depth):
    """Layers drawn from `kinds`, with norms, activations and pools between them."""
    layers = []
    for _ in range(depth):
        make = draw.choice(kinds)
        keeps = make in (mixing, attention, feedforward, stacked, shared)
        if keeps or draw.random() < 0.3:
            layers.append(residual(draw, shape, make))
        else:
            layers.append(make(draw, shape))
        shape = layers[-1].shape
        if not keeps:
            layers += [norm(draw, shape)] * (draw.random() < 0.4)
            layers.append(activation(draw, shape))
        if len(shape) == 3 and shape[0] >= 16 and draw.random() < 0.4:
            layers.append(pool(draw, shape))
            shape = layers[-1].shape
    return chain(layers)


def patches(draw, shape):
    """An image as a sequence of projected patches."""
    size, width = draw.choice([4, 8]), draw.choice([64, 96, 128, 192])
    h, w, c = shape
    inner = dense(draw, (h // size * (w // size), size * size * c), width)

    def apply(p, x):
        x = x.reshape(len(x), h // size, size, w // size, size, c).swapaxes(2, 3)
        return inner.apply(p, x.reshape(len(x), -1, size * size * c))

    return inner._replace(apply=apply)


def readout(draw, shape, outputs):
    """To outputs: by the mean over positions, the last one, or all of them."""
    ways = ["mean", "mean", "last"] if len(shape) == 2 else ["mean", "mean", "all"]
    way = draw.choice(ways) if len(shape) > 1 else "all"
    if math.prod(shape) > 4096 and way == "all":
        way = "mean"
    width = math.prod(shape) if way == "all" else shape[-1]
    inner = dense(draw, (width,), outputs)

    def apply(p, h):
        if way == "mean":
            h = h.reshape(len(h), -1, shape[-1]).mean(1)
        elif way == "last":
            h = h[:, -1]
        return inner.apply(p, h.reshape(len(h), -1))

    return inner._replace(apply=apply)
