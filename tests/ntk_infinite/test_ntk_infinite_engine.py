"""Tiling, symmetry, precision, input checks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from theorylab.errors import InputError
from theorylab.ntk import infinite as inf

MLP = inf.serial(inf.dense(sigma_w=2**0.5, sigma_b=0.1), inf.relu(), inf.dense())
CNN = inf.serial(inf.conv(1, 2, padding="SAME"), inf.relu(), inf.dense(), inf.dropout(0.5))
RNG = np.random.default_rng(0)
X, Z = RNG.normal(size=(23, 5)), RNG.normal(size=(11, 5))


def test_tiles_change_nothing():
    for other in (None, Z):
        whole, tiled = MLP.kernel(X, other), MLP.kernel(X, other, memory_gb=4e-6)
        np.testing.assert_allclose(tiled, whole, rtol=1e-14, atol=1e-14)


@pytest.mark.long
@pytest.mark.parametrize("positions", ["all", "same"])
def test_tiles_of_fields_change_nothing(positions):
    images = RNG.normal(size=(5, 2, 3, 1))
    whole = CNN.kernel(images, positions=positions)
    tiled = CNN.kernel(images, positions=positions, memory_gb=8 * 8 * 36 * 4.5e-9)
    assert whole.shape == ((5, 5, 2, 3, 2, 3) if positions == "all" else (5, 5, 2, 3))
    np.testing.assert_allclose(tiled, whole, rtol=1e-13, atol=1e-14)
    if positions == "all":  # swapping the samples swaps the positions with them
        np.testing.assert_array_equal(whole, np.transpose(whole, (1, 0, 4, 5, 2, 3)))
        same = CNN.kernel(images, positions="same")
        np.testing.assert_allclose(np.einsum("nmhwhw->nmhw", whole), same, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("memory_gb", [1.0, 4e-6])
def test_kernel_of_a_batch_with_itself_is_symmetric_to_the_bit(memory_gb):
    k = np.asarray(MLP.kernel(X, memory_gb=memory_gb))
    np.testing.assert_array_equal(k, k.T)


def test_result_is_float64_in_float32_code_and_float32_on_request():
    x = jnp.asarray(X, jnp.float32)
    k = MLP.kernel(x)
    assert k.dtype == jnp.float64 and not jax.config.jax_enable_x64
    single = MLP.kernel(x, dtype=jnp.float32)
    assert single.dtype == jnp.float32
    # A few roundings of 6e-8 relative to √(K_ii K_jj): entries near 0 come from cancellation.
    assert np.all(np.abs(single - k) < 1e-6 * np.sqrt(np.outer(np.diag(k), np.diag(k))))
    with jax.enable_x64(True):
        np.testing.assert_allclose(MLP.kernel(np.asarray(x)), k, rtol=1e-14, atol=1e-14)


def test_kernel_works_under_jit_and_vmap():
    x = jnp.asarray(X, jnp.float32)
    jitted = jax.jit(
        lambda x, s: inf.serial(inf.dense(sigma_w=s), inf.relu(), inf.dense()).kernel(x)
    )
    np.testing.assert_allclose(
        jitted(x, 1.5),
        inf.serial(inf.dense(sigma_w=1.5), inf.relu(), inf.dense()).kernel(x),
        rtol=1e-6,
    )
    batched = jax.vmap(lambda x: MLP.kernel(x))(jnp.stack([x, 2 * x]))
    np.testing.assert_allclose(batched[1], MLP.kernel(2 * x), rtol=1e-6)


def test_one_sample_and_one_dimension_are_enough():
    np.testing.assert_allclose(
        MLP.kernel([[2.0]]),
        [[2 * (2 * 4 + 0.01) / 2 - 0.01 / 2 + 0.01 / 2]],
        rtol=1e-14,
        atol=1e-14,
    )


def test_a_mesh_of_one_device_changes_nothing():
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:1]), ("rows",))
    np.testing.assert_allclose(
        MLP.kernel(X, Z, mesh=mesh), MLP.kernel(X, Z), rtol=1e-14, atol=1e-14
    )


def test_dropout_tells_one_sample_from_two_equal_ones():
    net = inf.serial(inf.dense(), inf.relu(), inf.dropout(0.5), inf.dense())
    itself, twice = np.asarray(net.kernel(X)), np.asarray(net.kernel(X, X))
    off = ~np.eye(len(X), dtype=bool)
    np.testing.assert_allclose(itself[off], twice[off], rtol=1e-12)
    np.testing.assert_allclose(np.diag(itself), 2 * np.diag(twice), rtol=1e-7)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"x1": X[0]}, "batch axis"),
        ({"x1": X[:0]}, "empty"),
        ({"x1": np.where(X > 1, np.nan, X)}, "x1 holds nan"),
        ({"x1": X.astype(complex)}, "real numbers"),
        ({"x1": X, "x2": Z[:, :3]}, "x2"),
        ({"x1": X, "get": "kernel"}, "get"),
        ({"x1": X, "positions": "some"}, "positions"),
        ({"x1": X, "dtype": jnp.float16}, "dtype"),
        ({"x1": X, "memory_gb": 1e-9}, "memory_gb"),
    ],
)
def test_bad_arguments_are_named(arguments, says):
    with pytest.raises(InputError, match=says):
        MLP.kernel(**arguments)
