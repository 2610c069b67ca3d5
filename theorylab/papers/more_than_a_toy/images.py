"""Images and labels of the cells on real data.

Labels are one-hot minus 1/C. Training images of a network are never used again in its kernel: its
samples would not be independent of the features.
"""

import numpy as np

from theorylab import data as sets


def one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    """One-hot labels (N, C) minus 1/C, in float64."""
    return np.eye(classes)[labels] - 1 / classes


def split(
    name: str,
    sample: bool | None,
    seed: int | None,
    train: int,
    test: int,
    *,
    skip: int = 0,
    pixels: bool = False,
) -> tuple[np.ndarray, ...]:
    """`train` training and `test` test images with labels: (x, y, x_test, y_test).

    In random order, leaving the first `skip` training images to others; with seed None the first
    ones, in their order. Images are normalised by the set's mean and deviation, or as they are with
    `pixels`.
    """
    whole = sets.load(name, sample=sample)
    images, classes = whole if pixels else whole.normalised(), len(whole.classes)
    rows, cols = np.arange(skip, len(images.x_train)), np.arange(len(images.x_test))
    if seed is not None:
        rng = np.random.default_rng(seed)
        rows, cols = rng.permutation(rows), rng.permutation(cols)
    rows, cols = rows[:train], cols[:test]
    return (
        images.x_train[rows],
        one_hot(images.y_train[rows], classes),
        images.x_test[cols],
        one_hot(images.y_test[cols], classes),
    )
