"""Smooth curves against exact mixtures, brute force over samples and a quadratic program."""

from itertools import product

import numpy as np
import pytest
from divergences import renyi_of_mixtures
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import binom

from theorylab.privacy import meta_theorem, renyi, smooth
from theorylab.privacy.sensitivity import Sensitivity


@pytest.mark.parametrize(
    ("rate", "std", "order", "records", "shift", "bound", "plain"),
    [
        (0.5, 2.0, 3.0, 4, 0.6, 1.100, 2.16),
        (0.2, 1.0, 2.0, 5, 0.3, 0.1944, 2.25),
        (0.3, 1.0, 4.0, 3, 0.4, 1.698, 2.88),
        (0.1, 1.0, 4.0, 1, 0.5, 0.0996, 0.5),
    ],
)
def test_the_coupling_bound_lies_between_exact_mixtures_and_no_amplification(
    rate, std, order, records, shift, bound, plain
):
    moved = Sensitivity(records, shift, records * shift)
    found = float(smooth.coupling_curve(moved, sampling_rate=rate, scale=1 / std)(order))
    sampled = np.arange(records + 1)
    weights = binom.pmf(sampled, records, rate)
    # records that lie far out make samples tell themselves apart, and the coupling is nearly exact
    exact = [
        renyi_of_mixtures(order, weights, sampled * (b + 1) * shift, sampled * b * shift, std)
        for b in (-2, 0, 2, 4)
    ]
    whole = float(renyi.gaussian_curve(sensitivity=records * shift, noise_std=std)(order))
    assert max(exact) < found < 1.35 * max(exact) and found < whole
    assert found == pytest.approx(bound, rel=1e-3)
    assert whole == pytest.approx(plain, rel=1e-6)


@settings(max_examples=40, deadline=None)
@given(
    shares=st.lists(st.floats(0.0, 1.0), min_size=1, max_size=6),
    rate=st.floats(0.05, 1.0),
    order=st.floats(1.1, 8.0),
)
def test_no_way_to_move_within_a_sensitivity_exceeds_its_coupling_curve(shares, rate, order):
    total = sum(shares)
    moved = Sensitivity(len(shares), 1.0, total)
    found = float(smooth.coupling_curve(moved, sampling_rate=rate, scale=0.7)(order))
    moment = 0.0
    for sample in product([0, 1], repeat=len(shares)):
        mass = np.prod([rate if s else 1 - rate for s in sample])
        shift = 0.7 * np.dot(sample, shares)
        moment += mass * np.exp(order * (order - 1) * shift**2 / 2)
    assert np.log(moment) / (order - 1) <= found + 1e-9
    assert found <= order * (0.7 * total) ** 2 / 2 + 1e-9


def test_without_sampling_the_coupling_curve_is_the_gaussian_one():
    moved = Sensitivity(7, 0.3, 2.0)
    curve = smooth.coupling_curve(moved, sampling_rate=1.0, scale=0.5)
    plain = renyi.gaussian_curve(sensitivity=1.0, noise_std=1.0)
    np.testing.assert_allclose(curve([1.5, 3.0]), plain([1.5, 3.0]), rtol=1e-9)


def test_gradient_descent_behind_a_pre_processing_has_the_direct_cost():
    n, steps, length, slope, std = 50, 7, 1.5, 2.25, 0.4
    mechanism = smooth.dp_gradient_descent(
        n, steps=steps, gradient_norm=length, smoothness=slope, noise_std=std
    )
    moved = Sensitivity(10, 0.2, 1.7)
    rho = steps * (2 * length + slope * 1.7) ** 2 / (2 * n**2 * std**2)
    cost = mechanism.behind(moved, orders=[2.0, 20.0])
    np.testing.assert_allclose(cost.divergences, [2 * rho, 20 * rho], rtol=1e-12)
    factor = meta_theorem.cost_factor(slope * 1.7, replacement=2 * length)
    assert factor * mechanism.renyi(2.0) == pytest.approx(2 * rho, rel=1e-12)


def test_sampled_descent_costs_less_than_the_same_steps_without_sampling():
    common = {"steps": 3, "gradient_norm": 1.0, "smoothness": 2.0, "noise_std": 0.5}
    sampled = smooth.dp_sgd(sampling_rate=0.1, batch_size=10.0, **common)
    whole = smooth.dp_gradient_descent(10, **common)
    moved = Sensitivity(4, 0.1, 0.4)
    small, large = (m.behind(moved, orders=[2.0]).divergences[0] for m in (sampled, whole))
    assert sampled.renyi(2.0) < small < large


@pytest.mark.parametrize(
    ("shifts", "spread"),
    [([0, 0, 1, 0], [0, 0, 0.5, 0.5]), ([1, 0, 0, 0], [0.25] * 4), ([2, 2, 2], [2, 2, 2])],
)
def test_a_shift_is_spread_over_all_later_steps(shifts, spread):
    cost = smooth.iteration_cost(np.array(shifts, float), noise_std=0.5)
    np.testing.assert_allclose(cost.allocation, spread, atol=1e-12)
    assert cost.rho == pytest.approx(np.sum(np.square(spread)) / (2 * 0.25))


@settings(max_examples=15, deadline=None)
@given(st.lists(st.floats(0.0, 3.0), min_size=2, max_size=6))
def test_the_spread_is_the_minimum_of_the_quadratic_program(shifts):
    s = np.array(shifts)
    found = smooth.iteration_cost(s, noise_std=1.0)
    kept = np.cumsum(s - found.allocation)
    assert (kept >= -1e-9).all() and abs(kept[-1]) < 1e-9
    solved = minimize(
        lambda a: a @ a,
        found.allocation,
        jac=lambda a: 2 * a,
        bounds=[(0, None)] * s.size,
        constraints=[
            {"type": "ineq", "fun": lambda a: np.cumsum(s - a)},
            {"type": "eq", "fun": lambda a: (s - a).sum()},
        ],
        method="SLSQP",
    )
    assert solved.fun == pytest.approx(2 * found.rho, rel=1e-6, abs=1e-9)
    # the closed form of isotonic regression
    at = range(s.size)
    closed = [max(min(s[j : k + 1].mean() for k in at[i:]) for j in at[: i + 1]) for i in at]
    np.testing.assert_allclose(found.allocation, closed, atol=1e-9)


def test_one_shift_hides_behind_the_noise_of_the_steps_that_follow():
    last = smooth.iteration_cost(np.eye(10)[9], noise_std=2.0).rho
    first = smooth.iteration_cost(np.eye(10)[0], noise_std=2.0).rho
    assert last == pytest.approx(1 / 8) and first == pytest.approx(last / 10)


@pytest.mark.parametrize("radius", [0.0, 1.0, 5.0])
def test_logistic_gradients_move_no_faster_than_their_smoothness(radius):
    rng = np.random.default_rng(0)

    def ball(shape, size):
        x = rng.normal(size=shape)
        return size * x / np.linalg.norm(x, axis=-1, keepdims=True)

    w, x = ball((4000, 3), radius), ball((4000, 3), 1) * rng.random((4000, 1))
    z = x + 1e-4 * rng.normal(size=x.shape)
    z /= np.maximum(1, np.linalg.norm(z, axis=-1, keepdims=True))

    def gradient(x):
        return -x / (1 + np.exp((w * x).sum(-1, keepdims=True)))

    gap = np.linalg.norm(gradient(x) - gradient(z), axis=-1)
    ratio = gap / np.maximum(np.linalg.norm(x - z, axis=-1), 1e-12)
    assert ratio.max() <= smooth.logistic_smoothness(radius) * (1 + 1e-6)


def test_one_pass_costs_most_when_the_last_records_move():
    common = {"step_size": 0.5, "gradient_norm": 1.0, "smoothness": 2.0, "noise_std": 0.3}
    mechanism = smooth.one_pass_descent(10, **common)
    assert mechanism.renyi(3.0) == pytest.approx(3 * (2 / 0.3) ** 2 / 2)
    first = smooth.one_pass_descent(10, **common, place=0)
    assert first.renyi(3.0) == pytest.approx(mechanism.renyi(3.0) / 10)
    moved = Sensitivity(10, 0.1, 0.25)
    worst = mechanism.smooth(moved)(3.0) / 3
    assert worst == pytest.approx(4 * (2 * 0.1**2 + 0.05**2) / (2 * 0.3**2))
    everyone = mechanism.smooth(Sensitivity(10, 0.1, 1.0))(3.0) / 3
    assert everyone == pytest.approx(4 * 10 * 0.1**2 / (2 * 0.3**2))
