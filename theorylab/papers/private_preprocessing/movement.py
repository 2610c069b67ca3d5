"""Cells about how far pre-processing moves records: searches, attacks, and data outside of any
collection."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from scipy.optimize import linear_sum_assignment

from theorylab.privacy import (
    meta_theorem,
    naive_accounting,
    preprocessing,
    renyi,
    sensitivity,
    worst_case,
    worst_case_neighbour,
)
from theorylab.privacy import worst_case_spectral as spectral
from theorylab.privacy import worst_case_studies as studies
from theorylab.privacy.worst_case import Study

Found = Mapping[str, Any]
Map = Callable[[Any], Any]
DIAMETER = 0.3  # the default of the studies
# images are made smaller by this factor before they are attacked
SHRUNK = {"projection, centred records": 0.5}


def _column(apply: Map) -> Map:
    return lambda rows: apply(rows[..., 0])[..., None]


def _regressed(rows: Any) -> Any:
    filled = preprocessing.impute_regression(
        worst_case.into_ball(rows[..., :2]), np.clip(rows[..., 2], -1, 1), penalty=0.1
    )
    return filled[..., None]


def _projected(centre: str, rank: int = 1) -> Map:
    """Centred records are halved, so that images stay in the unit ball."""
    size = 0.5 if centre == "records" else 1.0
    return lambda rows: size * preprocessing.pca_project(rows, rank=rank, centre=centre)


def _scaled(rows: Any) -> Any:
    """Scaled entries are clipped, which moves them no farther."""
    return np.clip(preprocessing.standardise(rows[..., 0]), -1, 1)[..., None]


# the study, and the map that is attacked; None where the images of two data sets are compared by a
# matching or a rotation
STUDIES: Mapping[str, tuple[Callable[[], Study], Map | None]] = {
    "mean imputation": (studies.imputation_study, preprocessing.impute_mean),
    "median imputation": (
        lambda: studies.imputation_study("median"),
        _column(preprocessing.impute_median),
    ),
    "trimmed-mean imputation": (
        lambda: studies.imputation_study("trimmed mean"),
        _column(lambda x: preprocessing.impute_trimmed_mean(x, trimmed=2)),
    ),
    "regression imputation": (studies.regression_imputation_study, _regressed),
    "quantization": (
        studies.quantization_study,
        lambda rows: preprocessing.quantize(rows, diameter=DIAMETER),
    ),
    "dropping duplicates": (
        studies.dropping_study,
        lambda rows: preprocessing.drop_duplicates(rows, radius=DIAMETER).records,
    ),
    "dropping, separated": (
        lambda: studies.dropping_study(separated=True),
        lambda rows: preprocessing.drop_duplicates(rows, radius=DIAMETER).records,
    ),
    "keeping one": (studies.keeping_one_study, None),
    "keeping one, in order": (
        lambda: studies.keeping_one_study(order_matters=True),
        lambda rows: preprocessing.keep_one(rows, diameter=DIAMETER).records,
    ),
    "projection": (spectral.projection_study, _projected("none")),
    "projection, 4 dimensions": (
        lambda: spectral.projection_study(d=4, rank=2),
        _projected("none", 2),
    ),
    "projection, centred covariance": (
        lambda: spectral.projection_study(n=48, centre="covariance"),
        _projected("covariance"),
    ),
    "projection, centred records": (
        lambda: spectral.projection_study(centre="records"),
        _projected("records"),
    ),
    "reduction": (spectral.reduction_study, None),
    "reduction, centred covariance": (
        lambda: spectral.reduction_study(n=48, centre="covariance"),
        None,
    ),
    "reduction, centred records": (lambda: spectral.reduction_study(centre="records"), None),
    "standard scaling": (lambda: spectral.scaling_study(n=48), _scaled),
}


def search(study: str, pairs: int, seed: int) -> Found:
    """Adversarial neighbours against the bound, and others that refute naive accounting.

    `attack` is the exact divergence, over the naive claim, of noisy means of images with public
    labels on the worst pair found; `full` what the full accounting allows there. Both are 1 where
    no single map is attacked.
    """
    build, apply = STUDIES[study]
    made, key = build(), jax.random.key(seed)
    found = worst_case.search_neighbours(made, pairs=pairs, key=key)
    attack = full = 1.0
    if apply is not None:
        worst = worst_case.search_neighbours(
            _attacked(made, apply), pairs=max(pairs // 5, 100), key=key
        )
        first, second = worst.first, worst.second
        labels = naive_accounting.aligned_signs(apply, first, second)
        exact = naive_accounting.attack_noisy_mean(
            apply, first, second, noise_std=0.1, signs=labels
        )
        attack = exact.exact_rho / exact.claimed_rho
        total = float(made.bound(first[None], second[None])[0])
        full = meta_theorem.cost_factor(SHRUNK.get(study, 1.0) * total)
    return {
        "inside": found.inside,
        "violations": found.violations,
        "ratio": found.largest_ratio,
        "attack": attack,
        "full": full,
    }


def _attacked(study: Study, apply: Map) -> Study:
    """The same pairs, and how far a sum of labelled images moves along an axis at most, over the 2
    that naive accounting allows."""

    def movement(first: Any, second: Any, place: Any) -> Any:
        return np.abs(apply(first) - apply(second)).sum(1).max(-1)

    def bound(first: Any, second: Any) -> Any:
        return np.where(np.isfinite(study.bound(first, second)), 2.0, np.inf)

    return Study(study.draw, movement, bound)


def attack(kind: str, n: int, m: int, epsilon: float, delta: float) -> Found:
    """A pair of neighbours that refutes the naive claim (epsilon, delta) of a noisy mean, exactly.

    kind: "imputation", with m missing; "projection", with m of n along the leading axis; "dropping"
    with m duplicates; "scaling", with m entries at -1 and the others at 1; or "record-wise", the
    same data as for imputation with zeros in the place of missing ones, where the claim is right.
    """
    rho = renyi.epsilon_to_zcdp(epsilon, delta=delta)
    noise = 2 / (n * np.sqrt(2 * rho))
    if kind == "projection":
        pair = naive_accounting.turning_neighbours(n, along=m)
        gap = min(float(preprocessing.eigengaps(x, rank=1)) for x in pair)
        apply, moved = _projected("none"), sensitivity.pca_projection(n, eigengap=gap)
    elif kind == "dropping":
        pair = naive_accounting.star_neighbours(n, leaves=m)
        moved = sensitivity.deduplication_dropping(n, duplicates=m)
        apply = _dropped
    elif kind == "scaling":
        pair = _uneven(n, m)
        std = min(float(x.std()) for x in pair)
        apply, moved = _scaled, sensitivity.standard_scaling(n, min_std=std)
    else:
        pair = naive_accounting.missing_neighbours(n, missing=m)
        moved = sensitivity.mean_imputation(n, missing=m)
        apply = preprocessing.impute_mean if kind == "imputation" else np.nan_to_num
    signs = naive_accounting.aligned_signs(apply, *pair)
    found = naive_accounting.attack_noisy_mean(apply, *pair, noise_std=noise, signs=signs)
    return {
        "factor": found.exact_rho / found.claimed_rho,
        "full": meta_theorem.cost_factor(moved.total),
        "group": meta_theorem.group_cost_factor(moved.records),
        "delta": found.exact_delta(claimed_delta=delta),
        "refutes": found.refutes,
    }


def _dropped(rows: Any) -> Any:
    return preprocessing.drop_duplicates(rows, radius=0.2).records


def _uneven(n: int, m: int) -> tuple[Any, Any]:
    """A column of m entries at -1 and the others at 1, and one with one more at -1."""
    first = np.ones((n, 1))
    first[:m] = -1.0
    second = first.copy()
    second[-1] = -1.0
    return first, second


def _greedy(rows: Any, diameter: float) -> Any:
    """Keep a record only when no earlier one that was *kept* is within the distance."""
    kept: list[int] = []
    for i, row in enumerate(rows):
        if all(np.linalg.norm(row - rows[j]) > diameter for j in kept):
            kept.append(i)
    return rows[kept]


def _matched(first: Any, second: Any) -> float:
    """Least total distance of two families of records, of which one pair is free; a record without
    a partner is matched with 0."""
    size = max(len(first), len(second))
    cost = np.zeros((size + 1, size + 1))
    padded = [np.zeros((size, first.shape[1])) for _ in range(2)]
    for rows, into in zip((first, second), padded, strict=True):
        into[: len(rows)] = rows
    cost[:-1, :-1] = np.linalg.norm(padded[0][:, None] - padded[1][None], axis=-1)
    return float(cost[linear_sum_assignment(cost)].sum())


def chain(lengths: list[int]) -> Found:
    """Chains of near-duplicates, whose first record is taken away: greedy keeping cascades."""
    greedy, promised = [], []
    for length in lengths:
        spacing = 1.6 / (length - 1)
        first = np.stack([np.linspace(-0.8, 0.8, length), np.zeros(length)], 1)
        second = first.copy()
        second[0] = [0.0, 0.9]
        wide = 1.1 * spacing
        greedy.append(_matched(_greedy(first, wide), _greedy(second, wide)))
        promised.append(wide)
    return {"movement": np.array(greedy), "promised": np.array(promised)}


def clusters(lengths: list[int]) -> Found:
    """The same, of clusters that are far from each other: nothing cascades."""
    greedy, promised = [], []
    for length in lengths:
        spots = np.linspace(-0.8, 0.8, max(length // 2, 2))
        spacing = spots[1] - spots[0]
        wide = spacing / 4
        first = np.stack([np.repeat(spots, 2), np.tile([0.0, 0.9 * wide], len(spots))], 1)
        second = first.copy()
        second[0] = [0.0, 0.9]
        greedy.append(_matched(_greedy(first, wide), _greedy(second, wide)))
        promised.append(wide)
    return {"movement": np.array(greedy), "promised": np.array(promised)}


def signs(sizes: list[int], rule: str) -> Found:
    """Coordinates along the first principal direction where one record flips a sign.

    rule: "first entry positive", a rule that looks at the data, or "aligned", what a random
    rotation amounts to.
    """
    movement, promised = [], []
    for n in sizes:
        pair = [x[:, ::-1] for x in naive_accounting.turning_neighbours(n, along=3 * n // 4)]
        vectors = []
        for rows in pair:
            _, basis = preprocessing.principal_directions(rows, rank=1)
            vectors.append(basis[:, 0] * np.sign(basis[0, 0]))
        if rule == "aligned":
            vectors[1] = vectors[1] * np.sign(vectors[0] @ vectors[1])
        gap = min(float(preprocessing.eigengaps(rows, rank=1)) for rows in pair)
        moved = np.abs(pair[0] @ vectors[0] - pair[1] @ vectors[1])[:-1]
        movement.append(float(moved.sum()))
        promised.append(sensitivity.pca_reduction(n, eigengap=gap).total)
    return {"movement": np.array(movement), "promised": np.array(promised)}


def medians(sizes: list[int], gap: float) -> Found:
    """Median imputation where the median may jump over the whole range, promised a small gap."""
    movement, promised = [], []
    for n in sizes:
        missing = n // 10
        column = np.full(n, np.nan)
        there = n - missing
        column[missing:] = np.where(np.arange(there) < (there + 1) // 2, -1.0, 1.0)
        other = column.copy()
        other[missing] = 1.0
        moved = np.abs(preprocessing.impute_median(column) - preprocessing.impute_median(other))
        movement.append(float(np.delete(moved, missing).sum()))
        promised.append(sensitivity.median_imputation(n, missing=missing, gap=gap).total)
    return {"movement": np.array(movement), "promised": np.array(promised)}


def turned(n: int, gaps: list[float], pairs: int, seed: int) -> Found:
    """The worst neighbour of data sets of a given eigengap: movement found, and what is promised.

    The promise is for the gap less what one replacement can close, 2 / n.
    """
    movement, promised, gap_found = [], [], []
    for i, gap in enumerate(gaps):
        along = round(n * (1 + gap) / 2)
        rows = np.zeros((n, 2))
        rows[:along, 0] = 1.0
        rows[along:, 1] = 1.0
        found = worst_case_neighbour.worst_replacement(
            _batched_projection, rows, pairs=pairs, key=jax.random.key(seed + i)
        )
        exact = float(preprocessing.eigengaps(rows, rank=1))
        gap_found.append(exact)
        movement.append(found.movement)
        promised.append(sensitivity.pca_projection(n, eigengap=max(exact - 2 / n, 1e-9)).total)
    return {
        "gap": np.array(gap_found),
        "movement": np.array(movement),
        "promised": np.array(promised),
    }


def _batched_projection(rows: Any) -> Any:
    return preprocessing.pca_project(rows, rank=1)


def hybrid(seed: int) -> Found:
    """A small picture of the proof: two neighbours after imputation, and the data set between."""
    generator = np.random.default_rng(seed)
    n, missing = 12, 4
    first = worst_case.into_ball(generator.normal(size=(n, 2)) * 0.4)
    first[:missing] = np.nan
    second = first.copy()
    second[-1] = -first[-1] / np.linalg.norm(first[-1])
    images = [preprocessing.impute_mean(rows) for rows in (first, second)]
    between = images[1].copy()
    between[-1] = images[0][-1]
    return {
        "first": images[0],
        "between": between,
        "second": images[1],
        "moved": float(np.linalg.norm(images[0] - between, axis=1).sum()),
        "promised": sensitivity.mean_imputation(n, missing=missing).total,
    }
