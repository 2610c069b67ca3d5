"""Covariate shift and random features against simulation, and against each other in the limits."""

import jax
import numpy as np
import pytest

from theorylab.rmt import covariate_shift_risk, omniscient_risk, random_features_risk

E = np.arange(1, 121.0) ** -1.0
BETA = np.arange(1, 121.0) ** -0.3
SHIFT = np.where(np.arange(120) % 2 == 0, 2.0, 0.2)


def test_no_shift_is_the_omniscient_risk():
    a = covariate_shift_risk(E, BETA, E, 80, np.array([0.0, 0.01]), noise=0.1)
    b = omniscient_risk(E, E * BETA**2, 80, np.array([0.0, 0.01]), noise=0.1)
    for name in ("risk", "bias", "variance", "kappa"):
        np.testing.assert_allclose(
            np.asarray(getattr(a, name)), np.asarray(getattr(b, name)), rtol=1e-10
        )


def test_diagonal_and_full_second_moments_agree():
    a = covariate_shift_risk(E, BETA, SHIFT, 80, 0.01, noise=0.1)
    b = covariate_shift_risk(E, BETA, np.diag(SHIFT), 80, 0.01, noise=0.1)
    np.testing.assert_allclose(float(a.risk), float(b.risk), rtol=1e-12)


def test_simulated_shift_agrees_and_needs_its_second_term():
    n, alpha, noise, draws = 80, 0.01, 0.1, 60
    rng, mix = np.random.default_rng(0), np.random.default_rng(1).standard_normal((120, 120)) / 11
    moment = mix @ mix.T
    risks = []
    for _ in range(draws):
        x = rng.standard_normal((n, 120)) * np.sqrt(E)
        y = x @ BETA + np.sqrt(noise) * rng.standard_normal(n)
        wrong = BETA - x.T @ np.linalg.solve(x @ x.T + n * alpha * np.eye(n), y)
        risks.append(wrong @ moment @ wrong + noise)
    r = covariate_shift_risk(E, BETA, moment, n, alpha, noise=noise)
    error = np.std(risks) / np.sqrt(draws)
    assert abs(np.mean(risks) - float(r.risk)) < 3 * error + 0.02 * float(r.risk)
    rest = float(r.kappa) / (E + float(r.kappa)) * BETA
    first_term_alone = rest @ moment @ rest + noise
    assert float(r.risk) > 1.05 * first_term_alone


POWER = np.arange(1, 121.0) ** -1.5


def test_infinitely_many_features_are_the_kernel():
    a = random_features_risk(E, POWER, 40, 1e12, np.array([1e-3, 0.1]), noise=0.1)
    b = omniscient_risk(E, POWER, 40, np.array([1e-3, 0.1]), noise=0.1)
    for x, y in (
        (a.risk, b.risk),
        (a.kappa, b.kappa),
        (a.gamma, b.kappa),
        (a.train_risk, b.train_risk),
    ):
        np.testing.assert_allclose(np.asarray(x), np.asarray(y), rtol=1e-8)


@pytest.mark.parametrize("features", [25, 90])
def test_coupled_equations_and_simulation_agree(features):
    n, alpha, noise, draws = 40, 0.01, 0.1, 80
    r = random_features_risk(E, POWER, n, features, alpha, noise=noise)
    kappa, gamma = float(r.kappa), float(r.gamma)
    learnt = np.sum(E / (E + gamma))
    np.testing.assert_allclose(
        [learnt + n * alpha / kappa, learnt + features * kappa / gamma], [n, features], rtol=1e-9
    )
    rng, risks, train = np.random.default_rng(0), [], []
    for _ in range(draws):
        z, w = (
            rng.standard_normal((n, 120)),
            rng.standard_normal((120, features)) / np.sqrt(features),
        )
        phi, y = (z * np.sqrt(E)) @ w, z @ np.sqrt(POWER) + np.sqrt(noise) * rng.standard_normal(n)
        dual = np.linalg.solve(phi @ phi.T + n * alpha * np.eye(n), y)
        risks.append(np.sum((np.sqrt(POWER) - np.sqrt(E) * (w @ (phi.T @ dual))) ** 2) + noise)
        train.append(np.mean((n * alpha * dual) ** 2))
    for values, predicted in ((risks, r.risk), (train, r.train_risk)):
        # 3 s.e. and the O(1/n) of n = 40
        assert abs(np.mean(values) - float(predicted)) < 3 * np.std(values) / np.sqrt(
            draws
        ) + 0.04 * float(predicted)


def test_ridgeless_random_features_learn_the_smaller_of_n_and_k():
    for features in (20, 90):
        r = random_features_risk(E, POWER, 40, features, 0.0)
        np.testing.assert_allclose(np.sum(E / (E + float(r.gamma))), min(40, features), rtol=1e-9)


def test_risk_is_differentiable():
    with jax.enable_x64(True):
        slope = float(jax.grad(lambda a: random_features_risk(E, POWER, 40.0, 60.0, a).risk)(0.05))
        up, down = (
            float(random_features_risk(E, POWER, 40.0, 60.0, 0.05 + h).risk) for h in (1e-6, -1e-6)
        )
    np.testing.assert_allclose(slope, (up - down) / 2e-6, rtol=1e-6)


def test_shapes_are_checked():
    with pytest.raises(ValueError, match=r"coefficients \(3,\)"):
        covariate_shift_risk(E, BETA[:3], SHIFT, 80, 0.1)
    with pytest.raises(ValueError, match=r"target_power \(3,\)"):
        random_features_risk(E, POWER[:3], 40, 60, 0.1)
    with pytest.raises(ValueError, match=r"target_power holds -.* at least 0"):
        random_features_risk(E, -POWER, 40, 60, 0.1)
