"""The adversaries of principal directions and of standard scaling.

Each function gives a `Study` for `worst_case.search_neighbours`, whose bound is that of
`theorylab.privacy.sensitivity` on the smallest collection that holds both data sets.
Source: the pairs are ours; the bounds are those of docs/derivations/private_preprocessing.md,
statement 5.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from theorylab import checks
from theorylab.privacy import preprocessing, sensitivity
from theorylab.privacy.worst_case import Study, common_movement

Draw = tuple[Any, Any, Any]


def projection_study(*, n: int = 24, d: int = 2, rank: int = 1, centre: str = "none") -> Study:
    """Records along the axes, and one between two axes that is mirrored.

    Args:
        n: number of records.
        d: their dimension, at least 2.
        rank: number of principal directions, below d.
        centre: as in `sensitivity.pca_projection`.

    Returns:
        The study.

    Raises:
        InputError: an argument out of range.
    """
    size, wide, k = _sizes(n, d, rank)
    checks.choice("centre", centre, sensitivity.CENTRES)

    def apply(data: Any) -> Any:
        return preprocessing.pca_project(data, rank=k, centre=centre)

    def bound(first: Any, second: Any) -> Any:
        gap = _gap(first, second, k, centre)
        return _totals(gap, partial(_principal, size, centre, reduced=False))

    return Study(_turning(size, wide, centre), common_movement(apply), bound)


def reduction_study(*, n: int = 24, d: int = 2, rank: int = 1, centre: str = "none") -> Study:
    """As `projection_study`, for coordinates, under the rotation that aligns the two bases.

    Args:
        n: number of records.
        d: their dimension, at least 2.
        rank: number of coordinates, below d.
        centre: as in `sensitivity.pca_reduction`.

    Returns:
        The study.

    Raises:
        InputError: an argument out of range.
    """
    size, wide, k = _sizes(n, d, rank)
    checks.choice("centre", centre, sensitivity.CENTRES)

    def movement(first: Any, second: Any, place: Any) -> Any:
        (left, start), (right, end) = (
            preprocessing.principal_directions(x, rank=k, centre=centre) for x in (first, second)
        )
        before, _, after = np.linalg.svd(np.swapaxes(end, 1, 2) @ start)
        gap = left @ start - right @ end @ before @ after
        gap[np.arange(len(gap)), place] = 0.0
        return np.linalg.norm(gap, axis=-1).sum(-1)

    def bound(first: Any, second: Any) -> Any:
        gap = _gap(first, second, k, centre)
        return _totals(gap, partial(_principal, size, centre, reduced=True))

    return Study(_turning(size, wide, centre), movement, bound)


def scaling_study(*, n: int = 16) -> Study:
    """Entries of one column with every spread, one moved as far as it can be.

    Args:
        n: number of entries.

    Returns:
        The study.

    Raises:
        InputError: a count out of range.
    """
    size = checks.count("n", n, at_least=4)

    def draw(generator: np.random.Generator, pairs: int) -> Draw:
        spread = 10 ** generator.uniform(-2, 0, (pairs, 1))
        centre = generator.uniform(-1, 1, (pairs, 1))
        noise = generator.normal(size=(pairs, size))
        signs = generator.random((pairs, 1)) < 0.5
        uneven = np.sign(noise + generator.normal(size=(pairs, 1)))
        ends = np.where(
            generator.random((pairs, 1)) < 0.5, uneven, centre + spread * np.sign(noise)
        )
        data = np.clip(np.where(signs, ends, centre + spread * noise), -1, 1)
        record = generator.choice([-1.0, 1.0], (pairs, 1))
        return data[..., None], generator.integers(0, size, pairs), record

    def apply(data: Any) -> Any:
        return preprocessing.standardise(data[..., 0])

    def bound(first: Any, second: Any) -> Any:
        std = np.minimum(first[..., 0].std(-1), second[..., 0].std(-1))
        return _totals(
            np.where(std > 1e-6, std, 0.0),
            lambda s: sensitivity.scaling_movement(size, s)[1],
        )

    return Study(draw, common_movement(apply), bound)


def _sizes(n: int, d: int, rank: int) -> tuple[int, int, int]:
    wide = checks.count("d", d, at_least=2)
    return checks.count("n", n, at_least=4), wide, checks.count("rank", rank, at_most=wide - 1)


def _axes(n: int, d: int) -> Any:
    """Unit records along axes of unequal weight, all but the first, which is (1, ±1, 0...) / √2.

    A third of the pairs has records in all directions.
    """

    def draw(generator: np.random.Generator, pairs: int) -> Draw:
        weight = generator.dirichlet(np.ones(d), pairs).cumsum(-1)
        axis = (generator.random((pairs, n, 1)) > weight[:, None, :-1]).sum(-1)
        data = np.eye(d)[axis] * generator.choice([-1.0, 1.0], (pairs, n, 1))
        loose = generator.normal(size=(pairs, n, d))
        loose /= np.linalg.norm(loose, axis=-1, keepdims=True)
        data = np.where(generator.random((pairs, 1, 1)) < 1 / 3, loose, data)
        pick = generator.random((pairs, d)).argsort(-1)
        between = (np.eye(d)[pick[:, 0]] + np.eye(d)[pick[:, 1]]) / np.sqrt(2)
        mirrored = (np.eye(d)[pick[:, 0]] - np.eye(d)[pick[:, 1]]) / np.sqrt(2)
        data[:, 0] = between
        return data, np.zeros(pairs, int), mirrored

    return draw


def _turning(n: int, d: int, centre: str) -> Any:
    """For centred records, half of the pairs far from their own mean; otherwise `_axes`."""
    along = _axes(n, d)
    if centre == "none":
        return along

    def draw(generator: np.random.Generator, pairs: int) -> Draw:
        half = pairs // 2
        families = along(generator, pairs - half), _off_centre(generator, half, n, d)
        data, place, record = (np.concatenate(both) for both in zip(*families, strict=True))
        return data, place, record

    return draw


def _off_centre(generator: np.random.Generator, pairs: int, n: int, d: int) -> Draw:
    """All but the first around a point near the sphere, on a line.

    The first is at about 60° from the opposite of that point, on one side of the line or on the
    other.
    """
    depth = 1 - 10 ** generator.uniform(-2, -0.3, (pairs, 1))
    data = np.zeros((pairs, n, d))
    data[..., 0] = np.sqrt(1 - depth**2) * generator.choice([-1.0, 1.0], (pairs, n))
    data[..., 1] = -depth
    angle = generator.normal(np.pi / 3, 0.1, pairs)
    data[:, 0] = 0.0
    data[:, 0, 0], data[:, 0, 1] = np.sin(angle), np.cos(angle)
    mirrored = data[:, 0] * np.where(np.arange(d) == 0, -1.0, 1.0)
    return data, np.zeros(pairs, int), mirrored


def _gap(first: Any, second: Any, rank: int, centre: str) -> Any:
    gaps = [
        preprocessing.eigengaps(x, rank=rank, centred=centre != "none") for x in (first, second)
    ]
    gap = np.minimum(*gaps)
    # a gap that one record can close gives the bound 1 on a sine, which everything attains
    least = sensitivity.TURN[centre] / first.shape[1]
    return np.where(gap > least, np.minimum(gap, 1.0), 0.0)


def _principal(n: int, centre: str, gap: Any, *, reduced: bool) -> Any:
    return sensitivity.principal_movement(n, gap, centre, reduced=reduced)[1]


def _totals(parameter: Any, bound: Callable[[Any], Any]) -> Any:
    """Bounds at each parameter of a family, inf where it is 0."""
    return np.where(parameter > 0, bound(np.where(parameter > 0, parameter, 1.0)), np.inf)
