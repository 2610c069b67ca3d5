import jax
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from theorylab import mixtures
from theorylab.errors import InputError

fit = jax.jit(mixtures.fit_logistic, static_argnames="intercept")  # one compilation for each shape


def problem(n=60, d=4, seed=0, gap=1.0):
    rng = np.random.default_rng(seed)
    y = rng.choice([-1.0, 1.0], n)
    return y[:, None] * gap * np.arange(d) / d + rng.normal(size=(n, d)) + 0.5, y


@pytest.mark.long
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("l2", [1.0, 0.01])
def test_it_is_scikit_learns_fit(intercept, l2):
    X, y = problem()
    peer = LogisticRegression(C=1 / l2, fit_intercept=intercept, tol=1e-10, max_iter=5000).fit(X, y)
    found = fit(X, y, l2=l2, intercept=intercept)
    np.testing.assert_allclose(found.weight, peer.coef_[0], atol=2e-4)
    np.testing.assert_allclose(found.intercept, peer.intercept_[0] if intercept else 0.0, atol=2e-4)
    assert float(found.error(X, y)) == pytest.approx(1 - peer.score(X, y))


def test_separable_data_and_more_features_than_samples_converge():
    X, y = problem(n=10, d=30, gap=5.0)
    peer = LogisticRegression(C=100.0, tol=1e-10, max_iter=5000).fit(X, y)
    np.testing.assert_allclose(fit(X, y, l2=0.01).weight, peer.coef_[0], atol=1e-3)


@pytest.mark.long
def test_float64_reaches_the_stationary_point():
    X, y = problem()
    with jax.enable_x64(True):
        found = mixtures.fit_logistic(X, y, l2=0.3)
    weight = np.asarray(found.weight)
    assert weight.dtype == np.float64
    p = 1 / (1 + np.exp(y * (X @ weight + float(found.intercept))))
    np.testing.assert_allclose(0.3 * weight, X.T @ (y * p), atol=1e-9)
    assert abs((y * p).sum()) < 1e-9


def test_weights_are_masks_and_multiplicities():
    X, y = problem(n=30)
    weights = np.r_[np.zeros(5), 2 * np.ones(5), np.ones(20)]
    rows = np.r_[5:10, 5:10, 10:30]
    found, expected = (
        fit(X, y, sample_weight=weights),
        fit(X[rows], y[rows], sample_weight=np.ones(30)),
    )
    np.testing.assert_allclose(found.weight, expected.weight, atol=2e-5)


@pytest.mark.long
def test_it_maps_over_penalties_and_starts_warm():
    X, y = problem(n=40)
    l2 = np.array([0.1, 1.0, 10.0], np.float32)
    path = jax.vmap(lambda a: mixtures.fit_logistic(X, y, l2=a))(l2)
    assert (np.diff(np.linalg.norm(path.weight, axis=1)) < 0).all()
    warm = mixtures.fit_logistic(
        X, y, l2=1.0, start=mixtures.LinearRule(path.weight[0], path.intercept[0])
    )
    np.testing.assert_allclose(warm.weight, path.weight[1], atol=2e-4)


def test_a_rule_scores_errs_and_scales():
    rule = mixtures.LinearRule(np.array([3.0, 4.0]), np.asarray(5.0))
    np.testing.assert_allclose(rule.normalised().weight, [0.6, 0.8])
    assert float(rule.normalised().intercept) == 1.0
    np.testing.assert_allclose(rule.score(np.array([[1.0, 1.0], [-3.0, 1.0]])), [12, 0])
    X, y = np.array([[1.0, 1.0], [-3.0, 1.0], [-3.0, 0.0]]), np.array([1, 1, 1])
    assert float(rule.error(X, y)) == pytest.approx(1 / 3)
    assert float(rule.error(X, y, sample_weight=np.array([1.0, 1.0, 0.0]))) == 0
    assert np.isfinite(mixtures.LinearRule(np.zeros(2), np.asarray(1.0)).normalised().weight).all()


@pytest.mark.parametrize(
    "change",
    [
        {"y": np.ones(60)},
        {"y": np.zeros(60)},
        {"l2": 0.0},
        {"l2": np.nan},
        {"sample_weight": np.ones(3)},
        {"sample_weight": -np.ones(60)},
        {"max_steps": 0},
    ],
)
def test_bad_input_is_refused(change):
    X, y = problem()
    with pytest.raises(InputError):
        mixtures.fit_logistic(**{"X": X, "y": y, **change})


@pytest.mark.long
def test_one_class_is_fine_without_an_intercept():
    assert np.isfinite(
        mixtures.fit_logistic(np.ones((3, 2)), np.ones(3), intercept=False).weight
    ).all()
