"""Convolutions as products of patches against XLA's own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from theorylab.nets import CNN, functional
from theorylab.ntk import convolutions_as_products
from theorylab.ntk.convolutions import _PAYS, has_convolutions, small_products

CONVOLUTIONS = {
    "SAME, stride 2": ((2, 9, 8, 3), (3, 3, 3, 4), {"window_strides": (2, 2), "padding": "SAME"}),
    "VALID, stride 3 and 1": (
        (2, 10, 7, 2),
        (4, 2, 2, 5),
        {"window_strides": (3, 1), "padding": "VALID"},
    ),
    "dilated": (
        (1, 9, 9, 2),
        (3, 3, 2, 3),
        {"window_strides": (1, 2), "padding": "SAME", "rhs_dilation": (2, 3)},
    ),
}


@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_convolutions_as_products_keep_values_and_gradients(case):
    shape, kernel, options = CONVOLUTIONS[case]
    x, w = (
        jnp.asarray(np.random.default_rng(1).normal(size=s), jnp.float32) for s in (shape, kernel)
    )

    def f(w, x):
        z = jax.lax.conv_general_dilated(
            x, w, dimension_numbers=("NHWC", "HWIO", "NHWC"), **options
        )
        return {"sum": jnp.sin(z).sum(), "z": jax.nn.relu(z)}

    def all_of(h):
        return jax.jit(
            jax.value_and_grad(lambda *a: (h(*a)["sum"], h(*a)["z"]), (0, 1), has_aux=True)
        )(w, x)

    g = convolutions_as_products(f)
    assert "conv_general" not in str(jax.make_jaxpr(g)(w, x))
    for a, b in zip(*(jax.tree.leaves(all_of(h)) for h in (f, g)), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5)


def test_grouped_convolutions_and_channels_first_are_kept_or_understood():
    rng = np.random.default_rng(2)
    x = jnp.asarray(rng.normal(size=(1, 4, 6, 6)), jnp.float32)
    grouped, plain = (
        jnp.asarray(rng.normal(size=s), jnp.float32) for s in ((4, 1, 3, 3), (2, 4, 3, 3))
    )

    def f(params, x):
        x = jax.lax.conv_general_dilated(x, params[0], (1, 1), "SAME", feature_group_count=4)
        return jax.lax.conv_general_dilated(x, params[1], (2, 1), "VALID")

    g = convolutions_as_products(f)
    np.testing.assert_allclose(jax.jit(g)((grouped, plain), x), f((grouped, plain), x), atol=1e-5)
    assert str(jax.make_jaxpr(g)((grouped, plain), x)).count("conv_general") == 1


def test_what_products_do_not_pay_for_stays_a_convolution():
    def f(kernel, x):
        return jax.lax.conv_general_dilated(
            x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    kernel = jnp.zeros((3, 3, 2, 1))
    side = int((_PAYS / 18) ** 0.5)  # patches of one image: side^2 places of 3 x 3 x 2 numbers
    assert not has_convolutions(
        convolutions_as_products(f, largest=_PAYS), kernel, jnp.zeros((1, side, side, 2))
    )
    assert has_convolutions(
        convolutions_as_products(f, largest=_PAYS), kernel, jnp.zeros((1, side, side + 1, 2))
    )


def test_a_network_is_the_same_and_has_no_small_convolution_left():
    f, params = functional(CNN((6, 6, 1), 3, channels=(2,), hidden=(), rngs=nnx.Rngs(0)))
    x = jnp.asarray(np.random.default_rng(0).normal(size=(4, 6, 6, 1)), jnp.float32)
    g = small_products(f)
    np.testing.assert_allclose(jax.jit(g)(params, x), f(params, x), rtol=1e-5, atol=1e-6)
    assert has_convolutions(f, params, x)
    assert has_convolutions(g, params, x) == (jax.default_backend() != "cpu")
