import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

from theorylab.errors import InputError
from theorylab.nets import DepthwiseConv, depthwise_conv


def draw(shape, seed):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


@pytest.mark.long
@settings(max_examples=8, deadline=None)
@given(
    st.integers(1, 9),
    st.integers(1, 9),
    st.sampled_from([1, 2, 3, 5]),
    st.sampled_from([1, 2, 3]),
    st.integers(1, 3),
)
def test_shifted_equals_tensorflows_same_padding_of_the_grouped_convolution(h, w, k, stride, c):
    x, kernel = draw((2, h, w, c), 0), draw((k, k, 1, c), 1)
    expected = jax.lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        "SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=c,
    )
    for lowering in ("shifted", "grouped"):
        got = depthwise_conv(x, kernel, strides=stride, lowering=lowering)
        assert got.shape == expected.shape
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.long
@pytest.mark.parametrize(
    ("k", "stride", "padding"),
    [(3, 1, "SAME"), (3, 2, "SAME"), (5, 2, "VALID"), (3, 2, ((1, 1), (0, 2)))],
)
def test_both_lowerings_have_the_same_gradients(k, stride, padding):
    x, kernel = draw((2, 7, 8, 3), 0), draw((k, k, 1, 3), 1)

    def objective(x, kernel, lowering):
        return jnp.sin(
            depthwise_conv(x, kernel, strides=stride, padding=padding, lowering=lowering)
        ).sum()

    a, b = (jax.grad(objective, (0, 1))(x, kernel, low) for low in ("shifted", "grouped"))
    for got, expected in zip(a, b, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


def test_equality_is_exact_on_integers():
    x, kernel = jnp.round(10 * draw((2, 7, 7, 3), 0)), jnp.round(10 * draw((3, 3, 1, 3), 1))
    a, b = (depthwise_conv(x, kernel, strides=2, lowering=low) for low in ("shifted", "grouped"))
    np.testing.assert_array_equal(a, b)


def test_float64_and_vmap_are_kept():
    with jax.enable_x64(True):
        x, kernel = jnp.ones((3, 1, 4, 4, 2)), jnp.ones((3, 3, 1, 2), jnp.float32)
        y = jax.vmap(lambda x: depthwise_conv(x, kernel))(x)
        assert y.dtype == jnp.float64
        # ones seen by a 3x3 window at the left border
        np.testing.assert_array_equal(y[0, 0, :, 0, 0], [4, 6, 6, 4])


def test_module_computes_the_function():
    layer = DepthwiseConv(3, 5, 2, rngs=nnx.Rngs(0))
    x = draw((1, 6, 6, 3), 0)
    np.testing.assert_allclose(layer(x), depthwise_conv(x, layer.kernel[...], strides=2))


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"kernel": jnp.ones((3, 3, 2, 3))}, "one c"),
        ({"kernel": jnp.ones((3, 3, 1, 2))}, "one c"),
        ({"lowering": "fast"}, "lowering"),
        ({"padding": "FULL"}, "padding"),
    ],
)
def test_bad_input_is_named(options, word):
    with pytest.raises(InputError, match=word):
        depthwise_conv(**{"x": jnp.ones((1, 4, 4, 3)), "kernel": jnp.ones((3, 3, 1, 3))} | options)
