"""Tables with words in them to plain matrices.

One 0/1 column for each category, continuous columns scaled or binned.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from theorylab.data.dataset import Arrays, Dataset
from theorylab.errors import InputError


class Encoded(NamedTuple):
    """Encoded arrays with the names of their columns.

    Attributes:
        arrays: `Arrays`, float32.
        names: of each column ("age", "sex=Male", "age bin 0").
    """

    arrays: Arrays
    names: tuple[str, ...]


def encode(dataset: Dataset, *, bins: int | None = None) -> Encoded:
    """One-hot encode the categorical columns; standardise or bin the continuous ones.

    Quantiles, means and scales come from the training part. A missing cell gives zeros in all
    columns of its own. A value that fills two or more of the quantiles gets a bin for itself, and
    bins empty in the training part are left out. So `encode(load("adult"), bins=5)` has 123 binary
    columns, 13.87 ones in a row on average, as the data set that LIBSVM distributes as a9a (Platt
    1998 gives the recipe, quintiles and one-hot, but not the rule for ties).

    Args:
        dataset: a table, as `load` gives it.
        bins: number of quantile bins of a continuous column; None standardises them.

    Returns:
        `Encoded`.

    Raises:
        InputError: what is no table, or fewer than two bins.

    Examples:
        >>> import dataclasses
        >>> import numpy as np
        >>> from theorylab.data import Column, load
        >>> table = dataclasses.replace(
        ...     load("fashion_mnist", sample=True),
        ...     x_train=np.array([[20.0, 0.0], [40.0, 1.0]]),
        ...     y_train=np.array([0, 1], np.int32),
        ...     x_test=np.array([[30.0, np.nan]]),
        ...     y_test=np.array([0], np.int32),
        ...     mean=np.array([30.0, 0.5]),
        ...     std=np.array([10.0, 0.5]),
        ...     columns=(Column("age"), Column("sex", ("Female", "Male"))),
        ... )
        >>> encoded = encode(table)
        >>> encoded.names
        ('age', 'sex=Female', 'sex=Male')
        >>> encoded.arrays.x_test.tolist()
        [[0.0, 0.0, 0.0]]
    """
    # Not by `theorylab.checks`, which starts JAX.
    if not isinstance(dataset, Dataset):
        raise InputError(
            f"dataset = {type(dataset).__name__}; a Dataset, as load gives it, is needed"
        )
    if not dataset.columns:
        raise InputError(
            f"dataset={dataset.name!r} has no columns to encode: use normalised() for images"
        )
    whole = isinstance(bins, int | np.integer) and not isinstance(bins, bool)
    if bins is not None and not (whole and bins >= 2):
        raise InputError(
            f"bins={bins!r} must be a whole number of at least 2, or None to standardise"
        )
    parts, names = [], []
    for k, column in enumerate(dataset.columns):
        train, test = dataset.x_train[:, k], dataset.x_test[:, k]
        if column.categories:
            levels = range(len(column.categories))
            parts.append([_one_hot(x, levels) for x in (train, test)])
            names += [f"{column.name}={category}" for category in column.categories]
        elif bins is not None:
            edges = quantile_edges(train, bins)
            used = np.unique(np.searchsorted(edges, train[~np.isnan(train)]))
            parts.append([_one_hot(_bin(x, edges), used) for x in (train, test)])
            names += [f"{column.name} bin {level}" for level in used]
        else:
            # a constant column has no scale: it becomes zero
            mean, std = dataset.mean[k], dataset.std[k] or 1.0
            parts.append([np.nan_to_num((x - mean) / std)[:, None] for x in (train, test)])
            names.append(column.name)
    x_train, x_test = (
        np.concatenate([part[i] for part in parts], axis=1).astype(np.float32) for i in (0, 1)
    )
    return Encoded(Arrays(x_train, dataset.y_train, x_test, dataset.y_test), tuple(names))


def quantile_edges(x: Float[np.ndarray, " n"], bins: int) -> Float[np.ndarray, " k"]:
    """Increasing right edges of the bins (a, b] that cut `x` at its quantiles.

    Missing values are left out.

    An edge that several quantiles share closes a bin that holds this one value.
    """
    present = x[~np.isnan(x)]
    if not present.size:
        return np.zeros(0)
    edges, times = np.unique(np.quantile(present, np.arange(1, bins) / bins), return_counts=True)
    return np.unique(np.concatenate([edges, np.nextafter(edges[times > 1], -np.inf)]))


def _bin(x: Float[np.ndarray, " n"], edges: Float[np.ndarray, " k"]) -> Float[np.ndarray, " n"]:
    return np.where(np.isnan(x), np.nan, np.searchsorted(edges, x))


def _one_hot(
    x: Float[np.ndarray, " n"], levels: range | Int[np.ndarray, " k"]
) -> Bool[np.ndarray, "n k"]:
    return x[:, None] == np.asarray(levels)
