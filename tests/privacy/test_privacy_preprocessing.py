"""The maps against scikit-learn, SciPy and loops."""

import jax
import numpy as np
import pytest
from scipy.stats import trim_mean
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from theorylab.errors import InputError
from theorylab.privacy import online, preprocessing

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(15, 3))
ROWS /= 1.01 * np.linalg.norm(ROWS, axis=1).max()
HOLES = ROWS.copy()
HOLES[[2, 5, 11]] = np.nan


def test_missing_records_become_the_mean_of_the_others():
    expected = SimpleImputer().fit_transform(HOLES)
    np.testing.assert_allclose(preprocessing.impute_mean(HOLES), expected, atol=1e-15)


@pytest.mark.parametrize("missing", [2, 3])
def test_missing_entries_become_the_lower_median(missing):
    column = ROWS[:, 0].copy()
    column[:missing] = np.nan
    seen = np.sort(column[missing:])
    filled = preprocessing.impute_median(column)
    assert (filled[:missing] == np.percentile(seen, 50, method="lower")).all()
    assert (filled[missing:] == column[missing:]).all()


def test_missing_entries_become_the_trimmed_mean():
    filled = preprocessing.impute_trimmed_mean(HOLES[:, 0], trimmed=3)
    seen = HOLES[~np.isnan(HOLES[:, 0]), 0]
    assert filled[5] == pytest.approx(trim_mean(seen, 3 / seen.size), rel=1e-12)


def test_missing_targets_become_the_ridge_prediction():
    targets = np.clip(ROWS @ [1.0, -0.5, 0.2], -1, 1)
    targets[[1, 4]] = np.nan
    seen = ~np.isnan(targets)
    ridge = Ridge(alpha=15 * 0.2, fit_intercept=False).fit(ROWS[seen], targets[seen])
    filled = preprocessing.impute_regression(ROWS, targets, penalty=0.2)
    np.testing.assert_allclose(filled[[1, 4]], ridge.predict(ROWS[[1, 4]]), rtol=1e-9)


def test_quantized_records_are_means_of_clusters():
    rows = np.array([[0.0, 0.0], [0.1, 0.0], [0.8, 0.0], [0.8, 0.1], [0.8, 0.05]])
    means = preprocessing.quantize(rows, diameter=0.2)
    np.testing.assert_allclose(means, [[0.05, 0]] * 2 + [[0.8, 0.05]] * 3, atol=1e-15)


def test_dropping_loses_every_duplicate_and_keeping_one_all_but_the_first():
    rows = np.array([[0.0], [0.5], [0.05], [0.9], [0.52]])
    dropped = preprocessing.drop_duplicates(rows, radius=0.1)
    assert dropped.kept.tolist() == [False, False, False, True, False]
    assert (dropped.records[:, 0] == [0, 0, 0, 0.9, 0]).all()
    one = preprocessing.keep_one(rows, diameter=0.1)
    assert one.kept.tolist() == [True, True, False, True, False]


def test_projection_is_that_of_principal_component_analysis():
    pca = PCA(2).fit(ROWS)
    expected = pca.inverse_transform(pca.transform(ROWS)) - pca.mean_
    found = preprocessing.pca_project(ROWS, rank=2, centre="records")
    np.testing.assert_allclose(found, expected, atol=1e-12)
    raw = preprocessing.pca_project(ROWS, rank=2, centre="covariance")
    np.testing.assert_allclose(raw, ROWS @ pca.components_.T @ pca.components_, atol=1e-12)
    left, s, right = np.linalg.svd(ROWS, full_matrices=False)
    plain = preprocessing.pca_project(ROWS, rank=2)
    np.testing.assert_allclose(plain, (left[:, :2] * s[:2]) @ right[:2], atol=1e-12)


def test_coordinates_are_those_of_the_projection_under_a_rotation():
    reduced = preprocessing.pca_reduce(ROWS, rank=2, key=jax.random.key(11))
    projected = preprocessing.pca_project(ROWS, rank=2)
    np.testing.assert_allclose(reduced @ reduced.T, projected @ projected.T, atol=1e-6)
    other = preprocessing.pca_reduce(ROWS, rank=2, key=jax.random.key(12))
    assert np.abs(reduced - other).max() > 1e-3


def test_scaled_columns_are_those_of_scikit_learn():
    expected = StandardScaler().fit_transform(ROWS[:, :1])[:, 0]
    np.testing.assert_allclose(preprocessing.standardise(ROWS[:, 0]), expected, rtol=1e-9)


def test_the_eigengap_is_that_of_the_covariance():
    values = np.sort(np.linalg.svd(ROWS, compute_uv=False) ** 2 / len(ROWS))[::-1]
    assert preprocessing.eigengaps(ROWS, rank=1) == pytest.approx(values[0] - values[1])
    centred = np.sort(np.linalg.eigvalsh(np.cov(ROWS.T, bias=True)))[::-1]
    found = preprocessing.eigengaps(ROWS, rank=2, centred=True)
    assert found == pytest.approx(centred[1] - centred[2])


@pytest.mark.parametrize("name", ["impute_mean", "pca_project", "quantize", "keep_one"])
def test_many_data_sets_at_once_are_each_by_itself(name):
    options = {"pca_project": {"rank": 1}, "quantize": {"diameter": 0.3}}
    options["keep_one"] = options["quantize"]
    function, chosen = getattr(preprocessing, name), options.get(name, {})
    pair = np.stack([ROWS, ROWS[::-1] * 0.5])
    both = jax.tree.leaves(vars(x) if hasattr(x := function(pair, **chosen), "kept") else x)
    for i in (0, 1):
        one = function(pair[i], **chosen)
        alone = jax.tree.leaves(vars(one) if hasattr(one, "kept") else one)
        for left, right in zip(both, alone, strict=True):
            np.testing.assert_allclose(left[i], right, atol=1e-12)


def test_a_rotation_refuses_a_key_that_was_used():
    with online.separate_ledger():
        preprocessing.pca_reduce(ROWS, rank=1, key=jax.random.key(5))
        with pytest.raises(InputError, match="key was used"):
            preprocessing.pca_reduce(ROWS, rank=1, key=jax.random.key(5))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: preprocessing.impute_mean(np.full((4, 2), np.nan)), "missing everything"),
        (lambda: preprocessing.impute_median(np.full(4, np.nan)), "missing everything"),
        (lambda: preprocessing.pca_project(3 * ROWS, rank=1), "norm 2.97"),
        (lambda: preprocessing.pca_project(HOLES, rank=1), "impute missing ones first"),
        (lambda: preprocessing.standardise(np.ones(5)), "standard deviation 0"),
    ],
)
def test_what_cannot_be_processed_is_refused_in_one_line(call, message):
    with pytest.raises(InputError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
