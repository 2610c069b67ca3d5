"""The hard-margin separator against closed forms, a general solver, conditions of optimality."""

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from theorylab.errors import InputError
from theorylab.shift import (
    NuisanceModel,
    draw_training_set,
    fit_hard_margin,
    fit_logistic_path,
    memorisation_bound,
)


def separable(seed, n, p):
    rng = np.random.default_rng(seed)
    w = rng.normal(size=p)
    X = rng.normal(size=(n, p))
    y = np.where(X @ w >= 0, 1.0, -1.0)
    return X + 0.1 * y[:, None] * w / np.linalg.norm(w), y


def test_one_and_two_samples_in_closed_form():
    x = np.array([3.0, 4.0])
    found = fit_hard_margin(x[None], [-1])
    np.testing.assert_allclose(found.coef, -x / 25, rtol=1e-14)
    assert found.margin == pytest.approx(5.0, rel=1e-14)
    # both bind: w = G^T (G G^T)^{-1} 1; otherwise the nearer one alone
    G = np.array([[1.0, 0.0], [0.5, 2.0]])
    both = fit_hard_margin(G, [1, 1])
    np.testing.assert_allclose(both.coef, np.linalg.solve(G, np.ones(2)), rtol=1e-13)
    alone = fit_hard_margin([[1.0, 0.0], [2.0, 2.0]], [1, 1])
    np.testing.assert_allclose(alone.coef, [1.0, 0.0], atol=1e-14)
    assert alone.support.tolist() == [True, False]


@pytest.mark.parametrize(
    "rest",
    [
        [[1], [0], [2], [3]],
        [[3], [0], [2], [2]],
        [[3, 2], [-3, -3], [3, 2], [2, 2], [2, -1]],
        [[3, 0, -2], [2, -3, 1], [-3, 0, 0], [0, 0, 2]],
    ],
)
def test_samples_that_bind_with_a_multiplier_of_zero(rest):
    """All rows lie on one plane, at its nearest point or around it: every margin is 1."""
    X = np.column_stack([np.ones(len(rest)), rest])
    found = fit_hard_margin(X, np.ones(len(X)))
    np.testing.assert_allclose(found.coef, np.eye(X.shape[1])[0], atol=1e-13)
    assert found.dual.sum() == pytest.approx(1.0) and abs(found.gap) < 1e-13


@pytest.mark.parametrize(("n", "p"), [(12, 3), (8, 8), (6, 30)])
def test_it_is_the_minimum_that_a_general_solver_finds(n, p):
    X, y = separable(n, n, p)
    found = fit_hard_margin(X, y)
    G = X * y[:, None]
    peer = minimize(
        lambda w: w @ w / 2,
        2 * found.coef,
        jac=lambda w: w,
        constraints={"type": "ineq", "fun": lambda w: G @ w - 1, "jac": lambda w: G},
        method="SLSQP",
        options={"ftol": 1e-15, "maxiter": 1000},
    )
    assert peer.success
    np.testing.assert_allclose(found.coef, peer.x, rtol=1e-5, atol=1e-7)


@given(st.integers(0, 10_000), st.integers(1, 40), st.integers(1, 40), st.floats(-8, 8))
def test_the_conditions_of_optimality_hold_in_every_unit(seed, n, p, power):
    X, y = separable(seed, n, p)
    X = 10.0**power * X
    found = fit_hard_margin(X, y)
    G = X * y[:, None]
    margins, square = G @ found.coef, found.coef @ found.coef
    assert margins.min() >= 1 - 1e-6 and (found.dual >= 0).all()
    np.testing.assert_allclose(margins[found.support], 1.0, atol=1e-6)
    size = np.linalg.norm(found.coef)
    assert np.linalg.norm(G.T @ found.dual - found.coef) <= 1e-6 * size
    assert abs(square - found.dual.sum()) <= 1e-6 * square and abs(found.gap) <= 1e-6
    assert found.margin == pytest.approx(1 / size)


@pytest.mark.long
def test_it_is_the_limit_of_vanishing_penalties_and_meets_the_memorisation_bound():
    model = NuisanceModel(d_s=5, k=2000, energy=5.0)
    sample = draw_training_set(jax.random.key(0), model, 60, 0.2)
    found = fit_hard_margin(sample.x, sample.noisy)
    path = fit_logistic_path(sample.x, sample.noisy, [1e-4, 1e-6])
    cosines = path.coef @ found.coef / np.linalg.norm(path.coef, axis=1) * found.margin
    assert cosines[1] > 0.99 and cosines[0] < cosines[1] <= 1 + 1e-12
    sides = memorisation_bound(found.coef, sample.x_s, sample.nuisance, sample.y, sample.noisy)
    assert float(sides.scale) == pytest.approx(1.0, abs=1e-6)
    assert float(sides.norm_w_n) >= float(sides.bound) > 0


def test_padding_does_not_count():
    X, y = separable(3, 10, 4)
    mask = np.arange(12) < 10
    padded = fit_hard_margin(np.vstack([X, -X[:2]]), np.append(y, y[:2]), mask=mask)
    whole = fit_hard_margin(X, y)
    np.testing.assert_allclose(padded.coef, whole.coef, rtol=1e-12)
    assert padded.dual.shape == (12,) and not padded.support[10:].any()


@pytest.mark.parametrize(
    ("X", "y"),
    [
        ([[1.0, 2.0], [2.0, 4.0]], [1, -1]),
        ([[0.0, 0.0]], [1]),
        ([[1.0], [-1.0], [0.0]], [1, -1, 1]),
        (np.random.default_rng(0).normal(size=(40, 2)), np.where(np.arange(40) % 2, 1, -1)),
        ([[1.0, 0.0]], [0]),
        ([[1.0, 0.0]], [[1]]),
    ],
)
def test_what_no_rule_separates_is_refused(X, y):
    with pytest.raises(InputError):
        fit_hard_margin(X, y)


def test_it_does_not_run_under_jit():
    with pytest.raises(InputError, match="host"):
        jax.jit(lambda X: fit_hard_margin(X, [1]).coef)(np.ones((1, 2)))
