"""Where the sweeps take place: images in [0, 1] or normalised, split for every seed, and their
networks."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from theorylab.data import load
from theorylab.nets import MLP
from theorylab.nets.resnet9 import ResNet9
from theorylab.unlearning import Network, network


class World(NamedTuple):
    """Training, validation and test images with their labels."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_validation: np.ndarray
    y_validation: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


@lru_cache(maxsize=4)
def pictures(data: str, pool: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """x_train, y_train, x_test, y_test: images (n, h, w, c), shrunk by the mean over squares of
    `pool` pixels.

    Optdigits are its 8 x 8 counts over 16, all 5,620 rows as one part; "fashion_mnist:sample" is
    the sample that is embedded in theorylab, the same for everybody. Colour images are
    normalised channel by channel, others lie in [0, 1].
    """
    if data == "keel/optdigits":
        x, y = load(data).merged()
        x = (x / 16).reshape(-1, 8, 8, 1)
        none = np.zeros((0, *x.shape[1:]), np.float32)
        return x.astype(np.float32), y, none, y[:0]
    name, _, part = data.partition(":")
    found = load(name, sample=part == "sample") if name == "fashion_mnist" else load(name)
    parts = []
    for x, y in ((found.x_train, found.y_train), (found.x_test, found.y_test)):
        x = _shrunk(x.reshape(*x.shape[:3], -1), pool)
        parts += [(x - found.mean) / found.std if x.shape[-1] == 3 else x, y]
    return tuple(a.astype(np.float32) if a.ndim == 4 else a for a in parts)  # type: ignore[return-value]


def _shrunk(x: np.ndarray, pool: int) -> np.ndarray:
    n, h, w, c = x.shape
    blocks = [
        x[i : i + 5000].reshape(-1, h // pool, pool, w // pool, pool, c).mean((2, 4))
        for i in range(0, n, 5000)
    ]
    return (np.concatenate(blocks) / 255).astype(np.float32)


def world(data: str, pool: int, sizes: tuple[int, int, int], seed: int) -> World:
    """A split of this seed: `sizes` training, validation and test images, drawn without
    replacement; test images from the official test part where there is one. A test size of 0 takes
    all that is left."""
    x, y, x_test, y_test = pictures(data, pool)
    rng = np.random.default_rng([20240221, seed])
    train, validation, test = sizes
    order = rng.permutation(len(y))
    first, second = order[:train], order[train : train + validation]
    if len(y_test):
        last = rng.permutation(len(y_test))[: test or None]
        tested = x_test[last], y_test[last]
    else:
        last = order[train + validation :][: test or None]
        tested = x[last], y[last]
    return World(x[first], y[first], x[second], y[second], *tested)


@lru_cache(maxsize=8)
def _network(kind: str, shape: tuple[int, int, int], width: int) -> Network:
    if kind == "mlp":
        return network(lambda rngs: MLP((int(np.prod(shape)), width, width, 10), rngs=rngs))
    return network(lambda rngs: ResNet9(10, in_channels=shape[2], width=width, rngs=rngs))


def classifier(net: Mapping[str, Any], shape: tuple[int, ...]) -> Network:
    """The network of a world, one object for all cells, so that programs are compiled once."""
    return _network(str(net["kind"]), (shape[0], shape[1], shape[2]), int(net["width"]))
