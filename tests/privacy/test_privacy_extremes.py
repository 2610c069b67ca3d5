"""Costs at the ends of the floating range: exact in 50 digits, or refused by name."""

import jax
import mpmath
import numpy as np
import pytest

from theorylab.errors import InputError
from theorylab.privacy import meta_theorem, pipelines, preprocessing, renyi, smooth
from theorylab.privacy.sensitivity import Sensitivity

TINY = 5e-324


def test_the_least_probabilities_have_a_logarithm():
    """Their inverse overflowed: the epsilon was infinite, and the budget 0."""
    log = -mpmath.log(mpmath.mpf(TINY))
    expected = float(1 + 2 * mpmath.sqrt(log))
    assert renyi.zcdp_to_epsilon(1.0, delta=TINY) == pytest.approx(expected, rel=1e-14)
    expected = float((mpmath.sqrt(log + 1) - mpmath.sqrt(log)) ** 2)
    assert renyi.epsilon_to_zcdp(1.0, delta=TINY) == pytest.approx(expected, rel=1e-13)


def test_the_delta_of_a_huge_epsilon_is_nothing():
    assert renyi.gaussian_delta(1.0, epsilon=1e300) == 0.0


def test_a_group_that_is_never_sampled_costs_nothing_and_one_that_is_costs_without_end():
    curve = smooth.coupling_curve(Sensitivity(1, 1.0, 1.0), sampling_rate=1.0, scale=1e300)
    assert curve(2.0) == np.inf
    calm = smooth.coupling_curve(Sensitivity(1, 1.0, 1.0), sampling_rate=1.0, scale=3.0)
    assert calm(2.0) == pytest.approx(2.0 * 9.0 / 2)  # one Gaussian: order shift^2 / 2


@pytest.mark.parametrize(
    ("named", "call"),
    [
        ("sensitivity", lambda: renyi.gaussian_zcdp(sensitivity=1e300, noise_std=1.0)),
        ("sensitivity", lambda: renyi.gaussian_curve(sensitivity=1.0, noise_std=TINY)),
        ("movement", lambda: meta_theorem.cost_factor(1e12, replacement=1e-300)),
        ("noise_std", lambda: smooth.iteration_cost([1.0, 2.0], noise_std=1e-300)),
        (
            "penalty",
            lambda: preprocessing.impute_regression(
                np.full((4, 2), 0.5), np.array([0.5, 0.5, np.nan, 0.5]), penalty=1e-40
            ),
        ),
    ],
)
def test_what_float64_cannot_hold_is_refused_by_name(named, call):
    with pytest.raises(InputError, match=rf"^{named} "):
        call()


def test_noise_beyond_the_precision_of_the_records_is_refused_by_its_name():
    records, labels = np.eye(2, dtype=np.float32) / 2, np.array([1, -1])
    with pytest.raises(InputError, match="noise_std"):
        pipelines.private_logistic_regression(
            records,
            labels,
            steps=2,
            step_size=1.0,
            radius=1.0,
            noise_std=3e38,
            key=jax.random.key(5),
        )


def test_a_group_whose_cost_no_float_holds_is_refused():
    assert meta_theorem.group_cost_factor(10**150) == pytest.approx(1e300, rel=1e-15)
    with pytest.raises(InputError, match="records"):
        meta_theorem.group_cost_factor(10**200)
