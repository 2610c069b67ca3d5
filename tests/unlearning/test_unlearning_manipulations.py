import jax
import jax.numpy as jnp
import numpy as np

from theorylab import unlearning as u
from theorylab.data.augmentation import CropFlip

KEY = jax.random.key(0)
X = np.zeros((50, 6, 6, 2), np.float32)
Y = np.arange(50) % 5


def test_a_patch_fills_its_corner_in_all_channels_and_nothing_else():
    x = np.random.default_rng(0).normal(size=(3, 6, 6, 2)).astype(np.float32)
    for corner, rows, columns in (
        ("bottom_right", slice(4, 6), slice(4, 6)),
        ("top_left", slice(0, 2), slice(0, 2)),
        ("bottom_left", slice(4, 6), slice(0, 2)),
        ("top_right", slice(0, 2), slice(4, 6)),
    ):
        expected = x.copy()
        expected[:, rows, columns] = 9.0
        np.testing.assert_array_equal(u.BackdoorPatch(2, 9.0, 0, corner).apply(x), expected)


def test_poisoning_changes_the_labels_of_a_uniform_draw_and_patches_them():
    found = u.manipulate(X, Y, u.BackdoorPatch(2, 1.0, target=4), 10, key=KEY)
    mask = np.asarray(found.manipulated)
    assert mask.sum() == 10 and (mask == np.asarray(found.patched)).all()
    assert (np.asarray(found.y)[mask] == 4).all()
    np.testing.assert_array_equal(np.asarray(found.y)[~mask], Y[~mask])
    np.testing.assert_array_equal(found.clean, Y)
    x, _ = found.batch(jnp.arange(50))
    assert (np.asarray(x)[mask][:, 4:, 4:] == 1).all() and (np.asarray(x)[~mask] == 0).all()


def test_poisoned_samples_are_drawn_from_all_classes_alike():
    drawn = [
        np.asarray(u.manipulate(X, Y, u.BackdoorPatch(), 10, key=key).manipulated)
        for key in jax.random.split(KEY, 400)
    ]
    rate = np.mean(drawn, 0)  # standard error sqrt(.2 * .8 / 400) = .02, five of them, 50 samples
    assert np.abs(rate - 0.2).max() < 0.1


def test_interclass_confusion_swaps_the_first_half_of_each_class_in_data_order():
    found = u.manipulate(X, Y, u.InterclassConfusion(1, 3), 6, key=KEY)
    expected = Y.copy()
    expected[[1, 6, 11]], expected[[3, 8, 13]] = 3, 1
    np.testing.assert_array_equal(found.y, expected)
    np.testing.assert_array_equal(np.flatnonzero(found.manipulated), [1, 3, 6, 8, 11, 13])
    assert not np.asarray(found.patched).any()


def test_a_random_permutation_keeps_the_labels_as_a_whole():
    found = u.manipulate(X, Y, u.RandomLabelPermutation(), 20, key=KEY)
    mask = np.asarray(found.manipulated)
    y = np.asarray(found.y)
    assert mask.sum() == 20 and sorted(y) == sorted(Y)
    np.testing.assert_array_equal(y[~mask], Y[~mask])
    assert (y[mask] != Y[mask]).any()


def test_the_trigger_stays_in_its_corner_under_augmentation_only_when_it_comes_after_it():
    after = u.manipulate(X, Y, u.BackdoorPatch(2, 1.0), 50, key=KEY, augment=CropFlip(3))
    x, _ = after.batch(jnp.arange(50), key=KEY)
    corner = np.zeros((6, 6))
    corner[4:, 4:] = 1
    np.testing.assert_array_equal(x, np.broadcast_to(corner[None, :, :, None], X.shape))
    before = u.TrainingSet(**{**vars(after), "order": "patch_first"})
    moved, _ = before.batch(jnp.arange(50), key=KEY)
    assert (np.asarray(moved) != np.asarray(x)).any(axis=(1, 2, 3)).mean() > 0.5


def test_without_a_key_nothing_is_augmented():
    found = u.manipulate(*_pictures(), u.RandomLabelPermutation(), 2, key=KEY, augment=CropFlip(2))
    np.testing.assert_array_equal(found.batch(jnp.arange(4))[0], _pictures()[0][:4])


def _pictures():
    return np.random.default_rng(0).normal(size=(10, 6, 6)).astype(np.float32), np.arange(10) % 2
