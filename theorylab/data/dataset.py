"""The record that `load` returns: arrays as published, and how to use and cite them."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Num, Shaped

from theorylab.data.one_hot import encoded_columns
from theorylab.data.tables import Column
from theorylab.errors import InputError


class Arrays(NamedTuple):
    """Training and test arrays; unpacks as `x_train, y_train, x_test, y_test`.

    Attributes:
        x_train: (n, ...) inputs.
        y_train: (n,) labels.
        x_test: (m, ...) inputs.
        y_test: (m,) labels.
    """

    x_train: Float[np.ndarray, "n ..."]
    y_train: Int[np.ndarray, " n"]
    x_test: Float[np.ndarray, "m ..."]
    y_test: Int[np.ndarray, " m"]


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """One data set, split into training and test parts.

    Images are uint8 as published, tables are float64, a categorical column holding codes and NaN
    marking a missing cell. `normalised` gives arrays for a network, `encode` for a table with words
    in it.

    Attributes:
        name: what `load` was asked for.
        x_train: (n, h, w) grey or (n, h, w, 3) images, or a table (n, d).
        y_train: (n,) int32 indices into `classes`.
        x_test: (m, ...), as `x_train`.
        y_test: (m,), as `y_train`.
        classes: names of the labels.
        mean: of the training part: per channel on the [0, 1] scale for images, per column for
            tables (missing cells left out).
        std: standard deviation, likewise.
        licence: of the data.
        citation: what to cite.
        source: where the arrays came from.
        sha256: `digest` of the arrays as decoded, before any split made here.
        is_sample: whether it is the embedded sample.
        columns: of a table; empty for images.
        split: "official", or how the parts were drawn.
    """

    name: str
    x_train: Num[np.ndarray, "n ..."]
    y_train: Int[np.ndarray, " n"]
    x_test: Num[np.ndarray, "m ..."]
    y_test: Int[np.ndarray, " m"]
    classes: tuple[str, ...]
    mean: Float[np.ndarray, " c"]
    std: Float[np.ndarray, " c"]
    licence: str
    citation: str
    source: str
    sha256: str
    is_sample: bool = False
    columns: tuple[Column, ...] = ()
    split: str = "official"

    @property
    def is_image(self) -> bool:
        """Whether the inputs are images."""
        return not self.columns

    def normalised(self, *, flat: bool = False) -> Arrays:
        """Float32 arrays with zero mean and unit variance over the training part, and the labels.

        Continuous columns of a table are standardised, categorical ones become one 0/1 column for
        each category (`encode` tells their names); a missing cell is 0 in all of its columns.

        Args:
            flat: give images as (n, h*w*c) in place of (n, h, w, c).

        Returns:
            `Arrays`, channels last.

        Raises:
            InputError: `flat` is neither True nor False.
        """
        if not isinstance(flat, bool | np.bool_):
            raise InputError(f"flat = {flat!r}; True or False is needed")
        if self.columns:
            (x_train, x_test), _ = encoded_columns(
                (self.x_train, self.x_test), self.columns, self.mean, self.std
            )
            return Arrays(x_train, self.y_train, x_test, self.y_test)
        x_train, x_test = (self._normalised_images(x, flat) for x in (self.x_train, self.x_test))
        return Arrays(x_train, self.y_train, x_test, self.y_test)

    def _normalised_images(self, x: np.ndarray, flat: bool) -> np.ndarray:
        mean, scale = (
            (self.mean * 255).astype(np.float32),
            (1 / (255 * self.std)).astype(np.float32),
        )
        images = (x.reshape(*x.shape[:3], -1).astype(np.float32) - mean) * scale
        return images.reshape(len(x), -1) if flat else images

    def merged(self) -> tuple[Num[np.ndarray, "n+m ..."], Int[np.ndarray, " n+m"]]:
        """All rows, training part first: for studies that draw their own splits."""
        return np.concatenate([self.x_train, self.x_test]), np.concatenate(
            [self.y_train, self.y_test]
        )

    def __repr__(self) -> str:
        kind = "SAMPLE of the first images" if self.is_sample else "full"
        return (
            f"Dataset({self.name!r}, {kind}: x_train {_shape(self.x_train)}, x_test "
            f"{_shape(self.x_test)}, {len(self.classes)} classes, {self.split} split, licence "
            f"{self.licence}, source {self.source}, sha256 {self.sha256[:12]})"
        )


def _shape(x: Shaped[np.ndarray, "..."]) -> str:
    return f"{x.dtype}[{','.join(map(str, x.shape))}]"


def image_statistics(
    x: Num[np.ndarray, "n h w *c"],
) -> tuple[Float[np.ndarray, " c"], Float[np.ndarray, " c"]]:
    """Mean and standard deviation per channel of uint8 images, on the [0, 1] scale.

    Sums are exact, of integers.
    """
    if x.dtype != np.uint8 or x.ndim not in (3, 4) or not x.size:
        raise InputError(
            f"x must be uint8 images (n, h, w[, c]), not {_shape(x)}: give the images as published"
        )
    channels = x.shape[3] if x.ndim == 4 else 1
    counts = np.zeros((channels, 256), np.int64)
    # bincount works on a wide copy: keep it small
    for block in np.array_split(x, max(1, len(x) // 2000)):
        for channel, count in enumerate(counts):
            count += np.bincount(block.reshape(-1, channels)[:, channel], minlength=256)
    values, total = np.arange(256), counts[0].sum()
    mean = counts @ values / total
    return mean / 255, np.sqrt(counts @ values**2 / total - mean**2) / 255


def table_statistics(
    x: Float[np.ndarray, "n d"],
) -> tuple[Float[np.ndarray, " d"], Float[np.ndarray, " d"]]:
    """Mean and standard deviation per column over the cells that are not missing.

    They are (0, 1) for an empty column.
    """
    there = ~np.isnan(x)
    count = np.maximum(there.sum(0), 1)
    mean = np.where(there, x, 0.0).sum(0) / count
    std = np.sqrt((np.where(there, x - mean, 0.0) ** 2).sum(0) / count)
    return mean, np.where(there.any(0), std, 1.0)
