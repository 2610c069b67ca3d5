import jax
import jax.numpy as jnp
import numpy as np
import pytest

from theorylab.errors import InputError
from theorylab.shift import colour_images, colour_noise, shrink_images


def test_colours_agree_with_labels_as_often_as_asked():
    labels = np.arange(3000) % 3
    images = np.full((3000, 2, 2), 255, np.uint8)
    palette = np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
    painted, colours = colour_images(
        images, labels, key=jax.random.key(0), agree=0.7, palette=palette
    )
    right = (np.asarray(colours) == labels).mean()
    assert abs(right - 0.7) < 4 * (0.21 / 3000) ** 0.5 and painted.shape == (3000, 2, 2, 2)
    # a wrong colour is each of the others equally often
    offset = (np.asarray(colours) - labels)[np.asarray(colours) != labels] % 3
    assert abs((offset == 1).mean() - 0.5) < 4 * (0.25 / len(offset)) ** 0.5
    np.testing.assert_allclose(
        painted, np.broadcast_to(palette[np.asarray(colours)][:, None, None], painted.shape)
    )


def test_certain_agreement_paints_labels_and_black_stays_black():
    images = np.array([[[0.0, 1.0]], [[0.5, 0.0]]])
    painted, _ = colour_images(images, [1, 0], key=jax.random.key(0), agree=1.0)
    np.testing.assert_allclose(painted, [[[[0, 0], [0, 1]]], [[[0.5, 0], [0, 0]]]])
    _, other = colour_images(images, [1, 0], key=jax.random.key(0), agree=0.0)
    assert other.tolist() == [0, 1]


def test_noise_has_its_scale_on_every_channel():
    noise = np.asarray(colour_noise(jnp.zeros((50, 8, 8, 3)), key=jax.random.key(0), scale=0.3))
    assert np.abs(noise.std((0, 1, 2)) / 0.3 - 1).max() < 4 / (2 * 3200) ** 0.5
    assert (
        np.asarray(colour_noise(jnp.ones((1, 2, 2, 1)), key=jax.random.key(0), scale=0.0)) == 1
    ).all()


def test_shrinking_takes_block_means():
    images = np.arange(16, dtype=np.float32).reshape(1, 4, 4)
    np.testing.assert_allclose(shrink_images(images)[0], [[2.5, 4.5], [10.5, 12.5]])


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda k: colour_images(np.ones((2, 2, 2)), [0, 2], key=k, agree=0.5), "labels holds 2"),
        (lambda k: colour_images(np.ones((2, 2, 2)), [0], key=k, agree=0.5), "shapes images"),
        (lambda k: colour_images(np.ones((2, 2, 2)), [0.0, 1.0], key=k, agree=0.5), "integer"),
        (
            lambda k: colour_images(np.ones((2, 2, 2)), [0, 0], key=k, agree=0.5, palette=[[1.0]]),
            "1 colour",
        ),
        (lambda k: colour_images(np.ones((2, 2)), [0, 0], key=k, agree=0.5), "images has shape"),
        (lambda k: colour_noise(np.ones((2, 2, 2)), key=k, scale=1.0), "images has shape"),
        (lambda k: shrink_images(np.ones((1, 3, 2))), "even"),
    ],
)
def test_bad_input_is_refused_by_name(call, said):
    with pytest.raises(InputError, match=said):
        call(jax.random.key(0))


def test_pixels_beyond_float32_are_refused_by_name():
    with pytest.raises(InputError, match=r"^images holds"):
        shrink_images(np.full((1, 2, 2), 1e160))
