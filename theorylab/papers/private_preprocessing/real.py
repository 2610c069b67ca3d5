"""Cells on real data: missing values and duplicates of two tables, principal directions of images.

What a promise says (most records missing, most copies, least eigengap) is chosen here without the
data; a private test checks it, and is paid for.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import numpy as np

from theorylab import data
from theorylab.errors import InputError
from theorylab.papers.private_preprocessing.learning import averaged_loss, best_loss
from theorylab.privacy import (
    meta_theorem,
    pipelines,
    preprocessing,
    renyi,
    sensitivity,
    smooth,
    worst_case_neighbour,
)
from theorylab.privacy import propose_test_release as ptr
from theorylab.privacy.online import separate_ledger

Found = Mapping[str, Any]
# attribute: (centre, half range) of a number, 0 for categories; public knowledge
ADULT = {
    "age": (50.0, 50.0),
    "workclass": (0.0, 0.0),
    "education-num": (8.0, 8.0),
    "marital-status": (0.0, 0.0),
    "occupation": (0.0, 0.0),
    "sex": (0.0, 0.0),
    "hours-per-week": (50.0, 50.0),
    "native-country": (0.0, 0.0),
}
FARS = {
    "AGE": (49.0, 49.0),
    "SEX": (0.0, 0.0),
    "PERSON_TYPE": (0.0, 0.0),
    "RESTRAINT_SYSTEM-USE": (0.0, 0.0),
    "EJECTION": (0.0, 0.0),
    "POLICE_REPORTED_ALCOHOL_INVOLVEMENT": (0.0, 0.0),
    "ALCOHOL_TEST_RESULT": (47.0, 47.0),
}
ATTRIBUTES = {"adult": ADULT, "fars": FARS}
POSITIVE = {"adult": ">50K", "fars": "Fatal_Injury"}
# the largest share of records without an attribute, promised
PROMISED = {
    "adult": {"workclass": 0.1, "occupation": 0.1, "native-country": 0.05},
    "fars": {
        "AGE": 0.1,
        "SEX": 0.1,
        "RESTRAINT_SYSTEM-USE": 0.25,
        "EJECTION": 0.1,
        "POLICE_REPORTED_ALCOHOL_INVOLVEMENT": 0.75,
        "ALCOHOL_TEST_RESULT": 0.75,
    },
}
SAMPLE = "fashion_mnist sample"  # a table of brightnesses, with gaps drawn at random
WAYS = ("full", "naive", "group", "zeros")
SIDE = 128  # pixels, to which small images are enlarged for the network
TEST_SHARE = 0.1  # of epsilon, for the test of a promise


def blocks(name: str, n: int, seed: int) -> tuple[list[Any], list[float], Any]:
    """Attributes of n rows of a table, each (n, width) in the unit ball with NaN where missing; the
    share of each that was promised to be missing at most, and labels -1 and 1.

    FARS writes missing numbers as codes, and missing categories as words. Where nothing was
    promised a word stays a category.
    """
    if name == SAMPLE:
        return _sample_blocks(n, seed)
    table = data.load(name)
    every, classes = table.merged()
    chosen = np.random.default_rng(seed).permutation(len(every))[:n]
    found, promised = [], []
    for at, column in enumerate(table.columns):
        if column.name in ATTRIBUTES[name]:
            promised.append(PROMISED[name].get(column.name, 0.0))
            scale = ATTRIBUTES[name][column.name]
            found.append(
                _categories(every[chosen, at], column.categories, bool(promised[-1]))
                if column.categories
                else _number(every[chosen, at], scale, name == "fars")
            )
    label = table.classes.index(POSITIVE[name])
    return found, promised, np.where(classes[chosen] == label, 1.0, -1.0)


def _categories(entries: Any, names: tuple[str, ...], gaps: bool) -> Any:
    """(n, categories) of zeros and a one, NaN where missing."""
    gone = [
        np.nan if gaps and any(w in c.lower() for w in ("unknown", "not_reported")) else k
        for k, c in enumerate(names)
    ]
    codes = np.append(gone, np.nan)[_codes(entries)]
    wide = np.eye(len(names))[_codes(np.nan_to_num(codes))]
    return np.where(np.isnan(codes)[:, None], np.nan, wide)


def _number(entries: Any, scale: tuple[float, float], coded: bool) -> Any:
    """(n, 1) in [-1, 1]; coded: values at the end of the range and beyond mean missing."""
    centre, half = scale
    known = np.where(entries > centre + half - 0.5, np.nan, entries) if coded else entries
    return np.clip((known - centre) / half, -1, 1)[:, None]


def _sample_rows(n: int, seed: int) -> tuple[Any, Any]:
    images, classes = data.load("fashion_mnist", sample=True).merged()
    chosen = np.random.default_rng(seed).permutation(len(images))[:n]
    bright = images[chosen].reshape(-1, 2, 14, 2, 14).mean((2, 4)).reshape(-1, 4) / 255
    return bright, classes[chosen]


def _sample_blocks(n: int, seed: int) -> tuple[list[Any], list[float], Any]:
    bright, classes = _sample_rows(n, seed)
    gone = np.random.default_rng(seed).random(bright.shape) < [0.1, 0.1, 0.0, 0.0]
    rows = np.where(gone, np.nan, 2 * bright - 1)
    return [x[:, None] for x in rows.T], [0.2, 0.2, 0.0, 0.0], np.where(classes < 5, 1.0, -1.0)


def _codes(entries: Any) -> Any:
    return np.where(np.isnan(entries), -1, entries).astype(int)


def missing(
    name: str, n: int, epsilons: list[float], repeats: int, descent: Mapping[str, Any], seed: int
) -> Found:
    """Descent on a table whose attributes are imputed one by one, with four kinds of accounting.

    Each record is its attributes over √(number of attributes), so that it is in the unit ball and
    the movements of attributes add. Two categories are √2 apart and not 2, which the mean of the
    others cannot exceed either. `zeros` fills gaps with zeros, which couples no records.
    """
    delta, (parts, promised, labels) = 1e-6, blocks(name, n, seed)
    n = len(labels)
    gone = np.array([int(np.isnan(x).any(1).sum()) for x in parts])
    most = np.array([int(share * n) for share in promised])
    if (gone[most == 0] > 0).any():
        raise InputError(f"name = {name!r} has gaps where none were promised; promise some")
    unit = 1 / np.sqrt(len(parts))
    movement = sum(
        unit
        * (1.0 if x.shape[1] == 1 else np.sqrt(0.5))
        * sensitivity.mean_imputation(n, missing=int(m)).total
        for x, m in zip(parts, most, strict=True)
    )
    mu = smooth.logistic_smoothness(descent["radius"])
    factor = {
        "full": meta_theorem.cost_factor(mu * movement),
        "naive": 1.0,
        "group": meta_theorem.group_cost_factor(min(int(most.sum()), n - 1)),
        "zeros": 1.0,
    }
    imputed = unit * np.concatenate([preprocessing.impute_mean(x) for x in parts], 1)
    filled = unit * np.nan_to_num(np.concatenate(parts, 1))
    least = best_loss(imputed, labels, descent["radius"])
    keys = iter(jax.random.split(jax.random.key(seed), len(WAYS) * len(epsilons) * repeats))
    found = np.zeros((len(WAYS), len(epsilons), repeats))
    with separate_ledger():
        for i, way in enumerate(WAYS):
            for j, epsilon in enumerate(epsilons):
                tested = way in ("full", "group")
                rho = renyi.epsilon_to_zcdp(epsilon * (1 - TEST_SHARE * tested), delta=delta)
                std = pipelines.gradient_noise_std(
                    n, steps=descent["steps"], rho=rho, factor=factor[way]
                )
                rows = filled if way == "zeros" else imputed
                found[i, j] = [
                    averaged_loss(rows, labels, descent, std, next(keys)) - least
                    for _ in range(repeats)
                ]
    margin = float(np.maximum(most + 1 - gone, 0)[most > 0].min())
    return {
        "excess": found,
        "factors": np.array([factor[way] for way in WAYS]),
        "missing": gone,
        "promised": most,
        "release": np.array(
            [ptr.MarginTest(TEST_SHARE * e, delta).release_probability(margin) for e in epsilons]
        ),
        "movement": movement,
        "zero": float(np.log(2)) - least,
    }


def copies(name: str, n: int, seed: int) -> Found:
    """Exact duplicates among n rows of a table, and the cost factors of a mean behind their
    removal, if as many copies as there are were promised."""
    if name == SAMPLE:
        rows = _sample_rows(n, seed)[0].round(1)
    else:
        every, _ = data.load(name).merged()
        chosen = np.random.default_rng(seed).permutation(len(every))[:n]
        rows = np.nan_to_num(every[chosen], nan=-1.0)
    n = len(rows)
    _, counts = np.unique(rows, axis=0, return_counts=True)
    more = max(int(counts.max()) - 1, 1)
    rough = sensitivity.deduplication_dropping(n, duplicates=more)
    exact = sensitivity.deduplication_dropping(n, duplicates=more, separated=True)
    # below half the distance of any two records that differ, on the public scales of attributes
    kept = sensitivity.deduplication_keeping_one(n, diameter=1e-8)
    return {
        "counts": np.bincount(counts)[:12],
        "distinct": len(counts),
        "most": int(counts.max()),
        "factors": np.array(
            [
                meta_theorem.cost_factor(rough.total),
                meta_theorem.cost_factor(exact.total),
                meta_theorem.cost_factor(kept.total),
                meta_theorem.group_cost_factor(rough.records),
            ]
        ),
    }


def image_features(source: str, n: int, seed: int) -> tuple[Any, Any]:
    """(n, d) image features of norm 1 around a mean that is public, and labels -1 and 1.

    source: "fashion_mnist sample" or "fashion_mnist" (7 x 7 means of pixels), or "cifar10"
    (features of an EfficientNet-Lite0 that was trained on other images). The mean is that of 200
    images that are not used otherwise; labels tell the first five classes from the others.
    """
    name, _, sample = source.partition(" ")
    images, classes = data.load(name, sample=bool(sample)).merged()
    order = np.random.default_rng(seed).permutation(len(images))[: n + 200]
    if len(order) < n + 200:
        raise InputError(f"n = {n}; at most {len(images) - 200} images of {source} are there")
    chosen = images[order]
    if name == "cifar10":
        rows = _network_features(chosen)
    else:
        rows = (
            chosen.astype(np.float32)
            .reshape(len(chosen), 7, 4, 7, 4)
            .mean((2, 4))
            .reshape(len(chosen), -1)
        )
    around = rows[:n].astype(np.float64) - rows[n:].mean(0)
    around /= np.maximum(np.linalg.norm(around, axis=1, keepdims=True), 1e-12)
    return around, np.where(classes[order[:n]] < 5, 1.0, -1.0)


def _network_features(images: Any) -> Any:
    from flax import nnx

    from theorylab import nets

    model = nets.load_efficientnet_lite0(num_outputs=None, rngs=nnx.Rngs(0))
    features, params = nets.functional(model)
    return np.concatenate(
        [
            nets.predict(features, params, nets.efficientnet_inputs(batch, size=SIDE))
            for batch in np.array_split(images, max(1, len(images) // 200))
        ]
    )


IMAGE_WAYS = ("full dimension", "PCA", "private PCA", "PCA, naive")


def images(
    source: str,
    n: int,
    ranks: list[int],
    epsilons: list[float],
    repeats: int,
    descent: Mapping[str, Any],
    seed: int,
) -> Found:
    """Descent on image features, reduced to their principal directions or not; the eigengaps, the
    factors, the movement that the worst replacement found, and what a test of half the gap says."""
    delta = 1e-6
    rows, labels = image_features(source, n, seed)
    gaps = np.array([float(preprocessing.eigengaps(rows, rank=k)) for k in ranks])
    promise = 0.5 * gaps  # as if it had been known; the test says how probable a release is
    mu = smooth.logistic_smoothness(descent["radius"])
    factors = [
        meta_theorem.cost_factor(mu * sensitivity.pca_reduction(n, eigengap=g).total)
        for g in promise
    ]
    least = best_loss(rows, labels, descent["radius"])
    count = len(ranks) + len(epsilons) * (repeats + len(ranks) * (3 * repeats + 1))
    keys = iter(jax.random.split(jax.random.key(seed), count))
    found = np.zeros((len(IMAGE_WAYS), len(ranks), len(epsilons), repeats))

    def excess(images: Any, rho: float, factor: float) -> list[float]:
        std = pipelines.gradient_noise_std(n, steps=descent["steps"], rho=rho, factor=factor)
        return [
            averaged_loss(images, labels, descent, std, next(keys)) - least for _ in range(repeats)
        ]

    with separate_ledger():
        turned = [preprocessing.pca_reduce(rows, rank=k, key=next(keys)) for k in ranks]
        for j, epsilon in enumerate(epsilons):
            rho = renyi.epsilon_to_zcdp(epsilon, delta=delta)
            less = renyi.epsilon_to_zcdp((1 - TEST_SHARE) * epsilon, delta=delta)
            found[0, :, j] = excess(rows, rho, 1.0)
            for i, (k, factor) in enumerate(zip(ranks, factors, strict=True)):
                basis = pipelines.private_directions(rows, rank=k, rho=rho / 2, key=next(keys))
                found[1, i, j] = excess(turned[i], less, factor)
                found[2, i, j] = excess(rows @ np.asarray(basis, np.float64), rho / 2, 1.0)
                found[3, i, j] = excess(turned[i], rho, 1.0)
    test = ptr.MarginTest(TEST_SHARE * max(epsilons), delta)
    worst = [
        worst_case_neighbour.worst_replacement(
            partial(preprocessing.pca_project, rank=k),
            rows,
            pairs=40,
            key=jax.random.key(seed),
        ).movement
        for k in ranks
    ]
    return {
        "excess": found,
        "gaps": gaps,
        "factors": np.array(factors),
        "group": meta_theorem.group_cost_factor(n - 1),
        "release": np.array(
            [test.release_probability(n * (g - b) / 2) for g, b in zip(gaps, promise, strict=True)]
        ),
        "worst": np.array(worst),
        "promised": np.array(
            [sensitivity.pca_projection(n, eigengap=g - 2 / n).total for g in gaps]
        ),
        "least": least,
    }
