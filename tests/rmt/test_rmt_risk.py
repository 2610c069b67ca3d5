"""Risks against closed forms, simulation and the exponents of the theory."""

import jax
import numpy as np
import pytest

from theorylab.rmt import (
    PowerLawTail,
    d_kappa,
    effective_regularization,
    omniscient_risk,
    plugin_spectrum,
    spectrum_only_risk,
)


def test_isotropic_ridgeless_risk_is_that_of_hastie_et_al():
    p, n, noise = 300, 100, 0.4  # R = (1 - 1/γ)‖β‖² + σ²γ/(γ-1), γ = 3, ‖β‖² = 1
    estimate = omniscient_risk(np.ones(p), np.full(p, 1 / p), n, 0.0, noise=noise)
    np.testing.assert_allclose(float(estimate.risk), 2 / 3 + noise * 1.5, rtol=1e-12)
    np.testing.assert_allclose(float(estimate.kappa), 2.0, rtol=1e-12)
    assert float(estimate.train_risk) < 1e-28


def test_classical_regime_without_ridge():
    # n > p, α = 0: R = σ²/(1 - p/n), R_train = σ²(1 - p/n), no bias.
    estimate = omniscient_risk(np.array([3.0, 1.0, 0.1]), np.ones(3), 12, 0.0, noise=2.0)
    np.testing.assert_allclose(
        [float(estimate.risk), float(estimate.train_risk), float(estimate.bias)],
        [2 / 0.75, 2 * 0.75, 0],
        rtol=1e-13,
    )


def test_fields_obey_their_definitions():
    e, b = np.arange(1, 60.0) ** -1.5, np.arange(1, 60.0) ** -1.2
    r = omniscient_risk(e, b, 20, 0.01, noise=0.3)
    k = float(effective_regularization(e, 20, 0.01))
    slope = float(d_kappa(e, 20, 0.01))
    np.testing.assert_allclose(float(r.bias), slope * k**2 * np.sum(b / (e + k) ** 2), rtol=1e-12)
    np.testing.assert_allclose(float(r.variance), 0.3 * (slope - 1), rtol=1e-12)
    np.testing.assert_allclose(float(r.risk), float(r.bias) + float(r.variance) + 0.3, rtol=1e-14)
    np.testing.assert_allclose(float(r.train_risk), (0.01 / k) ** 2 * float(r.risk), rtol=1e-12)
    np.testing.assert_allclose(float(r.dof2), np.sum((e / (e + k)) ** 2), rtol=1e-12)


@pytest.mark.parametrize("alpha", [1e-3, 1e-1])
def test_simulated_ridge_regression_agrees(alpha):
    n, p, draws, noise = 100, 300, 24, 0.1
    e, b = np.arange(1, p + 1.0) ** -1.5, np.arange(1, p + 1.0) ** -1.6
    rng, test, train = np.random.default_rng(0), [], []
    for _ in range(draws):
        x = rng.standard_normal((n, p)) * np.sqrt(e)
        y = x @ np.sqrt(b / e) + np.sqrt(noise) * rng.standard_normal(n)
        dual = np.linalg.solve(x @ x.T + n * alpha * np.eye(n), y)
        test.append(np.sum(e * (np.sqrt(b / e) - x.T @ dual) ** 2) + noise)
        train.append(np.mean((n * alpha * dual) ** 2))
    r = omniscient_risk(e, b, n, alpha, noise=noise)
    for values, predicted in ((test, r.risk), (train, r.train_risk)):
        error = np.std(values) / np.sqrt(draws)
        # 3 s.e. + O(1/n) bias
        assert abs(np.mean(values) - float(predicted)) < 3 * error + 0.02 * float(predicted)


TABLE = [(1.5, 1.5, -0.502, -0.517), (1.3, 2.0, -1.006, -1.022), (2.0, 1.8, -0.797, -0.804)]
SATURATED = [(1.2, 3.0, -1.95, -2.06), (1.2, 4.5, -2.41, -2.51)]


@pytest.mark.long
@pytest.mark.parametrize(("alpha", "delta", "first", "second"), TABLE + SATURATED)
def test_exponent_table_at_two_million_modes(alpha, delta, first, second):
    i = np.arange(1, 2_000_001.0)
    risk = np.asarray(omniscient_risk(i**-alpha, i**-delta, np.array([1e2, 1e3, 1e4]), 0.0).risk)
    # the table's own digits
    np.testing.assert_allclose(np.diff(np.log10(risk)), [first, second], atol=0.01)


@pytest.mark.long
def test_tails_make_two_thousand_modes_enough():
    i = np.arange(1, 200_001.0)
    short = omniscient_risk(
        i[:2000] ** -1.5,
        i[:2000] ** -1.4,
        200,
        0.0,
        tail=PowerLawTail(1.5, 2000),
        target_tail=PowerLawTail(1.4, 2000),
    )
    long = omniscient_risk(
        i**-1.5, i**-1.4, 200, 0.0, tail=PowerLawTail(1.5, 2e5), target_tail=PowerLawTail(1.4, 2e5)
    )
    np.testing.assert_allclose(float(short.risk), float(long.risk), rtol=1e-6)


def test_outputs_are_summed_and_groups_may_share_an_eigenvalue():
    e, b = np.array([2.0, 1.0, 1.0]), np.array([[1.0, 0.5], [0.2, 0.0], [0.3, 0.1]])
    whole = omniscient_risk(e, b, 2, 0.1)
    grouped = omniscient_risk(e[:2], np.array([1.5, 0.6]), 2, 0.1, weights=np.array([1, 2]))
    np.testing.assert_allclose(float(whole.risk), float(grouped.risk), rtol=1e-14)


def test_spectrum_only_spreads_the_second_moment_along_the_spectrum():
    e = np.array([2.0, 1.0, 0.5])
    guess = spectrum_only_risk(e, 2, 0.1, second_moment=7.0, noise=0.1)
    np.testing.assert_allclose(
        float(guess.risk), float(omniscient_risk(e, 2 * e, 2, 0.1, noise=0.1).risk), rtol=1e-12
    )


def test_plugin_keeps_trace_and_power():
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((30, 50)), rng.standard_normal((30, 2))
    e, b = (np.asarray(v) for v in plugin_spectrum(x @ x.T, y))
    np.testing.assert_allclose(
        [e.sum(), b.sum()], [np.sum(x**2) / 30, np.sum(y**2) / 30], rtol=1e-12
    )
    assert (np.diff(e) <= 0).all()
    u, s, _ = np.linalg.svd(x)
    np.testing.assert_allclose(b, np.sum((u.T @ y) ** 2, axis=1) / 30, rtol=1e-8)
    np.testing.assert_allclose(e, s**2 / 30, rtol=1e-10)


def test_risk_is_differentiable_under_jit():
    e, b = np.array([2.0, 1.0, 0.5]), np.array([1.0, 0.2, 0.2])
    with jax.enable_x64(True):
        slope = jax.jit(jax.grad(lambda a: omniscient_risk(e, b, 2.0, a, noise=0.1).risk))(0.3)
        up, down = (
            float(omniscient_risk(e, b, 2.0, 0.3 + h, noise=0.1).risk) for h in (1e-5, -1e-5)
        )
    np.testing.assert_allclose(float(slope), (up - down) / 2e-5, rtol=1e-7)


def test_bad_input_is_named():
    e = np.array([1.0, 0.5])
    with pytest.raises(ValueError, match="target_power has shape"):
        omniscient_risk(e, np.ones(3), 2, 0.1)
    with pytest.raises(ValueError, match="target_power holds -1"):
        omniscient_risk(e, np.array([1.0, -1.0]), 2, 0.1)
    with pytest.raises(ValueError, match="modes overlap"):
        omniscient_risk(e, e, 2, 0.1, tail=PowerLawTail(1.5, 1))
    with pytest.raises(ValueError, match=r"K has shape .* square"):
        plugin_spectrum(np.ones((2, 3)), np.ones(2))
    with pytest.raises(ValueError, match="Y has 3 rows; one row"):
        plugin_spectrum(np.eye(2), np.ones(3))
