"""Exponents of power laws: constants of the theory, fits with known slopes, curves of sampled
kernels."""

import jax
import numpy as np
import pytest

from theorylab.rmt import (
    PowerLawTail,
    d_kappa,
    effective_regularization,
    estimated_kappa,
    fit_exponents,
    kappa_curve,
    power_law_kappa,
    predicted_exponent,
    predicted_norm_exponent,
)


@pytest.mark.long
@pytest.mark.parametrize("alpha", [1.2, 1.5, 2.0, 3.0])
def test_constant_and_derivative_of_the_infinite_power_law(alpha):
    i = np.arange(1, 5001.0)
    tail = PowerLawTail(alpha, 5000)
    exact = float(effective_regularization(i**-alpha, 1000, 0.0, tail=tail))
    np.testing.assert_allclose(exact / float(power_law_kappa(alpha, 1000)), 1.0, atol=alpha / 1000)
    np.testing.assert_allclose(float(d_kappa(i**-alpha, 1000, 0.0, tail=tail)), alpha, rtol=0.006)


@pytest.mark.parametrize(
    ("alpha", "delta", "kwargs", "rate"),
    [
        (1.5, 1.5, {}, 0.5),
        (1.2, 4.5, {}, 2.4),
        (1.5, 1.5, {"noise": 1.0}, 0.0),
        (1.5, 1.5, {"noise": 1.0, "schedule": "tuned"}, 1 / 3),
        (1.5, 9.0, {"noise": 1.0, "schedule": "tuned"}, 0.75),
        (1.5, 1.5, {"schedule": "tuned"}, 0.5),
        (1.5, 1.5, {"schedule": "fixed"}, 0.0),
    ],
)
def test_predicted_exponents(alpha, delta, kwargs, rate):
    assert predicted_exponent(alpha, delta, **kwargs) == pytest.approx(rate)


def test_norm_exponent():
    assert predicted_norm_exponent(1.5, 1.2) == pytest.approx(1.3)
    assert predicted_norm_exponent(1.5, 3.0) == 0.0


def test_exact_power_laws_are_fitted_exactly():
    n = np.array([10.0, 30.0, 100.0, 400.0])
    fit = fit_exponents(n, 3 * n**-1.4, 5 * n**-0.7)
    np.testing.assert_allclose([fit.alpha, fit.rate, fit.delta], [1.4, 0.7, 1.7], rtol=1e-12)
    assert fit.alpha_se < 1e-12 and fit.saturated is False
    assert fit_exponents(n, n**-1.2, n**-2.4).saturated is True


def test_standard_error_covers_the_truth():
    # 60 replicated curves with log-noise 0.05 on 5 sizes: the s.e. of one slope is 0.05/sqrt(Sxx)
    rng, n = np.random.default_rng(0), np.geomspace(50, 800, 5)
    noise = np.exp(0.05 * rng.standard_normal((5, 60)))
    fit = fit_exponents(n, (n**-1.5)[:, None] * noise)
    centred = np.log(n) - np.log(n).mean()
    expected = 0.05 / np.sqrt(centred @ centred) / np.sqrt(60)
    assert 0.75 * expected < fit.alpha_se < 1.25 * expected  # s.d. of a s.d. from 60 draws: 9 %
    assert abs(fit.alpha - 1.5) < 3 * expected


@pytest.mark.slow
def test_kappa_curve_of_a_sampled_kernel_gives_the_exponent():
    p, m = 1600, 200
    x = np.random.default_rng(0).standard_normal((m, p)) * np.arange(1, p + 1.0) ** -0.75
    curve = np.asarray(kappa_curve(x @ x.T, [50, 100, 200], jax.random.key(0), draws=2))
    exact = np.asarray(
        effective_regularization(np.arange(1, p + 1.0) ** -1.5, np.array([50.0, 100, 200]), 0.0)
    )
    # 6/N at N = 50
    np.testing.assert_allclose(curve, np.repeat(exact[:, None], 2, axis=1), rtol=0.12)
    assert abs(
        fit_exponents([50, 100, 200], curve).alpha - fit_exponents([50, 100, 200], exact).alpha
    ) < 0.12 / np.log(4)  # the finite p steepens both alike


def test_estimated_kappa_is_one_over_the_resolvent_trace():
    x = np.random.default_rng(0).standard_normal((6, 20))
    k = x @ x.T
    np.testing.assert_allclose(
        float(estimated_kappa(k)), 1 / np.trace(np.linalg.inv(k)), rtol=1e-10
    )
    direct = [6 / np.trace(np.linalg.inv(k / 6 + a * np.eye(6))) for a in (0.1, 1.0)]
    np.testing.assert_allclose(
        np.asarray(estimated_kappa(k, np.array([0.1, 1.0]))), direct, rtol=1e-10
    )
    assert float(estimated_kappa(x.T @ x)) == 0.0


def test_bad_input_is_named():
    for call, word in [
        (lambda: power_law_kappa(1.0, 10), "alpha"),
        (lambda: predicted_exponent(0.9, 2.0), "alpha"),
        (lambda: predicted_exponent(1.5, 2.0, schedule="best"), "schedule"),
        (lambda: fit_exponents([1, 2], [1.0, -1.0]), "kappa holds -1"),
        (lambda: fit_exponents([1, 2], [1.0]), "kappa has shape"),
        (lambda: estimated_kappa(np.ones((2, 3))), "K has shape"),
        (lambda: kappa_curve(np.eye(3), [4], jax.random.key(0)), "sizes = 4"),
    ]:
        with pytest.raises(ValueError, match=word):
            call()
