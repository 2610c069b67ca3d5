import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from theorylab.data import CORRUPTIONS, corrupt, load
from theorylab.errors import InputError

KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def grey():
    return load("fashion_mnist", sample=True).x_test[:24] / 255.0


# all tests use images of one shape: each family is compiled once
def square():
    """A white square on black, off the centre."""
    x = np.zeros((24, 28, 28), np.float32)
    x[:, 4:12, 6:14] = 1.0
    return x


@pytest.mark.long
@pytest.mark.parametrize("name", CORRUPTIONS)
def test_every_family_keeps_shape_and_range_and_gets_worse_with_severity(grey, name):
    moved = []
    for severity in (1, 3, 5):
        out = np.asarray(corrupt(grey, name, severity, KEY))
        assert (
            out.shape == grey.shape
            and out.dtype == np.float32
            and out.min() >= 0
            and out.max() <= 1
        )
        moved.append(np.sqrt(((out - grey) ** 2).mean()))
    assert 0.01 < moved[0] < moved[1] < moved[2]


def test_there_are_at_least_15_families_of_5_severities():
    assert len(CORRUPTIONS) >= 15 and all(len(levels) == 5 for levels in CORRUPTIONS.values())


@pytest.mark.slow  # a second shape: twenty more compilations
@pytest.mark.parametrize("name", CORRUPTIONS)
def test_colour_images_of_32_pixels_work_too(name):
    x = np.random.default_rng(0).uniform(size=(3, 32, 32, 3)).astype(np.float32)
    out = np.asarray(corrupt(x, name, 5, KEY))
    assert out.shape == x.shape and np.isfinite(out).all() and np.abs(out - x).max() > 0.05


def test_noise_has_the_variance_of_its_level():
    x = np.full((24, 28, 28), 0.5)
    # standard error of a variance over 18,816 values: 1 %; clipping at 0 and 1 is beyond three
    # deviations
    assert np.var(corrupt(x, "gaussian_noise", 2, KEY)) == pytest.approx(0.16**2, rel=0.03)
    assert np.var(corrupt(x, "shot_noise", 1, KEY)) == pytest.approx(0.5 / 60, rel=0.03)
    changed = np.asarray(corrupt(x, "impulse_noise", 3, KEY))
    assert np.mean(changed != 0.5) == pytest.approx(0.13, abs=0.01) and set(np.unique(changed)) == {
        0.0,
        0.5,
        1.0,
    }


def test_one_key_gives_the_same_noise_again_and_other_noise_elsewhere(grey):
    first = np.asarray(corrupt(grey, "gaussian_noise", 1, KEY))
    np.testing.assert_array_equal(first, corrupt(grey, "gaussian_noise", 1, KEY))
    assert np.abs(first - corrupt(grey, "gaussian_noise", 1, jax.random.key(1))).max() > 0.05


def test_blur_is_scipys_gaussian_filter_with_renormalised_border(grey):
    def reference(x, sigma):
        return ndimage.gaussian_filter(x, (0, sigma, sigma), mode="constant", truncate=30)

    expected = reference(grey, 1.2) / reference(np.ones_like(grey), 1.2)
    np.testing.assert_allclose(corrupt(grey, "gaussian_blur", 3, KEY), expected, atol=2e-6)


def test_filters_leave_a_constant_image_as_it_is():
    x = np.full((24, 28, 28), 0.3, np.float32)
    for name in ("gaussian_blur", "defocus_blur", "motion_blur", "pixelate", "contrast"):
        np.testing.assert_allclose(corrupt(x, name, 5, KEY), x, atol=1e-5)


def test_translation_moves_pixels_by_whole_steps():
    moved = np.asarray(corrupt(square(), "translation", 3, KEY))
    np.testing.assert_allclose(moved, np.roll(square(), (3, 3), (1, 2)), atol=1e-6)


def test_rotation_is_scipys(grey):
    turned = ndimage.rotate(grey, 25, axes=(2, 1), reshape=False, order=1, mode="constant")
    # scipy's border takes no half pixels from outside: compare where the source lies inside
    inner = slice(7, 21)
    found = np.asarray(corrupt(grey, "rotation", 3, KEY))
    same = [
        np.abs(found - r)[:, inner, inner].max()
        for r in (turned, ndimage.rotate(grey, -25, (2, 1), False, order=1))
    ]
    assert min(same) < 1e-5


def test_light_follows_its_formula(grey):
    x = grey.astype(np.float32)
    mean = x.mean((1, 2), keepdims=True)
    for name, expected in (
        ("contrast", mean + 0.35 * (x - mean)),
        ("brightness", x + 0.3),
        ("gamma", x**0.35),
        ("negative", 0.7 * x + 0.3 * (1 - x)),
        ("posterize", np.round(3 * x) / 3),
    ):
        np.testing.assert_allclose(
            corrupt(grey, name, 3, KEY), expected.clip(0, 1), atol=1e-5, err_msg=name
        )


def test_occlusion_hides_one_square_of_the_right_size_in_each_image():
    hidden = np.asarray(corrupt(np.ones((24, 28, 28)), "occlusion", 2, KEY)) == 0
    assert (hidden.sum((1, 2)) == 49).all()
    assert all((h.any(1).sum(), h.any(0).sum()) == (7, 7) for h in hidden)
    assert len({h.tobytes() for h in hidden}) > 10  # places differ


def test_pixelate_makes_blocks_of_their_means():
    x = np.random.default_rng(0).uniform(size=(24, 28, 28)).astype(np.float32)
    blocks = x.reshape(24, 7, 4, 7, 4).mean((2, 4))
    np.testing.assert_allclose(
        corrupt(x, "pixelate", 5, KEY), blocks.repeat(4, 1).repeat(4, 2), atol=1e-5
    )


def test_uint8_images_and_traced_ones_are_the_same(grey):
    bytes_ = np.round(255 * grey).astype(np.uint8)
    expected = corrupt(grey, "fog", 2, KEY)
    np.testing.assert_allclose(corrupt(bytes_, "fog", 2, KEY), expected, atol=1e-6)
    np.testing.assert_allclose(
        jax.jit(lambda x: corrupt(x, "fog", 2, KEY))(jnp.asarray(grey, jnp.float32)),
        expected,
        atol=1e-6,
    )


@pytest.mark.parametrize(
    "images, name, severity, key, named",
    [
        (np.zeros((1, 4, 4)), "rain", 1, KEY, "name"),
        (np.zeros((1, 4, 4)), "fog", 0, KEY, "severity"),
        (np.zeros((1, 4, 4)), "fog", 1, 0, "key"),
        (np.zeros((4, 4)), "fog", 1, KEY, "images"),
        (np.full((1, 4, 4), np.nan), "fog", 1, KEY, "images"),
        (np.zeros((1, 4, 4), int), "fog", 1, KEY, "images"),
        (np.full((1, 4, 4), 255.0), "fog", 1, KEY, "images"),
        (np.zeros((0, 4, 4)), "fog", 1, KEY, "images"),
    ],
)
def test_bad_input_is_named(images, name, severity, key, named):
    with pytest.raises(InputError, match=rf"^{named}\b"):
        corrupt(images, name, severity, key)
