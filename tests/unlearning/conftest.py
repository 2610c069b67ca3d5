"""Small worlds that the tests of this package share."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from theorylab import unlearning as u
from theorylab.nets import MLP
from theorylab.nets.resnet9 import ResNet9


def dense(params, x):
    return x.reshape(len(x), -1) @ params["w"] + params["b"]


def start(key):
    return {"b": jnp.zeros(3), "w": 0.1 * jax.random.normal(key, (16, 3))}


@pytest.fixture(scope="session")
def linear():
    """A linear softmax classifier of 4 x 4 images."""
    return u.of_function(dense, start)


@pytest.fixture(scope="session")
def mlp():
    return u.network(lambda rngs: MLP((16, 8, 6, 3), rngs=rngs))


@pytest.fixture(scope="session")
def small_resnet():
    return u.network(lambda rngs: ResNet9(3, in_channels=1, width=2, rngs=rngs))


@pytest.fixture(scope="session")
def images():
    """40 images of 4 x 4 pixels, three classes."""
    rng = np.random.default_rng(0)
    y = np.arange(40) % 3
    return (rng.normal(size=(40, 4, 4)) + y[:, None, None]).astype(np.float32), y


@pytest.fixture(scope="session")
def poisoned(images):
    return u.manipulate(*images, u.BackdoorPatch(2, 3.0), 8, key=jax.random.key(1))


@pytest.fixture(scope="session")
def large_images():
    """24 images of 12 x 12 pixels, 4 of them poisoned."""
    rng = np.random.default_rng(1)
    y = np.arange(24) % 3
    x = (rng.normal(size=(24, 12, 12, 1)) + y[:, None, None, None]).astype(np.float32)
    return u.manipulate(x, y, u.BackdoorPatch(2, 3.0), 4, key=jax.random.key(2))
