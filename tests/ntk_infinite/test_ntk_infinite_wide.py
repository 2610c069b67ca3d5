"""Attention, transposed and local convolutions, recurrent networks, embeddings: against finite
networks, whose kernels come closer as they grow wider, with an error like 1/width."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from theorylab.errors import InputError
from theorylab.ntk import empirical_ntk
from theorylab.ntk import infinite as inf

SCALES = {"sigma_w": 1.3, "sigma_b": 0.4}
DRAWS = 64


def deep(make, width, *read):
    return inf.serial(make(width), *read, inf.dense(1, sigma_w=1.2))


NETWORKS = {
    "conv_transpose same": lambda w: deep(
        lambda w: inf.conv_transpose(w, (3,), strides=2, padding="SAME", **SCALES),
        w,
        inf.relu(),
        inf.flatten(),
    ),
    "conv_transpose circular": lambda w: deep(
        lambda w: inf.conv_transpose(w, (2,), strides=3, padding="CIRCULAR", **SCALES),
        w,
        inf.relu(),
        inf.global_avg_pool(),
    ),
    "conv_local": lambda w: deep(
        lambda w: inf.conv_local(w, (2,), padding="SAME", **SCALES),
        w,
        inf.relu(),
        inf.global_avg_pool(),
    ),
    "recurrent": lambda w: deep(
        lambda w: inf.recurrent(w, inf.relu(), sigma_u=0.9, **SCALES), w, inf.global_avg_pool()
    ),
    "recurrent, all times": lambda w: deep(
        lambda w: inf.recurrent(w, inf.erf(), sigma_u=0.9, **SCALES), w, inf.flatten()
    ),
    "attention": lambda w: deep(
        lambda w: inf.serial(
            inf.dense(w, **SCALES), inf.attention(w, sigma_qk=1.5, sigma_ov=1.1, sigma_b=0.2)
        ),
        w,
        inf.relu(),
        inf.flatten(),
    ),
    "attention, relu scores, embedding": lambda w: deep(
        lambda w: inf.serial(
            inf.dense(w, **SCALES),
            inf.attention(w, mechanism="relu", embedding=inf.Embedding("sum", 0.7, values=True)),
        ),
        w,
        inf.global_avg_pool(),
    ),
    "embeddings": lambda w: deep(
        lambda w: inf.serial(inf.dense(w), inf.conv(w, (2,), **SCALES)),
        w,
        inf.relu(),
        inf.flatten(),
    ),
}


def data(name):
    if name == "embeddings":
        return np.asarray(inf.one_hot(jnp.array([[0, 2, 2, 1], [2, 0, 1, 1], [0, 0, 0, -1]]), 3))
    x = np.random.default_rng(0).normal(size=(3, 4, 2))
    x[1] = 0.8 * x[0] + 0.2 * x[1]
    return x.astype(np.float32)


def finite(name, width):
    """Mean of the tangent kernels of networks, and its standard error."""
    net, x = NETWORKS[name](width), jnp.asarray(data(name), jnp.float32)
    f = functools.partial(net.apply)

    def draw(key):
        return empirical_ntk(f, net.init(key, x.shape), x)

    draws = jax.jit(lambda keys: jax.lax.map(draw, keys))(
        jax.random.split(jax.random.key(width), DRAWS)
    )
    draws = np.asarray(draws, np.float64)
    return draws.mean(0), draws.std(0, ddof=1) / DRAWS**0.5


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_wide_networks_approach_the_kernel(name):
    exact = np.asarray(NETWORKS[name](2).kernel(data(name)))
    scale = np.sqrt(np.outer(np.diag(exact), np.diag(exact)))
    for width in (32, 128):
        mean, error = finite(name, width)
        # five standard errors, and a bias of order 1/width of the entry's scale: constant 6
        assert np.all(np.abs(mean - exact) <= 5 * error + 6 / width * scale), (width, mean, exact)


@pytest.mark.slow
def test_the_spread_of_single_networks_falls_like_the_root_of_their_width():
    name = "recurrent"
    errors = [np.linalg.norm(finite(name, width)[1]) for width in (16, 64, 256)]
    slope = np.polyfit(np.log([16, 64, 256]), np.log(errors), 1)[0]
    # the variance of a kernel's entry is of order 1/width; 64 draws know its root to 10 %
    assert -0.65 < slope < -0.35


def test_a_recurrence_of_one_step_is_a_dense_layer():
    x = np.random.default_rng(1).normal(size=(4, 1, 3))
    recurrent, dense = (
        inf.serial(first, inf.flatten(), inf.dense()).kernel(x, get="both")
        for first in (
            inf.recurrent(sigma_w=1.7, sigma_u=1.2, sigma_b=0.3),
            inf.serial(inf.dense(sigma_w=1.2, sigma_b=0.3), inf.erf()),
        )
    )
    np.testing.assert_allclose(recurrent.ntk, dense.ntk, rtol=1e-12)
    np.testing.assert_allclose(recurrent.nngp, dense.nngp, rtol=1e-12)


def test_equal_times_of_a_recurrence_are_the_diagonal_of_all_times():
    x, y = np.random.default_rng(2).normal(size=(2, 3, 5, 2))
    net = inf.recurrent(activation=inf.relu(), sigma_w=1.2, sigma_b=0.3)
    for other in (None, y):
        full = net.kernel(x, other, get="both")
        same = net.kernel(x, other, get="both", positions="same")
        for a, b in zip(full, same, strict=True):
            np.testing.assert_allclose(np.diagonal(a, axis1=2, axis2=3), b, rtol=1e-10)


def test_a_transposed_convolution_of_stride_one_is_a_convolution():
    x = np.random.default_rng(3).normal(size=(3, 5, 4, 2))
    kernels = [
        make(8, 3, padding="CIRCULAR", sigma_w=1.3, sigma_b=0.2).kernel(x, get="both")
        for make in (inf.conv, inf.conv_transpose)
    ]
    for a, b in zip(*kernels, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


@pytest.mark.parametrize("padding", ["VALID", "SAME", "CIRCULAR"])
@pytest.mark.parametrize(("window", "strides"), [(2, 3), (3, 2), (4, 1)])
def test_a_transposed_convolution_has_the_covariance_of_its_own_taps(padding, window, strides):
    layer = inf.conv_transpose(
        1, (window,), strides=(strides,), padding=padding, sigma_w=1.4, sigma_b=0.5
    )
    x = np.random.default_rng(4).normal(size=(4, 3, 2)).astype(np.float32)
    taps = []  # the outputs are linear in the weights: one unit weight at a time gives all of them
    for tap in range(window):
        for channel in range(2):
            w = jnp.zeros((window, 2, 1)).at[tap, channel, 0].set(1.0)
            taps.append(np.asarray(layer.apply({"w": w, "b": jnp.zeros(1)}, jnp.asarray(x))))
    responses = np.concatenate(taps, -1)
    expected = np.einsum("ipk,jqk->ijpq", responses, responses) + 0.25
    np.testing.assert_allclose(layer.kernel(x, get="nngp"), expected, rtol=1e-5, atol=1e-6)
    assert layer.output_shape(x.shape)[1] == responses.shape[1]


def test_local_filters_leave_no_covariance_between_positions():
    x = np.random.default_rng(5).normal(size=(3, 4, 3, 2))
    options = {"padding": "SAME", "sigma_w": 1.3, "sigma_b": 0.2}
    shared = inf.conv(8, 2, **options).kernel(x, get="both", positions="same")
    local = inf.conv_local(8, 2, **options).kernel(x, get="both")
    for a, b in zip(shared, local, strict=True):
        b = np.asarray(b).reshape(3, 3, 12, 12)
        np.testing.assert_allclose(
            np.diagonal(b, axis1=2, axis2=3), a.reshape(3, 3, 12), rtol=1e-12
        )
        assert np.all(b[..., ~np.eye(12, dtype=bool)] == 0)


def test_scores_of_zero_weigh_all_positions_alike():
    x = np.random.default_rng(6).normal(size=(3, 4, 2))
    net = inf.attention(sigma_qk=0.0, sigma_ov=1.3)
    pooled = np.asarray(inf.global_avg_pool().kernel(x, get="nngp"))
    kernel = np.asarray(net.kernel(x, get="nngp"))
    np.testing.assert_allclose(
        kernel, np.broadcast_to(1.69 * pooled[..., None, None], kernel.shape)
    )


@pytest.mark.parametrize(("std", "variance"), [((), 1.0), ((0.5,), 0.25)])
def test_independent_embeddings_add_their_variance_over_the_number_of_positions(std, variance):
    """The mean of 4 positions, each with an embedding of its own; of variance 1 unless told."""
    x = np.random.default_rng(6).normal(size=(3, 4, 2))
    places = inf.Embedding("sum", *std, values=True)
    net = inf.attention(sigma_qk=0.0, sigma_ov=1.3, embedding=places)
    pooled = np.asarray(inf.global_avg_pool().kernel(x, get="nngp")) + variance / 4
    kernel = np.asarray(net.kernel(x, get="nngp"))
    np.testing.assert_allclose(
        kernel, np.broadcast_to(1.69 * pooled[..., None, None], kernel.shape)
    )


def test_equal_tokens_are_correlated_and_padding_is_not():
    tokens = np.array([[0, 1, 1], [1, 2, -1]])
    kernel = np.asarray(inf.dense(sigma_w=1.5).kernel(inf.one_hot(tokens, 4), get="nngp"))
    same = (tokens[:, None, :, None] == tokens[None, :, None, :]) & (tokens >= 0)[None, :, None, :]
    np.testing.assert_allclose(kernel, 2.25 * same)


@pytest.mark.parametrize(
    "make",
    [
        lambda: inf.attention(scaling="root"),
        lambda: inf.attention(mechanism="gelu"),
        lambda: inf.attention(embedding=inf.Embedding("add")),
        lambda: inf.attention().kernel(np.ones((2, 3))),
        lambda: inf.conv_transpose(0, 2),
        lambda: inf.conv_transpose(4, 2).kernel(np.ones((2, 3, 1))),
        lambda: inf.conv_local(4, 2, padding="FULL"),
        lambda: inf.recurrent(activation=inf.dense()),
        lambda: inf.recurrent().kernel(np.ones((2, 3))),
        lambda: inf.one_hot(np.array([0, 5]), 3),
    ],
)
def test_impossible_layers_are_refused(make):
    with pytest.raises(InputError):
        make()
