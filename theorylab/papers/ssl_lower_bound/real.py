"""Cells on real data: every learner of the paper on binary tasks cut from images and tables.

The paper's protocol as far as it is known: 1,000 test points, 1,000 validation points, a few
labels, the rest unlabelled; l2-logistic regression for SL, EM for UL, their unit-length mixture for
SSL-W. Features are the leading principal components of the pool, centred and divided by one scale:
whitening would destroy what UL sees.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg

from theorylab import data as sets
from theorylab import mixtures

COMPONENTS, HELD_OUT, POOL, MOST_LABELS = 20, 1000, 5000, 40
L2, ROUNDS, FRACTION = 1.0, 10, 0.1


@lru_cache(maxsize=1)
def _rows(base: str, sample: bool | None) -> tuple[np.ndarray, np.ndarray]:
    """All rows of a data set: standardised tables, images on [0, 1] in one row each, "adult" as 123
    binary columns."""
    loaded = sets.load(base, sample=sample if base == "fashion_mnist" else None)
    if loaded.is_image:
        X, y = loaded.merged()
        return (X.reshape(len(X), -1) / np.float32(255)).astype(np.float32), y
    arrays = sets.encode(loaded, bins=5).arrays if base == "adult" else loaded.normalised()
    return np.concatenate([arrays.x_train, arrays.x_test]), np.concatenate(
        [arrays.y_train, arrays.y_test]
    )


def task(name: str, sample: bool | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Features (n, p) float32 and labels (n,) in {-1, +1} of a binary task.

    name: a data set of two classes ("keel/twonorm", "adult", the data the paper calls a9a) or, with
    the numbers of two classes, a pair of them ("mnist/3v8"), the first being -1.
    """
    base, _, pair = name.rpartition("/") if _is_pair(name) else (name, "", "")
    X, y = _rows(base, sample)
    first, second = (int(k) for k in pair.split("v")) if pair else (0, 1)
    rows = (y == first) | (y == second)
    return X[rows], np.where(y[rows] == first, -1.0, 1.0)


def _is_pair(name: str) -> bool:
    first, _, second = name.rpartition("/")[2].partition("v")
    return first.isdigit() and second.isdigit()


def split(X: np.ndarray, y: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """A random test part, validation part and pool, reduced to principal components and padded with
    weight 0."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(y))
    held = min(HELD_OUT, len(y) // 5)
    rows = {"test": order[:held], "val": order[held : 2 * held], "pool": order[2 * held :][:POOL]}
    pool = X[rows["pool"]]
    centre = pool.mean(0)
    p = X.shape[1]
    kept = min(COMPONENTS, p)
    covariance = (pool - centre).T @ (pool - centre) / len(pool)
    values, vectors = scipy.linalg.eigh(covariance, subset_by_index=(p - kept, p - 1))
    basis = vectors / np.sqrt(values.mean())
    found: dict[str, np.ndarray] = {}
    for part, index in rows.items():
        size = POOL if part == "pool" else HELD_OUT
        pad = size - len(index)
        found |= {
            f"X_{part}": np.pad((X[index] - centre) @ basis, ((0, pad), (0, 0))).astype(np.float32),
            f"y_{part}": np.pad(y[index], (0, pad), constant_values=1).astype(np.float32),
            f"w_{part}": np.pad(np.ones(len(index)), (0, pad)).astype(np.float32),
        }
    return found


def choose_labels(y: np.ndarray, n_l: int, rng: np.random.Generator) -> np.ndarray:
    """n_l row numbers, at least min(3, n_l / 2) of each class."""
    least = min(3, n_l // 2)
    first = np.concatenate(
        [rng.permutation(np.flatnonzero(y == label))[:least] for label in (-1, 1)]
    )
    rest = np.setdiff1d(np.arange(len(y)), first)
    return np.concatenate([first, rng.permutation(rest)[: n_l - len(first)]])


def learners(
    name: str, sample: bool | None, labels: list[int], draws: int, seed: int, shuffled: bool = False
) -> Mapping[str, Any]:
    """Test errors (draws, label counts) of all learners, SSL-W by each way to choose t, and that t.

    Each draw is a new split and new labels; `shuffled` permutes the labels that the learners see.
    s_hat (draws,) is the Fisher signal-to-noise ratio along the best linear rule, and `bayes` the
    test error of that rule.
    """
    X, y = task(name, sample)
    found: dict[str, list[Any]] = {}
    for draw in range(draws):
        parts = split(X, y, 1000 * seed + draw)
        rng = np.random.default_rng([seed, draw])
        whole = int(parts["w_pool"].sum())
        ul, best = _whole_pool(parts["X_pool"], parts["y_pool"], parts["w_pool"])
        rows: dict[str, Any] = {}
        for n_l in labels:
            index = choose_labels(parts["y_pool"][:whole], n_l, rng)
            y_l = parts["y_pool"][index]
            y_l = rng.permutation(y_l) if shuffled else y_l
            pad = MOST_LABELS - n_l
            arrays = (
                np.pad(parts["X_pool"][index], ((0, pad), (0, 0))),
                np.pad(y_l, (0, pad), constant_values=1),
                np.pad(np.ones(n_l, np.float32), (0, pad)),
            )
            unlabelled = parts["w_pool"].copy()
            unlabelled[index] = 0
            for key, value in _errors(*arrays, ul, parts, unlabelled).items():
                rows.setdefault(key, []).append(float(value))
        margins = np.asarray(best.score(parts["X_pool"]))[:whole] * parts["y_pool"][:whole]
        within = np.concatenate(
            [m - m.mean() for m in (margins[parts["y_pool"][:whole] == k] for k in (-1, 1))]
        )
        best_error = float(
            best.error(parts["X_test"], parts["y_test"], sample_weight=parts["w_test"])
        )
        whole_pool = {"s_hat": abs(margins.mean()) / within.std(), "bayes": best_error}
        for key, value in (rows | whole_pool).items():
            found.setdefault(key, []).append(value)
    size = min(POOL, len(y) - 2 * min(HELD_OUT, len(y) // 5))
    return {key: np.asarray(value) for key, value in found.items()} | {
        "n_u": size,
        "features": X.shape[1],
    }


@jax.jit
def _whole_pool(X: Any, y: Any, weight: Any) -> tuple[mixtures.LinearRule, mixtures.LinearRule]:
    """The rule of EM, which sees no label, and logistic regression that sees all labels."""
    mixture = mixtures.fit_mixture(X, covariance="spherical", sample_weight=weight)
    return mixture.rule(), mixtures.fit_logistic(X, y, sample_weight=weight, l2=L2)


@jax.jit
def _errors(
    X_l: Any, y_l: Any, w_l: Any, ul: mixtures.LinearRule, parts: Mapping[str, Any], w_u: Any
) -> dict[str, Any]:
    sl = mixtures.fit_logistic(X_l, y_l, sample_weight=w_l, l2=L2)
    ulp = mixtures.oriented(ul, X_l, y_l, sample_weight=w_l)
    taught = mixtures.self_training(
        X_l,
        y_l,
        parts["X_pool"],
        labelled_weight=w_l,
        unlabelled_weight=w_u,
        schedule=mixtures.SelfTrainingSchedule(ROUNDS, FRACTION),
        l2=L2,
        intercept=True,
    )
    test = {"X": parts["X_test"], "y": parts["y_test"]}

    def error(rule: mixtures.LinearRule) -> Any:
        return rule.error(*test.values(), sample_weight=parts["w_test"])

    found = {"sl": error(sl), "ul_plus": error(ulp), "self_training": error(taught)}
    for criterion, part in (("oracle", "test"), ("labelled", "val"), ("unlabelled-margin", "val")):
        chosen = mixtures.select_weight(
            sl,
            ulp,
            parts[f"X_{part}"],
            parts[f"y_{part}"],
            criterion=criterion,
            sample_weight=parts[f"w_{part}"],
        )
        found |= {f"ssl_w {criterion}": error(chosen.rule), f"t {criterion}": chosen.weight}
    return found


def twonorm(data: str, n_l: int, n_u: int, draws: int, seed: int) -> Mapping[str, Any]:
    """The mixture's learners on the file twonorm, a sample of the model: excess risks (draws,) by
    the angle to the full-data theta*, error rates on the file, and the theory's predictions, exact
    for SL.

    data: "keel/twonorm" or "generated". The midpoint of the two classes is subtracted; SSL-EM
    starts from SSL-W.
    """
    if data == "generated":
        key = jax.random.key(20)
        X, y = (
            np.asarray(a) for a in mixtures.sample_2gmm(key, jnp.full(20, 2 / np.sqrt(20)), 7400)
        )
    else:
        loaded = sets.load(data)
        X, labels = loaded.merged()
        y = np.where(labels == 0, -1.0, 1.0)
    means = [X[y == k].mean(0) for k in (-1, 1)]
    X, centre = (
        (X - (means[0] + means[1]) / 2).astype(np.float32),
        ((means[1] - means[0]) / 2).astype(np.float32),
    )
    s, d = float(np.linalg.norm(centre)), X.shape[1]
    t = float(mixtures.optimal_weight(s, n_l, n_u))

    @jax.jit
    @jax.vmap
    def fit(X_l: Any, y_l: Any, X_u: Any) -> dict[str, Any]:
        sl, ulp = mixtures.sl_estimator(X_l, y_l), mixtures.ul_plus(X_l, y_l, X_u)
        both = mixtures.ssl_weighted(sl, ulp, t)
        em = mixtures.ssl_em(X_l, y_l, X_u, both)
        return {"sl": sl, "ul_plus": ulp, "ssl_weighted": both, "ssl_em": em}

    rng = np.random.default_rng(seed)
    rows = np.stack([rng.permutation(len(y))[: n_l + n_u] for _ in range(draws)])
    thetas = fit(X[rows[:, :n_l]], y[rows[:, :n_l]].astype(np.float32), X[rows[:, n_l:]])
    found: dict[str, Any] = {"s": s, "midpoint": float(np.linalg.norm(sum(means) / 2))}
    for method, theta in thetas.items():
        found[f"excess {method}"] = np.asarray(mixtures.excess_risk(theta, centre))
        found[f"error {method}"] = (np.sign(np.asarray(theta) @ X.T) != y).mean(1)
        found[f"predicted {method}"] = float(mixtures.predicted_excess(method, s, d, n_l, n_u))
    found["predicted sl"] = float(mixtures.sl_excess_exact(s, d, n_l))
    return found
