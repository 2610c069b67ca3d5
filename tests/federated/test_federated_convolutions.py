"""Products of patches against XLA's own convolution."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from theorylab.federated.convolutions import _ENTRIES, convolve, with_patch_products
from theorylab.nets import CNN

RNG = np.random.default_rng(0)
LAYOUT = ("NHWC", "HWIO", "NHWC")


@pytest.mark.parametrize("strides", [(1, 1), (2, 3)])
@pytest.mark.parametrize("padding", ["SAME", "VALID", ((1, 1), (2, 0))])
def test_values_and_gradients_are_those_of_the_convolution(strides, padding):
    x, kernel = (jnp.asarray(RNG.normal(size=s), jnp.float32) for s in ((2, 7, 8, 3), (3, 2, 3, 4)))
    plain = lambda x, k: jax.lax.conv_general_dilated(x, k, strides, padding, dimension_numbers=LAYOUT)  # noqa: E731
    ours = lambda x, k: convolve(x, k, strides, padding, dimension_numbers=LAYOUT)  # noqa: E731
    np.testing.assert_allclose(ours(x, kernel), plain(x, kernel), rtol=1e-4, atol=1e-5)
    a, b = (jax.grad(lambda x, k, f=f: jnp.sin(f(x, k)).sum(), (0, 1))(x, kernel) for f in (ours, plain))
    for one, other in zip(a, b, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "kernel", "options"),
    [
        ((1, 6, 6, 4), (3, 3, 2, 4), {"feature_group_count": 2}),
        ((1, 6, 6, 2), (3, 3, 2, 4), {"rhs_dilation": (2, 2)}),
        ((1, 6, 6, 2), (3, 3, 2, 4), {"lhs_dilation": (2, 1)}),
        ((1, _ENTRIES // 64, 64, 2), (1, 1, 2, 1), {}),
    ],
)
def test_what_patches_do_not_cover_or_pay_for_stays_a_convolution(shape, kernel, options):
    f = lambda x, k: convolve(x, k, (1, 1), ((1, 1), (0, 0)), dimension_numbers=LAYOUT, **options)  # noqa: E731
    program = jax.make_jaxpr(f)(jnp.zeros(shape), jnp.zeros(kernel))
    assert "conv_general_dilated" in str(program)


def test_the_network_is_the_same_and_has_no_convolution_left():
    model = CNN((6, 6, 1), 3, channels=(2,), hidden=(), rngs=nnx.Rngs(0))
    other, x = with_patch_products(model), jnp.asarray(RNG.normal(size=(4, 6, 6, 1)), jnp.float32)
    np.testing.assert_allclose(other(x), model(x), rtol=1e-5, atol=1e-6)
    assert "conv_general_dilated" not in str(jax.make_jaxpr(other)(x))
    assert "conv_general_dilated" in str(jax.make_jaxpr(model)(x))
