"""Cells of public directions, and the features of tables."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from theorylab import data as sets
from theorylab.privacy.pillar import public_basis

Arrays = Mapping[str, np.ndarray]


def table(data: str, part: str, count: int) -> Mapping[str, Any]:
    """The first rows of a table, words as 0/1 columns, continuous columns by quintiles of the
    training part, and their labels."""
    whole = sets.encode(sets.load(data), bins=5).arrays
    x, y = (whole.x_train, whole.y_train) if part == "train" else (whole.x_test, whole.y_test)
    return {"features": x[:count].astype(np.float16), "labels": y[:count]}


def directions(
    public: int, seed: int, train: Arrays, other: Arrays, **where: Any
) -> Mapping[str, Any]:
    """Principal directions (d, d) of public records, and which training records are private.

    The private ones are those left of a random order; the public ones are its first, or the same
    places of another data set. where: which features these are.
    """
    order = np.random.default_rng(seed).permutation(len(train["labels"]))
    rows = np.asarray(other["features"], np.float32)[order[:public]]
    basis = public_basis(rows, rank=rows.shape[1], centred=True, scaled=True)
    return {
        "vectors": basis.vectors.astype(np.float32),
        "values": basis.eigenvalues,
        "centre": basis.centre,
        "scale": basis.scale,
        "private": order[public:],
        "public": rows.astype(np.float16),
    }


def standard(features: np.ndarray, basis: Arrays) -> np.ndarray:
    """Features in the units of the public records."""
    return ((features.astype(np.float32) - basis["centre"]) / basis["scale"]).astype(np.float32)
