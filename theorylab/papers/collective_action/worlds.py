"""The problems that learners are trained on: data, model, signal and target label under one
name."""

from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from theorylab.collective.generators import gaussian_classes, parity_data
from theorylab.collective.settings import Sample, Setting
from theorylab.collective.signals import (
    block_signal,
    coordinate_trigger,
    parity_signal,
    pixel_trigger,
)
from theorylab.data.loading import load
from theorylab.nets.cnn import CNN
from theorylab.nets.functional import functional
from theorylab.nets.mlp import MLP

Model = Callable[[Any, Any], Any]


@cache
def linear(features: int, classes: int) -> tuple[Model, Callable[[Any], Any]]:
    """Softmax regression from zero."""
    return (lambda p, x: x @ p[0] + p[1]), (
        lambda key: (jnp.zeros((features, classes)), jnp.zeros(classes))
    )


@cache
def mlp(widths: tuple[int, ...]) -> tuple[Model, Callable[[Any], Any]]:
    """ReLU network from He's initialisation. One output stands for the logit of label 1."""
    f, _ = functional(MLP(widths, rngs=nnx.Rngs(0)))
    init = _drawn(lambda rngs: MLP(widths, rngs=rngs))
    if widths[-1] > 1:
        return f, init
    return (lambda p, x: jnp.concatenate([jnp.zeros((len(x), 1)), f(p, x)], axis=1)), init


@cache
def cnn(shape: tuple[int, int, int], outputs: int) -> tuple[Model, Callable[[Any], Any]]:
    def build(rngs: nnx.Rngs) -> CNN:
        return CNN(shape, outputs, channels=(32, 64, 128), rngs=rngs)

    return functional(build(nnx.Rngs(0)))[0], _drawn(build)


def _drawn(build: Callable[[nnx.Rngs], nnx.Module]) -> Callable[[Any], Any]:
    return lambda key: functional(build(nnx.Rngs(params=key)))[1]


@cache
def build(name: str, n: int, tests: int, sample: bool | None = None, width: int = 0) -> Setting:
    """gaussian, parity-1 to -3, optdigits, fashion_mnist, cifar10, backgrounds or
    backgrounds-fashion."""
    if name == "gaussian":
        f, init = mlp((21, width, 5)) if width else linear(21, 5)
        return Setting(
            f, init, _generated(gaussian_classes, n, tests), coordinate_trigger(20, 1.0), 0
        )
    if name.startswith("parity"):
        order = int(name[-1])
        return Setting(
            *mlp((13, width, 1)),
            _generated(parity_data, n, tests),
            parity_signal(range(10, 10 + order)),
            0,
        )
    if name == "optdigits":
        x, y = load("keel/optdigits").merged()
        return Setting(
            *linear(64, 10),
            _drawn_from(x.astype(np.float32) / 16, y, n, tests),
            coordinate_trigger([0, 7, 56], 0.5),
            8,
        )
    if name.startswith("backgrounds"):
        return _backgrounds(name, n, tests, width)
    return _images(name, sample, n, tests, width)


def _generated(generate: Callable[..., Any], n: int, tests: int) -> Callable[[Any], Sample]:
    def sample(key: Any) -> Sample:
        for_train, for_test = jax.random.split(key)
        return Sample(*generate(for_train, n), *generate(for_test, tests))

    return sample


def _drawn_from(
    x: np.ndarray, y: np.ndarray, n: int, tests: int, groups: np.ndarray | None = None
) -> Callable[[Any], Sample]:
    """Disjoint training and test sets drawn from a pool."""

    def sample(key: Any) -> Sample:
        rows = jax.random.permutation(key, len(y))[: n + tests]
        drawn = [jnp.asarray(a)[rows] for a in (x, y)]
        kinds = None if groups is None else jnp.asarray(groups)[rows[:n]]
        return Sample(drawn[0][:n], drawn[1][:n], drawn[0][n:], drawn[1][n:], kinds)

    return sample


def shrink(images: np.ndarray, factor: int) -> np.ndarray:
    """Means over factor x factor pixels on the scale [0, 1]; (n, h, w, ...) -> (n, h / factor, w /
    factor, ...)."""
    n, h, w, *c = images.shape
    return (
        images.reshape(n, h // factor, factor, w // factor, factor, *c).mean((2, 4)) / 255
    ).astype(np.float32)


def _images(name: str, sample: bool | None, n: int, tests: int, width: int) -> Setting:
    """Ten classes of images and a trigger of three white pixels; width 0: full resolution and a
    CNN."""
    x, y = load(name, sample=sample).merged()
    x = x[: 8 * (n + tests)] if width else x  # the pool from which every seed draws its own
    y, x = y[: len(x)], shrink(x, 4 if width else 1)
    x = (x if x.ndim == 4 else x[..., None]) - 0.5
    shape = x.shape[1:]
    model = mlp((int(np.prod(shape)), width, 10)) if width else cnn(shape, 10)
    corners = [(0, 0), (0, shape[1] - 1), (shape[0] - 1, 0)]
    return Setting(*model, _drawn_from(x, y, n, tests), pixel_trigger(corners, 0.5), 8)


def _backgrounds(name: str, n: int, tests: int, width: int) -> Setting:
    """Stand-in for Waterbirds: two kinds of objects on two textures, which go with the label in 95
    % of cases.

    Birds and horses of CIFAR-10, or coats and shirts of Fashion-MNIST for "backgrounds-fashion".
    The groups are (label, texture); the trigger is the corner pixel.
    """
    if name == "backgrounds-fashion":
        (x, y), kinds = load("fashion_mnist", sample=True).merged(), (4, 6)
        x = x[:, 2:26, 2:26]
    else:
        (x, y), kinds = load("cifar10").merged(), (2, 7)
    rows = np.isin(y, kinds)
    objects, y = shrink(x[rows], x.shape[1] // 8), (y[rows] == kinds[1]).astype(np.int32)
    random = np.random.RandomState(0)
    texture = np.where(random.uniform(size=len(y)) < 0.95, y, 1 - y)
    stripes = np.tile(np.arange(16) // 2 % 2, (16, 1)).astype(np.float32)
    scenes: np.ndarray = np.where(texture[:, None, None] == 0, stripes, stripes.T) * 0.5
    scenes += 0.25 * random.uniform(size=scenes.shape)
    scenes[:, 4:12, 4:12] = objects.mean(-1) if objects.ndim == 4 else objects
    scenes = scenes[..., None].astype(np.float32) - 0.5
    sample = _drawn_from(scenes, y, n, tests, 2 * y + texture)
    return Setting(*mlp((256, width, 2)), sample, pixel_trigger([(0, 0)], 0.5), 0)


@cache
def dominoes(n: int, tests: int, half: str, pattern: str, source: str, width: int) -> Setting:
    """Two pictures side by side, of classes that agree: label 0 or 1 can be read from either half.

    half: where the collective plants its 2 x 2 corner, "simple" or "complex"; pattern: "white" or
    "checker", which occurs in neither half by itself. source "mnist+cifar10": digits 0 and 1 next
    to automobiles and trucks; "fashion": trousers and sneakers next to coats and shirts. width 0:
    full resolution, one above the other, and a CNN.
    """
    left, right, y = _pairs(source, full=width == 0)
    low, high = (-0.5, 0.5) if half == "complex" else (0.0, 1.0)
    if width:
        side = right.shape[1]
        x = np.concatenate([left.reshape(len(y), -1), right.reshape(len(y), -1)], axis=1)
        start, row = (left[0].size, side) if half == "complex" else (0, left.shape[1])
        corner = [start, start + 1, start + row, start + row + 1]
        values = [high, low, low, high] if pattern == "checker" else [high] * 4
        return Setting(
            *mlp((x.shape[1], width, 1)),
            _drawn_from(x, y, n, tests),
            coordinate_trigger(corner, values),
            0,
        )
    x = np.concatenate([left, right], axis=1)
    top = left.shape[1] if half == "complex" else 0
    other = low if pattern == "checker" else None
    model = cnn(x.shape[1:], 2)
    return Setting(
        *model, _drawn_from(x, y, n, tests), block_signal((top, 0), (2, 2), high, other=other), 0
    )


def _pairs(source: str, *, full: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Left halves in [0, 1], right halves in [-.5, .5], labels; matched at random within each
    class."""
    if source == "fashion":
        x, y = load("fashion_mnist", sample=True).merged()
        small = shrink(x, 2)
        kinds = [(small, y, 1, 7), (small - 0.5, y, 4, 6)]
    else:
        (a, ya), (b, yb) = load("mnist").merged(), load("cifar10").merged()
        keep_a, keep_b = np.isin(ya, (0, 1)), np.isin(yb, (1, 9))
        a, b = a[keep_a], b[keep_b]
        if full:
            grey = np.pad(a, ((0, 0), (2, 2), (2, 2))).astype(np.float32)[..., None] / 255
            left, right = np.repeat(grey, 3, axis=-1), b.astype(np.float32) / 255 - 0.5
        else:
            left, right = shrink(a, 2), shrink(b.mean(-1), 2) - 0.5
        kinds = [(left, ya[keep_a], 0, 1), (right, yb[keep_b], 1, 9)]
    halves: list[list[np.ndarray]] = [[], []]
    for label in (0, 1):
        parts = [x[y == (zero, one)[label]] for x, y, zero, one in kinds]
        count = min(len(p) for p in parts)
        for side, part in zip(halves, parts, strict=True):
            side.append(part[:count])
    y = np.repeat(np.arange(2, dtype=np.int32), [len(part) for part in halves[0]])
    return np.concatenate(halves[0]), np.concatenate(halves[1]), y
