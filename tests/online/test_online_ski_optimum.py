import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from theorylab.online import (
    consistency_lp,
    continuous_certificate,
    continuous_ratios,
    dual_certificate,
    exponential_density,
    optimal_buy_distribution,
    ski_cost,
    ski_ratios,
    smallest_robustness,
    tradeoff_deterministic,
    tradeoff_randomized,
    tradeoff_randomized_discrete,
)

TABLE = {
    5: (1.352812, 1.246875, 1.156250, 1.100000, 1.050000),
    10: (1.433860, 1.318324, 1.213763, 1.156516, 1.096296),
    20: (1.470841, 1.351981, 1.244990, 1.186054, 1.122934),
    None: (1.508415, 1.386294, 1.277064, 1.216395, 1.150728),
}
GAMMAS = (1.7, 2.0, 2.5, 3.0, 4.0)


def test_closed_forms_have_the_reference_values():
    for b, known in TABLE.items():
        found = (
            tradeoff_randomized(GAMMAS) if b is None else tradeoff_randomized_discrete(GAMMAS, b)
        )
        np.testing.assert_allclose(found, known, atol=5e-7)


@pytest.mark.parametrize("b", [2, 5, 10, 20, 100])
@pytest.mark.parametrize("gamma", [1.6, 1.7, 2.0, 2.5, 3.0, 4.0])
def test_the_closed_form_is_the_optimum_of_the_lp(b, gamma):
    closed, found = (
        tradeoff_randomized_discrete(gamma, b),
        consistency_lp(b, 3 * b, gamma, max_days=3 * b),
    )
    assert closed == pytest.approx(found.consistency, abs=1e-9)
    assert ski_ratios(found.distribution, b, np.arange(1, 3 * b)).max() <= gamma + 1e-8


@given(st.integers(2, 60), st.floats(0.0, 20.0))
def test_distribution_and_certificate_meet(b, above):
    gamma = float(smallest_robustness(b)) * (1 + 1e-9) + above
    q, dual = optimal_buy_distribution(b, gamma), dual_certificate(gamma, b)
    ratios = ski_ratios(q, b, np.arange(1, 3 * b))
    assert (
        q.min() >= -1e-15 and q.sum() == pytest.approx(1.0) and ratios.max() <= gamma * (1 + 1e-12)
    )
    assert ratios[-1] == pytest.approx(dual.value, rel=1e-11)
    assert tradeoff_randomized_discrete(gamma, b) == pytest.approx(dual.value, rel=1e-11)


@pytest.mark.parametrize("length", [0, 1, 4, 9])
def test_a_certificate_is_a_valid_bound_at_any_length(length):
    b, gamma = 9, 2.0
    dual, j = dual_certificate(gamma, b, length=length), np.arange(1, 40)
    cost = (j - 1 + b) / b + sum(
        w * ski_cost(j, x, b) for x, w in zip(dual.seasons, dual.weights, strict=True)
    )
    np.testing.assert_allclose(cost[: length + 1], dual.cost, rtol=1e-12)
    assert cost.min() >= dual.cost - 1e-12
    value = dual.cost - gamma * (dual.weights * np.minimum(dual.seasons, b)).sum()
    assert (
        value == pytest.approx(dual.value, abs=1e-12)
        and value <= tradeoff_randomized_discrete(gamma, b) + 1e-12
    )


@pytest.mark.parametrize(
    ("y", "best"), [(10, 1.0), (11, 1.088889), (12, 1.165432), (15, 1.306491), (20, 1.318324)]
)
def test_the_optimum_depends_on_the_prediction(y, best):
    assert consistency_lp(10, y, 2.0).consistency == pytest.approx(best, abs=1e-6)


@pytest.mark.parametrize("gamma", [1.7, 2.0, 3.0])
def test_finite_prices_lie_below_the_limit_by_less_than_one_over_b(gamma):
    for b in (20, 100, 400, 10_000):
        gap = tradeoff_randomized(gamma) - tradeoff_randomized_discrete(gamma, b)
        assert 0 < gap < 1 / b


def test_below_the_smallest_robustness_there_is_no_algorithm():
    assert tradeoff_randomized_discrete(1.5, 10) == np.inf and tradeoff_randomized(1.5) == np.inf
    assert tradeoff_deterministic(1.9) == np.inf and tradeoff_deterministic(3.0) == 1.5
    assert tradeoff_randomized([np.inf, 1e14]) == pytest.approx([1.0, 1.0])
    assert smallest_robustness() == pytest.approx(np.e / (np.e - 1))
    assert tradeoff_randomized_discrete(smallest_robustness(7), 7) == pytest.approx(
        float(smallest_robustness(7))
    )
    with pytest.raises(ValueError, match="infeasible"):
        consistency_lp(10, 40, 1.5)
    with pytest.raises(ValueError, match=r"gamma = 1\.5"):
        optimal_buy_distribution(10, 1.5)


def test_the_continuous_optimum_is_tight_up_to_kappa_and_certified():
    gamma, kappa = 2.0, np.log(2.0)
    ratios = continuous_ratios(
        lambda t: exponential_density(t, kappa), kappa, [0.01, 0.3, kappa, 1.0, np.inf]
    )
    np.testing.assert_allclose(ratios, [2.0, 2.0, 2.0, 2 * kappa, 2 * kappa], rtol=1e-12)
    assert continuous_certificate(gamma).value == pytest.approx(
        tradeoff_randomized(gamma), rel=1e-14
    )
    assert continuous_certificate(gamma, 0.5).value < tradeoff_randomized(gamma)
    dual = continuous_certificate(gamma)
    for t in (0.0, 0.3, kappa):  # cost of buying at t under the hard seasons, by quadrature
        cost = (
            quad(lambda x, t=t: np.exp(kappa - x) * (x if x < t else 1 + t), 0, kappa, points=[t])[
                0
            ]
            + 1
            + t
        )
        assert cost == pytest.approx(dual.cost, rel=1e-9)


def test_a_density_that_lacks_mass_buys_at_the_end_of_its_support():
    found = continuous_ratios(lambda t: 0 * t, 0.5, [0.2, 0.49, 0.5, 1.0, np.inf])
    np.testing.assert_allclose(found, [1.0, 1.0, 3.0, 1.5, 1.5])
    # half uniform on [0, 1], half at 1
    half = continuous_ratios(lambda t: 0 * t + 0.5, 1.0, [0.5, 2.0])
    by_hand = [
        quad(lambda t: 0.5 * (1 + t), 0, 0.5)[0] / 0.5 + 0.75,
        quad(lambda t: 0.5 * (1 + t), 0, 1)[0] + 1.0,
    ]
    np.testing.assert_allclose(half, by_hand)
    with pytest.raises(ValueError, match="density has mass 2"):
        continuous_ratios(lambda t: 0 * t + 2.0, 1.0, [0.5])


def test_curves_work_under_jit():
    both = jax.jit(
        lambda g: (
            tradeoff_randomized(g),
            tradeoff_randomized_discrete(g, 20),
            tradeoff_deterministic(g),
        )
    )
    np.testing.assert_allclose(both(2.5), [1.277064, 1.244990, 5 / 3], rtol=1e-5)
    q = jax.jit(lambda g: optimal_buy_distribution(10, g))
    np.testing.assert_allclose(q(2.0), optimal_buy_distribution(10, 2.0), atol=1e-6)
    assert np.isnan(q(1.2)).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tradeoff_randomized(0.5), "gamma = 0.5"),
        (lambda: tradeoff_randomized(np.nan), "gamma = nan"),
        (lambda: consistency_lp(10, 0, 2.0), "prediction = 0"),
        (lambda: consistency_lp(1, 5, 2.0), "b = 1"),
        (lambda: dual_certificate(2.0, 10, length=11), "length = 11"),
        (lambda: dual_certificate(1.0, 10), "gamma"),
        (lambda: optimal_buy_distribution(10, [2.0, 3.0]), "shape"),
        (lambda: jax.jit(lambda g: dual_certificate(g, 5))(2.0), "length is missing"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
