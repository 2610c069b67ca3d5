import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theorylab.online import (
    deterministic_buy_day,
    deterministic_lower_bound,
    randomized_buy_distribution,
    randomized_guarantees,
    randomized_support,
    randomized_worst_ratio,
    ski_cost,
    ski_ratios,
)


def brute(q, b, x):
    """Expected ratio, one term per buying day."""
    cost = sum(p * (x if x < j else j - 1 + b) for j, p in enumerate(q, 1)) + (1 - sum(q)) * x
    return cost / min(x, b)


def test_buying_on_day_k_costs_k_minus_one_days_of_rent_and_the_price():
    np.testing.assert_array_equal(ski_cost(3, [1, 2, 3, 9], 10), [1, 2, 12, 12])
    assert ski_cost(np.inf, 50, 10) == 50


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6), st.integers(2, 8))
def test_ratios_are_the_expectation_over_buying_days(weights, b):
    q = np.asarray(weights) / max(sum(weights), 1.0) * 0.9
    x = np.arange(1, 15)
    np.testing.assert_allclose(ski_ratios(q, b, x), [brute(q, b, day) for day in x], rtol=1e-12)
    assert ski_ratios(q, b, np.inf) == np.inf  # what is missing to 1 never buys


@pytest.mark.parametrize(
    ("lam", "y", "support", "robust", "late"),
    [
        (0.5, 100, 50, 2.531684, 1.265842),
        (0.5, 99, 200, 2.309415, 2.309415),
        (np.log(1.5), 400, 40, 3.020890, 1.208356),
        (np.log(1.5), 10, 247, 2.695152, 2.695152),
        (1.0, 100, 100, 1.577368, 1.577368),
        (1.0, 10, 100, 1.577368, 1.577368),
    ],
)
def test_the_randomised_algorithm_has_the_reference_values(lam, y, support, robust, late):
    q = randomized_buy_distribution(y, 100, lam)
    ratios = ski_ratios(q, 100, np.arange(1, 700))
    assert randomized_support(y, 100, lam) == support and (q > 0).sum() == support
    np.testing.assert_allclose([ratios.max(), ratios[-1], q.sum()], [robust, late, 1.0], atol=1e-6)
    worst = randomized_worst_ratio(100, support)
    np.testing.assert_allclose(ratios[: min(support, 100)], worst, rtol=1e-12)


@given(st.integers(2, 200), st.floats(0.01, 1.0))
def test_the_deterministic_rule_keeps_its_two_promises(b, lam):
    x = np.arange(1, 2 * b + int(b / lam) + 3)
    for y in (1, b, 5 * b):
        day = deterministic_buy_day(y, b, lam)
        ratios = ski_cost(day, x, b) / np.minimum(x, b)
        assert ratios.max() <= 1 + 1 / lam + 1e-9
        assert ski_cost(day, y, b) / min(y, b) <= 1 + lam + 1e-9


def test_whole_products_are_not_rounded_up_by_rounding():
    assert deterministic_buy_day(50, 30, 0.1) == 3  # 0.1 * 30 = 3.0000000000000004
    assert randomized_support(50, 10, 0.7) == 7 and randomized_support(0, 49, 1 / 7) == 343


@pytest.mark.parametrize("b", [2, 7, 40])
def test_no_buying_day_beats_the_deterministic_bound(b):
    for k in range(2, b + 1):
        lam = (k - 1) / b
        robustness = max((k - 1 + b) / k, 1.0)
        assert robustness >= deterministic_lower_bound(lam, b) - 1e-12
        assert lam * (robustness - 1) == pytest.approx((k - 1) * (b - 1) / (k * b))
    assert deterministic_lower_bound(0.5) == 3


def test_the_published_guarantee_is_above_the_exact_robustness():
    for lam in (0.1, 0.5, 1.0):
        robust, consistent = randomized_guarantees(100, lam)
        k = int(randomized_support(100, 100, lam))
        assert robust >= randomized_worst_ratio(100, k) and consistent == pytest.approx(
            lam / (1 - np.exp(-lam))
        )


@pytest.mark.long
def test_ski_rental_works_under_jit_and_vmap():
    q = jax.jit(lambda lam: randomized_buy_distribution(30, 20, lam, max_days=60))(0.5)
    np.testing.assert_allclose(
        q, randomized_buy_distribution(30, 20, 0.5, max_days=60), rtol=1e-5, atol=1e-7
    )
    days = jax.vmap(lambda lam: deterministic_buy_day(30, 20, lam))(jnp.array([0.25, 0.5]))
    np.testing.assert_allclose(days, [5, 10])
    ratios = jax.jit(lambda q: ski_ratios(q, 20, jnp.arange(1, 40)))(q)
    np.testing.assert_allclose(ratios, ski_ratios(np.asarray(q), 20, np.arange(1, 40)), rtol=1e-5)
    slope = jax.grad(lambda k: randomized_worst_ratio(20, k))(10.0)
    step = (randomized_worst_ratio(20, 10.001) - randomized_worst_ratio(20, 9.999)) / 0.002
    assert slope == pytest.approx(step, rel=1e-4)
    q32 = np.asarray(randomized_buy_distribution(30, 20, 0.5), np.float32)
    assert np.isfinite(ski_ratios(q32, 20, np.inf)), (
        "a float32 sum just below 1 must not rent for ever"
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ski_cost(0, 3, 10), "buy_day = 0"),
        (lambda: ski_cost(1, -3, 10), "days = -3"),
        (lambda: ski_cost(1, 3, 1), "b = 1"),
        (lambda: ski_cost(1, 3, 2.5), "b = 2.5"),
        (lambda: ski_ratios([0.5, 0.7], 10, 3), "sums to 1.2"),
        (lambda: ski_ratios([-0.5], 10, 3), "holds -0.5"),
        (lambda: ski_ratios([[1.0]], 10, 3), "shape"),
        (lambda: ski_ratios([1.0], 10, 2.5), "days = 2.5"),
        (lambda: deterministic_buy_day(3, 10, 0.0), "lam = 0"),
        (lambda: deterministic_buy_day(3, 10, 2), "lam"),
        (lambda: deterministic_buy_day(np.nan, 10, 0.5), "prediction = nan"),
        (lambda: randomized_buy_distribution(30, 10, 0.5, max_days=3), "max_days is 3"),
        (lambda: randomized_buy_distribution([1, 30], 10, 0.5), "one number each"),
        (
            lambda: jax.jit(lambda lam: randomized_buy_distribution(30, 10, lam))(0.5),
            "max_days is missing",
        ),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
