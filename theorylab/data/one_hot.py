"""Columns of a table to columns of numbers: one 0/1 column for each category or bin, or a scale.

Of arrays alone: `Dataset.normalised` and `encode`, which know the record around them, call it.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from theorylab.data.tables import Column


def encoded_columns(
    parts: Sequence[Float[np.ndarray, "n d"]],
    columns: Sequence[Column],
    mean: Float[np.ndarray, " d"],
    std: Float[np.ndarray, " d"],
    *,
    bins: int | None = None,
) -> tuple[list[Float[np.ndarray, "n p"]], tuple[str, ...]]:
    """Each part of a table in the encoding of its first, the training part, and the columns' names.

    Args:
        parts: (n, d) tables of codes and numbers, NaN where a cell is missing.
        columns: what the d columns are.
        mean: (d,) of the training part, used of its continuous columns.
        std: (d,), likewise.
        bins: number of quantile bins of a continuous column; None standardises them.

    Returns:
        (n, p) float32 for each part, and p names.
    """
    blocks, names = [], []
    for k, column in enumerate(columns):
        cells = [part[:, k] for part in parts]
        if column.categories:
            levels = range(len(column.categories))
            blocks.append([_one_hot(x, levels) for x in cells])
            names += [f"{column.name}={category}" for category in column.categories]
        elif bins is not None:
            train = cells[0]
            edges = quantile_edges(train, bins)
            used = np.unique(np.searchsorted(edges, train[~np.isnan(train)]))
            blocks.append([_one_hot(_bin(x, edges), used) for x in cells])
            names += [f"{column.name} bin {level}" for level in used]
        else:
            # a constant column has no scale: it becomes zero
            shift, scale = mean[k], std[k] or 1.0
            blocks.append([np.nan_to_num((x - shift) / scale)[:, None] for x in cells])
            names.append(column.name)
    encoded = [
        np.concatenate([block[i] for block in blocks], axis=1).astype(np.float32)
        for i in range(len(parts))
    ]
    return encoded, tuple(names)


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
