import jax
import jax.numpy as jnp
import numpy as np
import pytest

from theorylab import mixtures
from theorylab.errors import InputError


def problem(seed=0, d=6, n_l=30, n_u=200, s=1.2):
    centre = mixtures.random_center(jax.random.key(seed), d, s)
    X_l, y_l = mixtures.sample_2gmm(jax.random.key(seed + 1), centre, n_l)
    X_u, _ = mixtures.sample_2gmm(jax.random.key(seed + 2), centre, n_u)
    return np.asarray(centre), np.asarray(X_l), np.asarray(y_l), np.asarray(X_u)


def test_sl_is_the_mean_of_signed_points():
    _, X_l, y_l, _ = problem()
    np.testing.assert_allclose(
        mixtures.sl_estimator(X_l, y_l), (y_l[:, None] * X_l).mean(0), rtol=1e-5
    )
    np.testing.assert_allclose(mixtures.sl_estimator([[1, 2]], [-1]), [-1, -2])


def test_the_spectral_estimate_is_the_top_eigenpair_without_centring():
    X = problem()[3] + 3.0
    found = mixtures.spectral_ul(X)
    values, vectors = np.linalg.eigh(X.T.astype(float) @ X / len(X))
    assert float(found.eigenvalue) == pytest.approx(values[-1], rel=1e-5)
    assert abs(float(found.direction @ vectors[:, -1])) == pytest.approx(1, abs=1e-6)
    assert float(jnp.linalg.norm(found.theta)) == pytest.approx(np.sqrt(values[-1] - 1), rel=1e-5)


def test_an_eigenvalue_below_one_keeps_its_direction():
    found = mixtures.spectral_ul(0.1 * problem()[3])
    assert float(jnp.linalg.norm(found.theta)) == 0 and float(
        jnp.linalg.norm(found.direction)
    ) == pytest.approx(1)


@pytest.mark.parametrize("sign_rule", ["mean", "vote"])
def test_ul_plus_follows_the_labels(sign_rule):
    centre, X_l, y_l, X_u = problem(n_l=40, s=2.0)
    found = mixtures.ul_plus(X_l, y_l, X_u, sign_rule=sign_rule)
    assert float(found @ centre) > 0
    np.testing.assert_allclose(
        mixtures.ul_plus(X_l, -y_l, X_u, sign_rule=sign_rule), -found, rtol=1e-6
    )


def test_the_two_sign_rules_differ_where_an_outlier_outvotes_the_mean():
    X_u = np.array([[3.0, 0.0], [-3.0, 0.1]] * 5)
    X_l, y_l = np.array([[1.0, 0], [1.0, 0], [9.0, 0]]), np.array([1, 1, -1])
    assert float(mixtures.ul_plus(X_l, y_l, X_u, sign_rule="vote")[0]) > 0
    assert float(mixtures.ul_plus(X_l, y_l, X_u, sign_rule="mean")[0]) < 0
    # one vote each: the mean decides
    even = mixtures.ul_plus(X_l[1:], y_l[1:], X_u, sign_rule="vote")
    assert float(even[0]) < 0


def test_switching_takes_each_of_its_three_branches():
    _, X_l, y_l, X_u = problem(d=6, n_l=30, n_u=200)
    sl, ulp = mixtures.sl_estimator(X_l, y_l), mixtures.ul_plus(X_l, y_l, X_u)
    # below (6/200)^(1/4) = 0.416 and 0.447
    np.testing.assert_allclose(mixtures.ssl_switch(X_l, y_l, X_u, 0.1), 0)
    # n_l < 0.42^2 * 200 = 35
    np.testing.assert_allclose(mixtures.ssl_switch(X_l, y_l, X_u, 0.42), ulp, rtol=1e-6)
    np.testing.assert_allclose(mixtures.ssl_switch(X_l, y_l, X_u[:40], 0.8), sl, rtol=1e-6)
    traced = jax.jit(mixtures.ssl_switch)(X_l, y_l, X_u, 0.42)
    np.testing.assert_allclose(traced, ulp, rtol=1e-5)


def test_weighting_interpolates():
    a, b = np.array([1.0, 0.0]), np.array([0.0, 2.0])
    np.testing.assert_allclose(mixtures.ssl_weighted(a, b, 0.25), [0.25, 1.5])
    np.testing.assert_allclose(mixtures.ssl_weighted(a, b, [0.0, 1.0]), [b, a])


def test_the_spectral_estimate_is_rotation_equivariant():
    _, X_l, y_l, X_u = problem()
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))[0].astype(np.float32)
    turned = mixtures.ul_plus(X_l @ turn, y_l, X_u @ turn)
    np.testing.assert_allclose(
        turned, np.asarray(mixtures.ul_plus(X_l, y_l, X_u)) @ turn, atol=2e-4
    )


@pytest.mark.slow
def test_iterative_estimators_are_rotation_equivariant():
    _, X_l, y_l, X_u = problem()
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))[0].astype(np.float32)
    schedule = mixtures.SelfTrainingSchedule(rounds=2)
    for fit in (
        lambda a, b: mixtures.ssl_em(a, y_l, b, mixtures.sl_estimator(a, y_l)),
        lambda a, b: mixtures.self_training(a, y_l, b, schedule=schedule).weight,
    ):
        np.testing.assert_allclose(
            fit(X_l @ turn, X_u @ turn), np.asarray(fit(X_l, X_u)) @ turn, atol=2e-4
        )


@pytest.mark.parametrize(
    ("X_l", "y_l", "X_u", "message"),
    [
        (np.ones((3, 2)), [0, 1, 1], np.ones((4, 2)), "labels -1 and"),
        (np.ones((3, 2)), [1, 1], np.ones((4, 2)), "one entry of each for every sample"),
        (np.ones((3, 2)), [1, 1, -1], np.ones((4, 3)), r"\(any, 2\) is needed"),
        (np.ones((3, 2)), [1, 1, -1], np.full((4, 2), np.nan), "finite"),
        (np.ones((0, 2)), [], np.ones((4, 2)), "empty"),
        (np.ones(3), [1, 1, -1], np.ones((4, 2)), "2 axes"),
        ([[1, 2], [3]], [1, 1], np.ones((4, 2)), "rectangular"),
        (np.ones((1, 2)) * 1j, [1], np.ones((4, 2)), "real numbers"),
    ],
)
def test_bad_input_is_one_line(X_l, y_l, X_u, message):
    with pytest.raises(InputError, match=message):
        mixtures.ul_plus(X_l, y_l, X_u)


def test_unknown_rules_and_bad_s_are_refused():
    _, X_l, y_l, X_u = problem()
    with pytest.raises(InputError, match="sign_rule = 'luck'"):
        mixtures.ul_plus(X_l, y_l, X_u, sign_rule="luck")
    with pytest.raises(InputError, match="s = 0"):
        mixtures.ssl_switch(X_l, y_l, X_u, 0.0)
