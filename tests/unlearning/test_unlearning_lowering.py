import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import lax

from theorylab import unlearning as u
from theorylab.nets import cross_entropy
from theorylab.unlearning.lowering import for_reverse_mode

KEY = jax.random.key(5)
N = 6


def convolve(x, w, stride, padding):
    sides = [(padding, padding)] * 2
    numbers = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(x, w, (stride, stride), sides, dimension_numbers=numbers)


def net(params, x):
    """A stride, a pool, and a convolution of few positions."""
    x = jnp.tanh(convolve(x, params["a"], 2, 2))
    x = nnx.max_pool(x, (2, 2), (2, 2))
    x = convolve(x, params["b"], 1, 0)
    return x.max((1, 2)) @ params["c"]


@pytest.fixture
def given():
    a, b, c, x = (
        jax.random.normal(key, shape)
        for key, shape in zip(
            jax.random.split(KEY, 4),
            [(5, 5, 2, 4), (3, 3, 4, 6), (6, 3), (N, 16, 16, 2)],
            strict=True,
        )
    )
    return {"a": a, "b": b, "c": c}, x


def close(found, expected):
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * float(jnp.abs(b).max()))


def test_values_and_gradients_are_those_of_the_plain_network(given):
    def total(f):
        return jax.jit(jax.value_and_grad(lambda p, x: jnp.square(f(p, x)).sum(), (0, 1)))

    close(total(for_reverse_mode(net, N))(*given), total(net)(*given))


def test_what_a_cpu_takes_slowly_is_gone_there_and_stays_elsewhere(given, monkeypatch):
    def program():
        return str(
            jax.make_jaxpr(jax.grad(lambda p, x: for_reverse_mode(net, N)(p, x).sum()))(*given)
        )

    assert "select_and" in program() or jax.default_backend() == "cpu"
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    assert "select_and" not in program()
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert "select_and" in program()


@pytest.mark.long
def test_importances_of_batch_means_are_those_of_the_plain_network(small_resnet, large_images):
    model = small_resnet.init(KEY)
    x, y = large_images.batch(jnp.arange(24))

    def mean(params):
        return cross_entropy(small_resnet.evaluate(params, model.state, x), y).mean()

    every = np.ones(24, bool)
    found = u.gradient_importance(small_resnet, model, large_images, every, batch_size=24)
    close(found, jax.tree.map(jnp.square, jax.jit(jax.grad(mean))(model.params)))
