"""The adversaries of each pre-processing: small data sets drawn to move as much as they can.

Each function gives a `Study` for `worst_case.search_neighbours`, whose bound is that of
`theorylab.privacy.sensitivity` on the smallest collection that holds both data sets.
Source: the pairs are ours; the bounds are those of docs/derivations/private_preprocessing.md,
statement 5.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from theorylab import checks
from theorylab.privacy import preprocessing, sensitivity
from theorylab.privacy.worst_case import Study, common_movement, into_ball

Draw = tuple[Any, Any, Any]
Bound = Callable[[Any, Any], Any]


def imputation_study(by: str = "mean", *, n: int = 13, missing: int = 4, trimmed: int = 2) -> Study:
    """Records at every distance, up to `missing` of them gone, one turned to its opposite.

    Args:
        by: what fills the gaps, "mean" (records in two dimensions), "median" or "trimmed mean" (one
            column, with gaps of every size around the median and every width of what is kept).
        n: number of records.
        missing: most records that are missing.
        trimmed: entries left out at each end; for "trimmed mean" alone.

    Returns:
        The study.

    Raises:
        InputError: an argument out of range.
    """
    checks.choice("by", by, ("mean", "median", "trimmed mean"))
    size, most = _counts(n, missing)
    if by == "mean":
        return Study(
            _with_gaps(size, 2, most),
            common_movement(preprocessing.impute_mean),
            _of_gone(size, lambda m: sensitivity.mean_imputation(size, missing=m)),
        )
    if by == "median":
        apply, bound = preprocessing.impute_median, _median_bound(size)
    else:
        cut = checks.count("trimmed", trimmed, at_least=0, at_most=(size - most - 2) // 2)
        bound = _trimmed_bound(size, cut)

        def apply(column: Any) -> Any:
            return preprocessing.impute_trimmed_mean(column, trimmed=cut)

    return Study(_with_gaps(size, 1, most), common_movement(_on_column(apply)), bound)


def regression_imputation_study(*, n: int = 12, missing: int = 4, penalty: float = 0.1) -> Study:
    """Features on the circle, targets -1 and 1, up to `missing` targets gone.

    Args:
        n: number of records.
        missing: most targets that are missing.
        penalty: ridge penalty for each record.

    Returns:
        The study; records are (features, target), of three numbers.

    Raises:
        InputError: an argument out of range.
    """
    size, most = _counts(n, missing)
    ridge = float(checks.number("penalty", penalty, 0.0, open_low=True))

    def split(data: Any) -> tuple[Any, Any]:
        return into_ball(data[..., :2]), np.clip(data[..., 2], -1, 1)

    def draw(generator: np.random.Generator, pairs: int) -> Draw:
        features = _circle(generator, (pairs, size))
        targets = np.sign(generator.normal(size=(pairs, size)))
        targets[np.arange(size) < generator.integers(0, most + 1, (pairs, 1))] = np.nan
        data = np.concatenate([features, targets[..., None]], -1)
        place = generator.integers(0, size, pairs)
        record = np.concatenate(
            [_circle(generator, (pairs,)), np.sign(generator.normal(size=(pairs, 1)))], -1
        )
        mirrored = data[np.arange(pairs), place] * [1, 1, -1]
        record = np.where((generator.random((pairs, 1)) < 0.5), record, mirrored)
        return data, place, record

    def apply(data: Any) -> Any:
        return preprocessing.impute_regression(*split(data), penalty=ridge)

    bound = _of_gone(
        size, lambda m: sensitivity.regression_imputation(size, missing=m, penalty=ridge)
    )
    return Study(draw, common_movement(apply), bound)


def quantization_study(*, n: int = 10, diameter: float = 0.3) -> Study:
    """Two or three clusters with all points at their ends, one point changing cluster.

    Args:
        n: number of records.
        diameter: of the clusters.

    Returns:
        The study.

    Raises:
        InputError: an argument out of range.
    """
    size, wide = _clusters(n, diameter)

    def bound(first: Any, second: Any) -> Any:
        inside = _separated(first, wide) & _separated(second, wide)
        top = np.maximum(_near(first, wide).max(-1), _near(second, wide).max(-1))
        every = [
            sensitivity.quantization(size, diameter=wide, largest=max(c, 2)).total
            for c in range(size + 1)
        ]
        return np.where(inside, np.array(every)[top], np.inf)

    apply = common_movement(lambda data: preprocessing.quantize(data, diameter=wide))
    return Study(_clustered(size, wide), apply, bound)


def dropping_study(*, n: int = 12, radius: float = 0.3, separated: bool = False) -> Study:
    """Records on the circle whose only near-duplicate comes or goes.

    Args:
        n: number of records.
        radius: within which records are duplicates.
        separated: whether to look at clusters that are far from each other instead.

    Returns:
        The study.

    Raises:
        InputError: an argument out of range.
    """
    size, wide = _clusters(n, radius, "radius")

    def draw(generator: np.random.Generator, pairs: int) -> Draw:
        centre = generator.uniform(0, 2 * np.pi, (pairs, 1))
        side = generator.choice([-1, 1], (pairs, size)) * wide * generator.uniform(0.6, 1.1)
        group = np.arange(size) % 3
        angle = centre + 2 * np.pi * group / 3 + side * (np.arange(size) >= 3)
        far = np.arange(size) >= 3 * generator.integers(2, 4, (pairs, 1))
        angle = np.where(far, generator.uniform(0, 2 * np.pi, (pairs, size)), angle)
        data = np.stack([np.cos(angle), np.sin(angle)], -1)
        place = generator.integers(0, 3, pairs)
        target = centre[:, 0] + 2 * np.pi * generator.integers(0, 3, pairs) / 3
        return data, place, np.stack([np.cos(target), np.sin(target)], -1)

    apart = checks.flag("separated", separated)
    every = np.array(
        [
            sensitivity.deduplication_dropping(size, duplicates=max(m, 1), separated=apart).total
            for m in range(size)
        ]
    )

    def bound(first: Any, second: Any) -> Any:
        most = np.maximum(_near(first, wide).max(-1), _near(second, wide).max(-1)) - 1
        inside = _separated(first, wide) & _separated(second, wide) if apart else True
        return np.where(inside, every[most], np.inf)

    apply = common_movement(lambda data: preprocessing.drop_duplicates(data, radius=wide).records)
    return Study(_clustered(size, wide) if apart else draw, apply, bound)


def keeping_one_study(*, n: int = 8, diameter: float = 0.3, order_matters: bool = False) -> Study:
    """Clusters whose first record comes or goes.

    Args:
        n: number of records.
        diameter: of the clusters.
        order_matters: whether images are compared place by place; without, by the best matching,
            of which one pair is free: the step between neighbours.

    Returns:
        The study.

    Raises:
        InputError: an argument out of range.
    """
    size, wide = _clusters(n, diameter)
    most = sensitivity.deduplication_keeping_one(
        size, diameter=wide, order_matters=order_matters
    ).total

    def apply(data: Any) -> Any:
        return preprocessing.keep_one(data, diameter=wide).records

    def matched(first: Any, second: Any, place: Any) -> Any:
        left, right = apply(first), apply(second)
        cost = np.zeros((len(left), size + 1, size + 1))  # the last row and column are free
        cost[:, :-1, :-1] = np.linalg.norm(left[:, :, None] - right[:, None], axis=-1)
        return np.array([c[linear_sum_assignment(c)].sum() for c in cost])

    def bound(first: Any, second: Any) -> Any:
        return np.where(_separated(first, wide) & _separated(second, wide), most, np.inf)

    movement = common_movement(apply) if order_matters else matched
    return Study(_clustered(size, wide), movement, bound)


def _counts(n: int, missing: int) -> tuple[int, int]:
    size = checks.count("n", n, at_least=4)
    return size, checks.count("missing", missing, at_least=0, at_most=size - 3)


def _clusters(n: int, diameter: float, name: str = "diameter") -> tuple[int, float]:
    size = checks.count("n", n, at_least=4)
    return size, float(checks.number(name, diameter, 0.0, 0.5, open_low=True))


def _gone(data: Any) -> Any:
    return np.isnan(data).any(-1).sum(-1)


def _of_gone(n: int, bound: Callable[[int], sensitivity.Sensitivity]) -> Bound:
    """The bound at the number of missing records; none where all are missing."""
    every = np.array([*(bound(m).total for m in range(n)), np.inf])
    return lambda first, second: every[np.maximum(_gone(first), _gone(second))]


def _ordered(data: Any) -> tuple[Any, Any]:
    """A column with its missing entries last, and how many are there."""
    ordered = np.sort(data[..., 0], -1)
    return ordered, (~np.isnan(ordered)).sum(-1)


def _median_bound(n: int) -> Bound:
    def gap(data: Any) -> Any:
        ordered, seen = _ordered(data)
        ends = [np.full((len(ordered), 1), -1.0), np.where(np.isnan(ordered), 1.0, ordered)]
        padded = np.concatenate([*ends, np.ones((len(ordered), 1))], -1)
        around = ((seen + 1) // 2)[:, None] + np.array([-1, 0, 1])
        return np.diff(np.take_along_axis(padded, np.maximum(around, 0), -1), axis=-1).max(-1)

    def bound(first: Any, second: Any) -> Any:
        gone = np.maximum(_gone(first), _gone(second))
        return np.where(gone < n, gone * np.maximum(gap(first), gap(second)), np.inf)

    return bound


def _trimmed_bound(n: int, cut: int) -> Bound:
    def width(data: Any) -> Any:
        ordered, seen = _ordered(data)
        last = np.minimum(seen - cut, seen - 1)[:, None]
        return np.take_along_axis(ordered, last, -1)[:, 0] - ordered[:, max(cut - 1, 0)]

    def bound(first: Any, second: Any) -> Any:
        gone = np.maximum(_gone(first), _gone(second))
        left = n - gone - 2 * cut
        wide = np.maximum(width(first), width(second))
        return np.where(left > 0, gone * wide / np.maximum(left, 1), np.inf)

    return bound


def _on_column(apply: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda data: apply(data[..., 0])[..., None]


def _circle(generator: np.random.Generator, shape: tuple[int, ...]) -> Any:
    angle = generator.uniform(0, 2 * np.pi, shape)
    return np.stack([np.cos(angle), np.sin(angle)], -1)


def _with_gaps(n: int, d: int, missing: int) -> Callable[[np.random.Generator, int], Draw]:
    """Records at any distance from 0, the first few missing, and what one of them is replaced by.

    That is its opposite, another record or a missing one; or a missing one is replaced by a record.
    """

    def draw(generator: np.random.Generator, pairs: int) -> Draw:
        power = generator.choice([0.0, 1.0, 4.0], (pairs, 1, 1))
        length = generator.random((pairs, n, 1)) ** power
        way = generator.normal(size=(pairs, n, d))
        data = length * way / np.linalg.norm(way, axis=-1, keepdims=True)
        data[np.arange(n) < generator.integers(0, missing + 1, (pairs, 1))] = np.nan
        place = generator.integers(0, n, pairs)
        old = data[np.arange(pairs), place]
        fresh = generator.normal(size=(pairs, d))
        fresh /= np.linalg.norm(fresh, axis=-1, keepdims=True)
        size = np.linalg.norm(np.nan_to_num(old), axis=-1, keepdims=True)
        mirrored = np.where(size > 0, -old / np.where(size > 0, size, 1.0), fresh)
        mirrored = np.where(np.isnan(mirrored), fresh, mirrored)
        kind = generator.random((pairs, 1))
        record = np.where(kind < 0.5, mirrored, np.where(kind < 0.8, fresh, np.nan))
        return data, place, record

    return draw


def _clustered(n: int, wide: float) -> Callable[[np.random.Generator, int], Draw]:
    """Clusters near (-1, 0), (1, 0) and (0, 1), points at either end of a diameter."""
    centres = np.array([[-1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]) * (1 - wide / 2)

    def draw(generator: np.random.Generator, pairs: int) -> Draw:
        which = generator.integers(0, generator.integers(2, 4, (pairs, 1)), (pairs, n))
        angle = generator.uniform(0, np.pi, (pairs, 3))
        ends = np.stack([np.cos(angle), np.sin(angle)], -1) * wide * (0.5 - 1e-12)
        own = np.take_along_axis(ends, which[..., None], 1)
        side = np.where(generator.random((pairs, n, 1)) < generator.random((pairs, 1, 1)), 1, -1)
        data = centres[which] + side * own
        place = generator.integers(0, n, pairs)
        target = generator.integers(0, 3, pairs)
        sign = generator.choice([-1, 1], (pairs, 1))
        return data, place, centres[target] + sign * ends[np.arange(pairs), target]

    return draw


def _near(data: Any, radius: float) -> Any:
    """(pairs, n) how many records are within the radius of each, itself included."""
    return (_squares(data) <= radius**2).sum(-1)


def _separated(data: Any, diameter: float) -> Any:
    """(pairs,) whether no two records are at a distance in (diameter, 2 diameter]."""
    gaps = _squares(data)
    return ~((gaps > diameter**2) & (gaps <= 4 * diameter**2)).any((-1, -2))


def _squares(data: Any) -> Any:
    """(pairs, n, n) squared distances, coordinate by coordinate: no array with a fourth axis."""
    columns = np.moveaxis(data, -1, 0)
    return sum((column[:, :, None] - column[:, None]) ** 2 for column in columns)
