"""Clipped sums of convolutional networks against per-example gradients and another network."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from theorylab import nets
from theorylab.errors import InputError
from theorylab.privacy.dp_sgd import ConvNet, PerExample, Training, simulate_descents

RNG = np.random.default_rng(0)
SHAPE = (9, 8, 2)
X = jnp.asarray(RNG.normal(size=(6, *SHAPE)), jnp.float32)
Y = jnp.asarray(RNG.integers(0, 3, 6))


def network(strides, channels, activation="tanh", *, widths=(5, 3)):
    net = ConvNet(strides, 1, activation)
    return net, net.start(jax.random.key(0), SHAPE, channels=channels, widths=widths)


@pytest.mark.long
@pytest.mark.parametrize("strides, channels, activation", [
    ((2,), (4,), "tanh"),
    ((1, 2), (3, 5), "relu"),
    ((2, 2, 2), (4, 40, 100), "tanh"),  # 36,000 weights on four positions: pairs of positions
    ((), (), "tanh"),
])  # fmt: skip
@pytest.mark.parametrize("clip", [0.3, 1e3])
def test_sums_are_those_of_per_example_gradients(strides, channels, activation, clip):
    net, params = network(strides, channels, activation)
    member = jnp.asarray([1.0, 0, 1, 1, 0, 1])
    args = params, None, X, Y, member, clip
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5),
        jax.jit(net.sums)(*args),
        jax.jit(PerExample(net.loss).sums)(*args),
    )


@pytest.mark.long
def test_the_network_is_that_of_the_package():
    net, params = network((2, 2), (4, 6), "relu")
    other = nets.CNN(SHAPE, 3, channels=(4, 6), strides=2, padding=1, hidden=(5,), rngs=nnx.Rngs(0))
    state = nnx.state(other, nnx.Param)
    leaves = {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree.leaves_with_path(state)}
    kernels = [v for k, v in leaves.items() if "kernel" in k]
    biases = [v for k, v in leaves.items() if "bias" in k]
    assert [k.shape for k in kernels] == [p["kernel"].shape for p in params]
    given = tuple({"kernel": k, "bias": b} for k, b in zip(kernels, biases, strict=True))
    np.testing.assert_allclose(net.outputs(given, X), other(X), rtol=1e-4, atol=1e-5)


@pytest.mark.long
def test_a_record_that_is_not_finite_adds_nothing():
    net, params = network((2, 2, 2), (4, 40, 100))
    broken = X.at[2, 0, 0, 0].set(jnp.nan).at[4].set(3e38)
    got = net.sums(params, None, broken, Y, jnp.ones(6), 0.5)
    member = jnp.asarray([1.0, 1, 0, 1, 0, 1])
    want = net.sums(params, None, X, Y, member, 0.5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), got, want)


def test_it_trains_in_a_descent():
    net, params = network((2,), (4,))
    training = Training(60, 0.5, 5.0, 1e-3, 0.9)
    keys = jax.random.split(jax.random.key(1), 1)
    found = simulate_descents(net, params, X, Y, training=training, keys=keys)
    last = jax.tree.map(lambda p: p[0], found.params)
    assert (net.outputs(last, X).argmax(1) == Y).all()


def test_bad_input_is_one_line():
    for told, call in (
        ("strides = 0", lambda: ConvNet((0,))),
        ("padding = -1", lambda: ConvNet((1,), -1)),
        ("activation = 'gelu'", lambda: ConvNet((1,), 1, "gelu")),
    ):
        with pytest.raises(InputError, match=told) as caught:
            call()
        assert "\n" not in str(caught.value)
