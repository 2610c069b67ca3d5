"""What can be put together and what cannot; windows against brute force."""

import jax
import numpy as np
import pytest

from theorylab.errors import InputError
from theorylab.ntk import infinite as inf

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 4))
IMAGES = RNG.normal(size=(2, 5, 6, 3))


@pytest.mark.long
@pytest.mark.parametrize("padding", ["SAME", "VALID", "CIRCULAR"])
@pytest.mark.parametrize("strides", [1, (2, 3)])
def test_linear_convolution_followed_by_pooling_is_a_gram_matrix_of_patches(padding, strides):
    net = inf.serial(
        inf.conv(7, (2, 3), strides=strides, padding=padding, sigma_w=1.5),
        inf.avg_pool(2),
        inf.flatten(),
        inf.dense(),
    )
    one_filter = np.eye(18).reshape(2, 3, 3, 18)  # a convolution that returns its patches
    patches = inf.conv(18, (2, 3), strides=strides, padding=padding).apply(
        {"w": one_filter, "b": np.zeros(18)}, IMAGES
    )
    pooled = np.asarray(inf.avg_pool(2).apply((), patches), np.float64)
    # The patches carry 1/√18; Σ is σ_w² <pooled patches>, averaged over positions, and Θ is twice
    # that (two layers).
    gram = 1.5**2 * np.einsum("nhwc,mhwc->nm", pooled, pooled) / np.prod(pooled.shape[1:3])
    both = net.kernel(IMAGES, get="both")
    np.testing.assert_allclose(both.nngp, gram, rtol=1e-5)  # float32 patches
    np.testing.assert_allclose(both.ntk, 2 * gram, rtol=1e-5)


def test_convolution_over_one_pixel_is_a_dense_layer():
    image = X[:, None, None, :]
    flat = inf.serial(inf.dense(sigma_b=0.3), inf.relu(), inf.dense())
    field = inf.serial(inf.conv(1, 1, sigma_b=0.3), inf.relu(), inf.global_avg_pool(), inf.dense())
    np.testing.assert_allclose(field.kernel(image), flat.kernel(X), rtol=1e-14)


def test_average_pooling_over_everything_is_global_average_pooling():
    def readout(pool):
        return inf.serial(
            inf.conv(1, 3, padding="SAME"), inf.relu(), pool, inf.flatten(), inf.dense()
        )

    np.testing.assert_allclose(
        readout(inf.avg_pool((5, 6))).kernel(IMAGES),
        readout(inf.global_avg_pool()).kernel(IMAGES),
        rtol=1e-13,
    )


def test_edges_are_normalised_on_request():
    ones = np.ones((1, 3, 3, 1))
    pooled = inf.avg_pool(2, padding="SAME", normalize_edges=True)
    np.testing.assert_allclose(inf.serial(pooled).apply(((),), ones), ones)
    np.testing.assert_allclose(
        inf.serial(inf.conv(1, 1), pooled).kernel(ones, positions="same"), 1.0
    )


@pytest.mark.long
def test_one_dimensional_and_three_dimensional_fields_work():
    for spatial in ((6,), (2, 3, 2)):
        x = RNG.normal(size=(2, *spatial, 2))
        net = inf.serial(
            inf.conv(8, (2,) * len(spatial), padding="SAME"),
            inf.relu(),
            inf.global_avg_pool(),
            inf.dense(3),
        )
        params = net.init(jax.random.key(0), x.shape)
        assert net.apply(params, x).shape == net.output_shape(x.shape) == (2, 3)
        assert np.linalg.eigvalsh(net.kernel(x))[0] > 0


def test_residual_of_linear_layers_adds_covariances():
    net = inf.serial(inf.dense(), inf.residual(inf.dense(sigma_w=2.0)))
    gram = X @ X.T / 4
    both = net.kernel(X, get="both")
    np.testing.assert_allclose(both.nngp, 5 * gram, rtol=1e-13)  # identity 1, branch 4
    np.testing.assert_allclose(both.ntk, (1 + 4 + 4) * gram, rtol=1e-13)


def test_correlated_branches_are_refused_also_when_nested():
    for branches in (
        [inf.identity(), inf.identity()],
        [inf.identity(), inf.serial(inf.dense(), inf.relu())],
        [inf.identity(), inf.residual(inf.dense())],
    ):
        with pytest.raises(InputError, match="correlated"):
            inf.serial(inf.dense(), inf.parallel(*branches)).kernel(X)
    # One branch may be anything: what the others add is centred given it.
    inf.serial(
        inf.dense(), inf.residual(inf.dense(), skip=inf.serial(inf.relu(), inf.dense()))
    ).kernel(X)


@pytest.mark.parametrize(
    "net",
    [
        lambda: inf.serial(inf.relu(), inf.dense()),
        lambda: inf.serial(inf.dense(), inf.relu(), inf.relu()),
        lambda: inf.serial(inf.dense(), inf.relu(), inf.layer_norm()),
        lambda: inf.serial(inf.conv(1, 2), inf.flatten(), inf.relu()),
        lambda: inf.serial(inf.flatten(), inf.conv(1, 2)),
        lambda: inf.conv(1, 9),
        lambda: inf.parallel(inf.conv(1, 2), inf.conv(1, 3)),
    ],
)
def test_networks_without_a_known_limit_are_refused(net):
    with pytest.raises(InputError):
        net().kernel(IMAGES)


@pytest.mark.parametrize(
    "make",
    [
        lambda: inf.serial(),
        lambda: inf.serial(inf.relu),
        lambda: inf.dense(0),
        lambda: inf.conv(1, 0),
        lambda: inf.conv(1, 3, strides=(1,)),
        lambda: inf.conv(1, 3, padding="FULL"),
        lambda: inf.avg_pool(2, normalize_edges=True),
        lambda: inf.layer_norm("batch"),
        lambda: inf.dropout(0.0),
        lambda: inf.dropout(1.5),
        lambda: inf.serial(inf.dropout(0.5)).apply(((),), X),
        lambda: inf.residual(inf.dense(3)).init(jax.random.key(0), X.shape),
        lambda: inf.conv(1, (1, 1, 1, 1)).apply({}, IMAGES),
    ],
)
def test_bad_layers_are_refused(make):
    with pytest.raises(InputError):
        make()
