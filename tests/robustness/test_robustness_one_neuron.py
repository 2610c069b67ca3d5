"""Closed forms against autodiff, Monte Carlo and the published table."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from theorylab.errors import InputError
from theorylab.robustness import (
    OneNeuron,
    corrected_threshold,
    gradient,
    population_gradient,
    printed_threshold,
    proof_function,
    robust_risk,
    sharp_threshold,
    worst_margin,
)

# norm of theta_2:, population gradient of adversarial training, of COAP; gamma 6, eps 5
TABLE = [
    (2**0.5, -0.203505, -0.273327),
    (5.0, -0.215284, 0.055529),
    (10.0, -0.230776, 0.175857),
    (999**0.5, -0.243713, -0.060771),
]


def margin_by_definition(theta1, s, y, n, training):
    """The margin written out with explicit bounds, for autodiff."""
    eps = 0.0 if training == "standard" else n.eps
    low, high = (theta1 * n.gamma * y + s + sign * eps * jnp.abs(theta1) for sign in (-1, 1))
    if n.a * y < 0:
        return y * (n.b + n.a * jnp.maximum(high, 0))
    if training == "coap" and low < 0 < high:
        return y * (n.b + n.a * high / (high - low) * low)
    if training == "zero" and low < 0 < high:
        return y * (n.b + n.a * 0 * low)
    return y * (n.b + n.a * jnp.maximum(low, 0))


@pytest.mark.long
@pytest.mark.parametrize("training", ["adversarial", "coap", "zero", "standard"])
def test_closed_gradients_are_those_of_autodiff(training):
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        for _ in range(60):
            n = OneNeuron(
                theta1=rng.uniform(0.2, 2),
                norm=rng.uniform(1, 20),
                a=rng.choice([-1, 1]) * rng.uniform(0.5, 2),
                b=rng.normal(),
                gamma=rng.uniform(1, 6),
                eps=rng.uniform(0.1, 6),
            )
            s, y = rng.normal() * n.spread, rng.choice([-1.0, 1.0])

            def loss(t, s=s, y=y, n=n):
                return jnp.logaddexp(0.0, -margin_by_definition(t, s, y, n, training))

            exact = jax.grad(loss)(n.theta1)
            assert float(gradient(n, s, y, training)) == pytest.approx(float(exact), abs=1e-9)


def test_population_gradients_are_those_of_the_table():
    for norm, adversarial, coap in TABLE:
        n = OneNeuron(norm=norm)
        assert population_gradient(n) == pytest.approx(adversarial, abs=6e-7)
        assert population_gradient(n, "coap") == pytest.approx(coap, abs=6e-7)


def test_population_gradients_are_means_over_samples():
    n, rng = OneNeuron(norm=10.0), np.random.default_rng(0)
    s, y = rng.normal(size=400_000) * n.spread, rng.choice([-1.0, 1.0], size=400_000)
    for training in ("adversarial", "coap", "standard"):
        values = gradient(n, s, y, training)
        error = values.std() / np.sqrt(len(values))
        assert abs(values.mean() - population_gradient(n, training)) < 4 * error


def test_slope_zero_gives_the_update_of_adversarial_training():
    for norm, _, _ in TABLE:
        n = OneNeuron(norm=norm)
        assert population_gradient(n, "zero") == pytest.approx(population_gradient(n), abs=1e-12)


def test_three_dimensions_reverse_the_theorem_and_more_do_not():
    """COAP leaves the higher robust risk after a step, but not for d = 3."""
    for norm, *_ in TABLE:
        n = OneNeuron(norm=norm)
        risk = {}
        for training in ("adversarial", "coap"):
            moved = n.theta1 - 0.5 * population_gradient(n, training)
            risk[training] = robust_risk(dataclasses.replace(n, theta1=moved))
        assert (risk["coap"] > risk["adversarial"]) == (norm > 2)


def test_the_robust_risk_is_the_share_of_samples_that_a_line_search_breaks():
    n, rng = OneNeuron(norm=10.0), np.random.default_rng(1)
    s, y = rng.normal(size=200_000) * n.spread, rng.choice([-1.0, 1.0], size=200_000)
    beta = np.linspace(-n.eps, n.eps, 41)[:, None]
    z = n.theta1 * (n.gamma * y + beta) + s
    wrong = (y * (n.b + n.a * np.maximum(z, 0)) <= 0).any(0)
    assert np.array_equal(wrong, worst_margin(n, s, y) <= 0)
    low, high = stats.binomtest(int(wrong.sum()), len(wrong)).proportion_ci(0.999)
    assert low <= robust_risk(n) <= high


def test_thresholds_are_the_derived_ones():
    for ratio, sharp, sufficient in (
        (0.667, 2.183, 6.12),
        (0.7, 1.809, 3.60),
        (0.8, 1.307, 2.25),
        (0.9, 1.062, 1.90),
        (0.99, 0.895, 1.74),
    ):
        assert sharp_threshold(ratio) == pytest.approx(sharp, abs=2e-3)
        assert corrected_threshold(ratio) == pytest.approx(sufficient, abs=8e-3)
        above = np.linspace(sharp_threshold(ratio) * 1.001, 20, 200)
        assert (proof_function(above, 1.0, ratio) < 0).all()


@pytest.mark.parametrize("ratio", [0.3, 0.6, 0.60001])
def test_no_threshold_is_given_where_the_sign_never_changes_or_too_far_out(ratio):
    """For large r the function tends to ratio (1 - 5 ratio / 3), negative above 3/5 alone."""
    assert (proof_function(np.linspace(0.3, 30, 50), 1.0, ratio) > 0).all()
    with pytest.raises(InputError, match="ratio"):
        sharp_threshold(ratio)


def test_the_printed_threshold_is_not_of_the_right_dimension():
    """Scaling gamma, eps and theta_2: leaves the problem alone; a threshold must follow."""
    for scale in (0.5, 2.0):
        assert sharp_threshold(0.8) == pytest.approx(sharp_threshold(0.8 * scale / scale))
        scaled = printed_threshold(6.0 * scale) / printed_threshold(6.0)
        assert scaled != pytest.approx(scale, rel=0.1)
    # it implies the corrected one for gamma of 1.6 and above, and not for small gamma
    assert printed_threshold(1.6) >= 1.6 * corrected_threshold(0.667) - 0.1
    assert printed_threshold(0.5) < 0.5 * corrected_threshold(0.667)
