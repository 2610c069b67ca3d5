"""Curves against quadrature, dp-accounting's own values and published closed forms."""

import itertools

import numpy as np
import pytest
from divergences import renyi_of_mixtures
from scipy.integrate import quad
from scipy.stats import norm

from theorylab.errors import InputError
from theorylab.privacy import renyi

ORDERS = np.array([1.5, 2.0, 4.0, 8.0])


def test_the_gaussian_curve_is_the_divergence_of_two_gaussians():
    curve = renyi.gaussian_curve(sensitivity=0.7, noise_std=1.3)
    exact = [renyi_of_mixtures(a, [1], [0.7], [0.0], 1.3) for a in ORDERS]
    np.testing.assert_allclose(curve(ORDERS), exact, rtol=1e-9)


@pytest.mark.parametrize("shift", [0.1, 1.0, 3.0])
def test_the_laplace_curve_is_the_divergence_of_two_laplaces(shift):
    def exact(a):
        def inside(x):
            return 0.5 * np.exp(-a * abs(x) - (1 - a) * abs(x - shift))

        ends = (-60.0, 0.0, shift, 60.0)
        parts = [quad(inside, *pair)[0] for pair in itertools.pairwise(ends)]
        return np.log(sum(parts)) / (a - 1)

    curve = renyi.laplace_curve(sensitivity=2 * shift, scale=2.0)
    np.testing.assert_allclose(curve(ORDERS), [exact(a) for a in ORDERS], rtol=1e-7)


def test_a_split_of_the_change_over_coordinates_never_exceeds_the_laplace_curve():
    whole = renyi.laplace_curve(sensitivity=1.0, scale=0.5)(ORDERS)
    for share in (0.1, 0.3, 0.5):
        parts = [renyi.laplace_curve(sensitivity=s, scale=0.5) for s in (share, 1 - share)]
        assert (renyi.composed(*parts)(ORDERS) <= whole + 1e-12).all()


@pytest.mark.parametrize(
    ("rate", "noise", "expected"),
    [
        (0.01, 1.0, [1.71813e-4, 3.63154e-4, 8.93644e-4, 3.08785]),
        (0.02, 1.1, [5.13941e-4, 1.107422e-3, 2.877038e-3, 2.438962]),
        (1 / 44, 4.0, [3.331270e-5, 6.682084e-5, 1.344328e-4, 2.721077e-4]),
    ],
)
def test_the_subsampled_gaussian_is_the_binomial_sum(rate, noise, expected):
    curve = renyi.subsampled_gaussian_curve(sampling_rate=rate, noise_multiplier=noise)
    np.testing.assert_allclose(curve([2, 4, 8, 16]), expected, rtol=5e-6)


@pytest.mark.parametrize("rate", [0.02, 0.3, 0.9])
@pytest.mark.parametrize("noise", [0.8, 2.0])
def test_replacing_a_record_costs_no_more_than_the_way_over_the_set_without_it(rate, noise):
    curve = renyi.replaced_subsampled_gaussian_curve(sampling_rate=rate, noise_multiplier=noise)
    weights = [1 - rate, rate]
    worst = [
        max(renyi_of_mixtures(a, weights, [0, u], [0, -1], noise) for u in (-0.5, 0.0, 0.5, 1.0))
        for a in (1.5, 3.0, 6.0)
    ]
    assert (curve([1.5, 3.0, 6.0]) >= worst).all()


def test_at_small_rates_replacing_costs_what_twice_the_norm_costs():
    both = {"sampling_rate": 0.001, "steps": 3}
    replaced = renyi.replaced_subsampled_gaussian_curve(noise_multiplier=8.0, **both)(2.0)
    doubled = renyi.subsampled_gaussian_curve(noise_multiplier=4.0, **both)(2.0)
    assert abs(replaced / doubled - 1) < 1 / 16  # (2 / noise_multiplier)²: the order left out


def test_sampling_everything_is_the_gaussian_curve_of_twice_the_norm():
    curve = renyi.replaced_subsampled_gaussian_curve(sampling_rate=1.0, noise_multiplier=3.0)
    plain = renyi.gaussian_curve(sensitivity=2.0, noise_std=3.0)(ORDERS)
    assert (curve(ORDERS) >= plain * (1 - 1e-12)).all()
    np.testing.assert_allclose(curve(32.0), 32 * 4 / 18, rtol=5e-3)  # p comes from a grid


@pytest.mark.parametrize(
    ("mu", "exact", "by_renyi"), [(0.1, 0.34067, 0.37526), (1.0, 4.37718, 4.72839)]
)
def test_the_exact_epsilon_is_below_the_one_by_renyi_orders(mu, exact, by_renyi):
    orders = np.concatenate([np.arange(1.05, 20, 0.05), np.arange(20.0, 600)])
    found = renyi.to_epsilon(renyi.zcdp_curve(mu**2 / 2), delta=1e-5, orders=orders)
    assert found.epsilon == pytest.approx(by_renyi, abs=2e-4)
    assert renyi.gaussian_epsilon(mu, delta=1e-5) == pytest.approx(exact, abs=5e-6)
    assert exact < found.epsilon < renyi.zcdp_to_epsilon(mu**2 / 2, delta=1e-5)


@pytest.mark.parametrize(("mu", "epsilon"), [(0.3, 0.0), (0.3, 0.5), (2.0, 1.0), (2.0, 8.0)])
def test_the_gaussian_delta_is_the_hockey_stick(mu, epsilon):
    def inside(x):
        return max(norm.pdf(x - mu) - np.exp(epsilon) * norm.pdf(x), 0.0)

    start = epsilon / mu + mu / 2
    delta = quad(inside, start, start + 30, epsabs=1e-14)[0]
    assert renyi.gaussian_delta(mu, epsilon=epsilon) == pytest.approx(delta, rel=1e-6)


@pytest.mark.parametrize(("epsilon", "rho"), [(0.1, 2.1621e-4), (0.7, 1.03285e-2)])
def test_the_zcdp_budget_of_an_epsilon_is_the_inverse(epsilon, rho):
    found = renyi.epsilon_to_zcdp(epsilon, delta=1e-5)
    assert found == pytest.approx(rho, rel=1e-4)
    assert renyi.zcdp_to_epsilon(found, delta=1e-5) == pytest.approx(epsilon, rel=1e-12)


def test_many_subsampled_steps_cost_between_the_tight_epsilon_and_that_of_whole_orders():
    curve = renyi.subsampled_gaussian_curve(sampling_rate=0.01, noise_multiplier=1.0, steps=1000)
    cost = renyi.to_epsilon(curve, delta=1e-5, orders=np.arange(2.0, 64, 0.5))
    assert 1.8282 < cost.epsilon <= 2.1078  # by convolution of losses; by whole orders alone


@pytest.mark.parametrize("shift", [0.3, 2.0])
def test_between_its_orders_a_tabulated_curve_is_a_little_above_the_curve(shift):
    curve = renyi.laplace_curve(sensitivity=shift, scale=1.0)
    table = renyi.interpolated_curve(curve, orders=np.arange(1.5, 12, 0.5))
    between = np.linspace(1.1, 11.5, 57)
    assert (table(between) >= curve(between) * (1 - 1e-12)).all()
    np.testing.assert_allclose(table([1.5, 3.0, 11.5]), curve([1.5, 3.0, 11.5]), rtol=1e-12)
    np.testing.assert_allclose(table(between[5:]), curve(between[5:]), rtol=0.02)
    assert np.isinf(table(12.0))


@pytest.mark.parametrize("shift", [2e6, 1e9, 1e15, 1e60, 1e150])
def test_gaussians_that_have_nothing_in_common_have_an_epsilon(shift):
    """From 1e16 on the two terms of delta cancel in float64, and no root was found."""
    found = renyi.gaussian_epsilon(shift, delta=1e-5)
    assert found == pytest.approx(shift**2 / 2 + 4.26489 * shift, rel=1e-9)
    before = renyi.gaussian_epsilon(1e6, delta=1e-5)
    assert before == pytest.approx(5e11 + 4.26489e6, rel=1e-9)
    with pytest.raises(InputError, match="shift = 1e"):
        renyi.gaussian_epsilon(1e200, delta=1e-5)
