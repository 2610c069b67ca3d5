"""Convolutions in forms that are faster on a CPU, against XLA's own, in float64."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from theorylab.robustness.convolutions import Along, by_rows, rows_of, together

NAMES = ("NHWC", "HWIO", "NHWC")


@pytest.fixture(autouse=True)
def _double():
    with jax.enable_x64(True):
        yield


def draw(*shapes, seed=0):
    rng = np.random.default_rng(seed)
    return [jnp.asarray(rng.standard_normal(shape)) for shape in shapes]


def gradients(f, x, w, cotangent):
    return jax.grad(lambda x, w: (f(x, w) * cotangent).sum(), (0, 1))(x, w)


def check_forward(ours, plain, x, w):
    """Derivatives forward, of both arguments and of each alone."""
    along = draw(x.shape, w.shape, seed=2)
    for only in ((0, 1), (0,), (1,)):

        def at(f, *parts, only=only):
            given = dict(zip(only, parts, strict=True))
            return f(given.get(0, x), given.get(1, w))

        points, tangents = ([both[i] for i in only] for both in ((x, w), along))
        found, wanted = (jax.jvp(partial(at, f), points, tangents)[1] for f in (ours, plain))
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-11)


@pytest.mark.parametrize(
    ("taps", "rows", "stride", "dilation", "padding"),
    [
        (4, 28, 2, 1, (1, 1)),
        (3, 16, 1, 1, (1, 1)),
        (4, 9, 3, 1, (2, 0)),
        (3, 9, 1, 1, (-1, 0)),
        (4, 14, 1, 2, (2, 2)),
        (5, 9, 1, 3, (0, 4)),
        (3, 8, 1, 2, (2, 3)),
    ],
)
def test_gradients_of_rows_are_those_that_jax_makes(taps, rows, stride, dilation, padding):
    x, w = draw((5, rows, 6), (taps, 6, 4))
    along = Along(stride, dilation, padding, None)
    plain, ours = (lambda x, w, f=f: f(x, w, along) for f in (rows_of, by_rows))
    (cotangent,) = draw(plain(x, w).shape, seed=1)
    for a, b in zip(
        gradients(ours, x, w, cotangent), gradients(plain, x, w, cotangent), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)
    check_forward(ours, plain, x, w)


@pytest.mark.parametrize(
    ("size", "channels", "kernel", "padding"),
    [
        ((16, 16), (8, 8), (3, 3), ((1, 1), (1, 1))),
        ((9, 10), (3, 5), (3, 3), ((0, 2), (1, 0))),
        ((7, 8), (4, 3), (2, 2), ((0, 0), (0, 0))),
        ((6, 7), (2, 1), (5, 3), ((2, 2), (2, 1))),
        ((7, 7), (2, 4), (3, 3), ((-1, 0), (1, -2))),
        ((5, 5), (2, 20), (3, 3), ((1, 1), (1, 1))),
    ],
)
def test_neighbouring_columns_at_once_are_the_same_convolution(size, channels, kernel, padding):
    x, w = draw((3, *size, channels[0]), (*kernel, *channels))

    def plain(x, w):
        return jax.lax.conv_general_dilated(x, w, (1, 1), padding, dimension_numbers=NAMES)

    def ours(x, w):
        return together(x, w, padding, None)

    expected = plain(x, w)
    np.testing.assert_allclose(ours(x, w), expected, rtol=1e-12, atol=1e-12)
    (cotangent,) = draw(expected.shape, seed=1)
    found, wanted = (gradients(f, x, w, cotangent) for f in (ours, plain))
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)
    check_forward(ours, plain, x, w)


def test_every_sample_has_the_gradient_by_its_own_kernel_use():
    x, w = draw((4, 1, 6, 6, 3), (3, 3, 3, 2))
    padding = ((1, 1), (1, 1))

    def total(w, f):
        return jnp.square(jax.vmap(lambda one: f(one, w))(x)).sum()

    def plain(one, w):
        return jax.lax.conv_general_dilated(one, w, (1, 1), padding, dimension_numbers=NAMES)

    ours = jax.grad(total)(w, lambda one, w: together(one, w, padding, None))
    np.testing.assert_allclose(ours, jax.grad(total)(w, plain), rtol=1e-12)
