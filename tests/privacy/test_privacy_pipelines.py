"""Private learners against NumPy without noise, and the size of their noise."""

import jax
import numpy as np
import pytest

from theorylab.errors import InputError
from theorylab.privacy import online, pipelines, smooth

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(40, 3)) * [1.0, 0.5, 0.2]
ROWS /= np.linalg.norm(ROWS, axis=1, keepdims=True).max()
SIGNS = np.where(ROWS[:, 0] > 0, 1.0, -1.0)
COMMON = {"steps": 6, "step_size": 3.0, "radius": 2.0}


def descend(key, noise_std):
    rows, signs = ROWS.astype(np.float32), SIGNS.astype(np.float32)
    return pipelines.private_logistic_regression(
        rows, signs, **COMMON, noise_std=noise_std, key=jax.random.key(key)
    )


def test_without_noise_it_is_projected_gradient_descent():
    w = np.zeros(3)
    for _ in range(COMMON["steps"]):
        pull = SIGNS / (1 + np.exp(SIGNS * (ROWS @ w)))
        w = w + COMMON["step_size"] * pull @ ROWS / len(ROWS)
        w *= min(1, COMMON["radius"] / np.linalg.norm(w))
    np.testing.assert_allclose(descend(700, 0.0), w, rtol=1e-5)


def test_the_noise_of_one_step_has_the_standard_deviation_that_it_says():
    rows = np.zeros((4, 3000), np.float32)
    w = pipelines.private_logistic_regression(
        rows, SIGNS[:4], steps=1, step_size=0.5, radius=1e6, noise_std=0.3, key=jax.random.key(701)
    )
    assert np.std(w) == pytest.approx(0.15, rel=4 / np.sqrt(2 * 3000))


def test_the_noise_spends_the_budget_of_gradient_descent():
    std = pipelines.gradient_noise_std(50, steps=8, rho=0.03)
    mechanism = smooth.dp_gradient_descent(
        50, steps=8, gradient_norm=1.0, smoothness=1.0, noise_std=std
    )
    assert mechanism.renyi(7.0) == pytest.approx(7 * 0.03, rel=1e-12)
    dearer = pipelines.gradient_noise_std(50, steps=8, rho=0.03, factor=9.0)
    assert dearer == pytest.approx(3 * std)


def test_with_a_large_budget_the_directions_are_the_principal_ones():
    basis = pipelines.private_directions(ROWS, rank=2, rho=1e10, key=jax.random.key(702))
    right = np.linalg.svd(ROWS)[2][:2]
    np.testing.assert_allclose(basis @ basis.T, right.T @ right, atol=1e-3)


def test_one_replacement_moves_the_covariance_by_at_most_what_the_noise_pays_for():
    for _ in range(100):
        x, y = (v / np.linalg.norm(v) for v in RNG.normal(size=(2, 3)))
        assert np.linalg.norm(np.outer(x, x) - np.outer(y, y)) <= np.sqrt(2) * (1 + 1e-12)


def test_a_key_that_was_used_is_refused():
    with online.separate_ledger():
        descend(703, 0.1)
        with pytest.raises(InputError, match="key was used"):
            descend(703, 0.1)
        key = jax.random.key(704)
        pipelines.private_directions(ROWS, rank=1, rho=1.0, key=key)
        with pytest.raises(InputError, match="key was used"):
            pipelines.private_directions(ROWS, rank=1, rho=1.0, key=key)


def test_records_outside_the_ball_are_refused():
    with pytest.raises(InputError, match="norms of at most 1"):
        pipelines.private_directions(2 * ROWS, rank=1, rho=1.0, key=jax.random.key(705))


def test_long_gradients_are_clipped_one_record_at_a_time():
    w, clip = np.zeros(3), 0.2
    for _ in range(COMMON["steps"]):
        gradients = (SIGNS / (1 + np.exp(SIGNS * (ROWS @ w))))[:, None] * ROWS
        length = np.linalg.norm(gradients, axis=1, keepdims=True)
        w = w + COMMON["step_size"] * (gradients * np.minimum(1, clip / length)).mean(0)
        w *= min(1, COMMON["radius"] / np.linalg.norm(w))
    found = pipelines.private_logistic_regression(
        ROWS, SIGNS, **COMMON, noise_std=0.0, key=jax.random.key(706), clip=clip
    )
    np.testing.assert_allclose(found, w, rtol=1e-5)
    std = pipelines.gradient_noise_std(50, steps=8, rho=0.03, clip=clip)
    assert std == pytest.approx(clip * pipelines.gradient_noise_std(50, steps=8, rho=0.03))
