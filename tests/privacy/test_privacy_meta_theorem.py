"""The two hybrids against their closed form, and against exact divergences."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from theorylab.privacy import meta_theorem as mt
from theorylab.privacy import renyi, sensitivity, smooth


@pytest.mark.parametrize(
    ("rho", "moved", "order", "expected"),
    [(0.02, 0.001, 8, 0.239554), (0.5, 0.5, 1.5, 3.0), (0.01, 0.09, 32, 5.12)],
)
def test_the_least_hybrid_is_the_closed_form_to_twelve_digits(rho, moved, order, expected):
    found = mt.preprocessed_cost(renyi.zcdp_curve(rho), renyi.zcdp_curve(moved), orders=[order])
    closed = order * mt.preprocessed_zcdp(rho, moved)
    assert closed == pytest.approx(expected, rel=3e-6)
    assert found.divergences[0] == pytest.approx(closed, rel=1e-12)
    weights = [order * np.sqrt(s) for s in (moved, rho)]  # where each hybrid has its minimum
    other = [(order - 1) * np.sqrt(s) for s in (rho, moved)]
    best = [(w + o) / w for w, o in zip(weights, other, strict=True)]
    assert min(abs(found.p[0] / p - 1) for p in best) < 1e-4


@settings(max_examples=25, deadline=None)
@given(rho=st.floats(1e-6, 10.0), moved=st.floats(1e-6, 10.0), order=st.floats(1.05, 200.0))
def test_the_closed_form_is_the_scalar_minimum_everywhere(rho, moved, order):
    def first(p):
        return mt.weak_triangle(
            order, p=1 + p, first=renyi.zcdp_curve(moved), second=renyi.zcdp_curve(rho)
        )

    closed = order * mt.preprocessed_zcdp(rho, moved)
    at = (order * np.sqrt(moved) + (order - 1) * np.sqrt(rho)) / (order * np.sqrt(moved)) - 1
    least = minimize_scalar(first, bounds=(at / 3, at * 3), method="bounded", options={"xatol": 0})
    assert least.fun == pytest.approx(closed, rel=1e-12)
    both = mt.preprocessed_cost(renyi.zcdp_curve(rho), renyi.zcdp_curve(moved), orders=[order])
    assert both.divergences[0] == pytest.approx(closed, rel=1e-10)


@pytest.mark.parametrize(
    ("n", "missing", "factor", "group"),
    [(1000, 100, 1.2346, 10_201), (1000, 10, 1.0203, 121), (200, 50, 1.7778, 2601)],
)
def test_mean_imputation_costs_exactly_its_true_sensitivity(n, missing, factor, group):
    moved = sensitivity.mean_imputation(n, missing=missing).total
    found = mt.cost_factor(moved)
    assert found == pytest.approx((n / (n - missing)) ** 2, rel=1e-14)
    assert found == pytest.approx(factor, abs=5e-5)
    assert mt.group_cost_factor(missing) == group
    mean = smooth.gaussian_mechanism(lipschitz=1 / n, noise_std=0.1)
    cost = mean.behind(sensitivity.mean_imputation(n, missing=missing), orders=[3.0])
    exact = renyi.gaussian_curve(sensitivity=2 / (n - missing), noise_std=0.1)(3.0)
    assert cost.divergences[0] == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize("gap", [0.02, 0.1, 0.5, 1.0])
def test_the_factors_of_projection_and_quantization_are_those_of_the_table(gap):
    moved = sensitivity.pca_projection(10**9, eigengap=gap).total
    assert mt.cost_factor(moved) == pytest.approx((1 + 1 / (2 * gap)) ** 2, rel=1e-8)
    clusters = sensitivity.quantization(10**9, diameter=gap).total
    assert mt.cost_factor(clusters) == pytest.approx((1 + gap) ** 2, rel=1e-8)


@pytest.mark.parametrize("order", [1.3, 2.0, 7.0])
def test_behind_imputation_a_laplace_mean_is_within_its_bound(order):
    n, missing, scale = 20, 5, 0.15
    mean = smooth.laplace_mechanism(lipschitz=1 / n, scale=scale)
    bound = mean.behind(sensitivity.mean_imputation(n, missing=missing), orders=[order])
    exact = renyi.laplace_curve(sensitivity=2 / (n - missing), scale=scale)(order)
    naive = mean.renyi(order)
    assert naive < exact <= bound.divergences[0] < 3 * exact


def test_orders_at_which_a_curve_is_undefined_are_left_out():
    def short(orders):
        return np.where(np.asarray(orders) <= 10, 0.1 * np.asarray(orders), np.inf)

    cost = mt.preprocessed_cost(short, renyi.zcdp_curve(0.1), orders=[4.0])
    assert 0.4 * 4 * (1 - 1e-9) <= cost.divergences[0] < np.inf


def test_without_movement_a_pre_processing_costs_nothing():
    cost = mt.preprocessed_cost(renyi.zcdp_curve(0.3), renyi.zcdp_curve(0.0), orders=[2.0, 9.0])
    np.testing.assert_allclose(cost.divergences, [0.6, 2.7], rtol=1e-7)
