"""Fits far from the origin, and what does not converge: the same answers, or a word."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import GaussianMixture

from theorylab import mixtures


def problem(shift, unit=1.0):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3)) * np.array([1.0, 2.0, 0.5])
    X[:100] += 3
    return unit * X + shift, np.where(np.arange(200) < 100, 1.0, -1.0)


FAR = [(0.0, 1.0), (1e4, 1.0), (-1e6, 1e3)]


@pytest.mark.long
@pytest.mark.parametrize("covariance", ["spherical", "tied"])
@pytest.mark.parametrize(("shift", "unit"), FAR)
def test_a_mixture_is_scikit_learns_wherever_its_origin_is(covariance, shift, unit):
    X, y = problem(shift, unit)
    peer = GaussianMixture(2, covariance_type=covariance, n_init=3, random_state=0, tol=1e-7)
    peer = peer.fit((X - shift) / unit)
    found = mixtures.fit_mixture(X, covariance=covariance, tol=1e-6, floor=1e-6 * unit**2)
    order, wanted = np.argsort(found.means[:, 0]), np.argsort(peer.means_[:, 0])
    np.testing.assert_allclose((found.means[order] - shift) / unit, peer.means_[wanted], atol=5e-3)
    spread = found.covariance / unit**2
    if covariance == "spherical":
        np.testing.assert_allclose(spread[order], peer.covariances_[wanted], rtol=1e-2)
    else:
        np.testing.assert_allclose(spread, peer.covariances_, atol=1e-2)
    height = peer.score((X - shift) / unit) - 3 * np.log(unit)
    assert float(found.log_likelihood) == pytest.approx(height, abs=1e-4) and found.converged
    error = float(found.rule().error(X, y))
    assert min(error, 1 - error) < 0.05


@pytest.mark.long
@pytest.mark.parametrize("covariance", ["spherical", "tied"])
def test_constant_columns_and_coinciding_points_leave_the_floor_as_variance(covariance):
    two = np.array([[9999.0], [0.0]] * 20)
    found = mixtures.fit_mixture(two, covariance=covariance)
    np.testing.assert_allclose(np.sort(found.means[:, 0]), [0.0, 9999.0], atol=1e-2)
    assert np.min(found.covariance) > 0 and np.max(found.covariance) < 0.01
    X = np.column_stack([problem(0.0)[0], np.full(200, 5.0)])
    found = mixtures.fit_mixture(X, covariance=covariance)
    assert np.isfinite(found.log_likelihood)
    np.testing.assert_allclose(found.means[:, 3], 5.0, atol=1e-6)
    if covariance == "tied":
        assert found.covariance[3, 3] == pytest.approx(1e-6, rel=1e-3)


def test_a_mixture_under_jit_is_centred_in_the_precision_it_has():
    X, _ = problem(300.0)
    outside = mixtures.fit_mixture(X.astype(np.float32), covariance="tied")
    inside = jax.jit(lambda a: mixtures.fit_mixture(a, covariance="tied"))(X.astype(np.float32))
    order, wanted = (np.argsort(m.means[:, 0]) for m in (inside, outside))
    np.testing.assert_allclose(inside.means[order], outside.means[wanted], rtol=1e-5)
    np.testing.assert_allclose(inside.covariance, outside.covariance, atol=2e-3)
    assert inside.means.dtype == jnp.float32 and bool(inside.converged)


@pytest.mark.long
@pytest.mark.parametrize(("shift", "unit"), [*FAR, (0.0, np.array([1.0, 1e3, 1e-3]))])
def test_a_logistic_fit_is_scikit_learns_wherever_its_origin_is(shift, unit):
    X, y = problem(shift, unit)
    l2 = 0.5
    Z = X - X.mean(0)
    found = mixtures.fit_logistic(X, y, l2=l2)
    p = 1 / (1 + np.exp(y * (Z @ found.weight + found.intercept + X.mean(0) @ found.weight)))
    # stationary: the gradient, each part in units of its column
    scale = Z.std(0)
    np.testing.assert_allclose((Z / scale).T @ (y * p), l2 * found.weight / scale, atol=1e-7)
    assert abs((y * p).sum()) < 1e-7 and found.converged
    if np.ndim(unit) == 0 and unit == 1:
        # about the mean, where this solver loses no digits either
        peer = LogisticRegression(C=1 / l2, tol=1e-12, max_iter=1000, solver="newton-cholesky")
        peer.fit(Z, y)
        np.testing.assert_allclose(found.weight, peer.coef_[0], atol=1e-6)
        assert float(found.error(X, y)) == pytest.approx(1 - peer.score(Z, y))


@pytest.mark.long
def test_self_training_does_not_care_for_the_origin():
    X, y = problem(0.0)
    rows = np.r_[0:10, 100:110]
    options = {"intercept": True, "schedule": mixtures.SelfTrainingSchedule(rounds=3)}
    near = mixtures.self_training(X[rows], y[rows], X, **options)
    far = mixtures.self_training(X[rows] + 1e5, y[rows], X + 1e5, **options)
    np.testing.assert_allclose(far.weight, near.weight, atol=1e-5)
    np.testing.assert_allclose(
        far.intercept, near.intercept - 1e5 * far.weight.sum(), atol=1e-4 * 1e5**0.5
    )


def test_scores_of_a_mix_far_off_are_those_of_its_parts():
    X, y = problem(1e6)
    sl, ulp = mixtures.fit_logistic(X, y), mixtures.fit_mixture(X).rule()
    mixed = mixtures.mix(sl, ulp, [0.0, 1.0])
    for rule, row in zip((ulp, sl), mixed.score(X), strict=True):
        np.testing.assert_allclose(row, rule.score(X) / np.linalg.norm(rule.weight), atol=1e-6)


@pytest.mark.long
def test_what_has_not_converged_says_so():
    X, y = problem(0.0)
    with pytest.warns(RuntimeWarning, match="EM has not converged in 2 steps"):
        found = mixtures.fit_mixture(X, max_steps=2, tol=1e-9)
    assert not found.converged and found.steps == 2
    with pytest.warns(RuntimeWarning, match="logistic fit has not converged"):
        rule = mixtures.fit_logistic(X, y, l2=1e-3, max_steps=2)
    assert not rule.converged
    traced = jax.jit(lambda a: mixtures.fit_logistic(a, y, l2=1e-3, max_steps=2))(X)
    assert not bool(traced.converged)
    assert mixtures.fit_logistic(X, y, l2=1e-3).converged
    star = jnp.array([0.3, 0.0, 0.0])
    X, y = mixtures.sample_2gmm(jax.random.key(0), star, 400)
    with pytest.warns(RuntimeWarning, match="EM has not converged in 1 steps"):
        mixtures.ssl_em(X[:10], y[:10], X[10:], star, max_steps=1)
