"""Tables with words in them to plain matrices.

One 0/1 column for each category, continuous columns scaled or binned.
"""

from typing import NamedTuple

import numpy as np

from theorylab.data.dataset import Arrays, Dataset
from theorylab.data.one_hot import encoded_columns
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
    (x_train, x_test), names = encoded_columns(
        (dataset.x_train, dataset.x_test), dataset.columns, dataset.mean, dataset.std, bins=bins
    )
    return Encoded(Arrays(x_train, dataset.y_train, x_test, dataset.y_test), names)
