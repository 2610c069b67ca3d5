import dataclasses

import numpy as np
import pytest

from theorylab.data import Column, Dataset, load
from theorylab.data.dataset import image_statistics, table_statistics
from theorylab.errors import InputError


def images(shape, seed=0, n_test=3):
    x = np.random.default_rng(seed).integers(0, 200, shape, np.uint8)
    y = np.arange(len(x), dtype=np.int32) % 2
    mean, std = image_statistics(x[:-n_test])
    return Dataset(
        "i",
        x[:-n_test],
        y[:-n_test],
        x[-n_test:],
        y[-n_test:],
        ("a", "b"),
        mean,
        std,
        "CC0",
        "Me",
        "here",
        "f" * 64,
    )


@pytest.mark.parametrize("shape", [(7, 5, 4), (7, 5, 4, 3), (4001, 2, 2, 1)])
def test_statistics_agree_with_numpy_in_float64(shape):
    x = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    flat = x.reshape(-1, shape[3] if len(shape) == 4 else 1) / 255
    mean, std = image_statistics(x)
    np.testing.assert_allclose(mean, flat.mean(0), rtol=1e-12)
    np.testing.assert_allclose(std, flat.std(0), rtol=1e-12)


@pytest.mark.parametrize(
    "x",
    [
        np.zeros((2, 3, 3)),
        np.zeros((2, 3), np.uint8),
        np.zeros((0, 3, 3), np.uint8),
        np.zeros((2,) * 5, np.uint8),
    ],
)
def test_statistics_want_uint8_images(x):
    with pytest.raises(InputError, match="uint8 images"):
        image_statistics(x)


@pytest.mark.parametrize("shape", [(20, 5, 4), (20, 5, 4, 3)])
def test_normalised_training_images_have_mean_0_and_variance_1(shape):
    data = images(shape)
    x_train, y_train, x_test, y_test = data.normalised()
    assert x_train.dtype == x_test.dtype == np.float32 and x_train.shape == (
        17,
        5,
        4,
        3 if len(shape) == 4 else 1,
    )
    channels = x_train.astype(np.float64).reshape(-1, x_train.shape[-1])
    # float32 has 24 bits: an average of 340 numbers of size up to 3 is good to about 1e-6
    np.testing.assert_allclose(channels.mean(0), 0, atol=2e-6)
    np.testing.assert_allclose(channels.std(0), 1, atol=2e-6)
    expected = (data.x_test.reshape(3, 5, 4, -1) / 255 - data.mean) / data.std
    np.testing.assert_allclose(x_test, expected, atol=1e-6)
    assert y_train is data.y_train and y_test is data.y_test


def test_flat_images_are_the_same_numbers():
    data = images((9, 5, 4, 3))
    np.testing.assert_array_equal(
        data.normalised(flat=True).x_test, data.normalised().x_test.reshape(3, 60)
    )


def test_table_statistics_leave_missing_cells_out():
    x = np.array([[1.0, np.nan, np.nan], [3.0, 5.0, np.nan], [np.nan, 9.0, np.nan]])
    mean, std = table_statistics(x)
    np.testing.assert_array_equal(mean, [2, 7, 0])
    np.testing.assert_array_equal(std, [1, 2, 1])


def test_merged_puts_the_training_part_first():
    data = images((9, 5, 4))
    x, y = data.merged()
    assert x.dtype == np.uint8 and x.shape == (9, 5, 4)
    np.testing.assert_array_equal(y, np.arange(9) % 2)


def test_the_record_is_frozen_and_says_what_it_is():
    data = load("fashion_mnist", sample=True)
    with pytest.raises(dataclasses.FrozenInstanceError):
        data.name = "x"
    text = repr(data)
    assert (
        "SAMPLE" in text
        and "uint8[6000,28,28]" in text
        and "MIT" in text
        and data.sha256[:12] in text
    )
    assert "full" in repr(images((9, 5, 4))) and len(text) < 400


def test_images_have_no_columns_and_tables_have():
    assert images((9, 5, 4)).is_image
    assert not dataclasses.replace(images((9, 5, 4)), columns=(Column("a"),)).is_image
