"""Calibrated noise and losses by privacy-loss distributions, against closed forms."""

import numpy as np
import pytest
from scipy.stats import norm

from theorylab.privacy import calibration, renyi, sensitivity, smooth


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 8.0])
def test_calibrated_noise_keeps_the_guarantee_and_hardly_more(epsilon):
    def build(std):
        return renyi.gaussian_curve(sensitivity=1.0, noise_std=std)

    noise = calibration.calibrated_noise(build, epsilon=epsilon, delta=1e-5)
    assert renyi.to_epsilon(build(noise), delta=1e-5).epsilon <= epsilon
    assert renyi.to_epsilon(build(noise / 1.0002), delta=1e-5).epsilon > epsilon
    exact = renyi.gaussian_epsilon(1 / noise, delta=1e-5)
    assert 0.85 * epsilon < exact < epsilon  # the exact Gaussian needs a little less


def test_noise_behind_a_preprocessing_is_the_square_root_of_the_factor_larger():
    moved = sensitivity.mean_imputation(100, missing=20)
    orders = np.arange(2.0, 60.0, 4.0)

    def behind(std):
        mean = smooth.gaussian_mechanism(lipschitz=0.01, noise_std=std)
        return lambda a: mean.behind(moved, orders=a).divergences

    def alone(std):
        return smooth.gaussian_mechanism(lipschitz=0.01, noise_std=std).renyi

    common = {"epsilon": 1.0, "delta": 1e-5, "orders": orders, "rtol": 1e-3}
    ratio = calibration.calibrated_noise(behind, **common) / calibration.calibrated_noise(
        alone, **common
    )
    assert ratio == pytest.approx(100 / 80, rel=2e-3)


def test_the_loss_of_whole_batches_is_that_of_the_gaussian():
    found = calibration.sampled_gaussian_epsilon(
        sampling_rate=1.0, noise_multiplier=2.0, steps=4, delta=1e-3
    )

    def delta(e):  # of a shift of one standard deviation
        return norm.cdf(0.5 - e) - np.exp(e) * norm.cdf(-0.5 - e)

    assert delta(found) <= 1e-3 * (1 + 1e-9) and delta(found - 1e-6) > 1e-3


def test_losses_of_rare_samples_are_not_lost_in_their_rounding():
    """In steps of 1e-3, ten times the losses, it was .431; the central limit says .397."""
    found = calibration.sampled_gaussian_epsilon(
        sampling_rate=0.05, noise_multiplier=50.0, steps=10_000, delta=1e-6
    )
    limit = renyi.gaussian_epsilon(0.05 * np.sqrt(10_000 * np.expm1(50.0**-2)), delta=1e-6)
    assert limit < found < 1.02 * limit


@pytest.mark.long
def test_loss_distributions_are_below_the_renyi_curve():
    for rate, noise, steps, known in ((0.01, 1.0, 1000, 1.8282), (0.02, 1.1, 500, 2.2932)):
        common = {"sampling_rate": rate, "noise_multiplier": noise, "steps": steps}
        found = calibration.sampled_gaussian_epsilon(**common, delta=1e-5)
        curve = renyi.subsampled_gaussian_curve(**common)
        assert found == pytest.approx(known, rel=5e-3)
        assert found < renyi.to_epsilon(curve, delta=1e-5).epsilon
